//! What is answered to a hook that reports an event. Hooks look at the status alone.

use serde::{Deserialize, Serialize};

/// Answer of [`HookEvent`](stopgate_core::protocol::HookEvent): it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTaken {
    /// The event.
    pub event_id: String,
    /// False when it was known already.
    pub recorded: bool,
}
