//! How the engine's effects are written down.

use std::fmt::Write as _;

use sentinel_core::{
    Message, Omitted, Output, TargetKind,
    events::{Event, Level},
    view::NodeView,
};
use sentinel_resp::Reply;

use super::{Stage, script::id};

impl Stage {
    /// Writes a line down, if lines of this kind are shown.
    pub(super) fn line(&mut self, kind: &str, text: &str) {
        if self.shown.contains(kind) {
            let line = format!("{:>3}.{:03}  {}", self.now / 1_000_000, self.now / 1_000 % 1_000, plain(text));
            self.lines.push(line);
        }
    }

    pub(super) fn show(&mut self, output: &Output) {
        match output {
            Output::Connect { target, .. } => {
                let mut text = format!("connect {}", self.name(&target.addr.to_string()));
                if target.kind == TargetKind::DataNode {
                    for (what, value) in
                        [("user", target.user.clone()), ("pass", target.pass.as_ref().map(|p| p.expose().to_owned()))]
                    {
                        if let Some(value) = value {
                            write!(text, " {what}={value}").unwrap();
                        }
                    }
                    for (from, to) in target.rename_commands.iter() {
                        write!(text, " {from}->{to}").unwrap();
                    }
                }
                self.line("links", &text);
            }
            Output::Disconnect { link } => {
                let text = format!("disconnect {}", self.link_name(*link));
                self.line("links", &text);
            }
            Output::Send { link, message, .. } => {
                let text = format!("-> {}  {}", self.link_name(*link), wire(message));
                self.line(kind(message), &text);
            }
            Output::Event(event @ Event::Problem { .. }) => {
                self.line("problem", &format!("{} {}", event.channel(), event.payload()));
            }
            Output::Event(event) => self.line("event", &format!("{} {}", event.channel(), event.payload())),
            Output::Incident(incident) => {
                self.line("incident", &format!("incident of {} ms: {}", incident.lasted, incident.outcome));
            }
            Output::Notice(notice) => {
                let level = match notice.level() {
                    Level::Debug => '.',
                    Level::Verbose => '-',
                    Level::Notice => '*',
                    Level::Warning => '#',
                };
                // The reference's own debug lines are told like events; the others are many.
                let detail = notice.level() == Level::Debug && !notice.text.starts_with(['+', '-']);
                let kind = if detail { "debug" } else { "log" };
                self.line(kind, &format!("log {level} {notice}"));
            }
            Output::Answer { client, reply } => {
                let who = self.clients[client].clone();
                self.show_answer(&who, reply);
            }
            Output::Persist(seq) => self.line("disk", &format!("persist {}", seq.0)),
            Output::Resolve { name } => self.line("links", &format!("resolve {name}")),
            Output::SetLogLevel(level) => self.line("log", &format!("log from {level:?} on")),
            Output::RunScript { path, args, .. } => self.line("script", &format!("run {path} {}", args.join(" | "))),
            Output::KillScript { .. } => self.line("script", "kill the script"),
            Output::Crash => {
                self.line("event", "exits with status 99");
                // Nothing that comes after it happens.
                self.shown.clear();
            }
        }
    }

    /// The state as readers see it.
    pub(super) fn show_state(&mut self) {
        let mut lines = Vec::new();
        for (name, master) in self.view.masters.iter() {
            let mut text =
                format!("{name} {} epoch {} config {}", master.serving, self.view.current_epoch, master.config_epoch);
            flags(&mut text, &master.node);
            for (flag, shown) in [("o_down", master.odown_since.is_some()), ("tilt", self.view.tilt_since.is_some())] {
                if shown {
                    write!(text, " {flag}").unwrap();
                }
            }
            if let Some(state) = master.failover_state {
                write!(text, " {state}").unwrap();
            }
            lines.push(text);
            for replica in &master.replicas {
                let mut text = format!("  slave {} offset {}", replica.node.addr, replica.offset);
                flags(&mut text, &replica.node);
                for flag in replica.promoted.then_some("promoted").into_iter().chain(replica.reconf) {
                    write!(text, " {flag}").unwrap();
                }
                lines.push(text);
            }
            for peer in &master.peers {
                let mut text = format!("  sentinel {} {}", peer.id, peer.node.addr);
                flags(&mut text, &peer.node);
                if peer.master_down {
                    text.push_str(" master_down");
                }
                lines.push(text);
            }
        }
        self.lines.extend(lines.iter().map(|line| plain(line)));
    }

    /// What would be written to disk now.
    pub(super) fn show_snapshot(&mut self) {
        let (_, snapshot) = self.engine.snapshot();
        self.lines.push(format!("current-epoch {}", snapshot.current_epoch));
        for master in &snapshot.masters {
            let replicas: Vec<_> = master.replicas.iter().map(ToString::to_string).collect();
            let peers: Vec<_> = master.peers.iter().map(|(id, addr)| format!("{id}@{addr}")).collect();
            let text = format!(
                "{} {} config-epoch {} leader-epoch {} replicas [{}] sentinels [{}]",
                master.name,
                master.addr,
                master.config_epoch,
                master.leader_epoch,
                replicas.join(" "),
                peers.join(" "),
            );
            self.lines.push(plain(&text));
        }
    }

    fn link_name(&self, link: sentinel_core::LinkId) -> String {
        self.links.get(&link).map_or_else(|| "?".to_owned(), |it| self.name(&it.addr))
    }

    /// A peer's letter, a local node's port, anything else in full.
    fn name(&self, addr: &str) -> String {
        match self.cast.letter(addr) {
            Some(letter) => letter.to_string(),
            None => addr.strip_prefix("127.0.0.1:").unwrap_or(addr).to_owned(),
        }
    }
}

fn flags(text: &mut String, node: &NodeView) {
    for (flag, shown) in [
        ("s_down", node.sdown_since.is_some()),
        ("disconnected", !node.connected),
        ("script_kill_sent", node.script_kill_sent),
        ("master_reboot", node.rebooted),
    ] {
        if shown {
            write!(text, " {flag}").unwrap();
        }
    }
}

const fn kind(message: &Message) -> &'static str {
    match message {
        Message::Ping | Message::Identify { .. } => "ping",
        Message::Info | Message::Acknowledge => "info",
        Message::Hello { .. } => "hello",
        Message::IsMasterDown { candidate: None, .. } | Message::MayI { .. } => "ask",
        Message::IsMasterDown { candidate: Some(_), .. } => "vote",
        Message::HandOver { .. }
        | Message::CallOff { .. }
        | Message::Promote { .. }
        | Message::Replicate { .. }
        | Message::Pause { .. }
        | Message::ScriptKill
        | Message::SignIn { .. } => "order",
    }
}

fn wire(message: &Message) -> String {
    match message {
        Message::Ping => "PING".to_owned(),
        Message::Identify { challenge: None } => "who are you?".to_owned(),
        Message::Identify { challenge: Some(_) } => "who are you, and do you know the key?".to_owned(),
        Message::Info => "INFO".to_owned(),
        Message::Hello { payload } => format!("hello {payload}"),
        Message::IsMasterDown { addr, epoch, candidate, signed } => {
            let candidate = candidate.as_ref().map_or("*", |id| id.as_str());
            let (command, name) = match signed {
                None => ("is-master-down-by-addr", String::new()),
                Some(signed) => ("request-vote", format!("{} ", signed.master)),
            };
            format!("{command} {name}{} {} {epoch} {candidate}", addr.host, addr.port)
        }
        Message::HandOver { to, timeout } => {
            let ms = timeout.as_millis();
            format!("CLIENT PAUSE {ms} WRITE, FAILOVER TO {} {} TIMEOUT {ms}", to.host, to.port)
        }
        Message::CallOff { unpause: false } => "FAILOVER ABORT".to_owned(),
        Message::CallOff { unpause: true } => "FAILOVER ABORT, CLIENT UNPAUSE".to_owned(),
        Message::Acknowledge => "REPLCONF GETACK *".to_owned(),
        Message::Promote { omitted } => format!("{}SLAVEOF NO ONE{}", first(*omitted), without(*omitted)),
        Message::Replicate { of, omitted } => {
            format!("{}SLAVEOF {} {}{}", first(*omitted), of.host, of.port, without(*omitted))
        }
        Message::Pause { name, pause: None } => format!("SENTINEL RESUME {name} LOCAL"),
        Message::Pause { name, pause: Some(pause) } => {
            let ttl = pause.ttl.map_or(0, |ttl| ttl.as_secs());
            format!("SENTINEL PAUSE {name} {ttl} '{}' LOCAL", pause.reason.as_deref().unwrap_or_default())
        }
        Message::MayI { user, hand_over } => {
            let also = if *hand_over { ", also hand over" } else { "" };
            format!("ACL DRYRUN {}{also}", user.as_deref().unwrap_or("default"))
        }
        Message::ScriptKill => "SCRIPT KILL".to_owned(),
        Message::SignIn { user, .. } => format!("AUTH {}", user.as_deref().unwrap_or("default")),
    }
}

/// What an order begins with.
const fn first(omitted: Omitted) -> &'static str {
    if omitted.abort_first { "FAILOVER ABORT, " } else { "" }
}

/// What an order leaves out.
fn without(omitted: Omitted) -> String {
    let parts =
        [(omitted.transaction, "MULTI and EXEC"), (omitted.rewrite, "CONFIG REWRITE"), (omitted.kill, "CLIENT KILL")];
    let parts: Vec<_> = parts.into_iter().filter_map(|(omitted, name)| omitted.then_some(name)).collect();
    let unpause = if omitted.unpause { ", CLIENT UNPAUSE" } else { "" };
    if parts.is_empty() { unpause.to_owned() } else { format!(" without {}{unpause}", parts.join(", ")) }
}

pub(super) fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Status(text) => format!("+{text}"),
        Reply::Error(text) => format!("-{text}"),
        Reply::Integer(value) => format!(":{value}"),
        Reply::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
        Reply::Array(items) => format!("[{}]", items.iter().map(self::reply).collect::<Vec<_>>().join(" ")),
        Reply::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{}={}", self::reply(key), self::reply(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(" "))
        }
        Reply::Null | Reply::NullArray => "nothing".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Ids of 40 times the same letter are written as that letter.
fn plain(text: &str) -> String {
    ('A'..='I').fold(text.to_owned(), |text, letter| text.replace(&id(letter), &letter.to_string()))
}
