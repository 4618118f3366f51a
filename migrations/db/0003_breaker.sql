-- Breakers of judges that fail: one row a route with a failure since its last valid answer. Times are integer
-- milliseconds UTC; 0 means never.
CREATE TABLE judge_breakers (
    -- Hash of kind, endpoint or command, and model; never of a credential.
    route                TEXT    NOT NULL PRIMARY KEY,
    -- The same for people, without secrets.
    label                TEXT    NOT NULL,
    consecutive_failures INTEGER NOT NULL DEFAULT 0 CHECK (consecutive_failures >= 0),
    open_until_ms        INTEGER NOT NULL DEFAULT 0,
    probe_lease_until_ms INTEGER NOT NULL DEFAULT 0,
    probe_token          TEXT,
    first_opened_at_ms   INTEGER NOT NULL DEFAULT 0,
    suppressed_count     INTEGER NOT NULL DEFAULT 0,
    last_failure         TEXT    NOT NULL DEFAULT '',
    updated_at_ms        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
