//! What is configured of the reaper, as its decisions read it.

use stopgate_config::Reaper;
use stopgate_reaper::ReaperConfig;

/// What is configured, as the reaper reads it.
pub(super) fn configured(reaper: &Reaper) -> ReaperConfig {
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    ReaperConfig {
        enabled: reaper.enabled,
        dry_run: reaper.dry_run,
        tick_interval_seconds: count(reaper.tick_interval_seconds),
        min_age_minutes: count(reaper.min_age_minutes),
        confirm_observations: count(reaper.confirm_observations),
        confirm_window_minutes: count(reaper.confirm_window_minutes),
        idle_threshold_moderate_minutes: count(reaper.idle_threshold_moderate_minutes),
        idle_threshold_critical_minutes: count(reaper.idle_threshold_critical_minutes),
        normal_tier_reaps: reaper.normal_tier_reaps,
        max_reaps_per_tick: count(reaper.max_reaps_per_tick),
        max_reaps_per_hour: count(reaper.max_reaps_per_hour),
        final_grace_seconds: count(reaper.final_grace_seconds),
        terminate_grace_seconds: count(reaper.terminate_grace_seconds),
        pane_capture_lines: count(reaper.pane_capture_lines),
        recent_user_window_minutes: count(reaper.recent_user_window_minutes),
        attached_window_minutes: count(reaper.attached_window_minutes),
        held_turn_minutes: count(reaper.held_turn_minutes),
        stale_hours: count(reaper.stale_hours),
        memory_moderate_percent: reaper.memory_moderate_percent,
        memory_critical_percent: reaper.memory_critical_percent,
        cpu_moderate_load_per_core: reaper.cpu_moderate_load_per_core,
        cpu_critical_load_per_core: reaper.cpu_critical_load_per_core,
        child_active_cores: reaper.child_active_cores,
        main_active_cores: reaper.main_active_cores,
        protected: reaper.protected.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_say_the_same_defaults() {
        assert_eq!(configured(&Reaper::default()), ReaperConfig::default());
    }
}
