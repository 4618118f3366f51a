//! `stopgate gate review`

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use stopgate_core::text::one_line;
use stopgate_gate::pipeline::Recording;
use stopgate_gate::report::Grade;
use stopgate_gate::report::review::{self, Doubt};
use stopgate_gate::signals::{Signal, Signals};
use stopgate_protocol::{ErrorCode, Failure, GateLogRow, LogFilter};

use super::{grade, log};
use crate::context::CliContext;
use crate::{ExitStatus, printer, when};

/// Would-blocks that one review walks through at most.
const MAX_ROWS: u32 = 1_000;
/// Newest stops that were let go among which the doubtful are looked for.
const MAX_CANDIDATES: u32 = 200;
/// Stops that were let go which a review shows at least, if there are so many: as many as `gate ready` asks for.
const MIN_LET_GO: usize = 5;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Only those of a session, by its name or the beginning of its id
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Print what would be asked, as JSON, and ask nothing
    #[arg(long)]
    json: bool,
}

/// A stop to be graded.
struct ToGrade {
    row: GateLogRow,
    /// Whether it was let go.
    let_go: bool,
}

/// The same as scripts read it.
#[derive(Serialize)]
struct JsonToGrade<'a> {
    at: String,
    let_go: bool,
    question: &'static str,
    #[serde(flatten)]
    row: &'a GateLogRow,
}

impl ToGrade {
    const fn question(&self) -> &'static str {
        if self.let_go { "Was it right to let this one go?" } else { "Was it right to hold this one?" }
    }
}

/// What a person answers.
#[derive(Debug, PartialEq, Eq)]
enum ReviewAnswer<'a> {
    Grade(Grade, &'a str),
    Skip,
    Quit,
    NotUnderstood,
}

pub(super) fn run(context: &CliContext, arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    if !arguments.json && !printer::has_terminal() {
        let refused = Failure::new(ErrorCode::Refused, "a review asks its questions on a terminal, and there is none");
        bail!(refused.with_remedy(
            "`stopgate gate review --json` lists what it would ask, `stopgate gate grade <event> right|wrong|unclear` grades"
        ));
    }
    let shown = to_grade(context, arguments.session.as_ref())?;
    if arguments.json {
        let json = |one: &'_ ToGrade| (when::rfc3339(one.row.at_ms), one.let_go, one.question());
        let rows: Vec<_> = shown
            .iter()
            .map(|one| {
                let (at, let_go, question) = json(one);
                JsonToGrade { at, let_go, question, row: &one.row }
            })
            .collect();
        printer::json(&rows)?;
        return Ok(ExitStatus::Success);
    }
    if shown.is_empty() {
        printer::line("nothing to review: no would-block, and no stop that was let go, is without a grade");
        return Ok(ExitStatus::Success);
    }
    let mut graded = 0;
    let rows: Vec<_> = shown.iter().map(|one| one.row.clone()).collect();
    for (number, (one, id)) in shown.iter().zip(log::short_ids(&rows)).enumerate() {
        for line in describe(one, id, number + 1, shown.len()) {
            printer::line(line);
        }
        let asked = ask(one.question());
        let (grade, why) = match parse(&asked) {
            ReviewAnswer::Grade(grade, why) => (grade, why),
            ReviewAnswer::Skip | ReviewAnswer::NotUnderstood => continue,
            ReviewAnswer::Quit => break,
        };
        grade::tell_of(&grade::submit(context, &one.row.event_id, grade, why)?);
        graded += 1;
    }
    printer::line(format!("{graded} graded, {} without a grade", shown.len() - graded));
    Ok(ExitStatus::Success)
}

/// What nobody has graded: would-blocks, the newest first, and as every third a stop that was let go, the doubtful first.
fn to_grade(context: &CliContext, session: Option<&String>) -> anyhow::Result<Vec<ToGrade>> {
    let session = session.cloned();
    let filter = LogFilter { session, ..LogFilter::default() };
    let held = log::fetch(context, &LogFilter { tail: Some(MAX_ROWS), ungraded: true, ..filter.clone() })?.events;
    let candidates = LogFilter { tail: Some(MAX_CANDIDATES), ungraded_let_go: true, ..filter };
    let mut let_go: Vec<_> = log::fetch(context, &candidates)?.events;
    // Texts of what was judged are kept beside the log: where they cannot be read, what was heard has to do.
    let store = context.store_to_read();
    let doubt = |row: &GateLogRow| Doubt {
        distance: store
            .as_ref()
            .and_then(|store| store.recording(&row.event_id).ok()?)
            .and_then(|found| distance(&found)),
        excuse: row.signals.iter().any(|name| is_excuse(name)),
    };
    let_go.sort_by_cached_key(|row| Sorted(doubt(row)));
    let_go.truncate(held.len().div_ceil(review::LET_GO_EVERY - 1).max(MIN_LET_GO));
    let mark = |let_go: bool| move |row: GateLogRow| ToGrade { row, let_go };
    let (held, let_go) = (held.into_iter().map(mark(false)).collect(), let_go.into_iter().map(mark(true)).collect());
    Ok(review::mixed(held, let_go))
}

/// Doubts in their order.
struct Sorted(Doubt);

impl PartialEq for Sorted {
    fn eq(&self, other: &Self) -> bool {
        self.0.order(&other.0).is_eq()
    }
}

impl Eq for Sorted {}

impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.order(&other.0)
    }
}

/// How far the model was from either opinion of a stop, in log-odds.
#[expect(clippy::cast_precision_loss, reason = "a million at most")]
fn distance(recording: &Recording) -> Option<f32> {
    let reading = recording.inputs.reading.as_ref()?;
    Some(reading.milli_log_odds as f32 / 1000.0)
}

/// Whether the signal of this name is a wish to leave.
fn is_excuse(name: &str) -> bool {
    Signal::ALL.into_iter().any(|signal| signal.name() == name && Signals::of([signal]).wants_to_leave())
}

/// Asks until the answer is understood. The end of the input ends the review.
fn ask(question: &str) -> String {
    let question = format!("{question} r(ight) w(rong) u(nclear), and why if you like; s(kip) q(uit): ");
    loop {
        match printer::ask_line(&question) {
            Some(answer) if parse(&answer) == ReviewAnswer::NotUnderstood => printer::note("one of r, w, u, s, q"),
            Some(answer) => return answer,
            None => return "q".to_owned(),
        }
    }
}

fn parse(answer: &str) -> ReviewAnswer<'_> {
    let (word, why) = answer.split_once(char::is_whitespace).unwrap_or((answer, ""));
    match word.to_ascii_lowercase().as_str() {
        "r" | "right" => ReviewAnswer::Grade(Grade::Right, why.trim()),
        "w" | "wrong" => ReviewAnswer::Grade(Grade::Wrong, why.trim()),
        "u" | "unclear" => ReviewAnswer::Grade(Grade::Unclear, why.trim()),
        "s" | "skip" => ReviewAnswer::Skip,
        "q" | "quit" => ReviewAnswer::Quit,
        _ => ReviewAnswer::NotUnderstood,
    }
}

fn describe(one: &ToGrade, id: &str, number: usize, of: usize) -> Vec<String> {
    let row = &one.row;
    let why = row.short_circuit.iter().chain(&row.fail_open).map(String::as_str);
    let rule = row.rule.map(stopgate_gate::RuleId::id).into_iter().chain(why).collect::<Vec<_>>().join(", ");
    let mut lines = vec![
        String::new(),
        format!("{number} of {of}  {}  {}  {}  {id}", when::rfc3339(row.at_ms), log::session(row), row.mode.name()),
        format!("  \"{}\"", one_line(&row.preview, 400)),
        format!("  verdict   {}", if one.let_go { "let go" } else { "would hold" }),
        format!("  rule      {}", if rule.is_empty() { "-" } else { &rule }),
        format!("  signals   {}", row.signals.join(", ")),
    ];
    if let Some(cwd) = &row.cwd {
        lines.push(format!("  directory {}", one_line(&cwd.to_string_lossy(), 200)));
    }
    if let Some(evidence) = &row.evidence {
        let (plan, step) = (one_line(evidence.place(), 200), one_line(&evidence.next_step, 200));
        lines.push(format!("  evidence  next open step in {plan}: {step}"));
        let commits = [("plan of", &evidence.plan_commit_sha), ("progress in", &evidence.incremental_commit_sha)];
        for (what, sha) in commits.into_iter().filter_map(|(what, sha)| Some((what, sha.as_ref()?))) {
            lines.push(format!("            {what} commit {}", one_line(sha, 12).trim_end_matches('…')));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_a_letter_or_a_word_and_a_reason() {
        assert_eq!(parse("r"), ReviewAnswer::Grade(Grade::Right, ""));
        assert_eq!(parse("W  it had asked me"), ReviewAnswer::Grade(Grade::Wrong, "it had asked me"));
        assert_eq!(parse("unclear"), ReviewAnswer::Grade(Grade::Unclear, ""));
        assert_eq!((parse("s"), parse("quit")), (ReviewAnswer::Skip, ReviewAnswer::Quit));
        for other in ["", "yes", "rw", "?"] {
            assert_eq!(parse(other), ReviewAnswer::NotUnderstood, "{other:?}");
        }
    }
}
