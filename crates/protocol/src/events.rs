//! What is answered to a hook that reports an event. Hooks look at the status, and at `tell`.

use serde::{Deserialize, Serialize};

/// Answer of [`HookEvent`](stopgate_core::protocol::HookEvent): it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTaken {
    /// The event.
    pub event_id: String,
    /// False when it was known already.
    pub recorded: bool,
    /// What the agent is to be told: of others in its working tree, and of its leases.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tell: String,
}
