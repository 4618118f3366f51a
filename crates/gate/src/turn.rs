//! How often a session may be sent back to work: per prompt of the person, per day, and for how long.

use serde::{Deserialize, Serialize};

use crate::asked::{Asked, PromptClass};
use stopgate_config::{GateConfig, HeadlessHold};
use stopgate_core::clock::{UnixMillis, minutes};
use stopgate_core::release::Release;

/// What limits how often and how long a session is sent back: what `[gate]` of `config.toml` says of it, as it is
/// written down with each verdict. The names are in the stores of users; one that a store of an older version does not
/// have counts as the default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ceilings {
    /// Continues for one prompt of the person.
    #[serde(alias = "perPrompt")]
    pub per_prompt: u32,
    /// Continues within 24 hours.
    #[serde(alias = "perDay")]
    pub per_day: u32,
    /// How long after the person's prompt, in milliseconds.
    #[serde(alias = "promptWallClockMs")]
    pub prompt_wall_clock_ms: i64,
    /// Whether facts that are the same as at the last continue let go.
    #[serde(alias = "withoutProgress")]
    pub without_progress: bool,
}

impl From<&GateConfig> for Ceilings {
    fn from(config: &GateConfig) -> Self {
        Self {
            per_prompt: config.continues_per_prompt,
            per_day: config.continues_per_day,
            prompt_wall_clock_ms: minutes(config.prompt_wall_clock_minutes),
            without_progress: config.release_without_progress,
        }
    }
}

impl Default for Ceilings {
    fn default() -> Self {
        Self::from(&GateConfig::default())
    }
}

/// What is known of the person's turn that the agent wants to end, and of the session's day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PersonTurn {
    /// Now.
    #[serde(alias = "nowMs")]
    pub now_ms: UnixMillis,
    /// When the person last prompted; the session's start where no prompt is known to be the person's.
    #[serde(alias = "promptAtMs")]
    pub prompt_at_ms: Option<UnixMillis>,
    /// The time that names that prompt, as its transcript has it, however the clocks went since: by it continues are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_name_ms: Option<UnixMillis>,
    /// The prompt, or the start, was recorded by a clock that was ahead: `prompt_at_ms` is cut to what is known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub from_the_future: bool,
    /// Continues since then, in the mode that judges.
    #[serde(alias = "continuesSincePrompt")]
    pub continues_since_prompt: u32,
    /// One of those was to have a plan brought up to date ([`RuleId::PlanNotUpdated`](crate::RuleId::PlanNotUpdated)).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub plan_reminded: bool,
    /// Continues of the last 24 hours, in that mode.
    #[serde(alias = "continuesToday")]
    pub continues_today: u32,
    /// Facts of the last continue since the prompt.
    #[serde(alias = "lastFingerprint")]
    pub last_fingerprint: Option<String>,
    /// The person asked for an end.
    #[serde(alias = "personAskedToStop")]
    pub person_asked_to_stop: bool,
    /// The person interrupted the session, and has not prompted since.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub person_interrupted: bool,
    /// The agent has said why its stop is right (`stopgate gate contest`), and has not stopped since.
    pub contested: bool,
    /// The session is not interactive, and what it was asked for is not to be held there (`gate.headless`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub headless: bool,
    /// What the person asked for.
    #[serde(skip_serializing_if = "Asked::is_unknown")]
    pub asked: Asked,
}

/// Whether a stop of a session that is not interactive is let go, whatever is found, where this was asked for.
pub fn headless_lets_go(hold: HeadlessHold, asked: &Asked) -> bool {
    match hold {
        HeadlessHold::Execute => asked.class != Some(PromptClass::Execute),
        HeadlessHold::Never => true,
        HeadlessHold::Always => false,
    }
}

/// Why a continue is not given after all.
pub fn ceiling(turn: &PersonTurn, ceilings: &Ceilings, fingerprint: &str) -> Option<Release> {
    if turn.headless {
        Some(Release::Headless)
    } else if turn.continues_since_prompt >= ceilings.per_prompt {
        Some(Release::ContinueCeiling)
    } else if turn.continues_today >= ceilings.per_day {
        Some(Release::DayCeiling)
    } else if turn.prompt_at_ms.is_some_and(|at_ms| turn.now_ms.saturating_sub(at_ms) >= ceilings.prompt_wall_clock_ms)
    {
        Some(Release::PromptWallClock)
    } else if ceilings.without_progress
        && !fingerprint.is_empty()
        && turn.last_fingerprint.as_deref() == Some(fingerprint)
    {
        Some(Release::NoProgress)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_lets_go_alone_and_below_all_of_them_nothing_does() {
        let ceilings = Ceilings::default();
        let turn = PersonTurn { now_ms: 1_000_000_000, prompt_at_ms: Some(999_000_000), ..PersonTurn::default() };
        let ask = |turn: &PersonTurn| ceiling(turn, &ceilings, "f");
        assert_eq!(ask(&PersonTurn { continues_since_prompt: 1, continues_today: 9, ..turn.clone() }), None);
        assert_eq!(ask(&PersonTurn { continues_since_prompt: 2, ..turn.clone() }), Some(Release::ContinueCeiling));
        assert_eq!(ask(&PersonTurn { continues_today: 10, ..turn.clone() }), Some(Release::DayCeiling));
        let long_ago = turn.now_ms - ceilings.prompt_wall_clock_ms;
        assert_eq!(ask(&PersonTurn { prompt_at_ms: Some(long_ago), ..turn.clone() }), Some(Release::PromptWallClock));
        assert_eq!(ask(&PersonTurn { prompt_at_ms: Some(long_ago + 1), ..turn.clone() }), None);
        assert_eq!(ask(&PersonTurn { prompt_at_ms: None, ..turn.clone() }), None, "an unknown time is no reason");
        assert_eq!(ask(&PersonTurn { headless: true, ..turn.clone() }), Some(Release::Headless));
        let same = PersonTurn { last_fingerprint: Some("f".into()), ..turn.clone() };
        assert_eq!(ask(&same), Some(Release::NoProgress));
        assert_eq!(ceiling(&same, &ceilings, "g"), None);
        assert_eq!(ceiling(&same, &Ceilings { without_progress: false, ..ceilings.clone() }, "f"), None);
        assert_eq!(
            ceiling(&turn, &Ceilings { per_prompt: 0, ..ceilings.clone() }, "f"),
            Some(Release::ContinueCeiling)
        );
    }
}
