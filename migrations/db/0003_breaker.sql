-- Documented in store/src/breaker.rs.
CREATE TABLE judge_breakers (
    route TEXT NOT NULL PRIMARY KEY,
    label TEXT NOT NULL,
    consecutive_failures INTEGER NOT NULL,
    open_until_ms INTEGER NOT NULL,
    probe_lease_until_ms INTEGER NOT NULL,
    probe_token TEXT,
    first_opened_at_ms INTEGER NOT NULL,
    suppressed_count INTEGER NOT NULL,
    last_failure TEXT NOT NULL,
    updated_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
