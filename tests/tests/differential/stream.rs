//! The comparison of what two Sentinels tell of one story.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::newer;
use crate::version;

/// An event with ports and ids called by their roles.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    pub(crate) channel: String,
    pub(crate) payload: String,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.channel, self.payload)
    }
}

/// A difference that is a decision: checks that ours told it as it should be and theirs as it was, and makes the two alike.
pub(crate) struct Rule {
    /// What is so, and why.
    pub(crate) why: &'static str,
    /// An error says what is not as the rule says.
    pub(crate) apply: fn(ours: &mut Vec<Told>, theirs: &mut Vec<Told>) -> Result<(), String>,
}

/// Channels of problems and of notices.
const OURS_ONLY: &[&str] = &["+problem", "+problem-lasts", "-problem", "+notice"];

/// Compares what ours and the reference told after the rules have been applied: the same events, as often (but for repairs,
/// which are repeated until the node obeys), and in both the events of each list in `orders` in that order.
#[track_caller]
pub(crate) fn compare(streams: [Vec<Told>; 2], rules: &[&Rule], orders: &[&[&str]]) {
    let raw = streams.clone();
    let [mut ours, mut theirs] = streams.map(without_repetitions);
    newer::without_needless_ends(version::reference(), &mut theirs);
    let mut failures = Vec::new();
    // docs/problems.md: channels that the reference does not have, and how often ours says something there is no one's business here.
    ours.retain(|told| !OURS_ONLY.contains(&told.channel.as_str()));
    for rule in rules {
        if let Err(error) = (rule.apply)(&mut ours, &mut theirs) {
            failures.push(format!("the rule \"{}\" does not hold: {error}", rule.why));
        }
    }
    let (counted, expected) = (counted(&ours), counted(&theirs));
    for (told, count) in &expected {
        let got = counted.get(told).copied().unwrap_or(0);
        if got != *count {
            failures.push(format!("{told}: {got} times, by the reference {count}"));
        }
    }
    for (told, count) in &counted {
        if !expected.contains_key(told) {
            failures.push(format!("{told}: {count} times, never by the reference"));
        }
    }
    for order in orders {
        for (name, stream) in [("ours", &ours), ("the reference", &theirs)] {
            if let Err(error) = in_order(stream, order) {
                failures.push(format!("{name}: {error}"));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{}\n\nours, as told:\n{}\nthe reference, as told:\n{}",
        failures.join("\n"),
        listed(&raw[0]),
        listed(&raw[1])
    );
}

/// Events as one list.
pub(crate) fn listed(stream: &[Told]) -> String {
    stream.iter().fold(String::new(), |mut list, told| {
        let _ = writeln!(list, "  {told}");
        list
    })
}

/// The position of the first event on that channel.
pub(crate) fn position(stream: &[Told], channel: &str) -> Result<usize, String> {
    stream.iter().position(|told| told.channel == channel).ok_or_else(|| format!("no {channel}"))
}

/// What a node is told to become is repeated with every INFO until it obeys.
fn without_repetitions(mut stream: Vec<Told>) -> Vec<Told> {
    let mut repaired: Vec<Told> = Vec::new();
    stream.retain(|told| {
        if told.channel.ends_with("role-change") {
            repaired.clear();
        }
        let repair = matches!(told.channel.as_str(), "+convert-to-slave" | "+fix-slave-config");
        let again = repair && repaired.contains(told);
        if repair && !again {
            repaired.push(told.clone());
        }
        !again
    });
    stream
}

fn counted(stream: &[Told]) -> BTreeMap<&Told, usize> {
    stream.iter().fold(BTreeMap::new(), |mut counts, told| {
        *counts.entry(told).or_default() += 1;
        counts
    })
}

/// Each of `order` begins an event; they follow one another, others between them allowed.
fn in_order(stream: &[Told], order: &[&str]) -> Result<(), String> {
    let mut from = 0;
    for start in order {
        let found = stream[from..].iter().position(|told| told.to_string().starts_with(start));
        from += found.ok_or_else(|| format!("no \"{start}\" after what should come before it"))? + 1;
    }
    Ok(())
}
