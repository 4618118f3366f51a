//! One row of the matrix: a fault, what each hook does under it, and what is said of it and kept.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use stopgate_tests::person::text;
use stopgate_tests::run::{Stdin, eventually, finish_while};
use stopgate_tests::world::{BASE_HOOKS, block_reason, noted};

use crate::place::Place;

/// After so long the harness ends the hook: the timeout that it is registered with.
const REGISTERED: Duration = Duration::from_secs(10);
/// The session that stops under the fault.
const SESSION: &str = "s";
/// The session that begins under the fault.
const NEW: &str = "new";

/// What a hook does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing on stdout: the agent goes on.
    Allows,
    /// One object on stdout, for the person: the agent goes on, and this is why.
    Tells,
    /// One object on stdout: the agent is held.
    Blocks,
}
pub(crate) use Answer::{Allows, Blocks, Tells};

/// What is expected of a hook: its answer, and the beginning of each line that it leaves in its log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected(pub(crate) Answer, pub(crate) &'static [&'static str]);

/// Something done to hooks that have got so far.
pub(crate) enum Strike {
    /// Before the hook is given its input.
    BeforeInput(fn(&Place, u32)),
    /// While the hook waits for the authority, which `ready` has paused before. Only hooks that ask it.
    WhileWaiting {
        /// Pauses it.
        ready: fn(&Place),
        /// What happens then.
        strike: fn(&Place),
    },
}

/// A fault that is in force until the value goes.
#[derive(Default)]
pub(crate) struct InForce<'a> {
    /// What runs the hooks: a program with its arguments.
    pub(crate) wrapper: Vec<String>,
    heal: Option<Box<dyn FnOnce() + 'a>>,
}

impl<'a> InForce<'a> {
    /// One that `heal` takes back.
    pub(crate) fn until(heal: impl FnOnce() + 'a) -> Self {
        Self { wrapper: Vec::new(), heal: Some(Box::new(heal)) }
    }
}

impl Drop for InForce<'_> {
    fn drop(&mut self) {
        if let Some(heal) = self.heal.take() {
            heal();
        }
    }
}

/// A row.
pub(crate) struct Fault {
    /// What is broken, for the page.
    pub(crate) name: &'static str,
    /// Name of the home.
    pub(crate) home: &'static str,
    /// Whether it takes a mount namespace.
    pub(crate) mounts: bool,
    /// Whether it takes root, to give something to somebody else.
    pub(crate) root: bool,
    /// Whether it takes strace.
    pub(crate) strace: bool,
    /// Breaks it, and proves that it is broken.
    pub(crate) arrange: for<'a> fn(&'a Place) -> InForce<'a>,
    pub(crate) strike: Option<Strike>,
    /// Router, build hook, recorder.
    pub(crate) expected: [Expected; 3],
    /// How `stopgate status` sees the authority.
    pub(crate) status: &'static str,
    /// What `installer doctor` finds.
    pub(crate) doctor: &'static [&'static str],
    /// Whether the stop and the start under the fault are in the store afterwards.
    pub(crate) keeps: bool,
    /// Looks at what the fault has left, once it is healed.
    pub(crate) after: fn(&Place),
}

/// A fault that changes nothing: the base of all others.
pub(crate) const NONE: Fault = Fault {
    name: "",
    home: "home/.stopgate",
    mounts: false,
    root: false,
    strace: false,
    arrange: |_| InForce::default(),
    strike: None,
    expected: [Expected(Blocks, &[]), Expected(Blocks, &[]), Expected(Allows, &[])],
    status: "running",
    doctor: &[],
    keeps: true,
    after: |_| (),
};

/// What came of a row.
#[derive(Debug, Clone)]
pub(crate) enum Tried {
    Passed,
    Failed(String),
    /// Why it could not be tried here.
    Skipped(&'static str),
}

/// Tries a row in a thread of its own.
pub(crate) fn attempt(fault: fn() -> Fault) -> Tried {
    let outcome = std::thread::spawn(move || {
        let fault = fault();
        if fault.root && !rustix::process::geteuid().is_root() {
            return Tried::Skipped("only root can give something to another user");
        }
        if fault.strace && !stopgate_tests::process::can_trace() {
            return Tried::Skipped("strace is missing or may not trace");
        }
        if fault.mounts && !crate::mounts::own_namespace() {
            return Tried::Skipped("no mount namespace to be had");
        }
        match catch_unwind(AssertUnwindSafe(|| play(&fault))) {
            Ok(()) => Tried::Passed,
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned();
                Tried::Failed(
                    said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned())).unwrap_or_default(),
                )
            }
        }
    });
    outcome.join().unwrap()
}

fn play(fault: &Fault) {
    let place = Place::new(fault.home);
    let quiet: Vec<_> = BASE_HOOKS.iter().map(|hook| place.log(hook).len()).collect();
    assert_eq!(quiet, [0, 0, 0], "a healthy place logs nothing");
    let in_force = (fault.arrange)(&place);
    for (hook, expected) in BASE_HOOKS.iter().zip(&fault.expected) {
        cell(fault, &place, &in_force, hook, *expected);
    }
    // The authority may be about to start, or about to say that it cannot.
    let mut seen = (place.status(), place.doctor());
    let said = |seen: &(&str, Vec<String>)| seen.0 == fault.status && seen.1 == fault.doctor;
    let until = Instant::now() + Duration::from_secs(20);
    while !said(&seen) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
        seen = (place.status(), place.doctor());
    }
    assert!(said(&seen), "status and doctor say {seen:?}, not {:?}", (fault.status, fault.doctor));
    drop(in_force);
    healed(fault, &place);
}

fn cell(fault: &Fault, place: &Place, in_force: &InForce<'_>, hook: &str, expected: Expected) {
    let Expected(answer, lines) = expected;
    let session = if hook == "session-start-recorder" { NEW } else { SESSION };
    let asks = hook != "build-stop-hook";
    let before = place.log(hook).len();
    let mut connected = 0;
    if let Some(Strike::WhileWaiting { ready, .. }) = &fault.strike
        && asks
    {
        ready(place);
        connected = place.connections();
    }
    let started = Instant::now();
    let output = finish_while(
        place.hook(hook, &in_force.wrapper),
        Stdin::from(&*place.payload(hook, session).to_string()),
        |pid| {
            if let Some(Strike::BeforeInput(strike)) = &fault.strike {
                strike(place, pid);
            }
        },
        |_| {
            if let Some(Strike::WhileWaiting { strike, .. }) = &fault.strike
                && asks
            {
                eventually("the hook has connected", || (place.connections() > connected).then_some(()));
                strike(place);
            }
        },
    );
    let took = started.elapsed();
    assert!(output.status.success() && output.stderr.is_empty(), "{hook}: {output:?}");
    assert!(took < REGISTERED, "{hook}: {took:?}");
    let said = text(&output.stdout);
    match answer {
        Allows => assert_eq!(said, "", "{hook}"),
        Tells => assert!(noted(&said).starts_with("[stopgate]"), "{hook}: {said}"),
        Blocks => assert!(block_reason(&said).starts_with("[stopgate]"), "{hook}: {said}"),
    }
    let logged = place.log(hook).split_off(before);
    let matches = logged.len() == lines.len() && logged.iter().zip(lines).all(|(found, line)| found.starts_with(line));
    assert!(matches, "{hook} has logged {logged:#?}, not {lines:#?}");
}

/// What was broken is whole again: sessions and builds are held, the doctor is content, and nothing is missing.
fn healed(fault: &Fault, place: &Place) {
    place.restart_authority();
    place.is_healthy("again");
    let found = place.doctor();
    assert_eq!(found, [""; 0], "the doctor, afterwards");
    assert_eq!(place.status(), "running");
    if fault.keeps {
        eventually("the stop is in the store", || place.has_stop(SESSION).then_some(()));
        eventually("the new session is in the store", || place.sessions().contains(&NEW.to_owned()).then_some(()));
    }
    (fault.after)(place);
}
