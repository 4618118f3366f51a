//! The hooks, one row each: what everybody else who has to know them reads, and their own programs name.
//!
//! Installer, `stopgate status`, doctor, bench, tests and documents have no list of their own. A hook's program has of
//! its row what it uses: the rest is for those who ask.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::harness::EventName;
use crate::session::Harness;

/// Number of the table of what is registered, as `migrations/wiring` has it: another one with each change of a [`Wire`],
/// because that is a change of what stands in people's files, and makes Codex ask for trust again.
pub const WIRING: u32 = 6;

/// How long a hook takes at most, where nothing else is said: well below the [`USUAL`] time it is registered with.
const DEADLINE: Duration = Duration::from_secs(3);
/// Least and most that `STOPGATE_DEADLINE_MS` can make of it: a hook stays both useful and below what is registered.
pub const DEADLINES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(8));
/// How long the harness lets a hook run, where nothing else is said.
pub const USUAL: Timeout = Timeout::seconds(10);

/// Longest time, in milliseconds, that a stop can be made to wait for a judge (`judge.wait_ms`): what a person still takes
/// for a pause.
pub const LONGEST_WAIT_MS: u32 = 55_000;
/// What is registered beyond that wait: for all that comes before and after it.
const BESIDE_WAIT: Duration = Duration::from_secs(5);

const KIB: u64 = 1024;
/// Largest file of a hook that is linked dynamically.
pub const MAX_DYNAMIC_BYTES: u64 = 250 * KIB;
/// Largest file of a hook that is linked statically: 1.3 MiB.
pub const MAX_STATIC_BYTES: u64 = 13 * 1024 * KIB / 10;
/// What SQLite may add: 1.1 MiB.
pub const SQLITE_BYTES: u64 = 11 * 1024 * KIB / 10;

/// Largest file of the hook that reads shell commands: that much more than any other.
pub const MAX_FENCE_BYTES: u64 = 450 * KIB;

/// A hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Asks the authority.
    StopGateRouter,
    /// Defends builds.
    BuildStop,
    /// Reports everything else.
    SessionStartRecorder,
    /// Asks, before a tool writes, whether another session is at that.
    WriteFence,
}

/// A set of lines that are registered, and taken back, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireSet {
    /// What every installation has.
    #[default]
    Base,
    /// What only those have that turned coordination on.
    Coordination,
}

impl WireSet {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Base, Self::Coordination];

    /// The word in the ledger, in JSON and as an argument.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Coordination => "coordination",
        }
    }

    /// Whether it is [`Self::Base`].
    pub fn is_base(&self) -> bool {
        *self == Self::Base
    }
}

/// A hook's row.
#[derive(Debug)]
pub struct Row {
    /// Name of its file, in its heartbeats and in the hooks' log.
    pub name: &'static str,
    /// What it is about.
    pub subject: &'static str,
    /// How long it takes at most, whatever else is broken.
    pub deadline: Duration,
    /// The set that its lines belong to.
    pub set: WireSet,
    /// What it is registered for.
    pub wires: &'static [Wire],
    /// Whether it carries SQLite.
    pub sqlite: bool,
    /// What is promised of its time.
    pub paces: &'static [Pace],
}

const STOP_GATE_ROUTER: Row = Row {
    name: "stop-gate-router",
    subject: "asks the authority whether a turn may end",
    deadline: DEADLINE,
    set: WireSet::Base,
    wires: &[Wire::on(EventName::Stop)],
    sqlite: false,
    paces: &[Pace(When::SwitchedOff, 1.1), Pace(When::Answered, 1.5)],
};

const BUILD_STOP: Row = Row {
    name: "build-stop-hook",
    subject: "holds the session that owns a live build",
    deadline: DEADLINE,
    set: WireSet::Base,
    wires: &[Wire::on(EventName::Stop)],
    sqlite: false,
    paces: &[Pace(When::SwitchedOff, 1.1), Pace(When::BesideArchive, 1.1)],
};

const SESSION_START_RECORDER: Row = Row {
    name: "session-start-recorder",
    subject: "reports what happens to sessions, and starts the authority",
    // Below what Codex gives the two events below at most.
    deadline: Duration::from_secs(2),
    set: WireSet::Base,
    wires: &[
        Wire::on(EventName::SessionStart),
        Wire::on(EventName::UserPromptSubmit),
        // A hook that says nothing decides nothing: the harness asks the person as it would have without one.
        Wire::on(EventName::PermissionRequest),
        // Codex gives these two no more, and shows a warning in every session that would have more.
        Wire::on(EventName::Interrupt).within(Timeout::seconds(3)),
        Wire::on(EventName::PreCompact),
        Wire::on(EventName::PostCompact),
        // The last that a session's hooks hear when they are taken out.
        Wire::on(EventName::ConfigChange),
        Wire::on(EventName::SessionEnd).within(Timeout::seconds(3)),
    ],
    sqlite: true,
    paces: &[Pace(When::SwitchedOff, 1.1), Pace(When::Answered, 2.0), Pace(When::Unanswered, 4.0)],
};

const WRITE_FENCE: Row = Row {
    name: "write-fence",
    subject: "asks the authority, before a tool writes, whether another session is at that",
    // It stands before every write.
    deadline: Duration::from_millis(250),
    set: WireSet::Coordination,
    wires: &[Wire::on(EventName::PreToolUse).within(Timeout::seconds(5)).of(Tools::Writing)],
    sqlite: false,
    paces: &[
        Pace(When::SwitchedOff, 1.1),
        Pace(When::NothingHeld, 1.15),
        Pace(When::Answered, 1.5),
        Pace(When::Denied, 1.7),
    ],
};

impl Hook {
    /// All hooks, in the order in which those of one event are registered.
    pub const ALL: [Self; 4] = [Self::StopGateRouter, Self::BuildStop, Self::SessionStartRecorder, Self::WriteFence];
    /// The names of all.
    pub const NAMES: [&'static str; Self::ALL.len()] = {
        let mut names = [""; Self::ALL.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = Self::ALL[at].name();
            at += 1;
        }
        names
    };

    /// Its row.
    pub const fn row(self) -> &'static Row {
        match self {
            Self::StopGateRouter => &STOP_GATE_ROUTER,
            Self::BuildStop => &BUILD_STOP,
            Self::SessionStartRecorder => &SESSION_START_RECORDER,
            Self::WriteFence => &WRITE_FENCE,
        }
    }

    /// Name of its file, in its heartbeats and in the hooks' log.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The set that its lines belong to.
    pub const fn set(self) -> WireSet {
        self.row().set
    }

    /// Largest file of it that is linked dynamically, in bytes.
    pub const fn most_bytes(self) -> u64 {
        match self {
            Self::WriteFence => MAX_FENCE_BYTES,
            _ if self.row().sqlite => MAX_DYNAMIC_BYTES + SQLITE_BYTES,
            _ => MAX_DYNAMIC_BYTES,
        }
    }

    /// Whether it waits for a judge's word.
    pub const fn waits_for_judge(self) -> bool {
        matches!(self, Self::StopGateRouter)
    }

    /// How long it can be made to take: well below each time that it is registered with.
    pub fn longest(self) -> Duration {
        let shortest = self.row().wires.iter().map(|wire| wire.timeout.duration()).min();
        (shortest.unwrap_or(USUAL.duration()) * 4 / 5).min(DEADLINES.1)
    }

    /// How many times what it is compared with it may take `when`, if that is promised.
    pub fn most_times(self, when: When) -> Option<f64> {
        self.row().paces.iter().find(|pace| pace.0 == when).map(|pace| pace.1)
    }
}

/// How long the harness lets a hook run: whole seconds, the one unit that every harness accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timeout(u16);

impl Timeout {
    /// A timeout of `seconds`.
    pub const fn seconds(seconds: u16) -> Self {
        Self(seconds)
    }

    /// This, or what a hook needs that waits for a judge as long as `wait`.
    #[must_use]
    pub fn for_wait(self, wait: Duration) -> Self {
        let seconds = (wait + BESIDE_WAIT).as_millis().div_ceil(1_000);
        let needed = u16::try_from(seconds).unwrap_or(u16::MAX);
        if wait.is_zero() || needed <= self.0 { self } else { Self(needed) }
    }

    /// How long a hook that is registered with this may wait for a judge.
    pub fn wait(self) -> Duration {
        self.duration().saturating_sub(BESIDE_WAIT).min(Duration::from_millis(LONGEST_WAIT_MS.into()))
    }

    /// The number in the settings file.
    pub const fn as_seconds(self) -> u16 {
        self.0
    }

    /// As a span of time.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

/// Of which tools a hook hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tools {
    /// Of all, and of events that are of none.
    All,
    /// Of those that write files ([`Spec::writing_tools`](crate::harness::Spec::writing_tools)).
    Writing,
}

/// One registration of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wire {
    /// The event; all of its kind, whatever trigger it names.
    pub event: EventName,
    /// How long the harness lets the hook run.
    pub timeout: Timeout,
    /// Of which tools.
    pub tools: Tools,
}

impl Wire {
    const fn on(event: EventName) -> Self {
        Self { event, timeout: USUAL, tools: Tools::All }
    }

    const fn of(self, tools: Tools) -> Self {
        Self { tools, ..self }
    }

    /// The matcher of its group in `harness`' settings; `None` where it has none.
    pub fn matcher(self, harness: Harness) -> Option<String> {
        match self.tools {
            Tools::All => None,
            Tools::Writing => {
                Some(harness.spec().writing_tools.iter().map(|tool| tool.name).collect::<Vec<_>>().join("|"))
            }
        }
    }

    const fn within(self, timeout: Timeout) -> Self {
        Self { timeout, ..self }
    }

    /// Whether it is registered for `harness`: it has the event.
    pub fn is_of(self, harness: Harness) -> bool {
        harness.spec().has(self.event)
    }
}

/// How many lines the table has.
const fn lines() -> usize {
    let (mut count, mut at) = (0, 0);
    while at < Hook::ALL.len() {
        count += Hook::ALL[at].row().wires.len();
        at += 1;
    }
    count
}

/// What is registered, event by event, and for each event in the order of [`Hook::ALL`]: a line's place there is its
/// place in the event's group.
pub const TABLE: [(Hook, Wire); lines()] = {
    let mut table = [(Hook::ALL[0], Hook::ALL[0].row().wires[0]); lines()];
    let (mut filled, mut event) = (0, 0);
    while event < EventName::ALL.len() {
        let mut hook = 0;
        while hook < Hook::ALL.len() {
            let wires = Hook::ALL[hook].row().wires;
            let mut at = 0;
            while at < wires.len() {
                if wires[at].event as u8 == EventName::ALL[event] as u8 {
                    table[filled] = (Hook::ALL[hook], wires[at]);
                    filled += 1;
                }
                at += 1;
            }
            hook += 1;
        }
        event += 1;
    }
    assert!(filled == table.len(), "an event is not in EventName::ALL");
    table
};

/// A promise on the time of a hook: when it is given, and how many times the time of what it is compared with is the most.
/// That is a program that does nothing, and for [`When::BesideArchive`] the hook itself in a checkout without builds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace(pub When, pub f64);

/// A state of the world that the time of a hook is promised for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The kill switch is on, or for a hook that looks at the mode, that is off.
    SwitchedOff,
    /// The authority answers, by its rules.
    Answered,
    /// There is no authority.
    Unanswered,
    /// In a checkout with fifty archived builds.
    BesideArchive,
    /// No other session lives where something would be written.
    NothingHeld,
    /// The authority refuses.
    Denied,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_ends_before_its_harness_ends_it() {
        assert!(DEADLINES.1 < USUAL.duration());
        for (hook, wire) in TABLE {
            assert!((1..=60).contains(&wire.timeout.as_seconds()), "seconds, not milliseconds");
            assert!((DEADLINES.0..=hook.longest()).contains(&hook.row().deadline));
            assert!(hook.longest() < wire.timeout.duration(), "{} on {}", hook.name(), wire.event.name());
        }
    }

    #[test]
    fn a_hook_that_waits_for_a_judge_is_registered_for_that_and_ends_in_time() {
        for (wait_ms, seconds) in [(0, 10), (3_000, 10), (5_000, 10), (5_001, 11), (20_000, 25), (LONGEST_WAIT_MS, 60)]
        {
            let wait = Duration::from_millis(wait_ms.into());
            let timeout = USUAL.for_wait(wait);
            assert_eq!(timeout.as_seconds(), seconds, "{wait_ms}");
            assert!(timeout.wait() >= wait);
            // What it takes before it waits, and the wait.
            assert!(DEADLINE + timeout.wait() < timeout.duration());
        }
        assert_eq!(Timeout::seconds(1).wait(), Duration::ZERO);
        assert_eq!(Timeout::seconds(600).wait().as_millis(), u128::from(LONGEST_WAIT_MS));
    }

    #[test]
    fn every_hook_is_registered_once_for_an_event() {
        for (at, (hook, wire)) in TABLE.into_iter().enumerate() {
            assert!(TABLE[..at].iter().all(|(other, known)| (*other, known.event) != (hook, wire.event)));
        }
        assert!(Hook::ALL.iter().all(|hook| !hook.row().wires.is_empty() && !hook.row().paces.is_empty()));
    }
}
