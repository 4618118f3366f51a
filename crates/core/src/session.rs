//! Who is speaking: a harness and its session id, never a working directory.

use std::fmt::{self, Write as _};

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
    /// A key, if `session_id` can be one: not blank, at most 128 bytes, printable ASCII, and no word for nothing.
    pub fn new(harness: Harness, session_id: &str) -> Option<Self> {
        is_session_id(session_id).then(|| Self { harness, session_id: session_id.to_owned() })
    }

    /// A file's name that is this session's alone: an id may have any sign in it that is printed.
    pub fn file_name(&self) -> String {
        let mut name = format!("{}-", self.harness);
        for byte in self.session_id.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => name.push(char::from(byte)),
                byte => drop(write!(name, "_{byte:02x}")),
            }
        }
        name
    }
}

/// Whether `text` can be the id of a session, in whatever harness.
pub fn is_session_id(text: &str) -> bool {
    let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    !text.is_empty() && text.len() <= MAX_SESSION_ID_BYTES && is_printable && !is_nothing(text)
}

/// Whether `text` is what programs write where there is no id: a word for nothing, in whatever case and brackets, or a UUID
/// of zeros (or of ones, the largest one that there is). Two sessions that have none are not one session.
fn is_nothing(text: &str) -> bool {
    const WORDS: [&str; 5] = ["null", "undefined", "none", "nil", "nan"];
    let bare = text.trim_matches(|symbol: char| !symbol.is_ascii_alphanumeric());
    let is_word = WORDS.iter().any(|word| bare.eq_ignore_ascii_case(word));
    // Those of a UUID: somebody may well number sessions from 0.
    let only =
        |digit: u8| bare.len() >= 32 && bare.bytes().all(|byte| byte.eq_ignore_ascii_case(&digit) || byte == b'-');
    is_word || bare.is_empty() || only(b'0') || only(b'f')
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
    }

    #[test]
    fn what_says_that_there_is_no_id_makes_no_key() {
        let zero = "00000000-0000-0000-0000-000000000000";
        let words =
            ["null", "undefined", "NULL", "Undefined", "None", "nil", "NaN", "(null)", "<none>", "\"null\"", "-"];
        let zeros = [zero, &zero.replace('-', ""), &format!("{{{zero}}}"), &zero.replace('0', "F")];
        for nothing in words.iter().chain(&zeros) {
            for text in [(*nothing).to_owned(), format!(" {nothing} "), format!("{nothing}\n")] {
                for harness in Harness::ALL {
                    assert_eq!(SessionKey::new(harness, &text), None, "{text:?}");
                }
            }
        }
        for real in [
            "mine",
            "0",
            "nullable",
            "none-of-it",
            "1",
            "a0",
            "f",
            "00000000-0000-0000-0000-000000000001",
            &"0a".repeat(16),
        ] {
            assert!(SessionKey::new(Harness::Claude, real).is_some(), "{real:?}");
        }
        assert!(SessionKey::new(Harness::Codex, "01a1fc4a-90c7-7013-84ee-d3e1ce60ec72").is_some());
    }
}
