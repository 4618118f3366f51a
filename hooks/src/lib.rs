//! What all hooks share: kill switch and judge's guard first, input under a deadline, one reply, exit 0.
//!
//! A hook transports and answers; it does not judge. Whatever goes wrong here lets the harness go on, prints
//! nothing, and leaves a line in `log/hooks.jsonl`.
//!
//! `run` is the frame of every hook. `router`, `build_stop`, `recorder` and `write_fence` are those that there are, each with a
//! `main` in `bin/`; `delivery` is how they reach the authority, and `start` how their processes begin.

mod build_stop;
mod delivery;
mod recorder;
mod router;
mod start;
#[cfg(panic = "abort")]
mod unwinding;
mod write_fence;

use std::cell::Cell;
use std::time::{Duration, Instant};

use stopgate_core::beat::{self, Beat};
use stopgate_core::env::{self, Env, ProcessEnv};
use stopgate_core::harness::{self, Event, Payload, Reply};
use stopgate_core::hook;
use stopgate_core::paths::Home;
use stopgate_core::process::{self, ProcFs, ProcessIdentity};
use stopgate_core::session::Harness;
use stopgate_core::{hook_log, leave, silenced, startup, stdin, stdout, switch};

#[doc(hidden)]
pub use stopgate_core::startup::as_the_standard_library;

pub use build_stop::build_stop_hook;
pub use recorder::session_start_recorder;
pub use router::stop_gate_router;
pub use write_fence::write_fence;

/// Share of the total for reading the input; a harness writes it at once.
const STDIN_DEADLINE: Duration = Duration::from_secs(1);
/// Kept back from the total, which is in the hook's row, for writing down what came of it: enough for a disk at work, and
/// what is not written by then is left.
const RESERVE: Duration = Duration::from_millis(200);

/// How long shadow waits for the authority to take a question in. The verdict is not waited for.
pub(crate) const SHADOW_ACKNOWLEDGEMENT: Duration = Duration::from_millis(150);

/// No hook is tried in tests where there is no memory; they say so when they fail.
#[cfg(not(test))]
#[global_allocator]
static MEMORY: leave::OrLeave = leave::OrLeave;

/// A hook that runs.
pub(crate) struct RunningHook {
    name: &'static str,
    home: Home,
    /// The harness named by the hook's argument.
    harness: Option<Harness>,
    started: Instant,
    /// By then it has asked what it asks.
    deadline: Cell<Instant>,
    /// By then its process has ended.
    end: Cell<Instant>,
    /// What is kept back from one to the other.
    reserve: Duration,
}

/// How a hook fared.
pub(crate) enum HookOutcome {
    /// It did its work; this is the answer.
    Answer(Harness, Reply),
    /// There was nothing to do.
    Nothing,
    /// It could not do its work; the harness goes on.
    Failed {
        /// What failed, in a word or two.
        problem: &'static str,
        /// The circumstances, without secrets.
        detail: String,
    },
}

/// Runs a hook from start to end. Its process ends with success whatever happens: only what is printed can hold an agent.
pub(crate) fn run(hook: hook::Hook, body: impl FnOnce(&RunningHook) -> HookOutcome) {
    let started = Instant::now();
    let total = deadline(&ProcessEnv, hook.row().deadline, hook.longest());
    leave::after(total);
    // Release builds abort on panic; a hook that panics lets go like one that fails in any other way.
    std::panic::set_hook(Box::new(|_| leave::at_once()));
    startup::survive_size_limit();
    let harness = || std::env::args_os().nth(1).and_then(|name| name.to_str()?.parse().ok());
    // A variable may have been set by whoever is to be held: that is seen, where the hook is installed.
    let silenced_by = |variable| silenced::leave(&ProcessEnv, hook.name(), harness(), variable);
    let Ok(home) = Home::of_process() else {
        return silenced_by(env::STOPGATE_HOME);
    };
    if switch::is_killed(&ProcessEnv, &home) || ProcessEnv.flag(env::STOPGATE_JUDGE) {
        // Asked to judge a stop, an agent must not be judged itself: that would ask the next judge.
        let variables = [env::STOPGATE_KILL, env::STOPGATE_JUDGE];
        return variables.into_iter().find(|name| ProcessEnv.flag(name)).map_or((), silenced_by);
    }
    if ProcessEnv.os(env::STOPGATE_HOME).is_some_and(|value| silenced::is_elsewhere(&value)) {
        silenced_by(env::STOPGATE_HOME);
    }
    let harness = harness();
    let end = started + total;
    let reserve = RESERVE.min(total / 4);
    let (deadline, end) = (Cell::new(started + total.saturating_sub(reserve)), Cell::new(end));
    let name = hook.name();
    let hook = RunningHook { name, home, harness, started, deadline, end, reserve };
    beat::leave(&hook.home, name, Beat::Fired);
    match body(&hook) {
        HookOutcome::Answer(harness, reply) => {
            if let Some(text) = reply.render(harness) {
                // The one place that prints. A harness that hung up is no reason to fail, and one that does not read is
                // not waited for.
                let printed = stdout::write(std::io::stdout(), text.as_bytes(), hook.deadline.get());
                if printed.is_err_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
                    hook.failed("answer not taken", "nobody reads what the hook prints");
                    return;
                }
            }
            beat::leave(&hook.home, name, Beat::Delivered);
        }
        HookOutcome::Nothing => {}
        HookOutcome::Failed { problem, detail } => hook.failed(problem, &detail),
    }
}

/// The process of `harness` that this hook works for; `None` once it has ended, or if it cannot be told.
pub(crate) fn harness_process(harness: Harness) -> Option<ProcessIdentity> {
    let told = harness.spec().told_process(&ProcessEnv);
    let parent = ProcFs::parent_pid()?;
    // A hook whose parent has ended belongs to process 1 as all do that are left alone, whatever that is.
    let is_orphan = parent == 1 && told.is_some_and(|told| told != parent);
    if is_orphan { None } else { process::harness_root(&ProcFs, parent, harness, told) }
}

/// `STOPGATE_DEADLINE_MS` within bounds, of which the upper is the `longest`, or the `usual` one.
fn deadline(environment: &dyn Env, usual: Duration, longest: Duration) -> Duration {
    let set = environment.text(env::STOPGATE_DEADLINE_MS).and_then(|text| text.parse().ok());
    match set.map(Duration::from_millis) {
        Some(set) => set.clamp(hook::DEADLINES.0, longest),
        None => env::patiently(usual).min(hook::DEADLINES.1),
    }
}

impl RunningHook {
    /// Reads and parses the payload; `Err` holds how the hook ends without one.
    fn event(&self) -> Result<Event, HookOutcome> {
        self.event_within(STDIN_DEADLINE)
    }

    /// [`RunningHook::event`], which is there after `limit` at the latest.
    fn event_within(&self, limit: Duration) -> Result<Event, HookOutcome> {
        let until = self.deadline.get().min(self.started + env::patiently(limit));
        let (bytes, ending) = stdin::read(std::io::stdin(), stdin::MAX_BYTES, until)
            .map_err(|error| HookOutcome::Failed { problem: "stdin unreadable", detail: error.to_string() })?;
        if ending == stdin::ReadEnding::TooLarge {
            let detail = format!("more than {} bytes", stdin::MAX_BYTES);
            return Err(HookOutcome::Failed { problem: "payload too large", detail });
        }
        match harness::parse(self.harness, &bytes) {
            Ok(Payload::Known(event)) => Ok(event),
            Ok(Payload::Unknown { .. }) => Err(HookOutcome::Nothing),
            Err(error) => {
                let detail = format!("{error} ({} bytes, {ending:?})", bytes.len());
                Err(HookOutcome::Failed { problem: "payload not understood", detail })
            }
        }
    }

    /// Goes on waiting for what it has asked, for as long as `wait` from now on, as far as a judge may be waited for at all
    /// ([`hook::LONGEST_WAIT_MS`]). Returns until when that is.
    fn prolong(&self, wait: Duration) -> Instant {
        let latest = self.started + hook::DEADLINES.1 + Duration::from_millis(hook::LONGEST_WAIT_MS.into());
        let now = Instant::now();
        let deadline = (now + wait).min(latest).max(self.deadline.get());
        self.deadline.set(deadline);
        self.end.set(deadline + self.reserve);
        leave::after(self.end.get().saturating_duration_since(now));
        deadline
    }

    /// Notes something that is no failure.
    fn note(&self, what: &str, detail: &str) {
        hook_log::write(&self.home, self.name, what, detail);
    }

    /// Notes that something failed.
    fn failed(&self, problem: &str, detail: &str) {
        leave::however_stalled(self.end.get());
        beat::leave(&self.home, self.name, Beat::Failed);
        hook_log::write(&self.home, self.name, problem, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::env::MapEnv;

    #[test]
    fn the_deadline_is_configurable_within_bounds() {
        let usual = Duration::from_secs(2);
        let longest = Duration::from_secs(8);
        let of = |text| deadline(&MapEnv::of([(env::STOPGATE_DEADLINE_MS, text)]), usual, longest);
        assert_eq!(deadline(&MapEnv::default(), usual, longest), usual);
        assert_eq!(of("200"), Duration::from_millis(200));
        assert_eq!(of("1"), Duration::from_millis(50));
        assert_eq!(of("999999"), Duration::from_secs(8));
        assert_eq!(of("soon"), usual);
    }
}
