//! Stops that were judged, made up and written straight into a store: a known past for reports, grades and pruning.

use rusqlite::{Connection, Transaction, params};
use stopgate_core::clock::{Clock as _, SystemClock};
use stopgate_core::paths::Home;
use stopgate_gate::RuleId;
use stopgate_store::Store;

use crate::run::HANG;

/// One of them.
#[derive(Debug, Clone)]
pub struct Evaluation<'a> {
    /// When, milliseconds UTC; by default a minute ago, because the authority prunes what is old.
    pub at_ms: i64,
    /// The session.
    pub session: &'a str,
    /// The decision; `None` when `fail_open` left none.
    pub decision: Option<&'a str>,
    /// The rule.
    pub rule: Option<RuleId>,
    /// The signals.
    pub signals: &'a [&'a str],
    /// The kind of failure.
    pub fail_open: Option<&'a str>,
    /// How long it took.
    pub latency_ms: i64,
    /// Where.
    pub project: &'a str,
    /// The end of the last message.
    pub preview: &'a str,
    /// What the pipeline was given.
    pub inputs: Option<&'a str>,
    /// A grade.
    pub grade: Option<&'a str>,
}

impl Default for Evaluation<'_> {
    fn default() -> Self {
        Self {
            at_ms: SystemClock.now_ms() - 60_000,
            session: "s",
            decision: Some("allow"),
            rule: None,
            signals: &[],
            fail_open: None,
            latency_ms: 2,
            project: "/w/demo",
            preview: "All tests pass.",
            inputs: None,
            grade: None,
        }
    }
}

impl Evaluation<'_> {
    /// A would-block.
    pub fn held() -> Self {
        Self {
            decision: Some("continue"),
            rule: Some(RuleId::PlanNextStep),
            signals: &["fresh-session"],
            preview: "Let's continue in a fresh session.",
            ..Self::default()
        }
    }

    fn write(&self, transaction: &Transaction<'_>, id: &str) {
        let held = self.decision == Some("continue");
        let evidence = r#"{"plan_file":"docs/plan.md","plan_commit_sha":null,"incremental_commit_sha":null,"next_step":"write the parser"}"#;
        transaction
            .prepare_cached(
                "INSERT INTO gate_events (event_id, harness, session_id, at_ms, mode, decision, rule, would_block,
                                          fail_open, signals, evidence, latency_ms, cwd, preview, inputs)
                 VALUES (?1, 'claude', ?2, ?3, 'shadow', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )
            .unwrap()
            .execute(params![
                id,
                self.session,
                self.at_ms,
                self.decision,
                self.rule.map(RuleId::id),
                held,
                self.fail_open,
                serde_json::to_string(self.signals).unwrap(),
                held.then_some(evidence),
                self.latency_ms,
                self.project,
                self.preview,
                self.inputs,
            ])
            .unwrap();
        if let Some(grade) = self.grade {
            transaction
                .prepare_cached(
                    "INSERT INTO annotations (event_id, operator, at_ms, verdict) VALUES (?1, 'dev', ?2, ?3)",
                )
                .unwrap()
                .execute(params![id, self.at_ms, grade])
                .unwrap();
        }
    }
}

/// The store's file, with the newest schema.
pub fn connect(home: &Home) -> Connection {
    home.create().unwrap();
    drop(Store::open(home, HANG).unwrap());
    let connection = Connection::open(home.database()).unwrap();
    connection.busy_timeout(HANG).unwrap();
    connection.pragma_update(None, "foreign_keys", "on").unwrap();
    connection
}

/// The one number that `query` finds in the store of a home.
pub fn count(home: &Home, query: &str) -> i64 {
    connect(home).query_row(query, [], |row| row.get(0)).unwrap()
}

/// The id of the evaluation with `number`.
pub fn event_id(number: usize) -> String {
    format!("{:08x}-0000-7000-8000-{number:012x}", 0x1000_0000 + number)
}

/// Writes `evaluations`, whose ids are those of their places.
pub fn write(home: &Home, evaluations: &[Evaluation<'_>]) {
    let mut connection = connect(home);
    let transaction = connection.transaction().unwrap();
    for (number, evaluation) in evaluations.iter().enumerate() {
        evaluation.write(&transaction, &event_id(number));
    }
    transaction.commit().unwrap();
}

/// Writes `count` evaluations over the 14 days before `now_ms` as a busy machine makes them: 1 of 12 is a would-block,
/// 1 of 200 fails, 1 of 5 would-blocks is graded, and what was judged by its text keeps its inputs.
pub fn write_many(home: &Home, count: usize, now_ms: i64) {
    const SPAN_MS: i64 = 14 * 86_400_000 - 60_000;
    let sessions: Vec<String> = (0..count.div_ceil(16)).map(|number| format!("session-{number:08}")).collect();
    let projects: Vec<String> = (0..40).map(|number| format!("/home/dev/projects/project-{number}")).collect();
    let inputs = format!("{{\"message\":\"{}\"}}", "a sentence of the message ".repeat(120));
    let rules = [RuleId::PlanNextStep, RuleId::DurableArtifact, RuleId::RecentCommit];
    let mut connection = connect(home);
    let transaction = connection.transaction().unwrap();
    for number in 0..count {
        let part = i64::try_from(number).unwrap() * SPAN_MS / i64::try_from(count).unwrap();
        let common = Evaluation {
            at_ms: now_ms - SPAN_MS + part,
            session: &sessions[number / 16],
            latency_ms: i64::try_from(number * 7 % 40).unwrap(),
            project: &projects[number / 16 % 40],
            ..Evaluation::default()
        };
        let evaluation = match number {
            _ if number % 12 == 0 => Evaluation {
                decision: Some("continue"),
                rule: Some(rules[number / 12 % 3]),
                signals: &["fresh-session", "context-limit"],
                inputs: Some(&inputs),
                grade: (number / 12 % 5 == 0).then_some(if number / 60 % 10 == 0 { "wrong" } else { "right" }),
                ..common
            },
            _ if number % 200 == 1 => Evaluation { decision: None, fail_open: Some("interrupted"), ..common },
            _ if number % 3 == 0 => Evaluation {
                rule: Some(RuleId::LegitDesignQuestion),
                signals: &["asks-question"],
                inputs: Some(&inputs),
                ..common
            },
            _ => common,
        };
        evaluation.write(&transaction, &event_id(number));
    }
    transaction.commit().unwrap();
}
