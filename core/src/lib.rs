//! Pure types and decisions of stopgate, and the few system calls its hooks need.
//!
//! The hooks link this crate and nothing heavier: no SQLite, no HTTP library, no argument parser. Decisions
//! ([`gate`], [`build`]) are pure functions from typed input to typed output; what touches the system
//! ([`client`], [`stdin`], [`fsx`], [`process`]) is a thin shell that takes its environment, clock and process
//! table from the outside.

pub mod autostart;
pub mod beat;
pub mod build;
pub mod checkout;
pub mod client;
pub mod clock;
pub mod env;
pub mod event_id;
pub mod fsx;
pub mod gate;
pub mod harness;
pub mod holder;
pub mod hook_log;
pub mod lineage;
pub mod owner;
pub mod paths;
pub mod process;
pub mod protocol;
pub mod reaper;
pub mod redact;
pub mod release;
pub mod report;
pub mod session;
pub mod spool;
pub mod stdin;
pub mod subprocess;
pub mod switch;
pub mod text;
pub mod tmux;

/// The version every stopgate binary of this build carries.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
