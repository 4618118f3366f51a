//! What the hooks of stopgate link, and nothing else: no SQLite, no HTTP library, no argument parser.
//!
//! What touches the system ([`client`], [`stdin`], [`fsx`], [`process`]) is a thin shell that takes its environment,
//! clock and process table from the outside. What decides is in crates of its own.
//!
//! | modules | what they are about |
//! | --- | --- |
//! | [`hook`] | the hooks themselves, as everybody else sees them |
//! | [`harness`], [`session`], [`lineage`], [`event_id`] | what a harness says and hears, and who is speaking |
//! | [`decision`], [`release`], [`person`], [`stop_request`], [`woken`] | may this turn end: what a hook has to know of it |
//! | [`process`], [`tmux`], [`checkout`] | who is who on this machine, and where |
//! | [`client`], [`protocol`], [`autostart`], [`holder`], [`spool`], [`contest_note`] | the way to the authority, and around it when it is down |
//! | [`switch`], [`beat`], [`hook_log`], [`paths`] | switches, signs of life, logs, and where they lie |
//! | [`env`](mod@env), [`clock`], [`fsx`], [`lock`], [`stdin`], [`startup`], [`subprocess`], [`git`] | the world, under limits |
//! | [`text`], [`json`], [`redact`], [`shell`] | text from outside |

pub mod autostart;
pub mod beat;
pub mod checkout;
pub mod client;
pub mod clock;
pub mod contest_note;
pub mod decision;
pub mod env;
pub mod event_id;
pub mod fsx;
pub mod git;
pub mod harness;
pub mod holder;
pub mod hook;
pub mod hook_log;
pub mod json;
pub mod leave;
pub mod lineage;
pub mod lock;
pub mod paths;
pub mod person;
pub mod process;
pub mod protocol;
pub mod redact;
pub mod release;
pub mod session;
pub mod shell;
pub mod silenced;
pub mod spool;
pub mod startup;
pub mod stdin;
pub mod stdout;
pub mod stop_request;
pub mod subprocess;
pub mod switch;
pub mod text;
pub mod tmux;
pub mod woken;
pub mod words;

/// The version every stopgate binary of this build carries.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
