//! What clients ask of a Sentinel: `SENTINEL ...`, ROLE, INFO's sentinel section, and hellos by PUBLISH.
//!
//! A [`Query`] is answered from a [`View`](crate::View) by whoever holds the client; a [`Change`] goes to the engine.

mod change;

pub use change::{Change, GlobalOption, MasterSetting, NewMaster, SetOption, TimingParameter};
