//! What the programs for people share: how they print, lay out, colour, ask, help a shell, and end.
//!
//! Results go to standard output and everything beside them to standard error; nothing else in `stopgate` and
//! `installer` writes to either.

mod columns;
pub mod command_line;
mod consent;
mod exit;
mod failure;
mod output;
mod progress;
mod report;
pub mod shell_help;
mod tone;

pub use columns::{columns, figures, fitted};
pub use consent::{Consent, ask_line, consent, has_terminal};
pub use exit::ExitStatus;
pub use failure::end;
pub use output::{hung_up, json, line, lost, note, raw};
pub use progress::with_progress;
pub use report::Printer;
pub use tone::{Tone, has_colour, painted};
