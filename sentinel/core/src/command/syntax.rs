//! What words a command takes behind its name, as COMMAND DOCS tells it: shells show it as a hint, and generators of
//! clients read it. The names are the reference's.

use sentinel_resp::Reply;

/// One thing that may be said behind the name of a command.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    name: &'static str,
    kind: Kind,
    /// The word that stands before it, or that it is.
    token: Option<&'static str>,
    /// Which version brought it, if it was not that of the command.
    since: Option<&'static str>,
    /// Which version advised against it.
    until: Option<&'static str>,
    /// Of `optional`, `multiple`, `multiple_token` those that hold.
    flags: &'static [&'static str],
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    String,
    Integer,
    Pattern,
    Word,
    OneOf(&'static [Argument]),
    Block(&'static [Argument]),
}

const fn argument(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, token: None, since: None, until: None, flags: &[] }
}

/// Any text.
pub const fn string(name: &'static str) -> Argument {
    argument(name, Kind::String)
}

/// A number.
pub const fn integer(name: &'static str) -> Argument {
    argument(name, Kind::Integer)
}

/// A glob.
pub const fn pattern(name: &'static str) -> Argument {
    argument(name, Kind::Pattern)
}

/// A fixed word.
pub const fn word(name: &'static str, word: &'static str) -> Argument {
    argument(name, Kind::Word).behind(word)
}

/// A fixed word that the reference does not repeat in capitals.
pub const fn bare(name: &'static str) -> Argument {
    argument(name, Kind::Word)
}

/// One of these.
pub const fn one_of(name: &'static str, of: &'static [Argument]) -> Argument {
    argument(name, Kind::OneOf(of))
}

/// All of these.
pub const fn block(name: &'static str, of: &'static [Argument]) -> Argument {
    argument(name, Kind::Block(of))
}

impl Argument {
    /// With this word before it.
    #[must_use]
    pub const fn behind(self, token: &'static str) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Brought by a later version than the command.
    #[must_use]
    pub const fn since(self, version: &'static str) -> Self {
        Self { since: Some(version), ..self }
    }

    /// Advised against from this version on.
    #[must_use]
    pub const fn until(self, version: &'static str) -> Self {
        Self { until: Some(version), ..self }
    }

    /// Once or not at all.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { flags: &["optional"], ..self }
    }

    /// At least once.
    #[must_use]
    pub const fn multiple(self) -> Self {
        Self { flags: &["multiple"], ..self }
    }

    /// Any number.
    #[must_use]
    pub const fn any_number(self) -> Self {
        Self { flags: &["optional", "multiple"], ..self }
    }

    /// Any number, each behind the token.
    #[must_use]
    pub const fn any_number_of_pairs(self) -> Self {
        Self { flags: &["optional", "multiple", "multiple_token"], ..self }
    }

    /// A map, with the facts in the reference's order.
    fn describe(&self) -> Reply {
        let (kind, of): (_, &[Argument]) = match self.kind {
            Kind::String => ("string", &[]),
            Kind::Integer => ("integer", &[]),
            Kind::Pattern => ("pattern", &[]),
            Kind::Word => ("pure-token", &[]),
            Kind::OneOf(of) => ("oneof", of),
            Kind::Block(of) => ("block", of),
        };
        let mut facts = vec![("name", Reply::from(self.name)), ("type", Reply::from(kind))];
        for (fact, value) in [("token", self.token), ("since", self.since), ("deprecated_since", self.until)] {
            facts.extend(value.map(|value| (fact, Reply::from(value))));
        }
        if !self.flags.is_empty() {
            facts.push(("flags", Reply::Set(self.flags.iter().copied().map(Reply::status).collect())));
        }
        if !of.is_empty() {
            facts.push(("arguments", describe(of)));
        }
        Reply::map(facts)
    }
}

/// A list of arguments, as COMMAND DOCS tells it.
pub fn describe(arguments: &[Argument]) -> Reply {
    Reply::Array(arguments.iter().map(Argument::describe).collect())
}

/// Requests that are made of arguments, for tests that compare them with what is taken and told.
#[cfg(test)]
pub(super) mod forms {
    use super::{Argument, Kind};

    /// The fixed words among them, in capitals.
    pub(crate) fn tokens(arguments: &[Argument]) -> Vec<String> {
        let of = |argument: &Argument| match argument.kind {
            Kind::OneOf(of) | Kind::Block(of) => tokens(of),
            Kind::Word if argument.token.is_none() => vec![argument.name.to_ascii_uppercase()],
            _ => Vec::new(),
        };
        let all = arguments.iter().flat_map(|one| one.token.map(str::to_owned).into_iter().chain(of(one)));
        all.collect()
    }

    /// The shortest form, and for each choice and each optional part one that has it.
    pub(crate) fn all(arguments: &[Argument]) -> Vec<Vec<String>> {
        let mut forms = vec![Vec::new()];
        for argument in arguments {
            let own = of(argument);
            let shortest = if argument.flags.contains(&"optional") { Vec::new() } else { own[0].clone() };
            // What came before in all its forms, this in its shortest; and this in all, after the shortest before it.
            let before = forms[0].clone();
            for form in &mut forms {
                form.extend(shortest.iter().cloned());
            }
            let longer = own.into_iter().filter(|form| *form != shortest);
            forms.extend(longer.map(|form| before.iter().cloned().chain(form).collect()));
        }
        forms
    }

    fn of(argument: &Argument) -> Vec<Vec<String>> {
        let value = |text: &str| vec![vec![text.to_owned()]];
        let mut forms = match argument.kind {
            Kind::String if argument.name == "ip" => value("127.0.0.1"),
            Kind::String | Kind::Pattern => value("m"),
            Kind::Integer => value("1"),
            Kind::Word if argument.token.is_some() => vec![Vec::new()],
            Kind::Word => value(argument.name),
            Kind::OneOf(of) => of.iter().flat_map(self::of).collect(),
            Kind::Block(of) => all(of),
        };
        if let Some(token) = argument.token {
            for form in &mut forms {
                form.insert(0, token.to_owned());
            }
        }
        forms
    }
}
