//! Users and what they may do.

use tempfile::TempDir;

use crate::pair::{Pair, Protocol};

const BOTH: &[Protocol] = &[Protocol::Resp2, Protocol::Resp3];

/// ACL in good and bad forms.
const FORMS: &str = r#"
ACL / ACL foo / ACL "" x / ACL WHOAMI / ACL WHOAMI x / ACL USERS / ACL USERS x / ACL LIST / ACL LIST x / acl list / ACL HELP / ACL HELP x
ACL CAT / ACL CAT string / ACL CAT foo / ACL CAT admin / ACL CAT FAST / ACL CAT slow / ACL CAT connection / ACL CAT dangerous / ACL CAT pubsub / ACL CAT "" / ACL CAT a b / ACL CAT sentinel
ACL GETUSER / ACL GETUSER nobody / ACL GETUSER default / ACL GETUSER a b / ACL GETUSER "" / ACL DELUSER / ACL DELUSER default / ACL DELUSER nobody / ACL DELUSER nobody default / ACL SETUSER
ACL GENPASS x / ACL GENPASS 0 / ACL GENPASS -1 / ACL GENPASS 4097 / ACL GENPASS 5 5 / ACL GENPASS ""
ACL LOG / ACL LOG RESET / ACL LOG x / ACL LOG -1 / ACL LOG 0 / ACL LOG reset x / ACL LOG 1 2 / ACL SAVE / ACL LOAD / ACL SAVE x
ACL DRYRUN / ACL DRYRUN default / ACL DRYRUN default PING / ACL DRYRUN nobody PING / ACL DRYRUN default GET x / ACL DRYRUN default PING a b c / ACL DRYRUN default SENTINEL masters / ACL DRYRUN default SENTINEL foo / ACL DRYRUN default CLIENT / ACL DRYRUN default ROLE x
"#;

/// Rules in good and bad forms, and what comes of them.
const RULES: &str = r#"
ACL SETUSER u / ACL GETUSER u / ACL LIST / ACL USERS / ACL DELUSER u / ACL GETUSER u
ACL SETUSER u on / ACL GETUSER u / ACL SETUSER u off nopass / ACL GETUSER u / ACL SETUSER u ON >secret >other / ACL GETUSER u / ACL SETUSER u <other / ACL SETUSER u <none / ACL SETUSER u resetpass / ACL GETUSER u / ACL DELUSER u
ACL SETUSER u #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b / ACL GETUSER u / ACL SETUSER u #2BB80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b / ACL SETUSER u #short / ACL SETUSER u !2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b / ACL SETUSER u !short / ACL SETUSER u !2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25c / ACL DELUSER u
ACL SETUSER u +ping +role -role +@pubsub -publish / ACL GETUSER u / ACL LIST / ACL SETUSER u +@all -sentinel / ACL GETUSER u / ACL SETUSER u nocommands / ACL GETUSER u / ACL SETUSER u allcommands / ACL GETUSER u / ACL SETUSER u +PING -Role / ACL GETUSER u / ACL DELUSER u
ACL SETUSER u +sentinel|masters +client|id / ACL GETUSER u / ACL SETUSER u +sentinel / ACL GETUSER u / ACL SETUSER u -sentinel|set / ACL GETUSER u / ACL SETUSER u -@all +client -client|kill / ACL GETUSER u / ACL DELUSER u
ACL SETUSER u +@admin -@dangerous +@connection / ACL GETUSER u / ACL SETUSER u -@all +@slow / ACL GETUSER u / ACL SETUSER u -@all +@fast -hello / ACL GETUSER u / ACL DELUSER u
ACL SETUSER u foo / ACL SETUSER u +nocmd / ACL SETUSER u +@nocat / ACL SETUSER u -nocmd / ACL SETUSER u +sentinel|foo / ACL SETUSER u -sentinel|foo / ACL SETUSER u +ping|x / ACL SETUSER u + / ACL SETUSER u "" / ACL SETUSER u +@ / ACL SETUSER u +sentinel|masters|x / ACL SETUSER u ~ / ACL SETUSER u & / ACL USERS
ACL SETUSER u on foo / ACL USERS / ACL SETUSER u +get / ACL SETUSER u +@read / ACL GETUSER u / ACL DELUSER u
ACL SETUSER u &a &b* / ACL GETUSER u / ACL SETUSER u allchannels / ACL GETUSER u / ACL SETUSER u &c / ACL SETUSER u resetchannels &c / ACL GETUSER u / ACL LIST / ACL DELUSER u
ACL SETUSER u ~a ~b* / ACL GETUSER u / ACL SETUSER u allkeys / ACL GETUSER u / ACL SETUSER u ~c / ACL SETUSER u resetkeys %R~a %W~b %RW~c / ACL GETUSER u / ACL LIST / ACL SETUSER u %X~a / ACL SETUSER u %~a / ACL DELUSER u
ACL SETUSER u reset / ACL GETUSER u / ACL SETUSER u +@all on nopass allkeys allchannels / ACL SETUSER u reset / ACL GETUSER u / ACL SETUSER u sanitize-payload / ACL GETUSER u / ACL SETUSER u skip-sanitize-payload / ACL GETUSER u / ACL LIST / ACL DELUSER u
ACL SETUSER u "(+ping ~a)" / ACL GETUSER u / ACL LIST / ACL SETUSER u "(+role &x" / ACL SETUSER u "(foo)" / ACL SETUSER u "()" / ACL GETUSER u / ACL SETUSER u clearselectors / ACL GETUSER u / ACL SETUSER u ( +ping ) / ACL GETUSER u / ACL DELUSER u
ACL SETUSER "a b" on / ACL SETUSER "a\x00b" on / ACL SETUSER "" on / ACL GETUSER "" / ACL DELUSER "" / ACL USERS
ACL SETUSER u1 / ACL SETUSER u2 / ACL DELUSER u1 u2 u3 / ACL USERS
"#;

/// What users may do, and what is noted when they try more.
const ENFORCED: &str = r"
ACL SETUSER lone on >secret +sentinel|masters +client|id / AUTH lone secret / ACL WHOAMI / SENTINEL MASTERS / SENTINEL MYID / SENTINEL foo / SENTINEL / CLIENT ID / CLIENT INFO / PING / foo / HELLO / HELLO 2 AUTH default x / ACL LOG / ACL LOG 1 / ACL LOG RESET / ACL LOG
ACL SETUSER reader on >secret +@all -@dangerous resetchannels &+switch* / AUTH reader secret / SENTINEL MASTERS / ROLE / INFO / PING / ACL WHOAMI / SUBSCRIBE +switch-master / SUBSCRIBE +sdown / PSUBSCRIBE +switch* / PSUBSCRIBE * / UNSUBSCRIBE / PUNSUBSCRIBE / PUBLISH __sentinel__:hello x
ACL SETUSER reader &__sentinel__:hello / AUTH reader secret / PUBLISH __sentinel__:hello x / PUBLISH other x / AUTH default any / ACL LOG RESET
AUTH reader wrong / AUTH nobody secret / AUTH lone / HELLO 3 AUTH reader wrong / ACL LOG / ACL LOG RESET
ACL SETUSER off off >secret +@all / AUTH off secret / ACL SETUSER off on / AUTH off secret / PING
ACL DRYRUN lone SENTINEL masters / ACL DRYRUN lone SENTINEL myid / ACL DRYRUN lone ROLE / ACL DRYRUN reader SUBSCRIBE +switch-master / ACL DRYRUN reader SUBSCRIBE +sdown / ACL DRYRUN reader PSUBSCRIBE * / ACL DRYRUN lone ROLE x / ACL DRYRUN lone SENTINEL foo
ACL SETUSER gone on nopass +@all / AUTH gone x / ACL WHOAMI / ACL DELUSER gone / PING
ACL DELUSER lone reader off
";

/// With an ACL file.
const FILE: &str = r"
ACL LIST / ACL USERS / ACL SETUSER new on >secret +ping / ACL SAVE / ACL SETUSER new +role / ACL LIST / ACL LOAD / ACL LIST / ACL GETUSER new / ACL DELUSER new / ACL SAVE / ACL LOAD / ACL USERS
";

#[test]
fn acl_answers_the_same() {
    let pair = Pair::alone(&[]);
    pair.compare(FORMS, BOTH, &[]);
    pair.compare(RULES, BOTH, &[]);
}

#[test]
fn permissions_are_the_same() {
    Pair::alone(&[]).compare(ENFORCED, BOTH, &[]);
}

#[test]
fn an_acl_file_is_read_and_written_the_same() {
    let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
    let path = folder.path().join("users.acl");
    let users = "user default on nopass ~* &* +@all\nuser old on >secret +sentinel|masters &+switch*\n";
    std::fs::write(&path, users).expect("it can be written");
    let pair = Pair::alone(&[&format!("aclfile {}", path.display())]);
    pair.compare(FILE, BOTH, &[]);
}

#[test]
fn users_in_the_configuration_are_the_same() {
    let pair = Pair::alone(&[
        "user old on >secret +sentinel|masters &+switch*",
        "user default on >open ~* &* +@all -shutdown",
    ]);
    pair.compare(
        r"
        PING / AUTH old secret / SENTINEL MASTERS / PING
        AUTH open / ACL LIST / SHUTDOWN
        AUTH default open / ACL GETUSER old / ACL GETUSER default
        ",
        &[Protocol::Resp2],
        &[],
    );
}
