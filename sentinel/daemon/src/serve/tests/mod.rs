//! Stories with real connections on the loopback, told against a monitor that the test plays itself.

mod acl;
mod events;
mod harness;
mod limits;
mod question;
mod reference;
mod sessions;
