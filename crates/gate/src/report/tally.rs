//! Counts stops one by one.

use std::collections::HashMap;

use super::{
    CountedStop, Day, GateReport, Grade, Grades, KindCount, Latency, OfSession, Proportion, Sessions, StopGroup,
    UnixMillis,
};
use stopgate_core::clock::DAY_MS;
use stopgate_core::session::{Harness, LIVE_CHECK_PREFIX};

/// Days that are listed.
const MAX_DAYS: i64 = 3_650;
/// Sessions that are named.
const MOST_HELD: usize = 10;
/// `fail_open` of a stop that is being judged: no failure.
const PENDING: &str = "pending";
/// `fail_open` of a stop that never came to be judged, because the authority was not there.
const UNDELIVERED: &str = "undelivered";

/// Counts of a group while it is counted.
#[derive(Default)]
struct Sum {
    stops: u64,
    would_block: u64,
    grades: Grades,
}

/// Counts stops, and makes the report of them. Memory grows with sessions, projects and days, and by eight bytes a
/// verdict.
#[derive(Default)]
pub struct Tally {
    first_at: Option<UnixMillis>,
    whole: Sum,
    let_go: Grades,
    blocked: u64,
    noted: u64,
    decisions: HashMap<&'static str, u64>,
    rules: HashMap<String, Sum>,
    signals: HashMap<String, Sum>,
    projects: HashMap<String, Sum>,
    failures: HashMap<String, u64>,
    sessions: HashMap<(Harness, String), (u64, u64)>,
    days: HashMap<i64, (u64, u64, u64)>,
    latencies: Vec<u64>,
    judged: u64,
    clean: u64,
}

impl Tally {
    /// Counts `stop`. Stops come in the order of their time.
    pub fn add(&mut self, mut stop: CountedStop) {
        if stop.session_id.starts_with(LIVE_CHECK_PREFIX) {
            return;
        }
        let is_pending = stop.fail_open.take_if(|kind| kind == PENDING).is_some();
        self.first_at.get_or_insert(stop.at_ms);
        self.whole.add(&stop);
        if !stop.would_block {
            self.let_go.add(stop.grade);
        }
        self.blocked += u64::from(stop.blocked);
        self.noted += u64::from(stop.noted);
        *self.decisions.entry(stop.decision.map_or("none", stopgate_core::decision::Decision::name)).or_default() += 1;
        if stop.decision.is_some() {
            self.latencies.push(stop.latency_ms);
        }
        if let Some(rule) = &stop.rule {
            self.rules.entry(rule.clone()).or_default().add(&stop);
        }
        for signal in &stop.signals {
            self.signals.entry(signal.clone()).or_default().add(&stop);
        }
        if let Some(project) = &stop.project {
            self.projects.entry(project.to_string_lossy().into_owned()).or_default().add(&stop);
        }
        let failed = stop.fail_open.is_some();
        let day = self.days.entry(stop.at_ms.div_euclid(DAY_MS)).or_default();
        day.0 += 1;
        day.1 += u64::from(stop.would_block);
        day.2 += u64::from(failed);
        if !is_pending && stop.fail_open.as_deref() != Some(UNDELIVERED) {
            self.judged += 1;
            self.clean = if failed { 0 } else { self.clean + 1 };
        }
        if let Some(kind) = stop.fail_open {
            *self.failures.entry(kind).or_default() += 1;
        }
        let session = self.sessions.entry((stop.harness, stop.session_id)).or_default();
        session.0 += 1;
        session.1 += u64::from(stop.would_block);
    }

    /// The report on what was counted, for the span from `since` to `until`.
    pub fn report(self, since: UnixMillis, until: UnixMillis) -> GateReport {
        // Days begin with the first stop; one of a clock that was never set would make thousands of them.
        let first_day = self.first_at.unwrap_or(until).max(since).max(until - MAX_DAYS * DAY_MS).div_euclid(DAY_MS);
        let days = (first_day..=until.div_euclid(DAY_MS)).map(|day| {
            let (stops, would_block, failed) = self.days.get(&day).copied().unwrap_or_default();
            Day { start_ms: day.saturating_mul(DAY_MS), stops, would_block, failed }
        });
        GateReport {
            since_ms: since,
            until_ms: until,
            first_at_ms: self.first_at,
            stops: self.whole.stops,
            verdicts: self.latencies.len() as u64,
            would_block: self.whole.would_block,
            blocked: self.blocked,
            noted: self.noted,
            days: days.collect(),
            by_decision: counts(self.decisions.into_iter().map(|(name, count)| (name.to_owned(), count))),
            by_rule: groups(self.rules),
            by_signal: groups(self.signals),
            by_project: groups(self.projects),
            failures: counts(self.failures),
            clean_streak: self.clean,
            judged: self.judged,
            latency: Latency::of(self.latencies),
            graded_would_block: self.whole.grades,
            graded_let_go: self.let_go,
            precision: self.whole.grades.precision(),
            sessions: sessions(self.sessions, self.whole.would_block),
        }
    }
}

impl Sum {
    fn add(&mut self, stop: &CountedStop) {
        self.stops += 1;
        if stop.would_block {
            self.would_block += 1;
            self.grades.add(stop.grade);
        }
    }
}

impl Grades {
    pub(super) fn add(&mut self, grade: Option<Grade>) {
        match grade {
            Some(Grade::Right) => self.right += 1,
            Some(Grade::Wrong) => self.wrong += 1,
            Some(Grade::Unclear) => self.unclear += 1,
            None => {}
        }
    }
}

fn counts(found: impl IntoIterator<Item = (String, u64)>) -> Vec<KindCount> {
    let mut counts: Vec<_> = found.into_iter().map(|(name, count)| KindCount { name, count }).collect();
    counts.sort_by(|left, right| right.count.cmp(&left.count).then_with(|| left.name.cmp(&right.name)));
    counts
}

fn groups(sums: HashMap<String, Sum>) -> Vec<StopGroup> {
    let mut groups: Vec<_> = sums
        .into_iter()
        .map(|(name, Sum { stops, would_block, grades })| StopGroup {
            name,
            stops,
            would_block,
            grades,
            precision: grades.precision(),
        })
        .collect();
    groups.sort_by(|left, right| right.stops.cmp(&left.stops).then_with(|| left.name.cmp(&right.name)));
    groups
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows, far below 2^52")]
fn sessions(found: HashMap<(Harness, String), (u64, u64)>, would_block: u64) -> Sessions {
    let count = found.len() as u64;
    let mut held: Vec<_> = found
        .into_iter()
        .filter(|(_, (_, would_block))| *would_block > 0)
        .map(|((harness, session_id), (stops, would_block))| OfSession { harness, session_id, stops, would_block })
        .collect();
    held.sort_by(|left, right| {
        right.would_block.cmp(&left.would_block).then_with(|| left.session_id.cmp(&right.session_id))
    });
    let share = Proportion::of(held.len() as u64, count);
    held.truncate(MOST_HELD);
    let each = (count > 0).then(|| would_block as f64 / count as f64);
    Sessions { count, would_block_each: each, held: share, most_held: held }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgate_core::decision::Decision;

    fn stop(at_ms: UnixMillis) -> CountedStop {
        CountedStop {
            at_ms,
            harness: Harness::Claude,
            session_id: "s".into(),
            decision: Some(Decision::Allow),
            rule: None,
            would_block: false,
            blocked: false,
            noted: false,
            fail_open: None,
            signals: vec![],
            latency_ms: 1,
            project: None,
            grade: None,
        }
    }

    fn held(at_ms: UnixMillis, session: &str, grade: Option<Grade>) -> CountedStop {
        CountedStop {
            session_id: session.into(),
            decision: Some(Decision::Continue),
            rule: Some("U1".into()),
            would_block: true,
            signals: vec!["fresh-session".into(), "context-limit".into()],
            grade,
            project: Some("/p".into()),
            ..stop(at_ms)
        }
    }

    fn failed(at_ms: UnixMillis, kind: &str) -> CountedStop {
        CountedStop { decision: None, fail_open: Some(kind.into()), ..stop(at_ms) }
    }

    fn report(stops: Vec<CountedStop>) -> GateReport {
        let mut tally = Tally::default();
        for stop in stops {
            tally.add(stop);
        }
        tally.report(0, 3 * DAY_MS - 1)
    }

    #[test]
    fn everything_is_counted_where_it_belongs() {
        let wrongly_let_go = CountedStop { grade: Some(Grade::Wrong), noted: true, ..stop(5) };
        let found = report(vec![
            wrongly_let_go,
            held(6, "a", Some(Grade::Right)),
            held(7, "a", Some(Grade::Wrong)),
            held(DAY_MS, "b", Some(Grade::Unclear)),
            held(2 * DAY_MS, "b", None),
        ]);
        assert_eq!((found.stops, found.verdicts, found.would_block, found.noted), (5, 5, 4, 1));
        assert_eq!(found.graded_would_block, Grades { right: 1, wrong: 1, unclear: 1 });
        assert_eq!(found.graded_let_go, Grades { wrong: 1, ..Grades::default() });
        assert_eq!(found.precision.map(|precision| (precision.hits, precision.of)), Some((1, 2)));
        let names =
            |groups: &[StopGroup]| groups.iter().map(|group| (group.name.clone(), group.stops)).collect::<Vec<_>>();
        assert_eq!(names(&found.by_signal), [("context-limit".into(), 4), ("fresh-session".into(), 4)]);
        assert_eq!(names(&found.by_project), [("/p".into(), 4)]);
        assert_eq!(found.sessions.count, 3);
        assert_eq!(found.sessions.held.map(|held| (held.hits, held.of)), Some((2, 3)));
        assert_eq!(found.days.iter().map(|day| day.would_block).collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!(found.by_decision[0], KindCount { name: "continue".into(), count: 4 });
    }

    #[test]
    fn a_failure_ends_the_streak_and_what_was_never_judged_does_not() {
        let streak = |stops| {
            let found = report(stops);
            (found.clean_streak, found.judged)
        };
        assert_eq!(streak(vec![stop(1), failed(2, "interrupted"), stop(3), stop(4)]), (2, 4));
        assert_eq!(streak(vec![stop(1), failed(2, "undelivered"), failed(3, "pending"), stop(4)]), (2, 2));
        assert!(report(vec![failed(1, "pending")]).failures.is_empty());
        let late = CountedStop { fail_open: Some("timeout".into()), ..held(2, "s", None) };
        assert_eq!(streak(vec![stop(1), late]), (0, 2));
    }

    #[test]
    fn nothing_makes_an_empty_report_and_the_live_check_is_nothing() {
        for stops in [vec![], vec![held(1, &format!("{LIVE_CHECK_PREFIX}1"), None)]] {
            let found = report(stops);
            assert_eq!((found.stops, found.sessions.count, found.latency, found.precision), (0, 0, None, None));
            assert_eq!((found.first_at_ms, found.sessions.would_block_each), (None, None));
        }
    }
}
