//! What is measured, in which order, and what it is compared with.

use std::{io, path::Path, time::Duration};

use clap::Args;
use sentinel_tests::Kind;

use crate::{
    awake::{self, Awake},
    clients, disk, hang,
    report::{Report, Target},
    scale::{Failure, Stage, Steady},
    scrape,
    stats::Times,
    subject,
};

/// How long one steady state is watched.
const STEADY: Duration = Duration::from_secs(10);

/// How long one load lasts.
const LOAD: Duration = Duration::from_secs(4);

/// Masters of the mass failures, and how many of them die at a time.
const FAILING: usize = 500;
const KILLS: [usize; 3] = [1, 10, 100];

/// How often each is done, with other masters; the median is told. What all masters do at once the reference does only once,
/// since it takes minutes.
const FAILURES: usize = 3;

/// How long the last of a mass failure is waited for. The reference may not have come to it by then.
const FAILURE_LIMIT: Duration = Duration::from_secs(60);

/// Clients at full speed while the gaps between PINGs are measured.
const BUSY_CLIENTS: usize = 2_000;

/// Masters that hang one after the other.
const HANGS: usize = 20;

/// Masters whose metrics are scraped, and how often.
const SCRAPED: usize = 1_000;
const SCRAPES: usize = 20;

/// What is to be measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Numbers of masters, with 2 replicas each.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,5000")]
    masters: Vec<usize>,
    /// Beyond this many masters only ours is measured: starting 3,000 takes the reference minutes.
    #[arg(long, default_value_t = 1000)]
    reference_up_to: usize,
    /// Only these parts.
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Part>,
    /// Only ours.
    #[arg(long)]
    ours_only: bool,
    /// Lets processors that have nothing to do sleep. Otherwise all but the floods of clients, which leave no time for it, is
    /// measured on processors that are kept awake: on a virtual machine its host takes milliseconds to wake one.
    #[arg(long)]
    let_sleep: bool,
}

/// A part of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Start and steady state with many masters.
    Scale,
    /// Masters that die at once.
    Failures,
    /// Queries, connection storms, fan-out.
    Clients,
    /// Masters that hang.
    Hang,
    /// Scrapes of the metrics.
    Scrape,
    /// Size of the programs.
    Size,
}

/// Measures one thing of both, ours first.
fn both<T>(options: &Options, mut measure: impl FnMut(Kind) -> io::Result<T>) -> io::Result<(T, Option<T>)> {
    let ours = measure(Kind::Ours)?;
    let reference = if options.ours_only { None } else { Some(measure(Kind::Reference)?) };
    Ok((ours, reference))
}

pub(crate) fn run(options: &Options, report: &mut Report) -> io::Result<()> {
    let program = std::env::current_exe()?;
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let awake = if options.let_sleep { None } else { keep_awake(&program, report)? };
    if wanted(Part::Scale) {
        scale(options, &program, report)?;
    }
    if wanted(Part::Failures) {
        failures(options, &program, report)?;
    }
    if wanted(Part::Hang) {
        eprintln!("masters that hang");
        let (ours, reference) = both(options, |kind| hang::measure(&program, kind, HANGS))?;
        let what = "3 Sentinels, down after 1000 ms, a master hangs: the quorum-th `+sdown`";
        let pick = |share: f64| (ours.quantile(share), reference.as_ref().and_then(|times| times.quantile(share)));
        let (median, worst) = (pick(0.5), pick(1.0));
        report.add(format!("{what}, median of {HANGS}"), "ms", median.0, median.1, Some(Target::AtMost(1_150.0)));
        report.add(format!("{what}, worst"), "ms", worst.0, worst.1, Some(Target::AtMost(1_300.0)));
    }
    if wanted(Part::Scrape) {
        scrapes(&program, report)?;
    }
    drop(awake);
    if wanted(Part::Clients) {
        flood(options, &program, report)?;
    }
    if wanted(Part::Size) {
        let (ours, reference) = both(options, |kind| subject::program_size(&kind.program()))?;
        report.add("the program, stripped", "MB", Some(ours), reference, Some(Target::AtMost(10.0)));
    }
    Ok(())
}

/// Keeps the processors awake, and tells what that means here. None: it cannot be done, as is told, too.
fn keep_awake(program: &Path, report: &mut Report) -> io::Result<Option<Awake>> {
    let p99 = |times: &Times| times.quantile(0.99).unwrap_or_default();
    let asleep = p99(&awake::echo()?);
    match Awake::keep(program) {
        Ok(awake) => {
            let kept = p99(&awake::echo()?);
            report.note(format!(
                "A byte to another thread and back over loopback, while nothing else happens: {asleep:.2} ms (p99); with \
                 processes of idle priority that keep the processors awake {kept:.2} ms. All but the floods of clients was \
                 measured with them."
            ));
            Ok(Some(awake))
        }
        Err(error) => {
            report.note(format!(
                "A byte to another thread and back over loopback, while nothing else happens: {asleep:.2} ms (p99). The \
                 processors could not be kept awake: {error}."
            ));
            Ok(None)
        }
    }
}

/// What one Sentinel showed with some number of masters.
struct Scale {
    known: Option<f64>,
    acts: Option<f64>,
    start_cpu: f64,
    steady: Steady,
    gap_under_load: Option<f64>,
    all_die: Option<Failure>,
}

fn scale(options: &Options, program: &Path, report: &mut Report) -> io::Result<()> {
    let mut memory = Vec::new();
    for masters in &options.masters {
        eprintln!("{masters} masters");
        let measure = |kind: Kind| -> io::Result<Scale> {
            let mut stage = Stage::set(program, kind, *masters)?;
            let steady = stage.steady(STEADY)?;
            let thousand = *masters == 1_000;
            Ok(Scale {
                known: stage.known,
                acts: stage.acts,
                start_cpu: stage.start_cpu,
                gap_under_load: if thousand { Some(stage.gap_under_load(BUSY_CLIENTS, LOAD)?) } else { None },
                all_die: if thousand { Some(stage.kill(0..*masters, FAILURE_LIMIT / 2)?) } else { None },
                steady,
            })
        };
        let ours = measure(Kind::Ours)?;
        let compared = !options.ours_only && *masters <= options.reference_up_to;
        let reference = if compared { Some(measure(Kind::Reference)?) } else { None };
        let thousand = *masters == 1_000;
        let at = |what: &str| format!("{masters} masters: {what}");
        let pair = |pick: &dyn Fn(&Scale) -> Option<f64>| (pick(&ours), reference.as_ref().and_then(pick));

        let (a, b) = pair(&|it| it.known);
        let target = thousand.then_some(Target::LessAndBetter(2.0, 10.0));
        report.add(at("start to all replicas known"), "s", a, b, target);
        let (a, b) = pair(&|it| it.acts);
        report.add(at("start to failovers possible (no TILT)"), "s", a, b, None);
        let (a, b) = pair(&|it| Some(it.start_cpu));
        report.add(at("processor time of the start"), "s", a, b, None);
        let (a, b) = pair(&|it| Some(it.steady.cpu));
        let target = thousand.then_some(Target::OfReferenceAtMost(0.8));
        report.add(at("steady processor time"), "% of a core", a, b, target);
        let (a, b) = pair(&|it| Some(it.steady.resident));
        let target = thousand.then_some(Target::OfReferenceAtMost(1.0));
        report.add(at("resident memory"), "MB", a, b, target);
        memory.push((*masters, a, b));
        let (a, b) = pair(&|it| Some(it.steady.descriptors as f64));
        let target = (*masters == 5_000).then_some(Target::AtMost(20_000.0));
        report.add(at("descriptors"), "", a, b, target);
        for (share, name, target) in [(0.5, "p50", None), (0.99, "p99", thousand.then_some(Target::AtMost(1.0)))] {
            let (a, b) = pair(&|it| it.steady.latency.quantile(share));
            report.add(at(&format!("`get-master-addr-by-name` meanwhile, {name}")), "ms", a, b, target);
        }
        let (a, b) = pair(&|it| Some(it.steady.held_for_down as f64));
        let none = Some(Target::AtMost(0.0)).filter(|_| *masters >= 1_000);
        report.add(at("healthy instances held for down"), "", a, b, none);
        let gap = Some(Target::AtMost(1.1));
        let (a, b) = pair(&|it| Some(it.steady.worst_gap()));
        report.add(at("worst gap between two PINGs"), "s", a, b, gap.filter(|_| *masters >= 1_000));
        if thousand {
            let (a, b) = pair(&|it| it.gap_under_load);
            report.add(at(&format!("the same while {BUSY_CLIENTS} clients ask at full speed")), "s", a, b, gap);
            let (a, b) = pair(&|it| it.all_die.as_ref().map(|it| it.worst_gap));
            report.add(at("the same while all masters die"), "s", a, b, gap);
        }
        let fleet =
            reference.as_ref().map_or(ours.steady.fleet_cpu(), |it| it.steady.fleet_cpu().max(ours.steady.fleet_cpu()));
        report.note(format!(
            "{masters} masters: the emulated nodes used {fleet:.0} % of a core at most while nothing happened."
        ));
        let late = |it: &Scale| it.steady.naps.quantile(0.99).unwrap_or_default();
        let theirs =
            reference.as_ref().map_or_else(String::new, |it| format!(" ({:.1} ms with redis-sentinel)", late(it)));
        report.note(format!(
            "{masters} masters: the client that asked meanwhile was itself woken up to {:.1} ms late (p99){theirs}: so long a \
             thread waits for a processor of this machine, and the Sentinel's does, too.",
            late(&ours)
        ));
    }
    if let [(few, few_ours, few_theirs), .., (many, many_ours, many_theirs)] = memory.as_slice() {
        let slope = |few_mb: Option<f64>, many_mb: Option<f64>| {
            few_mb.zip(many_mb).map(|(few_mb, many_mb)| (many_mb - few_mb) * 1024.0 / (many - few) as f64)
        };
        let theirs = memory.iter().rev().find_map(|(masters, _, theirs)| Some((*masters, (*theirs)?)));
        let theirs = few_theirs.zip(theirs).filter(|(_, (masters, _))| masters > few);
        let theirs = theirs.map(|(few_mb, (masters, mb))| (mb - few_mb) * 1024.0 / (masters - few) as f64);
        report.add(
            "memory a master with its 2 replicas",
            "kB",
            slope(*few_ours, *many_ours),
            theirs.or_else(|| slope(*few_theirs, *many_theirs)),
            None,
        );
    }
    Ok(())
}

fn failures(options: &Options, program: &Path, report: &mut Report) -> io::Result<()> {
    eprintln!("masters that die");
    let disk = disk::Watched::start();
    let (ours, reference) = both(options, |kind| {
        let mut stage = Stage::set(program, kind, FAILING)?;
        let mut first = 0;
        let mut some = Vec::new();
        for killed in KILLS {
            let mut rounds = Vec::new();
            for _ in 0..FAILURES {
                // The ones that have just been moved may not be moved again for a while.
                rounds.push(stage.kill(first..first + killed, FAILURE_LIMIT)?);
                first += killed;
            }
            some.push(middle(rounds));
        }
        drop(stage);
        let mut rounds = Vec::new();
        for _ in 0..if kind == Kind::Ours { FAILURES } else { 1 } {
            let mut stage = Stage::set(program, kind, FAILING)?;
            rounds.push(stage.kill(0..stage.masters(), FAILURE_LIMIT)?);
        }
        some.push(middle(rounds));
        Ok(some)
    })?;
    let disk = disk.stop()?;
    let at = |share: f64| disk.quantile(share).unwrap_or_default();
    report.note(format!(
        "While masters died, the disk took {:.1} ms (median), {:.0} ms (p99), {:.0} ms (worst) to write and sync 250 kB; a \
         failover waits for that twice.",
        at(0.5),
        at(0.99),
        at(1.0)
    ));
    let (ours, mut theirs) = (ours.into_iter().flatten(), reference.into_iter().flatten().flatten());
    for ours in ours {
        let theirs = theirs.next();
        let what = format!("{} of {FAILING} masters die at once", ours.killed);
        let target = match ours.killed {
            FAILING => Some(Target::AtMost(1.0)),
            100 => Some(Target::AtMost(0.3)),
            _ => None,
        };
        let pick = |pick: fn(&Failure) -> Option<f64>| (pick(&ours), theirs.as_ref().and_then(pick));
        let (a, b) = pick(|it| it.last_known);
        report.add(format!("{what}: last new address known, past down-after"), "s", a, b, target);
        let (a, b) = pick(|it| it.last_switched);
        report.add(format!("{what}: last `+switch-master`, past down-after"), "s", a, b, target);
        let (a, b) = pick(|it| Some(it.cpu));
        report.add(format!("{what}: processor time"), "s", a, b, None);
        for (name, failure) in [("sentinel", Some(&ours)), ("redis-sentinel", theirs.as_ref())] {
            let Some(failure) = failure else { continue };
            if failure.tilt || failure.switched < failure.killed || failure.known < failure.killed {
                report.note(format!(
                    "{what}: within {} s {name} told clients {} new addresses and published {} `+switch-master`{}.",
                    FAILURE_LIMIT.as_secs(),
                    failure.known,
                    failure.switched,
                    if failure.tilt { "; it went into TILT" } else { "" }
                ));
            }
        }
    }
    Ok(())
}

/// The one in the middle, by when the last new address was known.
fn middle(mut rounds: Vec<Failure>) -> Option<Failure> {
    let known = |failure: &Failure| failure.last_known.unwrap_or(f64::INFINITY);
    rounds.sort_by(|one, other| known(one).total_cmp(&known(other)));
    let at = rounds.len() / 2;
    rounds.into_iter().nth(at)
}

fn scrapes(program: &Path, report: &mut Report) -> io::Result<()> {
    eprintln!("scrapes of the metrics");
    let measured = scrape::measure(program, SCRAPED, SCRAPES)?;
    let what = |what: &str| format!("{SCRAPED} masters: a scrape of `/metrics`, {what}");
    let median = measured.times.quantile(0.5);
    report.add(what(&format!("median of {SCRAPES}")), "ms", median, None, Some(Target::AtMost(50.0)));
    report.add(what("worst"), "ms", measured.times.worst(), None, None);
    report.add(what("its size"), "kB", Some(measured.size), None, None);
    report.note(format!(
        "{SCRAPED} masters: a scrape has {} series; scraped twice a second, the Sentinel used {:.1} % of a core with all that it \
         did else.",
        measured.series, measured.cpu
    ));
    Ok(())
}

fn flood(options: &Options, program: &Path, report: &mut Report) -> io::Result<()> {
    eprintln!("floods of clients");
    let kinds = [Kind::Ours, Kind::Reference];
    let kinds = if options.ours_only { &kinds[..1] } else { &kinds[..] };
    let (measured, floor) = clients::measure(program, kinds, LOAD)?;
    let mut measured = measured.into_iter();
    let ours = measured.next().ok_or_else(|| io::Error::other("nothing was measured"))?;
    let reference = measured.next();
    let pair = |pick: &dyn Fn(&clients::Clients) -> Option<f64>| (pick(&ours), reference.as_ref().and_then(pick));
    for (index, (form, connections, _)) in clients::FORMS.into_iter().enumerate() {
        let what = format!("`get-master-addr-by-name`, {form}");
        let (a, b) = pair(&|it| Some(it.loads[index].per_second));
        let share = if connections == 1_000 { 1.5 } else { 1.0 };
        report.add(what.clone(), "a second", a, b, Some(Target::OfReferenceAtLeast(share)));
        let (a, b) = pair(&|it| Some(it.loads[index].p99));
        report.add(format!("{what}, p99"), "ms", a, b, None);
        let (a, b) = pair(&|it| Some(it.loads[index].cpu));
        report.add(format!("{what}, processor time of an answer"), "µs", a, b, None);
    }
    for ((form, ..), least) in clients::FORMS.into_iter().zip(&floor) {
        report.note(format!(
            "{form}: a program that only receives and sends the same bytes and does nothing else answers {:.0} a second, at \
             {:.2} µs of processor time each. That is what the system takes.",
            least.per_second, least.cpu
        ));
    }
    let storm = clients::STORM;
    let (a, b) = pair(&|it| Some(it.storm));
    report.add(format!("{storm} clients connect and ask at once: the last answer"), "ms", a, b, None);
    let (a, b) = pair(&|it| Some(it.storm_failed as f64));
    report.add(
        format!("{storm} clients connect and ask at once: without an answer"),
        "",
        a,
        b,
        Some(Target::AtMost(0.0)),
    );
    let subscribers = clients::SUBSCRIBERS;
    let last = |times: &Times| times.quantile(0.5);
    let (a, b) = pair(&|it| last(&it.fan_out));
    report.add(format!("an event reaches the last of {subscribers} subscribers, median of 10"), "ms", a, b, None);
    let (a, b) = pair(&|it| Some(it.idle_memory));
    report.add("memory with one master", "MB", a, b, Some(Target::AtMost(12.0)));
    let (a, b) = pair(&|it| Some(it.memory_after));
    report.add("memory after the floods", "MB", a, b, None);
    Ok(())
}
