//! The report as a page: one file, no script, nothing to fetch. `maud` escapes whatever is put into it.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use stopgate_core::text::one_line;
use stopgate_gate::report::{Annotation, Day, GateReport, KindCount, StopGroup};
use stopgate_protocol::{GateLog, GateLogRow};

use super::{bars, percent};
use crate::commands::gate::log;
use crate::when;

/// Size of the chart's drawing.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 160.0;
/// Longest text of a cell.
const TEXT: usize = 400;

const STYLE: &str = "
:root{color-scheme:light dark;--let:#9aa7b5;--held:#c2571a}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #8884;vertical-align:top;overflow-wrap:anywhere}
td.n,th.n{text-align:right;white-space:nowrap}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}dd{margin:0}
svg{width:100%;height:auto}.let{fill:var(--let)}.held{fill:var(--held)}text{fill:currentColor;font-size:11px}
blockquote{margin:0}";

/// The page. `log` holds the would-blocks that are shown in full.
pub(super) fn render(report: &GateReport, log: &GateLog) -> String {
    let title = "stopgate: what the gate did";
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                // Should anything ever slip through: the browser runs and loads nothing.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                p { (when::rfc3339(report.since_ms)) " to " (when::rfc3339(report.until_ms)) }
                (numbers(report))
                (chart(&report.days))
                (counts("Decisions", &report.by_decision))
                (groups("Rules", &report.by_rule))
                (groups("Signals", &report.by_signal))
                (groups("Projects", &report.by_project))
                (counts("Failures", &report.failures))
                (sessions(report))
                (would_blocks(log))
            }
        }
    };
    page.into_string()
}

fn numbers(report: &GateReport) -> Markup {
    html! {
        dl {
            dt { "Stops" } dd { (report.stops) ", with a verdict " (report.verdicts) }
            dt { "Would block" } dd { (report.would_block) ", blocked " (report.blocked) ", notes " (report.noted) }
            dt { "Precision" }
            dd {
                @match report.precision {
                    Some(part) => {
                        (part.percent()) ": " (part.hits) " of " (part.of) " graded would-blocks were right (95 % \
                        interval " (percent(part.low)) " to " (percent(part.high)) ")"
                    }
                    None => "unknown: no would-block is graded",
                }
            }
            @if report.graded_let_go.decided() > 0 {
                dt { "Let go" }
                dd { (report.graded_let_go.right) " of " (report.graded_let_go.decided()) " graded were right" }
            }
            @if let Some(latency) = report.latency {
                dt { "Latency" }
                dd { "p50 " (latency.p50_ms) " ms, p95 " (latency.p95_ms) " ms, p99 " (latency.p99_ms) " ms" }
            }
            @if let Some(each) = report.sessions.would_block_each {
                dt { "Sessions" } dd { (report.sessions.count) ", would-blocks of each " (format!("{each:.2}")) }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "pixels")]
fn chart(days: &[Day]) -> Markup {
    let (each, bars) = bars(days);
    let most = bars.iter().map(|bar| bar.stops).max().unwrap_or(0).max(1);
    let (ground, top) = (HEIGHT - 20.0, 15.0);
    let slot = WIDTH / bars.len().max(1) as f64;
    let width = (slot * 0.8).min(60.0);
    let height = |value: u64| value as f64 / most as f64 * (ground - top);
    let bar = |class: &str, at: usize, from: u64, value: u64| {
        let number = |value: f64| format!("{value:.1}");
        html! {
            rect class=(class) x=(number(at as f64 * slot)) y=(number(ground - height(from + value)))
                width=(number(width)) height=(number(height(value))) {}
        }
    };
    let date = |bar: &Day| when::rfc3339(bar.start_ms).chars().take(10).collect::<String>();
    html! {
        h2 { "Stops " @if each == 1 { "a day" } @else { "in " (each) " days" } }
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" {
            title { "Stops a day: would block below, let go above" }
            text x="0" y="10" { "at most " (most) }
            @for (at, day) in bars.iter().enumerate() {
                g {
                    title { (date(day)) ": " (day.stops) " stops, " (day.would_block) " would block" }
                    (bar("held", at, 0, day.would_block))
                    (bar("let", at, day.would_block, day.stops.saturating_sub(day.would_block)))
                }
            }
            @if let (Some(first), Some(last)) = (bars.first(), bars.last()) {
                text x="0" y=(HEIGHT - 5.0) { (date(first)) }
                @if bars.len() > 1 {
                    text x=(WIDTH) y=(HEIGHT - 5.0) text-anchor="end" { (date(last)) }
                }
            }
        }
    }
}

fn counts(head: &str, counts: &[KindCount]) -> Markup {
    html! {
        @if !counts.is_empty() {
            h2 { (head) }
            table {
                tr { th { "Kind" } th.n { "Stops" } }
                @for count in counts { tr { td { (one_line(&count.name, TEXT)) } td.n { (count.count) } } }
            }
        }
    }
}

fn groups(head: &str, groups: &[StopGroup]) -> Markup {
    html! {
        @if !groups.is_empty() {
            h2 { (head) }
            table {
                tr { th { "Name" } th.n { "Stops" } th.n { "Would block" } th.n { "Right" } th.n { "Wrong" } th.n { "Precision" } }
                @for group in groups {
                    tr {
                        td { (one_line(&group.name, TEXT)) }
                        td.n { (group.stops) }
                        td.n { (group.would_block) }
                        td.n { (group.grades.right) }
                        td.n { (group.grades.wrong) }
                        td.n {
                            @match group.precision {
                                Some(part) => {
                                    (part.percent()) " (" (percent(part.low)) " to " (percent(part.high)) ")"
                                }
                                None => "-",
                            }
                        }
                    }
                }
            }
        }
    }
}

fn sessions(report: &GateReport) -> Markup {
    html! {
        @if !report.sessions.most_held.is_empty() {
            h2 { "Sessions with most would-blocks" }
            table {
                tr { th { "Session" } th.n { "Stops" } th.n { "Would block" } }
                @for session in &report.sessions.most_held {
                    tr {
                        td { (session.harness) " " (one_line(&session.session_id, TEXT)) }
                        td.n { (session.stops) }
                        td.n { (session.would_block) }
                    }
                }
            }
        }
    }
}

fn would_blocks(log: &GateLog) -> Markup {
    html! {
        @if !log.events.is_empty() {
            h2 { "The last would-blocks" }
            table {
                tr { th { "Event" } th { "What the agent wrote last, and what it was to go on with" } th { "Grade" } }
                @for (row, id) in log.events.iter().zip(log::short_ids(&log.events)) {
                    (would_block(row, id, log.grades.get(&row.event_id)))
                }
            }
        }
    }
}

fn would_block(row: &GateLogRow, id: &str, grade: Option<&Annotation>) -> Markup {
    html! {
        tr {
            td { (id) br; (when::rfc3339(row.at_ms)) br; (log::session(row)) }
            td {
                blockquote { "“" (one_line(&row.preview, TEXT)) "”" }
                @if let Some(rule) = row.rule { div { (rule.id()) ", " (row.signals.join(", ")) } }
                @if let Some(evidence) = &row.evidence {
                    div { (one_line(evidence.place(), TEXT)) ": " (one_line(&evidence.next_step, TEXT)) }
                }
            }
            td {
                @match grade {
                    Some(grade) => { (grade.verdict) " " (one_line(&grade.why, TEXT)) }
                    None => "-",
                }
            }
        }
    }
}
