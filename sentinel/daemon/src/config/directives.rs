//! The names that a classic configuration may contain, and how far each is built.

use sentinel_core::settings::{master, sentinel};

use super::reference;

/// What happens with a generic directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    /// It has its function here.
    Built,
    /// It is read into the model, but nothing acts on it yet: worth a warning, since ignoring it may be dangerous.
    Unbuilt(&'static str),
    /// It concerns data nodes only, or how the reference is built: accepted, kept in the file, without effect.
    DataNode,
}

/// Directives of the process, TLS and access control, which a Sentinel heeds.
const HEEDED: &[(&str, Support)] = &[
    ("acl-pubsub-default", Support::Built),
    ("aclfile", Support::Built),
    ("acllog-max-len", Support::Built),
    ("bind", Support::Built),
    ("bind-source-addr", Support::Built),
    ("client-output-buffer-limit", Support::Built),
    ("client-query-buffer-limit", Support::Built),
    ("compatible-version", Support::Built),
    ("daemonize", Support::Built),
    ("dir", Support::Built),
    ("hide-user-data-from-log", Support::Built),
    ("http-listen", Support::Built),
    ("http-tls", Support::Built),
    ("http-token", Support::Built),
    ("log-format", Support::Built),
    ("log-timestamp-format", Support::Built),
    ("logfile", Support::Built),
    ("loglevel", Support::Built),
    ("maxclients", Support::Built),
    ("pidfile", Support::Built),
    ("port", Support::Built),
    ("protected-mode", Support::Built),
    ("proto-max-bulk-len", Support::Built),
    ("rename-command", Support::Built),
    ("requirepass", Support::Built),
    ("supervised", Support::Built),
    ("syslog-enabled", Support::Built),
    ("syslog-facility", Support::Built),
    ("syslog-ident", Support::Built),
    ("tcp-backlog", Support::Built),
    ("tcp-keepalive", Support::Built),
    ("timeout", Support::Built),
    ("tls-auth-clients", Support::Built),
    ("tls-auth-clients-user", Support::Built),
    ("tls-auto-reload-interval", Support::Built),
    ("tls-ca-cert-dir", Support::Built),
    ("tls-ca-cert-file", Support::Built),
    ("tls-cert-file", Support::Built),
    ("tls-ciphers", Support::Built),
    ("tls-ciphersuites", Support::Built),
    ("tls-client-cert-file", Support::Built),
    ("tls-client-key-file", Support::Built),
    ("tls-client-key-file-pass", Support::Built),
    ("tls-dh-params-file", Support::Built),
    ("tls-key-file", Support::Built),
    ("tls-key-file-pass", Support::Built),
    ("tls-port", Support::Built),
    ("tls-prefer-server-ciphers", Support::Built),
    ("tls-protocols", Support::Built),
    ("tls-replication", Support::Built),
    ("tls-session-cache-size", Support::Built),
    ("tls-session-cache-timeout", Support::Built),
    ("tls-session-caching", Support::Built),
    ("unixsocket", Support::Built),
    ("unixsocketgroup", Support::Built),
    ("unixsocketperm", Support::Built),
    ("user", Support::Built),
    ("webhook-ca-cert-file", Support::Built),
    ("webhook-level", Support::Built),
    ("webhook-secret", Support::Built),
    ("webhook-url", Support::Built),
    ("loadmodule", Support::Unbuilt("modules are never loaded: nothing that the module would add is there")),
];

/// Every directive that the Sentinel of any version accepts, with the versions, as `scripts/probe-directives` found it.
const ACCEPTED: &str = include_str!("accepted.txt");

/// The generic names that any version accepts.
fn accepted() -> impl Iterator<Item = &'static str> {
    let names = ACCEPTED.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split('\t').next());
    names.filter(|name| !name.starts_with("sentinel "))
}

/// Whether a name is a module's, as in `search-module.timeout`: every Sentinel accepts it, since the module may come later.
pub(super) fn is_of_module(name: &str) -> bool {
    name.split_once('.').is_some_and(|(module, setting)| !module.is_empty() && !setting.is_empty())
}

/// Whether the reference does not know a `sentinel` directive: a file that has one does not load there. Behind [`HIDDEN`] it
/// does.
pub(super) fn is_extension(name: &str) -> bool {
    matches!(name, "in-sync" | "state-config-file")
        || master::of_master(name).is_some_and(|row| row.ours)
        || sentinel::of_sentinel(name).is_some_and(|row| row.ours)
}

/// The same outside of `sentinel`.
pub(super) const OWN: &[&str] = &[
    "compatible-version",
    "http-listen",
    "http-tls",
    "http-token",
    "webhook-ca-cert-file",
    "webhook-level",
    "webhook-secret",
    "webhook-url",
];

/// Begins a line of ours that the reference takes for a comment, so that it loads the file all the same.
pub(super) const HIDDEN: &str = "#@ ";

/// Whether a line, in words, is one that may stand behind [`HIDDEN`]: one that the reference does not know. All others
/// behind it are comments.
pub(super) fn may_be_hidden(words: &[String]) -> bool {
    match words {
        [first, name, ..] if first.eq_ignore_ascii_case("sentinel") => {
            let name = name.to_ascii_lowercase();
            is_extension(&name) || reference::of_directive(&name, true).is_some()
        }
        [name, ..] => {
            let name = name.to_ascii_lowercase();
            OWN.contains(&name.as_str()) || reference::of_directive(&name, false).is_some()
        }
        [] => false,
    }
}

/// How a generic directive is treated; none for a name that nobody knows. The name is in lower case.
pub(super) fn support(name: &str) -> Option<Support> {
    HEEDED
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, support)| *support)
        .or_else(|| (accepted().any(|known| known == name) || is_of_module(name)).then_some(Support::DataNode))
}

/// Whether a name stands alone, without `sentinel` before it. It is in lower case.
pub(super) fn is_generic(name: &str) -> bool {
    support(name).is_some() || reference::of_directive(name, false).is_some()
}

/// All generic names, for "did you mean".
pub(super) fn generic_names() -> impl Iterator<Item = &'static str> {
    let heeded = HEEDED.iter().map(|(name, _)| *name);
    heeded.chain(accepted().filter(|name| !HEEDED.iter().any(|(heeded, _)| heeded == name)))
}

/// The known name that looks most like a mistyped one, if any comes near.
pub(crate) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_ascii_lowercase().replace('_', "-");
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// "did you mean `x`?", or what else to do with an unknown name.
pub(super) fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>, otherwise: &str) -> String {
    match nearest(wrong, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => otherwise.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_stands_once() {
        let names: Vec<&str> = generic_names().collect();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len());
        assert!(names.iter().all(|name| *name == name.to_ascii_lowercase()));
    }

    #[test]
    fn a_mistyped_name_is_recognised() {
        assert_eq!(nearest("prot", generic_names()), Some("port"));
        assert_eq!(nearest("log_level", generic_names()), Some("loglevel"));
        assert_eq!(nearest("qqqq", generic_names()), None);
    }
}
