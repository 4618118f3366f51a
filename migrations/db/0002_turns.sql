-- What ceilings, no-progress and explanations need. Times are integer milliseconds UTC.

-- One row a continue that was given (enforce) or would have been (shadow); the two never count for each other.
CREATE TABLE continues (
    event_id    TEXT    NOT NULL PRIMARY KEY,
    harness     TEXT    NOT NULL,
    session_id  TEXT    NOT NULL,
    mode        TEXT    NOT NULL CHECK (mode IN ('shadow', 'enforce')),
    at_ms       INTEGER NOT NULL,
    -- Hash of the facts it rested on: the same facts at the next stop mean no progress.
    fingerprint TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX continues_by_session ON continues (harness, session_id, mode, at_ms DESC);

-- They replace a count that knew neither prompts nor days.
DROP TABLE continue_counts;

-- When the person last prompted a session, never what.
CREATE TABLE prompts (
    harness    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    at_ms      INTEGER NOT NULL,
    PRIMARY KEY (harness, session_id)
) STRICT, WITHOUT ROWID;

-- An agent's word that a stop was right: lets the next stop go, once, and waits for a person's grade.
CREATE TABLE contests (
    id         INTEGER PRIMARY KEY,
    harness    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    at_ms      INTEGER NOT NULL,
    event_id   TEXT,
    why        TEXT    NOT NULL,
    used_at_ms INTEGER
) STRICT;

CREATE INDEX contests_by_session ON contests (harness, session_id, used_at_ms);

-- What the pipeline was given, without secrets, as JSON: `stopgate explain` runs it again.
ALTER TABLE gate_events ADD COLUMN inputs TEXT;
-- A hint that blocks nothing was given.
ALTER TABLE gate_events ADD COLUMN noted INTEGER NOT NULL DEFAULT 0 CHECK (noted IN (0, 1));
-- Top of the main checkout of the stop's directory.
ALTER TABLE gate_events ADD COLUMN checkout TEXT;
