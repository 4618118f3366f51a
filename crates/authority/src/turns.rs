//! The person's turn as the gate counts it: from the store, and from memory where the store does not work.

use stopgate_core::clock::{DAY_MS, UnixMillis};
use stopgate_core::person::{End, Person};
use stopgate_core::session::SessionKey;
use stopgate_core::switch::Mode;
use stopgate_gate::turn::PersonTurn;
use stopgate_store::{Continued, TurnRecord};

use crate::state::State;

/// The turn of `key` as `mode` counts it, of which the store says `stored` and the transcript `person`.
pub(crate) fn of_session(
    state: &State,
    key: &SessionKey,
    mode: Mode,
    stored: &TurnRecord,
    started: Option<UnixMillis>,
    person: &Person,
) -> PersonTurn {
    let mut remembered = state.memory().turn(key, mode);
    remembered.prompt_at_ms = remembered.prompt_at_ms.max(prompt_at_ms(person));
    let mut turn = of(stored, &remembered, started, state.storage.now_ms());
    turn.contested = stored.contest.is_some();
    turn.person_asked_to_stop = person.end == Some(End::Asked);
    turn.person_interrupted = person.end == Some(End::Interrupted);
    turn
}

/// When the person last prompted, if the transcript shows it.
pub(crate) fn prompt_at_ms(person: &Person) -> Option<UnixMillis> {
    person.prompt.as_ref().and_then(|prompt| prompt.at_ms)
}

/// Of store and memory each may have seen what the other has not: the larger count holds.
fn of(stored: &TurnRecord, remembered: &TurnRecord, started: Option<UnixMillis>, now_ms: UnixMillis) -> PersonTurn {
    // Nobody was continued before they began: such a start is of a store that was made anew since, and no prompt.
    let started = started.filter(|start| remembered.continues.iter().all(|one| one.at_ms >= *start));
    let prompt_at_ms = stored.prompt_at_ms.max(remembered.prompt_at_ms).max(started);
    let since = |continues: &[Continued], at_ms: UnixMillis| continues.iter().filter(|one| one.at_ms >= at_ms).count();
    let count = |at_ms| {
        let larger = since(&stored.continues, at_ms).max(since(&remembered.continues, at_ms));
        u32::try_from(larger).unwrap_or(u32::MAX)
    };
    let newest = stored.continues.first().into_iter().chain(remembered.continues.first()).max_by_key(|one| one.at_ms);
    PersonTurn {
        now_ms,
        prompt_at_ms,
        continues_since_prompt: count(prompt_at_ms.unwrap_or(0)),
        continues_today: count(now_ms.saturating_sub(DAY_MS)),
        last_fingerprint: newest
            .filter(|one| one.at_ms >= prompt_at_ms.unwrap_or(0))
            .map(|one| one.fingerprint.clone()),
        ..PersonTurn::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(prompt_at_ms: Option<UnixMillis>, continues: &[UnixMillis]) -> TurnRecord {
        let at = |at_ms: &UnixMillis| Continued { at_ms: *at_ms, fingerprint: format!("f{at_ms}") };
        TurnRecord { prompt_at_ms, continues: continues.iter().map(at).collect(), contest: None }
    }

    #[test]
    fn a_prompt_starts_the_count_anew_but_not_the_day_s() {
        let turn = of(&record(Some(50), &[60, 40, 30]), &TurnRecord::default(), Some(10), 100);
        assert_eq!((turn.continues_since_prompt, turn.continues_today), (1, 3));
        assert_eq!((turn.prompt_at_ms, turn.last_fingerprint.as_deref()), (Some(50), Some("f60")));
        let turn = of(&record(Some(70), &[60, 40, 30]), &TurnRecord::default(), Some(10), 100);
        assert_eq!((turn.continues_since_prompt, turn.last_fingerprint), (0, None));
        let turn = of(&record(None, &[60]), &TurnRecord::default(), Some(10), 100);
        assert_eq!((turn.continues_since_prompt, turn.prompt_at_ms), (1, Some(10)), "the start is the first prompt");
    }

    #[test]
    fn memory_counts_where_the_store_does_not_work() {
        let remembered = record(Some(50), &[90, 80]);
        for stored in [TurnRecord::default(), record(Some(50), &[80])] {
            let turn = of(&stored, &remembered, Some(10), 100);
            assert_eq!((turn.continues_since_prompt, turn.last_fingerprint.as_deref()), (2, Some("f90")));
        }
    }

    #[test]
    fn a_start_that_comes_after_a_continue_is_no_prompt() {
        let turn = of(&TurnRecord::default(), &record(None, &[40, 30]), Some(50), 100);
        assert_eq!((turn.continues_since_prompt, turn.continues_today), (2, 2));
        let turn = of(&TurnRecord::default(), &record(Some(45), &[40, 30]), Some(50), 100);
        assert_eq!((turn.continues_since_prompt, turn.prompt_at_ms), (0, Some(45)), "but a prompt is one");
    }

    #[test]
    fn a_day_is_a_day() {
        let now = 10 * DAY_MS;
        let turn = of(&record(Some(1), &[now - 1, now - DAY_MS - 1]), &TurnRecord::default(), None, now);
        assert_eq!((turn.continues_today, turn.continues_since_prompt), (1, 2));
    }
}
