-- Sessions, their events, and the gate's verdicts. Times are integer milliseconds UTC.

CREATE TABLE sessions (
    harness             TEXT    NOT NULL,
    session_id          TEXT    NOT NULL,
    started_at_ms       INTEGER,
    source              TEXT,
    last_event          TEXT    NOT NULL,
    last_event_at_ms    INTEGER NOT NULL,
    end_reason          TEXT,
    cwd                 TEXT,
    checkout            TEXT,
    head_at_start       TEXT,
    dirty_at_start      TEXT,
    transcript_path     TEXT,
    model               TEXT,
    permission_mode     TEXT,
    tmux                TEXT,
    process_pid         INTEGER,
    process_start_ticks INTEGER,
    process_command     TEXT,
    process_executable  TEXT,
    boot_id             TEXT,
    predecessor         TEXT,
    PRIMARY KEY (harness, session_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_process ON sessions (boot_id, process_pid, process_start_ticks);
CREATE INDEX sessions_by_last_event ON sessions (last_event_at_ms DESC);

-- What the hooks reported, once each: a repeated delivery has the same event id.
CREATE TABLE hook_events (
    event_id   TEXT    NOT NULL PRIMARY KEY,
    harness    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    event      TEXT    NOT NULL,
    at_ms      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row a stop that reached the authority. decision is the true one in shadow and in enforce alike; it is NULL
-- while an accepted stop is being judged and when a failure (fail_open) left none.
CREATE TABLE gate_events (
    event_id      TEXT    NOT NULL PRIMARY KEY,
    harness       TEXT    NOT NULL,
    session_id    TEXT    NOT NULL,
    at_ms         INTEGER NOT NULL,
    mode          TEXT    NOT NULL CHECK (mode IN ('off', 'shadow', 'enforce')),
    decision      TEXT    CHECK (decision IN ('allow', 'continue', 'escalate', 'force_allow')),
    rule          TEXT,
    short_circuit TEXT,
    would_block   INTEGER NOT NULL DEFAULT 0 CHECK (would_block IN (0, 1)),
    blocked       INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1)),
    fail_open     TEXT,
    detail        TEXT,
    signals       TEXT    NOT NULL DEFAULT '[]',
    evidence      TEXT,
    latency_ms    INTEGER NOT NULL DEFAULT 0,
    cwd           TEXT,
    preview       TEXT    NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

CREATE INDEX gate_events_by_time ON gate_events (at_ms DESC);
CREATE INDEX gate_events_by_session ON gate_events (harness, session_id, at_ms DESC);

-- Continues of a session. Shadow and enforce count apart: a rehearsal must not spend the real budget.
CREATE TABLE continue_counts (
    harness       TEXT    NOT NULL,
    session_id    TEXT    NOT NULL,
    mode          TEXT    NOT NULL CHECK (mode IN ('shadow', 'enforce')),
    count         INTEGER NOT NULL CHECK (count >= 0),
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (harness, session_id, mode)
) STRICT, WITHOUT ROWID;

-- Flips of mode and kill switch, done and refused.
CREATE TABLE operator_actions (
    id      INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    action  TEXT    NOT NULL,
    outcome TEXT    NOT NULL CHECK (outcome IN ('done', 'refused')),
    pid     INTEGER,
    detail  TEXT    NOT NULL
) STRICT;
