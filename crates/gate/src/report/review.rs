//! Which stops a person is shown to grade: what would have been held, and of what was let go the doubtful first.

use std::cmp::Ordering;

/// Of so many stops that are shown, one was let go: most of what a grade can mend was held.
pub const LET_GO_EVERY: usize = 3;

/// How doubtful it was to let a stop go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doubt {
    /// How far the model was from holding it, in log-odds; `None` where it has no say.
    pub distance: Option<f32>,
    /// Whether an excuse was heard.
    pub excuse: bool,
}

impl Doubt {
    /// The more doubtful comes first: near the model's threshold, then those with an excuse.
    pub fn order(&self, other: &Self) -> Ordering {
        let far = |doubt: &Self| doubt.distance.map_or(f32::INFINITY, f32::abs);
        far(self).total_cmp(&far(other)).then(other.excuse.cmp(&self.excuse))
    }
}

/// What is shown, in order: `held`, with one of `let_go` as every third. What is left of either comes at the end.
pub fn mixed<T>(held: Vec<T>, let_go: Vec<T>) -> Vec<T> {
    let mut all = Vec::with_capacity(held.len() + let_go.len());
    let (mut held, mut let_go) = (held.into_iter(), let_go.into_iter());
    loop {
        let is_let_go = all.len() % LET_GO_EVERY == LET_GO_EVERY - 1;
        let next =
            if is_let_go { let_go.next().or_else(|| held.next()) } else { held.next().or_else(|| let_go.next()) };
        match next {
            Some(next) => all.push(next),
            None => return all,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_doubtful_come_first() {
        let doubt = |distance, excuse| Doubt { distance, excuse };
        let sorted = [
            doubt(Some(-0.1), false),
            doubt(Some(0.2), true),
            doubt(Some(-3.0), true),
            doubt(Some(-3.0), false),
            doubt(None, true),
            doubt(None, false),
        ];
        for (at, one) in sorted.iter().enumerate() {
            assert!(sorted[at + 1..].iter().all(|later| one.order(later) != Ordering::Greater), "{one:?}");
        }
        assert_eq!(doubt(Some(f32::NAN), true).order(&doubt(None, true)), Ordering::Greater, "nonsense is last");
    }

    #[test]
    fn every_third_was_let_go() {
        assert_eq!(mixed(vec!["H"; 5], vec!["g"; 2]).concat(), "HHgHHgH");
        assert_eq!(mixed(vec!["H"; 1], vec!["g"; 4]).concat(), "Hgggg");
        assert_eq!(mixed(vec!["H"; 4], vec![]).concat(), "HHHH");
        assert!(mixed::<u8>(vec![], vec![]).is_empty());
    }

    proptest! {
        #[test]
        fn each_is_shown_once_and_in_its_order(held in 0_usize..40, let_go in 0_usize..40) {
            let all = mixed((0..held).collect(), (100..100 + let_go).collect());
            prop_assert_eq!(all.iter().copied().filter(|one| *one < 100).collect::<Vec<_>>(), (0..held).collect::<Vec<_>>());
            prop_assert_eq!(all.iter().copied().filter(|one| *one >= 100).collect::<Vec<_>>(), (100..100 + let_go).collect::<Vec<_>>());
            let first = all.iter().take(9).filter(|one| **one >= 100).count();
            prop_assert!(held < 6 || let_go < 3 || first == 3);
        }
    }
}
