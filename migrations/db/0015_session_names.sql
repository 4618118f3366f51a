-- What people and agents call a session. A session that is over keeps the name that it had, which may be another one's by now.
CREATE TABLE session_names (
    harness     TEXT    NOT NULL,
    session_id  TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    given_at_ms INTEGER NOT NULL,
    PRIMARY KEY (harness, session_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_names_by_name ON session_names (name, given_at_ms);
