//! `stopgate sessions`

pub(crate) mod end;
mod list;
mod rename;
mod show;

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use stopgate_protocol::SessionRow;

pub(crate) use list::{age, fence, is_of_interest, memory, name, project, state_text, unheard_detail};
pub(crate) use show::lines as detail_lines;

use crate::context::CliContext;
use crate::{ExitStatus, find, printer};

/// How often `--watch` looks.
const WATCH: Duration = Duration::from_secs(2);

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Also sessions that are over, and those of the installer's live check
    #[arg(long)]
    all: bool,
    /// Print JSON: an array, with --watch one a line
    #[arg(long)]
    json: bool,
    /// Look again every 2 seconds, until interrupted
    #[arg(long, short)]
    watch: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Show everything known of one session
    Show {
        /// The session's name or id, or the beginning of that
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the command that takes a session up again (the same as `stopgate resume`)
    Resume(super::resume::Arguments),
    /// Give a session another name
    Rename(rename::Arguments),
    /// End a session: SIGTERM to its harness, SIGKILL if that does not help, and close its tmux pane
    End(end::Arguments),
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    match &arguments.action {
        Some(Action::Show { id, json }) => show::run(context, id, *json),
        Some(Action::Resume(arguments)) => super::resume::run(context, arguments),
        Some(Action::Rename(arguments)) => rename::run(context, arguments),
        Some(Action::End(arguments)) => end::run(context, arguments),
        None if arguments.watch => watch(context, arguments),
        None => {
            let (rows, hidden) = shown(context, arguments.all)?;
            if arguments.json {
                printer::json(&list::json(&rows))?;
            } else {
                list::print(&rows, hidden, context.now_ms);
            }
            Ok(ExitStatus::Success)
        }
    }
}

/// The sessions to be shown, and how many are not.
fn shown(context: &CliContext, all: bool) -> anyhow::Result<(Vec<SessionRow>, usize)> {
    let mut rows = find::sessions(context, all)?;
    let known = rows.len();
    if !all {
        rows.retain(|row| list::is_of_interest(row, context.now_ms));
    }
    let hidden = known - rows.len();
    Ok((rows, hidden))
}

fn watch(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let clears = std::io::stdout().is_terminal() && !arguments.json;
    let mut looked = false;
    while !printer::hung_up() {
        let context = context.now();
        // Who only looks on makes no home anew that somebody has removed.
        if looked && !context.home.root().is_dir() {
            bail!("{}: was removed", context.home.root().display());
        }
        let (rows, hidden) = shown(&context, arguments.all)?;
        looked = true;
        if arguments.json {
            printer::line(serde_json::to_string(&list::json(&rows))?);
        } else {
            if clears {
                // Home, and everything below it away: without the flicker of a clear.
                printer::raw("\x1b[H\x1b[J");
            }
            list::print(&rows, hidden, context.now_ms);
            if !clears {
                printer::line("");
            }
        }
        std::thread::sleep(WATCH);
    }
    Ok(ExitStatus::Success)
}
