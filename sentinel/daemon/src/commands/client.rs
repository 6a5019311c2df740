//! The subcommands of CLIENT.

use sentinel_core::command::{
    row::{HELP_FLAGS, Listed, Row},
    syntax::{block, integer, one_of, string, word},
};

use super::{ADMIN_CONNECTION, ADMIN_FLAGS, QUIET_FLAGS, SLOW_CONNECTION, UNSTEADY, Verb};

/// Subcommands of CLIENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Caching,
    GetName,
    GetRedir,
    Help,
    Id,
    Info,
    Kill,
    List,
    NoEvict,
    Pause,
    Reply,
    SetInfo,
    SetName,
    Tracking,
    TrackingInfo,
    Unblock,
    Unpause,
}

/// For anybody.
const fn quiet(name: &'static str, arity: i32, verb: Client) -> Row<Verb> {
    Row { flags: QUIET_FLAGS, categories: SLOW_CONNECTION, ..Row::new(name, "connection", arity, Verb::Client(verb)) }
}

/// For administrators.
const fn admin(name: &'static str, arity: i32, verb: Client) -> Row<Verb> {
    Row { flags: ADMIN_FLAGS, categories: ADMIN_CONNECTION, ..Row::new(name, "connection", arity, Verb::Client(verb)) }
}

/// In the order of HELP.
pub(super) const ROWS: &[Row<Verb>] = &[
    Row {
        summary: "Accepted without effect: there are no keys to cache.",
        since: Some("6.0.0"),
        arguments: &[one_of("mode", &[word("yes", "YES"), word("no", "NO")])],
        help: &["CACHING (YES|NO)", "    Without effect: there are no keys to cache."],
        ..quiet("client|caching", 3, Client::Caching)
    },
    Row {
        summary: "Tells where invalidations go: nowhere.",
        since: Some("6.0.0"),
        help: &["GETREDIR", "    Tells where invalidations go: -1, nowhere."],
        ..quiet("client|getredir", 2, Client::GetRedir)
    },
    Row {
        summary: "Tells the name of this connection.",
        since: Some("2.6.9"),
        help: &["GETNAME", "    Tells the name of this connection."],
        ..quiet("client|getname", 2, Client::GetName)
    },
    Row {
        summary: "Tells the number of this connection.",
        since: Some("5.0.0"),
        help: &["ID", "    Tells the number of this connection."],
        ..quiet("client|id", 2, Client::Id)
    },
    Row {
        summary: "Describes this connection.",
        tips: UNSTEADY,
        since: Some("6.2.0"),
        help: &["INFO", "    Describes this connection."],
        ..quiet("client|info", 2, Client::Info)
    },
    Row {
        summary: "Closes connections.",
        since: Some("2.4.0"),
        complexity: Some("O(N)"),
        arguments: &[one_of(
            "filter",
            &[
                string("ip:port").until("2.8.12"),
                one_of(
                    "new-format",
                    &[
                        integer("client-id").behind("ID").since("2.8.12").optional(),
                        one_of(
                            "normal_master_slave_pubsub",
                            &[
                                word("normal", "NORMAL"),
                                word("master", "MASTER").since("3.2.0"),
                                word("slave", "SLAVE"),
                                word("replica", "REPLICA").since("5.0.0"),
                                word("pubsub", "PUBSUB"),
                            ],
                        )
                        .behind("TYPE")
                        .since("2.8.12")
                        .optional(),
                        string("username").behind("USER").optional(),
                        string("ip:port").behind("ADDR").optional(),
                        string("ip:port").behind("LADDR").since("6.2.0").optional(),
                        string("yes/no").behind("SKIPME").optional(),
                    ],
                )
                .multiple(),
            ],
        )],
        help: &[
            "KILL <ip:port>",
            "    Closes the connection that comes from there.",
            "KILL <option> <value> [<option> <value> [...]]",
            "    Closes the connections that fit all of the options:",
            "    * ADDR <ip:port>, LADDR <ip:port>",
            "      Where it comes from, and which address it came to.",
            "    * ID <number>",
            "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
            "    * USER <name>",
            "    * SKIPME (YES|NO)",
            "      Whether this connection is spared (default: yes).",
        ],
        ..admin("client|kill", -3, Client::Kill)
    },
    Row {
        summary: "Describes the connections.",
        tips: UNSTEADY,
        since: Some("2.4.0"),
        complexity: Some("O(N)"),
        arguments: &[
            one_of(
                "normal_master_replica_pubsub",
                &[
                    word("normal", "NORMAL"),
                    word("master", "MASTER"),
                    word("replica", "REPLICA"),
                    word("pubsub", "PUBSUB"),
                ],
            )
            .behind("TYPE")
            .since("5.0.0")
            .optional(),
            block("id", &[integer("client-id").multiple()]).behind("ID").since("6.2.0").optional(),
        ],
        help: &[
            "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <number> [<number> ...]]",
            "    Describes the connections, one a line.",
        ],
        ..admin("client|list", -2, Client::List)
    },
    Row {
        summary: "Accepted without effect, as PAUSE is.",
        since: Some("6.2.0"),
        complexity: Some("O(N)"),
        help: &["UNPAUSE", "    Without effect, as PAUSE is."],
        ..admin("client|unpause", 2, Client::Unpause)
    },
    Row {
        summary: "Accepted without effect: a Sentinel that pauses is blind.",
        since: Some("2.9.50"),
        arguments: &[
            integer("timeout"),
            one_of("mode", &[word("write", "WRITE"), word("all", "ALL")]).since("6.2.0").optional(),
        ],
        help: &["PAUSE <milliseconds> [WRITE|ALL]", "    Without effect: a Sentinel that pauses is blind."],
        ..admin("client|pause", -3, Client::Pause)
    },
    Row {
        summary: "Turns the answers to this connection off and on.",
        since: Some("3.2.0"),
        arguments: &[one_of("on_off_skip", &[word("on", "ON"), word("off", "OFF"), word("skip", "SKIP")])],
        help: &["REPLY (ON|OFF|SKIP)", "    Turns the answers to this connection on or off, or skips the next one."],
        ..quiet("client|reply", 3, Client::Reply)
    },
    Row {
        summary: "Names this connection.",
        since: Some("2.6.9"),
        arguments: &[string("connection-name")],
        help: &["SETNAME <name>", "    Names this connection."],
        ..quiet("client|setname", 3, Client::SetName)
    },
    Row {
        summary: "Notes the name or version of the client library.",
        since: Some("7.2.0"),
        listed: Listed::ByLater,
        stands_for: Some("client|setname"),
        arguments: &[one_of("attr", &[string("libname").behind("LIB-NAME"), string("libver").behind("LIB-VER")])],
        help: &["SETINFO (LIB-NAME|LIB-VER) <value>", "    Notes the name or version of the client library."],
        ..quiet("client|setinfo", 4, Client::SetInfo)
    },
    Row {
        summary: "Finds nothing to unblock: no command blocks here.",
        since: Some("5.0.0"),
        complexity: Some("O(log N)"),
        arguments: &[
            integer("client-id"),
            one_of("timeout_error", &[word("timeout", "TIMEOUT"), word("error", "ERROR")]).optional(),
        ],
        help: &["UNBLOCK <number> [TIMEOUT|ERROR]", "    Finds nothing to unblock."],
        ..admin("client|unblock", -3, Client::Unblock)
    },
    Row {
        summary: "Accepted without effect: there are no keys to track.",
        since: Some("6.0.0"),
        arguments: &[
            one_of("status", &[word("on", "ON"), word("off", "OFF")]),
            integer("client-id").behind("REDIRECT").optional(),
            string("prefix").behind("PREFIX").any_number_of_pairs(),
            word("bcast", "BCAST").optional(),
            word("optin", "OPTIN").optional(),
            word("optout", "OPTOUT").optional(),
            word("noloop", "NOLOOP").optional(),
        ],
        help: &[
            "TRACKING (ON|OFF) [REDIRECT <number>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
            "    Without effect: there are no keys to track.",
        ],
        ..quiet("client|tracking", -3, Client::Tracking)
    },
    Row {
        summary: "Tells that no keys are tracked.",
        since: Some("6.2.0"),
        help: &["TRACKINGINFO", "    Tells that nothing is tracked."],
        ..quiet("client|trackinginfo", 2, Client::TrackingInfo)
    },
    Row {
        summary: "Accepted without effect: no connection is evicted for memory.",
        since: Some("7.0.0"),
        arguments: &[one_of("enabled", &[word("on", "ON"), word("off", "OFF")])],
        help: &["NO-EVICT (ON|OFF)", "    Without effect: no connection is closed to save memory."],
        ..admin("client|no-evict", 3, Client::NoEvict)
    },
    Row {
        summary: "Lists the subcommands.",
        flags: HELP_FLAGS,
        since: Some("5.0.0"),
        ..quiet("client|help", 2, Client::Help)
    },
];
