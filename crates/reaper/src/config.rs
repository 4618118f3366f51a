//! What is configured of the reaper: the table `[reaper]`.

use serde::Serialize;

use stopgate_core::clock::UnixMillis;

/// Settings of the reaper. A number without a reason of its own is that of an earlier reaper, which ran with it for a
/// year on many machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReaperConfig {
    /// Whether it looks at all. Default: no.
    pub enabled: bool,
    /// Whether it only says what it would do. Default: yes.
    pub dry_run: bool,
    /// Seconds between two looks. Default 120.
    pub tick_interval_seconds: u32,
    /// A session younger than this many minutes is kept. Default 30.
    pub min_age_minutes: u32,
    /// Looks that must have found the same idle screen. Default 3.
    pub confirm_observations: u32,
    /// Minutes that these looks must span. Default 10.
    pub confirm_window_minutes: u32,
    /// Minutes of proven idleness before an end when pressure is moderate. Default 45.
    pub idle_threshold_moderate_minutes: u32,
    /// Minutes of proven idleness before an end when pressure is critical. Default 15.
    pub idle_threshold_critical_minutes: u32,
    /// Whether sessions are ended without any pressure, too, after the moderate threshold. Default: no.
    pub normal_tier_reaps: bool,
    /// Ends in one look at most. Default 3.
    pub max_reaps_per_tick: u32,
    /// Ends in one hour at most. Default 12.
    pub max_reaps_per_hour: u32,
    /// Seconds between the announcement of an end and the end. Default 60.
    pub final_grace_seconds: u32,
    /// Seconds that a harness has after SIGTERM before SIGKILL. Default 10: Claude Code gives its own hooks at the
    /// end of a session 1.5 s, and writes its transcript as it goes.
    pub terminate_grace_seconds: u32,
    /// Lines of a pane that are looked at, from its bottom. Default 200.
    pub pane_capture_lines: u32,
    /// A session whose person sent a prompt within this many minutes is kept. Default 30.
    pub recent_user_window_minutes: u32,
    /// A session whose tmux client was used within this many minutes is kept. Default 10.
    pub attached_window_minutes: u32,
    /// A turn that the gate held keeps its session for this many minutes. Default 30: a held turn that goes on
    /// shows on screen and in the transcript.
    pub held_turn_minutes: u32,
    /// Reasons to keep that rest on an event alone (an open turn, background tasks, a build of nobody in
    /// particular) run out after this many hours without anything new. Default 8.
    pub stale_hours: u32,
    /// Available memory below this many percent is moderate pressure. Default 12.
    pub memory_moderate_percent: f64,
    /// Available memory below this many percent is critical pressure. Default 5.
    pub memory_critical_percent: f64,
    /// Load per core from which pressure is moderate. Default 1.0.
    pub cpu_moderate_load_per_core: f64,
    /// Load per core from which pressure is critical. Default 1.5.
    pub cpu_critical_load_per_core: f64,
    /// Cores that the children of a harness must use together to count as work. Default 0.02.
    pub child_active_cores: f64,
    /// Cores that the harness itself must use to count as work. Default 0.1: Claude Code 2.1.329 uses 0.001 at its
    /// prompt.
    pub main_active_cores: f64,
    /// Sessions that are never ended: a session id, the name of a tmux session, or a directory that holds the
    /// session's. Default: none.
    pub protected: Vec<String>,
}

impl Default for ReaperConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            dry_run: true,
            tick_interval_seconds: 120,
            min_age_minutes: 30,
            confirm_observations: 3,
            confirm_window_minutes: 10,
            idle_threshold_moderate_minutes: 45,
            idle_threshold_critical_minutes: 15,
            normal_tier_reaps: false,
            max_reaps_per_tick: 3,
            max_reaps_per_hour: 12,
            final_grace_seconds: 60,
            terminate_grace_seconds: 10,
            pane_capture_lines: 200,
            recent_user_window_minutes: 30,
            attached_window_minutes: 10,
            held_turn_minutes: 30,
            stale_hours: 8,
            memory_moderate_percent: 12.0,
            memory_critical_percent: 5.0,
            cpu_moderate_load_per_core: 1.0,
            cpu_critical_load_per_core: 1.5,
            child_active_cores: 0.02,
            main_active_cores: 0.1,
            protected: Vec::new(),
        }
    }
}

/// Minutes in milliseconds.
pub(crate) const fn minutes(count: u32) -> UnixMillis {
    count as UnixMillis * 60_000
}

/// Hours in milliseconds.
pub(crate) const fn hours(count: u32) -> UnixMillis {
    minutes(count) * 60
}
