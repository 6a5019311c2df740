//! SENTINEL FLUSHCONFIG: everything is written to disk.

use super::{
    Change,
    table::{Does, Subcommand},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Writes the configuration and the state to disk.",
    since: Some("2.8.4"),
    help: &[
        "FLUSHCONFIG",
        "    Write settings and learnt state to disk, also when the file is gone",
        "    or was changed by hand.",
    ],
    ..Subcommand::admin("sentinel|flushconfig", 2, Does::Change(|_| Ok(Some(Change::FlushConfig))))
};
