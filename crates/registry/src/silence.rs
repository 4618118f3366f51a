//! Whether a session's hooks have fallen silent while it goes on.
//!
//! A turn may take hours without an event, so that neither time nor a growing transcript says anything. A prompt does: the
//! harness reports each one, and one that stands in the transcript and was not reported means that our hooks do not run.

use stopgate_core::clock::UnixMillis;

/// The client writes a prompt to its transcript, and runs the hooks, within this time; both clocks are the machine's.
pub(crate) const SLACK_MS: UnixMillis = 30_000;

/// Since when a session is silent: its last event, if a prompt of `last_prompt_at_ms` came after it and had its time to be
/// reported by `now_ms`; `None` if it is not.
pub(crate) fn silent_since(
    last_event_at_ms: Option<UnixMillis>,
    last_prompt_at_ms: Option<UnixMillis>,
    now_ms: UnixMillis,
) -> Option<UnixMillis> {
    let (heard, prompted) = (last_event_at_ms?, last_prompt_at_ms?);
    (prompted > heard.saturating_add(SLACK_MS) && now_ms > prompted.saturating_add(SLACK_MS)).then_some(heard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_that_nobody_reported_in_its_time_is_silence_and_nothing_else_is() {
        let of = |heard, prompted, now| silent_since(Some(heard), Some(prompted), now);
        assert_eq!(of(1_000, 40_000, 80_000), Some(1_000));
        assert_eq!(of(1_000, 40_000, 60_000), None, "the hook may still be on its way");
        assert_eq!(of(1_000, 2_000, 999_000), None, "reported");
        assert_eq!(of(90_000, 40_000, 999_000), None, "heard of since");
        assert_eq!(silent_since(None, Some(40_000), 80_000), None);
        assert_eq!(silent_since(Some(1_000), None, 80_000), None);
    }
}
