//! The subcommands of COMMAND.

use sentinel_core::command::{
    row::{HELP_FLAGS, Row},
    syntax::{one_of, pattern, string},
};

use super::{SLOW_CONNECTION, UNORDERED, Verb};

/// COMMAND itself and its subcommands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Catalogue {
    All,
    Count,
    Docs,
    GetKeys,
    Help,
    Info,
    List,
}

/// For anybody.
const fn about(name: &'static str, arity: i32, verb: Catalogue) -> Row<Verb> {
    Row { flags: HELP_FLAGS, categories: SLOW_CONNECTION, ..Row::new(name, "server", arity, Verb::Catalogue(verb)) }
}

/// In the order of HELP.
pub(super) const ROWS: &[Row<Verb>] = &[
    Row {
        summary: "Counts the commands.",
        since: Some("2.8.13"),
        help: &["COUNT", "    Counts the commands."],
        ..about("command|count", 2, Catalogue::Count)
    },
    Row {
        summary: "Lists the names of the commands.",
        tips: UNORDERED,
        since: Some("7.0.0"),
        complexity: Some("O(N)"),
        arguments: &[one_of(
            "filterby",
            &[
                string("module-name").behind("MODULE"),
                string("category").behind("ACLCAT"),
                pattern("pattern").behind("PATTERN"),
            ],
        )
        .behind("FILTERBY")
        .optional()],
        help: &[
            "LIST [FILTERBY (MODULE <name> | ACLCAT <category> | PATTERN <pattern>)]",
            "    Lists the names of commands and subcommands.",
        ],
        ..about("command|list", -2, Catalogue::List)
    },
    Row {
        summary: "Describes commands in numbers and flags.",
        tips: UNORDERED,
        since: Some("2.8.13"),
        complexity: Some("O(N)"),
        arguments: &[string("command-name").any_number()],
        help: &["INFO [<command-name> ...]", "    Describes commands in numbers and flags."],
        ..about("command|info", -2, Catalogue::Info)
    },
    Row {
        summary: "Describes commands in words.",
        tips: UNORDERED,
        since: Some("7.0.0"),
        complexity: Some("O(N)"),
        arguments: &[string("command-name").any_number()],
        help: &["DOCS [<command-name> ...]", "    Describes commands in words."],
        ..about("command|docs", -2, Catalogue::Docs)
    },
    Row {
        summary: "Finds no keys: no command has any here.",
        since: Some("2.8.13"),
        complexity: Some("O(N)"),
        help: &["GETKEYS <full-command>", "    Finds no keys: no command has any here."],
        ..about("command|getkeys", -4, Catalogue::GetKeys)
    },
    Row {
        summary: "Finds no keys: no command has any here.",
        since: Some("7.0.0"),
        complexity: Some("O(N)"),
        help: &["GETKEYSANDFLAGS <full-command>", "    Finds no keys: no command has any here."],
        ..about("command|getkeysandflags", -4, Catalogue::GetKeys)
    },
    Row { summary: "Lists the subcommands.", since: Some("5.0.0"), ..about("command|help", 2, Catalogue::Help) },
];
