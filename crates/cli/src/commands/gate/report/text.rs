//! The report for a terminal: plain text, 80 columns.

use stopgate_core::text::one_line;
use stopgate_gate::report::{Day, GateReport, Grades, KindCount, Proportion, StopGroup};

use super::{bars, percent};
use crate::{printer, when};

/// Width of a line.
const WIDTH: usize = 80;
/// Longest bar of the chart.
const BAR: usize = 32;
/// Longest name of a group.
const NAME: usize = 38;
/// Longest name that is looked at: the longest path there is.
const MAX_NAME: usize = 4_096;
/// Projects that are listed.
const PROJECTS: usize = 10;

pub(super) fn render(report: &GateReport) -> Vec<String> {
    // The span of all that is kept begins with the first stop.
    let since = if report.since_ms == 0 { report.first_at_ms.unwrap_or(report.until_ms) } else { report.since_ms };
    let mut lines = vec![format!(
        "{} to {} UTC: {} stops, {} verdicts, {} sessions",
        day(since),
        day(report.until_ms),
        report.stops,
        report.verdicts,
        report.sessions.count
    )];
    if report.stops == 0 {
        lines.push("no stop has reached the gate in that time".to_owned());
        return lines;
    }
    lines.push(format!(
        "would block {} ({} of the stops), blocked {}, notes {}",
        report.would_block,
        Proportion::of(report.would_block, report.stops).map_or_else(String::new, |part| part.percent()),
        report.blocked,
        report.noted
    ));
    if let (Some(each), Some(held)) = (report.sessions.would_block_each, report.sessions.held) {
        lines.push(format!(
            "would-blocks of a session: {each:.2} on average; {} of {} sessions had one ({})",
            held.hits,
            held.of,
            held.percent()
        ));
    }
    if let Some(latency) = report.latency {
        lines.push(format!(
            "latency p50 {} ms, p95 {} ms, p99 {} ms, slowest {} ms",
            latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.max_ms
        ));
    }
    lines.extend(precision(report));
    lines.extend(counts("DECISION", &report.by_decision));
    lines.extend(groups("RULE", &report.by_rule, usize::MAX));
    lines.extend(groups("SIGNAL", &report.by_signal, usize::MAX));
    lines.extend(groups("PROJECT", &report.by_project, PROJECTS));
    lines.extend(counts("FAILURE", &report.failures));
    lines.extend(chart(&report.days));
    lines
}

fn day(at_ms: i64) -> String {
    when::rfc3339(at_ms).chars().take(10).collect()
}

fn precision(report: &GateReport) -> Vec<String> {
    let unclear = |grades: &Grades| match grades.unclear {
        0 => String::new(),
        unclear => format!(", {unclear} unclear"),
    };
    let held = &report.graded_would_block;
    let mut lines = match report.precision {
        None => vec!["precision unknown: no would-block is graded (`stopgate gate review`)".to_owned()],
        Some(part) => vec![
            format!("precision {} (95 % interval {} to {})", part.percent(), percent(part.low), percent(part.high)),
            format!("  {} of {} graded would-blocks were right{}", part.hits, part.of, unclear(held)),
        ],
    };
    let let_go = &report.graded_let_go;
    if let_go.decided() > 0 {
        lines.push(format!(
            "  {} of {} graded stops let go were right{}",
            let_go.right,
            let_go.decided(),
            unclear(let_go)
        ));
    }
    lines
}

fn counts(head: &str, counts: &[KindCount]) -> Vec<String> {
    if counts.is_empty() {
        return Vec::new();
    }
    let rows = counts.iter().map(|count| vec![one_line(&count.name, NAME), count.count.to_string()]);
    table(vec![head.to_owned(), "STOPS".to_owned()], rows)
}

fn groups(head: &str, groups: &[StopGroup], most: usize) -> Vec<String> {
    if groups.is_empty() {
        return Vec::new();
    }
    let rows = groups.iter().take(most).map(|group| {
        let graded = match group.precision {
            Some(part) => format!("{} of {} ({})", part.hits, part.of, part.percent()),
            None => "-".to_owned(),
        };
        vec![end_of(&group.name), group.stops.to_string(), group.would_block.to_string(), graded]
    });
    let head = [head, "STOPS", "WOULD BLOCK", "RIGHT OF GRADED"].map(str::to_owned).to_vec();
    let mut lines = table(head, rows);
    if groups.len() > most {
        lines.push(format!("and {} more (`--json` has all)", groups.len() - most));
    }
    lines
}

fn table(head: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    std::iter::once(String::new()).chain(printer::columns(&rows)).collect()
}

/// The end of a long name: it tells one project from another.
fn end_of(name: &str) -> String {
    let name = one_line(name, MAX_NAME);
    let count = name.chars().count();
    if count <= NAME { name } else { format!("…{}", name.chars().skip(count - NAME + 1).collect::<String>()) }
}

fn chart(days: &[Day]) -> Vec<String> {
    let (each, bars) = bars(days);
    let most = bars.iter().map(|bar| bar.stops).max().unwrap_or(0);
    let span = if each == 1 { "a day".to_owned() } else { format!("in {each} days") };
    let mut lines = vec![String::new(), format!("stops {span}: # would block, = let go")];
    for bar in &bars {
        let (held, whole) = (cells(bar.would_block, most), cells(bar.stops, most));
        let drawn = "#".repeat(held) + &"=".repeat(whole.saturating_sub(held));
        let line = format!("{}  {drawn:<BAR$}  {:>6}, {} would block", day(bar.start_ms), bar.stops, bar.would_block);
        lines.push(line.chars().take(WIDTH).collect());
    }
    lines
}

/// Cells of a bar; something is never nothing.
fn cells(value: u64, most: u64) -> usize {
    if value == 0 {
        return 0;
    }
    let cells = value.saturating_mul(BAR as u64).div_ceil(most.max(1));
    usize::try_from(cells).unwrap_or(BAR).clamp(1, BAR)
}

#[cfg(test)]
mod tests {
    use stopgate_core::clock::DAY_MS;
    use stopgate_core::decision::Decision;
    use stopgate_core::session::Harness;
    use stopgate_gate::report::{CountedStop, Grade, Tally};

    use super::*;

    fn report() -> GateReport {
        let mut tally = Tally::default();
        for number in 0..400 {
            tally.add(CountedStop {
                at_ms: number * DAY_MS / 20,
                harness: Harness::Claude,
                session_id: format!("s{}", number % 7),
                decision: Some(if number % 10 == 0 { Decision::Continue } else { Decision::Allow }),
                rule: Some("U1_DURABLE_ARTIFACT_CONTINUATION_SAFE".into()),
                would_block: number % 10 == 0,
                blocked: false,
                noted: false,
                fail_open: (number == 3).then(|| "timeout".into()),
                signals: vec!["should-stop-for-context".into()],
                latency_ms: 1,
                project: Some(format!("/home/dev/{}\u{1b}[31m/project-{number}", "deep/".repeat(20)).into()),
                grade: (number % 20 == 0).then_some(Grade::Right),
            });
        }
        tally.report(0, 20 * DAY_MS - 1)
    }

    #[test]
    fn every_line_fits_and_holds_no_control_character() {
        let lines = render(&report());
        for line in &lines {
            assert!(line.chars().count() <= WIDTH && !line.chars().any(char::is_control), "{line:?}");
        }
        let text = lines.join("\n");
        assert!(text.contains("precision 100.0 % (95 % interval 83.9 % to 100.0 %)"), "{text}");
        assert!(text.contains("and 390 more") && text.contains("timeout"), "{text}");
        assert!(text.contains("1970-01-01  ####") && text.contains("20, 2 would block"), "{text}");
    }

    #[test]
    fn bars_are_in_proportion_and_something_is_never_nothing() {
        assert_eq!((cells(0, 10), cells(1, 1_000_000), cells(5, 10), cells(10, 10)), (0, 1, BAR / 2, BAR));
        assert_eq!(cells(0, 0), 0);
    }
}
