//! `stopgate config`: what is configured, and whether a file is right.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use stopgate_config as config;
use stopgate_core::checkout;

use crate::context::CliContext;
use crate::{ExitStatus, bounded, printer};

/// Show what is configured, every key with its meaning
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Print what is in force here: the operator's config.toml, tightened by this checkout's (default)
    Show {
        /// Print JSON: the file, what is wrong with it, and every key with its value
        #[arg(long)]
        json: bool,
    },
    /// Print every key with its default, as a config.toml to start from
    Reference {
        /// Print the page docs/configuration.md instead: a table for each section
        #[arg(long)]
        markdown: bool,
    },
    /// Say what is wrong with a config.toml, by line and key
    Check {
        /// The file; by default the operator's and this checkout's
        file: Option<PathBuf>,
    },
    /// Print where the operator's config.toml is
    Path,
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    match &arguments.command {
        None => show(context, false),
        Some(Command::Show { json }) => show(context, *json),
        Some(Command::Reference { markdown }) => {
            let text = if *markdown { config::page() } else { config::reference() };
            printer::line(text.trim_end());
            Ok(ExitStatus::Success)
        }
        Some(Command::Path) => {
            printer::line(config::user_file(&context.home).display().to_string());
            Ok(ExitStatus::Success)
        }
        Some(Command::Check { file }) => check(context, file.as_ref()),
    }
}

#[derive(Serialize)]
struct ShownConfig {
    file: PathBuf,
    faults: Vec<String>,
    values: BTreeMap<String, config::ShownValue>,
}

fn show(context: &CliContext, json: bool) -> anyhow::Result<ExitStatus> {
    let mut held = config::LastGood::peek(&context.home);
    let mut faults: Vec<String> = held.faults.iter().map(ToString::to_string).collect();
    let mut ignored = held.faults.as_ref().map(|_| "the last configuration without a fault stays in force");
    match here().map(|checkout| config::load_for_checkout(&held.config, &checkout)) {
        Some(Ok(tightened)) => held.config = tightened,
        Some(Err(fault)) => {
            faults.push(fault.to_string());
            ignored = ignored.or(Some("this checkout's file is ignored"));
        }
        None => {}
    }
    let status = if faults.is_empty() { ExitStatus::Success } else { ExitStatus::Failure };
    if json {
        let values = config::values(&held.config).into_iter().collect();
        printer::json(&ShownConfig { file: config::user_file(&context.home), faults, values })?;
        return Ok(status);
    }
    for text in faults.iter().map(String::as_str).chain(ignored) {
        printer::note(text);
    }
    printer::line(config::effective(&held.config).trim_end());
    Ok(status)
}

fn check(context: &CliContext, file: Option<&PathBuf>) -> anyhow::Result<ExitStatus> {
    let found = match file {
        Some(file) => {
            let text = bounded::read(file).with_context(|| file.display().to_string())?;
            config::parse(file, &text).map(|_| vec![file.clone()])
        }
        None => config::load(&context.home).and_then(|operators| {
            let mut files = vec![config::user_file(&context.home)];
            if let Some(checkout) = here() {
                config::load_for_checkout(&operators, &checkout)?;
                files.push(config::project_file(&checkout));
            }
            Ok(files)
        }),
    };
    match found {
        Ok(files) => {
            for file in files {
                let what = if file.exists() { "ok" } else { "not there: the defaults hold" };
                printer::line(format!("{}: {what}", file.display()));
            }
            Ok(ExitStatus::Success)
        }
        Err(faults) => {
            printer::note(faults.to_string());
            Ok(ExitStatus::Failure)
        }
    }
}

/// The main checkout of the current directory.
fn here() -> Option<PathBuf> {
    Some(checkout::find(&std::env::current_dir().ok()?)?.main)
}
