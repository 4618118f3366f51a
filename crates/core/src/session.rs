//! Who is speaking: a harness and its session id, never a working directory.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub mod resume;
pub mod state;

/// A coding-agent client that runs hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Harness {
    /// Anthropic's Claude Code.
    Claude,
    /// `OpenAI`'s Codex CLI.
    Codex,
}

impl Harness {
    /// All harnesses.
    pub const ALL: [Self; 2] = [Self::Claude, Self::Codex];

    /// The name used as the hooks' argument, in the store and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
        }
    }
}

impl fmt::Display for Harness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Harness {
    type Err = UnknownHarness;

    fn from_str(name: &str) -> Result<Self, UnknownHarness> {
        Self::ALL.into_iter().find(|harness| harness.name() == name).ok_or(UnknownHarness)
    }
}

/// The name is that of no harness this version speaks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownHarness;

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
        let plausible = !session_id.is_empty()
            && session_id.len() <= MAX_SESSION_ID_BYTES
            && session_id.bytes().all(|byte| byte.is_ascii_graphic());
        plausible.then(|| Self { harness, session_id: session_id.to_owned() })
    }
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
