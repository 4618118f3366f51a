//! Coordination of sessions that work side by side, as pure functions and types: which resources there are, who holds a
//! lease, what a tool call would write, and what the fence makes of it. A hook links it: no SQLite, no processes.

pub mod fence;
pub mod held;
pub mod lease;
pub mod name;
pub mod resource;
pub mod room;
pub mod told;
