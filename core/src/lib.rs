//! Pure types and decisions of stopgate, and the few system calls its hooks need.
//!
//! The hooks link this crate and nothing heavier: no SQLite, no HTTP library, no argument parser. Decisions
//! ([`gate`], [`build`]) are pure functions from typed input to typed output; what touches the system
//! ([`client`], [`stdin`], [`fsx`], [`process`]) is a thin shell that takes its environment, clock and process
//! table from the outside.
//!
//! | modules | what they are about |
//! | --- | --- |
//! | [`harness`], [`session`], [`lineage`], [`event_id`] | what a harness says and hears, and who is speaking |
//! | [`gate`], [`stop_request`], [`report`] | may this turn end, did the person ask for an end, what came of it all |
//! | [`build`], [`owner`] | a build, and how a session proves that it owns it |
//! | [`reaper`] | which idle session may be ended |
//! | [`process`], [`tmux`], [`checkout`] | who is who on this machine, and where |
//! | [`client`], [`protocol`], [`autostart`], [`holder`], [`spool`] | the way to the authority, and around it when it is down |
//! | [`switch`], [`beat`], [`hook_log`], [`paths`] | switches, signs of life, logs, and where they lie |
//! | [`env`](mod@env), [`clock`], [`fsx`], [`stdin`], [`subprocess`] | the world, under limits |
//! | [`text`], [`redact`] | text from outside |

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
pub mod report;
pub mod session;
pub mod shell;
pub mod spool;
pub mod startup;
pub mod stdin;
pub mod stop_request;
pub mod subprocess;
pub mod switch;
pub mod text;
pub mod tmux;

/// The version every stopgate binary of this build carries.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
