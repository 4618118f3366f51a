//! The way of people's programs (`stopgate`, `installer`) to the authority: one for both, so that they start, ask and end
//! it alike. Hooks have a narrower one of their own in `core`, because every turn of every agent waits for it.
//!
//! * `ask`: one question. `error`: why there is no answer.
//! * `find`: who serves, also while somebody holds the lock and does not listen. `start`: sees to it that one does.
//! * `ending`: has one make way, or ends it. `silent`: what is said of one that lives and does not serve.
//! * `sandbox`: whether this process may ask at all. `limits`: how long each of this may take.

mod ask;
mod ending;
mod error;
mod find;
mod limits;
mod sandbox;
mod silent;
mod start;

pub use self::ask::Authority;
pub use self::error::AskError;
pub use self::limits::ANSWER;
pub use self::sandbox::forbids_sockets;
pub use self::silent::{Silence, Silent};
pub use self::start::{Successor, Up};
