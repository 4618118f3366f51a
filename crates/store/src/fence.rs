//! What the fence was asked and decided, which files it saw written, and who stashed.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, Row, TransactionBehavior, named_params, params};
use stopgate_coordination::fence::verdict::{FenceDecision, FenceFacts, FenceGround, Party, decide};
use stopgate_coordination::fence::{FenceQuestion, FenceVerdict, TreeVerb};
use stopgate_core::clock::UnixMillis;
use stopgate_core::session::{Harness, SessionKey};
use stopgate_core::switch::Mode;
use stopgate_protocol::{
    COLLISION_MS, DENIALS_FOR_READY, FenceDenial, FenceExplanation, FenceReport, HarnessCounts, PairCounts,
    SessionFence, VerdictCounts,
};

use crate::rows::bad_text;
use crate::{Store, StoreError};

/// Denials that a report shows.
const MAX_SHOWN: u32 = 20;
/// Pairs that a report shows.
const MAX_PAIRS: usize = 20;
/// Sessions of a lineage that are followed.
const MAX_LINEAGE: u32 = 64;

/// A verdict of the fence.
#[derive(Debug, Clone)]
pub struct FenceRecord {
    /// What was asked.
    pub question: FenceQuestion,
    /// The asker's name.
    pub name: String,
    /// The room of what is touched first.
    pub room: Option<String>,
    /// What was checked out there.
    pub head: Option<String>,
    /// The mode.
    pub mode: Mode,
    /// What was known.
    pub facts: FenceFacts,
    /// What was decided.
    pub decision: FenceDecision,
    /// What the hook was told.
    pub answered: FenceVerdict,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// Somebody who was let stash, or take what is stashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenStash {
    /// Who, by the name at that time.
    pub who: Party,
    /// When the command was let go.
    pub at_ms: UnixMillis,
    /// What was checked out then.
    pub head: Option<String>,
    /// Whether an entry was taken or dropped, and none made.
    pub takes: bool,
}

impl Store {
    /// Writes a verdict down, the files that the call writes (if it is let go), and that it stashes. `false` if it is
    /// known already.
    pub fn record_fence(&mut self, record: &FenceRecord) -> Result<bool, StoreError> {
        let FenceRecord { question, name, room, head, mode, facts, decision, answered, took_us } = record;
        let key = &question.session;
        let json = |value: Result<String, serde_json::Error>| value.map_err(|error| StoreError::Io(error.into()));
        let ground = decision.grounds.first();
        let against = ground.and_then(FenceGround::against);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let is_new = transaction
            .prepare_cached(
                "INSERT INTO fence_events (event_id, at_ms, harness, session_id, agent_id, name, room, tool, mode, verdict,
                     answered, against, against_name, signature, took_us, question, facts, grounds)
                 VALUES (:event, :at, :harness, :session, :agent, :name, :room, :tool, :mode, :verdict, :answered,
                     :against, :against_name, :signature, :took, :question, :facts, :grounds)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(named_params! {
                ":event": question.event_id,
                ":at": facts.at_ms,
                ":harness": key.harness.name(),
                ":session": key.session_id,
                ":agent": question.agent_id,
                ":name": name,
                ":room": room,
                ":tool": question.tool,
                ":mode": mode.name(),
                ":verdict": decision.verdict.to_string(),
                ":answered": answered.to_string(),
                ":against": against.map(|party| party.key.to_string()),
                ":against_name": against.map(|party| party.name.as_str()),
                ":signature": ground.map(FenceGround::signature),
                ":took": i64::try_from(*took_us).unwrap_or(i64::MAX),
                ":question": json(serde_json::to_string(question))?,
                ":facts": json(serde_json::to_string(facts))?,
                ":grounds": json(serde_json::to_string(&decision.grounds))?,
            })?
            > 0;
        if is_new {
            let mut write = transaction.prepare_cached(
                "INSERT INTO fence_writes (at_ms, harness, session_id, tree, path, event_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for write_facts in &facts.writes {
                let (Some(tree), Some(path)) = (write_facts.tree.to_str(), &write_facts.resource) else { continue };
                let (harness, session) = (key.harness.name(), &key.session_id);
                write.execute(params![facts.at_ms, harness, session, tree, path.as_str(), question.event_id])?;
            }
            let about_the_stash = facts.acts.iter().map(|act| act.act.verb).filter(|verb| verb.is_about_the_stash());
            let room = room.as_ref().filter(|_| *answered < FenceVerdict::Deny);
            for (verb, room) in about_the_stash.filter_map(|verb| Some((verb, room?))) {
                transaction
                    .prepare_cached(
                        "INSERT INTO fence_stashes (at_ms, harness, session_id, name, room, head, takes, event_id)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    )?
                    .execute(params![
                        facts.at_ms,
                        key.harness.name(),
                        key.session_id,
                        name,
                        room,
                        head,
                        verb != TreeVerb::Stash,
                        question.event_id
                    ])?;
            }
        }
        transaction.commit()?;
        Ok(is_new)
    }

    /// How often `key` was refused the same since its person's last prompt; more than `most` are not counted.
    pub fn fence_denials(&self, key: &SessionKey, signature: &str, most: u32) -> Result<u32, StoreError> {
        let count = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM (
                     SELECT 1 FROM fence_events
                     WHERE harness = ?1 AND session_id = ?2 AND answered = 'deny' AND signature = ?3
                       AND at_ms >= ifnull((SELECT at_ms FROM session_events
                                            WHERE harness = ?1 AND session_id = ?2 AND event = 'UserPromptSubmit'), 0)
                     LIMIT ?4)",
            )?
            .query_row(params![key.harness.name(), key.session_id, signature, most], |row| row.get(0))?;
        Ok(count)
    }

    /// The session and those that it continues after `/clear`; what a fork came from is another's.
    pub fn lineage(&self, key: &SessionKey) -> Result<Vec<SessionKey>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "WITH RECURSIVE line (id, depth) AS (
                 SELECT ?2, 0
                 UNION SELECT sessions.session_id, depth + 1 FROM sessions JOIN line ON sessions.successor = line.id
                 WHERE sessions.harness = ?1 AND depth < ?3
             ) SELECT DISTINCT id FROM line",
        )?;
        let rows = query.query_map(params![key.harness.name(), key.session_id, MAX_LINEAGE], |row| row.get(0))?;
        let of = |id: Result<String, _>| id.map(|session_id| SessionKey { harness: key.harness, session_id });
        Ok(rows.map(of).collect::<Result<_, _>>()?)
    }

    /// Who was let stash in `room`, or take what is stashed, since `since_ms`, in order.
    pub fn seen_stashes(&self, room: &str, since_ms: UnixMillis) -> Result<Vec<SeenStash>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT harness, session_id, name, at_ms, head, takes FROM fence_stashes WHERE room = ?1 AND at_ms >= ?2 ORDER BY at_ms",
        )?;
        let rows = query.query_map(params![room, since_ms], |row| {
            let who = Party { key: key_of(row, 0)?, name: row.get(2)? };
            Ok(SeenStash { who, at_ms: row.get(3)?, head: row.get(4)?, takes: row.get(5)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Those of `keys` of which a write has come to the fence.
    pub fn fenced(&self, keys: &[SessionKey]) -> Result<Vec<SessionKey>, StoreError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT 1 FROM fence_events WHERE harness = ?1 AND session_id = ?2 LIMIT 1")?;
        let mut found = Vec::new();
        for key in keys {
            if query.exists(params![key.harness.name(), key.session_id])? {
                found.push(key.clone());
            }
        }
        Ok(found)
    }

    /// What became of the calls of `key` that came to the fence; `None` if none did.
    pub fn fence_of(&self, key: &SessionKey) -> Result<Option<SessionFence>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT verdict, at_ms,
                    (SELECT count(*) FROM fence_events WHERE harness = ?1 AND session_id = ?2 AND verdict = 'deny')
             FROM fence_events WHERE harness = ?1 AND session_id = ?2 ORDER BY at_ms DESC LIMIT 1",
        )?;
        let found = query.query_row(params![key.harness.name(), key.session_id], |row| {
            let (last, last_at_ms) = (row.get::<_, String>(0)?, row.get(1)?);
            let last = FenceVerdict::ALL.into_iter().find(|verdict| verdict.to_string() == last);
            Ok(SessionFence { last, last_at_ms, denials: number(row, 2)?, ..SessionFence::default() })
        });
        Ok(found.optional()?)
    }

    /// What the fence did since `since_ms`, counted.
    pub fn fence_report(&self, since_ms: Option<UnixMillis>) -> Result<FenceReport, StoreError> {
        let since = since_ms.unwrap_or(0);
        let mut report = FenceReport { since_ms, ..FenceReport::default() };
        self.count_verdicts(&mut report, since)?;
        report.collisions = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM (
                     SELECT DISTINCT one.tree, one.path FROM fence_writes one
                     JOIN fence_writes other ON other.tree = one.tree AND other.path = one.path
                          AND other.at_ms BETWEEN one.at_ms AND one.at_ms + ?2
                          AND (other.harness, other.session_id) <> (one.harness, one.session_id)
                     WHERE one.at_ms >= ?1)",
            )?
            .query_row(params![since, COLLISION_MS], |row| number(row, 0))?;
        (report.graded.right, report.graded.wrong) = self
            .connection
            .prepare_cached(
                "SELECT count(*) FILTER (WHERE is_right = 1), count(*) FILTER (WHERE is_right = 0)
                 FROM fence_events WHERE at_ms >= ?1 AND verdict = 'deny'",
            )?
            .query_row([since], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
        report.denials = self.denials(since)?;
        report.denied_collisions = self
            .connection
            .prepare_cached(&format!(
                "SELECT count(*) FROM fence_events WHERE verdict = 'deny' AND at_ms >= ?1 AND {COLLIDED}"
            ))?
            .query_row(params![since, COLLISION_MS], |row| number(row, 0))?;
        report.p99_us = self
            .connection
            .prepare_cached(
                "SELECT took_us FROM fence_events WHERE at_ms >= ?1 ORDER BY took_us DESC
                 LIMIT 1 OFFSET (SELECT count(*) / 100 FROM fence_events WHERE at_ms >= ?1)",
            )?
            .query_row([since], |row| number(row, 0))
            .optional()?
            .unwrap_or_default();
        report.missing = missing(&report);
        Ok(report)
    }

    fn count_verdicts(&self, report: &mut FenceReport, since: UnixMillis) -> Result<(), StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT harness, ifnull(name, session_id), ifnull(against_name, ''), verdict, answered, count(*)
             FROM fence_events WHERE at_ms >= ?1 GROUP BY 1, 2, 3, 4, 5",
        )?;
        let mut harnesses: BTreeMap<Harness, HarnessCounts> = BTreeMap::new();
        let mut pairs: BTreeMap<(String, String), PairCounts> = BTreeMap::new();
        let mut rows = query.query([since])?;
        while let Some(row) = rows.next()? {
            let harness = harness_of(row, 0)?;
            let (who, against): (String, String) = (row.get(1)?, row.get(2)?);
            let (verdict, answered, count) = (verdict_of(row, 3)?, verdict_of(row, 4)?, number(row, 5)?);
            report.asked += count;
            report.decided.add(verdict, count);
            report.answered.add(answered, count);
            let of_harness = HarnessCounts { harness, counts: VerdictCounts::default() };
            harnesses.entry(harness).or_insert(of_harness).counts.add(verdict, count);
            if !against.is_empty() {
                let of_pair =
                    PairCounts { who: who.clone(), against: against.clone(), counts: VerdictCounts::default() };
                pairs.entry((who, against)).or_insert(of_pair).counts.add(verdict, count);
            }
        }
        report.by_harness = harnesses.into_values().collect();
        report.by_pair = pairs.into_values().collect();
        report.by_pair.sort_by_key(|pair| std::cmp::Reverse((pair.counts.deny, pair.counts.note)));
        report.by_pair.truncate(MAX_PAIRS);
        Ok(())
    }

    fn denials(&self, since: UnixMillis) -> Result<Vec<FenceDenial>, StoreError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT event_id, at_ms, harness, ifnull(name, session_id), ifnull(against_name, ''), ifnull(signature, ''),
                    answered = 'deny', {COLLIDED}, is_right
             FROM fence_events WHERE verdict = 'deny' AND at_ms >= ?1 ORDER BY at_ms DESC LIMIT {MAX_SHOWN}"
        ))?;
        let rows = query.query_map(params![since, COLLISION_MS], |row| {
            Ok(FenceDenial {
                event_id: row.get(0)?,
                at_ms: row.get(1)?,
                harness: harness_of(row, 2)?,
                who: row.get(3)?,
                against: row.get(4)?,
                what: row.get(5)?,
                refused: row.get(6)?,
                collided: row.get(7)?,
                is_right: row.get(8)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How the verdict whose id begins with `id` was reached, and what is made of the same facts now (without its text);
    /// `None` if there is none, or more than one.
    pub fn fence_explanation(&self, id: &str) -> Result<Option<FenceExplanation>, StoreError> {
        let Some(event_id) = self.fence_event(id)? else { return Ok(None) };
        let read = |row: &Row<'_>| {
            let (question, facts, grounds): (String, String, String) = (row.get(4)?, row.get(5)?, row.get(6)?);
            let mode: String = row.get(1)?;
            let facts: FenceFacts = serde_json::from_str(&facts).map_err(|_| bad_text("facts"))?;
            Ok(FenceExplanation {
                name: row.get(0)?,
                mode: mode.parse().map_err(|_| bad_text("mode"))?,
                question: serde_json::from_str(&question).map_err(|_| bad_text("question"))?,
                decided: FenceDecision {
                    verdict: verdict_of(row, 2)?,
                    grounds: serde_json::from_str(&grounds).map_err(|_| bad_text("grounds"))?,
                },
                answered: verdict_of(row, 3)?,
                took_us: number(row, 7)?,
                replayed: decide(&facts),
                facts,
                text: String::new(),
            })
        };
        let found = self
            .connection
            .prepare_cached(
                "SELECT ifnull(name, session_id), mode, verdict, answered, question, facts, grounds, took_us
                 FROM fence_events WHERE event_id = ?1",
            )?
            .query_row([event_id], read)
            .optional()?;
        Ok(found)
    }

    /// A person's word on the denial whose id begins with `id`; its whole id, or `None` as for
    /// [`Store::fence_explanation`].
    pub fn grade_fence(&self, id: &str, right: bool) -> Result<Option<String>, StoreError> {
        let Some(event_id) = self.fence_event(id)? else { return Ok(None) };
        let graded = self
            .connection
            .prepare_cached("UPDATE fence_events SET is_right = ?2 WHERE event_id = ?1 AND verdict = 'deny'")?
            .execute(params![event_id, right])?;
        Ok((graded > 0).then_some(event_id))
    }

    fn fence_event(&self, id: &str) -> Result<Option<String>, StoreError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT event_id FROM fence_events WHERE substr(event_id, 1, length(?1)) = ?1 LIMIT 2")?;
        let found: Vec<String> = query.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(match <[String; 1]>::try_from(found) {
            Ok([only]) => Some(only),
            Err(_) => None,
        })
    }
}

/// Whether a denial was one of a file that another session touched within the hour, or of a tree with another's work in it:
/// `?2` is that hour.
const COLLIDED: &str = "(signature NOT LIKE 'write %' OR EXISTS (
    SELECT 1 FROM fence_writes one JOIN fence_writes other ON other.tree = one.tree AND other.path = one.path
     AND abs(other.at_ms - one.at_ms) <= ?2 AND (other.harness, other.session_id) <> (one.harness, one.session_id)
    WHERE one.event_id = fence_events.event_id))";

/// What is missing before the fence may be called ready to enforce.
fn missing(report: &FenceReport) -> Vec<String> {
    let mut missing = Vec::new();
    if report.decided.deny < DENIALS_FOR_READY {
        missing.push(format!("{} of {DENIALS_FOR_READY} would-be denials seen", report.decided.deny));
    }
    if report.graded.wrong > 0 {
        missing.push(format!(
            "{} called wrong by you (`stopgate fence grade ID right` takes that back)",
            report.graded.wrong
        ));
    }
    missing
}

/// A number that is never below 0.
fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(at)?.cast_unsigned())
}

fn harness_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Harness> {
    row.get::<_, String>(at)?.parse().map_err(|_| bad_text("harness"))
}

fn key_of(row: &Row<'_>, at: usize) -> rusqlite::Result<SessionKey> {
    Ok(SessionKey { harness: harness_of(row, at)?, session_id: row.get(at + 1)? })
}

fn verdict_of(row: &Row<'_>, at: usize) -> rusqlite::Result<FenceVerdict> {
    let word: String = row.get(at)?;
    [FenceVerdict::Allow, FenceVerdict::Note, FenceVerdict::Deny]
        .into_iter()
        .find(|verdict| verdict.to_string() == word)
        .ok_or_else(|| bad_text("verdict"))
}
