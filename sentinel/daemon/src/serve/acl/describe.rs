//! Users in words, as ACL LIST and the configuration have them.
//!
//! Commands are described as the reference describes them: from `+@all` or `-@all` by the categories that fit best, and
//! then by single commands. The order of the latter is that of our table; the reference's is that of a hash table.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{
    rules::{Payloads, Rules},
    selector::{KeyPattern, Patterns, Selector},
    set::{Category, CommandSet},
};
use crate::commands::{self, Command};

impl Rules {
    /// The rules that make a new user this one.
    pub(crate) fn description(&self) -> Bytes {
        let mut text = BytesMut::new();
        for flag in self.flags() {
            text.put(flag.as_bytes());
            text.put_u8(b' ');
        }
        for password in &self.passwords {
            text.put(format!("#{password} ").as_bytes());
        }
        self.root.describe(&mut text);
        for selector in &self.selectors {
            text.put(&b" ("[..]);
            selector.describe(&mut text);
            text.put_u8(b')');
        }
        text.freeze()
    }

    /// What ACL GETUSER calls flags.
    pub(crate) fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.enabled { "on" } else { "off" }];
        if self.open {
            flags.push("nopass");
        }
        match self.payloads {
            None => {}
            Some(Payloads::Skip) => flags.push("skip-sanitize-payload"),
            Some(Payloads::Sanitize) => flags.push("sanitize-payload"),
        }
        flags
    }
}

impl Selector {
    fn describe(&self, text: &mut BytesMut) {
        let keys = self.described_keys();
        if !keys.is_empty() {
            text.put(keys);
            text.put_u8(b' ');
        }
        if matches!(self.channels, Patterns::Only(_)) {
            text.put(&b"resetchannels "[..]);
        }
        let channels = self.described_channels();
        if !channels.is_empty() {
            text.put(channels);
            text.put_u8(b' ');
        }
        if self.databases.is_some() {
            text.put(self.described_databases().as_bytes());
            text.put_u8(b' ');
        }
        text.put(self.described_commands().as_bytes());
    }

    /// The rules about keys.
    pub(crate) fn described_keys(&self) -> Bytes {
        match &self.keys {
            Patterns::All => Bytes::from_static(b"~*"),
            Patterns::Only(patterns) => listed(patterns, |key: &KeyPattern| {
                let prefix = match (key.read, key.write) {
                    (true, false) => "%R~",
                    (false, true) => "%W~",
                    _ => "~",
                };
                (prefix, &key.pattern)
            }),
        }
    }

    /// The rules about channels.
    pub(crate) fn described_channels(&self) -> Bytes {
        match &self.channels {
            Patterns::All => Bytes::from_static(b"&*"),
            Patterns::Only(patterns) => listed(patterns, |channel| ("&", channel)),
        }
    }

    /// The rule about databases.
    fn described_databases(&self) -> String {
        match &self.databases {
            None => "alldbs".to_owned(),
            Some(none) if none.is_empty() => "resetdbs".to_owned(),
            Some(some) => format!("db={}", some.iter().map(u32::to_string).collect::<Vec<_>>().join(",")),
        }
    }

    /// The databases, as ACL GETUSER tells them: nothing where there is none.
    pub(crate) fn told_databases(&self) -> String {
        if self.databases.as_ref().is_some_and(std::collections::BTreeSet::is_empty) {
            String::new()
        } else {
            self.described_databases()
        }
    }

    /// The rules about commands.
    pub(crate) fn described_commands(&self) -> String {
        let additive = !self.commands.contains_future();
        let mut described = Selector::new(false);
        let mut text = if additive { "-@all" } else { "+@all" }.to_owned();
        if !additive {
            described.commands = CommandSet::ALL;
        }
        let sign = if additive { '+' } else { '-' };
        for category in fitting(&self.commands, additive) {
            described.commands.set_all(&category.permits, additive);
            text.extend([" ", sign.encode_utf8(&mut [0; 4]), "@", category.name]);
        }
        for command in commands::commands().iter().filter(|command| command.is_counted()) {
            self.describe_difference(command, &mut described, &mut text);
            for subcommand in command.subcommands.iter().filter(|subcommand| !subcommand.is_later()) {
                self.describe_difference(subcommand, &mut described, &mut text);
            }
        }
        text
    }

    fn describe_difference(&self, command: &Command, described: &mut Selector, text: &mut String) {
        let allowed = self.commands.contains(command);
        if allowed != described.commands.contains(command) {
            text.extend([if allowed { " +" } else { " -" }, command.name]);
            described.permit(command, allowed);
        }
        if !allowed {
            for word in self.first_words.get(&command.permit).into_iter().flatten() {
                text.extend([" +", command.name, "|", &String::from_utf8_lossy(word)]);
            }
        }
    }
}

/// The categories that describe a set of commands best: as long as one has more commands that still have to be said
/// than it has others, the one with the fewest others, and of those the one with the most.
fn fitting(commands: &CommandSet, additive: bool) -> Vec<&'static Category> {
    let mut unsaid = *commands;
    let mut left: Vec<&Category> = Category::all().iter().collect();
    let mut chosen = Vec::new();
    loop {
        let mut best: Option<(usize, u32, u32)> = None;
        for (at, category) in left.iter().enumerate() {
            let (inside, outside) = unsaid.split(&category.members);
            let (same, other) = if additive { (inside, outside) } else { (outside, inside) };
            let better = best.is_none_or(|(_, fewest, most)| other < fewest || (other == fewest && same > most));
            if same > other && better {
                best = Some((at, other, same));
            }
        }
        let Some((at, ..)) = best else { return chosen };
        let category = left.remove(at);
        unsaid.set_all(&category.permits, !additive);
        chosen.push(category);
    }
}

fn listed<T>(items: &[T], describe: impl Fn(&T) -> (&'static str, &Bytes)) -> Bytes {
    let mut text = BytesMut::new();
    for (at, item) in items.iter().enumerate() {
        let (prefix, pattern) = describe(item);
        if at > 0 {
            text.put_u8(b' ');
        }
        text.put(prefix.as_bytes());
        text.put(&pattern[..]);
    }
    text.freeze()
}
