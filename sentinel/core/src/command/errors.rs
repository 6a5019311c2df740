//! The error replies that parsing and executing SENTINEL commands share. Texts are the reference's, to the byte.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::argument::shown;

/// No master has the name that a command gives.
pub fn no_such_master() -> Reply {
    Reply::err("No such master with that name")
}

/// SENTINEL AUTH-CHALLENGE and REQUEST-VOTE: this Sentinel has no key.
pub fn no_key() -> Reply {
    Reply::err("this Sentinel has no hello-auth-key")
}

/// SENTINEL AUTH-CHALLENGE and REQUEST-VOTE: the words are no nonce or no signature.
pub fn not_hex(error: crate::types::NotHex) -> Reply {
    Reply::err(format!("invalid nonce or signature: {error}"))
}

/// SENTINEL REQUEST-VOTE: it is not signed with our key, or not for us.
pub fn wrong_signature() -> Reply {
    Reply::error(
        "WRONGSIGNATURE the request is not signed with the hello-auth-key of this Sentinel, or not for this run of it",
    )
}

/// A port or an epoch is not an integer.
pub fn not_an_integer() -> Reply {
    Reply::err("value is not an integer or out of range")
}

/// SENTINEL MONITOR: the host is no address, or a name while `resolve-hostnames` is off.
pub fn invalid_host() -> Reply {
    Reply::err("Invalid IP address or hostname specified")
}

/// SENTINEL MONITOR: a master of that name is monitored already.
pub fn duplicate_master() -> Reply {
    Reply::err("Duplicate master name.")
}

/// SENTINEL FAILOVER: one is running.
pub fn failover_in_progress() -> Reply {
    Reply::error("INPROG Failover already in progress")
}

/// SENTINEL FAILOVER: no replica could be chosen now.
pub fn no_good_replica() -> Reply {
    Reply::error("NOGOODSLAVE No suitable replica to promote")
}

/// SENTINEL FAILOVER TO: that replica cannot be promoted, and why.
pub fn no_good_target(addr: &crate::types::HostPort, why: &crate::select::Refusal) -> Reply {
    Reply::error(format!("NOGOODSLAVE {addr} cannot be promoted: {why}"))
}

/// SENTINEL FAILOVER TO ... FORCE: there is a master, whose data would be lost.
pub fn master_is_well() -> Reply {
    Reply::error("NOTDOWN FORCE is for a master that is down: this one is not, leave FORCE out")
}

/// SENTINEL FAILOVER COORDINATED: the master cannot hand over, and why. Where Valkey 9 has words for that they are its.
pub fn not_lossless(why: &crate::failover::NotLossless) -> Reply {
    if matches!(why, crate::failover::NotLossless::UnknownCommand) {
        return Reply::error("NOGOODPRIMARY Primary does not support FAILOVER command");
    }
    Reply::error(format!("NOTLOSSLESS {why}"))
}

/// No Sentinel of that id is known for the master.
pub fn no_such_sentinel() -> Reply {
    Reply::err("No such Sentinel with that id")
}

/// No replica of that address is known for the master.
pub fn no_such_replica() -> Reply {
    Reply::err("No such replica with that address")
}

/// SENTINEL FORGET, FORGET-REPLICA: it is there, and would be found again at once.
pub fn still_reachable(what: impl std::fmt::Display) -> Reply {
    Reply::err(format!("{what} can be reached: stop it first, it would be found again"))
}

/// The change is in effect, but it could not be written to disk.
pub fn not_saved() -> Reply {
    Reply::err("Failed to save config file. Check server logs.")
}

/// SENTINEL SET of a script path while `deny-scripts-reconfig` is on.
pub fn scripts_denied() -> Reply {
    Reply::err(
        "Reconfiguration of scripts path is denied for security reasons. Check the deny-scripts-reconfig \
         configuration directive in your Sentinel configuration",
    )
}

/// SENTINEL SET of a script that cannot be executed; `called` is the reference's word for such a script.
pub fn script_unusable(called: &str) -> Reply {
    Reply::err(format!("{called} seems non existing or non executable"))
}

/// A container or subcommand with the wrong number of words; `name` as in `sentinel` or `sentinel|set`.
pub fn wrong_arity(name: &str) -> Reply {
    Reply::err(format!("wrong number of arguments for '{name}' command"))
}

/// A SENTINEL subcommand that does not exist. At most 128 bytes of it are repeated.
pub fn unknown_subcommand(word: &Bytes) -> Reply {
    let cut = &word[..word.len().min(128)];
    Reply::err(format!("unknown subcommand '{}'. Try SENTINEL HELP.", shown(cut)))
}

/// `Unknown option or number of arguments for SENTINEL SET 'foo'`, also for SENTINEL DEBUG.
pub(super) fn unknown_option(command: &str, option: &[u8]) -> Reply {
    Reply::err(format!("Unknown option or number of arguments for {command} '{}'", shown(option)))
}

/// `Invalid argument '0' for SENTINEL SET 'quorum'`, also for SENTINEL DEBUG.
pub(super) fn invalid_argument(command: &str, option: &[u8], value: &[u8]) -> Reply {
    Reply::err(format!("Invalid argument '{}' for {command} '{}'", shown(value), shown(option)))
}

/// A control character in a word, which would end a line of the configuration file or hide in it: the refusal of Valkey 9.
/// Earlier versions take it.
pub(super) fn control_character(command: &str, index: usize) -> Reply {
    Reply::err(format!("Invalid argument at index {index} for {command}: control characters are not allowed"))
}

/// `Invalid value '70000' to SENTINEL CONFIG SET 'announce-port'`
pub(super) fn invalid_config_value(parameter: &[u8], value: &str) -> Reply {
    Reply::err(format!("Invalid value '{value}' to SENTINEL CONFIG SET '{}'", shown(parameter)))
}
