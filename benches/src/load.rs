//! The authority under a steady load of stops: latency, errors, memory, CPU and growth of its store.
//!
//! Requests are sent by the clock, not after the one before: an authority that falls behind is not spared. Each is a
//! connection of its own, as a hook's is, and its time counts from the moment it was due. What is promised stands in
//! `docs/architecture.md`, under "Budgets".

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use stopgate_core::client;
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::event_id::new_event_id;
use stopgate_core::paths::Home;
use stopgate_core::process::stat::Stat;
use stopgate_core::protocol::{EvaluateResponse, ROUTE_EVALUATE, ROUTE_EVENTS};
use stopgate_core::switch::{self, Mode};

use crate::authority::Authority;
use crate::binaries::{Binaries, Program};
use crate::payload::{self, EXCUSE_MESSAGE, PLAIN_MESSAGE};
use crate::stats::{Summary, millis};
use crate::table::word;
use crate::{checkouts, console, words};

/// Promised: the slowest of a hundred verdicts of rules alone.
const P99_PROMISE: Duration = Duration::from_millis(5);
/// Promised: resident memory.
const RESIDENT_PROMISE_MIB: f64 = 30.0;
/// Promised: what a stop costs, and how long its verdict takes, whose last message is far too long.
const LONG_PROMISE: Duration = Duration::from_millis(5);
/// So many such stops are judged, one after the other.
const LONG_STOPS: u32 = 200;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sessions that stop in turn.
const SESSIONS: u32 = 50;
/// One stop in so many gives an excuse, so that facts are gathered and evidence is checked.
const EXCUSE_EVERY: u32 = 10;

/// Stops a second, one load after the other. At the last the machine has little left for the asking side.
const RATES: [u32; 3] = [100, 500, 2_000];
/// The rate that the promise is for.
const PROMISED_RATE: u32 = 500;
/// How long the authority is watched while nobody asks.
const IDLE: Duration = Duration::from_secs(30);
/// Promised: processor time of an authority that nobody asks.
const IDLE_PROMISE_PERCENT: f64 = 0.2;
/// Connections at once, at most.
const WORKERS: u32 = 16;

/// One load, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    rate: u32,
    seconds: u32,
    latency: Summary,
    errors: usize,
    spent: Spent,
    /// Growth of the store, in bytes a stop.
    grown: f64,
}

/// An authority that nobody asks.
#[derive(Debug, Clone)]
pub(crate) struct Idle {
    spent: Spent,
    /// How often any of its threads went to sleep, a second.
    wakeups: f64,
}

/// What the authority used while it was watched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) resident_mib: f64,
    /// Of one core.
    pub(crate) cpu_percent: f64,
    /// Processor time.
    pub(crate) cpu: Duration,
}

/// Loads an authority of its own at each rate for `seconds`.
pub(crate) fn all(binaries: &Binaries, seconds: u32) -> anyhow::Result<Vec<Load>> {
    RATES.into_iter().map(|rate| one(binaries, rate, seconds)).collect()
}

/// Stops whose last message is far too long, and what came of them.
#[derive(Debug, Clone)]
pub(crate) struct LongStops {
    latency: Summary,
    /// Processor time of one.
    cpu: Duration,
}

/// Has an authority judge stops whose last message is far too long, one after the other.
pub(crate) fn long_stops(binaries: &Binaries) -> anyhow::Result<LongStops> {
    let place = Place::create(binaries)?;
    console::note(format!("{LONG_STOPS} stops with a long message ..."));
    let messages = words::long_messages()?;
    let before = Stat::of(place.authority.pid())?.cpu().context("no CPU time")?;
    let mut times = Vec::new();
    for (number, message) in (0..LONG_STOPS).zip(messages.iter().cycle()) {
        // Every other one cannot be let go by the message alone.
        let message = format!("{message}\n\n{}", if number % 2 == 0 { EXCUSE_MESSAGE } else { PLAIN_MESSAGE });
        let began = Instant::now();
        ask(&place.socket, number, &place.checkout, &message)?;
        times.push(began.elapsed());
    }
    // What it does afterwards is its cost as well.
    std::thread::sleep(Duration::from_secs(1));
    let spent = Stat::of(place.authority.pid())?.cpu().context("no CPU time")?.saturating_sub(before);
    let latency = Summary::of(&times).context("no stop was judged")?;
    Ok(LongStops { latency, cpu: spent / LONG_STOPS })
}

/// An authority in a home of its own that knows some sessions.
struct Place {
    // Before the directory: it ends before its home is removed.
    authority: Authority,
    home: Home,
    socket: PathBuf,
    checkout: PathBuf,
    _directory: tempfile::TempDir,
}

impl Place {
    fn create(binaries: &Binaries) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let home = Home::at(directory.path().join("home"));
        home.create()?;
        switch::write_mode(&home, Mode::Enforce)?;
        let user_home = directory.path().join("user");
        std::fs::create_dir(&user_home)?;
        let checkout = directory.path().join("project");
        checkouts::with_plan(&checkout)?;
        let authority = Authority::start(binaries.path(Program::Stopgate)?, &home, &user_home)?;
        let socket = home.socket_to_connect()?;
        for session in 0..SESSIONS {
            start_session(&socket, session, &checkout)?;
        }
        Ok(Self { authority, home, socket, checkout, _directory: directory })
    }
}

fn one(binaries: &Binaries, rate: u32, seconds: u32) -> anyhow::Result<Load> {
    let place = Place::create(binaries)?;
    console::note(format!("{rate} stops a second for {seconds} s ..."));
    let size_before = size_of_store(&place.home);
    let before = Usage::of(place.authority.pid())?;
    let outcome = load(rate, seconds, &place);
    let spent = before.until_now(place.authority.pid())?;
    let latency = Summary::of(&outcome.times).context("no stop was judged")?;
    let grown = size_of_store(&place.home).saturating_sub(size_before);
    #[expect(clippy::cast_precision_loss, reason = "numbers for people")]
    let grown = grown as f64 / latency.count as f64;
    Ok(Load { rate, seconds, latency, errors: outcome.errors, spent, grown })
}

/// Watches an authority that nobody asks.
pub(crate) fn idle(binaries: &Binaries) -> anyhow::Result<Idle> {
    let place = Place::create(binaries)?;
    let pid = place.authority.pid();
    // What the start set going is not idleness, and the threads that did it, which live on for ten seconds, would take
    // their counts with them.
    std::thread::sleep(Duration::from_secs(15));
    console::note(format!("watching an idle authority for {} s ...", IDLE.as_secs()));
    let (before, woken) = (Usage::of(pid)?, Sleeps::of(pid)?);
    std::thread::sleep(IDLE);
    Ok(Idle { spent: before.until_now(pid)?, wakeups: woken.until_now(pid)? })
}

/// How often each thread of a process has gone to sleep of its own accord, at some moment: each sleep ends with a wake-up.
pub(crate) struct Sleeps {
    at: Instant,
    counts: BTreeMap<OsString, u64>,
}

impl Sleeps {
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let mut counts = BTreeMap::new();
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let task = task?;
            // It may have ended since it was listed.
            let Ok(status) = std::fs::read_to_string(task.path().join("status")) else { continue };
            let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            counts.insert(task.file_name(), count.context("no voluntary_ctxt_switches")?.trim().parse()?);
        }
        Ok(Self { at: Instant::now(), counts })
    }

    /// How often a second since; what a thread did that has ended is not counted.
    pub(crate) fn until_now(&self, pid: u32) -> anyhow::Result<f64> {
        let now = Self::of(pid)?;
        let since = |(thread, count): (&OsString, &u64)| {
            count.saturating_sub(self.counts.get(thread).copied().unwrap_or_default())
        };
        let all: u64 = now.counts.iter().map(since).sum();
        #[expect(clippy::cast_precision_loss, reason = "numbers for people")]
        let often = all as f64;
        Ok(often / (now.at - self.at).as_secs_f64())
    }
}

fn start_session(socket: &Path, session: u32, checkout: &Path) -> anyhow::Result<()> {
    let body = json!({"event_id": new_event_id(&SystemClock), "at_ms": SystemClock.now_ms(), "origin": {},
        "event": event(session, checkout, None, json!({"name": "SessionStart", "source": "startup"}))});
    let until = Instant::now() + PATIENCE;
    let response = client::request(socket, "POST", ROUTE_EVENTS, body.to_string().as_bytes(), until)?;
    ensure!(response.status == 200, "a session's start: status {}", response.status);
    Ok(())
}

fn event(session: u32, checkout: &Path, transcript: Option<&Path>, kind: serde_json::Value) -> serde_json::Value {
    json!({"key": {"harness": "claude", "session_id": format!("load-{session}")}, "cwd": checkout,
           "transcript_path": transcript, "model": null, "permission_mode": null, "agent_id": null, "kind": kind})
}

/// What came of the load.
#[derive(Debug, Default)]
struct Outcome {
    times: Vec<Duration>,
    errors: usize,
}

fn load(rate: u32, seconds: u32, place: &Place) -> Outcome {
    let all = rate * seconds;
    let next = AtomicU32::new(0);
    let began = Instant::now();
    let worker = || {
        let mut outcome = Outcome::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= all {
                return outcome;
            }
            let due = began + Duration::from_secs(u64::from(number)) / rate;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let message = if number.is_multiple_of(EXCUSE_EVERY) { EXCUSE_MESSAGE } else { PLAIN_MESSAGE };
            match ask(&place.socket, number, &place.checkout, message) {
                Ok(()) => outcome.times.push(due.elapsed()),
                Err(_) => outcome.errors += 1,
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        let mut together = Outcome::default();
        for outcome in workers.into_iter().filter_map(|worker| worker.join().ok()) {
            together.times.extend(outcome.times);
            together.errors += outcome.errors;
        }
        together
    })
}

/// One stop, judged; an answer that names a failure is an error.
fn ask(socket: &Path, number: u32, checkout: &Path, message: &str) -> anyhow::Result<()> {
    let kind = json!({"name": "Stop", "last_assistant_message": message});
    let transcript = payload::transcript(checkout)?;
    let body = json!({"event_id": new_event_id(&SystemClock), "at_ms": SystemClock.now_ms(), "mode": "enforce",
        "deadline_ms": 3_000, "event": event(number % SESSIONS, checkout, Some(&transcript), kind)});
    let until = Instant::now() + PATIENCE;
    let response = client::request(socket, "POST", ROUTE_EVALUATE, body.to_string().as_bytes(), until)?;
    ensure!(response.status == 200, "status {}", response.status);
    let verdict: EvaluateResponse = serde_json::from_slice(&response.body).context("the verdict is not understood")?;
    ensure!(verdict.fail_open.is_none(), "failed open: {:?}", verdict.fail_open);
    Ok(())
}

/// What a process had used at some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    at: Instant,
    cpu: Duration,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        Ok(Self { at: Instant::now(), cpu: Stat::of(pid)?.cpu().context("no CPU time")? })
    }

    /// What `pid` has used since.
    pub(crate) fn until_now(self, pid: u32) -> anyhow::Result<Spent> {
        let now = Self::of(pid)?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let resident: u32 = resident.trim().trim_end_matches(" kB").parse()?;
        let cpu = now.cpu.saturating_sub(self.cpu);
        let cpu_percent = 100.0 * cpu.div_duration_f64(now.at - self.at);
        Ok(Spent { resident_mib: f64::from(resident) / 1024.0, cpu_percent, cpu })
    }
}

fn size_of_store(home: &Home) -> u64 {
    ["", "-wal"]
        .iter()
        .map(|ending| PathBuf::from(format!("{}{ending}", home.database().display())))
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|meta| meta.len())
        .sum()
}

impl Load {
    /// Heads of [`Load::cells`].
    pub(crate) const HEADS: [&'static str; 12] =
        ["stops/s", "s", "judged", "errors", "median", "p95", "p99", "max", "MiB", "% of a core", "KiB/stop", ""];

    /// Whether the promises for the promised rate are kept.
    fn kept(&self) -> Option<bool> {
        (self.rate == PROMISED_RATE).then(|| {
            self.latency.p99 <= P99_PROMISE && self.spent.resident_mib <= RESIDENT_PROMISE_MIB && self.errors == 0
        })
    }

    /// What the table shows.
    pub(crate) fn cells(&self) -> [String; 12] {
        let Summary { count, median, p95, p99, max, .. } = self.latency;
        let time = |time| format!("{:.2}", millis(time));
        [
            self.rate.to_string(),
            self.seconds.to_string(),
            count.to_string(),
            self.errors.to_string(),
            time(median),
            time(p95),
            time(p99),
            time(max),
            format!("{:.1}", self.spent.resident_mib),
            format!("{:.1}", self.spent.cpu_percent),
            format!("{:.2}", self.grown / 1024.0),
            word(self.kept()).to_owned(),
        ]
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "rate": self.rate, "seconds": self.seconds, "judged": self.latency.count, "errors": self.errors,
            "median_ms": millis(self.latency.median), "p95_ms": millis(self.latency.p95),
            "p99_ms": millis(self.latency.p99), "max_ms": millis(self.latency.max),
            "resident_mib": self.spent.resident_mib, "cpu_percent": self.spent.cpu_percent,
            "store_bytes_a_stop": self.grown, "kept": self.kept(),
        })
    }
}

impl LongStops {
    fn kept(&self) -> bool {
        self.cpu <= LONG_PROMISE && self.latency.median <= LONG_PROMISE
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let Summary { count, median, p99, .. } = self.latency;
        format!(
            "last message of 300 KB: {:.2} ms of a core a stop, verdict after {:.2} ms (p99 {:.2}), {count} stops (promised: at most {} ms each: {})\n",
            millis(self.cpu),
            millis(median),
            millis(p99),
            LONG_PROMISE.as_millis(),
            word(Some(self.kept())),
        )
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "stops": self.latency.count, "cpu_ms": millis(self.cpu), "median_ms": millis(self.latency.median),
            "p99_ms": millis(self.latency.p99), "kept": self.kept(),
        })
    }
}

impl Idle {
    fn kept(&self) -> bool {
        self.spent.cpu_percent <= IDLE_PROMISE_PERCENT
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        format!(
            "idle: {:.3} % of a core (promised: at most {IDLE_PROMISE_PERCENT} %: {}), {:.2} wake-ups a second, {:.1} MiB\n",
            self.spent.cpu_percent,
            word(Some(self.kept())),
            self.wakeups,
            self.spent.resident_mib
        )
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "seconds": IDLE.as_secs(), "cpu_percent": self.spent.cpu_percent, "wakeups_a_second": self.wakeups,
            "resident_mib": self.spent.resident_mib, "kept": self.kept(),
        })
    }
}
