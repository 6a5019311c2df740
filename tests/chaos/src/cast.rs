//! The hosts of one deployment and what runs on them.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sentinel_tests::{Kind, programs};

use crate::agreement;
use crate::ask::{self, NAME};
use crate::host::{Host, Role};
use crate::network::{HostId, Network, address_of};
use crate::python;
use crate::writes::{Missing, Writes};

const DATA: HostId = 3;
const SENTINELS: HostId = 3;
const APPLICATIONS: HostId = 3;
/// Data nodes write every value to their append-only file, for as long as the run is.
const DATA_DISK: u32 = 96;
const SENTINEL_DISK: u32 = 1;
/// Milliseconds between two writes of an application.
const PACE: u64 = 10;

/// Which Sentinels watch together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    pub(crate) name: &'static str,
    /// `min-replicas-to-write` of the data nodes, with a lag of at most 2 s.
    min_replicas: u8,
    kinds: [Kind; SENTINELS as usize],
}

/// The deployments of a run, in turn.
pub(crate) const MIXES: [Mix; 3] = [
    Mix { name: "ours", min_replicas: 0, kinds: [Kind::Ours; 3] },
    Mix { name: "mixed", min_replicas: 0, kinds: [Kind::Ours, Kind::Ours, Kind::Reference] },
    Mix { name: "min-replicas", min_replicas: 1, kinds: [Kind::Ours; 3] },
];

/// A running deployment.
#[derive(Debug)]
pub(crate) struct Cast {
    network: Network,
    hosts: Vec<Host>,
    roles: Vec<(HostId, Role)>,
    writes: Vec<Writes>,
    last_master: HostId,
}

impl Cast {
    /// Starts everything under `parent`, and waits until all know all and every application writes.
    pub(crate) fn start(parent: &Path, mix: &Mix) -> Result<Self, String> {
        let folder = parent.join(mix.name);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let network = Network::lay(DATA + SENTINELS + APPLICATIONS)?;
        println!("{}: lines are slowed down by {:?}", mix.name, network.delays());
        let mut cast = Self { network, hosts: Vec::new(), roles: Vec::new(), writes: Vec::new(), last_master: 0 };
        for id in 0..DATA {
            let host = Host::new(id, Role::Data, &format!("data-{}", id + 1), &folder, DATA_DISK)?;
            cast.add(host, data_node(id, mix.min_replicas)?)?;
        }
        for (id, kind) in (DATA..).zip(mix.kinds) {
            let name = format!("{}-{}", kind.name(), id - DATA + 1);
            let host = Host::new(id, Role::Sentinel, &name, &folder, SENTINEL_DISK)?;
            cast.add(host, sentinel(kind)?)?;
        }
        cast.start_applications(&folder)?;
        agreement::wait(&mut cast).map_err(|state| format!("the deployment does not come up: {state}"))?;
        Ok(cast)
    }

    /// Every host and what it is for.
    pub(crate) fn hosts(&self) -> &[(HostId, Role)] {
        &self.roles
    }

    pub(crate) fn host(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[usize::from(id)]
    }

    /// The hosts for that.
    pub(crate) fn of(&self, role: Role) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(move |host| host.role == role)
    }

    /// Starts the data nodes once more that ended since their append-only file is damaged: a full disk and a SIGKILL do that. Which.
    pub(crate) fn repair_data(&mut self) -> Result<Vec<String>, String> {
        let mut repaired = Vec::new();
        for host in self.hosts.iter_mut().filter(|host| host.role == Role::Data) {
            if host.repair_data()? {
                repaired.push(host.name.clone());
            }
        }
        Ok(repaired)
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// What the applications were promised.
    pub(crate) fn writes(&mut self) -> &mut [Writes] {
        &mut self.writes
    }

    /// The same, to look at.
    pub(crate) fn promised(&self) -> &[Writes] {
        &self.writes
    }

    pub(crate) fn name(&self, id: HostId) -> String {
        self.hosts[usize::from(id)].name.clone()
    }

    /// The name of the host with that address.
    pub(crate) fn name_of(&self, address: &str) -> String {
        self.hosts.iter().find(|host| host.address() == address).map_or(address.to_owned(), |host| host.name.clone())
    }

    /// The host that a Sentinel names as the master, or the one that was named last.
    pub(crate) fn master(&mut self) -> HostId {
        let named = self.of(Role::Sentinel).find_map(|sentinel| ask::opinion(&sentinel.address()).ok());
        let host = named.and_then(|opinion| {
            self.hosts.iter().find(|host| host.role == Role::Data && host.address() == opinion.address)
        });
        self.last_master = host.map_or(self.last_master, |host| host.id);
        self.last_master
    }

    /// What was acknowledged until now and the master does not have.
    pub(crate) fn missing_from(&mut self, master: &str) -> Result<Missing, String> {
        for writes in &mut self.writes {
            writes.read_on().map_err(|error| format!("{}: {error}", writes.application))?;
        }
        let keys = ask::keys(master).map_err(|error| error.to_string())?;
        let mut all = Missing::default();
        for writes in &mut self.writes {
            let missing = writes.missing_from(&keys);
            all.unguarded.extend(missing.unguarded);
            all.guarded.extend(missing.guarded);
        }
        Ok(all)
    }

    fn add(&mut self, mut host: Host, (config, program): (String, Vec<String>)) -> Result<(), String> {
        let path = host.folder.join("server.conf");
        fs::write(&path, config).map_err(|error| format!("{}: {error}", path.display()))?;
        host.install(program, Vec::new())?;
        self.push(host);
        Ok(())
    }

    fn push(&mut self, host: Host) {
        self.roles.push((host.id, host.role));
        self.hosts.push(host);
    }

    fn start_applications(&mut self, folder: &Path) -> Result<(), String> {
        let sentinels: Vec<String> = self.of(Role::Sentinel).map(Host::address).collect();
        let this = text(env::current_exe().map_err(|error| error.to_string())?)?;
        let replicas = DATA - 1;
        let on_the_sdk = |prefix: &str, wait: u8| {
            let mut program: Vec<String> = vec![this.clone(), "application".to_owned()];
            program.extend(["--prefix".to_owned(), prefix.to_owned()]);
            program.extend(["--pace".to_owned(), PACE.to_string(), "--wait".to_owned(), wait.to_string()]);
            program.push(NAME.to_owned());
            program.extend_from_slice(&sentinels);
            program
        };
        let mut applications = vec![
            ("SDK", "plain", on_the_sdk("plain", 0), Vec::new()),
            ("SDK with WAIT", "careful", on_the_sdk("careful", replicas), Vec::new()),
        ];
        match python::application(NAME, &sentinels) {
            Ok(program) => {
                let pace = Duration::from_millis(PACE).as_secs_f64().to_string();
                let mut variables = vec![("KEY_PREFIX".to_owned(), "python".to_owned()), ("PACE".to_owned(), pace)];
                variables.push(("PYTHONPATH".to_owned(), text(python::folder())?));
                variables.push(("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()));
                applications.push(("redis-py", "python", program, variables));
            }
            Err(reason) => println!("NO APPLICATION ON redis-py: {reason}"),
        }
        for (id, (name, prefix, program, variables)) in (DATA + SENTINELS..).zip(applications) {
            let mut host = Host::new(id, Role::Application, &format!("application-{prefix}"), folder, 1)?;
            self.writes.push(Writes::of(name, prefix, host.log.clone()));
            host.install(program, variables)?;
            self.push(host);
        }
        Ok(())
    }
}

fn data_node(id: HostId, min_replicas: u8) -> Result<(String, Vec<String>), String> {
    let mut config = format!(
        "port 6379\nbind 0.0.0.0\nprotected-mode no\nsave \"\"\nappendonly yes\nrepl-diskless-sync-delay 0\n\
         repl-timeout 10\nrepl-ping-replica-period 1\ntcp-keepalive 5\nmin-replicas-to-write {min_replicas}\n\
         min-replicas-max-lag 2\n"
    );
    if id > 0 {
        writeln!(config, "replicaof {} 6379", address_of(0)).expect("a String takes all text");
    }
    Ok((config, vec![text(programs::redis_server())?, "server.conf".to_owned()]))
}

fn sentinel(kind: Kind) -> Result<(String, Vec<String>), String> {
    let master = address_of(0);
    let config = format!(
        "port 26379\nbind 0.0.0.0\nprotected-mode no\ndir .\nsentinel monitor {NAME} {master} 6379 2\n\
         sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 5000\n\
         sentinel parallel-syncs {NAME} 1\n"
    );
    let program = match kind {
        Kind::Ours => vec![text(programs::our_sentinel())?, "server.conf".to_owned()],
        Kind::Reference => {
            let program = programs::reference_sentinel().ok_or("redis-sentinel is missing: install it")?;
            vec![text(program)?, "server.conf".to_owned()]
        }
    };
    Ok((config, program))
}

fn text(path: PathBuf) -> Result<String, String> {
    path.into_os_string().into_string().map_err(|path| format!("{} is not UTF-8", path.display()))
}
