//! `installer update --from`: puts the programs of a release in place and lets the new installer migrate.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use stopgate_core::clock::{Clock, SystemClock};
use stopgate_core::env;
use stopgate_core::fsx;
use stopgate_core::subprocess;
use stopgate_protocol::version::Version;

use super::Context;
use crate::deploy::{self, Change, Program};
use crate::exit::{ExitStatus, Refusal};
use crate::guide::deliver;
use crate::ledger::{Ledger, Lock};
use crate::manifest::{MANIFEST, Manifest};
use crate::printer::{self, columns};
use crate::{backup, home, programs, provenance, version};

/// How long a release may take to unpack, or to say its version.
const PATIENCE: Duration = Duration::from_mins(1);

/// Arguments of `update`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The release: a directory with the programs, or a tar archive of one
    #[arg(long, value_name = "DIR|TARBALL")]
    from: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object instead of text: that of the migration
    #[arg(long)]
    pub(crate) json: bool,
}

/// A release on the disk.
struct UnpackedRelease {
    dir: PathBuf,
    version: String,
    manifest: Option<Manifest>,
    /// Holds what was unpacked.
    _unpacked: Option<tempfile::TempDir>,
}

/// Updates; on success this process becomes the new installer.
pub(crate) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<ExitStatus> {
    let home = &context.home;
    let root = home.root().display();
    if !home::is_marked(home) {
        return Err(
            Refusal(format!("{root}: stopgate is not installed there; run the release's `installer init`")).into()
        );
    }
    let release = open(context, &arguments.from)?;
    let ledger = Ledger::read(home)?;
    check_version(context, &release, &ledger)?;
    let names: Vec<String> = match &release.manifest {
        Some(manifest) => manifest.programs.iter().map(|file| file.name.clone()).collect(),
        None => programs::names().map(str::to_owned).collect(),
    };
    if let Some(bad) = names.iter().find(|name| name.is_empty() || name.contains('/') || name.starts_with('.')) {
        return Err(Refusal(format!("{}: its manifest names a program {bad:?}", arguments.from.display())).into());
    }
    let mut programs = deploy::plan_of(&release.dir, home, names.into_iter())?;
    if !arguments.dry_run {
        provenance::check(context, &release.dir, &ledger, &programs)?;
    }
    let printer = context.printer;
    let present = ledger.version.as_deref().unwrap_or("an unknown version");
    printer.line(format!("stopgate {present} in {root} becomes {}", release.version));
    let row = |program: &Program| vec![program.change.word().to_owned(), program.path.display().to_string()];
    for line in columns(&programs.iter().map(row).collect::<Vec<_>>()) {
        printer.line(format!("  {line}"));
    }
    if arguments.dry_run {
        printer.line("Dry run: nothing was written.");
        printer.object(&serde_json::json!({ "command": "update", "outcome": "dry-run", "to": release.version, "programs": programs }))?;
        return Ok(ExitStatus::Success);
    }
    printer::consent("Update?", arguments.yes).required("nothing was written")?;
    let lock = Lock::take(home)?;
    let mut ledger = Ledger::read(home)?;
    if let Some(kept) = keep(context, &programs, present)? {
        printer.line(format!("The programs as they were: {}", kept.display()));
    }
    ledger.binaries = deploy::carry_out(&mut programs, &ledger.binaries)?;
    ledger.save(home)?;
    copy_guides(context, &release)?;
    drop(lock);
    drop(release);
    hand_over(context, arguments)
}

fn open(context: &Context<'_>, from: &Path) -> Result<UnpackedRelease> {
    let shown = from.display();
    let meta = std::fs::metadata(from).map_err(|error| Refusal(format!("{shown}: {error}")))?;
    let (dir, unpacked) = if meta.is_dir() {
        (from.canonicalize().with_context(|| format!("cannot look at {shown}"))?, None)
    } else {
        let unpacked =
            tempfile::Builder::new().prefix("stopgate-release-").tempdir().context("no temporary directory")?;
        unpack(context, from, unpacked.path())?;
        (unpacked.path().to_owned(), Some(unpacked))
    };
    let dir = programs_in(&dir).ok_or_else(|| {
        Refusal(format!("{shown}: there is no program `installer` in it; name the directory or archive of a release"))
    })?;
    let manifest = Manifest::read(&dir.join(MANIFEST))?;
    if let Some(manifest) = &manifest {
        manifest.check_programs(&dir)?;
    }
    let version = match &manifest {
        Some(manifest) => manifest.version.clone(),
        None => ask_version(context, &dir.join("installer"))?,
    };
    Ok(UnpackedRelease { dir, version, manifest, _unpacked: unpacked })
}

/// The directory in `dir` that holds the programs: itself, its `bin`, or the one directory that an archive wraps.
fn programs_in(dir: &Path) -> Option<PathBuf> {
    let holds = |dir: &Path| std::fs::symlink_metadata(dir.join("installer")).is_ok_and(|meta| meta.is_file());
    let mut candidates = vec![dir.to_owned(), dir.join("bin")];
    let inner = std::fs::read_dir(dir).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    for path in inner.filter(|path| std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())) {
        candidates.extend([path.join("bin"), path]);
    }
    candidates.into_iter().find(|dir| holds(dir))
}

fn unpack(context: &Context<'_>, archive: &Path, into: &Path) -> Result<()> {
    let archive = archive.canonicalize().with_context(|| format!("cannot look at {}", archive.display()))?;
    let mut command = Command::new("tar");
    command.arg("--extract").arg("--no-same-owner").arg("--no-same-permissions").arg("--file").arg(&archive);
    command.arg("--directory").arg(into).env_clear().stderr(std::process::Stdio::null());
    command.envs(context.environment.os(env::PATH).map(|path| (env::PATH, path)));
    match subprocess::run(command, Instant::now() + PATIENCE) {
        subprocess::Outcome::Success(_) => Ok(()),
        _ => Err(Refusal(format!(
            "{}: `tar` cannot unpack it; get it again, and compare it with its SHA256SUMS",
            archive.display()
        ))
        .into()),
    }
}

fn ask_version(context: &Context<'_>, installer: &Path) -> Result<String> {
    let mut command = Command::new(installer);
    command.arg("--version").env_clear().stderr(std::process::Stdio::null());
    command.envs(context.environment.os(env::HOME).map(|home| (env::HOME, home)));
    let output = subprocess::run(command, Instant::now() + PATIENCE).output();
    let said = output.and_then(|output| String::from_utf8(output).ok()).unwrap_or_default();
    let version = said.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    if Version::parse(&version).is_none() {
        return Err(Refusal(format!("{}: does not say its version", installer.display())).into());
    }
    Ok(version)
}

fn check_version(context: &Context<'_>, release: &UnpackedRelease, ledger: &Ledger) -> Result<(), Refusal> {
    let new = Version::parse(&release.version);
    let present = ledger.version.as_deref().and_then(Version::parse);
    match (new, present) {
        (None, _) => {
            Err(Refusal(format!("{}: the release's version {:?} is none", release.dir.display(), release.version)))
        }
        (Some(new), Some(present)) if new < present => Err(Refusal(format!(
            "{} is older than what is installed ({}), and cannot undo what that has changed; {}",
            release.version,
            ledger.version.as_deref().unwrap_or_default(),
            version::way_back(&context.home)
        ))),
        _ => Ok(()),
    }
}

/// A copy of the programs that are replaced.
fn keep(context: &Context<'_>, programs: &[Program], version: &str) -> Result<Option<PathBuf>> {
    let changed: Vec<_> = programs.iter().filter(|program| program.change == Change::Changed).collect();
    if changed.is_empty() {
        return Ok(None);
    }
    let version: String = version.chars().map(|symbol| if symbol.is_whitespace() { '-' } else { symbol }).collect();
    let dir = backup::directory(&context.home, SystemClock.now_ms(), &format!("programs-{version}"))?;
    for program in changed {
        let copy = dir.join(&program.name);
        std::fs::copy(&program.path, &copy).with_context(|| format!("cannot keep {}", copy.display()))?;
    }
    Ok(Some(dir))
}

fn copy_guides(context: &Context<'_>, release: &UnpackedRelease) -> Result<()> {
    let source = [release.dir.join("upgrades"), release.dir.join("../upgrades")];
    let into = deliver::directory(&context.home);
    for guide in source.iter().find(|dir| dir.is_dir()).map(|dir| deliver::all(dir)).transpose()?.unwrap_or_default() {
        let name = format!("{}.md", guide.version);
        let from = source.iter().map(|dir| dir.join(&name)).find(|path| path.is_file());
        let Some(from) = from else { continue };
        let bytes = std::fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        fsx::ensure_private_dir(&into)
            .and_then(|()| fsx::write_atomic(&into.join(&name), &bytes, 0o600))
            .with_context(|| format!("cannot write {}", into.join(&name).display()))?;
    }
    Ok(())
}

/// Becomes the new installer: only it knows what its version needs.
fn hand_over(context: &Context<'_>, arguments: &Arguments) -> Result<ExitStatus> {
    let installer = context.home.bin().join("installer");
    let mut command = Command::new(&installer);
    command.arg("migrate").env(env::STOPGATE_HOME, context.home.root());
    if arguments.json {
        command.arg("--json");
    }
    let error = command.exec();
    Err(anyhow::Error::new(error).context(format!(
        "the new programs are in place, but {} cannot be run; run `installer migrate` by hand",
        installer.display()
    )))
}
