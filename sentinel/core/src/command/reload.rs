//! SENTINEL RELOAD: the configuration is read again.

use super::table::{Does, Subcommand};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Reads the configuration again and applies what it may.",
    further_help: &[
        "RELOAD",
        "    Read the configuration again, apply what commands could set, and say what",
        "    that was and what needs a restart. With a fault in it nothing counts.",
    ],
    ..Subcommand::ours("sentinel|reload", 2, Does::Reload)
};
