//! Who may do what on this port: users, their passwords and permissions, in the rules language of 7.0.
//!
//! A rule is applied once, when it is configured or comes with ACL SETUSER; what remains of it is a set of bits and
//! some patterns. A session holds its user, whose present [`Rules`] are swapped as a whole: a request costs one bit to
//! look up, and nothing at all where the user may do everything. Rules come in from the configuration and the ACL file
//! through [`Access`], before anything is served.

mod access;
mod describe;
mod file;
mod log;
mod password;
mod rules;
mod selector;
mod set;
#[cfg(test)]
mod tests;
mod users;

pub(crate) use access::check_line;
pub use access::{Access, AccessError};
pub(crate) use file::{load, save};
pub(crate) use log::{Entry, Reason};
pub(crate) use rules::Fault;
pub(crate) use selector::Selector;
pub(crate) use users::{Account, Refused, Users, is_default};

/// What a request lacks, the nearest miss last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Denied {
    /// A user: nobody has logged in.
    Login,
    /// Permission for the command.
    Command,
    /// Permission for the channel at this position among the words of the request.
    Channel(usize),
}
