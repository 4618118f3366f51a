//! The programs in the home's `bin/`: put there, and taken away again.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use stopgate_core::hook::Hook;
use stopgate_core::paths::Home;
use stopgate_core::{env, fsx};

use crate::digest::sha256;
use crate::exit::Refusal;
use crate::home;
use crate::ledger::Deployed;
use crate::live_check::run::{Call, run};
use crate::manifest::{MANIFEST, Manifest};
use crate::programs::{self, STUB};

const EXECUTABLE: u32 = 0o755;
/// For a program that only starts and ends.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// What happens to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    New,
    Changed,
    Unchanged,
}

impl Change {
    /// The word on screen.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A program and its change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) change: Change,
    /// Where it is taken from.
    #[serde(skip)]
    pub(crate) source: PathBuf,
}

/// Compares the programs beside the running installer, `source`, with those in `home`. In the directory of a release
/// they have to be what its manifest says.
pub(crate) fn plan(source: &Path, home: &Home) -> Result<Vec<Program>> {
    home::check_programs(home)?;
    if let Some(manifest) = Manifest::read(&source.join(MANIFEST))? {
        manifest.check_programs(source)?;
    }
    plan_of(source, home, programs::names().map(str::to_owned))
}

/// [`plan`] for programs of these names.
pub(crate) fn plan_of(source: &Path, home: &Home, names: impl Iterator<Item = String>) -> Result<Vec<Program>> {
    let bin = home.bin();
    let is_installed_already = same_directory(source, &bin);
    names
        .map(|name| {
            let (source, path) = (source.join(&name), bin.join(&name));
            if !source.is_file() {
                let dir = source.parent().unwrap_or(&source).display();
                return Err(Refusal(format!(
                    "{}: no such program; build them all with `cargo build --release` and run the installer from \
                     target/release (it looked in {dir})",
                    source.display()
                ))
                .into());
            }
            let change = if is_installed_already { Change::Unchanged } else { compare(&source, &path)? };
            Ok(Program { name, path, change, source })
        })
        .collect()
}

fn same_directory(left: &Path, right: &Path) -> bool {
    matches!((left.canonicalize(), right.canonicalize()), (Ok(left), Ok(right)) if left == right)
}

fn compare(source: &Path, installed: &Path) -> Result<Change> {
    let meta = match std::fs::symlink_metadata(installed) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Change::New),
        Err(error) => return Err(error).with_context(|| format!("cannot look at {}", installed.display())),
    };
    if !meta.is_file() || meta.permissions().mode() & 0o777 != EXECUTABLE {
        return Ok(Change::Changed);
    }
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let size = std::fs::metadata(source).with_context(|| format!("cannot look at {}", source.display()))?.len();
    let is_same = meta.len() == size && read(source)? == read(installed)?;
    Ok(if is_same { Change::Unchanged } else { Change::Changed })
}

/// Puts the programs that differ in their place, each in one step; returns what is there now. They are compared once
/// more: another installer may have been at work while this one waited for the lock.
pub(crate) fn carry_out(programs: &mut [Program], known: &[Deployed]) -> Result<Vec<Deployed>> {
    programs
        .iter_mut()
        .map(|program| {
            let name = program.name.clone();
            program.change = compare(&program.source, &program.path)?;
            if program.change == Change::Unchanged
                && let Some(known) = known.iter().find(|known| known.name == name)
            {
                return Ok(known.clone());
            }
            let bytes =
                std::fs::read(&program.source).with_context(|| format!("cannot read {}", program.source.display()))?;
            if program.change != Change::Unchanged {
                put(&program.path, &bytes)?;
            }
            Ok(Deployed { name, sha256: sha256(&bytes) })
        })
        .collect()
}

/// Starts every hook once, with the kill switch on: an error says which cannot be started, whatever forbids it.
pub(crate) fn try_start(home: &Home) -> Result<()> {
    for hook in Hook::ALL {
        let program = home.bin().join(hook.name());
        let command = program.display().to_string();
        let variables = [(env::STOPGATE_KILL, "1".into())];
        let call = Call { command: &command, args: &[], cwd: Path::new("/"), variables: &variables, stdin: b"" };
        run(&call, START_DEADLINE).ended.with_context(|| format!("{command} cannot be started"))?;
    }
    Ok(())
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    fsx::ensure_private_dir(dir)
        .and_then(|()| fsx::write_atomic(path, bytes, EXECUTABLE))
        // The process's umask may have taken bits away.
        .and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(EXECUTABLE)))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Takes the programs away, and leaves a stub that does nothing under the name of every hook. Returns what was done,
/// one line for each, and what could not be done.
pub(crate) fn withdraw(home: &Home) -> (Vec<String>, Vec<String>) {
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for name in programs::names() {
        let path = home.bin().join(name);
        let shown = path.display();
        if !path.exists() {
            continue;
        }
        let outcome = if Hook::NAMES.contains(&name) {
            put(&path, STUB.as_bytes()).map(|()| format!("{shown}: now does nothing, for sessions that still run"))
        } else {
            std::fs::remove_file(&path).map(|()| format!("{shown}: removed")).map_err(anyhow::Error::from)
        };
        match outcome {
            Ok(line) => done.push(line),
            Err(error) => failed.push(format!("{shown}: {error:#}")),
        }
    }
    (done, failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::os::unix::fs::MetadataExt;

    fn build(dir: &Path) {
        for name in programs::names() {
            std::fs::write(dir.join(name), name).unwrap();
        }
    }

    fn changes(plan: &[Program]) -> Vec<Change> {
        plan.iter().map(|program| program.change).collect()
    }

    #[test]
    fn only_what_differs_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        let source = dir.path().join("target");
        std::fs::create_dir(&source).unwrap();
        build(&source);
        let mut first = plan(&source, &home).unwrap();
        let mut waiting = first.clone();
        let all = programs::names().count();
        assert_eq!(changes(&first), vec![Change::New; all]);
        let deployed = carry_out(&mut first, &[]).unwrap();
        assert_eq!(deployed[0], Deployed { name: "stop-gate-router".into(), sha256: sha256(b"stop-gate-router") });
        let mode = std::fs::metadata(home.bin().join("stopgate")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, EXECUTABLE);

        // Whoever had made the same plan and had to wait writes nothing.
        let inode = || std::fs::metadata(home.bin().join("stop-gate-router")).unwrap().ino();
        let before = inode();
        assert_eq!(carry_out(&mut waiting, &deployed).unwrap(), deployed);
        assert_eq!((changes(&waiting), inode()), (vec![Change::Unchanged; all], before));

        std::fs::write(source.join("stopgate"), "newer").unwrap();
        let mut second = plan(&source, &home).unwrap();
        assert_eq!(second.iter().filter(|program| program.change == Change::Changed).count(), 1);
        carry_out(&mut second, &deployed).unwrap();
        assert_eq!(std::fs::read(home.bin().join("stopgate")).unwrap(), b"newer");
        assert_eq!(changes(&plan(&home.bin(), &home).unwrap()), vec![Change::Unchanged; all], "run from bin/ itself");
    }

    #[test]
    fn a_missing_program_is_named_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path());
        std::fs::remove_file(dir.path().join("build-stop-hook")).unwrap();
        let error = plan(dir.path(), &Home::at(dir.path().join("home"))).unwrap_err().to_string();
        assert!(
            error.contains("/build-stop-hook: no such program") && error.contains("cargo build --release"),
            "{error}"
        );
    }

    #[test]
    fn a_release_whose_program_is_damaged_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        build(dir.path());
        Manifest::of(dir.path()).unwrap().save(&dir.path().join(MANIFEST), 0o600).unwrap();
        assert!(changes(&plan(dir.path(), &home).unwrap()).iter().all(|change| *change == Change::New));
        std::fs::write(dir.path().join("stopgate"), "stopgatf").unwrap();
        let error = plan(dir.path(), &home).unwrap_err();
        let said = error.downcast_ref::<Refusal>().unwrap().to_string();
        assert!(said.contains("/stopgate: not the bytes that the release's manifest names"), "{said}");
    }

    #[test]
    fn a_program_that_cannot_be_started_is_named_whatever_forbids_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        for hook in Hook::ALL {
            put(&home.bin().join(hook.name()), b"#!/bin/sh\nexit 3\n").unwrap();
        }
        try_start(&home).unwrap();
        let last = home.bin().join(Hook::ALL[Hook::ALL.len() - 1].name());
        std::fs::write(&last, "#!/nowhere/sh\n").unwrap();
        let error = format!("{:#}", try_start(&home).unwrap_err());
        assert!(error.starts_with(&format!("{} cannot be started: ", last.display())), "{error}");
    }

    #[test]
    fn withdrawn_hooks_still_succeed_and_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::create_dir(home.bin()).unwrap();
        build(&home.bin());
        let (done, failed) = withdraw(&home);
        assert_eq!((done.len(), failed), (programs::names().count(), Vec::new()));
        let left =
            std::fs::read_dir(home.bin()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(left.collect::<BTreeSet<_>>(), BTreeSet::from(Hook::NAMES.map(str::to_owned)));
        let output = std::process::Command::new(home.bin().join("stop-gate-router")).arg("claude").output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
    }
}
