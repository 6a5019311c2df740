//! Where our answers differ from the reference's on purpose.

use crate::pair::Protocol;
use crate::version::Version;

/// One answer that differs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Departure {
    /// The request as the script has it; where it matters with those before it on the connection, ` / ` between them.
    pub(crate) request: &'static str,
    /// The protocol in which it is so; none for both.
    pub(crate) protocol: Option<Protocol>,
    /// What we answer, masked.
    pub(crate) ours: &'static str,
    /// What redis-sentinel 7.0.15 answers, masked.
    pub(crate) theirs: &'static str,
    /// The reason.
    pub(crate) why: &'static str,
    /// The first version that answers as ours does; none: no version does.
    pub(crate) until: Option<Version>,
}

const fn chosen(request: &'static str, ours: &'static str, theirs: &'static str, why: &'static str) -> Departure {
    Departure { request, protocol: None, ours, theirs, why, until: None }
}

const fn resp2(request: &'static str, ours: &'static str, theirs: &'static str, why: &'static str) -> Departure {
    Departure { protocol: Some(Protocol::Resp2), ..chosen(request, ours, theirs, why) }
}

const fn resp3(request: &'static str, ours: &'static str, theirs: &'static str, why: &'static str) -> Departure {
    Departure { protocol: Some(Protocol::Resp3), ..chosen(request, ours, theirs, why) }
}

/// One that later versions answer as ours does.
const fn before(until: Version, departure: Departure) -> Departure {
    Departure { until: Some(until), ..departure }
}

const TRACKING: &str =
    "tracking is accepted without effect, as there are no keys; nothing is remembered or checked further";
const SETINFO: &str = "of 7.2: client libraries send it when they connect";
const NO_SETINFO: &str = r"-ERR unknown subcommand \'SETINFO\'. Try CLIENT HELP.";
const NOT_TRACKING: &str =
    "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled";
const OFF_2: &str = r#"*6 "flags" *1 "off" "redirect" :-1 "prefixes" *0"#;
const OFF_3: &str = r#"%3 "flags" ~1 "off" "redirect" :-1 "prefixes" *0"#;

/// CLIENT.
#[rustfmt::skip]
pub(crate) const CLIENT: &[Departure] = &[
    resp2("CLIENT TRACKING on / CLIENT TRACKINGINFO", OFF_2, r#"*6 "flags" *1 "on" "redirect" :0 "prefixes" *0"#, TRACKING),
    resp3("CLIENT TRACKING on / CLIENT TRACKINGINFO", OFF_3, r#"%3 "flags" ~1 "on" "redirect" :0 "prefixes" *0"#, TRACKING),
    chosen("CLIENT TRACKING on / CLIENT TRACKINGINFO / CLIENT GETREDIR", ":-1", ":0", TRACKING),
    chosen("CLIENT GETREDIR / CLIENT CACHING yes", NOT_TRACKING, "-ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.", TRACKING),
    resp2("CLIENT TRACKING on BCAST PREFIX a / CLIENT TRACKINGINFO", OFF_2, r#"*6 "flags" *2 "on" "bcast" "redirect" :0 "prefixes" *1 "a""#, TRACKING),
    resp3("CLIENT TRACKING on BCAST PREFIX a / CLIENT TRACKINGINFO", OFF_3, r#"%3 "flags" ~2 "on" "bcast" "redirect" :0 "prefixes" *1 "a""#, TRACKING),
    chosen("CLIENT TRACKING on BCAST PREFIX a / CLIENT TRACKINGINFO / CLIENT GETREDIR", ":-1", ":0", TRACKING),
    chosen("CLIENT TRACKING on REDIRECT 9999", "+OK", "-ERR The client ID you want redirect to does not exist", TRACKING),
    chosen("CLIENT TRACKING on REDIRECT x", "+OK", "-ERR value is not an integer or out of range", TRACKING),
    chosen("CLIENT TRACKING on OPTIN OPTOUT", "+OK", r"-ERR You can\'t specify both OPTIN mode and OPTOUT mode", TRACKING),
    chosen("CLIENT TRACKING on PREFIX a", "+OK", "-ERR PREFIX option requires BCAST mode to be enabled", TRACKING),
    chosen("CLIENT TRACKING on OPTIN / CLIENT CACHING yes", NOT_TRACKING, "+OK", TRACKING),
    chosen("CLIENT CACHING yes / CLIENT CACHING no", NOT_TRACKING, "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.", TRACKING),
    resp2("CLIENT CACHING no / CLIENT TRACKINGINFO", OFF_2, r#"*6 "flags" *2 "on" "optin" "redirect" :0 "prefixes" *0"#, TRACKING),
    resp3("CLIENT CACHING no / CLIENT TRACKINGINFO", OFF_3, r#"%3 "flags" ~2 "on" "optin" "redirect" :0 "prefixes" *0"#, TRACKING),
    before(Version::Redis80, chosen("CLIENT SETINFO LIB-NAME x", "+OK", NO_SETINFO, SETINFO)),
    before(Version::Redis80, chosen("CLIENT SETINFO FOO x", r"-ERR Unrecognized option \'FOO\'", NO_SETINFO, SETINFO)),
    before(Version::Redis80, chosen(r#"CLIENT SETINFO LIB-NAME "a b""#, "-ERR LIB-NAME cannot contain spaces, newlines or special characters.", NO_SETINFO, SETINFO)),
    before(Version::Redis80, chosen("CLIENT SETINFO", r"-ERR wrong number of arguments for \'client|setinfo\' command", NO_SETINFO, SETINFO)),
];

/// QUIT and RESET.
#[rustfmt::skip]
pub(crate) const CONNECTION: &[Departure] = &[
    chosen("QUIT", "+OK (closed)", r"-ERR unknown command \'QUIT\', with args beginning with: ", "what 6.2 and every data node answer; the subscriber error names it"),
    chosen("RESET", "+RESET", r"-ERR unknown command \'RESET\', with args beginning with: ", "what every data node answers; the subscriber error names it"),
];

const NAME: &str = "a name that breaks hellos or the configuration file is refused";
const CONTROL: &str = "control characters are refused in the words of Valkey 9";
const ADDRESS: &str = "an address is four numbers, not the abbreviations of old: the reference takes 1.2.0.3 for it";
const NUMBER: &str = "a number beyond 32 bits is refused; the reference keeps another one";
const TEXT: &str = "what would break hellos or the configuration file is refused";
const ID: &str = "no vote for what cannot be an id: it would have to stand in the configuration file of others";
const EPOCH: &str = "one message could burn all epochs: docs/departures.md, departure 15";
const LATER: &str = "of Valkey 8 and Redis 7.2, whose clients may ask for it";
const OUR_OWN: &str = "something that the reference does not have";

/// SENTINEL SET.
#[rustfmt::skip]
pub(crate) const SET: &[Departure] = &[
    before(Version::Valkey91, chosen(r#"SENTINEL SET m1 "a\r\nb" x"#, "-ERR Invalid argument at index 3 for SENTINEL SET: control characters are not allowed", r"-ERR Unknown option or number of arguments for SENTINEL SET \'a  b\'", CONTROL)),
];

/// SENTINEL, what is answered of names, addresses and numbers that the reference takes and writes into its file.
#[rustfmt::skip]
pub(crate) const ODD: &[Departure] = &[
    chosen(r#"SENTINEL MONITOR "" 127.0.0.1 {dead} 1"#, "-ERR a master name must not be empty", "+OK", NAME),
    chosen("SENTINEL MONITOR a,b 127.0.0.1 {dead} 1", "-ERR a master name must not contain a comma or a control character", "+OK", NAME),
    before(Version::Valkey91, chosen(r#"SENTINEL MONITOR "a\nb" 127.0.0.1 {dead} 1"#, "-ERR Invalid argument at index 2 for SENTINEL MONITOR: control characters are not allowed", "+OK", CONTROL)),
    chosen("SENTINEL MONITOR old 1.2.3 {dead} 1", "-ERR Invalid IP address or hostname specified", "+OK", ADDRESS),
    chosen("SENTINEL MONITOR many 127.0.0.1 {dead} 4294967297", "-ERR Invalid quorum", "+OK", NUMBER),
    chosen("SENTINEL SET m1 quorum 4294967297", r"-ERR Invalid argument \'4294967297\' for SENTINEL SET \'quorum\'", "+OK", NUMBER),
    chosen("SENTINEL SET m1 parallel-syncs 4294967297", r"-ERR Invalid argument \'4294967297\' for SENTINEL SET \'parallel-syncs\'", "+OK", NUMBER),
    chosen(r#"SENTINEL CONFIG SET announce-ip "a b""#, r"-ERR Invalid value \'a b\' to SENTINEL CONFIG SET \'announce-ip\'", "+OK", TEXT),
    before(Version::Valkey91, chosen(r#"SENTINEL SET m1 auth-user "a\nb""#, "-ERR Invalid argument at index 4 for SENTINEL SET: control characters are not allowed", "+OK", CONTROL)),
    before(Version::Valkey91, chosen(r#"SENTINEL SET m1 auth-pass "a\nb""#, "-ERR Invalid argument at index 4 for SENTINEL SET: control characters are not allowed", "+OK", CONTROL)),
    before(Version::Valkey91, chosen(r#"SENTINEL CONFIG SET announce-ip "a\nb""#, "-ERR Invalid argument at index 4 for SENTINEL CONFIG SET: control characters are not allowed", "+OK", CONTROL)),
    before(Version::Valkey91, chosen(r#"SENTINEL CONFIG SET sentinel-user "a\nb""#, "-ERR Invalid argument at index 4 for SENTINEL CONFIG SET: control characters are not allowed", "+OK", CONTROL)),
    chosen("SENTINEL CONFIG SET announce-ip a,b", r"-ERR Invalid value \'a,b\' to SENTINEL CONFIG SET \'announce-ip\'", "+OK", TEXT),
    chosen("SENTINEL CONFIG GET announce-ip", r#"*2 "announce-ip" "nonsense""#, r#"*2 "announce-ip" "a,b""#, TEXT),
    chosen(r#"SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 8 """#, r#"*3 :0 "*" :0"#, r#"*3 :0 "" :8"#, ID),
    chosen(r#"SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 9 "a\nb""#, r#"*3 :0 "*" :0"#, r#"*3 :0 "a\nb" :9"#, ID),
    chosen("SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} -1 *", "-ERR value is not an integer or out of range", r#"*3 :0 "*" :0"#, EPOCH),
    chosen("SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 4294967999 dddddddddddddddddddddddddddddddddddddddd", r#"*3 :0 "short" :7"#, r#"*3 :0 "dddddddddddddddddddddddddddddddddddddddd" :4294967999"#, EPOCH),
    chosen("SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} -1 dddddddddddddddddddddddddddddddddddddddd", "-ERR value is not an integer or out of range", r#"*3 :0 "dddddddddddddddddddddddddddddddddddddddd" :-1"#, EPOCH),
];

/// SENTINEL, forms of later versions.
#[rustfmt::skip]
pub(crate) const LATER_FORMS: &[Departure] = &[
    chosen("SENTINEL CANDIDATES", r"-ERR wrong number of arguments for \'sentinel|candidates\' command", r"-ERR unknown subcommand \'CANDIDATES\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL FORGET", r"-ERR wrong number of arguments for \'sentinel|forget\' command", r"-ERR unknown subcommand \'FORGET\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL FORGET-REPLICA", r"-ERR wrong number of arguments for \'sentinel|forget-replica\' command", r"-ERR unknown subcommand \'FORGET-REPLICA\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL AUTH-CHALLENGE 00", "-ERR this Sentinel has no hello-auth-key", r"-ERR unknown subcommand \'AUTH-CHALLENGE\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL REQUEST-VOTE m1 127.0.0.1 6379 1 * 00 00", "-ERR invalid nonce or signature: expected 32 hex digits", r"-ERR unknown subcommand \'REQUEST-VOTE\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL CONSENSUS other", "-ERR No such master with that name", r"-ERR unknown subcommand \'CONSENSUS\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL EXPLAIN other", "-ERR No such master with that name", r"-ERR unknown subcommand \'EXPLAIN\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL RESUME other", "-ERR No such master with that name", r"-ERR unknown subcommand \'RESUME\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL PAUSE other", "-ERR No such master with that name", r"-ERR unknown subcommand \'PAUSE\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL HISTORY other", "-ERR No such master with that name", r"-ERR unknown subcommand \'HISTORY\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL PROBLEMS other", "-ERR No such master with that name", r"-ERR unknown subcommand \'PROBLEMS\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL CANDIDATES other", "-ERR No such master with that name", r"-ERR unknown subcommand \'CANDIDATES\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL FAILOVER other TO 127.0.0.1 1", "-ERR No such master with that name", r"-ERR wrong number of arguments for \'sentinel|failover\' command", OUR_OWN),
    chosen("SENTINEL FAILOVER other DRYRUN", "-ERR No such master with that name", r"-ERR wrong number of arguments for \'sentinel|failover\' command", OUR_OWN),
    chosen("SENTINEL CANDIDATES m1", "*0", r"-ERR unknown subcommand \'CANDIDATES\'. Try SENTINEL HELP.", OUR_OWN),
    chosen("SENTINEL FAILOVER m1 DRYRUN", "-NOGOODSLAVE No suitable replica to promote", r"-ERR wrong number of arguments for \'sentinel|failover\' command", OUR_OWN),
    chosen("SENTINEL FAILOVER m1 COORDINATED", "-NOGOODSLAVE No suitable replica to promote", r"-ERR wrong number of arguments for \'sentinel|failover\' command", OUR_OWN),
    before(Version::Redis80, chosen("SENTINEL CONFIG GET announce-ip announce-port", r#"*4 "announce-ip" "" "announce-port" "0""#, "-ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.", LATER)),
    before(Version::Redis80, chosen("SENTINEL CONFIG GET a b c", "*0", "-ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.", LATER)),
    before(Version::Redis80, chosen("SENTINEL CONFIG GET loglevel", r#"*2 "loglevel" "notice""#, "*0", LATER)),
    before(Version::Redis80, chosen("SENTINEL CONFIG SET loglevel notice", "+OK", r"-ERR Invalid argument \'loglevel\' to SENTINEL CONFIG SET", LATER)),
    before(Version::Redis80, chosen("SENTINEL CONFIG SET loglevel foo", r"-ERR Invalid value \'foo\' to SENTINEL CONFIG SET \'loglevel\'", r"-ERR Invalid argument \'loglevel\' to SENTINEL CONFIG SET", LATER)),
    before(Version::Redis80, chosen("SENTINEL CONFIG GET *port *port", r#"*2 "announce-port" "0""#, "-ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.", LATER)),
    before(Version::Redis80, chosen("SENTINEL CONFIG SET announce-port 1 announce-port 2", r"-ERR Duplicate argument \'announce-port\' to SENTINEL CONFIG SET", "-ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.", LATER)),
    before(Version::Redis80, chosen("SENTINEL CONFIG SET announce-port 1 announce-ip", r"-ERR Missing argument \'announce-ip\' value", "-ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.", LATER)),
    before(Version::Redis80, chosen("SENTINEL CONFIG SET announce-port 0 resolve-hostnames no", "+OK", "-ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.", LATER)),
    before(Version::Redis80, chosen("SENTINEL CONFIG SET foo bar announce-port 1", r"-ERR Invalid argument \'foo\' to SENTINEL CONFIG SET", "-ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.", LATER)),
    before(Version::Redis80, chosen("SENTINEL CONFIG SET announce-port 1 foo bar", r"-ERR Invalid argument \'foo\' to SENTINEL CONFIG SET", "-ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.", LATER)),
    before(Version::Redis80, chosen("SENTINEL CONFIG SET announce-port 1 resolve-hostnames x", r"-ERR Invalid value \'x\' to SENTINEL CONFIG SET \'resolve-hostnames\'", "-ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.", LATER)),
    before(Version::Valkey80, chosen("SENTINEL PRIMARY", r"-ERR wrong number of arguments for \'sentinel|primary\' command", r"-ERR unknown subcommand \'PRIMARY\'. Try SENTINEL HELP.", LATER)),
    before(Version::Valkey80, chosen("SENTINEL PRIMARY a b", r"-ERR wrong number of arguments for \'sentinel|primary\' command", r"-ERR unknown subcommand \'PRIMARY\'. Try SENTINEL HELP.", LATER)),
    before(Version::Valkey80, chosen("SENTINEL PRIMARIES x", r"-ERR wrong number of arguments for \'sentinel|primaries\' command", r"-ERR unknown subcommand \'PRIMARIES\'. Try SENTINEL HELP.", LATER)),
    before(Version::Valkey80, chosen("SENTINEL GET-PRIMARY-ADDR-BY-NAME", r"-ERR wrong number of arguments for \'sentinel|get-primary-addr-by-name\' command", r"-ERR unknown subcommand \'GET-PRIMARY-ADDR-BY-NAME\'. Try SENTINEL HELP.", LATER)),
    before(Version::Valkey80, chosen("SENTINEL IS-PRIMARY-DOWN-BY-ADDR x", r"-ERR wrong number of arguments for \'sentinel|is-primary-down-by-addr\' command", r"-ERR unknown subcommand \'IS-PRIMARY-DOWN-BY-ADDR\'. Try SENTINEL HELP.", LATER)),
    before(Version::Valkey80, chosen("SENTINEL SET m1 primary-reboot-down-after-period 5", "+OK", r"-ERR Unknown option or number of arguments for SENTINEL SET \'primary-reboot-down-after-period\'", LATER)),
    before(Version::Valkey80, chosen("SENTINEL SET m1 primary-reboot-down-after-period x", r"-ERR Invalid argument \'x\' for SENTINEL SET \'primary-reboot-down-after-period\'", r"-ERR Unknown option or number of arguments for SENTINEL SET \'primary-reboot-down-after-period\'", LATER)),
    chosen("SENTINEL SET m1 down-on-refused 3", "+OK", r"-ERR Unknown option or number of arguments for SENTINEL SET \'down-on-refused\'", OUR_OWN),
    chosen("SENTINEL SET m1 ping-period 300", "+OK", r"-ERR Unknown option or number of arguments for SENTINEL SET \'ping-period\'", OUR_OWN),
    chosen("SENTINEL SET m1 max-lag 0", "+OK", r"-ERR Unknown option or number of arguments for SENTINEL SET \'max-lag\'", OUR_OWN),
    chosen("SENTINEL SET m1 failover-pause 0", "+OK", r"-ERR Unknown option or number of arguments for SENTINEL SET \'failover-pause\'", OUR_OWN),
    chosen("SENTINEL SET m1 empty-master-failover no", "+OK", r"-ERR Unknown option or number of arguments for SENTINEL SET \'empty-master-failover\'", OUR_OWN),
    chosen("SENTINEL SET m1 promote-best-effort no", "+OK", r"-ERR Unknown option or number of arguments for SENTINEL SET \'promote-best-effort\'", OUR_OWN),
    chosen("SENTINEL SET m1 reload-grace 10000", "+OK", r"-ERR Unknown option or number of arguments for SENTINEL SET \'reload-grace\'", OUR_OWN),
    chosen("SENTINEL SET m1 promote-empty no", "+OK", r"-ERR Unknown option or number of arguments for SENTINEL SET \'promote-empty\'", OUR_OWN),
];

/// SENTINEL, a master that is watched anew.
#[rustfmt::skip]
pub(crate) const ANEW: &[Departure] = &[
    chosen(
        "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 6 dddddddddddddddddddddddddddddddddddddddd",
        r#"*3 :0 "*" :6"#,
        r#"*3 :0 "dddddddddddddddddddddddddddddddddddddddd" :6"#,
        "there is no second vote in an epoch, also not after REMOVE and MONITOR",
    ),
];
