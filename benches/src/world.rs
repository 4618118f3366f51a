//! Everything the hooks meet, in one temporary directory: homes in every state, checkouts, authorities.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use stopgate_coordination::{fence, held};
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::paths::Home;
use stopgate_core::switch::{self, KillRecord, Mode};

use crate::authority::Authority;
use crate::binaries::{Binaries, Program};
use crate::payload::Sessions;
use crate::seats::Seats;
use crate::{checkouts, measure};

/// The homes, one for each state that a home can be in.
#[derive(Debug)]
pub(crate) struct Homes {
    /// Enforce, kill switch on.
    pub(crate) killed: Home,
    /// Mode off.
    pub(crate) off: Home,
    /// Shadow, authority up.
    pub(crate) shadow_up: Home,
    /// Enforce, authority up.
    pub(crate) enforce_up: Home,
    /// Shadow, no authority.
    pub(crate) shadow_absent: Home,
    /// Enforce, no authority.
    pub(crate) enforce_absent: Home,
    /// Shadow, something accepts and never answers.
    pub(crate) shadow_hung: Home,
    /// Enforce, something accepts and never answers.
    pub(crate) enforce_hung: Home,
    /// Enforce, authority up; coordination off, and nobody there but who is measured.
    pub(crate) uncoordinated: Home,
    /// The same with coordination on.
    pub(crate) alone: Home,
    /// Coordination on; two sessions share a checkout, and one works elsewhere.
    pub(crate) shared: Home,
    /// The same, with an authority that stands still.
    pub(crate) stopped: Home,
}

impl Homes {
    /// Those in which the fence acts.
    const fn fenced(&self) -> [&Home; 3] {
        [&self.alone, &self.shared, &self.stopped]
    }
}

/// Sessions at work in one tree: who is measured, and who is in the way.
#[derive(Debug)]
pub(crate) struct Sharing {
    /// The tree.
    pub(crate) checkout: PathBuf,
    /// Another one, in which one works alone.
    pub(crate) elsewhere: PathBuf,
    /// The session that is measured in the tree.
    pub(crate) asker: String,
    /// The one that works elsewhere.
    pub(crate) loner: String,
    // They end with it.
    _seats: Seats,
}

/// What is held by another session than the one that is measured.
pub(crate) const HELD: &str = "held.rs";
/// What nobody holds.
pub(crate) const FREE: &str = "free.rs";

/// Checkouts with builds of other sessions.
#[derive(Debug)]
pub(crate) struct BuildCheckouts {
    /// No build, and never one.
    pub(crate) none: PathBuf,
    /// One live build.
    pub(crate) one: PathBuf,
    /// 50 live builds.
    pub(crate) fifty: PathBuf,
    /// No live build, 50 archived ones.
    pub(crate) archived: PathBuf,
}

/// The whole world; everything in it ends with it.
#[derive(Debug)]
pub(crate) struct World {
    // Before the directory: authorities are ended before their homes are removed.
    shadow: Authority,
    enforce: Authority,
    uncoordinated: Authority,
    alone: Authority,
    /// Who shares a tree in [`Homes::shared`], and in [`Homes::stopped`].
    pub(crate) shared: Sharing,
    pub(crate) stopped: Sharing,
    shared_authority: Authority,
    _stopped_authority: Authority,
    /// The homes.
    pub(crate) homes: Homes,
    /// A checkout with an unfinished plan.
    pub(crate) plan_checkout: PathBuf,
    /// Checkouts with builds of other sessions.
    pub(crate) builds: BuildCheckouts,
    user_home: PathBuf,
    authority_program: PathBuf,
    _root: tempfile::TempDir,
}

impl World {
    /// Creates it all and waits until the authorities serve.
    pub(crate) fn create(binaries: &Binaries) -> anyhow::Result<Self> {
        // Short names: a socket's path has to fit in 100 bytes.
        let root = tempfile::Builder::new().prefix("sgb-").tempdir().context("no temporary directory")?;
        let top = root.path().canonicalize()?;
        let home = |name: &str, mode: Mode| -> anyhow::Result<Home> {
            let home = Home::at(top.join(name));
            binaries.install(&home)?;
            switch::write_mode(&home, mode)?;
            Ok(home)
        };
        let homes = Homes {
            killed: home("killed", Mode::Enforce)?,
            off: home("off", Mode::Off)?,
            shadow_up: home("shadow-up", Mode::Shadow)?,
            enforce_up: home("enforce-up", Mode::Enforce)?,
            shadow_absent: home("shadow-absent", Mode::Shadow)?,
            enforce_absent: home("enforce-absent", Mode::Enforce)?,
            shadow_hung: home("shadow-hung", Mode::Shadow)?,
            enforce_hung: home("enforce-hung", Mode::Enforce)?,
            uncoordinated: home("uncoordinated", Mode::Enforce)?,
            alone: home("alone", Mode::Enforce)?,
            shared: home("shared", Mode::Enforce)?,
            stopped: home("stopped", Mode::Enforce)?,
        };
        for home in homes.fenced() {
            fence::mode::write(home, Mode::Enforce)?;
        }
        let record = KillRecord { by: "bench".to_owned(), at_ms: 0, reason: String::new() };
        switch::set_kill(&homes.killed, &record)?;
        hang(&homes.shadow_hung)?;
        hang(&homes.enforce_hung)?;

        let plan_checkout = top.join("plan");
        checkouts::with_plan(&plan_checkout)?;
        let builds = |name: &str, live, archived| -> anyhow::Result<PathBuf> {
            let checkout = top.join(name);
            checkouts::with_builds(&checkout, live, archived)?;
            Ok(checkout)
        };
        let builds = BuildCheckouts {
            none: builds("builds-none", 0, 0)?,
            one: builds("builds-one", 1, 0)?,
            fifty: builds("builds-fifty", 50, 0)?,
            archived: builds("builds-archived", 0, 50)?,
        };
        let user_home = top.join("user");
        std::fs::create_dir(&user_home)?;
        let authority_program = binaries.path(Program::Stopgate)?.to_owned();
        let start = |home: &Home| Authority::start(&authority_program, home, &user_home);
        let (shared_authority, stopped_authority) = (start(&homes.shared)?, start(&homes.stopped)?);
        let seat = binaries.own("seat")?;
        let shared = share(&homes.shared, seat, &top.join("shared-work"))?;
        let stopped = share(&homes.stopped, seat, &top.join("stopped-work"))?;
        stopped_authority.stand_still()?;
        Ok(Self {
            shadow: start(&homes.shadow_up)?,
            enforce: start(&homes.enforce_up)?,
            uncoordinated: start(&homes.uncoordinated)?,
            alone: start(&homes.alone)?,
            shared,
            stopped,
            shared_authority,
            _stopped_authority: stopped_authority,
            homes,
            plan_checkout,
            builds,
            user_home,
            authority_program,
            _root: root,
        })
    }

    /// The authority that serves `home`, if one does.
    pub(crate) fn authority(&self, home: &Home) -> Option<&Authority> {
        let all = [
            (&self.homes.shadow_up, &self.shadow),
            (&self.homes.enforce_up, &self.enforce),
            (&self.homes.uncoordinated, &self.uncoordinated),
            (&self.homes.alone, &self.alone),
            (&self.homes.shared, &self.shared_authority),
        ];
        all.into_iter().find_map(|(of, authority)| (of == home).then_some(authority))
    }

    /// Starts an authority for a home that had none, to ask what is in its store.
    pub(crate) fn start_authority(&self, home: &Home) -> anyhow::Result<Authority> {
        Authority::start(&self.authority_program, home, &self.user_home)
    }

    /// `program` as a harness would start it from the `bin/` of `home`. `STOPGATE_HOME` is not set, because no
    /// harness sets it: an installed hook finds its home by the marker.
    pub(crate) fn command(&self, home: &Home, program: Program, environment: &[(&str, &str)]) -> Command {
        let file = home.bin().join(program.name());
        let mut command = match program {
            Program::Peer(language) => interpreted(language.interpreter(), &file),
            _ => Command::new(file),
        };
        command
            .arg("claude")
            .env_clear()
            .env(env::HOME, &self.user_home)
            .env(env::PATH, search_path())
            .env(env::STOPGATE_NO_AUTOSTART, "1")
            .env(env::STOPGATE_TOP, std::process::id().to_string())
            .envs(environment.iter().copied());
        measure::prepare(&mut command);
        command
    }
}

/// Two sessions in one checkout below `top`, of which the second holds [`HELD`], and a third in another one.
fn share(home: &Home, seat: &Path, top: &Path) -> anyhow::Result<Sharing> {
    let (checkout, elsewhere) = (top.join("project"), top.join("another"));
    for checkout in [&checkout, &elsewhere] {
        checkouts::with_files(checkout, &[HELD, FREE])?;
    }
    let mut seats = Seats::of(home, seat, top)?;
    let [asker, holder, loner] = [1, 2, 3].map(|number| Sessions(u16::MAX).id(number));
    seats.sit(&asker, &checkout)?;
    let who = seats.sit(&holder, &checkout)?;
    seats.sit(&loner, &elsewhere)?;
    let order = seats.lease(who, &checkout, "acquire", &[HELD.to_owned()]);
    let held = seats.troupe.does(who, &order)?;
    ensure!(held.body["outcome"] == "granted", "no lease: {}", held.body);
    // Hooks are told a moment later.
    let deadline = Instant::now() + Duration::from_secs(10);
    let is_told = |text: &str| [&asker, &holder, &loner].iter().all(|id| text.contains(*id)) && text.contains(HELD);
    while !std::fs::read_to_string(held::file(home)).is_ok_and(|text| is_told(&text)) {
        ensure!(Instant::now() < deadline, "{} does not say who works where", held::file(home).display());
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Sharing { checkout, elsewhere, asker, loner, _seats: seats })
}

/// `script` run by `interpreter`, a program and its arguments.
fn interpreted(interpreter: &[&str], script: &Path) -> Command {
    let mut words = interpreter.iter();
    let mut command = Command::new(words.next().unwrap_or(&"sh"));
    command.args(words).arg(script);
    command
}

fn search_path() -> std::ffi::OsString {
    ProcessEnv.os(env::PATH).unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())
}

/// Accepts every connection to the socket of `home` and answers none, until the bench ends.
fn hang(home: &Home) -> anyhow::Result<()> {
    let path: &Path = &home.socket_to_connect()?;
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen at {}", path.display()))?;
    std::thread::spawn(move || {
        let _held: Vec<UnixStream> = listener.incoming().map_while(Result::ok).collect();
    });
    Ok(())
}
