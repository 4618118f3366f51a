//! The configuration: what the gate, its judge and the reaper may do.

use std::time::Duration;

use stopgate_core::hook::LONGEST_WAIT_MS;

use crate::keys::{ConfigKey, table};
use crate::setting::{HeadlessHold, JudgeKind, JudgeWire, ObservedWrites, Project};
use stopgate_core::switch::Mode;

/// All that is configured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// `[gate]`
    pub gate: GateConfig,
    /// `[gate.rules]`
    pub rules: RulesConfig,
    /// `[gate.promotion]`
    pub promotion: PromotionConfig,
    /// `[judge]`
    pub judge: JudgeConfig,
    /// `[reaper]`
    pub reaper: ReaperConfig,
    /// `[fence]`
    pub fence: FenceConfig,
    /// `[operator]`
    pub operator: OperatorConfig,
    /// `[lease]`
    pub lease: LeaseConfig,
}

impl Config {
    /// Every key of every table, in the order of the reference.
    pub(crate) fn keys() -> impl Iterator<Item = &'static KeyOf> {
        let tables = [
            GateConfig::KEYS,
            RulesConfig::KEYS,
            PromotionConfig::KEYS,
            JudgeConfig::KEYS,
            ReaperConfig::KEYS,
            FenceConfig::KEYS,
            OperatorConfig::KEYS,
            LeaseConfig::KEYS,
        ];
        tables.into_iter().flatten()
    }
}

/// A key, and how it is read into a configuration.
#[derive(Debug)]
pub struct KeyOf {
    pub(crate) section: &'static str,
    pub(crate) name: &'static str,
    pub(crate) other_name: Option<&'static str>,
    pub(crate) describe: fn() -> ConfigKey,
    /// Puts a value into the operator's configuration; the error says what is expected.
    pub(crate) set: fn(&mut Config, &toml_edit::Value) -> Result<(), String>,
    /// Tightens the configuration by a value of a checkout's file; the error says why not.
    pub(crate) tighten: fn(&mut Config, &toml_edit::Value) -> Result<(), String>,
    /// The value in a configuration.
    pub(crate) show: fn(&Config) -> toml_edit::Value,
}

table! {
    /// What the stop gate may do.
    GateConfig at "gate" (gate) {
        /// How often the gate may send an agent back to work for one prompt of the person; 0 never. Two: an agent
        /// that stops a third time has a reason that the gate does not see.
        continues_per_prompt: u32 = 2, 0..=20, Project::Lower;
        /// How often it may do so for one session within 24 hours.
        continues_per_day: u32 = 10, 0..=200, Project::Lower;
        /// How long after a prompt of the person the gate may still send the agent back, in minutes.
        prompt_wall_clock_minutes: u32 = 240, 1..=1440, Project::Lower;
        /// Let the agent stop when nothing has changed since the gate last sent it back.
        release_without_progress: bool = true, (), Project::Only("true");
        /// Which stops of sessions that are not interactive (`claude -p`, `codex exec`) may be held: `execute`, those of a
        /// session whose last prompt asked for a job; `never`; `always`, as others. Whoever reads the answer of one that was
        /// held is given the last answer, not the first.
        headless: HeadlessHold = HeadlessHold::Execute, (), Project::Only("never");
        /// Give a note that blocks nothing where the harness shows one, when the gate is not sure.
        notes: bool = true, (), Project::Only("false");
        /// Longest time that gathering facts about a checkout may take, in milliseconds.
        facts_budget_ms: u32 = 2000, 50..=5000, Project::Lower;
        /// Paths, relative to the top of a checkout, that are never taken for a plan: a file, or a directory; `*` stands for
        /// anything in a name, `**` for any directories.
        exclude_plans: Vec<String> = Vec::new(), (), Project::Extend;
        /// How long verdicts are kept, in days.
        retention_days: u32 = 30, 1..=3650, Project::Never;
    }
}

table! {
    /// What each rule that can hold a stop may do, by its short name or its whole id: `enforce` holds where the mode is
    /// enforce, `shadow` writes down what it would hold, `off` keeps it silent. `stopgate mode shadow --rule U3` says the same,
    /// and a rule whose grades are bad goes to shadow by itself; of all that is said of a rule, what holds least counts.
    RulesConfig at "gate.rules" (rules) {
        /// A commit of the session moved a plan on.
        u1 as "U1" or "U1_DURABLE_ARTIFACT_CONTINUATION_SAFE": Mode = Mode::Enforce, (), Project::Lower;
        /// A plan names the next step.
        u2 as "U2" or "U2_PLAN_FILE_NEXT_STEP_EXPLICIT": Mode = Mode::Enforce, (), Project::Lower;
        /// A plan holds what remains, and the session commits step by step.
        u3 as "U3" or "U3_RECENT_COMMIT_PROVES_INCREMENTAL": Mode = Mode::Enforce, (), Project::Lower;
        /// The session's own task list has an open item.
        u4 as "U4" or "U4_TASK_LIST_PENDING": Mode = Mode::Enforce, (), Project::Lower;
        /// All is said to be done, and a plan has open steps.
        u5 as "U5" or "U5_PLAN_NOT_UPDATED": Mode = Mode::Enforce, (), Project::Lower;
    }
}

impl RulesConfig {
    /// The mode of the rule with the id `rule`; `None` if that is none that can hold a stop.
    pub fn mode(&self, rule: &str) -> Option<Mode> {
        let modes = [self.u1, self.u2, self.u3, self.u4, self.u5];
        Self::KEYS.iter().zip(modes).find(|(key, _)| key.other_name == Some(rule)).map(|(_, mode)| mode)
    }

    /// The short names of the rules that have a mode.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::KEYS.iter().map(|key| key.name)
    }
}

table! {
    /// What has to be seen in shadow before `stopgate gate ready` calls the gate ready to enforce.
    PromotionConfig at "gate.promotion" (promotion) {
        /// Verdicts.
        min_evaluations: u32 = 50, 0..=100_000, Project::Never;
        /// Sessions they come from.
        min_sessions: u32 = 3, 0..=10_000, Project::Never;
        /// Different signals that were heard.
        min_signals: u32 = 3, 0..=20, Project::Never;
        /// Days between the first verdict and now.
        min_shadow_days: u32 = 14, 0..=365, Project::Never;
        /// Last verdicts that must be without a failure.
        clean_last: u32 = 50, 0..=10_000, Project::Never;
        /// Verdicts that a person has graded.
        min_graded: u32 = 20, 0..=10_000, Project::Never;
        /// Graded verdicts that would have sent the agent back.
        min_graded_continue: u32 = 5, 0..=10_000, Project::Never;
        /// Graded verdicts that let the agent stop.
        min_graded_allow: u32 = 5, 0..=10_000, Project::Never;
        /// Share of the graded would-blocks that were right, in percent.
        min_precision_percent: u32 = 90, 0..=100, Project::Never;
        /// Slowest of a hundred verdicts, in milliseconds.
        max_p99_ms: u32 = 1800, 1..=10_000, Project::Never;
    }
}

table! {
    /// Who is asked when the rules cannot decide. Nobody, unless you say so: a judge costs time and money, and what
    /// the agent wrote last leaves the machine if the judge is not on it.
    JudgeConfig at "judge" (judge) {
        /// `command`: a program reads the prompt from its standard input and prints the answer (`claude -p`,
        /// `codex exec`). `http`: a model is asked over HTTP.
        kind: JudgeKind = JudgeKind::None, (), Project::Only("none");
        /// For `command`: the program and its arguments.
        command: Vec<String> = Vec::new(), (), Project::Never;
        /// For `command`: names of environment variables that the program is given besides `PATH`, `HOME`, `USER`,
        /// `LANG`, `TMPDIR`.
        pass_env: Vec<String> = Vec::new(), (), Project::Never;
        /// For `http`: where requests are posted, whole.
        url: String = String::new(), (), Project::Never;
        /// For `http`: how the model is spoken to.
        wire: JudgeWire = JudgeWire::Messages, (), Project::Never;
        /// For `http`: the model's name.
        model: String = String::new(), (), Project::Never;
        /// For `http`: the environment variable of the authority that holds the key; empty for none.
        api_key_env: String = String::new(), (), Project::Never;
        /// For `http`: longest answer, in tokens.
        max_output_tokens: u32 = 400, 50..=4000, Project::Never;
        /// Longest time for an answer, in milliseconds. In enforce no longer than the agent waits, see `wait_ms`.
        timeout_ms: u32 = 20_000, 100..=120_000, Project::Never;
        /// How long an agent may be kept waiting for the answer in enforce, in milliseconds; 0: no longer than the hook takes
        /// anyway. Only a stop that the judge is asked about waits. Run `installer migrate` after a change: the hook is
        /// registered with the time that it needs.
        wait_ms: u32 = 0, 0..=LONGEST_WAIT_MS, Project::Lower;
        /// Failures in a row after which the judge is left alone for a while; 0 never leaves it alone.
        breaker_failures: u32 = 3, 0..=100, Project::Never;
        /// How long it is left alone then, in seconds.
        breaker_cooldown_seconds: u32 = 300, 1..=86_400, Project::Never;
    }
}

impl JudgeConfig {
    /// How long an agent may be kept waiting for a judge in enforce, beyond what the hook takes anyway. Nothing waits without
    /// one.
    pub fn wait(&self) -> Duration {
        match self.kind {
            JudgeKind::None => Duration::ZERO,
            JudgeKind::Command | JudgeKind::Http => Duration::from_millis(self.wait_ms.into()),
        }
    }
}

table! {
    /// When idle sessions are cleared away. Off and rehearsing, unless you say so. A number without a reason of its own
    /// is that of an earlier reaper, which ran with it for a year on many machines.
    ReaperConfig at "reaper" (reaper) {
        /// Look for sessions to clear away.
        enabled: bool = false, (), Project::Never;
        /// Only write down what would be done.
        dry_run: bool = true, (), Project::Never;
        /// Time between two looks, in seconds.
        tick_interval_seconds: u32 = 120, 1..=3600, Project::Never;
        /// Sessions younger than this stay, in minutes.
        min_age_minutes: u32 = 30, 0..=1440, Project::Never;
        /// Looks in a row that must find the same idle screen.
        confirm_observations: u32 = 3, 1..=100, Project::Never;
        /// Time that these looks must span, in minutes.
        confirm_window_minutes: u32 = 10, 0..=1440, Project::Never;
        /// Lines of a pane that are looked at, from its bottom.
        pane_capture_lines: u32 = 200, 10..=5000, Project::Never;
        /// A session whose person sent a prompt this recently stays, in minutes.
        recent_user_window_minutes: u32 = 30, 0..=1440, Project::Never;
        /// Idle time before a session may go under moderate pressure, in minutes.
        idle_threshold_moderate_minutes: u32 = 45, 1..=10_080, Project::Never;
        /// Idle time before a session may go under critical pressure, in minutes.
        idle_threshold_critical_minutes: u32 = 15, 1..=10_080, Project::Never;
        /// Clear away without pressure, too, after the idle time of moderate pressure.
        normal_tier_reaps: bool = false, (), Project::Never;
        /// Sessions that one look may end.
        max_reaps_per_tick: u32 = 3, 0..=100, Project::Never;
        /// Sessions that an hour may end.
        max_reaps_per_hour: u32 = 12, 0..=1000, Project::Never;
        /// Time between the announcement of an end and the end, in seconds.
        final_grace_seconds: u32 = 60, 0..=3600, Project::Never;
        /// Time that a harness has to end by itself before it is killed, in seconds. Claude Code gives its own hooks 1.5 s
        /// then, and writes its transcript as it goes.
        terminate_grace_seconds: u32 = 10, 1..=600, Project::Never;
        /// A session whose tmux client was used this recently stays, in minutes.
        attached_window_minutes: u32 = 10, 0..=1440, Project::Never;
        /// How long a turn that the gate held keeps its session, in minutes. One that goes on shows on screen and in the
        /// transcript.
        held_turn_minutes: u32 = 30, 0..=1440, Project::Never;
        /// Hours without anything new after which an event alone (an open turn, background tasks, a build of nobody in
        /// particular) keeps no session.
        stale_hours: u32 = 8, 1..=720, Project::Never;
        /// Cores that the children of a harness must use together to count as work.
        child_active_cores: f64 = 0.02, 0.0..=64.0, Project::Never;
        /// Cores that the harness itself must use to count as work. Claude Code 2.1.329 uses 0.001 at its prompt.
        main_active_cores: f64 = 0.1, 0.0..=64.0, Project::Never;
        /// Available memory below which pressure is moderate, in percent.
        memory_moderate_percent: f64 = 12.0, 0.0..=100.0, Project::Never;
        /// Available memory below which pressure is critical, in percent.
        memory_critical_percent: f64 = 5.0, 0.0..=100.0, Project::Never;
        /// Load of each core from which pressure is moderate.
        cpu_moderate_load_per_core: f64 = 1.0, 0.0..=100.0, Project::Never;
        /// Load of each core from which pressure is critical.
        cpu_critical_load_per_core: f64 = 1.5, 0.0..=100.0, Project::Never;
        /// Session ids, names of tmux sessions or windows (`work`, `editor`, `work:editor`) as they are now, or directories: a
        /// session of that id, in a pane of that name, or in that directory, is never cleared away.
        protected: Vec<String> = Vec::new(), (), Project::Never;
    }
}

table! {
    /// What becomes of writes by sessions that share a working tree, where coordination is on.
    FenceConfig at "fence" (fence) {
        /// A write to a file that another living session was seen to write, and has no declared lease of: `note` tells the
        /// agent and lets it go on, `deny` refuses it.
        observed: ObservedWrites = ObservedWrites::Note, (), Project::Only("deny");
    }
}

table! {
    /// Who may do what is the operator's.
    OperatorConfig at "operator" (operator) {
        /// Refuse what loosens the gate to whoever has no terminal: `cron`, a command over ssh, CI, and what an agent has cut
        /// loose from itself. Otherwise that is allowed, and `stopgate status` shows it until you have seen it.
        terminal_only: bool = false, (), Project::Never;
    }
}

table! {
    /// How long leases last, where sessions that share a checkout coordinate.
    LeaseConfig at "lease" (lease) {
        /// How long a lease stays after the turn of its holder is over and nothing is heard of it, in minutes. A holder of which
        /// nothing was heard for as long, and which is not proven to be at work, may lose it to one that takes it.
        idle_minutes: u32 = 10, 1..=1440, Project::Never;
        /// How long a lease stays at most, however busy its holder is, unless that renews it by name, in minutes.
        longest_minutes: u32 = 240, 1..=10_080, Project::Never;
    }
}
