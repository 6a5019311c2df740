//! SENTINEL HELP.

use sentinel_resp::Reply;

/// Usage lines in the reference's order; descriptions, indented by four spaces, are free text.
const LINES: [&str; 49] = [
    "SENTINEL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CKQUORUM <master-name>",
    "    Tell whether the Sentinels usable now reach the quorum that declares the",
    "    master down, and the majority that authorises a failover; if not, which",
    "    of the two is out of reach.",
    "CONFIG SET <param> <value>",
    "    Change a setting of this Sentinel; several pairs may be given.",
    "CONFIG GET <param>",
    "    Read the settings of this Sentinel that match a pattern.",
    "DEBUG [<param> <value> ...]",
    "    List the timing constants in milliseconds; with parameters, change them",
    "    until the next restart.",
    "GET-MASTER-ADDR-BY-NAME <master-name>",
    "    Tell the host and the port that clients of this master should use now.",
    "FAILOVER <master-name>",
    "    Promote a replica now, although the master may be well, and without",
    "    the votes of other Sentinels.",
    "FLUSHCONFIG",
    "    Write settings and learnt state to disk, also when the file is gone",
    "    or was changed by hand.",
    "INFO-CACHE <master-name>",
    "    Show the last INFO, and its age, of each named master and its replicas.",
    "IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
    "    Sent by other Sentinels: tell whether this one holds the master down;",
    "    with an id instead of *, vote for that Sentinel.",
    "MASTER <master-name>",
    "    Show one master.",
    "MASTERS",
    "    Show all monitored masters.",
    "MONITOR <name> <ip> <port> <quorum>",
    "    Begin to monitor a master under this name.",
    "MYID",
    "    Tell the id by which other Sentinels know this one.",
    "PENDING-SCRIPTS",
    "    List the scripts that run, or wait for their first or next try.",
    "REMOVE <master-name>",
    "    Forget a master, its replicas and its Sentinels.",
    "REPLICAS <master-name>",
    "    Show the replicas of a master.",
    "RESET <pattern>",
    "    Forget replicas and Sentinels of all masters that match, and find them anew.",
    "SENTINELS <master-name>",
    "    Show the other Sentinels that monitor this master.",
    "SET <master-name> <option> <value> [<option> <value> ...]",
    "    Change settings of one master, one after the other.",
    "SIMULATE-FAILURE [CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
    "    Exit at that point of the next failover, to test the others.",
    "HELP",
    "    Prints this help.",
];

/// What the reference does not have.
const OURS: [&str; 36] = [
    "AUTH-CHALLENGE <nonce>",
    "    Sent by other Sentinels: prove that this one knows the hello-auth-key.",
    "CANDIDATES <master-name>",
    "    Rank the replicas as a failover would now, or say why one is refused.",
    "CONSENSUS <master-name>",
    "    Show what this Sentinel and each other one believes of a master.",
    "EXPLAIN <master-name>",
    "    Say why the master is what it is, what keeps a failover from taking place,",
    "    and what would happen if it died now.",
    "FAILOVER <master-name> [TO <host> <port> [FORCE]] [COORDINATED] [DRYRUN]",
    "    Promote this replica; with COORDINATED without losing a write, or not at",
    "    all; with FORCE whatever it holds, when the master is down; with DRYRUN",
    "    only tell which one it would be, and what may be lost.",
    "FORGET <master-name> <runid>",
    "    Forget another Sentinel that cannot be reached any more.",
    "FORGET <master-name> UNVERIFIED",
    "    Forget all other Sentinels that have never said who they are and cannot be reached.",
    "FORGET-REPLICA <master-name> <host> <port>",
    "    Forget a replica that cannot be reached any more.",
    "HISTORY <master-name> [<id>]",
    "    List outages and failovers, the newest first; with an id all that was said in",
    "    one, with milliseconds.",
    "PAUSE <master-name>|* [<seconds> [<reason>]]",
    "    Nominate nobody, here and at all other Sentinels that know this command, until",
    "    the time is over (30m, 2h; 0 is without end) or it is resumed.",
    "PROBLEMS [<master-name>]",
    "    List what is wrong with this Sentinel, the others and the masters, the worst",
    "    first, with what mends it.",
    "RELOAD",
    "    Read the configuration again, apply what commands could set, and say what",
    "    that was and what needs a restart. With a fault in it nothing counts.",
    "REQUEST-VOTE <master-name> <ip> <port> <current-epoch> <runid> <nonce> <signature>",
    "    Sent by other Sentinels: IS-MASTER-DOWN-BY-ADDR, signed with the",
    "    hello-auth-key.",
    "RESUME <master-name>|*",
    "    End a pause, here and at the others.",
];

/// All lines, as simple strings.
pub(super) fn lines() -> Reply {
    Reply::Array(LINES.into_iter().chain(OURS).map(Reply::status).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::table::SUBCOMMANDS;

    #[test]
    fn every_subcommand_of_the_reference_has_a_usage_line() {
        let usages: Vec<String> = LINES[1..]
            .iter()
            .chain(&OURS)
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split(' ').next())
            .map(str::to_ascii_lowercase)
            .collect();
        for subcommand in SUBCOMMANDS {
            let alias = subcommand.name.contains("primar") || subcommand.name == "slaves";
            assert_eq!(usages.iter().any(|usage| usage == subcommand.name), !alias, "{}", subcommand.name);
        }
    }

    #[test]
    fn every_usage_line_is_followed_by_a_description() {
        for pair in LINES[1..].windows(2).chain(OURS.windows(2)) {
            assert!(pair[0].starts_with(' ') || pair[1].starts_with("    "), "{pair:?}");
        }
    }
}
