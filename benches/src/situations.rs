//! What the hooks are measured in, and how it is told that they really were in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stopgate_core::beat::Beat;
use stopgate_core::env;
use stopgate_core::hook::{Hook, When};
use stopgate_core::paths::Home;

use crate::binaries::Program;
use crate::options::Options;
use crate::payload::{self, Call, EXCUSE_MESSAGE, PLAIN_MESSAGE, Sessions};
use crate::peers::Language;
use crate::promise::{NO_OP, Promise};
use crate::world::{FREE, HELD, World};

/// Sessions kept for looking at single spawns after the measuring.
pub(crate) const SPARES: usize = 2;
/// Spawns before measuring begins.
const WARM_UPS: usize = 5;
/// What it is told to take where the authority is hung.
const HUNG_DEADLINE: Duration = Duration::from_millis(300);
const HUNG_DEADLINE_MS: &str = "300";

/// A hook in a state of the world.
#[derive(Debug)]
pub(crate) struct Situation {
    /// Name in the report.
    pub(crate) name: &'static str,
    /// What is spawned.
    pub(crate) program: Program,
    /// In which home.
    pub(crate) home: Home,
    /// With which variables, besides those that every hook gets.
    pub(crate) environment: Vec<(&'static str, &'static str)>,
    /// Which sessions it speaks for, one a spawn.
    pub(crate) sessions: Sessions,
    /// Payloads that record the beginnings of these sessions, if they have to be known.
    pub(crate) beginnings: Vec<Vec<u8>>,
    /// One a spawn: first those of the warm-up, last the [`SPARES`].
    pub(crate) payloads: Vec<Vec<u8>>,
    /// How many spawns are not measured.
    pub(crate) warm_ups: usize,
    /// How it must end.
    pub(crate) expected: Expected,
    /// What must be on record afterwards.
    pub(crate) proof: Proof,
    /// What is promised of it.
    pub(crate) promise: Promise,
    /// Where each session begins before its spawn, and ends after it, so that it is alone.
    pub(crate) comes_and_goes: Option<PathBuf>,
}

impl Situation {
    /// How many spawns are measured.
    pub(crate) fn measured(&self) -> usize {
        self.payloads.len() - self.warm_ups - SPARES
    }
}

/// How a hook must end each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    /// What it prints.
    pub(crate) prints: Prints,
    /// The heartbeat it leaves.
    pub(crate) beat: Option<Beat>,
    /// How many files it spools.
    pub(crate) spooled: usize,
    /// It cannot be faster, because it has to wait.
    pub(crate) at_least: Duration,
}

/// What a hook prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prints {
    /// Nothing.
    Nothing,
    /// That the turn goes on.
    Block,
    /// That a tool may not be used.
    Denial,
}

impl Expected {
    /// Prints nothing and leaves `beat`.
    const fn silent(beat: Option<Beat>) -> Self {
        Self { prints: Prints::Nothing, beat, spooled: 0, at_least: Duration::ZERO }
    }

    const fn spooled(self) -> Self {
        Self { spooled: 1, ..self }
    }

    const fn at_least(self, at_least: Duration) -> Self {
        Self { at_least, ..self }
    }
}

/// What must be on record after the spawns, beyond what each leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing more.
    None,
    /// Every stop is in the authority's log.
    Judged {
        /// What ended the evaluation before the rules.
        short_circuit: Option<&'static str>,
        /// Whether the verdict was to go on.
        would_block: bool,
        /// Whether the verdict was handed to the hook.
        blocked: bool,
    },
    /// Every session's beginning is in the store.
    Recorded,
}

/// How much faster than a router written for Node, see the budgets in `docs/architecture.md`.
const NODE_PROMISE: f64 = 100.0;
// Situations that others are compared with.
const KILLED: &str = "router: kill switch file";
const OFF: &str = "router: mode off";
const ALLOW: &str = "router: enforce, allow";
const BLOCK: &str = "router: enforce, block";
const NO_BUILDS: &str = "build-stop: 0 live builds";
// Those with which coordination is compared: everything but that is the same.
const ROUTER_UNCOORDINATED: &str = "router: coordination off";
const RECORDER_UNCOORDINATED: &str = "recorder: coordination off";
/// What coordination may cost a hook of whoever is alone.
const SILENT_TIMES: f64 = 1.02;
/// Within which time the fence lets go where the authority is hung.
const FENCE_HUNG: Duration = Duration::from_millis(300);

/// All situations that `options` ask for; the no-op comes first.
pub(crate) fn all(world: &World, options: &Options) -> anyhow::Result<Vec<Situation>> {
    let wanted = |name: &str| name == NO_OP || options.filter.as_ref().is_none_or(|part| name.contains(part));
    let mut situations = Vec::new();
    for (sketch, number) in sketches(world).into_iter().zip(0..) {
        if wanted(sketch.name) {
            situations.push(sketch.finish(Sessions(number), options)?);
        }
    }
    Ok(situations)
}

/// A situation without its payloads.
struct Sketch<'a> {
    name: &'static str,
    program: Program,
    home: &'a Home,
    environment: Vec<(&'static str, &'static str)>,
    cwd: &'a Path,
    message: &'static str,
    known_sessions: bool,
    comes_and_goes: bool,
    /// The tool that a session is about to use.
    call: Option<(&'a str, Call)>,
    expected: Expected,
    proof: Proof,
    promise: Promise,
}

impl<'a> Sketch<'a> {
    fn of(name: &'static str, program: Program, home: &'a Home, cwd: &'a Path) -> Self {
        Self {
            name,
            program,
            home,
            environment: Vec::new(),
            cwd,
            message: EXCUSE_MESSAGE,
            known_sessions: false,
            comes_and_goes: false,
            call: None,
            expected: Expected::silent(None),
            proof: Proof::None,
            promise: Promise::None,
        }
    }

    fn expecting(self, expected: Expected, promise: Promise) -> Self {
        Self { expected, promise, ..self }
    }

    fn proven_by(self, proof: Proof) -> Self {
        Self { proof, ..self }
    }

    fn saying(self, message: &'static str) -> Self {
        Self { message, ..self }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    fn hung(self) -> Self {
        self.with(env::STOPGATE_DEADLINE_MS, HUNG_DEADLINE_MS)
    }

    fn with_known_sessions(self) -> Self {
        Self { known_sessions: true, ..self }
    }

    /// Nobody else is there.
    fn alone(self) -> Self {
        Self { comes_and_goes: true, ..self }
    }

    /// The session `id` is about to do `call`.
    fn calling(self, id: &'a str, call: Call) -> Self {
        Self { call: Some((id, call)), ..self }
    }

    fn finish(self, sessions: Sessions, options: &Options) -> anyhow::Result<Situation> {
        let is_hung = self.expected.at_least > Duration::ZERO;
        let (warm_ups, spawns) =
            if is_hung { (1, options.hung_spawns.min(options.spawns)) } else { (WARM_UPS, options.spawns) };
        let render_all = |render: &dyn Fn(&str) -> anyhow::Result<Vec<u8>>| {
            (0..warm_ups + spawns + SPARES)
                .map(|number| render(&sessions.id(number)))
                .collect::<anyhow::Result<Vec<_>>>()
        };
        let begin = |id: &str| payload::session_start(id, self.cwd);
        let stop = |id: &str| payload::stop(id, self.cwd, self.message);
        Ok(Situation {
            name: self.name,
            program: self.program,
            home: self.home.clone(),
            environment: self.environment,
            sessions,
            beginnings: if self.known_sessions { render_all(&begin)? } else { Vec::new() },
            payloads: match (self.call, self.program) {
                (Some((id, call)), _) => render_all(&|_| payload::call(id, self.cwd, call))?,
                (None, Program::Hook(Hook::SessionStartRecorder)) => render_all(&begin)?,
                _ => render_all(&stop)?,
            },
            warm_ups,
            expected: self.expected,
            proof: self.proof,
            promise: self.promise,
            comes_and_goes: self.comes_and_goes.then(|| self.cwd.to_owned()),
        })
    }
}

fn sketches(world: &World) -> Vec<Sketch<'_>> {
    let homes = &world.homes;
    let (plan, builds) = (&world.plan_checkout, &world.builds);
    let router = |name, home| Sketch::of(name, Program::Hook(Hook::StopGateRouter), home, plan);
    let build_stop = |name, cwd| Sketch::of(name, Program::Hook(Hook::BuildStop), &homes.shadow_absent, cwd);
    let recorder = |name, home| Sketch::of(name, Program::Hook(Hook::SessionStartRecorder), home, plan);

    let untouched = Expected::silent(None);
    let fired = Expected::silent(Some(Beat::Fired));
    let delivered = Expected::silent(Some(Beat::Delivered));
    let failed = Expected::silent(Some(Beat::Failed));
    let block_answer = Expected { prints: Prints::Block, ..delivered };
    let judged = |short_circuit, would_block, blocked| Proof::Judged { short_circuit, would_block, blocked };
    let of_no_op = |hook: Hook, when| hook.most_times(when).map_or(Promise::None, Promise::Ratio);
    let next_to_nothing = of_no_op(Hook::StopGateRouter, When::SwitchedOff);
    let round_trip = of_no_op(Hook::StopGateRouter, When::Answered);
    let beside_archive = Hook::BuildStop.most_times(When::BesideArchive);
    let node_at_least = |router| Promise::AtLeastTimes(router, NODE_PROMISE);
    let in_time = Promise::Deadline(Hook::StopGateRouter.row().deadline);
    let about_in_time = Promise::About(HUNG_DEADLINE);

    let own = vec![
        Sketch::of(NO_OP, Program::NoOp, &homes.off, plan),
        router(KILLED, &homes.killed).expecting(untouched, next_to_nothing),
        router("router: STOPGATE_KILL=1", &homes.enforce_absent)
            .with(env::STOPGATE_KILL, "1")
            .expecting(untouched, next_to_nothing),
        router(OFF, &homes.off).expecting(fired, next_to_nothing),
        router("router: shadow, would block", &homes.shadow_up)
            .with_known_sessions()
            .expecting(delivered, round_trip)
            .proven_by(judged(None, true, false)),
        router(ALLOW, &homes.enforce_up)
            .saying(PLAIN_MESSAGE)
            .with_known_sessions()
            .expecting(delivered, round_trip)
            .proven_by(judged(Some("no-signal"), false, false)),
        router(BLOCK, &homes.enforce_up)
            .with_known_sessions()
            .expecting(block_answer, round_trip)
            .proven_by(judged(None, true, true)),
        router("router: shadow, authority absent", &homes.shadow_absent).expecting(failed.spooled(), in_time),
        router("router: enforce, authority absent", &homes.enforce_absent).expecting(failed.spooled(), in_time),
        router("router: shadow, authority hung", &homes.shadow_hung)
            .hung()
            .expecting(failed.spooled().at_least(Duration::from_millis(100)), about_in_time),
        router("router: enforce, authority hung", &homes.enforce_hung)
            .hung()
            .expecting(failed.spooled().at_least(Duration::from_millis(200)), about_in_time),
        build_stop(NO_BUILDS, &builds.none).expecting(delivered, Promise::None),
        build_stop("build-stop: 1 live build", &builds.one).expecting(delivered, Promise::None),
        build_stop("build-stop: 50 live builds", &builds.fifty).expecting(delivered, Promise::None),
        build_stop("build-stop: 50 archived builds", &builds.archived)
            .expecting(delivered, beside_archive.map_or(Promise::None, |most| Promise::RatioTo(NO_BUILDS, most))),
        recorder("recorder: authority up", &homes.shadow_up)
            .expecting(delivered, of_no_op(Hook::SessionStartRecorder, When::Answered))
            .proven_by(Proof::Recorded),
        recorder("recorder: authority absent", &homes.shadow_absent)
            .expecting(delivered, of_no_op(Hook::SessionStartRecorder, When::Unanswered))
            .proven_by(Proof::Recorded),
        recorder("recorder: authority hung", &homes.enforce_hung)
            .hung()
            .expecting(failed.at_least(Duration::from_millis(200)), about_in_time),
    ];
    let own = own.into_iter().chain(coordination(world));
    let peers = Language::ALL.into_iter().filter(|language| language.missing().is_none()).flat_map(|language| {
        let [killed, off, allow, block] = peer_names(language);
        let peer = move |name, home| Sketch::of(name, Program::Peer(language), home, plan);
        let promise = move |router| if language == Language::Node { node_at_least(router) } else { Promise::None };
        [
            peer(killed, &homes.killed).expecting(untouched, promise(KILLED)),
            peer(off, &homes.off).expecting(fired, promise(OFF)),
            peer(allow, &homes.enforce_up)
                .saying(PLAIN_MESSAGE)
                .with_known_sessions()
                .expecting(delivered, promise(ALLOW))
                .proven_by(judged(Some("no-signal"), false, false)),
            peer(block, &homes.enforce_up)
                .with_known_sessions()
                .expecting(block_answer, promise(BLOCK))
                .proven_by(judged(None, true, true)),
        ]
    });
    own.chain(peers).collect()
}

/// What coordination costs: the hook that it adds, and those that run anyway.
fn coordination(world: &World) -> Vec<Sketch<'_>> {
    let homes = &world.homes;
    let (shared, stopped) = (&world.shared, &world.stopped);
    let fence =
        |name, home, cwd, id, call| Sketch::of(name, Program::Hook(Hook::WriteFence), home, cwd).calling(id, call);
    let of_no_op = |when| Hook::WriteFence.most_times(when).map_or(Promise::None, Promise::Ratio);
    let (fired, delivered) = (Expected::silent(Some(Beat::Fired)), Expected::silent(Some(Beat::Delivered)));
    let failed = Expected::silent(Some(Beat::Failed));
    let denial = Expected { prints: Prints::Denial, ..delivered };
    let (plan, asker) = (&world.plan_checkout, shared.asker.as_str());
    let (write, edit) = (Call::Write(FREE), Call::Shell("sed -i 's/main/start/' free.rs && git diff --stat"));
    let silent = |of| Promise::RatioTo(of, SILENT_TIMES);
    let judged = Proof::Judged { short_circuit: Some("no-signal"), would_block: false, blocked: false };
    let router = |name, home| {
        let sketch = Sketch::of(name, Program::Hook(Hook::StopGateRouter), home, plan).alone();
        sketch.saying(PLAIN_MESSAGE).proven_by(judged)
    };
    let recorder = |name, home| Sketch::of(name, Program::Hook(Hook::SessionStartRecorder), home, plan).alone();
    vec![
        fence("write-fence: kill switch file", &homes.killed, plan, asker, write)
            .expecting(Expected::silent(None), of_no_op(When::SwitchedOff)),
        fence("write-fence: fence off", &homes.uncoordinated, plan, asker, write)
            .expecting(fired, of_no_op(When::SwitchedOff)),
        fence("write-fence: alone", &homes.alone, plan, asker, write).expecting(fired, of_no_op(When::NothingHeld)),
        fence("write-fence: others elsewhere", &homes.shared, &shared.elsewhere, &shared.loner, write)
            .expecting(fired, of_no_op(When::NothingHeld)),
        fence("write-fence: asked, allowed", &homes.shared, &shared.checkout, asker, write)
            .expecting(delivered, of_no_op(When::Answered)),
        fence("write-fence: asked, shell command", &homes.shared, &shared.checkout, asker, edit)
            .expecting(delivered, of_no_op(When::Answered)),
        fence("write-fence: denied", &homes.shared, &shared.checkout, asker, Call::Write(HELD))
            .expecting(denial, of_no_op(When::Denied)),
        fence("write-fence: authority hung", &homes.stopped, &stopped.checkout, &stopped.asker, write)
            .expecting(failed.at_least(Duration::from_millis(100)), Promise::Deadline(FENCE_HUNG)),
        router(ROUTER_UNCOORDINATED, &homes.uncoordinated).expecting(delivered, Promise::None),
        router("router: coordination on", &homes.alone).expecting(delivered, silent(ROUTER_UNCOORDINATED)),
        recorder(RECORDER_UNCOORDINATED, &homes.uncoordinated).expecting(delivered, Promise::None),
        recorder("recorder: coordination on", &homes.alone).expecting(delivered, silent(RECORDER_UNCOORDINATED)),
    ]
}

/// Names of a peer's situations: kill switch, mode off, allow, block.
const fn peer_names(language: Language) -> [&'static str; 4] {
    match language {
        Language::Node => ["node: kill switch file", "node: mode off", "node: enforce, allow", "node: enforce, block"],
        Language::Python => {
            ["python: kill switch file", "python: mode off", "python: enforce, allow", "python: enforce, block"]
        }
        Language::Bash => {
            ["bash+jq: kill switch file", "bash+jq: mode off", "bash+jq: enforce, allow", "bash+jq: enforce, block"]
        }
    }
}
