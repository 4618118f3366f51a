//! Draws the view: health and pressure, sessions, verdicts or details, keys. Made for 80x24; without colour it says
//! the same.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState, Wrap};
use stopgate_core::session::state::SessionState;
use stopgate_core::text::one_line;
use stopgate_protocol::{GateLogRow, HealthStatus, SessionFence, SessionRow, chain_text};
use stopgate_reaper::pressure::Tier;

use super::super::reaper::pressure;
use super::super::sessions::{age, detail_lines, fence, memory, name, project, state_text};
use super::model::{Model, TopPrompt};
use crate::when;

/// Lines that verdicts or details take at least, with their title.
const LOWER_LINES: u16 = 7;
/// Lines that the rest has beside details: head, a few sessions, keys.
const UPPER_LINES: u16 = 9;
/// From this width on there is room for more columns.
const WIDE: u16 = 110;
/// From this width on one of them is the fence's.
const WIDEST: u16 = 170;

pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model) {
    let area = frame.area();
    let lower =
        if model.details { area.height.saturating_sub(UPPER_LINES) } else { (area.height / 3).max(LOWER_LINES) };
    let head_lines = 3 + u16::from(model.fence.is_some()) + u16::from(!model.unattended.is_empty());
    let [head, sessions, below, keys] = Layout::vertical([
        Constraint::Length(head_lines),
        Constraint::Min(4),
        Constraint::Length(lower),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(summary(model)), head);
    draw_sessions(frame, model, sessions);
    if model.details {
        draw_details(frame, model, below);
    } else {
        draw_verdicts(frame, model, below);
    }
    frame.render_widget(Paragraph::new(bottom(model)), keys);
}

/// A colour, or a way to say the same without.
fn style(model: &Model, colour: Color) -> Style {
    if model.colour { Style::new().fg(colour) } else { Style::new() }
}

fn summary(model: &Model) -> Vec<Line<'static>> {
    let authority = match (&model.health, &model.trouble) {
        (Some(health), _) => {
            let up = when::ago(health.started_at_ms, model.now_ms);
            let problem = health.problem.as_deref().map(|problem| format!(": {}", one_line(problem, 100)));
            let (word, colour) = match health.status {
                HealthStatus::Ok => ("ok", Color::Green),
                HealthStatus::Degraded => ("DEGRADED", Color::Red),
            };
            let text = format!(
                "{word}, version {}, pid {}, up {up}{}",
                health.version,
                health.pid,
                problem.unwrap_or_default()
            );
            Span::styled(text, style(model, colour))
        }
        (None, trouble) => {
            let why = trouble.as_deref().unwrap_or("no answer yet");
            Span::styled(format!("DOWN: {}", one_line(why, 100)), style(model, Color::Red))
        }
    };
    let (squeeze, reaper) = match &model.reaper {
        Some(status) => {
            let colour = match status.pressure.tier {
                Tier::Normal => Color::Green,
                Tier::Moderate => Color::Yellow,
                Tier::Critical => Color::Red,
            };
            let reaper = match (status.enabled, status.dry_run, &status.tripped) {
                (_, _, Some(_)) => "TRIPPED: `stopgate reaper status`",
                (false, ..) => "off",
                (true, true, _) => "rehearsing",
                (true, false, _) => "live",
            };
            let text = format!("{reaper}, {} ended in the last hour", status.reaps_last_hour);
            (Span::styled(pressure(&status.pressure), style(model, colour)), text)
        }
        None => (Span::raw("unknown"), "unknown".to_owned()),
    };
    let mut lines = vec![
        Line::from(vec![Span::raw("authority  "), authority]),
        Line::from(vec![Span::raw("pressure   "), squeeze]),
        Line::from(format!("reaper     {reaper}")),
    ];
    lines.extend(model.fence.iter().map(|line| Line::from(format!("fence      {}", one_line(line, 200)))));
    lines.extend(unattended(model));
    lines
}

/// What was done without a terminal: how much, and the last of it.
fn unattended(model: &Model) -> Option<Line<'static>> {
    let last = model.unattended.last()?;
    let (ago, action) = (when::ago(last.at_ms, model.now_ms), one_line(&last.action, 30));
    let more = match model.unattended.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let text =
        format!("UNSEEN     `{action}`{more}, no terminal, {ago} ago, {}", one_line(&chain_text(&last.chain), 200));
    Some(Line::from(Span::styled(text, style(model, Color::Yellow))))
}

fn draw_sessions(frame: &mut Frame<'_>, model: &mut Model, area: Rect) {
    let count = |state: SessionState| model.sessions.iter().filter(|row| row.state == state).count();
    let title = format!(
        " {} sessions: {} working, {} waiting, {} idle ",
        model.sessions.len(),
        count(SessionState::Working),
        count(SessionState::Waiting),
        count(SessionState::Idle),
    );
    let wide = area.width >= WIDE;
    let has_fence = area.width >= WIDEST && model.sessions.iter().any(|row| row.fence.is_some());
    let mut names = vec!["STATE", "NAME", "AGE", "IDLE", "PROJECT", "HARNESS", "MEMORY", "WAITS FOR"];
    let mut widths = vec![
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(if wide { 24 } else { 16 }),
        Constraint::Length(7),
        Constraint::Length(8),
        Constraint::Min(10),
    ];
    if wide {
        if has_fence {
            names.push("FENCE");
            widths.push(Constraint::Length(24));
        }
        names.extend(["LAST EVENT", "SESSION"]);
        widths.extend([Constraint::Length(17), Constraint::Length(36)]);
    }
    let rows = model.sessions.iter().map(|row| {
        let state = Cell::from(Span::styled(state_text(row), style(model, colour(row.state))));
        let mut cells = vec![
            state,
            Cell::from(name(row).to_owned()),
            Cell::from(age(row.started_at_ms, model.now_ms)),
            Cell::from(age(row.last_event_at_ms, model.now_ms)),
            Cell::from(project(row)),
            Cell::from(row.harness.name()),
            Cell::from(row.memory_bytes.map_or_else(|| "-".to_owned(), memory)),
            Cell::from(waits_and_holds(row, has_fence, model.now_ms)),
        ];
        if wide {
            cells.extend(has_fence.then(|| Cell::from(fence(row, model.now_ms))));
            cells.push(Cell::from(row.last_event.clone().unwrap_or_default()));
            cells.push(Cell::from(one_line(&row.session_id, 36)));
        }
        Row::new(cells)
    });
    let mut state = TableState::new().with_selected(model.selected_index());
    // Reverse and a mark: either is seen without the other.
    let table = Table::new(rows, widths)
        .header(Row::new(names).style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .highlight_symbol("> ")
        .block(Block::new().borders(Borders::TOP).title(title));
    frame.render_stateful_widget(table, area, &mut state);
}

/// What the session waits for, how much it holds, and what the fence made of it, where that has no column.
fn waits_and_holds(row: &SessionRow, has_fence: bool, now_ms: i64) -> String {
    let waits = row.waits_for.clone();
    let holds = (!row.leases.is_empty()).then(|| format!("holds {}", row.leases.len()));
    let is_told = |fence: &&SessionFence| fence.is_unfenced || fence.denials > 0;
    let fenced = row.fence.as_ref().filter(|_| !has_fence).filter(is_told).map(|_| fence(row, now_ms));
    // What fits of it on a narrow screen is what matters most.
    let all: Vec<_> = fenced.into_iter().chain(waits).chain(holds).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}

const fn colour(state: SessionState) -> Color {
    match state {
        SessionState::Working => Color::Green,
        SessionState::Waiting => Color::Yellow,
        SessionState::Gone => Color::Red,
        SessionState::Starting | SessionState::Idle | SessionState::Ended => Color::Reset,
    }
}

fn draw_details(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let Some(row) = model.selected() else { return draw_verdicts(frame, model, area) };
    let lines: Vec<Line<'_>> = detail_lines(row, model.now_ms)
        .into_iter()
        .map(|pair| Line::from(pair.into_iter().map(|word| Span::raw(format!("{word:<17} "))).collect::<Vec<_>>()))
        .collect();
    let title = format!(" {} ", row.key());
    let block = Block::new().borders(Borders::TOP).title(title);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).scroll((model.scroll, 0)).block(block), area);
}

fn draw_verdicts(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let lines: Vec<Line<'_>> = if model.verdicts.is_empty() {
        vec![Line::from("no stop has reached the gate yet")]
    } else {
        model.verdicts.iter().map(|row| Line::from(verdict(row, &model.sessions, model.now_ms))).collect()
    };
    let block = Block::new().borders(Borders::TOP).title(" the gate's latest verdicts ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn verdict(row: &GateLogRow, sessions: &[SessionRow], now_ms: i64) -> String {
    let known = sessions.iter().find(|known| known.harness == row.harness && known.session_id == row.session_id);
    let who =
        known.map_or_else(|| one_line(&row.session_id, 16), |known| format!("{} {}", name(known), project(known)));
    let effect = match (row.blocked, row.would_block) {
        (true, _) => "held",
        (false, true) => "would hold",
        (false, false) => "let go",
    };
    let why = row.rule.map(|rule| rule.id().to_owned()).or_else(|| row.short_circuit.clone());
    let why = why.or_else(|| row.fail_open.clone()).unwrap_or_default();
    let ago = when::ago(row.at_ms, now_ms);
    format!("{ago:>6} ago  {effect:<10}  {who:<20}  {why}")
}

fn bottom(model: &Model) -> Line<'static> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let ask = |question: String| Line::from(Span::styled(question, bold));
    match &model.prompt {
        TopPrompt::End(key) => ask(format!("End {key}? y: yes, any other key: no")),
        TopPrompt::ReallyEnd(key) => {
            let state = model.row(key).map_or("gone", |row| row.state.name());
            ask(format!("Really? It is {state}, and its process is stopped. y: yes, any other key: no"))
        }
        TopPrompt::None if !model.notice.is_empty() => Line::from(model.notice.clone()),
        TopPrompt::None => {
            if !model.unattended.is_empty() {
                return Line::from("q quit  j/k move  Enter details  c copy resume command  e end  r now  s seen");
            }
            Line::from("q quit  j/k move  Enter details (PgDn/PgUp)  c copy resume command  e end  r now")
        }
    }
}

#[cfg(test)]
mod tests;
