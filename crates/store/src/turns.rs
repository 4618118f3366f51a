//! Rows about the person's turns: prompts, continues, and what an agent said against one.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use stopgate_core::clock::{DAY_MS, Moment, STEP_MS, UnixMillis};
use stopgate_core::session::SessionKey;
use stopgate_core::switch::Mode;
use stopgate_gate::asked::AskedAt;

use crate::rows::{Aside, AskedRecord, Continued, GateRow, SessionFacts, TurnRecord};
use crate::{Store, StoreError};

/// Continues that are looked at: more than any ceiling allows.
const MAX_CONTINUES: u32 = 256;

impl Store {
    /// What is known of `key`, and its turn as `mode` counts it, both as of one moment.
    pub fn standing(
        &self,
        key: &SessionKey,
        mode: Mode,
        now: Moment,
        boot_id: &str,
    ) -> Result<(Option<SessionFacts>, TurnRecord), StoreError> {
        // One statement: a stop that is held waits for it, and several cost a transaction around them.
        let mut query = self.connection.prepare_cached(
            "SELECT session.harness IS NOT NULL, session.started_at_ms, session.head_at_start,
                    (SELECT at_ms FROM prompts WHERE harness = ?1 AND session_id = ?2),
                    (SELECT id FROM contests WHERE harness = ?1 AND session_id = ?2 AND used_at_ms IS NULL
                     ORDER BY id LIMIT 1),
                    given.at_ms, given.fingerprint, session.start_cwd, session.booted_at_start_ms, session.clock_set,
                    (SELECT json_set(asked, '$.at_ms', at_ms, '$.said', said) FROM asked
                     WHERE harness = ?1 AND session_id = ?2 AND source = 'shown'),
                    (SELECT json_set(asked, '$.at_ms', at_ms, '$.said', said) FROM asked
                     WHERE harness = ?1 AND session_id = ?2 AND source = 'heard'),
                    given.prompt_at_ms, CASE WHEN given.boot_id = ?7 AND ?7 <> '' THEN given.boot_ms END AS boot_ms,
                    (SELECT rule FROM gate_events WHERE event_id = given.event_id)
             FROM (SELECT 1)
             LEFT JOIN sessions AS session ON session.harness = ?1 AND session.session_id = ?2
             LEFT JOIN continues AS given
                    ON given.harness = ?1 AND given.session_id = ?2 AND given.mode = ?3
                   AND (given.at_ms > ?4 OR (given.boot_id = ?7 AND ?7 <> '' AND given.boot_ms > ?6))
             ORDER BY given.seq DESC, given.at_ms DESC LIMIT ?5",
        )?;
        let (since, since_boot) = (now.wall_ms.saturating_sub(DAY_MS), now.boot_ms.saturating_sub(DAY_MS));
        let (harness, session_id, mode) = (key.harness.name(), &key.session_id, mode.name());
        let mut rows = query.query(params![harness, session_id, mode, since, MAX_CONTINUES, since_boot, boot_id])?;
        let (mut facts, mut turn) = (None, TurnRecord::default());
        while let Some(row) = rows.next()? {
            if row.get(0)? {
                let start_cwd = row.get::<_, Option<String>>(7)?.map(PathBuf::from);
                facts = Some(SessionFacts {
                    started_at_ms: row.get(1)?,
                    head_at_start: row.get(2)?,
                    start_cwd,
                    booted_at_ms: row.get(8)?,
                    clock_set: row.get(9)?,
                });
            }
            turn.prompt_at_ms = row.get(3)?;
            turn.contest = row.get(4)?;
            turn.asked = AskedRecord { shown: asked(row.get(10)?), heard: asked(row.get(11)?) };
            if let Some(at_ms) = row.get(5)? {
                turn.continues.push(Continued {
                    at_ms,
                    fingerprint: row.get(6)?,
                    prompt_at_ms: row.get(12)?,
                    boot_ms: row.get(13)?,
                    rule: row.get::<_, Option<String>>(14)?.and_then(|rule| rule.parse().ok()),
                });
            }
        }
        Ok((facts, turn))
    }

    /// Writes down what a hook heard of what is asked for. What it heard before is forgotten with each prompt
    /// ([`Store::record_event`]).
    pub fn hear_asked(&self, key: &SessionKey, asked: &AskedAt) -> Result<(), StoreError> {
        put_asked(&self.connection, (key.harness.name(), &key.session_id), "heard", asked)
    }

    /// Writes down why an agent says that its stop is right; the next stop uses that up.
    pub fn record_contest(&self, key: &SessionKey, why: &str, now_ms: UnixMillis) -> Result<(), StoreError> {
        let blocked = self
            .connection
            .query_row(
                "SELECT event_id FROM gate_events WHERE harness = ?1 AND session_id = ?2 AND blocked = 1
                 ORDER BY at_ms DESC LIMIT 1",
                params![key.harness.name(), key.session_id],
                |row| row.get::<_, String>(0),
            )
            .optional()?;
        self.connection.execute(
            "INSERT INTO contests (harness, session_id, at_ms, event_id, why) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![key.harness.name(), key.session_id, now_ms, blocked, why],
        )?;
        Ok(())
    }
}

/// What is written down of what was asked for; nothing where a later version has written it otherwise.
fn asked(json: Option<String>) -> Option<AskedAt> {
    serde_json::from_str(&json?).ok()
}

/// Writes down what was asked for, as a transcript showed it or as a hook heard it.
fn put_asked(connection: &Connection, key: (&str, &str), source: &str, asked: &AskedAt) -> Result<(), StoreError> {
    let json = serde_json::to_string(&asked.asked).unwrap_or_default();
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO asked (harness, session_id, source, at_ms, asked, said) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![key.0, key.1, source, asked.at_ms, json, asked.said])?;
    Ok(())
}

/// Counts what a verdict means for the turn.
pub(crate) fn count(
    transaction: &Transaction<'_>,
    row: &GateRow,
    aside: &Aside,
    now_ms: UnixMillis,
) -> Result<(), StoreError> {
    if let Some(fingerprint) = &aside.continues {
        transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO continues (event_id, harness, session_id, mode, at_ms, fingerprint, prompt_at_ms,
                                                  boot_ms, boot_id, seq)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, (SELECT ifnull(max(seq), 0) + 1 FROM continues))",
            )?
            .execute(params![
                row.event_id,
                row.harness.name(),
                row.session_id,
                row.mode.name(),
                now_ms,
                fingerprint,
                aside.counted.prompt_at_ms,
                aside.counted.boot_ms,
                aside.counted.boot_id
            ])?;
    }
    if let Some(at_ms) = aside.prompt_at_ms {
        transaction
            .prepare_cached(
                // One that comes late does not count, nor one of the future beside one that is not.
                "INSERT INTO prompts (harness, session_id, at_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET
                     at_ms = CASE WHEN at_ms > ?4 THEN excluded.at_ms ELSE max(at_ms, excluded.at_ms) END",
            )?
            .execute(params![row.harness.name(), row.session_id, at_ms, now_ms.saturating_add(STEP_MS)])?;
    }
    if let Some(asked) = &aside.asked {
        put_asked(transaction, (row.harness.name(), &row.session_id), "shown", asked)?;
        // What was heard until then is among it, or was somebody else's.
        transaction
            .prepare_cached("DELETE FROM asked WHERE harness = ?1 AND session_id = ?2 AND source = 'heard'")?
            .execute(params![row.harness.name(), row.session_id])?;
    }
    if let Some(contest) = aside.contest {
        transaction
            .prepare_cached("UPDATE contests SET used_at_ms = ?2 WHERE id = ?1 AND used_at_ms IS NULL")?
            .execute(params![contest, now_ms])?;
    }
    Ok(())
}
