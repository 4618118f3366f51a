//! Names of sessions: given once, kept over `/clear`, resume and compaction, unique among those that live.

use rusqlite::{OptionalExtension as _, Transaction, TransactionBehavior, params};
use stopgate_coordination::name;
use stopgate_core::clock::{UnixMillis, days};
use stopgate_core::harness::EventKind;
use stopgate_core::process::Liveness;
use stopgate_core::protocol::HookEvent;
use stopgate_core::session::{Harness, LIVE_CHECK_PREFIX, SessionKey};

use crate::rows::bad_text;
use crate::{Store, StoreError, processes};

/// A session that never said that it ended, of which nothing else is known either, keeps its name from others for this long
/// after it was last heard of.
const FORGOTTEN_MS: UnixMillis = days(30);

/// What became of a wish for another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renamed {
    /// The session has it; this is the one that it had.
    Done {
        /// The earlier name.
        was: Option<String>,
    },
    /// Another session that lives has it.
    Taken(SessionKey),
    /// There is no such session.
    Unknown,
}

/// Sees to it that the session of `reported` has a name that no other living one has.
pub(crate) fn keep(transaction: &Transaction<'_>, reported: &HookEvent) -> Result<(), StoreError> {
    let key = &reported.event.key;
    if key.session_id.starts_with(LIVE_CHECK_PREFIX) {
        return Ok(());
    }
    let name = match of(transaction, key)? {
        // While it was over, its name may have become another's.
        Some(name) => match reported.event.kind {
            EventKind::SessionStart { .. } | EventKind::UserPromptSubmit { .. }
                if holder(transaction, &name, key, reported.at_ms)?.is_some() =>
            {
                choose(transaction, key, reported.at_ms)?
            }
            _ => return Ok(()),
        },
        None => match inherited(transaction, key)? {
            Some(name) if holder(transaction, &name, key, reported.at_ms)?.is_none() => name,
            _ => choose(transaction, key, reported.at_ms)?,
        },
    };
    set(transaction, key, &name, reported.at_ms)
}

fn of(transaction: &Transaction<'_>, key: &SessionKey) -> Result<Option<String>, StoreError> {
    let mut query =
        transaction.prepare_cached("SELECT name FROM session_names WHERE harness = ?1 AND session_id = ?2")?;
    Ok(query.query_row(params![key.harness.name(), key.session_id], |row| row.get(0)).optional()?)
}

/// The name of the session that `key` has taken the place of after `/clear`. A fork goes on beside what it came from.
fn inherited(transaction: &Transaction<'_>, key: &SessionKey) -> Result<Option<String>, StoreError> {
    let mut query = transaction.prepare_cached(
        "SELECT name FROM session_names
         WHERE harness = ?1 AND session_id = (
             SELECT old.session_id FROM sessions AS own JOIN sessions AS old
                 ON old.harness = own.harness AND old.session_id = own.predecessor AND old.successor = own.session_id
             WHERE own.harness = ?1 AND own.session_id = ?2)",
    )?;
    Ok(query.query_row(params![key.harness.name(), key.session_id], |row| row.get(0)).optional()?)
}

fn set(transaction: &Transaction<'_>, key: &SessionKey, name: &str, at_ms: UnixMillis) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO session_names (harness, session_id, name, given_at_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET name = excluded.name, given_at_ms = excluded.given_at_ms",
        )?
        .execute(params![key.harness.name(), key.session_id, name, at_ms])?;
    Ok(())
}

/// A name for `key`: a word that no session ever had, else the one that was given longest ago of those that nobody living
/// has, else one with a number.
fn choose(transaction: &Transaction<'_>, key: &SessionKey, now_ms: UnixMillis) -> Result<String, StoreError> {
    let mut given = transaction.prepare_cached("SELECT max(given_at_ms) FROM session_names WHERE name = ?1")?;
    let mut used = Vec::new();
    for word in name::words(&key.session_id) {
        match given.query_row([word], |row| row.get::<_, Option<UnixMillis>>(0))? {
            None => return Ok(word.to_owned()),
            Some(at_ms) => used.push((at_ms, word)),
        }
    }
    // Those of one time stay in the order of this session.
    used.sort_by_key(|(at_ms, _)| *at_ms);
    for (_, word) in used {
        if holder(transaction, word, key, now_ms)?.is_none() {
            return Ok(word.to_owned());
        }
    }
    for name in name::numbered(&key.session_id) {
        if holder(transaction, &name, key, now_ms)?.is_none() {
            return Ok(name);
        }
    }
    // There are more numbers than sessions.
    Ok(key.session_id.clone())
}

/// Another session than `key` that has `name` and may live.
fn holder(
    transaction: &Transaction<'_>,
    name: &str,
    key: &SessionKey,
    now_ms: UnixMillis,
) -> Result<Option<SessionKey>, StoreError> {
    let mut query = transaction.prepare_cached(
        "SELECT harness, session_id, sessions.last_event_at_ms
         FROM session_names JOIN sessions USING (harness, session_id)
         WHERE name = ?1 AND ended_at_ms IS NULL AND NOT (harness = ?2 AND session_id = ?3)",
    )?;
    let rows = query.query_map(params![name, key.harness.name(), key.session_id], |row| {
        let harness: Harness = row.get::<_, String>(0)?.parse().map_err(|_| bad_text("harness"))?;
        Ok((SessionKey { harness, session_id: row.get(1)? }, row.get::<_, Option<UnixMillis>>(2)?))
    })?;
    for row in rows {
        let (other, heard_at_ms) = row?;
        let may_live = match processes::of_session(transaction, &other)? {
            Liveness::Alive => true,
            Liveness::Gone => false,
            Liveness::Unknown => heard_at_ms.is_some_and(|at_ms| now_ms - at_ms < FORGOTTEN_MS),
        };
        if may_live {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

impl Store {
    /// Gives a name to each session that has not ended and has none, as those of an older version. Returns how many.
    pub fn name_unnamed(&mut self, now_ms: UnixMillis) -> Result<usize, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let unnamed: Vec<SessionKey> = {
            let mut query = transaction.prepare_cached(
                "SELECT harness, session_id FROM sessions
                 WHERE ended_at_ms IS NULL AND substr(session_id, 1, length(?1)) <> ?1
                   AND NOT EXISTS (SELECT 1 FROM session_names AS named
                                   WHERE named.harness = sessions.harness AND named.session_id = sessions.session_id)
                 ORDER BY last_event_at_ms DESC",
            )?;
            let rows = query.query_map([LIVE_CHECK_PREFIX], |row| {
                let harness = row.get::<_, String>(0)?.parse().map_err(|_| bad_text("harness"))?;
                Ok(SessionKey { harness, session_id: row.get(1)? })
            })?;
            rows.collect::<Result<_, _>>()?
        };
        for key in &unnamed {
            let name = choose(&transaction, key, now_ms)?;
            set(&transaction, key, &name, now_ms)?;
        }
        transaction.commit()?;
        Ok(unnamed.len())
    }

    /// What a session is called.
    pub fn name_of(&self, key: &SessionKey) -> Result<Option<String>, StoreError> {
        let mut query =
            self.connection.prepare_cached("SELECT name FROM session_names WHERE harness = ?1 AND session_id = ?2")?;
        Ok(query.query_row(params![key.harness.name(), key.session_id], |row| row.get(0)).optional()?)
    }

    /// The sessions of the same tree that `key` was last told of, and their names; `None` if it never was told anything.
    pub fn neighbours_told(&self, key: &SessionKey) -> Result<Option<Vec<(SessionKey, String)>>, StoreError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT others FROM neighbours_told WHERE harness = ?1 AND session_id = ?2")?;
        let told: Option<String> =
            query.query_row(params![key.harness.name(), key.session_id], |row| row.get(0)).optional()?;
        Ok(told.and_then(|told| serde_json::from_str(&told).ok()))
    }

    /// Notes whom `key` is told of.
    pub fn set_neighbours_told(&self, key: &SessionKey, others: &[(SessionKey, String)]) -> Result<(), StoreError> {
        let others = serde_json::to_string(others).map_err(|error| StoreError::Io(error.into()))?;
        self.connection
            .prepare_cached(
                "INSERT INTO neighbours_told (harness, session_id, others) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET others = excluded.others",
            )?
            .execute(params![key.harness.name(), key.session_id, others])?;
        Ok(())
    }

    /// Gives the session another name, which is one by [`name::check`].
    pub fn rename(&mut self, key: &SessionKey, name: &str, now_ms: UnixMillis) -> Result<Renamed, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known = transaction
            .prepare_cached("SELECT 1 FROM sessions WHERE harness = ?1 AND session_id = ?2")?
            .exists(params![key.harness.name(), key.session_id])?;
        if !known {
            return Ok(Renamed::Unknown);
        }
        if let Some(other) = holder(&transaction, name, key, now_ms)? {
            return Ok(Renamed::Taken(other));
        }
        let was = of(&transaction, key)?;
        set(&transaction, key, name, now_ms)?;
        transaction.commit()?;
        Ok(Renamed::Done { was })
    }
}
