//! Reasons to let a stop go before anything about it is judged.

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
    /// The client is in plan mode: the agent may not do what it plans.
    PlanMode,
    /// The turn ended with a tool that asks the person.
    AskedByTool,
    /// The client could not reach the model, or was refused by it.
    ApiError,
    /// Nobody recorded when the session began, so nothing can be said to predate it.
    SessionStartUnknown,
    /// The message gives none of the excuses and promises that the gate listens for.
    NoSignal,
    /// The person did not ask for what is left: for an answer, an end or a part, or for nothing.
    NotAskedFor,
    /// By its words the agent needs somebody, or has nothing left, and nothing speaks against that.
    ReadsLegitimate,
    /// There is an excuse or a promise, but no plan with an open step that predates the session.
    NoEvidence,
    /// The person asked for an end.
    PersonAskedToStop,
    /// The person interrupted the session, and has not prompted since.
    PersonInterrupted,
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
    /// A program reads the answer, and the first one would be lost to it.
    Headless,
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
            Self::PlanMode => "plan-mode",
            Self::AskedByTool => "asked-by-tool",
            Self::ApiError => "api-error",
            Self::SessionStartUnknown => "session-start-unknown",
            Self::NoSignal => "no-signal",
            Self::NotAskedFor => "not-asked-for",
            Self::ReadsLegitimate => "reads-legitimate",
            Self::NoEvidence => "no-evidence",
            Self::PersonAskedToStop => "person-asked-to-stop",
            Self::PersonInterrupted => "person-interrupted",
            Self::Contested => "contested",
            Self::LiveBuild => "live-build",
            Self::ContinueCeiling => "continue-ceiling",
            Self::DayCeiling => "day-ceiling",
            Self::PromptWallClock => "prompt-wall-clock",
            Self::NoProgress => "no-progress",
            Self::Headless => "headless",
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
            Self::PlanMode => "the client is in plan mode, where nothing is done",
            Self::AskedByTool => "the turn ended with a question to the person, by a tool",
            Self::ApiError => "the client could not reach the model, or was refused by it",
            Self::SessionStartUnknown => "nobody recorded when the session began",
            Self::NoSignal => "the message gives no excuse and no promise",
            Self::NotAskedFor => "the person did not ask for what is left",
            Self::ReadsLegitimate => "the message reads as if somebody were needed, and nothing speaks against it",
            Self::NoEvidence => "no open work on record that this session has to do with",
            Self::PersonAskedToStop => "the person asked for an end",
            Self::PersonInterrupted => "the person interrupted the session, and has not prompted since",
            Self::Contested => "the agent said why its stop is right",
            Self::LiveBuild => "the build guard holds this session",
            Self::ContinueCeiling => "sent back often enough for one prompt",
            Self::DayCeiling => "sent back often enough for one day",
            Self::PromptWallClock => "the person's prompt is too long ago",
            Self::NoProgress => "nothing has changed since the session was last sent back",
            Self::Headless => "the session is not interactive, and its first answer would be lost",
        }
    }
}

/// What the marks of a stop say: a stop hook has kept the turn going already, or a subagent stops. The hook asks this
/// first, so that such a stop costs no request.
pub fn by_marks(stop_hook_active: bool, subagent: bool) -> Option<Release> {
    if stop_hook_active {
        Some(Release::StopHookActive)
    } else if subagent {
        Some(Release::Subagent)
    } else {
        None
    }
}
