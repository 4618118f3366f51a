-- What the person asked for, so that it is known where the transcript does not show it (any more): as the transcript showed
-- it at a stop (`shown`), and as a hook heard it since (`heard`), which need not have been the person.
CREATE TABLE asked (
    harness    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    source     TEXT    NOT NULL,
    -- When the last prompt was sent.
    at_ms      INTEGER NOT NULL,
    -- Class, job and bounds, as JSON.
    asked      TEXT    NOT NULL,
    -- The end of the last prompt, without secrets. No more of it is kept.
    said       TEXT    NOT NULL,
    PRIMARY KEY (harness, session_id, source)
) STRICT, WITHOUT ROWID;
