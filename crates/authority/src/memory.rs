//! What the authority remembers besides the store, so that starts and ceilings hold when the store does not.

use std::collections::HashMap;
use std::path::PathBuf;

use stopgate_core::clock::{STEP_MS, UnixMillis};
use stopgate_core::session::SessionKey;
use stopgate_core::switch::Mode;
use stopgate_gate::asked::AskedAt;
use stopgate_store::{AskedRecord, Continued, SessionFacts, TurnRecord};

/// How many sessions are remembered; the one remembered longest without an event goes first.
const MAX_SESSIONS: usize = 4_096;
/// Continues of a session that are remembered: as many as the largest ceiling of a day.
const MAX_CONTINUES: usize = 200;

/// What is remembered of one session.
#[derive(Debug, Clone, Default)]
struct Remembered {
    facts: Option<SessionFacts>,
    prompt_at_ms: Option<UnixMillis>,
    asked: AskedRecord,
    /// Newest first.
    continues: Vec<(Mode, Continued)>,
    touched: u64,
}

/// Bounded memory of sessions.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    sessions: HashMap<SessionKey, Remembered>,
    clock: u64,
}

impl Memory {
    /// A session began; the first start counts.
    pub(crate) fn session_started(
        &mut self,
        key: &SessionKey,
        at_ms: UnixMillis,
        booted_at_ms: Option<UnixMillis>,
        head: Option<String>,
        cwd: Option<PathBuf>,
    ) {
        let remembered = self.touch(key);
        if remembered.facts.as_ref().is_none_or(|known| known.started_at_ms.is_none_or(|start| at_ms < start)) {
            remembered.facts = Some(SessionFacts {
                started_at_ms: Some(at_ms),
                head_at_start: head,
                start_cwd: cwd,
                booted_at_ms,
                clock_set: false,
            });
        }
    }

    /// What was checked out when a session began has become known.
    pub(crate) fn found_head(&mut self, key: &SessionKey, head: &str) {
        if let Some(facts) = self.sessions.get_mut(key).and_then(|remembered| remembered.facts.as_mut()) {
            facts.head_at_start.get_or_insert_with(|| head.to_owned());
        }
    }

    /// What is remembered of a session's start.
    pub(crate) fn facts(&self, key: &SessionKey) -> Option<SessionFacts> {
        self.sessions.get(key)?.facts.clone()
    }

    /// The person is known to have prompted. Of two times the later one counts, unless it is not over at `now_ms`.
    pub(crate) fn prompted(&mut self, key: &SessionKey, at_ms: UnixMillis, now_ms: UnixMillis) {
        let remembered = self.touch(key);
        let before = remembered.prompt_at_ms.filter(|before| *before <= now_ms.saturating_add(STEP_MS));
        remembered.prompt_at_ms = before.max(Some(at_ms));
    }

    /// What a transcript showed of what is asked for.
    pub(crate) fn shown(&mut self, key: &SessionKey, asked: AskedAt) {
        // What was heard until then is among it, or was somebody else's.
        self.touch(key).asked = AskedRecord { shown: Some(asked), heard: None };
    }

    /// What a hook heard of it.
    pub(crate) fn heard(&mut self, key: &SessionKey, asked: AskedAt) {
        self.touch(key).asked.heard = Some(asked);
    }

    /// What is remembered of the turn of `key` as `mode` counts it.
    pub(crate) fn turn(&self, key: &SessionKey, mode: Mode) -> TurnRecord {
        let Some(remembered) = self.sessions.get(key) else {
            return TurnRecord::default();
        };
        let continues = remembered.continues.iter().filter(|(counted, _)| *counted == mode);
        TurnRecord {
            prompt_at_ms: remembered.prompt_at_ms,
            continues: continues.map(|(_, continued)| continued.clone()).collect(),
            contest: None,
            asked: remembered.asked.clone(),
        }
    }

    /// Counts a continue.
    pub(crate) fn continued(&mut self, key: &SessionKey, mode: Mode, continued: Continued) {
        let remembered = self.touch(key);
        remembered.continues.insert(0, (mode, continued));
        remembered.continues.truncate(MAX_CONTINUES);
    }

    fn touch(&mut self, key: &SessionKey) -> &mut Remembered {
        if self.sessions.len() >= MAX_SESSIONS && !self.sessions.contains_key(key) {
            let oldest = self.sessions.iter().min_by_key(|(_, remembered)| remembered.touched);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.sessions.remove(&oldest);
            }
        }
        self.clock += 1;
        let remembered = self.sessions.entry(key.clone()).or_default();
        remembered.touched = self.clock;
        remembered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::session::Harness;

    fn key(id: usize) -> SessionKey {
        SessionKey::new(Harness::Claude, &format!("s{id}")).unwrap()
    }

    #[test]
    fn the_first_start_counts_and_modes_count_apart() {
        let mut memory = Memory::default();
        memory.session_started(&key(1), 10, Some(1), None, Some("/w".into()));
        memory.session_started(&key(1), 20, Some(2), Some("b".into()), None);
        memory.found_head(&key(1), "a");
        memory.found_head(&key(1), "c");
        let expected = SessionFacts {
            started_at_ms: Some(10),
            head_at_start: Some("a".into()),
            start_cwd: Some("/w".into()),
            booted_at_ms: Some(1),
            clock_set: false,
        };
        assert_eq!(memory.facts(&key(1)), Some(expected));
        let continued = Continued { at_ms: 5, fingerprint: "f".into(), prompt_at_ms: None, boot_ms: None, rule: None };
        memory.continued(&key(1), Mode::Shadow, continued.clone());
        memory.prompted(&key(1), 99_000, 99_000);
        memory.prompted(&key(1), 7, 8);
        memory.prompted(&key(1), 6, 8);
        let turn = memory.turn(&key(1), Mode::Shadow);
        assert_eq!((turn.continues, turn.prompt_at_ms), (vec![continued], Some(7)));
        assert_eq!(memory.turn(&key(1), Mode::Enforce).continues, []);
    }

    #[test]
    fn memory_is_bounded_and_the_stalest_session_is_forgotten() {
        let mut memory = Memory::default();
        for id in 0..=MAX_SESSIONS {
            memory.session_started(&key(id), 1, None, None, None);
        }
        assert_eq!(memory.sessions.len(), MAX_SESSIONS);
        assert_eq!(memory.facts(&key(0)), None);
        assert!(memory.facts(&key(MAX_SESSIONS)).is_some());
    }
}
