//! Masters and problems as the Sentinel lists them, and how grave they are.

use std::cmp::Reverse;

use serde_json::Value as Json;

use super::super::{reply, target::address};

/// In which order masters stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// The worst first.
    #[default]
    Trouble,
    Name,
    Address,
}

impl Order {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Order::Trouble => "trouble first",
            Order::Name => "by name",
            Order::Address => "by address",
        }
    }

    pub(super) const fn next(self) -> Self {
        match self {
            Order::Trouble => Order::Name,
            Order::Name => Order::Address,
            Order::Address => Order::Trouble,
        }
    }

    pub(super) fn sort(self, rows: &mut [Row]) {
        match self {
            Order::Trouble => rows.sort_by(|a, b| (Reverse(a.grade), &a.name).cmp(&(Reverse(b.grade), &b.name))),
            Order::Name => rows.sort_by(|a, b| a.name.cmp(&b.name)),
            Order::Address => rows.sort_by(|a, b| (&a.address, &a.name).cmp(&(&b.address, &b.name))),
        }
    }
}

/// How grave something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    Well,
    Info,
    Warning,
    Critical,
}

impl Grade {
    fn of(severity: &str) -> Self {
        match severity {
            "critical" => Grade::Critical,
            "warning" => Grade::Warning,
            _ => Grade::Info,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Grade::Well => "ok",
            Grade::Info => "info",
            Grade::Warning => "warning",
            Grade::Critical => "CRITICAL",
        }
    }
}

/// One master.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) address: String,
    /// Its flags without `master`.
    pub(super) flags: String,
    pub(super) replicas: String,
    pub(super) sentinels: String,
    pub(super) quorum: String,
    pub(super) epoch: String,
    pub(super) grade: Grade,
    /// The worst that is wrong with it.
    pub(super) trouble: String,
}

/// One problem.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) grade: Grade,
    pub(super) code: String,
    pub(super) master: String,
    pub(super) text: String,
    pub(super) remedy: String,
}

impl Row {
    /// One master, with the worst of its problems.
    pub(super) fn of(master: &Json, troubles: &[Trouble]) -> Self {
        let cell = |field: &str| reply::cell(master, field);
        let name = cell("name");
        let flags: Vec<_> = cell("flags").split(',').filter(|flag| *flag != "master").map(str::to_owned).collect();
        let worst = worst(troubles.iter().filter(|it| it.master == name));
        let sick = flags.iter().any(|flag| flag.ends_with("_down"));
        let grade = worst.map_or(Grade::Well, |it| it.grade).max(if sick { Grade::Critical } else { Grade::Well });
        let others = master["num-other-sentinels"].as_u64().unwrap_or_default();
        Row {
            address: address(&cell("ip"), cell("port")),
            flags: flags.join(","),
            replicas: cell("num-slaves"),
            sentinels: (others + 1).to_string(),
            quorum: cell("quorum"),
            epoch: cell("config-epoch"),
            grade,
            trouble: worst.map(|it| format!("{}: {}", it.code, it.text)).unwrap_or_default(),
            name,
        }
    }
}

impl Trouble {
    /// One line of `SENTINEL PROBLEMS`.
    pub(super) fn of(problem: &Json) -> Self {
        Trouble {
            grade: Grade::of(&reply::cell(problem, "severity")),
            code: reply::cell(problem, "code"),
            master: reply::cell(problem, "master"),
            text: reply::cell(problem, "problem"),
            remedy: reply::cell(problem, "remedy"),
        }
    }
}

/// The worst; of several that are as grave the one that the Sentinel lists first.
pub(super) fn worst<'a>(troubles: impl Iterator<Item = &'a Trouble>) -> Option<&'a Trouble> {
    troubles.min_by_key(|it| Reverse(it.grade))
}
