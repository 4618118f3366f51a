//! The gates: each alone keeps a session, and says why.

use serde::{Deserialize, Serialize};

use super::activity::{CpuDelta, TranscriptDelta};
use super::screen::Screen;
use stopgate_config::ReaperConfig;
use stopgate_core::clock::{UnixMillis, hours, minutes};
use stopgate_core::process::Liveness;
use stopgate_core::session::state::Turn;

/// A compaction that has not reported its end within this time has lost it.
const COMPACTION_MS: UnixMillis = minutes(10);

/// Why a session is kept. The words are public contract: audit, histogram and scripts have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// The evidence could not be gathered.
    EvalError,
    /// The operator protects it.
    Protected,
    /// It lives on another machine.
    OtherHost,
    /// Whether its process lives cannot be told.
    LivenessUnknown,
    /// It is younger than the limit, its start is unknown or in the future.
    SpawnGrace,
    /// It lives outside tmux: reported, never ended.
    OutsideTmux,
    /// The pane it was started in is not there, or holds another process.
    PaneUnresolved,
    /// Its process runs, or may run, other sessions as well.
    SharedProcess,
    /// The time of day was set lately, or the machine was suspended: what files and tmux say of time is not believed.
    ClockSettling,
    /// Its process was stopped, as by Ctrl-Z.
    ProcessStopped,
    /// Its process is traced, as by a debugger.
    ProcessTraced,
    /// Something else is in front of its terminal, or who is there is not known.
    ForeignForeground,
    /// A tmux client that shows it was used lately.
    AttachedClient,
    /// A build lives that it owns, or that may be its.
    LiveBuild,
    /// The gate sent it back to its work.
    HeldTurn,
    /// It asked its person something.
    WaitingForPerson,
    /// Tasks ran in its background when it stopped.
    BackgroundTasks,
    /// Its person sent a prompt lately.
    RecentPrompt,
    /// Its turn has not ended.
    TurnOpen,
    /// It compacts its conversation.
    Compaction,
    /// Its transcript cannot be found, or was not looked at before.
    TranscriptUnresolved,
    /// Its transcript was cut, replaced or moved.
    TranscriptChanged,
    /// Its transcript grew.
    TranscriptGrew,
    /// Its processes cannot be looked at.
    ProcessUninspectable,
    /// Its children work.
    ActiveProcess,
    /// Its harness itself works.
    MainProcessActive,
    /// Its pane cannot be read.
    ScreenUnreadable,
    /// Its pane shows work.
    ScreenBusy,
    /// Its pane shows a question.
    ScreenAsking,
    /// Something is typed into its prompt.
    PendingInput,
    /// Its pane shows lines below the prompt that are not the client's.
    ForeignLines,
    /// Its pane shows no prompt that is known.
    NoPositiveIdle,
}

impl Gate {
    /// The word in audit, histogram and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EvalError => "eval-error",
            Self::Protected => "protected",
            Self::OtherHost => "other-host",
            Self::LivenessUnknown => "liveness-unknown",
            Self::SpawnGrace => "spawn-grace",
            Self::OutsideTmux => "outside-tmux",
            Self::PaneUnresolved => "pane-unresolved",
            Self::SharedProcess => "shared-process",
            Self::ClockSettling => "clock-settling",
            Self::ProcessStopped => "process-stopped",
            Self::ProcessTraced => "process-traced",
            Self::ForeignForeground => "foreign-foreground",
            Self::AttachedClient => "attached-client",
            Self::LiveBuild => "live-build",
            Self::HeldTurn => "held-turn",
            Self::WaitingForPerson => "waiting-for-person",
            Self::BackgroundTasks => "background-tasks",
            Self::RecentPrompt => "recent-prompt",
            Self::TurnOpen => "turn-open",
            Self::Compaction => "compaction",
            Self::ProcessUninspectable => "process-uninspectable",
            Self::ActiveProcess => "active-process",
            Self::MainProcessActive => "main-process-active",
            Self::TranscriptUnresolved => "transcript-unresolved",
            Self::TranscriptChanged => "transcript-changed",
            Self::TranscriptGrew => "transcript-grew",
            Self::ScreenUnreadable => "screen-unreadable",
            Self::ScreenBusy => "screen-busy",
            Self::ScreenAsking => "screen-asking",
            Self::PendingInput => "pending-input",
            Self::ForeignLines => "foreign-lines",
            Self::NoPositiveIdle => "no-positive-idle",
        }
    }

    /// Whether the reason is knowledge (high), or the lack of it (low).
    pub const fn confidence(self) -> Confidence {
        match self {
            Self::EvalError
            | Self::OtherHost
            | Self::LivenessUnknown
            | Self::PaneUnresolved
            | Self::ClockSettling
            | Self::ProcessUninspectable
            | Self::TranscriptUnresolved
            | Self::TranscriptChanged
            | Self::ScreenUnreadable => Confidence::Low,
            _ => Confidence::High,
        }
    }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(self.name())
    }
}

/// How sure a reason is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Known.
    High,
    /// Not known, which keeps as well.
    Low,
}

/// Where a session lives in tmux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaneEvidence {
    /// Not in tmux.
    Outside,
    /// In tmux, but its pane is not there any more, or does not hold its process.
    Unresolved,
    /// In this very pane.
    Resolved {
        /// How long ago a client that shows the pane's session was used; `None` if none is attached.
        client_used_ms_ago: Option<UnixMillis>,
    },
}

/// What keeps a process from going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// A signal, as Ctrl-Z sends one.
    Stopped,
    /// Another process, as a debugger does.
    Traced,
}

/// Who is in front of a session's terminal and pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Foreground {
    /// Its harness.
    Own,
    /// Somebody else: a shell's prompt, an editor.
    Foreign,
    /// That cannot be told.
    #[default]
    Unknown,
}

/// A live build in a session's checkout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveBuild {
    /// Whether the session is known to own it; the builds known to be another's are not counted at all.
    pub own: bool,
    /// How long ago it was touched.
    pub touched_ms_ago: UnixMillis,
}

/// What a pane showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It was not looked at, because something else keeps the session.
    NotLooked,
    /// It could not be read.
    Unreadable,
    /// This, with the frame's fingerprint.
    Frame(Screen, u64),
}

/// Everything the gates look at. Spans are in milliseconds; a span into the future is negative.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The entry of the protected list that names it.
    pub protected_by: Option<String>,
    /// It lives on another machine.
    pub other_host: bool,
    /// Whether its process lives.
    pub liveness: Liveness,
    /// Time since the clocks were set, or the machine was suspended, if that was seen.
    pub clock_settled_ms: Option<i64>,
    /// What keeps its process from going on.
    pub halt: Option<Halt>,
    /// Who is in front of its terminal.
    pub foreground: Foreground,
    /// Time since its first start.
    pub age_ms: Option<UnixMillis>,
    /// Where it lives in tmux.
    pub pane: PaneEvidence,
    /// Another live session is in the same process.
    pub shares_process: bool,
    /// A live build that is, or may be, its.
    pub build: Option<LiveBuild>,
    /// Time since the gate last held it, if nothing was prompted or stopped since.
    pub held_ms_ago: Option<UnixMillis>,
    /// Whose turn it is, and since when.
    pub turn: Option<(Turn, UnixMillis)>,
    /// Background tasks at its last stop.
    pub pending_tasks: u32,
    /// Time since its person's last prompt.
    pub prompt_ms_ago: Option<UnixMillis>,
    /// Time since the beginning of a compaction that has not ended.
    pub compaction_ms_ago: Option<UnixMillis>,
    /// What its processes did since the last look.
    pub cpu: CpuDelta,
    /// What became of its transcript since the last look.
    pub transcript: TranscriptDelta,
    /// What its pane shows.
    pub screen: Seen,
}

impl Default for Evidence {
    /// Nothing is known.
    fn default() -> Self {
        Self {
            protected_by: None,
            other_host: false,
            liveness: Liveness::Unknown,
            clock_settled_ms: None,
            halt: None,
            foreground: Foreground::Unknown,
            age_ms: None,
            pane: PaneEvidence::Outside,
            shares_process: false,
            build: None,
            held_ms_ago: None,
            turn: None,
            pending_tasks: 0,
            prompt_ms_ago: None,
            compaction_ms_ago: None,
            cpu: CpuDelta::Unreadable,
            transcript: TranscriptDelta::Unresolved,
            screen: Seen::NotLooked,
        }
    }
}

/// One gate with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateReading {
    /// Which.
    pub gate: Gate,
    /// Whether it keeps the session.
    pub keeps: bool,
    /// What was found, for people.
    pub value: String,
}

/// What all gates together say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReaperVerdict {
    /// It is kept, because of this.
    Keep(Gate),
    /// Every gate is passed.
    Eligible,
}

/// The first gate that keeps decides.
pub fn verdict(readings: &[GateReading]) -> ReaperVerdict {
    readings
        .iter()
        .find(|reading| reading.keeps)
        .map_or(ReaperVerdict::Eligible, |reading| ReaperVerdict::Keep(reading.gate))
}

/// Whether something but the screen keeps a session, so that its pane need not be read.
pub fn kept_without_screen(readings: &[GateReading]) -> bool {
    readings.iter().any(|reading| reading.keeps && reading.gate < Gate::ScreenUnreadable)
}

/// All gates with their values, in the order in which they decide.
pub fn read(evidence: &Evidence, config: &ReaperConfig) -> Vec<GateReading> {
    let mut out = Vec::with_capacity(31);
    let mut gate = |gate: Gate, keeps: bool, value: String| out.push(GateReading { gate, keeps, value });
    standing(evidence, config, &mut gate);
    events(evidence, config, &mut gate);
    movement(evidence, config, &mut gate);
    screen(evidence.screen, &mut gate);
    out
}

type Add<'a> = dyn FnMut(Gate, bool, String) + 'a;

/// What the session is and where it lives.
fn standing(evidence: &Evidence, config: &ReaperConfig, gate: &mut Add<'_>) {
    let protected = evidence.protected_by.as_ref();
    gate(Gate::Protected, protected.is_some(), protected.map_or_else(|| "no".to_owned(), |by| format!("by {by}")));
    gate(Gate::OtherHost, evidence.other_host, yes_no(evidence.other_host));
    gate(Gate::LivenessUnknown, evidence.liveness != Liveness::Alive, evidence.liveness.name().to_owned());
    let min_age = minutes(config.min_age_minutes);
    let (young, age) = match evidence.age_ms {
        None => (true, "start unknown".to_owned()),
        Some(..0) => (true, "start in the future".to_owned()),
        Some(age) => (age < min_age, format!("{} old, kept until {}", span(age), span(min_age))),
    };
    gate(Gate::SpawnGrace, young, age);
    gate(Gate::OutsideTmux, evidence.pane == PaneEvidence::Outside, yes_no(evidence.pane == PaneEvidence::Outside));
    let unresolved = evidence.pane == PaneEvidence::Unresolved;
    let found = if unresolved { "not found, or it holds another process" } else { "holds the harness" };
    gate(Gate::PaneUnresolved, unresolved, found.to_owned());
    gate(Gate::SharedProcess, evidence.shares_process, yes_no(evidence.shares_process));
    clocks_and_terminal(evidence, config, gate);
    let window = minutes(config.attached_window_minutes);
    let (attached, value) = match evidence.pane {
        PaneEvidence::Resolved { client_used_ms_ago: Some(ago) } => {
            (ago < window, format!("used {} ago, kept until {}", span(ago), span(window)))
        }
        _ => (false, "no client attached".to_owned()),
    };
    gate(Gate::AttachedClient, attached, value);
    let stale = hours(config.stale_hours);
    let (building, value) = match evidence.build {
        None => (false, "none of its own".to_owned()),
        Some(LiveBuild { own: true, .. }) => (true, "its own".to_owned()),
        Some(LiveBuild { own: false, touched_ms_ago: ago }) => {
            (ago < stale, format!("of nobody known, touched {} ago, kept until {}", span(ago), span(stale)))
        }
    };
    gate(Gate::LiveBuild, building, value);
}

/// Whether what is known of times counts, and whether its process goes on in front of its terminal.
fn clocks_and_terminal(evidence: &Evidence, config: &ReaperConfig, gate: &mut Add<'_>) {
    // As long as any span counts that rests on the time of day, but for what a session itself reported.
    let settling = minutes(config.attached_window_minutes.max(config.recent_user_window_minutes));
    let (unsettled, value) = match evidence.clock_settled_ms {
        Some(ago) => {
            (ago < settling, format!("set, or the machine suspended, {} ago, kept until {}", span(ago), span(settling)))
        }
        None => (false, "not set".to_owned()),
    };
    gate(Gate::ClockSettling, unsettled, value);
    for (which, halt) in [(Gate::ProcessStopped, Halt::Stopped), (Gate::ProcessTraced, Halt::Traced)] {
        gate(which, evidence.halt == Some(halt), yes_no(evidence.halt == Some(halt)));
    }
    let in_front = match evidence.foreground {
        Foreground::Own => "the harness is in front",
        Foreground::Foreign => "something else is in front of the terminal",
        Foreground::Unknown => "who is in front cannot be told",
    };
    gate(Gate::ForeignForeground, evidence.foreground != Foreground::Own, in_front.to_owned());
}

/// What hooks reported.
fn events(evidence: &Evidence, config: &ReaperConfig, gate: &mut Add<'_>) {
    let stale = hours(config.stale_hours);
    let mut until = |which: Gate, ago: Option<UnixMillis>, limit: UnixMillis, none: &str| {
        let value = match ago {
            Some(ago) => format!("{} ago, kept until {}", span(ago), span(limit)),
            None => none.to_owned(),
        };
        gate(which, ago.is_some_and(|ago| ago < limit), value);
    };
    let turn = |wanted: Turn| evidence.turn.filter(|(turn, _)| *turn == wanted).map(|(_, ago)| ago);
    until(Gate::HeldTurn, evidence.held_ms_ago, minutes(config.held_turn_minutes), "not held");
    until(Gate::WaitingForPerson, turn(Turn::Asked), stale, "asked nothing");
    let tasks = turn(Turn::Stopped).filter(|_| evidence.pending_tasks > 0);
    until(Gate::BackgroundTasks, tasks, stale, "none reported");
    until(Gate::RecentPrompt, evidence.prompt_ms_ago, minutes(config.recent_user_window_minutes), "no prompt seen");
    until(Gate::TurnOpen, turn(Turn::Prompted), stale, "the turn is over");
    until(Gate::Compaction, evidence.compaction_ms_ago, COMPACTION_MS, "none");
}

/// What changed since the last look.
fn movement(evidence: &Evidence, config: &ReaperConfig, gate: &mut Add<'_>) {
    let delta = evidence.transcript;
    let value = || delta.name().to_owned();
    let unresolved = matches!(delta, TranscriptDelta::Unresolved | TranscriptDelta::FirstLook);
    gate(Gate::TranscriptUnresolved, unresolved, value());
    gate(Gate::TranscriptChanged, delta == TranscriptDelta::Changed, value());
    gate(Gate::TranscriptGrew, delta == TranscriptDelta::Grew, value());
    let unreadable = evidence.cpu == CpuDelta::Unreadable;
    gate(Gate::ProcessUninspectable, unreadable, if unreadable { "cannot be read" } else { "readable" }.to_owned());
    let (children, main) = match evidence.cpu {
        CpuDelta::Measured { main_cores, child_cores, children } => {
            let limit = config.child_active_cores;
            let children = format!("{children} children use {child_cores:.3} cores, work from above {limit}");
            (children, format!("uses {main_cores:.3} cores, works from above {}", config.main_active_cores))
        }
        CpuDelta::NotYet { children } => {
            (format!("{children} children, not measured yet"), "not measured yet".to_owned())
        }
        CpuDelta::Unreadable => ("unknown".to_owned(), "unknown".to_owned()),
    };
    gate(Gate::ActiveProcess, evidence.cpu.children_work(config), children);
    gate(Gate::MainProcessActive, evidence.cpu.main_works(config), main);
}

/// What the pane shows. It must be an empty prompt: everything else keeps.
fn screen(seen: Seen, gate: &mut Add<'_>) {
    let (screen, value) = match seen {
        Seen::NotLooked => (None, "not looked at: kept anyway"),
        Seen::Unreadable => (None, "cannot be read"),
        Seen::Frame(screen, _) => (Some(screen), screen.name()),
    };
    gate(Gate::ScreenUnreadable, screen.is_none(), value.to_owned());
    gate(Gate::ScreenBusy, matches!(screen, Some(Screen::Busy | Screen::Background)), value.to_owned());
    for (which, shown) in [
        (Gate::ScreenAsking, Screen::Asking),
        (Gate::PendingInput, Screen::Draft),
        (Gate::ForeignLines, Screen::Foreign),
    ] {
        gate(which, screen == Some(shown), value.to_owned());
    }
    gate(Gate::NoPositiveIdle, screen != Some(Screen::Idle), value.to_owned());
}

fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

/// A span for people.
fn span(ms: UnixMillis) -> String {
    match ms / 1_000 {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ 60..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const HOUR: UnixMillis = hours(1);

    /// A session that nothing keeps.
    fn idle() -> Evidence {
        Evidence {
            liveness: Liveness::Alive,
            age_ms: Some(10 * HOUR),
            foreground: Foreground::Own,
            pane: PaneEvidence::Resolved { client_used_ms_ago: None },
            turn: Some((Turn::Stopped, HOUR)),
            prompt_ms_ago: Some(HOUR),
            cpu: CpuDelta::Measured { main_cores: 0.001, child_cores: 0.0, children: 3 },
            transcript: TranscriptDelta::Static,
            screen: Seen::Frame(Screen::Idle, 1),
            ..Evidence::default()
        }
    }

    fn judge(evidence: &Evidence) -> ReaperVerdict {
        verdict(&read(evidence, &ReaperConfig::default()))
    }

    #[test]
    fn proof_of_idleness_passes_every_gate() {
        assert_eq!(judge(&idle()), ReaperVerdict::Eligible);
    }

    #[test]
    fn nothing_known_is_kept() {
        assert_eq!(judge(&Evidence::default()), ReaperVerdict::Keep(Gate::LivenessUnknown));
    }

    #[rstest]
    #[case(Evidence { protected_by: Some("work".into()), ..idle() }, Gate::Protected)]
    #[case(Evidence { other_host: true, ..idle() }, Gate::OtherHost)]
    #[case(Evidence { liveness: Liveness::Unknown, ..idle() }, Gate::LivenessUnknown)]
    #[case(Evidence { age_ms: Some(HOUR / 2 - 1), ..idle() }, Gate::SpawnGrace)]
    #[case(Evidence { age_ms: Some(-1), ..idle() }, Gate::SpawnGrace)]
    #[case(Evidence { age_ms: None, ..idle() }, Gate::SpawnGrace)]
    #[case(Evidence { pane: PaneEvidence::Outside, ..idle() }, Gate::OutsideTmux)]
    #[case(Evidence { pane: PaneEvidence::Unresolved, ..idle() }, Gate::PaneUnresolved)]
    #[case(Evidence { shares_process: true, ..idle() }, Gate::SharedProcess)]
    #[case(Evidence { clock_settled_ms: Some(HOUR / 2 - 1), ..idle() }, Gate::ClockSettling)]
    #[case(Evidence { halt: Some(Halt::Stopped), ..idle() }, Gate::ProcessStopped)]
    #[case(Evidence { halt: Some(Halt::Traced), ..idle() }, Gate::ProcessTraced)]
    #[case(Evidence { foreground: Foreground::Foreign, ..idle() }, Gate::ForeignForeground)]
    #[case(Evidence { foreground: Foreground::Unknown, ..idle() }, Gate::ForeignForeground)]
    #[case(Evidence { screen: Seen::Frame(Screen::Foreign, 1), ..idle() }, Gate::ForeignLines)]
    #[case(Evidence { pane: PaneEvidence::Resolved { client_used_ms_ago: Some(599_999) }, ..idle() }, Gate::AttachedClient)]
    #[case(Evidence { build: Some(LiveBuild { own: true, touched_ms_ago: 99 * HOUR }), ..idle() }, Gate::LiveBuild)]
    #[case(Evidence { build: Some(LiveBuild { own: false, touched_ms_ago: HOUR }), ..idle() }, Gate::LiveBuild)]
    #[case(Evidence { held_ms_ago: Some(HOUR / 2 - 1), ..idle() }, Gate::HeldTurn)]
    #[case(Evidence { turn: Some((Turn::Asked, HOUR)), ..idle() }, Gate::WaitingForPerson)]
    #[case(Evidence { pending_tasks: 1, ..idle() }, Gate::BackgroundTasks)]
    #[case(Evidence { prompt_ms_ago: Some(HOUR / 2 - 1), ..idle() }, Gate::RecentPrompt)]
    #[case(Evidence { turn: Some((Turn::Prompted, HOUR)), ..idle() }, Gate::TurnOpen)]
    #[case(Evidence { compaction_ms_ago: Some(1), ..idle() }, Gate::Compaction)]
    #[case(Evidence { cpu: CpuDelta::Unreadable, ..idle() }, Gate::ProcessUninspectable)]
    #[case(Evidence { cpu: CpuDelta::NotYet { children: 1 }, ..idle() }, Gate::ActiveProcess)]
    #[case(Evidence { cpu: CpuDelta::Measured { main_cores: 0.0, child_cores: 0.021, children: 1 }, ..idle() }, Gate::ActiveProcess)]
    #[case(Evidence { cpu: CpuDelta::Measured { main_cores: 0.2, child_cores: 0.0, children: 0 }, ..idle() }, Gate::MainProcessActive)]
    #[case(Evidence { transcript: TranscriptDelta::Unresolved, ..idle() }, Gate::TranscriptUnresolved)]
    #[case(Evidence { transcript: TranscriptDelta::FirstLook, ..idle() }, Gate::TranscriptUnresolved)]
    #[case(Evidence { transcript: TranscriptDelta::Changed, ..idle() }, Gate::TranscriptChanged)]
    #[case(Evidence { transcript: TranscriptDelta::Grew, ..idle() }, Gate::TranscriptGrew)]
    #[case(Evidence { screen: Seen::Unreadable, ..idle() }, Gate::ScreenUnreadable)]
    #[case(Evidence { screen: Seen::NotLooked, ..idle() }, Gate::ScreenUnreadable)]
    #[case(Evidence { screen: Seen::Frame(Screen::Busy, 1), ..idle() }, Gate::ScreenBusy)]
    #[case(Evidence { screen: Seen::Frame(Screen::Background, 1), ..idle() }, Gate::ScreenBusy)]
    #[case(Evidence { screen: Seen::Frame(Screen::Asking, 1), ..idle() }, Gate::ScreenAsking)]
    #[case(Evidence { screen: Seen::Frame(Screen::Draft, 1), ..idle() }, Gate::PendingInput)]
    #[case(Evidence { screen: Seen::Frame(Screen::Unknown, 1), ..idle() }, Gate::NoPositiveIdle)]
    fn each_gate_alone_keeps(#[case] evidence: Evidence, #[case] gate: Gate) {
        assert_eq!(judge(&evidence), ReaperVerdict::Keep(gate));
    }

    #[rstest]
    #[case::clock_settled(Evidence { clock_settled_ms: Some(HOUR / 2), ..idle() })]
    #[case::grown_up(Evidence { age_ms: Some(HOUR / 2), ..idle() })]
    #[case::client_unused(Evidence { pane: PaneEvidence::Resolved { client_used_ms_ago: Some(600_000) }, ..idle() })]
    #[case::build_of_nobody_forgotten(Evidence { build: Some(LiveBuild { own: false, touched_ms_ago: 8 * HOUR }), ..idle() })]
    #[case::held_long_ago(Evidence { held_ms_ago: Some(HOUR / 2), ..idle() })]
    #[case::question_forgotten(Evidence { turn: Some((Turn::Asked, 8 * HOUR)), ..idle() })]
    #[case::tasks_forgotten(Evidence { pending_tasks: 1, turn: Some((Turn::Stopped, 8 * HOUR)), ..idle() })]
    #[case::prompt_forgotten(Evidence { turn: Some((Turn::Prompted, 8 * HOUR)), prompt_ms_ago: Some(8 * HOUR), ..idle() })]
    #[case::compaction_lost(Evidence { compaction_ms_ago: Some(COMPACTION_MS), ..idle() })]
    #[case::never_prompted(Evidence { turn: Some((Turn::Started, HOUR)), prompt_ms_ago: None, ..idle() })]
    fn every_reason_that_rests_on_an_event_runs_out(#[case] evidence: Evidence) {
        assert_eq!(judge(&evidence), ReaperVerdict::Eligible);
    }

    #[test]
    fn the_pane_is_read_only_if_nothing_else_keeps() {
        let config = ReaperConfig::default();
        let not_looked = Evidence { screen: Seen::NotLooked, ..idle() };
        assert!(!kept_without_screen(&read(&not_looked, &config)));
        assert!(kept_without_screen(&read(&Evidence { shares_process: true, ..not_looked }, &config)));
    }

    #[test]
    fn lack_of_knowledge_has_low_confidence() {
        assert_eq!(Gate::TranscriptUnresolved.confidence(), Confidence::Low);
        assert_eq!(Gate::ProcessUninspectable.confidence(), Confidence::Low);
        assert_eq!(Gate::NoPositiveIdle.confidence(), Confidence::High);
        assert_eq!(Gate::Protected.confidence(), Confidence::High);
    }
}
