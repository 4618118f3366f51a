//! One module a command.

pub(crate) mod authority;
pub(crate) mod build;
pub(crate) mod config;
pub(crate) mod coordination;
pub(crate) mod explain;
pub(crate) mod fence;
pub(crate) mod gate;
pub(crate) mod kill;
pub(crate) mod lease;
pub(crate) mod mode;
pub(crate) mod reaper;
pub(crate) mod resume;
pub(crate) mod room;
pub(crate) mod sessions;
pub(crate) mod status;
pub(crate) mod top;
pub(crate) mod trial;
