//! Event ids: UUID version 7 (RFC 9562), made by the hook so that a delivery can be repeated without being
//! counted twice. Hand-written because a hook needs nothing else of the `uuid` crate.

use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::clock::{Clock, UnixMillis};

/// A fresh, time-ordered id in the usual 36-character form.
pub fn new_event_id(clock: &dyn Clock) -> String {
    format_v7(clock.now_ms(), nonce(), nonce() ^ u64::from(std::process::id()))
}

/// A number that nobody can tell beforehand and that does not come twice; no cryptographic key.
pub fn nonce() -> u64 {
    // Each RandomState is keyed from the operating system's randomness and differs from the one before.
    RandomState::new().build_hasher().finish()
}

fn format_v7(now_ms: UnixMillis, high: u64, low: u64) -> String {
    let millis = now_ms.cast_unsigned() & 0xffff_ffff_ffff;
    let top = (millis << 16) | 0x7000 | (high & 0x0fff);
    let bottom = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    let hex = format!("{top:016x}{bottom:016x}");
    let mut id = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        let _ = id.write_char(digit);
    }
    id
}

/// Whether `id` has the shape of a UUID: what the authority accepts as an event id, and a safe file name.
pub fn is_event_id(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{FixedClock, SystemClock};

    #[test]
    fn has_the_version_and_variant_bits_of_a_v7_uuid() {
        let id = format_v7(0x0123_4567_89ab, 0xffff, u64::MAX);
        assert_eq!(id, "01234567-89ab-7fff-bfff-ffffffffffff");
        assert!(is_event_id(&id));
    }

    #[test]
    fn ids_of_the_same_millisecond_differ() {
        let clock = FixedClock(1_700_000_000_000);
        let ids: std::collections::BTreeSet<_> = (0..1000).map(|_| new_event_id(&clock)).collect();
        assert_eq!(ids.len(), 1000);
        assert!(new_event_id(&SystemClock) > new_event_id(&clock), "later ids sort later");
    }

    #[test]
    fn rejects_what_is_not_an_id() {
        for bad in ["", "x", "../../etc/passwd", "01234567-89ab-7fff-bfff-fffffffffffg"] {
            assert!(!is_event_id(bad), "{bad}");
        }
    }
}
