//! From what a judge wrote to an opinion, or to why it is none.

use serde::Deserialize;
use serde_json::{Number, Value};

use super::{FailureKind, JudgeFailure, JudgeQuestion, Opinion, own_words};
use crate::evidence::{EvidenceFault, EvidencePointer};
use crate::rules::{Basis, RuleId};
use stopgate_core::decision::Decision;

/// Largest answer that is read. A valid one has some 400 bytes.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// The answer as it is written: these keys and no other, none twice.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAnswer {
    decision: Option<Value>,
    rule: Option<Value>,
    plan: Option<Value>,
    commit: Option<Value>,
    rationale: Option<Value>,
}

/// Reads an answer. The order of the checks is that of the failure kinds: form, rule, class, pointers.
pub(super) fn read(question: &JudgeQuestion, answer: &str) -> Result<Opinion, JudgeFailure> {
    let written = parse(answer)?;
    let decision = decision(written.decision.as_ref())?;
    let rule = rule(written.rule.as_ref())?;
    if rule.decision() != decision {
        let detail = format!("{rule} does not stand for {}", decision.name());
        return Err(JudgeFailure::new(FailureKind::Malformed, &detail));
    }
    let evidence = match rule.basis() {
        Some(basis) => Some(pointer(question, rule, basis, &written)?),
        None => None,
    };
    let rationale = written.rationale.as_ref().and_then(Value::as_str).map(own_words).unwrap_or_default();
    Ok(Opinion { rule, evidence, rationale })
}

fn malformed(what: &str, answer: &str) -> JudgeFailure {
    JudgeFailure::new(FailureKind::Malformed, &format!("{what}: {answer}"))
}

fn parse(answer: &str) -> Result<WrittenAnswer, JudgeFailure> {
    if answer.len() > MAX_ANSWER_BYTES {
        let detail = format!("the answer has {} bytes, more than {MAX_ANSWER_BYTES}", answer.len());
        return Err(JudgeFailure::new(FailureKind::Malformed, &detail));
    }
    let object = unwrapped(answer);
    // A list of the values would be taken for the object.
    if !object.starts_with('{') {
        return Err(malformed("not a JSON object", answer));
    }
    serde_json::from_str(object).map_err(|error| malformed(&format!("not the object asked for ({error})"), answer))
}

/// The answer without white space and without the one code fence that many models put around it.
fn unwrapped(answer: &str) -> &str {
    let answer = answer.trim();
    let inner = answer.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")).and_then(|fenced| {
        let (language, inner) = fenced.split_once('\n')?;
        matches!(language.trim(), "" | "json").then_some(inner)
    });
    inner.unwrap_or(answer).trim()
}

fn decision(written: Option<&Value>) -> Result<Decision, JudgeFailure> {
    match written.and_then(Value::as_str) {
        Some("continue") => Ok(Decision::Continue),
        Some("allow") => Ok(Decision::Allow),
        Some("escalate") => Ok(Decision::Escalate),
        _ => Err(JudgeFailure::new(FailureKind::Malformed, "the decision is none of continue, allow, escalate")),
    }
}

fn rule(written: Option<&Value>) -> Result<RuleId, JudgeFailure> {
    let id = written.and_then(Value::as_str);
    let cited = id.and_then(|id| id.parse().ok()).filter(|rule: &RuleId| rule.for_judge().is_some());
    cited.ok_or_else(|| {
        let detail = id.map_or_else(|| "no rule is cited".to_owned(), |id| format!("no such rule: {id}"));
        JudgeFailure::new(FailureKind::InvalidRule, &detail)
    })
}

/// What a continue rests on: built from what was offered, by the numbers that were picked.
fn pointer(
    question: &JudgeQuestion,
    rule: RuleId,
    basis: Basis,
    written: &WrittenAnswer,
) -> Result<EvidencePointer, JudgeFailure> {
    let plan = picked(&question.plans, written.plan.as_ref(), "plan")?
        .ok_or_else(|| JudgeFailure::new(FailureKind::MissingPointer, "a continue needs a plan"))?;
    let incremental =
        if basis.needs_commit() { picked(&question.commits, written.commit.as_ref(), "commit")? } else { None };
    let pointer = EvidencePointer::of_plan(plan, incremental);
    let refuse = |fault: EvidenceFault| {
        let kind = match fault {
            EvidenceFault::MissingPointer => FailureKind::MissingPointer,
            _ => FailureKind::InvalidEvidence,
        };
        JudgeFailure::new(kind, &format!("{rule}: {}", fault.name()))
    };
    basis.check(&pointer, &question.offered_facts()).map_err(refuse)?;
    // The commit that brought the plan in shows no progress on it.
    if incremental.is_some() && incremental == plan.introduced_by.as_ref() {
        return Err(refuse(EvidenceFault::ForeignIncrementalCommit));
    }
    Ok(pointer)
}

/// The choice of number `written`, which counts from one. Anything but such a number names nothing that was offered.
fn picked<'a, T>(offered: &'a [T], written: Option<&Value>, what: &str) -> Result<Option<&'a T>, JudgeFailure> {
    let number = match written {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => Number::as_u64(number),
        Some(_) => None,
    };
    let index = number.and_then(|number| usize::try_from(number).ok()).and_then(|number| number.checked_sub(1));
    match index.and_then(|index| offered.get(index)) {
        Some(choice) => Ok(Some(choice)),
        None => Err(JudgeFailure::new(FailureKind::InvalidEvidence, &format!("no such {what} was offered"))),
    }
}
