//! A state that cannot be written.

use std::fs;

use redis::Value;
use sentinel_tests::{Kind, eventually};

use crate::{SOON, id, lone};

#[test]
fn weakness_22_a_vote_is_given_although_it_could_not_be_saved() {
    for kind in [Kind::Reference, Kind::Ours] {
        let deployment = lone(kind);
        let (sentinel, port) = (&deployment.sentinels()[0], deployment.only_group().master().port());
        let folder = sentinel.config_file().parent().expect("a file lies in a folder").to_owned();
        let away = folder.with_extension("away");

        // When its folder is gone, and somebody asks for a vote
        fs::rename(&folder, &away).expect("a folder can be renamed");
        let port = port.to_string();
        let words = ["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", &port, "5", &id('e')];
        let answer = sentinel.command::<Value>(&words);
        fs::rename(&away, &folder).expect("a folder can be renamed back");

        let voted = |answer: &Result<Value, redis::RedisError>| format!("{answer:?}").contains(&id('e'));
        match kind {
            // Then the reference votes, and would vote for another one after a crash
            Kind::Reference => {
                assert!(voted(&answer), "{answer:?}");
                assert_eq!(sentinel.configured("sentinel current-epoch").as_deref(), Some("0"));
            }
            // And ours does not, before it is on disk
            Kind::Ours => {
                assert!(!voted(&answer), "{answer:?}");
                eventually("it votes when it can be saved", SOON, || {
                    let answer = sentinel.command::<Value>(&words);
                    if voted(&answer) { Ok(()) } else { Err(format!("{answer:?}")) }
                });
                assert_eq!(sentinel.current_epoch(), 5);
            }
        }
    }
}
