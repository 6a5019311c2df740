//! The subcommands of ACL.

use sentinel_core::command::{
    row::{ADMIN, HELP_FLAGS, Row},
    syntax::{integer, one_of, string, word},
};

use super::{ADMIN_FLAGS, QUIET_FLAGS, Verb};

/// Subcommands of ACL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acl {
    Cat,
    DelUser,
    DryRun,
    GenPass,
    GetUser,
    Help,
    List,
    Load,
    Log,
    Save,
    SetUser,
    Users,
    WhoAmI,
}

/// For anybody.
const fn quiet(name: &'static str, arity: i32, verb: Acl) -> Row<Verb> {
    Row { flags: QUIET_FLAGS, ..Row::new(name, "server", arity, Verb::Acl(verb)) }
}

/// For administrators.
const fn admin(name: &'static str, arity: i32, verb: Acl) -> Row<Verb> {
    Row { flags: ADMIN_FLAGS, categories: ADMIN, ..Row::new(name, "server", arity, Verb::Acl(verb)) }
}

/// In the order of HELP.
pub(super) const ROWS: &[Row<Verb>] = &[
    Row {
        summary: "Lists the categories, or the commands of one.",
        since: Some("6.0.0"),
        arguments: &[string("categoryname").optional()],
        help: &["CAT [<category>]", "    Lists the categories of commands, or the commands of one."],
        ..quiet("acl|cat", -2, Acl::Cat)
    },
    Row {
        summary: "Removes users and closes their connections.",
        since: Some("6.0.0"),
        arguments: &[string("username").multiple()],
        help: &["DELUSER <username> [<username> ...]", "    Removes users and closes their connections."],
        ..admin("acl|deluser", -3, Acl::DelUser)
    },
    Row {
        summary: "Tells whether a user may run a command, without running it.",
        since: Some("7.0.0"),
        arguments: &[string("username"), string("command"), string("arg").any_number()],
        help: &[
            "DRYRUN <username> <command> [<arg> ...]",
            "    Tells whether a user may run a command, without running it.",
        ],
        ..admin("acl|dryrun", -4, Acl::DryRun)
    },
    Row {
        summary: "Describes a user in parts.",
        since: Some("6.0.0"),
        complexity: Some("O(N)"),
        arguments: &[string("username")],
        help: &["GETUSER <username>", "    Describes a user in parts."],
        ..admin("acl|getuser", 3, Acl::GetUser)
    },
    Row {
        summary: "Makes up a password.",
        since: Some("6.0.0"),
        arguments: &[integer("bits").optional()],
        help: &["GENPASS [<bits>]", "    Makes up a password of 256 bits, or of as many as asked for."],
        ..quiet("acl|genpass", -2, Acl::GenPass)
    },
    Row {
        summary: "Describes the users, each in one line.",
        since: Some("6.0.0"),
        complexity: Some("O(N)"),
        help: &["LIST", "    Describes the users, each in one line as the configuration has it."],
        ..admin("acl|list", 2, Acl::List)
    },
    Row {
        summary: "Reads the ACL file again.",
        since: Some("6.0.0"),
        complexity: Some("O(N)"),
        help: &["LOAD", "    Reads the ACL file again."],
        ..admin("acl|load", 2, Acl::Load)
    },
    Row {
        summary: "Lists what was refused.",
        since: Some("6.0.0"),
        complexity: Some("O(N)"),
        arguments: &[one_of("operation", &[integer("count"), word("reset", "RESET")]).optional()],
        help: &["LOG [<count> | RESET]", "    Lists the newest refusals, or forgets all."],
        ..admin("acl|log", -2, Acl::Log)
    },
    Row {
        summary: "Writes the users to the ACL file.",
        since: Some("6.0.0"),
        complexity: Some("O(N)"),
        help: &["SAVE", "    Writes the users to the ACL file."],
        ..admin("acl|save", 2, Acl::Save)
    },
    Row {
        summary: "Changes a user, or makes one.",
        since: Some("6.0.0"),
        complexity: Some("O(N)"),
        arguments: &[string("username"), string("rule").any_number()],
        help: &["SETUSER <username> <attribute> [<attribute> ...]", "    Changes a user, or makes one."],
        ..admin("acl|setuser", -3, Acl::SetUser)
    },
    Row {
        summary: "Lists the names of the users.",
        since: Some("6.0.0"),
        complexity: Some("O(N)"),
        help: &["USERS", "    Lists the names of the users."],
        ..admin("acl|users", 2, Acl::Users)
    },
    Row {
        summary: "Tells the user of this connection.",
        since: Some("6.0.0"),
        help: &["WHOAMI", "    Tells the user of this connection."],
        ..quiet("acl|whoami", 2, Acl::WhoAmI)
    },
    Row {
        summary: "Lists the subcommands.",
        flags: HELP_FLAGS,
        since: Some("6.0.0"),
        ..Row::new("acl|help", "server", 2, Verb::Acl(Acl::Help))
    },
];
