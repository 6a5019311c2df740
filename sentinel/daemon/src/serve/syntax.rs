//! What words a command takes behind its name, as COMMAND DOCS tells it: shells show it as a hint, and generators of
//! clients read it. The names are the reference's.

use sentinel_resp::Reply;

/// One thing that may be said behind the name of a command.
#[derive(Debug)]
pub(crate) struct Argument {
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

#[derive(Debug)]
enum Kind {
    String,
    Integer,
    Pattern,
    Word,
    OneOf(Vec<Argument>),
    Block(Vec<Argument>),
}

fn argument(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, token: None, since: None, until: None, flags: &[] }
}

fn string(name: &'static str) -> Argument {
    argument(name, Kind::String)
}

fn integer(name: &'static str) -> Argument {
    argument(name, Kind::Integer)
}

fn pattern(name: &'static str) -> Argument {
    argument(name, Kind::Pattern)
}

/// A fixed word.
fn word(name: &'static str, word: &'static str) -> Argument {
    argument(name, Kind::Word).behind(word)
}

/// A fixed word that the reference does not repeat in capitals.
fn bare(name: &'static str) -> Argument {
    argument(name, Kind::Word)
}

fn one_of(name: &'static str, of: Vec<Argument>) -> Argument {
    argument(name, Kind::OneOf(of))
}

fn block(name: &'static str, of: Vec<Argument>) -> Argument {
    argument(name, Kind::Block(of))
}

impl Argument {
    fn behind(self, token: &'static str) -> Self {
        Self { token: Some(token), ..self }
    }

    fn since(self, version: &'static str) -> Self {
        Self { since: Some(version), ..self }
    }

    fn until(self, version: &'static str) -> Self {
        Self { until: Some(version), ..self }
    }

    fn optional(self) -> Self {
        Self { flags: &["optional"], ..self }
    }

    fn multiple(self) -> Self {
        Self { flags: &["multiple"], ..self }
    }

    fn any_number(self) -> Self {
        Self { flags: &["optional", "multiple"], ..self }
    }

    /// Any number, each behind the token.
    fn any_number_of_pairs(self) -> Self {
        Self { flags: &["optional", "multiple", "multiple_token"], ..self }
    }

    /// A map, with the facts in the reference's order.
    fn describe(&self) -> Reply {
        let (kind, of): (_, &[Argument]) = match &self.kind {
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

/// A list of arguments.
pub(crate) fn describe(arguments: &[Argument]) -> Reply {
    Reply::Array(arguments.iter().map(Argument::describe).collect())
}

/// What the command of that name takes; `client|id` names a subcommand.
pub(crate) fn of(command: &str) -> Vec<Argument> {
    match command {
        "acl|cat" => vec![string("categoryname").optional()],
        "acl|deluser" => vec![string("username").multiple()],
        "acl|dryrun" => vec![string("username"), string("command"), string("arg").any_number()],
        "acl|genpass" => vec![integer("bits").optional()],
        "acl|getuser" => vec![string("username")],
        "acl|log" => vec![one_of("operation", vec![integer("count"), word("reset", "RESET")]).optional()],
        "acl|setuser" => vec![string("username"), string("rule").any_number()],
        "auth" => vec![string("username").since("6.0.0").optional(), string("password")],
        "client|caching" => vec![one_of("mode", vec![word("yes", "YES"), word("no", "NO")])],
        "client|kill" => vec![one_of(
            "filter",
            vec![
                string("ip:port").until("2.8.12"),
                one_of(
                    "new-format",
                    vec![
                        integer("client-id").behind("ID").since("2.8.12").optional(),
                        one_of(
                            "normal_master_slave_pubsub",
                            vec![
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
        "client|list" => vec![
            one_of(
                "normal_master_replica_pubsub",
                vec![
                    word("normal", "NORMAL"),
                    word("master", "MASTER"),
                    word("replica", "REPLICA"),
                    word("pubsub", "PUBSUB"),
                ],
            )
            .behind("TYPE")
            .since("5.0.0")
            .optional(),
            block("id", vec![integer("client-id").multiple()]).behind("ID").since("6.2.0").optional(),
        ],
        "client|no-evict" => vec![one_of("enabled", vec![word("on", "ON"), word("off", "OFF")])],
        "client|pause" => vec![
            integer("timeout"),
            one_of("mode", vec![word("write", "WRITE"), word("all", "ALL")]).since("6.2.0").optional(),
        ],
        "client|reply" => vec![one_of("on_off_skip", vec![word("on", "ON"), word("off", "OFF"), word("skip", "SKIP")])],
        "client|setinfo" => {
            vec![one_of("attr", vec![string("libname").behind("LIB-NAME"), string("libver").behind("LIB-VER")])]
        }
        "client|setname" => vec![string("connection-name")],
        "client|tracking" => vec![
            one_of("status", vec![word("on", "ON"), word("off", "OFF")]),
            integer("client-id").behind("REDIRECT").optional(),
            string("prefix").behind("PREFIX").any_number_of_pairs(),
            word("bcast", "BCAST").optional(),
            word("optin", "OPTIN").optional(),
            word("optout", "OPTOUT").optional(),
            word("noloop", "NOLOOP").optional(),
        ],
        "client|unblock" => vec![
            integer("client-id"),
            one_of("timeout_error", vec![word("timeout", "TIMEOUT"), word("error", "ERROR")]).optional(),
        ],
        "command|docs" | "command|info" => vec![string("command-name").any_number()],
        "command|list" => vec![
            one_of(
                "filterby",
                vec![
                    string("module-name").behind("MODULE"),
                    string("category").behind("ACLCAT"),
                    pattern("pattern").behind("PATTERN"),
                ],
            )
            .behind("FILTERBY")
            .optional(),
        ],
        "hello" => vec![
            block(
                "arguments",
                vec![
                    integer("protover"),
                    block("username_password", vec![string("username"), string("password")]).behind("AUTH").optional(),
                    string("clientname").behind("SETNAME").optional(),
                ],
            )
            .optional(),
        ],
        "info" => vec![string("section").any_number()],
        "ping" => vec![string("message").optional()],
        "psubscribe" => vec![block("pattern", vec![pattern("pattern")]).multiple()],
        "publish" => vec![string("channel"), string("message")],
        "punsubscribe" => vec![pattern("pattern").any_number()],
        "sentinel|auth-challenge" => vec![string("nonce")],
        "sentinel|history" => vec![string("master-name"), string("id").optional()],
        "sentinel|pause" => vec![string("master-name"), string("seconds").optional(), string("reason").optional()],
        "sentinel|problems" => vec![string("master-name").optional()],
        "sentinel|candidates"
        | "sentinel|ckquorum"
        | "sentinel|consensus"
        | "sentinel|explain"
        | "sentinel|get-master-addr-by-name"
        | "sentinel|get-primary-addr-by-name"
        | "sentinel|master"
        | "sentinel|primary"
        | "sentinel|remove"
        | "sentinel|replicas"
        | "sentinel|resume"
        | "sentinel|sentinels"
        | "sentinel|slaves" => vec![string("master-name")],
        "sentinel|config" => vec![one_of(
            "set_or_get",
            vec![
                block("set_param_value", vec![string("parameter"), string("value")]).behind("SET").multiple(),
                string("parameter").behind("GET").multiple(),
            ],
        )],
        "sentinel|debug" => vec![block("parameter_value", vec![string("parameter"), string("value")]).multiple()],
        "sentinel|failover" => vec![
            string("master-name"),
            block("target", vec![string("ip"), integer("port")]).behind("TO").optional(),
            word("force", "FORCE").optional(),
            word("dryrun", "DRYRUN").optional(),
        ],
        "sentinel|forget" => vec![string("master-name"), string("runid")],
        "sentinel|forget-replica" => vec![string("master-name"), string("ip"), integer("port")],
        "sentinel|info-cache" => vec![string("nodename").multiple()],
        "sentinel|is-master-down-by-addr" | "sentinel|is-primary-down-by-addr" => {
            vec![string("ip"), integer("port"), integer("current-epoch"), string("runid")]
        }
        "sentinel|monitor" => vec![string("name"), string("ip"), integer("port"), integer("quorum")],
        "sentinel|request-vote" => vec![
            string("master-name"),
            string("ip"),
            integer("port"),
            integer("current-epoch"),
            string("runid"),
            string("nonce"),
            string("signature"),
        ],
        "sentinel|reset" => vec![pattern("pattern")],
        "sentinel|set" => {
            vec![string("master-name"), block("option_value", vec![string("option"), string("value")]).multiple()]
        }
        "sentinel|simulate-failure" => vec![
            one_of("mode", vec![bare("crash-after-election"), bare("crash-after-promotion"), bare("help")])
                .any_number(),
        ],
        "shutdown" => vec![
            one_of("nosave_save", vec![word("nosave", "NOSAVE"), word("save", "SAVE")]).optional(),
            word("now", "NOW").since("7.0.0").optional(),
            word("force", "FORCE").since("7.0.0").optional(),
            word("abort", "ABORT").since("7.0.0").optional(),
        ],
        "subscribe" => vec![string("channel").multiple()],
        "unsubscribe" => vec![string("channel").any_number()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::serve::table;

    #[test]
    fn who_takes_more_words_says_which() {
        for command in table::commands().iter().flat_map(|command| command.subcommands.iter().chain([command])) {
            let name_only = 1 + i32::from(command.name.contains('|'));
            // The words of a container are its subcommands, and those of GETKEYS any request.
            let other = !command.subcommands.is_empty() || command.name.starts_with("command|getkeys");
            if command.arity.abs() > name_only {
                assert!(other || !super::of(&command.name).is_empty(), "{}", command.name);
            } else if command.arity == name_only {
                assert!(super::of(&command.name).is_empty(), "{}", command.name);
            }
        }
    }
}
