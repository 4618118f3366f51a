-- Clocks that are set, and what is asked of a store with very many rows.

-- When the machine was booted, by the time of day as it was set then: at the session's first start, and at its last event.
-- It is the same for all events of a boot between which the time of day was not set.
ALTER TABLE sessions ADD COLUMN booted_at_start_ms INTEGER;
ALTER TABLE sessions ADD COLUMN booted_at_last_ms INTEGER;
-- The time of day was set while the session ran: times of files say nothing about it, and times from the future were cut.
ALTER TABLE sessions ADD COLUMN clock_set INTEGER NOT NULL DEFAULT 0;

-- The prompt under which a continue was given: its time is its name, however the clocks went afterwards.
ALTER TABLE continues ADD COLUMN prompt_at_ms INTEGER;
-- The order in which they came.
ALTER TABLE continues ADD COLUMN seq INTEGER;
-- When, in milliseconds since the boot with this id.
ALTER TABLE continues ADD COLUMN boot_ms INTEGER;
ALTER TABLE continues ADD COLUMN boot_id TEXT;

CREATE INDEX continues_by_seq ON continues (seq);

-- At most one row: the clocks when old rows were last looked for, and how much time is known to have gone by.
CREATE TABLE clock_looks (
    id        INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    boot_id   TEXT    NOT NULL,
    boot_ms   INTEGER NOT NULL,
    wall_ms   INTEGER NOT NULL,
    -- The time of day as far as it is proven; what is old is counted back from here.
    proven_ms INTEGER NOT NULL,
    -- How long the time of day has been ahead of that.
    waited_ms INTEGER NOT NULL
) STRICT;

-- Stops that wait for a verdict: a handful.
CREATE INDEX gate_events_pending ON gate_events (at_ms) WHERE fail_open = 'pending';
-- A session's last stop that was held.
CREATE INDEX gate_events_held ON gate_events (harness, session_id, at_ms DESC) WHERE blocked = 1;
-- The log of one session, by its id alone or the beginning of it.
CREATE INDEX gate_events_by_session_id ON gate_events (session_id, at_ms DESC);
-- The log of one decision.
CREATE INDEX gate_events_by_decision ON gate_events (decision, at_ms DESC);
CREATE INDEX sessions_by_id ON sessions (session_id);
