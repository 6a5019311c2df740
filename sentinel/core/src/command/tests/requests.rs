//! Requests as they are understood, and what no request may do.

use proptest::prelude::*;

use super::{
    super::{SUBCOMMANDS, check_shape},
    *,
};

#[test]
fn changes_without_options() {
    assert_eq!(change("flushconfig"), Ok(Change::FlushConfig));
    assert_eq!(Command::parse(&words("sentinel reload")), Ok(Command::Reload));
    assert_eq!(change("Failover m"), Ok(Change::Failover { name: "m".to_owned() }));
    assert_eq!(change("remove m"), Ok(Change::Remove { name: "m".to_owned() }));
    assert_eq!(change("reset m*"), Ok(Change::Reset { pattern: "m*".to_owned() }));
}

#[test]
fn both_spellings_ask_for_a_vote() {
    let words = format!("127.0.0.1 6379 5 {}", "d".repeat(40));
    let vote = change(&format!("is-master-down-by-addr {words}")).expect("a vote");
    assert_eq!(
        vote,
        Change::IsMasterDown {
            addr: Some(addr("127.0.0.1:6379")),
            epoch: Epoch::new(5),
            candidate: Some(id('d')),
            signed: None
        }
    );
    assert_eq!(change(&format!("IS-PRIMARY-DOWN-BY-ADDR {words}")), Ok(vote));
}

#[test]
fn left_over_words_are_an_error_everywhere() {
    for subcommand in SUBCOMMANDS.iter().filter(|s| s.arity > 0) {
        let mut args = vec![Bytes::from_static(b"sentinel")];
        args.push(Bytes::from_static(subcommand.word().as_bytes()));
        args.resize(usize::try_from(subcommand.arity).expect("positive") + 1, Bytes::from_static(b"1"));
        let expected = format!("ERR wrong number of arguments for '{}' command", subcommand.name);
        assert_eq!(Command::parse(&args), Err(Reply::error(&expected)));
        args.truncate(args.len() - 2);
        assert!(check_shape(&args).is_err(), "{}", subcommand.name);
    }
}

fn word() -> impl Strategy<Value = Bytes> {
    let known = SUBCOMMANDS.iter().map(super::super::table::Subcommand::word).chain([
        "set",
        "get",
        "SENTINEL",
        "m",
        "*",
        "0",
        "-1",
        "1",
        "99999",
        "127.0.0.1",
        "::1",
        "quorum",
        "auth-pass",
        "rename-command",
        "announce-ip",
        "announce-port",
        "sentinel-pass",
        "info-period",
        "help",
        "crash-after-election",
        "yes",
        "",
        "down-after-milliseconds",
        "9223372036854775807",
    ]);
    let known: Vec<&'static str> = known.collect();
    prop_oneof![
        4 => prop::sample::select(known).prop_map(|word| Bytes::from_static(word.as_bytes())),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_request_panics_and_shape_never_contradicts_parse(args in prop::collection::vec(word(), 0..9)) {
        let parsed = Command::parse(&args);
        if let Err(shape) = check_shape(&args) {
            prop_assert_eq!(&parsed, &Err(shape));
        }
        if let Ok(Command::Query(query)) = parsed {
            let mut one = master("m");
            one.replicas = vec![replica("127.0.0.1:6380")];
            one.peers = vec![peer('b')];
            prop_assert!(!matches!(query.answer(&view([one]), now()), Reply::NoReply));
        }
    }
}
