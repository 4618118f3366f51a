-- The registry: whose turn it is, what a session waits for, how it ended, who continues it. The reaper: candidates,
-- what it remembers of itself, and its audit.

ALTER TABLE sessions ADD COLUMN start_cwd TEXT;
ALTER TABLE sessions ADD COLUMN host TEXT;
ALTER TABLE sessions ADD COLUMN turn TEXT;
ALTER TABLE sessions ADD COLUMN turn_at_ms INTEGER;
ALTER TABLE sessions ADD COLUMN waits_for TEXT;
ALTER TABLE sessions ADD COLUMN pending_tasks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN ended_at_ms INTEGER;
ALTER TABLE sessions ADD COLUMN successor TEXT;
ALTER TABLE sessions ADD COLUMN tmux_server TEXT;
ALTER TABLE sessions ADD COLUMN tmux_server_pid INTEGER;
ALTER TABLE sessions ADD COLUMN tmux_session TEXT;
ALTER TABLE sessions ADD COLUMN tmux_pane TEXT;

UPDATE sessions SET
    start_cwd   = cwd,
    turn        = CASE last_event WHEN 'SessionStart' THEN 'started' WHEN 'UserPromptSubmit' THEN 'prompted'
                                  WHEN 'Stop' THEN 'stopped' END,
    turn_at_ms  = CASE WHEN last_event IN ('SessionStart', 'UserPromptSubmit', 'Stop') THEN last_event_at_ms END,
    ended_at_ms = CASE last_event WHEN 'SessionEnd' THEN last_event_at_ms END;

CREATE INDEX sessions_not_ended ON sessions (last_event_at_ms DESC) WHERE ended_at_ms IS NULL;

-- The last event of each kind.
CREATE TABLE session_events (
    harness    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    event      TEXT    NOT NULL,
    at_ms      INTEGER NOT NULL,
    PRIMARY KEY (harness, session_id, event)
) STRICT, WITHOUT ROWID;

INSERT INTO session_events (harness, session_id, event, at_ms)
    SELECT harness, session_id, event, max(at_ms) FROM hook_events GROUP BY harness, session_id, event;

-- What the reaper has seen of a session, so that a restart loses no proof. A pending end is not kept: it must be
-- proven again.
CREATE TABLE reaper_candidates (
    harness    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    seen_at_ms INTEGER NOT NULL,
    -- JSON: streak, last frame, transcript, processor time, last verdict.
    memory     TEXT    NOT NULL,
    PRIMARY KEY (harness, session_id)
) STRICT, WITHOUT ROWID;

-- At most one row: why the reaper has turned itself to a rehearsal.
CREATE TABLE reaper_trips (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    at_ms  INTEGER NOT NULL,
    detail TEXT    NOT NULL
) STRICT;

CREATE TABLE reaper_audit (
    id         INTEGER NOT NULL PRIMARY KEY,
    at_ms      INTEGER NOT NULL,
    harness    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    event      TEXT    NOT NULL,
    kept_by    TEXT,
    tier       TEXT,
    -- JSON: the inputs of the decision.
    detail     TEXT    NOT NULL DEFAULT '{}'
) STRICT;

CREATE INDEX reaper_audit_by_event ON reaper_audit (event, at_ms);
CREATE INDEX reaper_audit_by_time ON reaper_audit (at_ms);
