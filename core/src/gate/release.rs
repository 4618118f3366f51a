//! Reasons to let a stop go before anything about it is judged.

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
    /// The ceiling of continues for the session is reached.
    ContinueCeiling,
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
            Self::ContinueCeiling => "continue-ceiling",
        }
    }
}

/// What the payload alone says. The hook asks this first, so that such a stop costs no request.
pub fn by_payload(event: &Event, stop: &Stop) -> Option<Release> {
    if stop.stop_hook_active {
        Some(Release::StopHookActive)
    } else if event.agent_id.is_some() {
        Some(Release::Subagent)
    } else {
        None
    }
}

/// Every reason to let go that is known before the message is read, strongest first.
pub fn before_judging(
    killed: bool,
    mode: Mode,
    event: &Event,
    stop: &Stop,
    session_start: Option<UnixMillis>,
) -> Option<Release> {
    if killed {
        return Some(Release::KillSwitch);
    }
    if mode == Mode::Off {
        return Some(Release::ModeOff);
    }
    by_payload(event, stop).or_else(|| {
        if stop.pending_tasks > 0 {
            Some(Release::BackgroundTasks)
        } else if session_start.is_none() {
            Some(Release::SessionStartUnknown)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::EventKind;
    use crate::session::{Harness, SessionKey};

    fn event(agent_id: Option<&str>) -> Event {
        Event {
            key: SessionKey::new(Harness::Claude, "s").unwrap(),
            cwd: None,
            transcript_path: None,
            model: None,
            permission_mode: None,
            agent_id: agent_id.map(str::to_owned),
            kind: EventKind::Stop(Stop::default()),
        }
    }

    #[test]
    fn each_reason_alone_releases_and_none_judges() {
        let plain = Stop::default();
        let active = Stop { stop_hook_active: true, ..Stop::default() };
        let busy = Stop { pending_tasks: 1, ..Stop::default() };
        let ask = |killed, mode, agent, stop: &Stop, start| before_judging(killed, mode, &event(agent), stop, start);
        assert_eq!(ask(false, Mode::Enforce, None, &plain, Some(1)), None);
        assert_eq!(ask(false, Mode::Shadow, None, &plain, Some(1)), None, "shadow judges like enforce");
        assert_eq!(ask(true, Mode::Enforce, None, &plain, Some(1)), Some(Release::KillSwitch));
        assert_eq!(ask(true, Mode::Off, None, &plain, Some(1)), Some(Release::KillSwitch), "kill wins");
        assert_eq!(ask(false, Mode::Off, None, &plain, Some(1)), Some(Release::ModeOff));
        assert_eq!(ask(false, Mode::Enforce, None, &active, Some(1)), Some(Release::StopHookActive));
        assert_eq!(ask(false, Mode::Enforce, Some("a"), &plain, Some(1)), Some(Release::Subagent));
        assert_eq!(ask(false, Mode::Enforce, None, &busy, Some(1)), Some(Release::BackgroundTasks));
        assert_eq!(ask(false, Mode::Enforce, None, &plain, None), Some(Release::SessionStartUnknown));
    }
}
