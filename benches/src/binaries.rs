//! The release binaries: built, found, and installed into a home as the installer does it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use stopgate_core::env::{Env as _, ProcessEnv};
use stopgate_core::hook::Hook;
use stopgate_core::paths::{HOME_MARKER, Home};

use crate::peers::Language;

/// Everything that is measured or needed: the hooks, their peers, the no-op, and the program that holds the authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// Does nothing.
    NoOp,
    /// A hook.
    Hook(Hook),
    /// The authority.
    Stopgate,
    /// The router in another language.
    Peer(Language),
}

impl Program {
    /// All that cargo builds, in the order of the report.
    pub(crate) fn built() -> impl Iterator<Item = Self> {
        [Self::NoOp].into_iter().chain(Hook::ALL.map(Self::Hook)).chain([Self::Stopgate])
    }

    /// Name of the file, and of the hook in its heartbeats.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoOp => "noop",
            Self::Hook(hook) => hook.name(),
            Self::Stopgate => "stopgate",
            Self::Peer(language) => language.peer(),
        }
    }
}

/// The release binaries.
#[derive(Debug, Clone)]
pub(crate) struct Binaries(BTreeMap<String, PathBuf>);

impl Binaries {
    /// Builds them, and lets cargo say where they are. Hooks by themselves, as they are built for a release: with others
    /// they would have of their dependencies what those need.
    pub(crate) fn build() -> anyhow::Result<Self> {
        let mut built = build(&["-p", "stopgate-program", "-p", env!("CARGO_PKG_NAME")])?;
        built.extend(build(&["-p", "stopgate-hooks"])?);
        for program in Program::built() {
            ensure!(built.contains_key(program.name()), "cargo built no `{}`", program.name());
        }
        Ok(Self(built))
    }

    /// The file of `program`.
    pub(crate) fn path(&self, program: Program) -> anyhow::Result<&Path> {
        self.own(program.name())
    }

    /// A program of the bench's own, by its name.
    pub(crate) fn own(&self, name: &str) -> anyhow::Result<&Path> {
        self.0.get(name).map(PathBuf::as_path).with_context(|| format!("no binary `{name}`"))
    }

    /// Copies the hooks, their peers and the no-op to the `bin/` of `home` and marks it as a home.
    pub(crate) fn install(&self, home: &Home) -> anyhow::Result<()> {
        home.create()?;
        std::fs::create_dir_all(home.bin())?;
        std::fs::write(home.root().join(HOME_MARKER), "")?;
        for program in Program::built() {
            if program != Program::Stopgate {
                let from = self.path(program)?;
                std::fs::copy(from, home.bin().join(program.name()))
                    .with_context(|| format!("cannot install {}", from.display()))?;
            }
        }
        for language in Language::ALL {
            std::fs::write(home.bin().join(language.peer()), language.source())?;
        }
        Ok(())
    }
}

/// Builds the programs of these packages for release; names and paths.
fn build(packages: &[&str]) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let cargo = ProcessEnv.os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--bins"]).args(packages).arg("--message-format=json-render-diagnostics");
    // What cargo says of this package to its bench makes build scripts run again.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    ensure!(output.status.success(), "`cargo build --release` failed: {}", output.status);
    Ok(executables(&String::from_utf8_lossy(&output.stdout)))
}

/// Names and paths of the executables in cargo's messages.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    messages
        .lines()
        .filter_map(|line| {
            let message: Value = serde_json::from_str(line).ok()?;
            let name = message["target"]["name"].as_str()?.to_owned();
            let path = message["executable"].as_str()?;
            Some((name, PathBuf::from(path)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_s_messages_name_the_executables() {
        let messages = r#"
            {"reason":"compiler-artifact","target":{"name":"stopgate_hooks"},"executable":null}
            {"reason":"compiler-artifact","target":{"name":"noop"},"executable":"/t/release/noop"}
            {"reason":"build-finished","success":true}
            not JSON"#;
        let found = executables(messages);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("noop".to_owned(), PathBuf::from("/t/release/noop"))]);
    }
}
