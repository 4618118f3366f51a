//! Who is speaking: a harness and its session id, never a working directory.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::harness::Harness;

pub mod resume;
pub mod state;

/// Longest session id that is believed; both harnesses use 36-character UUIDs.
const MAX_SESSION_ID_BYTES: usize = 128;

/// The identity of a session. Two sessions in one directory, or in one process, have different keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionKey {
    /// The client the session runs in.
    pub harness: Harness,
    /// The client's own id of the session.
    pub session_id: String,
}

impl SessionKey {
    /// A key, if `session_id` can be one: not blank, at most 128 bytes, printable ASCII.
    pub fn new(harness: Harness, session_id: &str) -> Option<Self> {
        is_session_id(session_id).then(|| Self { harness, session_id: session_id.to_owned() })
    }
}

/// Whether `text` can be the id of a session, in whatever harness.
pub fn is_session_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_SESSION_ID_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl fmt::Display for SessionKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.harness, self.session_id)
    }
}

/// Sessions whose id begins so were made up by the installer's live check; lists leave them out.
pub const LIVE_CHECK_PREFIX: &str = "stopgate-live-check-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implausible_ids_make_no_key() {
        for bad in ["", " ", "a b", "a\nb", "\u{e9}", &"x".repeat(129)] {
            assert_eq!(SessionKey::new(Harness::Claude, bad), None, "{bad:?}");
        }
        assert!(SessionKey::new(Harness::Codex, "01a1fc4a-90c7-7013-84ee-d3e1ce60ec72").is_some());
    }
}
