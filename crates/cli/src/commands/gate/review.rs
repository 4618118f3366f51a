//! `stopgate gate review`

use anyhow::bail;
use clap::Args;
use stopgate_core::text::one_line;
use stopgate_gate::report::Grade;
use stopgate_protocol::{ErrorCode, Failure, GateLogRow, LogFilter};

use super::{grade, log};
use crate::context::CliContext;
use crate::{ExitStatus, printer, when};

/// Would-blocks that one review walks through at most.
const MAX_ROWS: u32 = 1_000;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Only those of a session, by the beginning of its id
    #[arg(long, value_name = "ID")]
    session: Option<String>,
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
    if !printer::has_terminal() {
        let refused = Failure::new(ErrorCode::Refused, "a review asks its questions on a terminal, and there is none");
        bail!(refused.with_remedy(
            "`stopgate gate log --decision continue --json` lists would-blocks, `stopgate gate grade <event> \
             right|wrong|unclear` grades"
        ));
    }
    let session = arguments.session.clone();
    let filter = LogFilter { tail: Some(MAX_ROWS), session, ungraded: true, ..LogFilter::default() };
    let rows = log::fetch(context, &filter)?.events;
    if rows.is_empty() {
        printer::line("nothing to review: no would-block without a grade");
        return Ok(ExitStatus::Success);
    }
    let mut graded = 0;
    for (number, (row, id)) in rows.iter().zip(log::short_ids(&rows)).enumerate() {
        for line in describe(row, id, number + 1, rows.len()) {
            printer::line(line);
        }
        let asked = ask();
        let (grade, why) = match parse(&asked) {
            ReviewAnswer::Grade(grade, why) => (grade, why),
            ReviewAnswer::Skip | ReviewAnswer::NotUnderstood => continue,
            ReviewAnswer::Quit => break,
        };
        grade::tell_of(&grade::submit(context, &row.event_id, grade, why)?);
        graded += 1;
    }
    printer::line(format!("{graded} graded, {} without a grade", rows.len() - graded));
    Ok(ExitStatus::Success)
}

/// Asks until the answer is understood. The end of the input ends the review.
fn ask() -> String {
    loop {
        let question = "Was it right to hold this one? r(ight) w(rong) u(nclear), and why if you like; s(kip) q(uit): ";
        match printer::ask_line(question) {
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

fn describe(row: &GateLogRow, id: &str, number: usize, of: usize) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        format!("{number} of {of}  {}  {}  {}  {id}", when::rfc3339(row.at_ms), log::session(row), row.mode.name()),
        format!("  \"{}\"", one_line(&row.preview, 400)),
        format!("  rule      {}", row.rule.map_or("-", stopgate_gate::RuleId::id)),
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
