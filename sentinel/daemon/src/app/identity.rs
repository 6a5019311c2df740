//! Random numbers that must differ from those of every other process, and what INFO says about this one.

use std::{fs, io};

use crate::{config::Supervised, random, serve::Identity};

/// 40 hex digits, for a Sentinel's id and for run ids.
pub(super) fn random_hex() -> io::Result<String> {
    random::hex(40)
}

/// The seed of the engine's random delays.
pub(super) fn random_seed() -> io::Result<u64> {
    Ok(u64::from_ne_bytes(random::bytes()?))
}

/// What INFO says about this process.
pub(super) fn of_process(config_file: String, supervised: Supervised) -> io::Result<Identity> {
    let system = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    Ok(Identity {
        run_id: random_hex()?,
        build_id: env!("CARGO_PKG_VERSION").to_owned(),
        system: format!("{} {} {}", system("ostype"), system("osrelease"), std::env::consts::ARCH),
        supervised: match super::process::supervisor(supervised) {
            Supervised::Systemd => "systemd",
            Supervised::Upstart => "upstart",
            Supervised::No | Supervised::Auto => "no",
        },
        executable: std::env::current_exe().unwrap_or_default().display().to_string(),
        config_file,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_40_hex_digits_and_differ() {
        let (one, other) = (random_hex().unwrap(), random_hex().unwrap());
        assert!(one.len() == 40 && one.bytes().all(|b| b.is_ascii_hexdigit()), "{one}");
        assert_ne!(one, other);
    }
}
