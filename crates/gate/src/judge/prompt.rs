//! From a question to the text that a judge reads.

use super::JudgeQuestion;
use crate::facts::MAX_STEP_CHARS;
use crate::rules::RuleId;
use stopgate_core::decision::Decision;
use stopgate_core::text::fill;
use stopgate_core::text::one_line;

const SYSTEM: &str = include_str!("../../../../templates/judge/system.txt");
const QUESTION: &str = include_str!("../../../../templates/judge/question.txt");

/// Longest path that is shown, in characters.
const MAX_PATH_CHARS: usize = 200;
/// Longest line of the message that is shown, in characters; a longer one is cut.
const MAX_LINE_CHARS: usize = 2_000;
/// How much of an object id is shown: enough to tell them apart, and nothing is taken from the answer.
const SHORT_ID_CHARS: usize = 12;

/// What a judge reads: what it is to do, and about what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgePrompt {
    /// The instructions: ours alone.
    pub system: String,
    /// The question, with all data fenced.
    pub question: String,
}

impl JudgePrompt {
    /// Both as one text, for a judge that takes only one.
    pub fn whole(&self) -> String {
        format!("{}\n\n{}\n", self.system, self.question)
    }
}

impl JudgeQuestion {
    /// The prompt. `nonce` makes the fence differ from call to call; a text that holds that fence all the same gets
    /// another one.
    pub fn prompt(&self, nonce: u64) -> JudgePrompt {
        let plans = self.plan_lines();
        let message = data(self.message.lines());
        // The data is finite: one of so many fences is not in it.
        let fence = (0..=u64::MAX)
            .map(|step| format!("stopgate-data-{:016x}", nonce.wrapping_add(step)))
            .find(|fence| !message.contains(fence) && !plans.contains(fence))
            .unwrap_or_default();
        let signals = self.signals.names().join(", ");
        let values = [
            ("fence", fence.as_str()),
            ("signals", if signals.is_empty() { "nothing in particular" } else { &signals }),
            ("plans", &plans),
            ("commits", &self.commit_lines()),
            ("message", &message),
        ];
        JudgePrompt { system: system(&fence), question: fill(QUESTION, &values) }
    }

    /// The plans as data: path and step come from the checkout, which anybody may have written.
    fn plan_lines(&self) -> String {
        let lines: Vec<String> = (1..)
            .zip(&self.plans)
            .map(|(number, plan)| {
                let tracked = if plan.introduced_by.is_some() { "tracked" } else { "not tracked, so only for U2" };
                let path = one_line(&plan.path, MAX_PATH_CHARS);
                let step = one_line(&plan.next_step, MAX_STEP_CHARS);
                format!("plan {number}: {path} ({tracked}; {} open); next open step: {step}", plan.open_steps)
            })
            .collect();
        data(lines.iter().map(String::as_str))
    }

    /// The commits: hexadecimal and numbers only, so nothing in here can speak.
    fn commit_lines(&self) -> String {
        let line = |(number, commit): (usize, &String)| {
            let touched: Vec<String> = (1..)
                .zip(&self.plans)
                .filter(|(_, plan)| plan.session_commits.contains(commit))
                .map(|(number, _): (usize, _)| number.to_string())
                .collect();
            let touched = match touched.as_slice() {
                [] => "moves no offered plan".to_owned(),
                numbers => format!("listed for plan {}", numbers.join(", ")),
            };
            format!("commit {number}: {} ({touched})", &commit[..commit.floor_char_boundary(SHORT_ID_CHARS)])
        };
        let lines: Vec<String> = (1..).zip(&self.commits).map(line).collect();
        if lines.is_empty() { "none".to_owned() } else { lines.join("\n") }
    }
}

/// The instructions: the rules of the table that a judge may cite, a line each, below the decision they stand for.
fn system(fence: &str) -> String {
    let rules = |decision| {
        let line = |rule: RuleId| rule.for_judge().map(|meaning| format!("{rule}: {meaning}"));
        let lines: Vec<_> =
            RuleId::ALL.into_iter().filter(|rule| rule.decision() == decision).filter_map(line).collect();
        lines.join("\n")
    };
    fill(
        SYSTEM,
        &[
            ("fence", fence),
            ("continue_rules", &rules(Decision::Continue)),
            ("allow_rules", &rules(Decision::Allow)),
            ("escalate_rules", &rules(Decision::Escalate)),
        ],
    )
}

/// Lines of data: marked, one by one, and without what cannot be seen.
fn data<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<_> = lines.map(|line| format!("| {}", one_line(line, MAX_LINE_CHARS))).collect();
    if lines.is_empty() { "| ".to_owned() } else { lines.join("\n") }
}
