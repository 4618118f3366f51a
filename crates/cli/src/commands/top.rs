//! `stopgate top`

mod clipboard;
mod model;
mod view;

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::DefaultTerminal;
use stopgate_protocol::MarkSeen;

use self::model::{Model, TopPrompt};
use super::sessions::end;
use crate::context::CliContext;
use crate::{ExitStatus, printer};

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Seconds between two looks
    #[arg(long, default_value_t = INTERVAL.as_secs(), value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

/// Lines that a page of details has, and how far there is something to scroll to.
const SCROLL: u16 = 8;
const MAX_SCROLL: u16 = 40;

/// What a key leads to.
enum Next {
    Nothing,
    Look,
    Quit,
}

pub(crate) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        bail!("top needs a terminal; `stopgate sessions --watch` does not");
    }
    context.ensure_authority()?;
    // Also puts the terminal back in order when this panics.
    let mut terminal = ratatui::try_init()?;
    let done = show(context, &mut terminal, Duration::from_secs(arguments.interval));
    ratatui::restore();
    done.map(|()| ExitStatus::Success)
}

fn show(context: &CliContext, terminal: &mut DefaultTerminal, interval: Duration) -> anyhow::Result<()> {
    let mut model = Model::new(printer::has_colour());
    loop {
        // Who only looks on makes no home anew that somebody has removed.
        if !context.home.root().is_dir() {
            bail!("{}: was removed", context.home.root().display());
        }
        model.look(&context.now());
        let until = Instant::now() + interval;
        loop {
            terminal.draw(|frame| view::draw(frame, &mut model))?;
            if !event::poll(until.saturating_duration_since(Instant::now()))? {
                break;
            }
            // Anything else, such as another size, is drawn at once.
            let Event::Key(key) = event::read()? else { continue };
            match on_key(context, &mut model, key) {
                Next::Nothing => {}
                Next::Look => break,
                Next::Quit => return Ok(()),
            }
        }
    }
}

fn on_key(context: &CliContext, model: &mut Model, key: KeyEvent) -> Next {
    if key.kind == KeyEventKind::Release {
        return Next::Nothing;
    }
    model.notice.clear();
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return Next::Quit;
    }
    match (std::mem::take(&mut model.prompt), key.code) {
        // Asked twice: the first answer leads to the second question, any other key back.
        (TopPrompt::End(key), KeyCode::Char('y')) => model.prompt = TopPrompt::ReallyEnd(key),
        (TopPrompt::ReallyEnd(key), KeyCode::Char('y')) => {
            if let Some(row) = model.row(&key) {
                model.notice = match end::end(context, row) {
                    Ok(ended) => end::said(&ended),
                    Err(error) => format!("not ended: {error}"),
                };
            }
            return Next::Look;
        }
        (TopPrompt::End(_) | TopPrompt::ReallyEnd(_), _) => "nothing was ended".clone_into(&mut model.notice),
        (TopPrompt::None, KeyCode::Char('s')) if !model.unattended.is_empty() => {
            model.notice = seen(context, model);
            return Next::Look;
        }
        (TopPrompt::None, code) => return on_command(model, code),
    }
    Next::Nothing
}

fn on_command(model: &mut Model, code: KeyCode) -> Next {
    match code {
        KeyCode::Esc if model.details => model.details = false,
        KeyCode::Char('q') | KeyCode::Esc => return Next::Quit,
        KeyCode::Down | KeyCode::Char('j') => model.select(1),
        KeyCode::Up | KeyCode::Char('k') => model.select(-1),
        KeyCode::Home | KeyCode::Char('g') => model.select(isize::MIN),
        KeyCode::End | KeyCode::Char('G') => model.select(isize::MAX),
        KeyCode::Enter | KeyCode::Char('d') => {
            model.details = !model.details;
            model.scroll = 0;
        }
        KeyCode::PageDown => model.scroll = model.scroll.saturating_add(SCROLL).min(MAX_SCROLL),
        KeyCode::PageUp => model.scroll = model.scroll.saturating_sub(SCROLL),
        KeyCode::Char('r') => return Next::Look,
        KeyCode::Char('c') => model.notice = copy(model),
        KeyCode::Char('e') => {
            if let Some(row) = model.selected() {
                model.prompt = TopPrompt::End(row.key());
            }
        }
        _ => {}
    }
    Next::Nothing
}

/// Marks what the view shows as seen.
fn seen(context: &CliContext, model: &Model) -> String {
    let up_to = model.unattended.last().map_or(0, |act| act.id);
    match context.authority().call(&MarkSeen { up_to }) {
        Ok(done) => format!("{} marked as seen", done.marked),
        Err(error) => format!("not marked: {error}"),
    }
}

fn copy(model: &Model) -> String {
    let Some(row) = model.selected() else { return String::new() };
    match clipboard::copy(&row.resume_command) {
        Ok(()) => format!("copied, if your terminal allows it: {}", row.resume_command),
        Err(error) => format!("not copied: {error}"),
    }
}
