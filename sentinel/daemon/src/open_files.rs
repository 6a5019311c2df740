//! How many files this process may have open, which bounds how many clients it can have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept back for everything that is no client, as in the reference: links, files, sockets that listen.
const RESERVED: u64 = 32;

/// What the system grants, and what to say about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// As many clients as there is room for.
    pub(crate) max_clients: u32,
    /// The reference's words. Warnings, unless all that was wanted is granted.
    pub(crate) said: Vec<String>,
}

/// Too few files for a single client. The text is the reference's.
#[derive(Debug, thiserror::Error)]
#[error(
    "Your current 'ulimit -n' of {limit} is not enough for the server to start. Please increase your open file limit to \
     at least {wanted}. Exiting."
)]
pub struct TooFewFiles {
    limit: u64,
    wanted: u64,
}

/// Raises the limit as far as `max_clients` needs and the system lets us.
pub(crate) fn make_room(max_clients: u32) -> Result<Granted, TooFewFiles> {
    let before = getrlimit(Resource::Nofile);
    grant(max_clients, &before, |limit| setrlimit(Resource::Nofile, limit).map_err(std::io::Error::from))
}

fn grant(
    max_clients: u32,
    before: &Rlimit,
    mut set: impl FnMut(Rlimit) -> std::io::Result<()>,
) -> Result<Granted, TooFewFiles> {
    let wanted = u64::from(max_clients) + RESERVED;
    // None is no limit.
    let Some(current) = before.current.filter(|current| *current < wanted) else {
        return Ok(Granted { max_clients, said: Vec::new() });
    };
    // The privileged may raise the upper limit, too.
    let whole = Rlimit { current: Some(wanted), maximum: before.maximum.map(|maximum| maximum.max(wanted)) };
    let Err(error) = set(whole) else {
        let said = format!("Increased maximum number of open files to {wanted} (it was originally set to {current}).");
        return Ok(Granted { max_clients, said: vec![said] });
    };
    let upper = before.maximum.unwrap_or(wanted).min(wanted);
    let best = if upper > current && set(Rlimit { current: Some(upper), maximum: before.maximum }).is_ok() {
        upper
    } else {
        current
    };
    if best <= RESERVED {
        return Err(TooFewFiles { limit: current, wanted });
    }
    let room = u32::try_from(best - RESERVED).unwrap_or(max_clients).min(max_clients);
    let why = crate::config::system_text(&error);
    Ok(Granted {
        max_clients: room,
        said: vec![
            format!("You requested maxclients of {max_clients} requiring at least {wanted} max file descriptors."),
            format!("Server can't set maximum open files to {wanted} because of OS error: {why}."),
            format!(
                "Current maximum open files is {best}. maxclients has been reduced to {room} to compensate for low ulimit. \
                 If you need higher maxclients increase 'ulimit -n'."
            ),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse_above(most: u64) -> impl FnMut(Rlimit) -> std::io::Result<()> {
        move |limit| {
            let asked = limit.maximum.unwrap_or(u64::MAX);
            if asked > most { Err(std::io::Error::from_raw_os_error(1)) } else { Ok(()) }
        }
    }

    fn limit(current: u64, maximum: u64) -> Rlimit {
        Rlimit { current: Some(current), maximum: Some(maximum) }
    }

    #[test]
    fn enough_is_left_alone_and_too_little_is_raised() {
        let room = |clients, before, most| grant(clients, &before, refuse_above(most)).unwrap();
        assert_eq!(room(100, limit(132, 132), 132), Granted { max_clients: 100, said: Vec::new() });
        let raised = room(100, limit(64, 4096), 4096);
        assert_eq!(raised.max_clients, 100);
        assert_eq!(raised.said, ["Increased maximum number of open files to 132 (it was originally set to 64)."]);
        assert_eq!(room(100, limit(64, 64), 4096).max_clients, 100, "the privileged raise both");
    }

    #[test]
    fn what_cannot_be_raised_leaves_room_for_fewer_clients() {
        let granted = grant(10_000, &limit(64, 200), refuse_above(200)).unwrap();
        assert_eq!(granted.max_clients, 168);
        assert!(granted.said[2].contains("Current maximum open files is 200. maxclients has been reduced to 168"));
        assert!(granted.said[1].ends_with("because of OS error: Operation not permitted."), "{:?}", granted.said);
        let none = grant(10_000, &limit(32, 32), refuse_above(32)).unwrap_err().to_string();
        assert!(none.starts_with("Your current 'ulimit -n' of 32 is not enough for the server to start."), "{none}");
    }
}
