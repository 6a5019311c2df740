//! The commands themselves.

use sentinel_core::command::{
    row::{ADMIN, HELP_FLAGS, Listed, Row},
    syntax::{block, integer, one_of, pattern, string, word},
};

use super::{
    FAST_CONNECTION, LOGIN_FLAGS, PUBSUB, PUBSUB_FLAGS, SLOW_CONNECTION, UNORDERED, Verb, catalogue::Catalogue,
};

/// In the order of HELP.
pub(super) const ROWS: &[Row<Verb>] = &[
    Row {
        summary: "Shows and changes the users of this Sentinel.",
        since: Some("6.0.0"),
        complexity: None,
        ..Row::new("acl", "server", -2, Verb::Container)
    },
    Row {
        summary: "Authenticates the connection.",
        flags: LOGIN_FLAGS,
        categories: FAST_CONNECTION,
        since: Some("1.0.0"),
        complexity: Some("O(N)"),
        arguments: &[string("username").since("6.0.0").optional(), string("password")],
        ..Row::new("auth", "connection", -2, Verb::Auth)
    },
    Row {
        summary: "Shows and changes client connections.",
        since: Some("2.4.0"),
        complexity: None,
        ..Row::new("client", "connection", -2, Verb::Container)
    },
    Row {
        summary: "Describes all commands.",
        flags: HELP_FLAGS,
        categories: SLOW_CONNECTION,
        tips: UNORDERED,
        since: Some("2.8.13"),
        complexity: Some("O(N)"),
        help: &["(no subcommand)", "    Describes all commands in numbers and flags."],
        ..Row::new("command", "server", -1, Verb::Catalogue(Catalogue::All))
    },
    Row {
        summary: "Introduces client and server, and chooses the protocol version.",
        flags: LOGIN_FLAGS,
        categories: FAST_CONNECTION,
        since: Some("6.0.0"),
        arguments: &[block(
            "arguments",
            &[
                integer("protover"),
                block("username_password", &[string("username"), string("password")]).behind("AUTH").optional(),
                string("clientname").behind("SETNAME").optional(),
            ],
        )
        .optional()],
        ..Row::new("hello", "connection", -1, Verb::Hello)
    },
    Row {
        summary: "Shows facts and counters of the process.",
        flags: HELP_FLAGS,
        categories: &["slow", "dangerous"],
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        since: Some("1.0.0"),
        arguments: &[string("section").any_number()],
        ..Row::new("info", "server", -1, Verb::Info)
    },
    Row {
        summary: "Answers PONG, or with its argument.",
        flags: &["fast"],
        categories: FAST_CONNECTION,
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        since: Some("1.0.0"),
        arguments: &[string("message").optional()],
        ..Row::new("ping", "connection", -1, Verb::Ping)
    },
    Row {
        summary: "Subscribes to the events that match patterns.",
        flags: PUBSUB_FLAGS,
        categories: PUBSUB,
        since: Some("2.0.0"),
        complexity: Some("O(N)"),
        arguments: &[block("pattern", &[pattern("pattern")]).multiple()],
        ..Row::new("psubscribe", "pubsub", -2, Verb::SubscribePattern)
    },
    Row {
        summary: "Accepts the hello of another Sentinel.",
        flags: &["pubsub", "loading", "stale", "fast"],
        categories: &["pubsub", "fast"],
        since: Some("2.0.0"),
        complexity: Some("O(N+M)"),
        arguments: &[string("channel"), string("message")],
        ..Row::new("publish", "pubsub", 3, Verb::Publish)
    },
    Row {
        summary: "Ends subscriptions to patterns.",
        flags: PUBSUB_FLAGS,
        categories: PUBSUB,
        since: Some("2.0.0"),
        complexity: Some("O(N+M)"),
        arguments: &[pattern("pattern").any_number()],
        ..Row::new("punsubscribe", "pubsub", -1, Verb::UnsubscribePattern)
    },
    Row {
        summary: "Names the monitored masters.",
        flags: &["noscript", "loading", "stale", "fast"],
        categories: &["admin", "fast", "dangerous"],
        since: Some("2.8.12"),
        ..Row::new("role", "server", 1, Verb::Role)
    },
    Row {
        summary: "Shows and changes what is monitored.",
        flags: &["admin"],
        categories: ADMIN,
        since: Some("2.8.4"),
        complexity: None,
        ..Row::new("sentinel", "sentinel", -2, Verb::Container)
    },
    Row {
        summary: "Ends the process.",
        flags: &["admin", "noscript", "loading", "stale", "no_multi", "allow_busy"],
        categories: ADMIN,
        since: Some("1.0.0"),
        complexity: Some("O(N)"),
        arguments: &[
            one_of("nosave_save", &[word("nosave", "NOSAVE"), word("save", "SAVE")]).optional(),
            word("now", "NOW").since("7.0.0").optional(),
            word("force", "FORCE").since("7.0.0").optional(),
            word("abort", "ABORT").since("7.0.0").optional(),
        ],
        ..Row::new("shutdown", "server", -1, Verb::Shutdown)
    },
    Row {
        summary: "Subscribes to events.",
        flags: PUBSUB_FLAGS,
        categories: PUBSUB,
        since: Some("2.0.0"),
        complexity: Some("O(N)"),
        arguments: &[string("channel").multiple()],
        ..Row::new("subscribe", "pubsub", -2, Verb::Subscribe)
    },
    Row {
        summary: "Ends subscriptions.",
        flags: PUBSUB_FLAGS,
        categories: PUBSUB,
        since: Some("2.0.0"),
        complexity: Some("O(N)"),
        arguments: &[string("channel").any_number()],
        ..Row::new("unsubscribe", "pubsub", -1, Verb::Unsubscribe)
    },
    Row {
        summary: "Closes the connection.",
        flags: LOGIN_FLAGS,
        categories: FAST_CONNECTION,
        listed: Listed::Uncounted,
        ..Row::new("quit", "connection", -1, Verb::Quit)
    },
    Row {
        summary: "Makes the connection as it was when it began.",
        flags: LOGIN_FLAGS,
        categories: FAST_CONNECTION,
        listed: Listed::Uncounted,
        ..Row::new("reset", "connection", 1, Verb::Reset)
    },
];
