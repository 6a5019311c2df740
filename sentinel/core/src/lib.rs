//! The decisions of a Sentinel.
