-- Whom a session was last told of that works in the same tree: it hears of nobody twice.
CREATE TABLE neighbours_told (
    harness    TEXT NOT NULL,
    session_id TEXT NOT NULL,
    -- Their sessions and names, as JSON.
    others     TEXT NOT NULL,
    PRIMARY KEY (harness, session_id)
) STRICT, WITHOUT ROWID;
