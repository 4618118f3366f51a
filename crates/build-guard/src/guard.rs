//! The part of a build's state that the stop hook reads and writes, taken out of the parsed JSON by hand.
//!
//! Derived code for the whole [`super::state::BuildState`] made the hook 61 KiB larger, which is more than its budget
//! allows; this costs a quarter of that, and every field that the hook does not know survives a write. The tests hold
//! it against the derived code.

use serde_json::Value;

use super::state::{Pause, Phase, SCHEMA, Size};
use crate::owner::OwnerStamp;
use stopgate_core::clock::UnixMillis;
use stopgate_core::json::{count, object, optional, or_null, snake_case_fields, string, text};
use stopgate_core::process::ProcessIdentity;
use stopgate_core::session::Harness;
use stopgate_core::tmux::TmuxPlace;

/// What decides whether a stop is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildGuard {
    /// How far the build is.
    pub phase: Phase,
    /// How strongly it is protected.
    pub size: Size,
    /// Who owns it.
    pub owner: Option<OwnerStamp>,
    /// How many reminders are spent.
    pub reminders_used: u32,
    /// How many of them in a row in the owner's present turn.
    pub reminders_in_turn: u32,
    /// Set while a person has suspended the protection.
    pub pause: Option<Pause>,
}

impl BuildGuard {
    /// Reads it off a state; `None` if that is none.
    pub fn of(state: &Value) -> Option<Self> {
        Some(Self {
            phase: Phase::ALL.into_iter().find(|phase| text(state, "phase") == Some(phase.name()))?,
            size: Size::ALL.into_iter().find(|size| text(state, "size") == Some(size.name()))?,
            owner: optional(state, "owner", stamp)?,
            reminders_used: count(state, "reminders_used")?,
            reminders_in_turn: count(state, "reminders_in_turn")?,
            pause: optional(state, "pause", |pause| {
                Some(Pause { until_ms: optional(pause, "until_ms", Value::as_i64)? })
            })?,
        })
    }

    /// Writes what the hook may change into `state`: the counts and the owner.
    pub fn write_into(&self, state: &mut Value) {
        let Value::Object(fields) = state else { return };
        fields.insert("reminders_used".to_owned(), self.reminders_used.into());
        fields.insert("reminders_in_turn".to_owned(), self.reminders_in_turn.into());
        if let Some(owner) = &self.owner {
            fields.insert("owner".to_owned(), stamp_value(owner));
        }
    }

    /// Whether a person has suspended the protection at `now`.
    pub fn is_paused(&self, now: UnixMillis) -> bool {
        self.pause.is_some_and(|pause| pause.is_on(now))
    }
}

/// The version of the format, if the file says one that this program does not know.
pub(super) fn newer_schema(state: &Value) -> Option<u64> {
    state.get("schema")?.as_u64().filter(|schema| *schema > u64::from(SCHEMA))
}

/// Brings what an earlier version wrote into this version's form.
pub(super) fn upgrade(state: &mut Value) {
    if state.get("schema").and_then(Value::as_u64).is_some_and(|schema| schema < u64::from(SCHEMA)) {
        snake_case_fields(state);
        state["schema"] = SCHEMA.into();
    }
}

fn stamp(value: &Value) -> Option<OwnerStamp> {
    value.is_object().then_some(())?;
    Some(OwnerStamp {
        harness: optional(value, "harness", |name| name.as_str()?.parse::<Harness>().ok())?,
        session_id: optional(value, "session_id", string)?,
        former_sessions: optional(value, "former_sessions", |ids| ids.as_array()?.iter().map(string).collect())?
            .unwrap_or_default(),
        tmux: optional(value, "tmux", TmuxPlace::from_json)?,
        process: optional(value, "process", ProcessIdentity::from_json)?,
        host: optional(value, "host", string)?.unwrap_or_default(),
        stamped_at_ms: optional(value, "stamped_at_ms", Value::as_i64)?.unwrap_or_default(),
    })
}

fn stamp_value(stamp: &OwnerStamp) -> Value {
    let mut value = object([
        ("harness", or_null(stamp.harness.as_ref(), |harness| harness.name().into())),
        ("session_id", or_null(stamp.session_id.as_ref(), |id| id.as_str().into())),
        ("tmux", or_null(stamp.tmux.as_ref(), TmuxPlace::to_json)),
        ("process", or_null(stamp.process.as_ref(), ProcessIdentity::to_json)),
        ("host", stamp.host.as_str().into()),
        ("stamped_at_ms", stamp.stamped_at_ms.into()),
    ]);
    if !stamp.former_sessions.is_empty() {
        let ids = stamp.former_sessions.iter().map(|id| id.as_str().into());
        value["former_sessions"] = Value::Array(ids.collect());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::state::BuildState;
    use super::*;
    use proptest::prelude::*;

    fn process_of(pid: u32, executable: Option<String>, pid_namespace: Option<u64>, shared: bool) -> ProcessIdentity {
        let (command, boot_id) = ("c".into(), "b".into());
        ProcessIdentity { pid, start_ticks: u64::MAX, command, executable, boot_id, pid_namespace, shared }
    }

    prop_compose! {
        fn stamps()(
            harness in prop::option::of(prop::sample::select(vec![Harness::Claude, Harness::Codex])),
            session_id in prop::option::of(".*"),
            former_sessions in prop::collection::vec(".*", 0..3),
            server_pid in prop::option::of(any::<u32>()),
            session in prop::option::of(".*"),
            in_tmux in any::<bool>(),
            process in prop::option::of((any::<u32>(), prop::option::of(".*"), any::<Option<u64>>(), any::<bool>())),
            host in ".*",
            stamped_at_ms in any::<i64>(),
        ) -> OwnerStamp {
            OwnerStamp {
                harness,
                session_id,
                former_sessions,
                tmux: in_tmux.then(|| TmuxPlace { server: "/s".into(), server_pid, session, pane: "%1".into() }),
                process: process.map(|(pid, path, namespace, shared)| process_of(pid, path, namespace, shared)),
                host,
                stamped_at_ms,
            }
        }
    }

    prop_compose! {
        fn states()(
            owner in prop::option::of(stamps()),
            size in prop::sample::select(Size::ALL.to_vec()),
            phase in prop::sample::select(Phase::ALL.to_vec()),
            reminders_used in any::<u32>(),
            pause in prop::option::of(prop::option::of(any::<i64>())),
        ) -> BuildState {
            let pause = pause.map(|until_ms| Pause { until_ms });
            BuildState {
                phase,
                reminders_used,
                pause,
                ..BuildState::started("b".into(), "t".into(), size, owner, 1)
            }
        }
    }

    proptest! {
        #[test]
        fn reads_and_writes_what_the_derived_code_does(state in states(), owner in stamps(), used in any::<u32>()) {
            let mut value = serde_json::to_value(&state).unwrap();
            let mut guard = BuildGuard::of(&value).unwrap();
            prop_assert_eq!(
                (&guard.owner, guard.phase, guard.size, guard.reminders_used, guard.pause),
                (&state.owner, state.phase, state.size, state.reminders_used, state.pause)
            );
            guard.reminders_used = used;
            guard.reminders_in_turn = 7;
            guard.owner = Some(owner.clone());
            value["unknown"] = Value::from("stays");
            guard.write_into(&mut value);
            prop_assert_eq!(&value["unknown"], "stays");
            let expected =
                BuildState { reminders_used: used, reminders_in_turn: 7, owner: Some(owner), ..state };
            prop_assert_eq!(serde_json::from_value::<BuildState>(value).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_garbled_is_not_guessed() {
        let good = serde_json::json!({"phase": "idle", "size": "small"});
        assert!(BuildGuard::of(&good).is_some());
        for (field, bad) in [
            ("phase", Value::from("done")),
            ("size", Value::Null),
            ("reminders_used", Value::from(-1)),
            ("reminders_used", Value::from(u64::MAX)),
            ("owner", Value::from("me")),
            ("owner", serde_json::json!({"process": {"pid": "7"}})),
            ("pause", serde_json::json!({"until_ms": "soon"})),
        ] {
            let mut state = good.clone();
            state[field] = bad.clone();
            assert_eq!(BuildGuard::of(&state), None, "{field}: {bad}");
        }
        assert_eq!(BuildGuard::of(&Value::Null), None);
    }
}
