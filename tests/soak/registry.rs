//! 200 stand-in sessions in real tmux panes while hours go by on a made-up clock: they start, work, stop, are cleared,
//! crash, end, and their pids are claimed by others, at random, under critical pressure with the reaper live. At the
//! end the registry equals the truth, and nothing at work was ever ended.
//!
//! `STOPGATE_SOAK_SECONDS` makes it longer than its 20 s; the seed is printed, and `STOPGATE_SOAK_SEED` repeats it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::json;
use stopgate_core::clock::{FixedClock, UnixMillis};
use stopgate_core::env::{Env as _, ProcessEnv};
use stopgate_core::event_id::new_event_id;
use stopgate_core::process::{ProcFs, host, identify};
use stopgate_core::protocol::ROUTE_EVENTS;
use stopgate_core::session::state::SessionState;
use stopgate_protocol::SessionRow;
use stopgate_tests::process::kill;
use stopgate_tests::reaper::{CRITICAL, Stage, StandIn};
use stopgate_tests::run::eventually;
use stopgate_tests::world::{RunningAuthority, stop};

use crate::random::Random;

const SESSIONS: usize = 200;
/// The authority lists no more than a thousand sessions.
const MAX_IDS: usize = 900;
/// What passes on the clock between two things that happen.
const STEP_MS: UnixMillis = 15_000;

/// What is true of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Truth {
    /// At its prompt.
    Resting,
    /// At work since then.
    Working(UnixMillis),
    /// Ended by itself.
    Ended,
    /// Cleared; this one continues it.
    Cleared(String),
    /// Killed.
    Gone,
}

struct Soak<'a> {
    stage: &'a Stage,
    authority: &'a RunningAuthority<'a>,
    random: Random,
    truth: HashMap<String, Truth>,
    /// Sessions whose process ended at rest: the reaper may have come first.
    ended_at_rest: HashSet<String>,
    /// Stand-ins that live, with the session that each has now.
    live: Vec<(StandIn<'a>, String)>,
    made: usize,
    counts: BTreeMap<&'static str, usize>,
}

/// What has to have happened.
const DOES: [&str; 7] = ["starts", "turns begun", "turns ended", "clears", "crashes", "ends", "pids claimed by others"];

impl Soak<'_> {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn new_id(&mut self) -> String {
        self.made += 1;
        format!("s{:04}", self.made)
    }

    fn start(&mut self) {
        let id = self.new_id();
        let harness = if self.random.below(5) == 0 { "codex" } else { "claude" };
        let command = ["new-session", "-x", "120", "-y", "40", "-s", &id];
        let stand_in = self.stage.stand_in_pane(&id, harness, &command, "exec");
        stand_in.starts(&id, "startup");
        stand_in.shows(if harness == "codex" { "codex-0.169.0-idle" } else { "claude-2.1.329-idle" });
        self.truth.insert(id.clone(), Truth::Resting);
        self.live.push((stand_in, id));
        self.count("starts");
    }

    /// Whether the reaper has ended it meanwhile; it is not asked again then.
    fn was_reaped(&mut self, index: usize) -> bool {
        if !self.live[index].0.has_ended() {
            return false;
        }
        let (_, id) = self.live.swap_remove(index);
        assert_eq!(self.truth[&id], Truth::Resting, "{id} was ended at work");
        self.count("ended by the reaper");
        true
    }

    fn may_be_reaped(&self, id: &str) -> bool {
        self.truth[id] == Truth::Resting || self.ended_at_rest.contains(id)
    }

    fn step(&mut self) {
        self.stage.pass(STEP_MS);
        if self.live.len() < SESSIONS && self.made < MAX_IDS {
            return self.start();
        }
        let index = self.random.below(self.live.len());
        if self.was_reaped(index) {
            return;
        }
        let id = self.live[index].1.clone();
        let is_codex = self.live[index].0.is_codex();
        let (busy, idle) = if is_codex {
            ("codex-0.169.0-busy", "codex-0.169.0-idle")
        } else {
            ("claude-2.1.329-busy", "claude-2.1.329-idle")
        };
        let resting = self.truth[&id] == Truth::Resting;
        match self.random.below(100) {
            0..35 if resting => {
                // First the event, then what it leads to: the reaper may be about to end it.
                if !self.live[index].0.tries_to_record(&id, "UserPromptSubmit") {
                    let _ = self.was_reaped(index);
                    return;
                }
                self.truth.insert(id, Truth::Working(self.stage.now_ms()));
                self.live[index].0.shows(busy);
                self.count("turns begun");
            }
            0..70 if !resting => {
                let stand_in = &self.live[index].0;
                stand_in.tell("say {\"type\":\"assistant\"}");
                stand_in.shows(idle);
                stand_in.hook("stop-gate-router", stop(&id, self.stage.site.top(), "The parser is in."));
                self.truth.insert(id, Truth::Resting);
                self.count("turns ended");
            }
            70..80 if resting && self.made < MAX_IDS => {
                let new = self.new_id();
                let stand_in = &self.live[index].0;
                // Codex does not report the end of what is cleared.
                let told = (is_codex || stand_in.tries_to_end(&id, "clear")) && stand_in.tries_to_start(&new, "clear");
                if !told {
                    let _ = self.was_reaped(index);
                    self.made -= 1;
                    return;
                }
                self.truth.insert(id, Truth::Cleared(new.clone()));
                self.truth.insert(new.clone(), Truth::Resting);
                self.live[index].1 = new;
                self.count("clears");
            }
            80..84 => {
                let (stand_in, id) = self.live.swap_remove(index);
                if resting {
                    self.ended_at_rest.insert(id.clone());
                }
                kill(stand_in.pid());
                eventually("it is dead", || stand_in.has_ended().then_some(()));
                self.truth.insert(id, Truth::Gone);
                self.count("crashes");
            }
            84..87 => {
                if !self.live[index].0.tries_to_end(&id, "prompt_input_exit") {
                    let _ = self.was_reaped(index);
                    return;
                }
                let (stand_in, id) = self.live.swap_remove(index);
                if resting {
                    self.ended_at_rest.insert(id.clone());
                }
                stand_in.told("exit");
                self.truth.insert(id, Truth::Ended);
                self.count("ends");
            }
            87..90 if self.made < MAX_IDS => self.claim_pid(index),
            _ => self.count("rests"),
        }
    }

    /// A session that ended long ago had the pid which now is a stand-in's: only the start time tells them apart.
    fn claim_pid(&mut self, index: usize) {
        let Some(mut process) = identify(&ProcFs, self.live[index].0.pid()) else { return };
        process.start_ticks -= 1;
        let id = self.new_id();
        let now_ms = self.stage.now_ms();
        let event = json!({
            "event_id": new_event_id(&FixedClock(now_ms)), "at_ms": now_ms,
            "event": {"key": {"harness": "claude", "session_id": id}, "cwd": null, "transcript_path": null,
                      "model": null, "permission_mode": null, "agent_id": null,
                      "kind": {"name": "SessionStart", "source": "startup"}},
            "origin": {},
        });
        // The store may be busy, as hooks know it.
        eventually("the event is taken", || {
            let taken = self.authority.request("POST", ROUTE_EVENTS, &event);
            assert!(matches!(taken.status, 200 | 503), "{}", String::from_utf8_lossy(&taken.body));
            (taken.status == 200).then_some(())
        });
        // An event is believed about its own process only: the row is as it was left when the pid was the session's.
        let store = rusqlite::Connection::open(self.stage.site.world.home.database()).unwrap();
        store.busy_timeout(Duration::from_secs(30)).unwrap();
        let changed = store.execute(
            "UPDATE sessions SET process_pid = ?2, process_start_ticks = ?3, process_command = ?4, process_executable = ?5,
                                 boot_id = ?6, pid_namespace = ?7, process_shared = 0, host = ?8
             WHERE session_id = ?1",
            rusqlite::params![
                id,
                process.pid,
                process.start_ticks.cast_signed(),
                process.command,
                process.executable,
                process.boot_id,
                process.pid_namespace.map(u64::cast_signed),
                host(),
            ],
        );
        assert_eq!(changed, Ok(1), "{id}");
        self.truth.insert(id, Truth::Gone);
        self.count("pids claimed by others");
    }

    /// What differs between the registry and the truth.
    fn differences(&self, rows: &[SessionRow]) -> Vec<String> {
        let by_id: HashMap<&str, &SessionRow> = rows.iter().map(|row| (row.session_id.as_str(), row)).collect();
        let mut found = Vec::new();
        for (id, truth) in &self.truth {
            let Some(row) = by_id.get(id.as_str()) else {
                found.push(format!("{id} is not known"));
                continue;
            };
            let reaped = row.end_reason.as_deref() == Some("reaped-idle");
            let agrees = match truth {
                _ if reaped && self.may_be_reaped(id) => row.state == SessionState::Ended,
                Truth::Resting => matches!(row.state, SessionState::Idle | SessionState::Starting),
                Truth::Working(_) => row.state == SessionState::Working,
                Truth::Ended => row.state == SessionState::Ended && !reaped,
                Truth::Cleared(by) => row.state == SessionState::Ended && row.successor.as_deref() == Some(by),
                Truth::Gone => row.state == SessionState::Gone,
            };
            if !agrees {
                found.push(format!("{id}: {truth:?}, but {} ({:?}, {:?})", row.state, row.end_reason, row.successor));
            }
        }
        if rows.len() != self.truth.len() {
            found.push(format!("{} rows, {} sessions", rows.len(), self.truth.len()));
        }
        found
    }
}

fn number(name: &str) -> Option<u64> {
    ProcessEnv.text(name)?.parse().ok()
}

#[test]
fn the_registry_equals_the_truth_and_nothing_at_work_is_ended() {
    let _alone = crate::alone();
    let seconds = number("STOPGATE_SOAK_SECONDS").unwrap_or(20);
    let seed = number("STOPGATE_SOAK_SEED").unwrap_or(0x5eed_1234_5678).max(1);
    let stage = Stage::new();
    let authority = stage.site.world.authority();
    stage.enable(true);
    stage.pressure(CRITICAL);
    let mut soak = Soak {
        stage: &stage,
        authority: &authority,
        random: Random(seed),
        truth: HashMap::new(),
        ended_at_rest: HashSet::new(),
        live: Vec::new(),
        made: 0,
        counts: BTreeMap::new(),
    };
    let all = || -> Vec<SessionRow> {
        serde_json::from_value(stage.site.world.stopgate_json(&["sessions", "--all", "--json"])).unwrap()
    };
    let began = stage.now_ms();
    while soak.live.len() < SESSIONS {
        soak.start();
    }
    let until = Instant::now() + Duration::from_secs(seconds);
    // On a slow machine the time is over before all of it was done.
    let at_most = until + Duration::from_mins(5);
    let is_reaped = |row: &SessionRow| row.end_reason.as_deref() == Some("reaped-idle");
    let mut steps = 0;
    loop {
        soak.step();
        steps += 1;
        let now = Instant::now();
        let did_all = || DOES.iter().all(|what| soak.counts.contains_key(what)) && all().iter().any(is_reaped);
        if now > at_most || now > until && steps % 10 == 0 && did_all() {
            break;
        }
    }
    // The turns that end last are still being judged, and what was spooled is looked for every half minute.
    let patience = Instant::now() + Duration::from_mins(1);
    let differences = loop {
        let differences = soak.differences(&all());
        if differences.is_empty() || Instant::now() > patience {
            break differences;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    let rows = all();
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        *states.entry(row.state.name()).or_default() += 1;
    }
    let reaped: Vec<_> = rows.iter().filter(|row| is_reaped(row)).collect();
    let minutes = (stage.now_ms() - began) / 60_000;
    let mut out = std::io::stderr();
    let _ =
        writeln!(out, "soak: seed {seed}, {minutes} min on the clock, {} sessions; did {:?}", rows.len(), soak.counts);
    let _ = writeln!(out, "soak: {} ended by the reaper; registry {states:?}; {differences:?}", reaped.len());
    assert_eq!(differences, [] as [String; 0]);
    for row in &reaped {
        assert!(soak.may_be_reaped(&row.session_id), "{} was ended at work", row.session_id);
    }
    for (stand_in, id) in &soak.live {
        let working = matches!(soak.truth[id], Truth::Working(_));
        assert!(!working || !stand_in.has_ended(), "{id} was ended at work");
    }
    assert!(!reaped.is_empty(), "the reaper was at work");
    for what in DOES {
        assert!(soak.counts.contains_key(what), "no {what}");
    }
}
