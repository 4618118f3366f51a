//! `installer guide`: for whoever makes a release.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use stopgate_protocol::version::Version;

use super::Context;
use crate::exit::{ExitStatus, Refusal};
use crate::guide::check::findings;
use crate::printer;

/// The next guide, before anything is in it. Its gaps keep it from being released.
const TEMPLATE: &str = include_str!("../../../templates/upgrade-guide.md");

/// Arguments of `guide`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say what keeps `upgrades/NEXT.md` from being released
    Check(GuidePlace),
    /// Make `upgrades/NEXT.md` the guide of a version, and begin a new one
    Promote {
        /// The version that is released
        #[arg(id = "release", value_name = "VERSION")]
        version: String,
        #[command(flatten)]
        place: GuidePlace,
    },
}

#[derive(Debug, clap::Args)]
struct GuidePlace {
    /// The checkout
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
}

/// Runs it.
pub(crate) fn run(context: &Context<'_>, arguments: &Arguments) -> Result<ExitStatus> {
    match &arguments.command {
        Command::Check(place) => check(context, &place.root),
        Command::Promote { version, place } => promote(context, &place.root, version),
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn check(context: &Context<'_>, root: &Path) -> Result<ExitStatus> {
    let guide = root.join("upgrades/NEXT.md");
    let found = findings(&read(&guide)?, Some(&read(&root.join("CHANGELOG.md"))?));
    for finding in &found {
        printer::note(format!("{}: {finding}", guide.display()));
    }
    if found.is_empty() {
        context.printer.line(format!("{}: fit for release", guide.display()));
        return Ok(ExitStatus::Success);
    }
    Ok(ExitStatus::Failure)
}

fn promote(context: &Context<'_>, root: &Path, version: &str) -> Result<ExitStatus> {
    if Version::parse(version).is_none() {
        return Err(Refusal(format!("{version:?}: not a version; write it as 1.2.3")).into());
    }
    if check(context, root)? != ExitStatus::Success {
        return Err(Refusal("the guide is not fit for release; mend what is said above".to_owned()).into());
    }
    let (next, guide) = (root.join("upgrades/NEXT.md"), root.join(format!("upgrades/{version}.md")));
    let text = read(&next)?.replacen("# Next release", &format!("# {version}"), 1);
    // Never over another one: a guide that was written by hand has been lost that way.
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&guide)
        .map_err(|error| Refusal(format!("{}: {error}; nothing was written", guide.display())))?;
    std::io::Write::write_all(&mut file, text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::write(&next, TEMPLATE))
        .with_context(|| format!("cannot write {}", guide.display()))?;
    context.printer.line(format!("{} is the guide of {version}; {} is a new one", guide.display(), next.display()));
    Ok(ExitStatus::Success)
}
