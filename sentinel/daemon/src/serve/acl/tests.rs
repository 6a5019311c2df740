//! The rules language without a connection.

use bytes::Bytes;
use proptest::prelude::*;
use sentinel_core::types::Secret;

use super::{
    Access, Users, check_line, file,
    rules::{Fault, RuleError, Rules},
};
use crate::{
    commands,
    config::{Acl, AclUser},
};

fn words(line: &str) -> Vec<Bytes> {
    line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
}

fn rules(line: &str) -> Rules {
    Rules::new(false).with(&words(line), false).unwrap_or_else(|fault| panic!("{line}: {fault:?}"))
}

fn described(line: &str) -> String {
    String::from_utf8(rules(line).description().to_vec()).expect("text")
}

fn allows(rules: &Rules, request: &str) -> bool {
    let words = words(request);
    rules.check(commands::look_up(&words).expect("a request"), &words).is_ok()
}

#[test]
fn a_new_user_may_nothing() {
    let new = Rules::new(false);
    assert_eq!(new.description(), "off resetchannels -@all");
    assert!(!new.accepts(b"") && !allows(&new, "PING") && !new.is_unrestricted());
    assert_eq!(Rules::new(true).description(), "off &* -@all");
}

#[test]
fn the_line_that_every_redis_sentinel_writes_loads() {
    for line in ["on nopass ~* &* +@all", "on nopass sanitize-payload ~* &* +@all"] {
        assert_eq!(described(line), line);
        assert!(rules(line).is_unrestricted() && rules(line).accepts(b"anything"));
    }
}

#[test]
fn a_user_limited_to_a_subcommand_runs_just_that() {
    let watch = rules("on >x +sentinel|masters");
    assert!(allows(&watch, "SENTINEL masters"));
    assert!(allows(&watch, "sentinel PRIMARIES"));
    for other in ["SENTINEL master m", "SENTINEL reset *", "PING", "ACL WHOAMI", "SUBSCRIBE a"] {
        assert!(!allows(&watch, other), "{other}");
    }
    // Logging in and leaving need no permission.
    assert!(["AUTH x", "HELLO 3", "QUIT", "RESET"].iter().all(|request| allows(&watch, request)));
}

#[test]
fn a_request_must_fit_one_selector_entirely() {
    let split = rules("on +subscribe (+role &a)");
    assert!(allows(&split, "ROLE") && !allows(&split, "SUBSCRIBE a"));
    assert!(allows(&rules("on (+subscribe &a)"), "SUBSCRIBE a"));
}

#[test]
fn patterns_to_subscribe_to_are_taken_letter_by_letter() {
    let user = rules("on +subscribe +psubscribe &+s*");
    assert!(allows(&user, "SUBSCRIBE +sdown +switch-master") && allows(&user, "PSUBSCRIBE +s*"));
    assert!(
        !allows(&user, "PSUBSCRIBE +sdown") && !allows(&user, "PSUBSCRIBE *") && !allows(&user, "SUBSCRIBE +odown")
    );
}

#[test]
fn all_rules_are_applied_or_none() {
    let before = rules("on >a +ping");
    let outcome = before.with(&words("+role >b nonsense"), false);
    assert_eq!(outcome, Err(Fault::Rule { rule: "nonsense".into(), error: RuleError::Syntax }));
    assert!(!allows(&before, "ROLE"));
}

#[test]
fn no_user_grows_without_bound() {
    let many = |rule: &str, times: usize| vec![Bytes::copy_from_slice(rule.as_bytes()); times];
    for flood in [many("()", 65), many("+ping", 4_000), vec![Bytes::from(vec![b'~'; 20_000])]] {
        let outcome = Rules::new(false).with(&flood, false);
        assert!(matches!(outcome, Err(Fault::Rule { error: RuleError::TooMuch, .. })), "{outcome:?}");
    }
    let (mut user, mut patterns) = (Rules::new(false), 0);
    while let Ok(longer) = user.with(&words(&format!("&{patterns:0>500}")), false) {
        (user, patterns) = (longer, patterns + 1);
        assert!(patterns < 40, "{} bytes", user.description().len());
    }
    assert!(patterns > 10, "{patterns}");
}

#[test]
fn passwords_of_lines_stay_out_of_errors() {
    for line in
        ["on >secret <secret2", "on >secret #secret", "on !secret", "on secret", "on (secret", "on >secret (secret)"]
    {
        let rules: Vec<&str> = line.split(' ').collect();
        let error = check_line("a", &rules).expect_err(line);
        assert!(!error.contains("secret") && error.contains("'a'"), "{error}");
    }
    let unknown = check_line("a", &["on", "+get"]);
    let text = "Error loading ACL rule '+get' for the user named 'a': Unknown command or category name in ACL";
    assert_eq!(unknown, Err(text.to_owned()));
    assert_eq!(check_line("a b", &["on"]), Err("Spaces not allowed in ACL usernames".to_owned()));
}

fn access(lines: &[(&str, &str)], password: Option<&str>) -> Users {
    let users = lines
        .iter()
        .map(|(name, rules)| AclUser { name: (*name).to_owned(), rules: rules.split(' ').map(str::to_owned).collect() })
        .collect();
    let acl = Acl { users, ..Acl::default() };
    let password = password.map(Secret::new);
    Users::new(Access::load(&acl, password.as_ref(), None).expect("users without a fault"))
}

#[test]
fn requirepass_is_the_password_of_default_unless_a_line_says_otherwise() {
    let open = access(&[], None);
    assert!(open.newcomer().is_some() && open.authenticate(b"default", b"anything").is_some());
    let closed = access(&[], Some("secret"));
    assert!(closed.newcomer().is_none() && !closed.is_open());
    assert!(closed.authenticate(b"default", b"secret").is_some());
    for wrong in [&b"secre"[..], b"secrets", b""] {
        assert!(closed.authenticate(b"default", wrong).is_none());
    }
    assert!(closed.authenticate(b"other", b"secret").is_none());
    let said = access(&[("default", "on >line +@all")], Some("secret"));
    assert!(said.authenticate(b"default", b"secret").is_none() && said.authenticate(b"default", b"line").is_some());
    let off = access(&[("default", "off nopass"), ("a", "on >x +ping")], None);
    assert!(off.newcomer().is_none() && off.authenticate(b"default", b"x").is_none());
    assert!(off.authenticate(b"a", b"x").is_some());
}

#[test]
fn everything_wrong_in_a_file_is_told_at_once() {
    let text = b"user a on foo +nope +nope2 bar\nbad line\nuser\nuser a off\n\n# comment\nUSER b on\nuser c +get\n";
    let told = "f:1: Error in applying operation '+nope': Unknown command or category name in ACL. \
                f:1: Error in applying operation '+nope2': Unknown command or category name in ACL. \
                f:2 should start with user keyword followed by the username. \
                f:3 should start with user keyword followed by the username. \
                WARNING: Duplicate user 'a' found on line 4. \
                f:6 should start with user keyword followed by the username. \
                f:7 should start with user keyword followed by the username. \
                f:8: Error in applying operation '+get': Unknown command or category name in ACL. ";
    assert_eq!(file::parse(text, "f", false).expect_err("faults"), format!("f:1: Syntax error. {told}"));
}

prop_compose! {
    fn rule()(prefix in prop::sample::select(vec!["", "+", "-", "+@", "-@", "~", "%", "%R~", "&", ">", "<", "#", "!", "(", "+sentinel|", "+ping|"]),
        middle in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12),
            prop::sample::select(vec!["all", "slow", "ping", "sentinel", "on", "reset", "nopass", "|", "+ping)", "*"]).prop_map(|word| word.as_bytes().to_vec()),
        ],
        suffix in prop::sample::select(vec!["", "", ")", "|x", "\""])) -> Bytes {
        [prefix.as_bytes(), &middle, suffix.as_bytes()].concat().into()
    }
}

proptest! {
    #[test]
    fn no_text_is_more_than_refused(rules in prop::collection::vec(rule(), 0..12), all_channels: bool) {
        let mut user = Rules::new(all_channels);
        for rule in &rules {
            let _ = user.apply(rule, all_channels);
        }
        let _ = user.description();
        let _ = Rules::new(all_channels).with(&rules, all_channels);
        let line = [&b"user u "[..], &rules.join(&b' ')].concat();
        let _ = file::parse(&line, "f", all_channels);
    }

    /// What a description says, without the oddities that cannot be written in a line, is the user that it describes.
    #[test]
    fn a_description_makes_the_same_user(picked in prop::collection::vec(prop::sample::select(vec![
        "on", "off", "nopass", ">a", "~x", "%R~x", "allkeys", "&a", "&+switch-*", "allchannels", "+@all", "-@all", "+@admin",
        "-@slow", "+@fast", "-@dangerous", "+@connection", "+sentinel", "-sentinel|masters", "+sentinel|primaries", "-client",
        "+client|setinfo", "+client|list", "+acl|whoami", "+ping|x", "-ping", "+info", "(+@all)", "(~k +ping &b)", "sanitize-payload",
    ]), 0..12)) {
        let mut user = Rules::new(false);
        for rule in picked {
            let _ = user.apply(rule.as_bytes(), false);
        }
        let description = user.description();
        let text = std::str::from_utf8(&description).expect("text");
        let again = rules(text);
        prop_assert_eq!(again.description(), description.clone());
        for request in ["PING", "PING x", "ROLE", "INFO", "SENTINEL masters", "SENTINEL primaries", "SENTINEL reset x", "CLIENT LIST",
                        "CLIENT SETINFO a b", "ACL WHOAMI", "SUBSCRIBE a", "PSUBSCRIBE a", "PUBLISH b x"] {
            prop_assert_eq!(allows(&again, request), allows(&user, request), "{}", request);
        }
    }
}

#[test]
fn databases_are_kept_and_described_as_by_valkey_9() {
    for (given, described_as) in [
        ("on db=2,1,2 +@all", "on resetchannels db=1,2 +@all"),
        ("on db=1 db=5 +ping", "on resetchannels db=5 -@all +ping"),
        ("on db=+1,01 +ping", "on resetchannels db=1 -@all +ping"),
        ("on db=1 ALLDBS", "on resetchannels -@all"),
        ("on RESETDBS", "on resetchannels resetdbs -@all"),
        ("on DB=2147483647", "on resetchannels db=2147483647 -@all"),
        ("on db=1 reset", "off sanitize-payload resetchannels -@all"),
        ("on (+ping db=1 ~a)", "on resetchannels -@all (~a resetchannels db=1 -@all +ping)"),
    ] {
        assert_eq!(described(given), described_as, "{given}");
        assert_eq!(described(described_as), described_as);
    }
    for (rule, why) in [
        ("db=", RuleError::Syntax),
        ("db=x", RuleError::Syntax),
        ("db=1,", RuleError::Syntax),
        ("db=,1", RuleError::Syntax),
        ("db=1,,2", RuleError::Syntax),
        ("db=1a", RuleError::Syntax),
        ("db=-1", RuleError::NoSuchDatabase),
        ("db=2147483648", RuleError::NoSuchDatabase),
        ("db=99999999999999999999999999999999999999999999", RuleError::NoSuchDatabase),
        ("db=\u{e4}", RuleError::Syntax),
    ] {
        let fault = Rules::new(false).with(&words(rule), false).unwrap_err();
        assert!(matches!(&fault, Fault::Rule { error, .. } if *error == why), "{rule}: {fault:?}");
    }
    // No command of a Sentinel is about a database.
    assert!(allows(&rules("on nopass +@all resetdbs"), "PING"));
}
