//! The person's turn as the gate counts it: from the store, and from memory where the store does not work.

use stopgate_core::clock::{DAY_MS, Moment, STEP_MS, UnixMillis};
use stopgate_core::person::{End, Person};
use stopgate_core::session::SessionKey;
use stopgate_core::switch::Mode;
use stopgate_gate::RuleId;
use stopgate_gate::asked::{Asked, AskedAt};
use stopgate_gate::turn::PersonTurn;
use stopgate_store::{AskedRecord, Continued, TurnRecord};

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
    // What the transcript shows is the last one, whatever its time.
    remembered.prompt_at_ms = prompt_at_ms(person).or(remembered.prompt_at_ms);
    let mut turn = of(stored, &remembered, started, state.storage.moment());
    turn.contested = stored.contest.is_some();
    turn.person_asked_to_stop = person.end == Some(End::Asked);
    turn.asked = asked(&remembered.asked, &stored.asked, person).unwrap_or_default();
    turn.person_interrupted = person.end == Some(End::Interrupted);
    turn
}

/// What the person asked for: what the transcript shows, after what it showed at an earlier stop; where it shows no
/// prompt of the person's, what was known before, be it shown or heard.
fn asked(remembered: &AskedRecord, stored: &AskedRecord, person: &Person) -> Option<Asked> {
    let shown = remembered.shown.as_ref().or(stored.shown.as_ref());
    let heard = remembered.heard.as_ref().or(stored.heard.as_ref());
    let Some(last) = &person.prompt else {
        let known = shown.into_iter().chain(heard).max_by_key(|known| known.at_ms)?;
        return Some(known.asked.clone());
    };
    let prompts = |since: Option<UnixMillis>| {
        person
            .prompts()
            .filter(move |prompt| prompt.at_ms > since || since.is_none())
            .map(|prompt| prompt.text.as_str())
    };
    let base = shown.filter(|known| last.at_ms >= Some(known.at_ms));
    Some(match base {
        Some(known) => prompts(Some(known.at_ms)).fold(known.asked.clone(), Asked::then),
        // The first stop that is looked at, or one before the last: the conversation was rewound.
        None => Asked::of(prompts(None)),
    })
}

/// The end of the last prompt that is known, be it shown or heard.
pub(crate) fn last_said(state: &State, key: &SessionKey, mode: Mode, stored: &TurnRecord) -> Option<String> {
    let remembered = state.memory().turn(key, mode).asked;
    let known = remembered.shown.as_ref().or(stored.asked.shown.as_ref()).into_iter();
    let known = known.chain(remembered.heard.as_ref().or(stored.asked.heard.as_ref()));
    known.max_by_key(|known| known.at_ms).map(|known| known.said.clone())
}

/// What to write down of that, if the transcript shows when it was said.
pub(crate) fn shown(asked: &Asked, person: &Person) -> Option<AskedAt> {
    let last = person.prompt.as_ref()?;
    Some(AskedAt::new(last.at_ms?, asked.clone(), &last.text))
}

/// When the person last prompted, if the transcript shows it.
pub(crate) fn prompt_at_ms(person: &Person) -> Option<UnixMillis> {
    person.prompt.as_ref().and_then(|prompt| prompt.at_ms)
}

/// Of store and memory each may have seen what the other has not: the larger count holds. Continues are counted by the
/// prompt under which they were given, not by the time of day: one that was set would make few of many.
fn of(stored: &TurnRecord, remembered: &TurnRecord, started: Option<UnixMillis>, now: Moment) -> PersonTurn {
    let prompt = remembered.prompt_at_ms.or(stored.prompt_at_ms);
    let is_future = |at_ms: UnixMillis| at_ms > now.wall_ms.saturating_add(STEP_MS);
    let is_since_prompt = |one: &&Continued| match (one.prompt_at_ms, prompt) {
        (Some(under), Some(prompt)) => under == prompt,
        // Given when no prompt was known, or by an older version.
        (None, Some(prompt)) => one.at_ms >= prompt || is_future(prompt),
        // The session's start was the first.
        (_, None) => true,
    };
    let day = now.wall_ms.saturating_sub(DAY_MS);
    let boot_day = now.boot_ms.saturating_sub(DAY_MS);
    let is_today = |one: &&Continued| one.at_ms >= day || one.boot_ms.is_some_and(|at| at >= boot_day);
    let larger = |test: &dyn Fn(&&Continued) -> bool| {
        let count = |record: &TurnRecord| record.continues.iter().filter(|one| test(one)).count();
        u32::try_from(count(stored).max(count(remembered))).unwrap_or(u32::MAX)
    };
    let since_prompt = || remembered.continues.iter().chain(&stored.continues).filter(is_since_prompt);
    // Nobody was continued before they began: such a start is of a store that was made anew since, and no prompt.
    let is_before_all =
        |start: &UnixMillis| is_future(*start) || remembered.continues.iter().all(|one| one.at_ms >= *start);
    // At least as long ago as the first continue after it was given.
    let first_held = since_prompt().filter_map(|one| one.boot_ms).min();
    let known_at = first_held.map_or(now.wall_ms, |at| now.wall_ms - (now.boot_ms - at).max(0));
    let said_at = prompt.max(started.filter(is_before_all)).or_else(|| first_held.map(|_| known_at));
    PersonTurn {
        now_ms: now.wall_ms,
        prompt_at_ms: said_at.map(|at_ms| at_ms.min(known_at)),
        prompt_name_ms: prompt,
        from_the_future: said_at.is_some_and(is_future),
        continues_since_prompt: larger(&is_since_prompt),
        plan_reminded: since_prompt().any(|one| one.rule == Some(RuleId::PlanNotUpdated)),
        continues_today: larger(&is_today),
        last_fingerprint: since_prompt().next().map(|one| one.fingerprint.clone()),
        ..PersonTurn::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(prompt_at_ms: Option<UnixMillis>, continues: &[UnixMillis]) -> TurnRecord {
        let at = |at_ms: &UnixMillis| Continued {
            at_ms: *at_ms,
            fingerprint: format!("f{at_ms}"),
            prompt_at_ms: None,
            boot_ms: None,
            rule: None,
        };
        TurnRecord { prompt_at_ms, continues: continues.iter().map(at).collect(), ..TurnRecord::default() }
    }

    /// The time of day, so long after the boot.
    fn now(wall_ms: UnixMillis) -> Moment {
        Moment { wall_ms, boot_ms: 50, awake_ms: 50 }
    }

    #[test]
    fn a_clock_that_was_ahead_makes_no_continue_uncounted() {
        let day = 100 * DAY_MS;
        let under = |prompt: Option<UnixMillis>, at_ms, boot_ms| Continued {
            at_ms,
            fingerprint: format!("f{boot_ms}"),
            prompt_at_ms: prompt,
            boot_ms: Some(boot_ms),
            rule: None,
        };
        let ahead = day + DAY_MS;
        let continues = |prompt| vec![under(prompt, day + 2, 40), under(prompt, day + 1, 30)];
        // A prompt of tomorrow, a start of tomorrow, and both.
        for (prompt, started) in [(Some(ahead), Some(day)), (None, Some(ahead)), (Some(ahead), Some(ahead))] {
            let stored = TurnRecord { prompt_at_ms: prompt, continues: continues(prompt), ..TurnRecord::default() };
            for (stored, remembered) in [(&stored, &TurnRecord::default()), (&TurnRecord::default(), &stored)] {
                let turn = of(stored, remembered, started, now(day + 3));
                assert_eq!((turn.continues_since_prompt, turn.last_fingerprint.as_deref()), (2, Some("f40")));
                assert_eq!((turn.prompt_at_ms, turn.from_the_future), (Some(day + 3 - 20), true), "{turn:?}");
            }
        }
        // The next prompt has an earlier time, and is another one all the same.
        let stored =
            TurnRecord { prompt_at_ms: Some(ahead), continues: continues(Some(ahead)), ..TurnRecord::default() };
        let shown = TurnRecord { prompt_at_ms: Some(day), ..TurnRecord::default() };
        let turn = of(&stored, &shown, Some(day), now(day + 3));
        assert_eq!((turn.continues_since_prompt, turn.continues_today, turn.from_the_future), (0, 2, false));
        // They were given today, whatever the clock says by now.
        let turn = of(&stored, &TurnRecord::default(), Some(day), now(day + 40 * DAY_MS));
        assert_eq!((turn.continues_since_prompt, turn.continues_today), (2, 2));
    }

    #[test]
    fn a_prompt_starts_the_count_anew_but_not_the_day_s() {
        let turn = of(&record(Some(50), &[60, 40, 30]), &TurnRecord::default(), Some(10), now(100));
        assert_eq!((turn.continues_since_prompt, turn.continues_today), (1, 3));
        assert_eq!((turn.prompt_at_ms, turn.last_fingerprint.as_deref()), (Some(50), Some("f60")));
        let turn = of(&record(Some(70), &[60, 40, 30]), &TurnRecord::default(), Some(10), now(100));
        assert_eq!((turn.continues_since_prompt, turn.last_fingerprint), (0, None));
        let turn = of(&record(None, &[60]), &TurnRecord::default(), Some(10), now(100));
        assert_eq!((turn.continues_since_prompt, turn.prompt_at_ms), (1, Some(10)), "the start is the first prompt");
    }

    #[test]
    fn memory_counts_where_the_store_does_not_work() {
        let remembered = record(Some(50), &[90, 80]);
        for stored in [TurnRecord::default(), record(Some(50), &[80])] {
            let turn = of(&stored, &remembered, Some(10), now(100));
            assert_eq!((turn.continues_since_prompt, turn.last_fingerprint.as_deref()), (2, Some("f90")));
        }
    }

    #[test]
    fn a_start_that_comes_after_a_continue_is_no_prompt() {
        let turn = of(&TurnRecord::default(), &record(None, &[40, 30]), Some(50), now(100));
        assert_eq!((turn.continues_since_prompt, turn.continues_today), (2, 2));
        let turn = of(&TurnRecord::default(), &record(Some(45), &[40, 30]), Some(50), now(100));
        assert_eq!((turn.continues_since_prompt, turn.prompt_at_ms), (0, Some(45)), "but a prompt is one");
    }

    #[test]
    fn a_reminder_of_the_plan_counts_for_the_prompt_under_which_it_was_given() {
        let reminded = |prompt, rule| {
            let mut given = record(Some(50), &[60]);
            given.continues[0].rule = rule;
            let turn = |stored: &TurnRecord, remembered: &TurnRecord| of(stored, remembered, Some(10), now(100));
            let shown = TurnRecord { prompt_at_ms: prompt, ..TurnRecord::default() };
            let by_store = turn(&given, &shown).plan_reminded;
            let in_memory = TurnRecord { prompt_at_ms: prompt.or(given.prompt_at_ms), ..given };
            assert_eq!(turn(&TurnRecord::default(), &in_memory).plan_reminded, by_store);
            by_store
        };
        assert!(reminded(None, Some(RuleId::PlanNotUpdated)));
        assert!(!reminded(Some(70), Some(RuleId::PlanNotUpdated)), "another prompt");
        assert!(!reminded(None, Some(RuleId::PlanNextStep)) && !reminded(None, None));
    }

    #[test]
    fn a_day_is_a_day() {
        let now = 10 * DAY_MS;
        let turn = of(&record(Some(1), &[now - 1, now - DAY_MS - 1]), &TurnRecord::default(), None, self::now(now));
        assert_eq!((turn.continues_today, turn.continues_since_prompt), (1, 2));
    }
}
