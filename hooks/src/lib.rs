//! What all hooks share: kill switch and judge's guard first, input under a deadline, one reply, exit 0.
//!
//! A hook transports and answers; it does not judge. Whatever goes wrong here lets the harness go on, prints
//! nothing, and leaves a line in `log/hooks.jsonl`.
//!
//! `run` is the frame of every hook. `router`, `build_stop` and `recorder` are the three that there are, each with a
//! `main` in `bin/`; `delivery` is how they reach the authority, and `start` how their processes begin.

mod build_stop;
mod delivery;
mod recorder;
mod router;
mod start;
#[cfg(panic = "abort")]
mod unwinding;

use std::io::Write as _;
use std::time::{Duration, Instant};

use stopgate_core::beat::{self, Beat};
use stopgate_core::env::{self, Env, ProcessEnv};
use stopgate_core::harness::{self, Event, Payload, Reply};
use stopgate_core::hook;
use stopgate_core::paths::Home;
use stopgate_core::process::{self, ProcFs, ProcessIdentity};
use stopgate_core::session::Harness;
use stopgate_core::{hook_log, startup, stdin, switch};

#[doc(hidden)]
pub use stopgate_core::startup::as_the_standard_library;

pub use build_stop::build_stop_hook;
pub use recorder::session_start_recorder;
pub use router::stop_gate_router;

/// Share of the total for reading the input; a harness writes it at once.
const STDIN_DEADLINE: Duration = Duration::from_secs(1);
/// Kept back from the total, which is in the hook's row, for printing and exiting.
const RESERVE: Duration = Duration::from_millis(20);

/// A hook that runs.
pub(crate) struct RunningHook {
    name: &'static str,
    home: Home,
    /// The harness named by the hook's argument.
    harness: Option<Harness>,
    started: Instant,
    deadline: Instant,
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
    // Release builds abort on panic; a hook that panics lets go like one that fails in any other way.
    std::panic::set_hook(Box::new(|_| leave()));
    startup::survive_size_limit();
    let Ok(home) = Home::of_process() else {
        return;
    };
    if switch::is_killed(&ProcessEnv, &home) || ProcessEnv.flag(env::STOPGATE_JUDGE) {
        // Asked to judge a stop, an agent must not be judged itself: that would ask the next judge.
        return;
    }
    let harness = std::env::args_os().nth(1).and_then(|name| name.to_str()?.parse().ok());
    let deadline = started + deadline(&ProcessEnv, hook.row().deadline).saturating_sub(RESERVE);
    let name = hook.name();
    let hook = RunningHook { name, home, harness, started, deadline };
    beat::leave(&hook.home, name, Beat::Fired);
    match body(&hook) {
        HookOutcome::Answer(harness, reply) => {
            if let Some(text) = reply.render(harness) {
                // The one place that prints; a harness that hung up is no reason to fail.
                let mut stdout = std::io::stdout().lock();
                let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
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

#[expect(clippy::exit, reason = "a panicking hook must still exit with 0")]
fn leave() {
    std::process::exit(0);
}

/// `STOPGATE_DEADLINE_MS` within bounds, or the `usual` one. Where less is registered (`SessionEnd`), the recorder's own
/// limits keep it below.
fn deadline(environment: &dyn Env, usual: Duration) -> Duration {
    environment
        .text(env::STOPGATE_DEADLINE_MS)
        .and_then(|text| text.parse().ok())
        .map_or_else(|| env::patiently(usual), Duration::from_millis)
        .clamp(hook::DEADLINES.0, hook::DEADLINES.1)
}

impl RunningHook {
    /// Reads and parses the payload; `Err` holds how the hook ends without one.
    fn event(&self) -> Result<Event, HookOutcome> {
        let until = self.deadline.min(self.started + env::patiently(STDIN_DEADLINE));
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

    /// Notes something that is no failure.
    fn note(&self, what: &str, detail: &str) {
        hook_log::write(&self.home, self.name, what, detail);
    }

    /// Notes that something failed.
    fn failed(&self, problem: &str, detail: &str) {
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
        let of = |text| deadline(&MapEnv::of([(env::STOPGATE_DEADLINE_MS, text)]), usual);
        assert_eq!(deadline(&MapEnv::default(), usual), usual);
        assert_eq!(of("200"), Duration::from_millis(200));
        assert_eq!(of("1"), Duration::from_millis(50));
        assert_eq!(of("999999"), Duration::from_secs(8));
        assert_eq!(of("soon"), usual);
    }
}
