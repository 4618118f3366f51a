//! When a rule goes back to shadow by itself: when too many of its would-blocks were graded wrong. What the operator says of the
//! rule then begins its account anew.

use stopgate_config::{PromotionConfig, RulesConfig};
use stopgate_core::switch::Mode;

use super::{Grade, Grades};
use crate::RuleId;
use crate::rules::switches::{RuleSwitches, SwitchedBy};

/// The grade that counts of one would-block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleGrade {
    /// The rule that would have held it.
    pub rule: RuleId,
    /// The grade.
    pub grade: Grade,
    /// Grades are numbered as they are given.
    pub number: i64,
}

/// The grades of `rule` that count: those given after the operator's last word of it.
pub fn counting(grades: &[RuleGrade], rule: RuleId, switches: &RuleSwitches) -> Grades {
    let newest = grades.iter().map(|grade| grade.number).max().unwrap_or_default();
    let said = switches.of(rule).filter(|switch| switch.by == SwitchedBy::Operator);
    // A number that was never given is of another store: there, none of these was given yet.
    let after = said.map(|switch| switch.after_grade).filter(|after| *after <= newest).unwrap_or_default();
    let mut counted = Grades::default();
    grades.iter().filter(|one| one.rule == rule && one.number > after).for_each(|one| counted.add(Some(one.grade)));
    counted
}

/// Whether a rule with these grades has to go back to shadow: enough are given, and their precision is below the bound.
pub const fn falls_below(grades: Grades, promotion: &PromotionConfig) -> bool {
    let least = if promotion.min_graded_continue > 0 { promotion.min_graded_continue } else { 1 };
    let (decided, bound) = (grades.decided() as u128, promotion.min_precision_percent as u128);
    decided >= least as u128 && (grades.right as u128) * 100 < bound * decided
}

/// The rules that go back to shadow now, with the grades that say so: of those that may hold by what is said of them.
pub fn to_demote(
    grades: &[RuleGrade],
    switches: &RuleSwitches,
    config: &RulesConfig,
    promotion: &PromotionConfig,
) -> Vec<(RuleId, Grades)> {
    let may_hold = |rule: &RuleId| {
        switches.of(*rule).is_none_or(|switch| switch.mode == Mode::Enforce)
            && config.mode(rule.id()).is_none_or(|mode| mode == Mode::Enforce)
    };
    let counted = |rule: RuleId| (rule, counting(grades, rule, switches));
    RuleId::holding().filter(may_hold).map(counted).filter(|(_, grades)| falls_below(*grades, promotion)).collect()
}

/// Why, for people.
pub fn why(grades: Grades, promotion: &PromotionConfig) -> String {
    format!(
        "{} of {} graded would-blocks were right{}, and gate.promotion.min_precision_percent is {}",
        grades.right,
        grades.decided(),
        grades.precision().map_or_else(String::new, |part| format!(" ({})", part.percent())),
        promotion.min_precision_percent
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::switches::RuleSwitch;

    const RULE: RuleId = RuleId::RecentCommit;

    fn given(rule: RuleId, words: &str) -> Vec<RuleGrade> {
        let grade = |word| match word {
            'r' => Grade::Right,
            'w' => Grade::Wrong,
            _ => Grade::Unclear,
        };
        (1..).zip(words.chars()).map(|(number, word)| RuleGrade { rule, grade: grade(word), number }).collect()
    }

    fn said(mode: Mode, by: SwitchedBy, after_grade: i64) -> RuleSwitches {
        let mut switches = RuleSwitches::default();
        switches.set(RULE, RuleSwitch { mode, by, at_ms: 1, after_grade, why: String::new() });
        switches
    }

    fn demoted(grades: &[RuleGrade], switches: &RuleSwitches) -> bool {
        let found = to_demote(grades, switches, &RulesConfig::default(), &PromotionConfig::default());
        found.iter().any(|(rule, _)| *rule == RULE)
    }

    #[test]
    fn enough_grades_below_the_bound_and_nothing_else_take_a_rule_back() {
        let nobody = RuleSwitches::default();
        for (words, expected) in [
            ("", false),
            ("wwww", false),
            ("wwwwu", false),
            ("wwwww", true),
            ("rrrrw", true),
            ("rrrrrrrrrw", false),
            ("rrrrrrrrrrw", false),
            ("rrrrrrrrww", true),
            ("rrrrruuuuu", false),
        ] {
            assert_eq!(demoted(&given(RULE, words), &nobody), expected, "{words}");
            assert!(!demoted(&given(RuleId::DurableArtifact, words), &nobody), "another rule's");
        }
        let of = |right, wrong| Grades { right, wrong, unclear: 0 };
        let bound = |min_graded_continue, min_precision_percent| PromotionConfig {
            min_graded_continue,
            min_precision_percent,
            ..PromotionConfig::default()
        };
        assert!(!falls_below(of(0, 0), &bound(0, 100)), "nothing is graded");
        assert!(falls_below(of(0, 1), &bound(0, 1)));
        assert!(!falls_below(of(0, 100), &bound(1, 0)), "no bound");
        assert!(falls_below(of(u64::MAX / 2, 1), &bound(1, 100)), "no overflow");
        assert_eq!(
            why(of(2, 3), &bound(5, 90)),
            "2 of 5 graded would-blocks were right (40.0 %), and gate.promotion.min_precision_percent is 90"
        );
    }

    #[test]
    fn what_is_in_shadow_already_is_left_alone() {
        let wrong = given(RULE, "wwwwwwww");
        for (mode, by) in [
            (Mode::Shadow, SwitchedBy::Grades),
            (Mode::Shadow, SwitchedBy::Operator),
            (Mode::Off, SwitchedBy::Operator),
            (Mode::Shadow, SwitchedBy::Unknown),
        ] {
            assert!(!demoted(&wrong, &said(mode, by, 0)), "{mode:?} {by:?}");
        }
        let config = RulesConfig { u3: Mode::Shadow, ..RulesConfig::default() };
        assert!(to_demote(&wrong, &RuleSwitches::default(), &config, &PromotionConfig::default()).is_empty());
    }

    #[test]
    fn after_the_operators_word_only_newer_grades_count() {
        let wrong = given(RULE, "wwwwwwww");
        let word = |after| said(Mode::Enforce, SwitchedBy::Operator, after);
        assert!(!demoted(&wrong, &word(8)) && !demoted(&wrong, &word(4)) && demoted(&wrong, &word(3)));
        assert_eq!(counting(&wrong, RULE, &word(6)).wrong, 2);
        // The store is another one: the grades in it are all newer than none.
        assert!(demoted(&wrong, &word(9_000)));
    }

    proptest! {
        #[test]
        fn the_operators_word_always_holds_until_enough_new_grades_are_wrong(words in "[rwu]{0,40}", more in "[rwu]{0,12}") {
            let all = given(RULE, &(words.clone() + &more));
            let old = i64::try_from(words.len()).unwrap();
            let word = said(Mode::Enforce, SwitchedBy::Operator, old);
            if !words.is_empty() {
                prop_assert!(!demoted(&all[..words.len()], &word), "no flapping");
            }
            let count = |symbol| u64::try_from(more.matches(symbol).count()).unwrap();
            let (right, wrong) = (count('r'), count('w'));
            if !(words.is_empty() && more.is_empty()) {
                prop_assert_eq!(demoted(&all, &word), right + wrong >= 5 && right * 10 < (right + wrong) * 9);
            }
        }

        #[test]
        fn one_more_right_grade_never_takes_a_rule_back(right in 0_u64..1_000, wrong in 0_u64..1_000, percent in 0_u32..=100, least in 0_u32..20) {
            let bound = PromotionConfig { min_precision_percent: percent, min_graded_continue: least, ..PromotionConfig::default() };
            let of = |right, wrong| falls_below(Grades { right, wrong, unclear: 0 }, &bound);
            if right + wrong >= u64::from(least.max(1)) && !of(right, wrong) {
                prop_assert!(!of(right + 1, wrong));
            }
        }
    }
}
