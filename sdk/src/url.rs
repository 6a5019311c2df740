//! `redis-sentinel://[user[:password]@]host[:port][,host[:port]...][/db]?master=name[&option=value...]`

use percent_encoding::percent_decode_str;
use redis::ProtocolVersion;

use crate::address::Address;
use crate::config::{Config, Credentials};
use crate::error::ConfigError;

/// The port of a Sentinel when the URL names none.
const SENTINEL_PORT: u16 = 26379;

/// Reads a URL; what it does not say keeps its default.
pub(crate) fn parse(url: &str) -> Result<Config, ConfigError> {
    let rest = url
        .strip_prefix("redis-sentinel://")
        .or_else(|| url.strip_prefix("redis+sentinel://"))
        .ok_or_else(|| refuse("it must begin with `redis-sentinel://`"))?;
    if rest.contains('#') {
        return Err(refuse("`#` has no meaning here; write it as %23"));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (userinfo, hosts) = match authority.rsplit_once('@') {
        Some((userinfo, hosts)) => (Some(userinfo), hosts),
        None => (None, authority),
    };

    let mut config = Config {
        credentials: userinfo.map(credentials).transpose()?.flatten(),
        seeds: seeds(hosts)?,
        database: database(path)?,
        ..Config::default()
    };
    let mut sentinel_user = None;
    let mut sentinel_password = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| refuse(&format!("parameter `{pair}` has no value")))?;
        let value = decode(value)?;
        match key {
            "master" => config.master = value.into(),
            "sentinel_user" => sentinel_user = Some(value),
            "sentinel_password" => sentinel_password = Some(value),
            "client_name" => config.client_name = Some(value),
            "protocol" => {
                config.protocol = match value.as_str() {
                    "resp2" => ProtocolVersion::RESP2,
                    "resp3" => ProtocolVersion::RESP3,
                    _ => return Err(refuse("`protocol` is `resp2` or `resp3`")),
                }
            }
            _ => {
                return Err(refuse(&format!(
                    "parameter `{key}` is not known; known are master, sentinel_user, sentinel_password, client_name, protocol"
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
    if config.master.is_empty() {
        return Err(refuse("the name of the master is missing; add `?master=name`"));
    }
    Ok(config)
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
        (false, None) => {
            Err(refuse("a user without a password; write `user:password@`, or `:password@` for the default user"))
        }
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
            ("redis://a?master=m", "redis-sentinel://"),
            ("redis-sentinel://a", "master=name"),
            ("redis-sentinel://?master=m", "host is empty"),
            ("redis-sentinel://a,,b?master=m", "host is empty"),
            ("redis-sentinel://a:x?master=m", "port"),
            ("redis-sentinel://a/x?master=m", "database `x`"),
            ("redis-sentinel://a/-1?master=m", "database"),
            ("redis-sentinel://user@a?master=m", "without a password"),
            ("redis-sentinel://a?master=m&sentinel_user=u", "sentinel_password"),
            ("redis-sentinel://a?master=m&nope=1", "`nope`"),
            ("redis-sentinel://a?master", "no value"),
            ("redis-sentinel://a?master=%ff", "UTF-8"),
            ("redis-sentinel://a?master=m#x", "%23"),
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_never_shows_in_debug_output() {
        let config = parse("redis-sentinel://u:secret@a?master=m&sentinel_password=hidden").unwrap();
        let text = format!("{config:?}");
        assert!(!text.contains("secret") && !text.contains("hidden"), "{text}");
    }
}
