//! Reasons to let a stop go before anything about it is judged.

use serde::{Deserialize, Serialize};

use super::turn::Turn;
use crate::clock::UnixMillis;
use crate::harness::{Event, Stop};
use crate::switch::Mode;

/// Why a stop was let go without judging it. The names are public contract (`shortCircuit`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The kill switch is on.
    KillSwitch,
    /// The mode is off.
    ModeOff,
    /// A stop hook has already kept this turn going once: never twice.
    StopHookActive,
    /// A subagent stops, not the session.
    Subagent,
    /// Background tasks run or a wake-up is scheduled: the session goes on by itself.
    BackgroundTasks,
    /// Nobody recorded when the session began, so nothing can be said to predate it.
    SessionStartUnknown,
    /// The message gives none of the excuses and promises that the gate listens for.
    NoSignal,
    /// There is an excuse or a promise, but no plan with an open step that predates the session.
    NoEvidence,
    /// The person asked for an end.
    PersonAskedToStop,
    /// The agent has said why its stop is right.
    Contested,
    /// The session owns a build that is not over: the build guard holds it, and one guard is enough.
    LiveBuild,
    /// The ceiling of continues for one prompt of the person is reached.
    ContinueCeiling,
    /// The ceiling of continues for one day is reached.
    DayCeiling,
    /// The person's prompt is too long ago.
    PromptWallClock,
    /// Nothing has changed since the last continue.
    NoProgress,
}

impl Release {
    /// The word in the store, in JSON and on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KillSwitch => "kill-switch",
            Self::ModeOff => "mode-off",
            Self::StopHookActive => "stop-hook-active",
            Self::Subagent => "subagent",
            Self::BackgroundTasks => "background-tasks",
            Self::SessionStartUnknown => "session-start-unknown",
            Self::NoSignal => "no-signal",
            Self::NoEvidence => "no-evidence",
            Self::PersonAskedToStop => "person-asked-to-stop",
            Self::Contested => "contested",
            Self::LiveBuild => "live-build",
            Self::ContinueCeiling => "continue-ceiling",
            Self::DayCeiling => "day-ceiling",
            Self::PromptWallClock => "prompt-wall-clock",
            Self::NoProgress => "no-progress",
        }
    }

    /// What it means, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::KillSwitch => "the kill switch is on",
            Self::ModeOff => "the mode is off",
            Self::StopHookActive => "a stop hook has already kept this turn going once",
            Self::Subagent => "a subagent stopped, not the session",
            Self::BackgroundTasks => "background tasks or scheduled wake-ups keep the session going",
            Self::SessionStartUnknown => "nobody recorded when the session began",
            Self::NoSignal => "the message gives no excuse and no promise",
            Self::NoEvidence => "no plan or task list with open work that is older than the session",
            Self::PersonAskedToStop => "the person asked for an end",
            Self::Contested => "the agent said why its stop is right",
            Self::LiveBuild => "the build guard holds this session",
            Self::ContinueCeiling => "sent back often enough for one prompt",
            Self::DayCeiling => "sent back often enough for one day",
            Self::PromptWallClock => "the person's prompt is too long ago",
            Self::NoProgress => "nothing has changed since the session was last sent back",
        }
    }
}

/// What the payload alone says. The hook asks this first, so that such a stop costs no request.
pub fn by_payload(event: &Event, stop: &Stop) -> Option<Release> {
    by_marks(stop.stop_hook_active, event.agent_id.is_some())
}

fn by_marks(stop_hook_active: bool, subagent: bool) -> Option<Release> {
    if stop_hook_active {
        Some(Release::StopHookActive)
    } else if subagent {
        Some(Release::Subagent)
    } else {
        None
    }
}

/// What is known of a stop before its message is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Circumstances {
    /// The kill switch is on.
    pub killed: bool,
    /// The mode that applies.
    pub mode: Mode,
    /// A subagent stops.
    pub subagent: bool,
    /// A stop hook has already kept the turn going.
    pub stop_hook_active: bool,
    /// Background tasks and scheduled wake-ups.
    pub pending_tasks: usize,
    /// When the session began.
    pub session_start_ms: Option<UnixMillis>,
}

/// Every reason to let go that is known before the message is read, strongest first.
pub fn before_judging(known: &Circumstances, turn: &Turn) -> Option<Release> {
    let first = [(known.killed, Release::KillSwitch), (known.mode == Mode::Off, Release::ModeOff)];
    let last = [
        (known.pending_tasks > 0, Release::BackgroundTasks),
        (turn.person_asked_to_stop, Release::PersonAskedToStop),
        (turn.contested, Release::Contested),
        (known.session_start_ms.is_none(), Release::SessionStartUnknown),
    ];
    let holding = |reasons: &[(bool, Release)]| reasons.iter().find(|(holds, _)| *holds).map(|(_, release)| *release);
    holding(&first).or_else(|| by_marks(known.stop_hook_active, known.subagent)).or_else(|| holding(&last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_alone_releases_and_none_judges() {
        let plain = Circumstances {
            killed: false,
            mode: Mode::Enforce,
            subagent: false,
            stop_hook_active: false,
            pending_tasks: 0,
            session_start_ms: Some(1),
        };
        let turn = Turn::default();
        let ask = |known: Circumstances| before_judging(&known, &turn);
        assert_eq!(ask(plain.clone()), None);
        assert_eq!(ask(Circumstances { mode: Mode::Shadow, ..plain.clone() }), None, "shadow judges like enforce");
        let killed = Circumstances { killed: true, ..plain.clone() };
        assert_eq!(ask(killed.clone()), Some(Release::KillSwitch));
        assert_eq!(ask(Circumstances { mode: Mode::Off, ..killed }), Some(Release::KillSwitch), "kill wins");
        assert_eq!(ask(Circumstances { mode: Mode::Off, ..plain.clone() }), Some(Release::ModeOff));
        assert_eq!(ask(Circumstances { stop_hook_active: true, ..plain.clone() }), Some(Release::StopHookActive));
        assert_eq!(ask(Circumstances { subagent: true, ..plain.clone() }), Some(Release::Subagent));
        assert_eq!(ask(Circumstances { pending_tasks: 1, ..plain.clone() }), Some(Release::BackgroundTasks));
        let unknown = Circumstances { session_start_ms: None, ..plain.clone() };
        assert_eq!(ask(unknown), Some(Release::SessionStartUnknown));
        let asked = Turn { person_asked_to_stop: true, ..Turn::default() };
        assert_eq!(before_judging(&plain, &asked), Some(Release::PersonAskedToStop));
        let contested = Turn { contested: true, ..Turn::default() };
        assert_eq!(before_judging(&plain, &contested), Some(Release::Contested));
    }
}
