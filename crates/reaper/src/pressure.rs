//! How short the machine is of memory and processors.

use serde::{Deserialize, Serialize};

use stopgate_config::ReaperConfig;
use stopgate_core::clock::{UnixMillis, minutes};

/// What was measured; a source that cannot be read is `None` and says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Reading {
    /// Memory that programs can have, in percent of all: available, not free. Caches are available.
    pub available_pct: Option<f64>,
    /// Processes that run or want to, per core, over one minute.
    pub load_per_core: Option<f64>,
}

/// How much pressure there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// None to speak of.
    Normal,
    /// Long idle sessions should go.
    Moderate,
    /// Idle sessions should go.
    Critical,
}

impl Tier {
    /// The word on screen and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Moderate => "moderate",
            Self::Critical => "critical",
        }
    }
}

/// A reading and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// The worse of both.
    pub tier: Tier,
    /// By memory alone.
    pub memory_tier: Tier,
    /// By processors alone.
    pub cpu_tier: Tier,
    /// What was measured.
    #[serde(flatten)]
    pub reading: Reading,
}

/// What a reading means. Memory counts strictly below its limits, load from its limits on; what is missing or no
/// number counts as no pressure.
pub fn assess(reading: Reading, config: &ReaperConfig) -> Pressure {
    let below = |limit: f64| reading.available_pct.is_some_and(|available| available < limit);
    let from = |limit: f64| reading.load_per_core.is_some_and(|load| load >= limit);
    let tier = |critical: bool, moderate: bool| match (critical, moderate) {
        (true, _) => Tier::Critical,
        (false, true) => Tier::Moderate,
        (false, false) => Tier::Normal,
    };
    let memory_tier = tier(below(config.memory_critical_percent), below(config.memory_moderate_percent));
    let cpu_tier = tier(from(config.cpu_critical_load_per_core), from(config.cpu_moderate_load_per_core));
    Pressure { tier: memory_tier.max(cpu_tier), memory_tier, cpu_tier, reading }
}

/// How long a session must be proven idle before it may be ended; `None` if none may be.
pub const fn threshold(tier: Tier, config: &ReaperConfig) -> Option<UnixMillis> {
    match tier {
        Tier::Critical => Some(minutes(config.idle_threshold_critical_minutes)),
        Tier::Moderate => Some(minutes(config.idle_threshold_moderate_minutes)),
        Tier::Normal if config.normal_tier_reaps => Some(minutes(config.idle_threshold_moderate_minutes)),
        Tier::Normal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Tier::{Critical, Moderate, Normal};
    use rstest::rstest;

    #[rstest]
    #[case(Some(4.99), Some(0.0), Critical)]
    #[case(Some(5.0), Some(0.0), Moderate)]
    #[case(Some(11.99), None, Moderate)]
    #[case(Some(12.0), None, Normal)]
    #[case(Some(94.0), Some(0.99), Normal)]
    #[case(Some(94.0), Some(1.0), Moderate)]
    #[case(Some(94.0), Some(1.5), Critical)]
    #[case(Some(4.0), Some(1.0), Critical)]
    #[case(None, Some(1.2), Moderate)]
    #[case(Some(f64::NAN), Some(f64::NAN), Normal)]
    #[case(Some(4.0), Some(f64::NAN), Critical)]
    #[case(None, None, Normal)]
    fn the_worse_of_both(#[case] available_pct: Option<f64>, #[case] load_per_core: Option<f64>, #[case] tier: Tier) {
        let reading = Reading { available_pct, load_per_core };
        assert_eq!(assess(reading, &ReaperConfig::default()).tier, tier);
    }

    #[test]
    fn without_pressure_nobody_is_ended_unless_that_was_asked_for() {
        let config = ReaperConfig::default();
        assert_eq!(
            [Normal, Moderate, Critical].map(|tier| threshold(tier, &config)),
            [None, Some(minutes(45)), Some(minutes(15))]
        );
        let eager = ReaperConfig { normal_tier_reaps: true, ..config };
        assert_eq!(threshold(Normal, &eager), Some(minutes(45)));
    }
}
