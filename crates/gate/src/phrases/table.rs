//! The tables by name.

macro_rules! tables {
    ($($table:ident $name:literal),+ $(,)?) => {
        /// A table of phrases; what each is for is said where it is written.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate) enum Table { $($table),+ }

        impl Table {
            pub(super) const ALL: &[(Self, &'static str)] = &[$((Self::$table, $name)),+];
        }
    };
}

tables! {
    ContextLimit "context-limit",
    StopHere "stop-here",
    PutOff "put-off",
    OtherSession "other-session",
    LeaveVerb "leave-verb",
    WorkVerb "work-verb",
    OwnVoice "own-voice",
    Suggestion "suggestion",
    OtherPeople "other-people",
    FirmPromise "firm-promise",
    ListedNext "listed-next",
    NoPromise "no-promise",
    Condition "condition",
    Wait "wait",
    Mends "mends",
    IdleQuestion "idle-question",
    AnsweredQuestion "answered-question",
    CourtesyQuestion "courtesy-question",
    MissingInfo "missing-info",
    MissingInfoWeak "missing-info-weak",
    BlockedByError "blocked-by-error",
    BlockedWeak "blocked-weak",
    Failure "failure",
    NoFailure "no-failure",
    NoError "no-error",
    ClaimsCompletion "claims-completion",
    CompletionWeak "completion-weak",
    TakesBack "takes-back",
    AsAsked "as-asked",
    AskedToStop "asked-to-stop",
    Effort "effort",
    Defers "defers",
    Deferred "deferred",
    StillOpen "still-open",
    Progress "progress",
    AgentWork "agent-work",
    Finite "finite",
    Optional "optional",
    OutOfScope "out-of-scope",
    Approval "approval",
    Outside "outside",
    Future "future",
    Participle "participle",
    NextEnd "next-end",
    GoOnQuestion "go-on-question",
    HandBack "hand-back",
    RealChoice "real-choice",
    Decision "decision",
    Risky "risky",
    RiskyAct "risky-act",
    NothingLeft "nothing-left",
    Delivers "delivers",
    Subordinate "subordinate",
    SecondPerson "second-person",
    GoOnOffer "go-on-offer",
    Relative "relative",
    RoundsOff "rounds-off",
    NoParticiple "no-participle",
    OwnWords "own-words",
    OwnLimit "own-limit",
}
