//! SENTINEL IS-MASTER-DOWN-BY-ADDR: another Sentinel asks for an opinion, or for a vote.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, argument, errors,
    syntax::{integer, string},
    table::{Does, Subcommand},
};
use crate::types::{Epoch, Host, HostPort, SentinelId};

/// `SENTINEL IS-MASTER-DOWN-BY-ADDR ip port epoch runid`
pub(super) const ROW: Subcommand = Subcommand {
    summary: "Asks for an opinion on a master, or for a vote.",
    since: Some("2.8.4"),
    arguments: &[string("ip"), integer("port"), integer("current-epoch"), string("runid")],
    help: &[
        "IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
        "    Sent by other Sentinels: tell whether this one holds the master down;",
        "    with an id instead of *, vote for that Sentinel.",
    ],
    ..Subcommand::admin("sentinel|is-master-down-by-addr", 6, Does::Change(read))
};
/// `SENTINEL IS-PRIMARY-DOWN-BY-ADDR ip port epoch runid`
pub(super) const PRIMARY: Subcommand = ROW.of_valkey("sentinel|is-primary-down-by-addr");

fn read(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let [host, port, epoch, candidate] = words else { return Ok(None) };
    parse(host, port, epoch, candidate).map(Some)
}

/// A host or port that is none is answered as an unknown master. A negative epoch is refused; the reference takes it
/// as a huge one, after which no vote is possible any more. One from 2^63 on, which the reference refuses, is taken: elections
/// do not end there. An id that no Sentinel can have gets an opinion, no vote.
pub(super) fn parse(host: &Bytes, port: &Bytes, epoch: &Bytes, candidate: &Bytes) -> Result<Change, Reply> {
    let port = argument::integer(port).ok_or_else(errors::not_an_integer)?;
    let beyond = || argument::text(epoch).parse().ok().filter(|epoch| *epoch >= Epoch::BEYOND_THE_REFERENCE);
    let epoch = argument::at_least(0, epoch).or_else(beyond).map(Epoch::new).ok_or_else(errors::not_an_integer)?;
    Ok(Change::IsMasterDown {
        addr: address(host, port),
        epoch,
        candidate: match &*argument::text(candidate) {
            "*" => None,
            id => SentinelId::new(id).ok(),
        },
        signed: None,
    })
}

fn address(host: &[u8], port: i64) -> Option<HostPort> {
    let host = Host::new(&argument::text(host)).ok()?;
    Some(HostPort::new(host, u16::try_from(port).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::sample::{error_of, words};

    fn parsed(line: &str) -> Result<(Option<String>, u64, Option<String>), String> {
        let words = words(line);
        let [host, port, epoch, candidate] = words.as_slice() else {
            panic!("four words, not {line:?}");
        };
        match parse(host, port, epoch, candidate) {
            Ok(Change::IsMasterDown { addr, epoch, candidate, .. }) => {
                Ok((addr.map(|addr| addr.to_string()), epoch.get(), candidate.map(|id| id.to_string())))
            }
            Ok(other) => panic!("{other:?}"),
            Err(reply) => Err(error_of(&reply)),
        }
    }

    #[test]
    fn an_opinion_and_a_vote() {
        let id = "d".repeat(40);
        assert_eq!(parsed("127.0.0.1 36001 0 *"), Ok((Some("127.0.0.1:36001".to_owned()), 0, None)));
        assert_eq!(parsed(&format!("::1 36300 5 {id}")), Ok((Some("[::1]:36300".to_owned()), 5, Some(id))));
    }

    #[test]
    fn an_impossible_address_is_an_unknown_master() {
        for line in ["127.0.0.1 65536 0 *", "127.0.0.1 -1 0 *", "a,b 1 0 *", "'' 1 0 *"] {
            assert_eq!(parsed(line), Ok((None, 0, None)), "{line}");
        }
    }

    #[test]
    fn an_epoch_that_the_reference_cannot_read_is_one() {
        assert_eq!(parsed("127.0.0.1 1 9223372036854775808 *").map(|(_, epoch, _)| epoch), Ok(1 << 63));
    }

    #[test]
    fn port_and_epoch_must_be_integers_and_the_epoch_not_negative() {
        let error = Err("ERR value is not an integer or out of range".to_owned());
        for line in [
            "127.0.0.1 x 0 *",
            "127.0.0.1 01 0 *",
            "127.0.0.1 1 x *",
            "127.0.0.1 1 -1 *",
            "127.0.0.1 1 18446744073709551616 *",
        ] {
            assert_eq!(parsed(line), error, "{line}");
        }
    }

    #[test]
    fn an_id_that_no_sentinel_can_have_gets_an_opinion_only() {
        for id in ["''".to_owned(), "a,b".to_owned(), "x".repeat(65)] {
            let line = format!("127.0.0.1 1 7 {id}");
            assert_eq!(parsed(&line), Ok((Some("127.0.0.1:1".to_owned()), 7, None)), "{line}");
        }
    }
}
