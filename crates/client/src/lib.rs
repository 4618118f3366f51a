//! The way of people's programs (`stopgate`, `installer`) to the authority: one for both, so that they start, ask and end
//! it alike. Hooks have a narrower one of their own in `core`, because every turn of every agent waits for it.
//!
//! * `ask`: one question. `error`: why there is no answer.
//! * `arrival`: waits for one that is not there yet. `find`: who serves, also while somebody holds the lock and does not listen. `start`: sees to it that one does.
//! * `ending`: has one make way, or ends it. `silent`: what is said of one that lives and does not serve.
//! * `secluded`: one that was started in a sandbox, and does not see who asks it from outside.
//! * `owner`: whose the home is, where that is not the root user who asks.
//! * `sandbox`: whether this process may ask at all. `limits`: how long each of this may take.

mod arrival;
mod ask;
mod ending;
mod error;
mod find;
mod limits;
mod owner;
mod sandbox;
mod secluded;
mod silent;
mod start;

pub use self::arrival::Arrival;
pub use self::ask::Authority;
pub use self::error::AskError;
pub use self::limits::ANSWER;
pub use self::owner::Owner;
pub use self::sandbox::forbids_sockets;
pub use self::secluded::{Secluded, Seclusion};
pub use self::silent::{Silence, Silent};
pub use self::start::{Successor, Up};
