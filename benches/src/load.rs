//! The authority under a steady load of stops: latency, errors, memory, CPU and growth of its store.
//!
//! Requests are sent by the clock, not after the one before: an authority that falls behind is not spared. Each is a
//! connection of its own, as a hook's is, and its time counts from the moment it was due.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use serde_json::json;
use stopgate_core::client;
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::event_id::new_event_id;
use stopgate_core::paths::Home;
use stopgate_core::protocol::{EvaluateResponse, ROUTE_EVALUATE, ROUTE_EVENTS};
use stopgate_core::switch::{self, Mode};

use crate::authority::Authority;
use crate::binaries::{Binaries, Program};
use crate::payload::{EXCUSE_MESSAGE, PLAIN_MESSAGE};
use crate::stats::{Summary, millis};
use crate::{checkouts, console};

/// DESIGN §7: the slowest of a hundred verdicts of rules alone.
const P99_PROMISE: Duration = Duration::from_millis(5);
/// DESIGN §7: resident memory.
const RESIDENT_PROMISE_MIB: f64 = 30.0;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sessions that stop in turn.
const SESSIONS: u32 = 50;
/// One stop in so many gives an excuse, so that facts are gathered and evidence is checked.
const EXCUSE_EVERY: u32 = 10;

/// Asks the authority to judge stops at a steady rate.
#[derive(Debug, Parser)]
#[command(name = "load", disable_version_flag = true)]
struct Options {
    /// Stops a second
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,

    /// For how long, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,

    /// Connections at once, at most
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,

    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// The bench's `main`. Fails only when something could not be measured.
pub(crate) fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.bench {
        console::progress("load: nothing measured; run `cargo bench -p stopgate-benches --bench load`");
        return Ok(());
    }
    console::progress("building the release binaries ...");
    let binaries = Binaries::build()?;
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
    let before = Usage::of(authority.pid())?;
    let size_before = size_of_store(&home);
    console::progress(&format!("{} stops a second for {} s ...", options.rate, options.seconds));
    let outcome = load(&options, &socket, &checkout);
    let after = Usage::of(authority.pid())?;
    report(&options, &outcome, before, after, size_of_store(&home).saturating_sub(size_before))
}

fn start_session(socket: &Path, session: u32, checkout: &Path) -> anyhow::Result<()> {
    let body = json!({"eventId": new_event_id(&SystemClock), "atMs": SystemClock.now_ms(), "origin": {},
        "event": event(session, checkout, json!({"name": "SessionStart", "source": "startup"}))});
    let until = Instant::now() + PATIENCE;
    let response = client::request(socket, "POST", ROUTE_EVENTS, body.to_string().as_bytes(), until)?;
    ensure!(response.status == 200, "a session's start: status {}", response.status);
    Ok(())
}

fn event(session: u32, checkout: &Path, kind: serde_json::Value) -> serde_json::Value {
    json!({"key": {"harness": "claude", "session_id": format!("load-{session}")}, "cwd": checkout,
           "transcriptPath": null, "model": null, "permissionMode": null, "agentId": null, "kind": kind})
}

/// What came of the load.
#[derive(Debug, Default)]
struct Outcome {
    times: Vec<Duration>,
    errors: usize,
}

fn load(options: &Options, socket: &Path, checkout: &Path) -> Outcome {
    let all = options.rate * options.seconds;
    let next = AtomicU32::new(0);
    let began = Instant::now();
    let worker = || {
        let mut outcome = Outcome::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= all {
                return outcome;
            }
            let due = began + Duration::from_secs(u64::from(number)) / options.rate;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            match ask(socket, number, checkout) {
                Ok(()) => outcome.times.push(due.elapsed()),
                Err(_) => outcome.errors += 1,
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..options.workers).map(|_| scope.spawn(worker)).collect();
        let mut together = Outcome::default();
        for outcome in workers.into_iter().filter_map(|worker| worker.join().ok()) {
            together.times.extend(outcome.times);
            together.errors += outcome.errors;
        }
        together
    })
}

/// One stop, judged; an answer that names a failure is an error.
fn ask(socket: &Path, number: u32, checkout: &Path) -> anyhow::Result<()> {
    let message = if number.is_multiple_of(EXCUSE_EVERY) { EXCUSE_MESSAGE } else { PLAIN_MESSAGE };
    let kind = json!({"name": "Stop", "lastAssistantMessage": message});
    let body = json!({"eventId": new_event_id(&SystemClock), "atMs": SystemClock.now_ms(), "mode": "enforce",
        "deadlineMs": 3_000, "event": event(number % SESSIONS, checkout, kind)});
    let until = Instant::now() + PATIENCE;
    let response = client::request(socket, "POST", ROUTE_EVALUATE, body.to_string().as_bytes(), until)?;
    ensure!(response.status == 200, "status {}", response.status);
    let verdict: EvaluateResponse = serde_json::from_slice(&response.body).context("the verdict is not understood")?;
    ensure!(verdict.fail_open.is_none(), "failed open: {:?}", verdict.fail_open);
    Ok(())
}

/// What a process has used.
#[derive(Debug, Clone, Copy)]
struct Usage {
    resident_kib: u64,
    cpu_ticks: u64,
}

impl Usage {
    fn of(pid: u32) -> anyhow::Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // After the command, which may hold anything: the fields from the third on.
        let fields: Vec<&str> = stat.rsplit_once(')').context("no command")?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).context("no CPU time");
        Ok(Self { resident_kib: resident.trim().trim_end_matches(" kB").parse()?, cpu_ticks: ticks(11)? + ticks(12)? })
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

#[expect(clippy::cast_precision_loss, reason = "numbers for people")]
fn report(options: &Options, outcome: &Outcome, before: Usage, after: Usage, grown: u64) -> anyhow::Result<()> {
    let summary = Summary::of(&outcome.times).context("no stop was judged")?;
    let kept = |promise: bool| if promise { "kept" } else { "MISSED" };
    let resident = after.resident_kib as f64 / 1024.0;
    // Linux counts CPU time in hundredths of a second for user space, whatever the kernel does inside.
    let cpu = (after.cpu_ticks - before.cpu_ticks) as f64 / f64::from(options.seconds);
    console::line(&format!(
        "{} stops judged at {}/s, {} errors; one in {EXCUSE_EVERY} with an excuse",
        summary.count, options.rate, outcome.errors
    ));
    console::line(&format!(
        "latency    p50 {:.2} ms   p95 {:.2} ms   p99 {:.2} ms   max {:.2} ms   (promised: p99 at most {:.0} ms: {})",
        millis(summary.median),
        millis(summary.p95),
        millis(summary.p99),
        millis(summary.max),
        millis(P99_PROMISE),
        kept(summary.p99 <= P99_PROMISE)
    ));
    console::line(&format!(
        "authority  {resident:.1} MiB resident (promised: at most {RESIDENT_PROMISE_MIB:.0} MiB: {}), {cpu:.1} % of a core",
        kept(resident <= RESIDENT_PROMISE_MIB)
    ));
    console::line(&format!("store      grew by {:.1} KiB a stop", grown as f64 / 1024.0 / summary.count as f64));
    Ok(())
}
