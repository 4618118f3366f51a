//! What leases cost: from a release to the bytes at whoever waits for it, beside a peer that polls SQLite; an acquisition
//! among a thousand; an authority while a hundred wait; and an event of one of fifty sessions, with coordination off and on.
//!
//! Whoever asks is a process of its own that the kernel calls `claude`, with a session that the recorder has reported: the
//! authority believes nobody else. What is promised stands in `docs/architecture.md`, under "Budgets".

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use stopgate_coordination::fence;
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::event_id::new_event_id;
use stopgate_core::paths::Home;
use stopgate_core::protocol::ROUTE_EVENTS;
use stopgate_core::switch::{self, Mode};

use crate::authority::Authority;
use crate::binaries::{Binaries, Program};
use crate::load::{Sleeps, Spent, Usage};
use crate::payload::Sessions;
use crate::seats::{Done, Seats, Troupe};
use crate::stats::{Summary, millis};
use crate::table::{table, word};
use crate::{checkouts, console};

/// How many wait.
const WAITERS: usize = 100;
/// Releases a second that somebody waits for. With each come three more changes: who was given it gives it back, the holder
/// takes it again, and the other waits again.
const RELEASES: u32 = 50;
/// How long somebody has waited at least when it is released.
const PARKED: Duration = Duration::from_millis(400);
/// How long after the last release the last who wait are waited for: more than the peer needs.
const LAST: Duration = Duration::from_secs(2);
/// Leases that are held while another one is acquired, in so many requests.
const HELD: usize = 1_000;
const HELD_AT_ONCE: usize = 100;
/// How often it is.
const ACQUISITIONS: usize = 1_000;
/// How long an authority is watched while all wait.
const IDLE: Duration = Duration::from_mins(1);
/// Sessions whose events are counted, how many events, and how far apart.
const SESSIONS: usize = 50;
const EVENTS: usize = 500;
const EVENT_EVERY: Duration = Duration::from_millis(20);
/// After so long whatever was set going is over.
const SETTLE: Duration = Duration::from_millis(500);

/// Promised: the slowest of a hundred, of releases and of acquisitions.
const P99_PROMISE: Duration = Duration::from_millis(5);
/// Promised: processor time and memory of an authority with which a hundred wait.
const IDLE_PROMISE_PERCENT: f64 = 0.2;
const RESIDENT_PROMISE_MIB: f64 = 30.0;
/// Aimed at: what coordination adds to an event.
const EVENT_PROMISE: Duration = Duration::from_millis(1);

/// What was measured.
#[derive(Debug, Clone)]
pub(crate) struct Leases {
    handed: Handed,
    peer: Handed,
    acquired: Summary,
    waiting: Spent,
    /// How often any thread of an authority with which nobody waits went to sleep, a second, and one with which all do.
    wakeups: [f64; 2],
    /// Processor time of the authority for an event, with coordination off and on.
    events: [Duration; 2],
}

/// Releases, and when they were heard of.
#[derive(Debug, Clone, Copy)]
struct Handed {
    latency: Summary,
    changes_a_second: f64,
}

/// A home with coordination on, and its authority.
struct Place {
    // Before the directory: they end before the home is removed.
    seats: Seats,
    authority: Authority,
    home: Home,
    checkout: PathBuf,
    directory: tempfile::TempDir,
}

impl Place {
    fn create(binaries: &Binaries) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("sgl-").tempdir()?;
        let top = directory.path().canonicalize()?;
        let home = Home::at(top.join("home"));
        binaries.install(&home)?;
        switch::write_mode(&home, Mode::Shadow)?;
        let user_home = top.join("user");
        std::fs::create_dir(&user_home)?;
        let checkout = top.join("project");
        checkouts::with_plan(&checkout)?;
        let authority = Authority::start(binaries.path(Program::Stopgate)?, &home, &user_home)?;
        let seats = Seats::of(&home, binaries.own("seat")?, &user_home)?;
        Ok(Self { seats, authority, home, checkout, directory })
    }

    fn sit(&mut self, count: usize) -> anyhow::Result<()> {
        for number in self.seats.troupe.len()..count {
            self.seats.sit(&Sessions(0).id(number), &self.checkout)?;
        }
        Ok(())
    }

    /// What the authority spends on an event of one of the sessions that are there.
    fn event(&mut self) -> anyhow::Result<Duration> {
        std::thread::sleep(SETTLE);
        let before = Usage::of(self.authority.pid())?;
        let began = Instant::now();
        for number in 0..EVENTS {
            let due = began + EVENT_EVERY * u32::try_from(number)?;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let who = number % self.seats.troupe.len();
            let key = json!({"harness": "claude", "session_id": self.seats.id(who)});
            let kind = json!({"name": "UserPromptSubmit", "prompt": "go on"});
            let event = json!({"key": key, "cwd": self.checkout, "kind": kind});
            let body = json!({"event_id": new_event_id(&SystemClock), "at_ms": SystemClock.now_ms(), "origin": {},
                              "event": event});
            let order = self.seats.post(ROUTE_EVENTS, &body);
            self.seats.troupe.does(who, &order)?;
        }
        std::thread::sleep(SETTLE);
        let spent = before.until_now(self.authority.pid())?;
        Ok(spent.cpu / u32::try_from(EVENTS)?)
    }

    /// Acquires one more where [`HELD`] are held.
    fn acquire(&mut self) -> anyhow::Result<Summary> {
        let asker = self.seats.troupe.len() - 1;
        for who in 0..HELD / HELD_AT_ONCE {
            let paths: Vec<String> = (0..HELD_AT_ONCE).map(|number| format!("part-{who}/file-{number}.rs")).collect();
            self.lease(who, "acquire", &paths)?;
        }
        let wanted = ["wanted.rs".to_owned()];
        let mut times = Vec::new();
        for _ in 0..ACQUISITIONS {
            times.push(self.lease(asker, "acquire", &wanted)?.took());
            self.lease(asker, "release", &wanted)?;
        }
        for who in 0..HELD / HELD_AT_ONCE {
            self.lease(who, "release", &[])?;
        }
        Summary::of(&times).context("nothing was acquired")
    }

    fn lease(&mut self, who: usize, act: &str, resources: &[String]) -> anyhow::Result<Done> {
        let order = self.seats.lease(who, &self.checkout, act, resources);
        let done = self.seats.troupe.does(who, &order)?;
        ensure!(is_granted(&done), "{act} of {resources:?}: {}", done.body);
        Ok(done)
    }
}

fn is_granted(done: &Done) -> bool {
    done.body.is_null() || done.body["outcome"] == "granted" || done.body["outcome"] == "done"
}

/// Measures all of it, each load for `seconds`.
pub(crate) fn all(binaries: &Binaries, seconds: u32) -> anyhow::Result<Leases> {
    let mut place = Place::create(binaries)?;
    place.sit(SESSIONS)?;
    console::note("counting what an event costs ...");
    let off = place.event()?;
    fence::mode::write(&place.home, Mode::Enforce)?;
    let on = place.event()?;
    console::note(format!("acquiring beside {HELD} leases ..."));
    place.sit(WAITERS + 1)?;
    let acquired = place.acquire()?;
    console::note(format!("watching an authority with {} sessions for {} s ...", WAITERS + 1, IDLE.as_secs()));
    let (_, alone) = watch(&place.authority)?;
    console::note(format!("{WAITERS} wait, {RELEASES} releases a second, for {seconds} s ..."));
    let Place { seats, checkout, .. } = &mut place;
    let mut troupe = std::mem::replace(&mut seats.troupe, Troupe::new());
    let seats = &*seats;
    let order = |who, act: &str, resource: &str| seats.lease(who, checkout, act, &[resource.to_owned()]);
    let handed = hand_over(&mut troupe, seconds, &order)?;
    // All wait again.
    console::note(format!("watching an authority with which {WAITERS} wait for {} s ...", IDLE.as_secs()));
    let (waiting, waited) = watch(&place.authority)?;
    drop(troupe);
    console::note(format!("the same by a peer that polls, for {seconds} s ..."));
    let peer = peer(binaries.own("peer-leases")?, place.directory.path(), seconds)?;
    Ok(Leases { handed, peer, acquired, waiting, wakeups: [alone, waited], events: [off, on] })
}

/// What an authority uses while nobody asks anything, and how often it wakes up a second.
fn watch(authority: &Authority) -> anyhow::Result<(Spent, f64)> {
    // The threads that worked a moment ago live on for ten seconds, and take what they did with them.
    std::thread::sleep(Duration::from_secs(12));
    let (before, woken) = (Usage::of(authority.pid())?, Sleeps::of(authority.pid())?);
    std::thread::sleep(IDLE);
    Ok((before.until_now(authority.pid())?, woken.until_now(authority.pid())?))
}

fn peer(program: &Path, directory: &Path, seconds: u32) -> anyhow::Result<Handed> {
    let mut troupe = Troupe::new();
    for number in 0..=WAITERS {
        troupe.start(Command::new(program).arg(directory.join("peer.db")).arg(format!("session-{number}")))?;
    }
    hand_over(&mut troupe, seconds, &|_, act, resource| json!({"act": act, "resource": resource}))
}

/// Where somebody who waits is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// It waits, since then.
    Waits(Instant),
    /// What it waits for is released.
    IsGiven,
    /// It is given back, and taken and waited for again.
    Returns,
}

/// The last of `troupe` holds something for each of the others, which wait for it, and releases [`RELEASES`] a second in turn.
/// At the end all wait again.
fn hand_over(troupe: &mut Troupe, seconds: u32, order: &dyn Fn(usize, &str, &str) -> Value) -> anyhow::Result<Handed> {
    let holder = troupe.len() - 1;
    let names: Vec<String> = (0..holder).map(|who| format!("src/part_{who}.rs")).collect();
    for (who, name) in names.iter().enumerate() {
        let done = troupe.does(holder, &order(holder, "acquire", name))?;
        ensure!(is_granted(&done), "not acquired: {}", done.body);
        troupe.tell(who, &order(who, "wait", name))?;
    }
    std::thread::sleep(SETTLE);
    let mut stages = vec![Stage::Waits(Instant::now()); holder];
    let mut released: Vec<Option<u64>> = vec![None; holder];
    let mut heard: Vec<Option<u64>> = vec![None; holder];
    // What the holder was told, in that order: of whom, and whether it was to release.
    let mut told: VecDeque<(usize, bool)> = VecDeque::new();
    let (mut times, mut changes) = (Vec::new(), 0_u32);
    let (began, all) = (Instant::now(), RELEASES * seconds);
    let (mut given, mut next) = (0, 0);
    loop {
        let due = began + Duration::from_secs(u64::from(given)) / RELEASES;
        let is_over = given == all;
        let is_at_rest = stages.iter().all(|stage| matches!(stage, Stage::Waits(_)));
        if is_over && is_at_rest {
            break;
        }
        if !is_over && Instant::now() >= due {
            let waits_long = |stage: &Stage| matches!(stage, Stage::Waits(since) if since.elapsed() >= PARKED);
            let who = next % holder;
            if stages.get(who).is_some_and(waits_long) {
                troupe.tell(holder, &order(holder, "release", &names[who]))?;
                told.push_back((who, true));
                stages[who] = Stage::IsGiven;
                next += 1;
            }
            // One that is still on its way misses its turn, and so does the load.
            given += 1;
            continue;
        }
        let patience = if is_over { LAST } else { due.saturating_duration_since(Instant::now()) };
        let Some(done) = troupe.hear_within(patience)? else {
            ensure!(!is_over, "somebody waits for ever");
            continue;
        };
        ensure!(done.status == 200 && is_granted(&done), "refused: {}", done.body);
        changes += 1;
        let who = if done.who == holder {
            let (who, was_release) = told.pop_front().context("the holder was told nothing")?;
            if was_release {
                released[who] = Some(done.began_ns);
            } else {
                troupe.tell(who, &order(who, "wait", &names[who]))?;
                // That it waits is a change, of which nothing is heard.
                changes += 1;
                stages[who] = Stage::Waits(Instant::now());
            }
            who
        } else {
            match stages[done.who] {
                Stage::IsGiven => {
                    heard[done.who] = Some(done.ended_ns);
                    // To be given something is part of the release.
                    changes -= 1;
                    troupe.tell(done.who, &order(done.who, "release", &names[done.who]))?;
                    stages[done.who] = Stage::Returns;
                }
                Stage::Returns => {
                    troupe.tell(holder, &order(holder, "acquire", &names[done.who]))?;
                    told.push_back((done.who, false));
                }
                Stage::Waits(_) => anyhow::bail!("somebody was given what nobody had released"),
            }
            done.who
        };
        // Whichever is heard of first.
        if let (Some(from), Some(to)) = (released[who], heard[who]) {
            times.push(Duration::from_nanos(to.saturating_sub(from)));
            (released[who], heard[who]) = (None, None);
        }
    }
    let latency = Summary::of(&times).context("nothing was handed over")?;
    Ok(Handed { latency, changes_a_second: f64::from(changes) / began.elapsed().as_secs_f64() })
}

impl Leases {
    /// What the table shows.
    fn rows(&self) -> Vec<[String; 9]> {
        let cells = |name: String, summary: &Summary, promise: String, kept: Option<bool>| {
            let time = |time| format!("{:.2}", millis(time));
            let Summary { count, min, median, p95, p99, max } = *summary;
            let times = [time(median), time(p95), time(p99), time(max), time(min)];
            let [median, p95, p99, max, min] = times;
            [name, count.to_string(), median, p95, p99, max, min, promise, word(kept).to_owned()]
        };
        let promise = || format!("p99 <= {} ms", P99_PROMISE.as_millis());
        let kept = |summary: &Summary| Some(summary.p99 <= P99_PROMISE);
        let handed = |who: &str, of: &Handed| format!("release to {who}, {:.0} changes/s", of.changes_a_second);
        vec![
            cells(
                handed(&format!("one of {WAITERS} who wait"), &self.handed),
                &self.handed.latency,
                promise(),
                kept(&self.handed.latency),
            ),
            cells(handed("the same, by a peer that polls", &self.peer), &self.peer.latency, "-".to_owned(), None),
            cells(format!("acquire beside {HELD} leases"), &self.acquired, promise(), kept(&self.acquired)),
        ]
    }

    fn waiting_kept(&self) -> bool {
        self.waiting.cpu_percent <= IDLE_PROMISE_PERCENT && self.waiting.resident_mib <= RESIDENT_PROMISE_MIB
    }

    /// What coordination adds to an event.
    fn added(&self) -> Duration {
        self.events[1].saturating_sub(self.events[0])
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let head = ["what", "n", "median", "p95", "p99", "max", "min", "promise", ""].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(self.rows()).collect();
        format!(
            "{}\n{WAITERS} wait, nobody asks, {} s: {:.3} % of a core, {:.1} MiB (promised: at most {IDLE_PROMISE_PERCENT} %, \
             {RESIDENT_PROMISE_MIB} MiB: {}); {:.2} wake-ups a second, and {:.2} where nobody waits\n\
             an event of one of {SESSIONS} sessions in one tree: {:.2} ms of processor time with coordination off, {:.2} ms \
             with it on (aimed at: at most {} ms more: {})\n",
            table(&rows),
            IDLE.as_secs(),
            self.waiting.cpu_percent,
            self.waiting.resident_mib,
            word(Some(self.waiting_kept())),
            self.wakeups[1],
            self.wakeups[0],
            millis(self.events[0]),
            millis(self.events[1]),
            EVENT_PROMISE.as_millis(),
            word(Some(self.added() <= EVENT_PROMISE)),
        )
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let summary = |of: &Summary| {
            json!({"n": of.count, "median_ms": millis(of.median), "p95_ms": millis(of.p95), "p99_ms": millis(of.p99),
                   "max_ms": millis(of.max), "min_ms": millis(of.min)})
        };
        json!({
            "waiters": WAITERS,
            "handed_over": summary(&self.handed.latency),
            "handed_over_changes_a_second": self.handed.changes_a_second,
            "handed_over_by_polling_peer": summary(&self.peer.latency),
            "handed_over_by_polling_peer_changes_a_second": self.peer.changes_a_second,
            "acquired_beside": HELD,
            "acquired": summary(&self.acquired),
            "waiting": {"seconds": IDLE.as_secs(), "cpu_percent": self.waiting.cpu_percent,
                        "resident_mib": self.waiting.resident_mib, "wakeups_a_second": self.wakeups[1],
                        "wakeups_a_second_without": self.wakeups[0], "kept": self.waiting_kept()},
            "event_sessions": SESSIONS,
            "event_cpu_ms": {"off": millis(self.events[0]), "on": millis(self.events[1])},
        })
    }
}
