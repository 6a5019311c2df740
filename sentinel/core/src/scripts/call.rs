//! What calls which script, and what becomes of the calls.

use std::sync::Arc;

use super::{
    Failing, JobId, Kind, ScriptEnd, ScriptFault,
    job::{Call, Lane},
    queue::GivenUp,
};
use crate::{
    context::Context, engine::Engine, events::Event, notice::Topic, output::Output, settings::MasterSettings,
    timer::Timer, types::HostPort, watch::Watch,
};

/// The part of this Sentinel in a switch, as the client reconfiguration script is told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// It led the failover.
    Leader,
    /// It heard of the switch from another.
    Observer,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Role::Leader => "leader",
            Role::Observer => "observer",
        }
    }
}

impl Engine {
    /// Gives the events told since the last time to the notification scripts, as the settings are now. To be called
    /// before a script is set anew and before a master goes.
    pub(crate) fn notify_scripts(&mut self) {
        if self.ctx.unheard.is_empty() {
            return;
        }
        for event in std::mem::take(&mut self.ctx.unheard) {
            let Some(name) = event.master() else { continue };
            let Some(master) = self.names.get(name).and_then(|key| self.masters.get(key)) else { continue };
            let Some(path) = &master.settings.notification_script else { continue };
            let lane = Lane { master: name.clone(), kind: Kind::Notification };
            let args = [event.channel().to_owned(), event.payload()];
            self.ctx.call_script(lane, path, args.into());
        }
    }

    /// A script has its process.
    pub(crate) fn script_started(&mut self, job: JobId, pid: u32) {
        if self.ctx.scripts.started(job, pid) {
            self.ctx.notice(Topic::ScriptChild, None, format!("+script-child {pid}"));
        }
    }

    /// The process of a script ended.
    pub(crate) fn script_ended(&mut self, job: JobId, end: ScriptEnd) {
        let Some(pid) = self.ctx.scripts.pid(job) else { return };
        let (signal, status) = end.signal_and_status();
        self.ctx.notice(Topic::ScriptChild, None, format!("-script-child {pid} {status} {signal}"));
        if let Some(call) = self.ctx.scripts.call(job).cloned() {
            let how = match end {
                ScriptEnd::Exited(0) => None,
                ScriptEnd::Exited(status) => Some(format!("it ended with status {status}")),
                ScriptEnd::Killed(signal) => Some(format!("it was ended by signal {signal}")),
            };
            self.script_turned_out(&call, how);
        }
        let (now, delay) = (self.ctx.mono(), self.ctx.timing.script_retry_delay);
        if let Some(given_up) = self.ctx.scripts.ended(job, end, now, delay) {
            self.ctx.tell_given_up(&given_up);
        }
    }

    /// A script has got no process.
    pub(crate) fn script_not_started(&mut self, job: JobId, fault: &ScriptFault) {
        let now = self.ctx.mono();
        let Some(call) = self.ctx.scripts.not_started(job, fault, now) else { return };
        let text = format!("{} was not called: {fault}", call.path);
        self.ctx.notice(Topic::ScriptNotCalled, Some(&call.lane.master), text);
        if matches!(fault, ScriptFault::NotExecutable(_)) {
            self.script_turned_out(&call, Some(fault.to_string()));
        }
        // The reference's numbers for either.
        let (signal, status) = match fault {
            ScriptFault::NotExecutable(_) => (0, 2),
            ScriptFault::NoProcess(_) => (99, 0),
        };
        self.ctx.event(Event::ScriptError { path: call.path, signal, status });
    }

    /// Remembers for the master what is wrong with one of its scripts. None: nothing, as its last call showed.
    fn script_turned_out(&mut self, call: &Call, how: Option<String>) {
        let Lane { master, kind } = &call.lane;
        let Some(master) = self.names.get(master).and_then(|key| self.masters.get_mut(key)) else { return };
        let was = match how {
            Some(how) => master.failing_scripts.insert(*kind, Failing { path: Arc::clone(&call.path), how }).is_some(),
            None => master.failing_scripts.remove(kind).is_some(),
        };
        // A script that goes on being well is nothing to look at.
        if was || !master.failing_scripts.is_empty() {
            self.ctx.unexamined.insert(master.key);
        }
    }

    /// Starts what may begin and ends what runs for too long.
    pub(crate) fn run_scripts(&mut self) {
        self.notify_scripts();
        self.ctx.run_scripts();
    }
}

impl Context {
    fn call_script(&mut self, lane: Lane, path: &str, mut args: Arc<[String]>) {
        for arg in Arc::make_mut(&mut args) {
            // The arguments of a process end at a NUL.
            if let Some(end) = arg.find('\0') {
                arg.truncate(end);
            }
        }
        let now = self.mono();
        for given_up in self.scripts.push(Call { lane, path: path.into(), args }, now) {
            self.tell_given_up(&given_up);
        }
    }

    fn tell_given_up(&mut self, GivenUp { call, end }: &GivenUp) {
        if let Some(end) = end {
            let (signal, status) = end.signal_and_status();
            self.event(Event::ScriptError { path: Arc::clone(&call.path), signal, status });
        } else {
            let text = format!("{} is not called with {:?}: too many calls wait already", call.path, call.args);
            self.notice(Topic::ScriptNotCalled, Some(&call.lane.master), text);
        }
    }

    fn run_scripts(&mut self) {
        // After every fact; nearly always there is none. A deadline that is left over finds nothing to do.
        if self.scripts.is_empty() {
            return;
        }
        let (now, limit) = (self.mono(), self.timing.script_max_runtime);
        for (job, Call { path, args, .. }) in self.scripts.begin(now) {
            self.outputs.push_back(Output::RunScript { job, path, args });
        }
        for overdue in self.scripts.overdue(now, limit) {
            self.event(Event::ScriptTimeout { path: overdue.path, pid: overdue.pid });
            self.outputs.push_back(Output::KillScript { job: overdue.id });
        }
        match self.scripts.deadline(now, limit) {
            Some(at) => self.timers.arm(Timer::Scripts, at),
            None => self.timers.disarm(&Timer::Scripts),
        }
    }
}

impl Watch<'_> {
    /// Tells the client reconfiguration script that clients find this master elsewhere from now on.
    pub(crate) fn call_client_reconfig(&mut self, role: Role, from: &HostPort, to: &HostPort) {
        let settings: &MasterSettings = &self.master.settings;
        let Some(path) = settings.client_reconfig_script.clone() else { return };
        let name = self.master.name.clone();
        let args = [
            name.to_string(),
            role.as_str().to_owned(),
            "start".to_owned(),
            from.host.to_string(),
            from.port.to_string(),
            to.host.to_string(),
            to.port.to_string(),
        ];
        self.ctx.call_script(Lane { master: name, kind: Kind::ClientReconfig }, &path, args.into());
    }
}
