//! Whether programs may take the place of installed ones: they have to be stopgate's, by what they do; and whoever runs below
//! an agent may put back what was installed, or a newer release with its manifest, and nothing else.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stopgate_core::beat::{self, Beat};
use stopgate_core::hook::Hook;
use stopgate_core::paths::Home;
use stopgate_core::session::Harness;
use stopgate_core::{VERSION, env};
use stopgate_protocol::version::{Version, is_newer};

use crate::commands::Context;
use crate::deploy::{Change, Program};
use crate::digest::sha256;
use crate::exit::Refusal;
use crate::ledger::Ledger;
use crate::live_check::run::{Call, run};
use crate::manifest::{MANIFEST, Manifest};
use crate::operator;

/// For a program that only starts and ends, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);
/// What an act is called that puts other programs in place.
const ACTION: &str = "installing other programs than a newer release";

/// Refuses `programs` of the directory `source` which are not stopgate's; and, of whoever is no operator, those that are
/// neither what `ledger` says was installed nor of a newer release with its manifest.
pub(crate) fn check(context: &Context<'_>, source: &Path, ledger: &Ledger, programs: &[Program]) -> Result<()> {
    let wanted: Vec<&Program> = programs.iter().filter(|program| program.change != Change::Unchanged).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let manifest = Manifest::read(&source.join(MANIFEST))?;
    if let Some(manifest) = &manifest {
        manifest.check_programs(source)?;
    }
    prove(manifest.as_ref(), &wanted)?;
    // The first installation replaces nothing.
    if ledger.binaries.is_empty() || are_installed(ledger, &wanted)? {
        return Ok(());
    }
    let present = ledger.version.as_deref().unwrap_or(VERSION);
    if manifest.is_some_and(|manifest| is_newer(&manifest.version, present)) {
        return Ok(());
    }
    operator::only(context, ACTION).map(|_| ()).with_context(|| {
        format!(
            "{}: neither the programs that were installed nor those of a release newer than {present}, with its manifest",
            source.display()
        )
    })
}

/// Whether they are, byte for byte, what was installed: whatever is in their place is put right by them.
fn are_installed(ledger: &Ledger, programs: &[&Program]) -> Result<bool> {
    for program in programs {
        let digest = sha256(&read(program)?);
        if !ledger.binaries.iter().any(|known| known.name == program.name && known.sha256 == digest) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn read(program: &Program) -> Result<Vec<u8>> {
    std::fs::read(&program.source).with_context(|| format!("cannot read {}", program.source.display()))
}

/// Refuses a program that does not do what stopgate's of that name does. Of another version's hook nothing can be said but
/// what the release's manifest says of its bytes.
fn prove(manifest: Option<&Manifest>, programs: &[&Program]) -> Result<(), anyhow::Error> {
    let version = manifest.map_or(VERSION, |manifest| &manifest.version);
    let scratch = tempfile::tempdir().context("no temporary directory to try the programs in")?;
    for program in programs {
        let hook = Hook::ALL.into_iter().find(|hook| hook.name() == program.name);
        let is_ours = match hook {
            Some(hook) if version == VERSION => leaves_a_beat(program, hook, scratch.path()),
            Some(_) => true,
            None => match says(program, scratch.path()) {
                // Without a manifest nothing says which version it is to be.
                Some(said) => manifest.is_none() || said == version,
                None => false,
            },
        };
        if !is_ours {
            let path = program.source.display();
            return Err(Refusal(format!(
                "{path}: does not do what stopgate's program of that name does, and is not installed; get the release \
                 again, or build all programs of one version"
            ))
            .into());
        }
    }
    Ok(())
}

/// Whether it leaves the mark that `hook` leaves in its home when it is called.
fn leaves_a_beat(program: &Program, hook: Hook, scratch: &Path) -> bool {
    let home = Home::at(scratch.join(hook.name()));
    let Ok(()) = home.create() else { return false };
    let args = [Harness::DEFAULT.name().to_owned()];
    call(program, &args, &[(env::STOPGATE_HOME, home.root().into()), (env::STOPGATE_NO_AUTOSTART, "1".into())]);
    beat::last(&home, hook.name(), Beat::Fired).is_some()
}

/// The version that it says it is of, by its own name.
fn says(program: &Program, scratch: &Path) -> Option<String> {
    let output = call(program, &["--version".to_owned()], &[(env::HOME, scratch.into())])?;
    let said = String::from_utf8(output).ok()?;
    let version = said.trim().strip_prefix(&program.name)?.strip_prefix(' ')?;
    Version::parse(version).is_some().then(|| version.to_owned())
}

fn call(program: &Program, args: &[String], variables: &[(&'static str, OsString)]) -> Option<Vec<u8>> {
    let command = program.source.display().to_string();
    let call = Call { command: &command, args, cwd: Path::new("/"), variables, stdin: b"{}" };
    Some(run(&call, DEADLINE).ended.ok()?.stdout)
}
