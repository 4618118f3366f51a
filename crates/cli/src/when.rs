//! Times and spans for people.

use stopgate_core::clock::UnixMillis;

/// RFC 3339, UTC, to the second: `2026-11-21T07:59:01Z`.
pub(crate) fn rfc3339(at_ms: UnixMillis) -> String {
    jiff::Timestamp::from_second(at_ms.div_euclid(1000)).map_or_else(|_| "out of range".to_owned(), |at| at.to_string())
}

/// How long ago, in the largest unit that fits: `12 s`, `3 min`, `5 h`, `2 d`.
pub(crate) fn ago(at_ms: UnixMillis, now_ms: UnixMillis) -> String {
    let seconds = now_ms.saturating_sub(at_ms).max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_spans_have_one_unit() {
        assert_eq!(rfc3339(1_700_000_000_999), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(i64::MAX), "out of range");
        let spans = [0, 59_999, 60_000, 3_600_000, 86_400_000].map(|span| ago(1_000, 1_000 + span));
        assert_eq!(spans, ["0 s", "59 s", "1 min", "1 h", "1 d"]);
        assert_eq!(ago(5_000, 1_000), "0 s", "a clock that went back");
    }
}
