//! The text an agent is given: a template of ours, filled with verified pointers only (secrets are taken out where a
//! pointer is made, see [`super::facts::open_step_texts`]).

use super::{EvidencePointer, RuleId};
use stopgate_core::decision::Decision;
use stopgate_core::release::Release;
use stopgate_core::text::{fill, one_line};

/// Longest path that is shown.
const MAX_PATH_CHARS: usize = 200;
/// How much of an object id is shown.
const SHORT_ID_CHARS: usize = 12;

/// The reminder for a continue; empty for every rule that lets go.
///
/// `program` is how an agent calls `stopgate`.
pub fn render(rule: RuleId, evidence: &EvidencePointer, program: &str) -> String {
    let Some(template) = rule.reminder() else {
        return String::new();
    };
    let commit = evidence.incremental_commit_sha.as_deref().unwrap_or_default();
    fill(
        template,
        &[
            ("plan_file", &one_line(&evidence.plan_file, MAX_PATH_CHARS)),
            ("incremental_commit", &one_line(commit, SHORT_ID_CHARS).replace('…', "")),
            ("program", program),
            ("next_step", &one_line(&evidence.next_step, super::facts::MAX_STEP_CHARS)),
        ],
    )
}

/// What the person is told of a stop that was let go although work is left; empty when there is nothing to tell.
pub fn note(decision: Decision, release: Release, evidence: Option<&EvidencePointer>) -> String {
    // Nobody reads along in a session that is not interactive.
    let tells = decision == Decision::ForceAllow && release != Release::Headless;
    let Some(evidence) = evidence.filter(|_| tells) else {
        return String::new();
    };
    fill(
        include_str!("../../../templates/reminders/note.txt"),
        &[
            ("why", release.meaning()),
            ("place", &one_line(evidence.place(), MAX_PATH_CHARS)),
            ("step", &one_line(&evidence.next_step, super::facts::MAX_STEP_CHARS)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence() -> EvidencePointer {
        EvidencePointer {
            plan_file: "docs/plan.md".into(),
            plan_commit_sha: Some("a".repeat(40)),
            incremental_commit_sha: Some("b".repeat(40)),
            next_step: "wire {plan_file} with password=[redacted]".into(),
            task: None,
        }
    }

    #[test]
    fn continues_have_a_tagged_text_with_the_pointers_and_others_none() {
        for rule in RuleId::ALL {
            let text = render(rule, &evidence(), "stopgate");
            if rule.decision() == Decision::Continue {
                assert!(text.starts_with("[stopgate] Nothing failed"), "{text}");
                assert!(
                    (text.contains("docs/plan.md") || rule == RuleId::TaskListPending)
                        && text.contains("wire {plan_file} with password=[redacted]\n"),
                    "{text}"
                );
                assert!(!text.contains("{next_step}"), "{text}");
                assert!(text.len() < 1200);
            } else {
                assert_eq!(text, "");
            }
        }
        assert!(
            render(RuleId::DurableArtifact, &evidence(), "stopgate")
                .contains("commit bbbbbbbbbbbb, made since this session began,")
        );
    }
}
