//! Reasons to let a stop go that are known before its message is read.

use serde::{Deserialize, Serialize};
use stopgate_core::clock::UnixMillis;
use stopgate_core::release::{Release, by_marks};
use stopgate_core::switch::Mode;

use crate::turn::PersonTurn;

/// What is known of a stop before its message is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances {
    /// The kill switch is on.
    pub killed: bool,
    /// The mode that applies.
    pub mode: Mode,
    /// A subagent stops.
    pub subagent: bool,
    /// A stop hook has already kept the turn going.
    #[serde(alias = "stopHookActive")]
    pub stop_hook_active: bool,
    /// Background tasks and scheduled wake-ups that bring the session back to its work.
    #[serde(alias = "pendingTasks")]
    pub pending_tasks: usize,
    /// What ended the turn, where that was neither the message nor the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// When the session began.
    #[serde(alias = "sessionStartMs")]
    pub session_start_ms: Option<UnixMillis>,
}

impl Circumstances {
    /// In enforce, of a session that began at `session_start_ms`, with nothing that lets go.
    pub const fn plain(session_start_ms: UnixMillis) -> Self {
        Self {
            killed: false,
            mode: Mode::Enforce,
            subagent: false,
            stop_hook_active: false,
            pending_tasks: 0,
            ended_by: None,
            session_start_ms: Some(session_start_ms),
        }
    }
}

/// What ends a turn besides what the agent says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The client is in plan mode.
    PlanMode,
    /// The last tool that was called asks the person something.
    Question,
    /// The client could not reach the model, or was refused by it.
    ApiError,
}

impl EndedBy {
    const fn release(self) -> Release {
        match self {
            Self::PlanMode => Release::PlanMode,
            Self::Question => Release::AskedByTool,
            Self::ApiError => Release::ApiError,
        }
    }
}

/// Every reason to let go that is known before the message is read, strongest first.
pub fn before_judging(known: &Circumstances, turn: &PersonTurn) -> Option<Release> {
    let first = [(known.killed, Release::KillSwitch), (known.mode == Mode::Off, Release::ModeOff)];
    let last = [
        (known.pending_tasks > 0, Release::BackgroundTasks),
        (turn.person_asked_to_stop, Release::PersonAskedToStop),
        (turn.person_interrupted, Release::PersonInterrupted),
        (turn.contested, Release::Contested),
        (known.session_start_ms.is_none(), Release::SessionStartUnknown),
    ];
    let holding = |reasons: &[(bool, Release)]| reasons.iter().find(|(holds, _)| *holds).map(|(_, release)| *release);
    let ended_by = known.ended_by.map(EndedBy::release);
    holding(&first).or_else(|| by_marks(known.stop_hook_active, known.subagent)).or(ended_by).or_else(|| holding(&last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_alone_releases_and_none_judges() {
        let plain = Circumstances::plain(1);
        let turn = PersonTurn::default();
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
        for (by, release) in [
            (EndedBy::PlanMode, Release::PlanMode),
            (EndedBy::Question, Release::AskedByTool),
            (EndedBy::ApiError, Release::ApiError),
        ] {
            assert_eq!(ask(Circumstances { ended_by: Some(by), ..plain.clone() }), Some(release));
        }
        let unknown = Circumstances { session_start_ms: None, ..plain.clone() };
        assert_eq!(ask(unknown), Some(Release::SessionStartUnknown));
        let asked = PersonTurn { person_asked_to_stop: true, ..PersonTurn::default() };
        assert_eq!(before_judging(&plain, &asked), Some(Release::PersonAskedToStop));
        let interrupted = PersonTurn { person_interrupted: true, ..PersonTurn::default() };
        assert_eq!(before_judging(&plain, &interrupted), Some(Release::PersonInterrupted));
        let contested = PersonTurn { contested: true, ..PersonTurn::default() };
        assert_eq!(before_judging(&plain, &contested), Some(Release::Contested));
    }
}
