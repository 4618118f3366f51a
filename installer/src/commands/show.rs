//! Commands that only make text: `snippet`, `plugin build` and `manifest`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use stopgate_core::VERSION;
use stopgate_core::fsx;
use stopgate_core::hook::{Hook, WireSet};
use stopgate_core::session::Harness;

use super::coordination::More;
use super::{Client, Context};
use crate::exit::{ExitStatus, Refusal};
use crate::ledger::{Ledger, Lock};
use crate::manifest::Manifest;
use crate::settings::locate::{Scope, locate};
use crate::{deploy, dialect, home, plugin, shell, version};

/// Arguments of `snippet`.
#[derive(Debug, clap::Args)]
pub(crate) struct SnippetArguments {
    /// For which coding agent
    #[arg(value_enum)]
    harness: Client,
    /// Put the programs that it names in place first (in `~/.stopgate`, or `$STOPGATE_HOME`), and nothing else
    #[arg(long)]
    programs: bool,
    /// With what is off as installed
    #[arg(long, value_enum, value_name = "SET")]
    with: Option<More>,
}

/// Arguments of `plugin`.
#[derive(Debug, clap::Args)]
pub(crate) struct PluginArguments {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PluginCommand {
    /// Write a Claude Code plugin (DIR/claude) and a Codex marketplace with the same plugin (DIR/codex)
    Build {
        /// Where to; it may not exist, or hold an older build
        dir: PathBuf,
        /// With what is off as installed: a plugin has it, or has it not
        #[arg(long, value_enum, value_name = "SET")]
        with: Option<More>,
    },
}

/// Arguments of `manifest`.
#[derive(Debug, clap::Args)]
pub(crate) struct ManifestArguments {
    /// The directory with the programs; by default that of this program
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Only what is made without a build: texts and table
    #[arg(long, conflicts_with = "from")]
    texts: bool,
    /// Write it there instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Prints what a person pastes who lets nobody edit their files.
pub(crate) fn snippet(context: &Context<'_>, arguments: &SnippetArguments) -> Result<ExitStatus> {
    let harness = Harness::from(arguments.harness);
    let location = locate(context.environment, harness, Scope::User, None, Path::new("/"))?;
    if arguments.programs {
        put_programs(context)?;
    }
    context.printer.line(plugin::hooks_file(harness, &context.home.bin(), &sets(arguments.with))?.trim_end());
    let bin = context.home.bin();
    let mut notes = vec![format!(
        "Paste this into {} ({}); where an event has groups already, add ours as the last one.",
        location.path.display(),
        harness.spec().product
    )];
    if !bin.join(Hook::ALL[0].name()).is_file() {
        let again = format!("installer snippet {} --programs", harness.name());
        notes.push(format!("The programs are not in {} yet: `{again}` puts them there.", bin.display()));
    }
    if dialect::of(harness).asks_for_trust() {
        let product = harness.spec().product;
        notes.push(format!("{product} asks you to trust the hooks when it starts next; until then it skips them."));
    }
    for note in notes {
        crate::printer::note(note);
    }
    Ok(ExitStatus::Success)
}

fn sets(with: Option<More>) -> Vec<WireSet> {
    with.into_iter().map(WireSet::from).collect()
}

/// Copies the programs beside this one into the home; no settings file is touched.
fn put_programs(context: &Context<'_>) -> Result<()> {
    let home = &context.home;
    home::check(home)?;
    let exe =
        std::env::current_exe().and_then(|exe| exe.canonicalize()).context("cannot tell where the installer is")?;
    let mut programs = deploy::plan(exe.parent().unwrap_or(Path::new("/")), home)?;
    home.create().with_context(|| format!("cannot create {}", home.root().display()))?;
    let _lock = Lock::take(home)?;
    home::create(home)?;
    let mut ledger = Ledger::read(home)?;
    ledger.binaries = deploy::carry_out(&mut programs, &ledger.binaries)?;
    ledger.save(home)?;
    if ledger.installs.iter().all(|install| install.version == VERSION) {
        version::mark(home, &mut ledger)?;
    }
    Ok(())
}

/// Writes the plugins.
pub(crate) fn plugin(context: &Context<'_>, arguments: &PluginArguments) -> Result<ExitStatus> {
    let PluginCommand::Build { dir, with } = &arguments.command;
    let is_ours = |dir: &PathBuf| {
        std::fs::read_dir(dir).map_or(true, |mut entries| {
            entries.all(|entry| {
                entry.is_ok_and(|entry| {
                    [plugin::CLAUDE_DIR, plugin::CODEX_DIR].map(Some).contains(&entry.file_name().to_str())
                })
            })
        })
    };
    if !is_ours(dir) {
        return Err(Refusal(format!("{}: holds other things; name an empty or a new directory", dir.display())).into());
    }
    let dir = std::path::absolute(dir)?;
    let files = plugin::files(&context.home.bin(), &sets(*with))?;
    if !plugin::is_in(&dir)
        && let Some(taken) = files.iter().map(|text| dir.join(&text.path)).find(|path| path.symlink_metadata().is_ok())
    {
        let problem = format!("{}: not of an older build; name an empty or a new directory", taken.display());
        return Err(Refusal(problem).into());
    }
    for text in files {
        let path = dir.join(&text.path);
        let parent = path.parent().unwrap_or(&dir);
        std::fs::create_dir_all(parent)
            .and_then(|()| fsx::write_atomic(&path, text.content.as_bytes(), 0o644))
            .with_context(|| format!("cannot write {}", path.display()))?;
        context.printer.line(format!("  wrote  {}", path.display()));
    }
    let quoted = |sub: &str| shell::word(&dir.join(sub).display().to_string());
    context.printer.line("");
    context.printer.line(format!("Claude Code:  claude --plugin-dir {}", quoted(plugin::CLAUDE_DIR)));
    context.printer.line(format!(
        "Codex:        codex plugin marketplace add {} && codex plugin add {1}@{1}",
        quoted(plugin::CODEX_DIR),
        plugin::NAME
    ));
    context
        .printer
        .line("Use the plugin or the settings, not both: every hook would run twice (`installer doctor` says so).");
    Ok(ExitStatus::Success)
}

/// Prints or writes the manifest.
pub(crate) fn manifest(context: &Context<'_>, arguments: &ManifestArguments) -> Result<ExitStatus> {
    let exe = std::env::current_exe().context("cannot tell where the installer is")?;
    let manifest = match &arguments.from {
        _ if arguments.texts => Manifest::of_texts()?,
        Some(dir) => Manifest::of(dir)?,
        None => Manifest::of(exe.parent().unwrap_or(Path::new("/")))?,
    };
    match &arguments.out {
        Some(path) => manifest.save(&std::path::absolute(path)?, 0o644)?,
        None => context.printer.line(manifest.to_text()?.trim_end()),
    }
    Ok(ExitStatus::Success)
}
