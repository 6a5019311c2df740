//! `redis[s]-sentinel://[user[:password]@]host[:port][,host[:port]...][/db]?master=name[&option=value...]`

use percent_encoding::percent_decode_str;
use redis::ProtocolVersion;

use crate::address::Address;
use crate::config::Config;
use crate::config_error::ConfigError;
use crate::credentials::Credentials;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// The port of a Sentinel when the URL names none.
const SENTINEL_PORT: u16 = 26379;

/// Reads a URL; what it does not say keeps its default.
pub(crate) fn parse(url: &str) -> Result<Config, ConfigError> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let encrypted = match scheme {
        "redis-sentinel" | "redis+sentinel" | "valkey-sentinel" | "valkey+sentinel" => false,
        "rediss-sentinel" | "rediss+sentinel" | "valkeys-sentinel" | "valkeys+sentinel" => true,
        "redis" | "rediss" | "valkey" | "valkeys" | "unix" => {
            return Err(refuse("that names a node; name the Sentinels: `redis-sentinel://host:26379?master=name`"));
        }
        _ => return Err(refuse("it must begin with `redis-sentinel://`, or `rediss-sentinel://` for TLS")),
    };
    let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, name)| (rest, Some(name)));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (userinfo, hosts) = match authority.rsplit_once('@') {
        Some((userinfo, hosts)) => (Some(userinfo), hosts),
        None => (None, authority),
    };

    let (service, path) = split_path(path);
    let mut config = Config {
        credentials: userinfo.map(credentials).transpose()?.flatten(),
        seeds: seeds(hosts)?,
        database: database(path)?,
        ..Config::default()
    };
    for name in fragment.into_iter().chain(service).filter(|name| !name.is_empty()) {
        name_master(&mut config, decode(name)?)?;
    }
    let mut sentinel_user = None;
    let mut sentinel_password = None;
    let mut encryption = Encryption::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| refuse(&format!("parameter `{pair}` has no value")))?;
        let value = decode(value)?;
        match key {
            // Besides ours the names that Lettuce, fred, go-redis and others have for it.
            "master" | "master_name" | "sentinelMasterId" | "sentinelServiceName" | "service_name" => {
                name_master(&mut config, value)?;
            }
            "node" => {
                let seed = Address::parse_with_default_port(&value, SENTINEL_PORT)?;
                if !config.seeds.contains(&seed) {
                    config.seeds.push(seed);
                }
            }
            "db" | "database" => config.database = database(&value)?,
            "sentinel_user" | "sentinel_username" | "sentinelUsername" => sentinel_user = Some(value),
            "sentinel_password" | "sentinelPassword" => sentinel_password = Some(value),
            "tls_ca_file" => encryption.authority = Some(value),
            "tls_cert_file" => encryption.certificate = Some(value),
            "tls_key_file" => encryption.key = Some(value),
            "tls_server_name" => encryption.name = Some(value),
            "sentinel_tls" => {
                encryption.sentinels = Some(match value.as_str() {
                    "yes" => true,
                    "no" => false,
                    _ => return Err(refuse("`sentinel_tls` is `yes` or `no`")),
                });
            }
            "client_name" | "clientName" => config.client_name = Some(value),
            "protocol" => {
                config.protocol = match value.as_str() {
                    "resp2" => ProtocolVersion::RESP2,
                    "resp3" => ProtocolVersion::RESP3,
                    _ => return Err(refuse("`protocol` is `resp2` or `resp3`")),
                }
            }
            _ => {
                return Err(refuse(&format!(
                    "parameter `{key}` is not known; known are master, node, database, sentinel_user, sentinel_password, client_name, \
                     protocol, sentinel_tls, tls_ca_file, tls_cert_file, tls_key_file, tls_server_name"
                )));
            }
        }
    }
    config.sentinel_credentials = match (sentinel_user, sentinel_password) {
        (Some(user), Some(password)) => Some(Credentials::user(user, password)),
        (None, Some(password)) => Some(Credentials::password(password)),
        (Some(_), None) => return Err(refuse("`sentinel_user` needs `sentinel_password`")),
        (None, None) => None,
    };
    if encrypted {
        encryption.apply(&mut config)?;
    } else if encryption != Encryption::default() {
        return Err(refuse("what concerns TLS needs `rediss-sentinel://`"));
    }
    if config.master.is_empty() {
        return Err(refuse("the name of the master is missing; add `?master=name`"));
    }
    Ok(config)
}

/// What a URL says about TLS.
#[derive(Debug, Default, PartialEq, Eq)]
struct Encryption {
    authority: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    /// `*`: any.
    name: Option<String>,
    /// Whether the Sentinels speak it, too. As with the data nodes if not given.
    sentinels: Option<bool>,
}

impl Encryption {
    #[cfg(feature = "tls")]
    fn apply(self, config: &mut Config) -> Result<(), ConfigError> {
        let mut tls = match self.authority {
            Some(file) => Tls::authority_file(file)?,
            None => Tls::system()?,
        };
        tls = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => tls.with_certificate_files(certificate, key)?,
            (None, None) => tls,
            (Some(_), None) => return Err(refuse("`tls_cert_file` needs `tls_key_file`")),
            (None, Some(_)) => return Err(refuse("`tls_key_file` needs `tls_cert_file`")),
        };
        tls = match self.name.as_deref() {
            Some("*") => tls.with_any_server_name()?,
            Some(name) => tls.with_server_name(name)?,
            None => tls,
        };
        if self.sentinels.unwrap_or(true) {
            config.sentinel_tls = Some(tls.clone());
        }
        config.tls = Some(tls);
        Ok(())
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "the same as with TLS for who calls it")]
    fn apply(self, _: &mut Config) -> Result<(), ConfigError> {
        Err(refuse("this program was built without the feature `tls` of sentinel-sdk"))
    }
}

/// Some write the name of the master before the database: `/mymaster/0`.
fn split_path(path: &str) -> (Option<&str>, &str) {
    match path.split_once('/') {
        Some((name, database)) if !database.is_empty() => (Some(name), database),
        _ if path.trim_end_matches('/').bytes().any(|byte| byte.is_ascii_alphabetic()) => {
            (Some(path.trim_end_matches('/')), "")
        }
        _ => (None, path),
    }
}

/// However often it stands there, it must be the same.
fn name_master(config: &mut Config, name: String) -> Result<(), ConfigError> {
    if !config.master.is_empty() && *config.master != *name {
        return Err(refuse(&format!("two names of the master: `{}` and `{name}`", config.master)));
    }
    config.master = name.into();
    Ok(())
}

fn credentials(userinfo: &str) -> Result<Option<Credentials>, ConfigError> {
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (decode(user)?, Some(decode(password)?)),
        None => (decode(userinfo)?, None),
    };
    match (user.is_empty(), password) {
        (true, Some(password)) => Ok(Some(Credentials::password(password))),
        (false, Some(password)) => Ok(Some(Credentials::user(user, password))),
        (true, None) => Ok(None),
        (false, None) => Err(refuse(
            "a user without a password, or a password without a user; write `user:password@`, or `:password@` for the default user",
        )),
    }
}

fn seeds(hosts: &str) -> Result<Vec<Address>, ConfigError> {
    let mut seeds = Vec::new();
    for host in hosts.split(',') {
        let seed = Address::parse_with_default_port(host, SENTINEL_PORT)?;
        if !seeds.contains(&seed) {
            seeds.push(seed);
        }
    }
    Ok(seeds)
}

fn database(path: &str) -> Result<i64, ConfigError> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(0);
    }
    path.parse::<u32>().map(i64::from).map_err(|_| refuse(&format!("database `{path}` is not a number")))
}

fn decode(text: &str) -> Result<String, ConfigError> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| refuse("a percent-encoded part is not UTF-8"))
}

fn refuse(reason: &str) -> ConfigError {
    ConfigError::Url(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_read() {
        let config = parse(
            "redis-sentinel://app:p%40ss%2Cw@s1:1,[::1]:2,s3/5?master=my%2Dmaster&sentinel_user=su&sentinel_password=sp&client_name=shop&protocol=resp3",
        )
        .unwrap();
        assert_eq!(config.credentials, Some(Credentials::user("app", "p@ss,w")));
        assert_eq!(config.sentinel_credentials, Some(Credentials::user("su", "sp")));
        let seeds: Vec<_> = config.seeds.iter().map(ToString::to_string).collect();
        assert_eq!(seeds, ["s1:1", "[::1]:2", "s3:26379"]);
        assert_eq!(config.database, 5);
        assert_eq!(&*config.master, "my-master");
        assert_eq!(config.client_name.as_deref(), Some("shop"));
        assert!(config.protocol == ProtocolVersion::RESP3);
    }

    #[test]
    fn the_forms_of_other_clients_are_understood() {
        for url in [
            // Lettuce
            "redis-sentinel://:pw@a:1,b:2/3#m",
            "rediss-sentinel://:pw@a:1,b:2/3?tls_server_name=*#m",
            "redis-sentinel://:pw@a:1,b:2?database=3&sentinelMasterId=m",
            // fred
            "redis-sentinel://:pw@a:1/3?node=b:2&sentinelServiceName=m",
            "rediss+sentinel://:pw@a:1/3?node=b:2&sentinelServiceName=m&tls_server_name=*",
            // Python's
            "redis+sentinel://:pw@a:1,b:2/m/3",
            "redis+sentinel://:pw@a:1,b:2/m?db=3",
            "valkey+sentinel://:pw@a:1,b:2/3?service_name=m",
            // go-redis
            "redis-sentinel://:pw@a:1,b:2/3?master_name=m",
        ] {
            if url.starts_with("rediss") && !cfg!(feature = "tls") {
                continue;
            }
            let config = parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let seeds: Vec<_> = config.seeds.iter().map(ToString::to_string).collect();
            assert_eq!(
                (seeds.as_slice(), config.database, &*config.master),
                (["a:1".into(), "b:2".into()].as_slice(), 3, "m"),
                "{url}"
            );
            assert_eq!(config.credentials, Some(Credentials::password("pw")), "{url}");
        }
        let config = parse("redis-sentinel://a?sentinelServiceName=m&sentinelUsername=u&sentinelPassword=p").unwrap();
        assert_eq!(config.sentinel_credentials, Some(Credentials::user("u", "p")));
    }

    #[test]
    fn the_shortest_url_is_one_host_and_the_master() {
        let config = parse("redis-sentinel://localhost?master=m").unwrap();
        assert_eq!(config.seeds[0].to_string(), "localhost:26379");
        assert_eq!(config.database, 0);
        assert_eq!(config.credentials, None);
        assert_eq!(config.sentinel_credentials, None);
    }

    #[test]
    fn a_password_alone_is_that_of_the_default_user() {
        let config = parse("redis-sentinel://:pw@s1/?master=m&sentinel_password=x").unwrap();
        assert_eq!(config.credentials, Some(Credentials::password("pw")));
        assert_eq!(config.sentinel_credentials, Some(Credentials::password("x")));
    }

    #[test]
    fn a_seed_given_twice_counts_once() {
        assert_eq!(parse("redis-sentinel://a,a:26379,b?master=m").unwrap().seeds.len(), 2);
    }

    #[test]
    fn nonsense_is_refused_and_says_why() {
        for (url, part) in [
            ("http://a?master=m", "redis-sentinel://"),
            ("redis-sentinel://a", "master=name"),
            ("redis-sentinel://?master=m", "host is empty"),
            ("redis-sentinel://a,,b?master=m", "host is empty"),
            ("redis-sentinel://a:x?master=m", "port"),
            ("redis-sentinel://a/9x/y?master=9x", "database `y`"),
            ("redis-sentinel://a/x?master=m", "two names of the master: `x` and `m`"),
            ("redis-sentinel://a?master=m#x", "two names of the master"),
            ("redis://a", "names a node"),
            ("redis-sentinel://a/-1?master=m", "database"),
            ("redis-sentinel://user@a?master=m", "without a password"),
            ("redis-sentinel://a?master=m&sentinel_user=u", "sentinel_password"),
            ("redis-sentinel://a?master=m&nope=1", "`nope`"),
            ("redis-sentinel://a?master", "no value"),
            ("redis-sentinel://a?master=%ff", "UTF-8"),
            ("redis-sentinel://a?master=m&tls_ca_file=/ca.crt", "rediss-sentinel://"),
            ("redis-sentinel://a?master=m&sentinel_tls=perhaps", "`yes` or `no`"),
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn what_is_wrong_with_the_files_of_tls_is_said() {
        for (options, part) in [
            ("tls_ca_file=/no/such.crt".to_owned(), "/no/such.crt cannot be read"),
            (format!("tls_ca_file={}/Cargo.toml", env!("CARGO_MANIFEST_DIR")), "no certificate in PEM form"),
        ] {
            let error = parse(&format!("rediss-sentinel://a?master=m&{options}")).unwrap_err().to_string();
            assert!(error.contains(part), "{options}: {error}");
        }
    }

    #[test]
    fn a_password_never_shows_in_debug_output() {
        let config = parse("redis-sentinel://u:secret@a?master=m&sentinel_password=hidden").unwrap();
        let text = format!("{config:?}");
        assert!(!text.contains("secret") && !text.contains("hidden"), "{text}");
    }
}
