//! What a session is doing: from what its harness reported, confirmed by whether its process lives.

use serde::{Deserialize, Serialize};

use crate::clock::{UnixMillis, minutes};
use crate::harness::{EventKind, StartSource};
use crate::process::Liveness;

/// A session that has not had its first prompt counts as starting for this long; then it waits for one.
const STARTING_MS: UnixMillis = minutes(1);
/// The client itself writes to the transcript around a hook's event; what it writes later than this is work.
const SETTLING_MS: UnixMillis = 5_000;
/// A transcript that was written within this time is being written.
const WRITING_MS: UnixMillis = minutes(1);

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// It has just begun.
    Starting,
    /// The agent works.
    Working,
    /// The agent asked the person something in the midst of a turn, such as for a permission.
    Waiting,
    /// The turn is over: the next prompt is the person's.
    Idle,
    /// It ended, and said so; or another session continues it after `/clear`.
    Ended,
    /// Its process is gone, and it never said that it ends.
    Gone,
}

impl SessionState {
    /// All states.
    pub const ALL: [Self; 6] = [Self::Starting, Self::Working, Self::Waiting, Self::Idle, Self::Ended, Self::Gone];

    /// The word on screen and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Idle => "idle",
            Self::Ended => "ended",
            Self::Gone => "gone",
        }
    }

    /// Whether the session is over.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Gone)
    }
}

impl std::fmt::Display for SessionState {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(self.name())
    }
}

/// Whose turn it is since an event. Compaction says nothing about that: it happens on either side's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// A session began, or was taken up again: the person's.
    Started,
    /// The person sent a prompt: the agent's.
    Prompted,
    /// The agent asked for a permission: the person's, in the midst of a turn.
    Asked,
    /// The agent stopped, or was interrupted: the person's.
    Stopped,
}

impl Turn {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Started, Self::Prompted, Self::Asked, Self::Stopped];

    /// The word in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Prompted => "prompted",
            Self::Asked => "asked",
            Self::Stopped => "stopped",
        }
    }

    /// What an event says about whose turn it is; `None` if nothing.
    pub const fn of(event: &EventKind) -> Option<Self> {
        match event {
            EventKind::SessionStart { source: StartSource::Compact } => None,
            EventKind::SessionStart { .. } => Some(Self::Started),
            EventKind::UserPromptSubmit { .. } => Some(Self::Prompted),
            EventKind::PermissionRequest { .. } => Some(Self::Asked),
            EventKind::Stop(_) | EventKind::Interrupt => Some(Self::Stopped),
            _ => None,
        }
    }
}

/// What a client says of itself where it says so at all: in a file of its own, whose form is nobody's promise. It follows what
/// no hook reports, such as a turn that was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientStatus {
    /// It waits for a prompt.
    Idle,
    /// It works, or its hooks do.
    Busy,
    /// It has asked its person something.
    Waiting,
}

impl ClientStatus {
    /// The word on screen and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Waiting => "waiting",
        }
    }
}

/// What is known of a session, for [`state`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    /// Whose turn it is, and since when.
    pub turn: Option<(Turn, UnixMillis)>,
    /// When it ended, if it did.
    pub ended_at_ms: Option<UnixMillis>,
    /// When the gate last sent it back to its work.
    pub held_at_ms: Option<UnixMillis>,
    /// When its transcript was last written.
    pub written_at_ms: Option<UnixMillis>,
    /// Whether its process lives.
    pub liveness: Liveness,
    /// What its client says, and since when.
    pub told: Option<(ClientStatus, UnixMillis)>,
}

/// What a session is doing.
pub fn state(known: &Known, now_ms: UnixMillis) -> SessionState {
    if known.ended_at_ms.is_some() {
        return SessionState::Ended;
    }
    if known.liveness == Liveness::Gone {
        return SessionState::Gone;
    }
    // What is older than the last event is about the turn before.
    let told = known.told.filter(|(_, told)| known.turn.is_none_or(|(_, at)| *told > at));
    match told {
        Some((ClientStatus::Waiting, _)) => return SessionState::Waiting,
        Some((ClientStatus::Busy, _)) => return SessionState::Working,
        // A turn that was interrupted, or a question that was dismissed; a start and a stop say themselves what they are.
        Some((ClientStatus::Idle, _)) if matches!(known.turn, Some((Turn::Prompted | Turn::Asked, _))) => {
            return SessionState::Idle;
        }
        _ => {}
    }
    let Some((turn, at_ms)) = known.turn else { return SessionState::Starting };
    let written_since = known.written_at_ms.is_some_and(|written| written > at_ms + SETTLING_MS);
    let is_writing = written_since && known.written_at_ms.is_some_and(|written| now_ms - written < WRITING_MS);
    match turn {
        Turn::Prompted => SessionState::Working,
        // A permission that was given shows in the transcript, not in a hook.
        Turn::Asked if written_since => SessionState::Working,
        Turn::Asked => SessionState::Waiting,
        Turn::Started if is_writing => SessionState::Working,
        Turn::Started if now_ms - at_ms < STARTING_MS => SessionState::Starting,
        // A stop that was held is the beginning of more work; one that the build guard held shows in the transcript.
        Turn::Stopped if is_writing || known.held_at_ms.is_some_and(|held| held >= at_ms) => SessionState::Working,
        Turn::Started | Turn::Stopped => SessionState::Idle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SessionState::{Ended, Gone, Idle, Starting, Waiting, Working};
    use rstest::rstest;

    const T: UnixMillis = 1_000_000;

    fn known(turn: Turn) -> Known {
        Known { turn: Some((turn, T)), liveness: Liveness::Alive, ..Known::default() }
    }

    fn told(turn: Turn, status: ClientStatus, at: UnixMillis) -> Known {
        Known { told: Some((status, at)), ..known(turn) }
    }

    #[rstest]
    #[case::just_begun(known(Turn::Started), T + 1_000, Starting)]
    #[case::begun_and_left(known(Turn::Started), T + 60_000, Idle)]
    #[case::prompted(known(Turn::Prompted), T + 999_999_999, Working)]
    #[case::asked(known(Turn::Asked), T + 999_999, Waiting)]
    #[case::answered(Known { written_at_ms: Some(T + 9_000), ..known(Turn::Asked) }, T + 999_999, Working)]
    #[case::asked_and_written_at_once(Known { written_at_ms: Some(T + 900), ..known(Turn::Asked) }, T + 9_000, Waiting)]
    #[case::stopped(known(Turn::Stopped), T, Idle)]
    #[case::held(Known { held_at_ms: Some(T), ..known(Turn::Stopped) }, T + 1_000, Working)]
    #[case::held_before(Known { held_at_ms: Some(T - 1), ..known(Turn::Stopped) }, T + 1_000, Idle)]
    #[case::writes_on(Known { written_at_ms: Some(T + 9_000), ..known(Turn::Stopped) }, T + 10_000, Working)]
    #[case::wrote_once_more(Known { written_at_ms: Some(T + 9_000), ..known(Turn::Stopped) }, T + 100_000, Idle)]
    #[case::ended(Known { ended_at_ms: Some(T), liveness: Liveness::Gone, ..known(Turn::Stopped) }, T, Ended)]
    #[case::killed(Known { liveness: Liveness::Gone, ..known(Turn::Prompted) }, T, Gone)]
    #[case::who_knows(Known { liveness: Liveness::Unknown, ..known(Turn::Prompted) }, T, Working)]
    #[case::no_event(Known::default(), T, Starting)]
    #[case::interrupted(told(Turn::Prompted, ClientStatus::Idle, T + 9), T + 999, Idle)]
    #[case::idle_before_the_prompt(told(Turn::Prompted, ClientStatus::Idle, T - 9), T + 999, Working)]
    #[case::idle_when_it_was_prompted(told(Turn::Prompted, ClientStatus::Idle, T), T + 999, Working)]
    #[case::asks_in_its_own_way(told(Turn::Prompted, ClientStatus::Waiting, T + 9), T + 999, Waiting)]
    #[case::woken(told(Turn::Stopped, ClientStatus::Busy, T + 9), T + 999_999, Working)]
    #[case::busy_until_it_stopped(told(Turn::Stopped, ClientStatus::Busy, T - 9), T + 999, Idle)]
    #[case::idle_while_it_starts(told(Turn::Started, ClientStatus::Idle, T + 9), T + 999, Starting)]
    #[case::over_whatever_it_says(Known { liveness: Liveness::Gone, ..told(Turn::Prompted, ClientStatus::Busy, T + 9) }, T, Gone)]
    fn states(#[case] known: Known, #[case] now_ms: UnixMillis, #[case] expected: SessionState) {
        assert_eq!(state(&known, now_ms), expected);
    }

    #[test]
    fn compaction_leaves_the_turn_where_it_is() {
        assert_eq!(Turn::of(&EventKind::SessionStart { source: StartSource::Compact }), None);
        assert_eq!(Turn::of(&EventKind::PreCompact), None);
        assert_eq!(Turn::of(&EventKind::SessionStart { source: StartSource::Resume }), Some(Turn::Started));
        assert_eq!(Turn::of(&EventKind::Interrupt), Some(Turn::Stopped));
    }
}
