//! The generic directives: listening, clients, logging, the process, TLS and access control.

use std::{collections::BTreeSet, time::Duration};

use sentinel_core::{events::Level, types::Secret};
use sentinel_resp::text;

use super::{
    Files, SourceAddress,
    build::{Builder, Directive, Origin},
    directives::{Support, did_you_mean, generic_names, support},
    fault::{Place, Refusal, system_text},
    model::{
        AclUser, BindAddress, ClientCertificates, HttpAddress, LogLevel, OutputLimit, Supervised, SyslogFacility,
        UserField,
    },
    path_of, reference, value,
    webhook::WebhookUrl,
};
use crate::{
    commands::Names,
    compatible,
    log::{Format, Timestamp},
    serve,
};

/// What to do with a name that is no generic directive.
fn unknown(name: &str, place: &Place) -> String {
    if super::sentinel::is_known(name) {
        return format!("write `sentinel {name} ...`: it is a directive of Sentinel");
    }
    let otherwise = match place {
        Place::CommandLine => "remove it; an option is `--DIRECTIVE VALUE`, as the file would say it",
        _ => "remove the line, or put a # before it",
    };
    did_you_mean(name, generic_names(), otherwise)
}

/// From which level on events are posted.
const WEBHOOK_LEVELS: [(&str, Level); 3] = [
    (Level::Verbose.as_str(), Level::Verbose),
    (Level::Notice.as_str(), Level::Notice),
    (Level::Warning.as_str(), Level::Warning),
];

/// As many addresses as the reference binds to.
const MAX_BIND_ADDRESSES: usize = 16;

impl Builder {
    /// Applies one generic directive. Its name is in lower case.
    pub(super) fn generic(&mut self, directive: &Directive) -> Result<(), Refusal> {
        let name = directive.words[0].as_str();
        if let Some((stem, elsewhere)) = reference::of_directive(name, false) {
            return self.generic_from(directive, stem, elsewhere);
        }
        match support(name) {
            None => Err(Refusal::new("Bad directive or wrong number of arguments", unknown(name, &directive.place))),
            Some(Support::DataNode) => Ok(()),
            Some(Support::Built) => self.heeded(name, directive),
            Some(Support::Unbuilt(text)) => {
                self.heeded(name, directive)?;
                if !is_off(&directive.words) {
                    self.warn(directive, format!("not built yet: {text}"));
                }
                Ok(())
            }
        }
    }

    fn heeded(&mut self, name: &str, directive: &Directive) -> Result<(), Refusal> {
        let words: Vec<&str> = directive.words[1..].iter().map(String::as_str).collect();
        match name {
            "bind" => return self.bind(&words),
            "client-output-buffer-limit" => return self.output_limits(&words),
            "user" => {
                self.users_elsewhere |= directive.origin != Origin::Main;
                return self.user(&words);
            }
            "rename-command" => return self.rename_command(&words),
            "loadmodule" => {
                return if words.is_empty() {
                    Err(bad_directive("write `loadmodule PATH [ARGUMENT ...]`"))
                } else {
                    Ok(())
                };
            }
            _ => {}
        }
        let [word] = words[..] else {
            return Err(Refusal::new(
                "wrong number of arguments",
                format!("write `{name} VALUE`; a value with blanks needs \"quotes\""),
            ));
        };
        self.scalar(name, word)
    }

    fn scalar(&mut self, name: &str, word: &str) -> Result<(), Refusal> {
        const INT_MAX: i64 = i32::MAX as i64;
        let seconds = |word| value::int32(word, 0..=INT_MAX).map(|n| (n > 0).then(|| Duration::from_secs(n.into())));
        let path = |word: &str| (!word.is_empty()).then(|| path_of(word));
        let some = |word: &str| (!word.is_empty()).then(|| word.to_owned());
        let secret = |word: &str| (!word.is_empty()).then(|| Secret::new(word));
        let directory = self.directory.clone();
        let server = &mut self.config.server;
        match name {
            "port" => self.config.globals.port = value::port(word)?,
            "requirepass" => self.config.globals.requirepass = secret(word),
            "protected-mode" => server.protected_mode = value::yes_no(word)?,
            "unixsocket" => server.unix_socket = path(word),
            "unixsocketgroup" => server.unix_socket_group = some(word),
            "unixsocketperm" => server.unix_socket_mode = octal(word)?,
            "tcp-backlog" => server.tcp_backlog = value::int32(word, 0..=INT_MAX)?,
            "timeout" => server.idle_timeout = seconds(word)?,
            "tcp-keepalive" => server.tcp_keepalive = seconds(word)?,
            "maxclients" => server.max_clients = value::int32(word, 1..=i64::from(u32::MAX))?,
            "client-query-buffer-limit" => server.query_buffer_limit = value::memory_from(word, 1 << 20)?,
            "proto-max-bulk-len" => server.max_bulk_len = value::memory_from(word, 1 << 20)?,
            "daemonize" => server.daemonize = value::yes_no(word)?,
            "pidfile" => server.pid_file = path(word),
            "supervised" => server.supervised = value::one_of(word, &SUPERVISED)?,
            "loglevel" => server.log.level = log_level(word)?,
            "compatible-version" => server.compatible = value::one_of(word, &compatible::VERSIONS)?,
            "log-format" => server.log.format = Some(value::one_of(word, &LOG_FORMATS)?),
            "log-timestamp-format" => server.log.timestamp = value::one_of(word, &LOG_TIMESTAMPS)?,
            "hide-user-data-from-log" => server.hide_user_data = Some(value::yes_no(word)?),
            "logfile" => {
                server.log.file = path(word);
                if !word.is_empty() {
                    log_file_opens(&*self.files, &directory.join(path_of(word)))?;
                }
            }
            "syslog-enabled" => server.log.syslog = value::yes_no(word)?,
            "syslog-ident" => word.clone_into(&mut server.log.syslog_ident),
            "syslog-facility" => server.log.syslog_facility = facility(word)?,
            "dir" => {
                let directory = directory.join(path_of(word));
                directory_opens(&*self.files, &directory)?;
                server.dir = Some(directory.clone());
                self.directory = directory;
            }
            "bind-source-addr" => server.bind_source = SourceAddress::read(word)?,
            "aclfile" => server.acl.file = path(word),
            "acllog-max-len" => server.acl.log_max_len = value::int(word, 0..=i64::MAX)?.unsigned_abs(),
            "acl-pubsub-default" => {
                let names = [("allchannels", true), ("resetchannels", false)];
                server.acl.all_channels_by_default = value::one_of(word, &names)?;
            }
            "tls-port" => server.tls.port = Some(value::port(word)?).filter(|port| *port > 0),
            "tls-replication" => server.tls.replication = value::yes_no(word)?,
            "tls-cert-file" => server.tls.cert_file = path(word),
            "tls-key-file" => server.tls.key_file = path(word),
            "tls-key-file-pass" => server.tls.key_file_pass = secret(word),
            "tls-client-cert-file" => server.tls.client_cert_file = path(word),
            "tls-client-key-file" => server.tls.client_key_file = path(word),
            "tls-client-key-file-pass" => server.tls.client_key_file_pass = secret(word),
            "tls-ca-cert-file" => server.tls.ca_cert_file = path(word),
            "tls-ca-cert-dir" => server.tls.ca_cert_dir = path(word),
            "tls-auth-clients" => server.tls.auth_clients = value::one_of(word, &CLIENT_CERTIFICATES)?,
            "tls-auth-clients-user" => server.tls.auth_clients_user = value::one_of(word, &USER_FIELDS)?,
            "tls-auto-reload-interval" => server.tls.reload_every = seconds(word)?,
            "tls-protocols" => server.tls.protocols = some(word),
            "tls-ciphers" => server.tls.ciphers = some(word),
            "tls-ciphersuites" => server.tls.ciphersuites = some(word),
            "tls-prefer-server-ciphers" => server.tls.prefer_server_ciphers = value::yes_no(word)?,
            "tls-dh-params-file" => server.tls.dh_params_file = path(word),
            "tls-session-caching" => server.tls.session_caching = value::yes_no(word)?,
            // 0 is the reference's "without limit", which is none to rely on.
            "tls-session-cache-size" => {
                let size = value::int32(word, 0..=INT_MAX)?;
                server.tls.session_cache_size = if size == 0 { 20_480 } else { size as usize };
            }
            "tls-session-cache-timeout" => {
                server.tls.session_cache_timeout = Duration::from_secs(value::int32(word, 0..=INT_MAX)?.into());
            }
            "http-listen" if word.is_empty() => server.http.listen = None,
            "http-listen" => server.http.listen = Some(HttpAddress::read(word)?),
            "http-token" => server.http.token = token(word)?,
            "webhook-url" => server.webhook.url = WebhookUrl::read(word)?,
            "webhook-secret" => server.webhook.secret = secret(word),
            "webhook-level" => server.webhook.level = value::one_of(word, &WEBHOOK_LEVELS)?,
            "webhook-ca-cert-file" => server.webhook.ca_cert_file = path(word),
            "http-tls" => server.tls.http = value::yes_no(word)?,
            _ => return Err(bad_directive("remove the line")),
        }
        Ok(())
    }

    fn bind(&mut self, words: &[&str]) -> Result<(), Refusal> {
        let split = split_single(words)?;
        if split.len() > MAX_BIND_ADDRESSES {
            return Err(Refusal::new(
                "Too many bind addresses specified.",
                format!("write at most {MAX_BIND_ADDRESSES} addresses"),
            ));
        }
        // `bind ""` and a bare `bind` mean: listen nowhere.
        self.config.server.bind = split
            .iter()
            .filter(|word| !word.is_empty())
            .map(|word| match word.strip_prefix('-') {
                Some(address) => BindAddress { address: address.to_owned(), optional: true },
                None => BindAddress { address: word.clone(), optional: false },
            })
            .collect();
        Ok(())
    }

    fn output_limits(&mut self, words: &[&str]) -> Result<(), Refusal> {
        let words = split_single(words)?;
        let remedy =
            "write `client-output-buffer-limit CLASS HARD SOFT SECONDS`, CLASS being normal, replica or pubsub";
        if words.is_empty() || words.len() % 4 != 0 {
            return Err(Refusal::new("Wrong number of arguments in buffer limit configuration.", remedy));
        }
        let mut limits = self.config.server.output_limits;
        for chunk in words.chunks(4) {
            let [class, hard, soft, seconds] = chunk else { continue };
            let wrong =
                || Refusal::new("Error in hard, soft or soft_seconds setting in buffer limit configuration.", remedy);
            let slot = match class.to_ascii_lowercase().as_str() {
                "normal" => &mut limits.normal,
                "replica" | "slave" => &mut limits.replica,
                "pubsub" => &mut limits.pubsub,
                _ => return Err(Refusal::new("Invalid client class specified in buffer limit configuration.", remedy)),
            };
            *slot = OutputLimit {
                hard: value::memory(hard).ok_or_else(wrong)?,
                soft: value::memory(soft).ok_or_else(wrong)?,
                soft_for: Duration::from_secs(seconds.parse::<u32>().map_err(|_| wrong())?.into()),
            };
        }
        self.config.server.output_limits = limits;
        Ok(())
    }

    pub(super) fn user(&mut self, words: &[&str]) -> Result<(), Refusal> {
        let Some((name, rules)) = words.split_first() else {
            return Err(bad_directive("write `user NAME RULE ...`"));
        };
        let acl = &mut self.config.server.acl;
        if acl.users.iter().any(|user| user.name == *name) {
            return Err(Refusal::new(
                format!(
                    "Error in user declaration '{name}': Duplicate user found. A user can only be defined once in config files"
                ),
                "put all rules of this user on one line",
            ));
        }
        serve::check_user(name, rules).map_err(|fault| {
            Refusal::new(
                fault,
                "put it right: each word behind the name is a rule, such as +sentinel|masters or >password",
            )
        })?;
        acl.users
            .push(AclUser { name: (*name).to_owned(), rules: rules.iter().map(|rule| (*rule).to_owned()).collect() });
        Ok(())
    }

    fn rename_command(&mut self, words: &[&str]) -> Result<(), Refusal> {
        let [from, to] = words else {
            return Err(bad_directive("write `rename-command OLD NEW`, or `rename-command OLD \"\"` to switch it off"));
        };
        let renames = &mut self.config.server.rename_commands;
        renames.push(((*from).to_owned(), (*to).to_owned()));
        let refused = Names::new(renames).err();
        if refused.is_some() {
            renames.pop();
        }
        refused.map_or(Ok(()), |error| {
            Err(Refusal::new(
                error.to_string(),
                "name a command of a Sentinel as it is called by then, and a name that none has",
            ))
        })
    }

    /// What can be said only when everything was read.
    pub(super) fn check_generic(&mut self, last: &Directive) {
        let acl = &self.config.server.acl;
        let named: BTreeSet<&str> = acl.users.iter().map(|user| user.name.as_str()).collect();
        if acl.file.is_some() && !named.is_empty() {
            self.refuse(
                last,
                Refusal::new(
                    "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid.",
                    "keep the users either here or in the ACL file",
                ),
            );
        }
    }
}

const SUPERVISED: [(&str, Supervised); 4] = [
    ("upstart", Supervised::Upstart),
    ("systemd", Supervised::Systemd),
    ("auto", Supervised::Auto),
    ("no", Supervised::No),
];

/// `legacy` is the look of all versions, and what we call `text`.
const LOG_FORMATS: [(&str, Format); 4] =
    [("legacy", Format::Text), ("logfmt", Format::Logfmt), ("json", Format::Json), ("text", Format::Text)];

const LOG_TIMESTAMPS: [(&str, Timestamp); 3] =
    [("legacy", Timestamp::Legacy), ("iso8601", Timestamp::Iso8601), ("milliseconds", Timestamp::Milliseconds)];

const CLIENT_CERTIFICATES: [(&str, ClientCertificates); 3] =
    [("no", ClientCertificates::No), ("yes", ClientCertificates::Required), ("optional", ClientCertificates::Optional)];

const USER_FIELDS: [(&str, Option<UserField>); 3] =
    [("CN", Some(UserField::CommonName)), ("URI", Some(UserField::Uri)), ("off", None)];

/// What a header can carry.
fn token(word: &str) -> Result<Option<Secret>, Refusal> {
    if word.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok((!word.is_empty()).then(|| Secret::new(word)));
    }
    Err(Refusal::new(
        "a token is made of visible ASCII characters, without blanks",
        "make one, for example with `openssl rand -hex 32`",
    ))
}

fn log_level(word: &str) -> Result<LogLevel, Refusal> {
    if word.eq_ignore_ascii_case("nothing") {
        return Ok(LogLevel::Nothing); // known since 7.2 only, so it is not in the text
    }
    value::one_of(
        word,
        &[
            ("debug", LogLevel::Debug),
            ("verbose", LogLevel::Verbose),
            ("notice", LogLevel::Notice),
            ("warning", LogLevel::Warning),
        ],
    )
    .map_err(|refusal| Refusal { remedy: format!("{}, nothing", refusal.remedy), ..refusal })
}

fn facility(word: &str) -> Result<SyslogFacility, Refusal> {
    let local = |n| SyslogFacility::Local(n);
    value::one_of(
        word,
        &[
            ("user", SyslogFacility::User),
            ("local0", local(0)),
            ("local1", local(1)),
            ("local2", local(2)),
            ("local3", local(3)),
            ("local4", local(4)),
            ("local5", local(5)),
            ("local6", local(6)),
            ("local7", local(7)),
        ],
    )
}

fn octal(word: &str) -> Result<u32, Refusal> {
    let remedy = "write octal permissions, such as 700";
    match u32::from_str_radix(word, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        Ok(_) => Err(Refusal::new("argument must be between 0 and 777 inclusive", remedy)),
        Err(_) => Err(Refusal::new("argument couldn't be parsed as an octal number", remedy)),
    }
}

/// Whether the log could be written. Unlike the reference nothing is created: reading a configuration has no effects.
fn log_file_opens(files: &dyn Files, path: &std::path::Path) -> Result<(), Refusal> {
    files.may_append(path).map_err(|error| {
        let first = match path.parent() {
            Some(folder) if error.kind() == std::io::ErrorKind::NotFound => {
                format!("create the folder {}", folder.display())
            }
            _ if error.kind() == std::io::ErrorKind::IsADirectory => "name a file".to_owned(),
            _ => format!("make {} writable for this user", path.display()),
        };
        Refusal::new(
            format!("Can't open the log file: {}", system_text(&error)),
            format!("{first}, or write `logfile \"\"` for standard output"),
        )
    })
}

fn directory_opens(files: &dyn Files, path: &std::path::Path) -> Result<(), Refusal> {
    match files.is_directory(path) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Refusal::new("Not a directory", "name a directory")),
        Err(error) => {
            let remedy = format!("create {}, or name another directory", path.display());
            Err(Refusal::new(system_text(&error), remedy))
        }
    }
}

/// Directives with several arguments may have them in one quoted word, as the command line brings them.
pub(super) fn split_single(words: &[&str]) -> Result<Vec<String>, Refusal> {
    if let [word] = words {
        return super::words(&text::bytes(word))
            .map_err(|_| Refusal::new("Unbalanced quotes in configuration line", "close the quotes"));
    }
    Ok(words.iter().map(|word| (*word).to_owned()).collect())
}

fn bad_directive(remedy: &str) -> Refusal {
    Refusal::new("Bad directive or wrong number of arguments", remedy)
}

/// Unbuilt things that are switched off need no warning.
fn is_off(words: &[String]) -> bool {
    match words {
        [name, value] => {
            value.is_empty()
                || matches!(
                    (name.as_str(), value.as_str()),
                    ("tls-port" | "unixsocketperm", "0") | ("tls-replication" | "tls-prefer-server-ciphers", "no")
                )
        }
        _ => false,
    }
}
