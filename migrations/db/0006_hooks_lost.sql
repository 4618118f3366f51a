-- Settings that lost our hooks while a session ran: what a hook saw when it was called for the last time.

CREATE TABLE hooks_lost (
    harness    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    at_ms      INTEGER NOT NULL,
    -- JSON: file, how, and the events of which nothing is heard any more.
    lost       TEXT    NOT NULL,
    -- When one of those events was heard of again.
    back_at_ms INTEGER,
    PRIMARY KEY (harness, session_id, at_ms)
) STRICT, WITHOUT ROWID;

CREATE INDEX hooks_lost_by_time ON hooks_lost (at_ms);
