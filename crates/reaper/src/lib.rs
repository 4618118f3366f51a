//! The reaper's decisions: which idle session may be ended when the machine is short of memory or processors.
//!
//! Pure functions from evidence to a typed decision. Absence of activity proves nothing: a session is ended only on
//! positive proof of idleness, seen several times, and whatever is unknown keeps it. Every reason to keep one is
//! either such a proof of work itself, or runs out.

pub mod activity;
pub mod candidacy;
pub mod gates;
pub mod pressure;
pub mod report;
pub mod screen;
pub mod switch;
