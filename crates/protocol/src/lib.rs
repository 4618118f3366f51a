//! What people's programs and the authority say to each other over the socket, besides what hooks send
//! (`stopgate_core::protocol`). [`endpoints`] is the table of all of it.

mod authority;
mod breaker;
pub mod endpoint;
pub mod endpoints;
mod events;
mod failure;
mod fence;
mod grades;
mod leases;
mod log;
mod operator;
mod reaper;
mod rooms;
mod sessions;
mod switches;
pub mod version;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

pub use self::authority::*;
pub use self::breaker::*;
pub use self::endpoint::Endpoint;
pub use self::events::*;
pub use self::failure::{ErrorCode, Failure, Problem};
pub use self::fence::*;
pub use self::grades::*;
pub use self::leases::*;
pub use self::log::*;
pub use self::operator::*;
pub use self::reaper::*;
pub use self::rooms::*;
pub use self::sessions::*;
pub use self::switches::*;

/// When a flip still counts. A request can lie in the socket of a hung authority for as long as that hangs, while
/// the person acts in another way: it must not be carried out then (409).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// The switch's file as the asker saw it ([`stopgate_core::switch::stamp`]); a switch that has changed since stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// Until when the asker waits, on the clock of [`stopgate_core::clock::monotonic_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_monotonic_ms: Option<u64>,
}

/// The beginning of an id: an empty one would be everything's.
fn beginning<'de, D: Deserializer<'de>>(field: D) -> Result<Option<String>, D::Error> {
    match Option::<String>::deserialize(field)? {
        Some(text) if text.is_empty() => Err(D::Error::custom("the beginning of an id is empty")),
        given => Ok(given),
    }
}

/// A number of rows in a query; garbage counts as not given.
fn rows_or_none<'de, D: Deserializer<'de>>(field: D) -> Result<Option<u32>, D::Error> {
    Ok(String::deserialize(field)?.parse().ok())
}
