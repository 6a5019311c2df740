//! SENTINEL MONITOR: a new master.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, NewMaster, argument, errors,
    syntax::{integer, string},
    table::{Does, Subcommand},
};
use crate::types::{Host, HostPort, MasterName, Quorum};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Begins to monitor a master.",
    since: Some("2.8.4"),
    arguments: &[string("name"), string("ip"), integer("port"), integer("quorum")],
    help: &["MONITOR <name> <ip> <port> <quorum>", "    Begin to monitor a master under this name."],
    ..Subcommand::admin("sentinel|monitor", 6, Does::Change(read))
};

fn read(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let [name, host, port, quorum] = words else { return Ok(None) };
    parse(name, host, port, quorum).map(Some)
}

/// `SENTINEL MONITOR name ip port quorum`, checked in the reference's order.
///
/// Left to the engine, because they need its state, are the last two of the reference: first that a host name is
/// allowed at all ([`errors::invalid_host`]), then that the master is a new one ([`errors::duplicate_master`]). The reference
/// does not look at the name; one that is empty, or that holds a comma or a control character, would break hellos
/// and the configuration file, and is refused here as the last check.
fn parse(name: &Bytes, host: &Bytes, port: &Bytes, quorum: &Bytes) -> Result<Change, Reply> {
    argument::without_control("SENTINEL MONITOR", 2, [name, host, port, quorum])?;
    let quorum = argument::integer(quorum).ok_or_else(|| Reply::err("Invalid quorum"))?;
    let port = argument::integer(port).ok_or_else(|| Reply::err("Invalid port"))?;
    if quorum < 1 {
        return Err(Reply::err("Quorum must be 1 or greater."));
    }
    let quorum = Quorum::new(quorum).map_err(|_| Reply::err("Invalid quorum"))?;
    let host = Host::new(&argument::text(host)).map_err(|_| errors::invalid_host())?;
    let Ok(port) = u16::try_from(port) else {
        // With the default `resolve-hostnames no` a name is the first thing wrong with these words.
        return Err(if host.is_ip() { Reply::err("Invalid port number.") } else { errors::invalid_host() });
    };
    let name = MasterName::new(&argument::text(name)).map_err(|error| Reply::err(error.to_string()))?;
    Ok(Change::Monitor(NewMaster { name, addr: HostPort::new(host, port), quorum }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::sample::{error_of, words};

    fn parsed(line: &str) -> Result<NewMaster, String> {
        let words = words(line);
        let [name, host, port, quorum] = words.as_slice() else {
            panic!("four words, not {line:?}");
        };
        match parse(name, host, port, quorum) {
            Ok(Change::Monitor(new)) => Ok(new),
            Ok(other) => panic!("{other:?}"),
            Err(reply) => Err(error_of(&reply)),
        }
    }

    #[test]
    fn a_master_is_monitored() {
        let new = parsed("m ::1 6379 2").unwrap();
        assert_eq!((new.name.as_str(), new.addr.to_string(), new.quorum.get()), ("m", "[::1]:6379".to_owned(), 2));
        assert_eq!(parsed("m 127.0.0.1 0 1").unwrap().addr.port, 0);
        assert!(!parsed("m db.example 6379 1").unwrap().addr.host.is_ip());
    }

    #[test]
    fn control_characters_are_refused_before_anything_else() {
        for (at, word) in [(2, "a\nb"), (3, "a\tb"), (4, "\u{7f}"), (5, "\0")] {
            let mut words = ["", "no host", "x", "y"].map(|word| Bytes::copy_from_slice(word.as_bytes()));
            words[at - 2] = Bytes::copy_from_slice(word.as_bytes());
            let [name, host, port, quorum] = &words;
            let error = error_of(&parse(name, host, port, quorum).unwrap_err());
            let expected =
                format!("ERR Invalid argument at index {at} for SENTINEL MONITOR: control characters are not allowed");
            assert_eq!(error, expected);
        }
    }

    /// Each line has everything wrong that is checked later.
    #[test]
    fn the_first_check_that_fails_answers() {
        for (line, error) in [
            ("'' 'no host' x y", "ERR Invalid quorum"),
            ("'' 'no host' x 0", "ERR Invalid port"),
            ("'' 'no host' 99999 0", "ERR Quorum must be 1 or greater."),
            ("'' 'no host' 99999 4294967296", "ERR Invalid quorum"),
            ("'' 'no host' 99999 1", "ERR Invalid IP address or hostname specified"),
            ("'' nohost 99999 1", "ERR Invalid IP address or hostname specified"),
            ("'' 127.0.0.1 99999 1", "ERR Invalid port number."),
            ("'' 127.0.0.1 -1 1", "ERR Invalid port number."),
            ("'' 127.0.0.1 1 1", "ERR a master name must not be empty"),
            ("a,b 127.0.0.1 1 1", "ERR a master name must not contain a comma or a control character"),
        ] {
            assert_eq!(parsed(line), Err(error.to_owned()), "{line}");
        }
    }
}
