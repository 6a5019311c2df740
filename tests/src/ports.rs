//! Ports that no other test process takes by chance.
//!
//! Asking the kernel for a free port and closing it again is a race: another test, or any outgoing connection, may take it
//! before the server binds it. Here a process reserves blocks of ports by locking one file per block, so that two test processes
//! never share one, and all blocks lie below the range from which the kernel takes ports of outgoing connections.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};

const FIRST_PORT: u16 = 16_000;
const BLOCK: u16 = 20;
/// Linux takes ports of outgoing connections from 32768 upwards by default.
const DEFAULT_EPHEMERAL_START: u16 = 32_768;

/// The blocks this process holds. The locks are kept until the process ends, so a port is never given out twice.
struct Reservation {
    locks: Vec<File>,
    free: Vec<u16>,
}

static RESERVATION: Mutex<Reservation> = Mutex::new(Reservation { locks: Vec::new(), free: Vec::new() });

/// A loopback port on which nothing listens and which no other test process is given.
///
/// # Panics
/// When every block is reserved, which takes hundreds of test processes at once.
pub fn free_port() -> u16 {
    let mut reservation = RESERVATION.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        while let Some(port) = reservation.free.pop() {
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return port;
            }
        }
        let (lock, first) = reserve_block();
        reservation.locks.push(lock);
        reservation.free.extend((first..first + BLOCK).rev());
    }
}

fn reserve_block() -> (File, u16) {
    let folder = lock_folder();
    let blocks = (ephemeral_start() - FIRST_PORT) / BLOCK;
    // Processes start at different places, so that they rarely meet a locked block.
    let start =
        u16::try_from(std::process::id().wrapping_mul(37) % u32::from(blocks)).expect("the remainder is below a u16");
    for step in 0..blocks {
        let block = (start + step) % blocks;
        let path = folder.join(format!("block-{block}.lock"));
        let Ok(file) = OpenOptions::new().create(true).truncate(false).write(true).open(&path) else {
            continue;
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return (file, FIRST_PORT + block * BLOCK);
        }
    }
    panic!("all {blocks} blocks of test ports are locked under {}", folder.display());
}

fn lock_folder() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("sentinel-test-ports-{user}"));
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
    folder
}

fn ephemeral_start() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .filter(|start| *start >= FIRST_PORT + 100 * BLOCK)
        .unwrap_or(DEFAULT_EPHEMERAL_START)
        .min(DEFAULT_EPHEMERAL_START)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_are_given_out_once_and_below_those_of_outgoing_connections() {
        let ports: Vec<u16> = (0..100).map(|_| free_port()).collect();
        let distinct: BTreeSet<u16> = ports.iter().copied().collect();
        assert_eq!(distinct.len(), ports.len());
        assert!(ports.iter().all(|port| (FIRST_PORT..ephemeral_start()).contains(port)));
    }

    #[test]
    fn a_reserved_block_is_not_reserved_again() {
        let (_lock, first) = reserve_block();
        let (_other, second) = reserve_block();
        assert_ne!(first, second);
    }
}
