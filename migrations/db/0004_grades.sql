-- What a person says about verdicts, and what reports and pruning need. Times are integer milliseconds UTC.

-- One row a grading. The history is kept; the last one of an event counts. A verdict takes its grades with it.
CREATE TABLE annotations (
    id       INTEGER PRIMARY KEY,
    event_id TEXT    NOT NULL REFERENCES gate_events (event_id) ON DELETE CASCADE,
    operator TEXT    NOT NULL,
    at_ms    INTEGER NOT NULL,
    verdict  TEXT    NOT NULL CHECK (verdict IN ('right', 'wrong', 'unclear')),
    why      TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX annotations_by_event ON annotations (event_id, id DESC);

-- What is asked about first when somebody reviews: a handful among thousands.
CREATE INDEX gate_events_would_block ON gate_events (at_ms DESC) WHERE would_block = 1;

-- Everything that a report counts. A row's inputs take many pages, and lie before its checkout.
CREATE INDEX gate_events_for_report ON gate_events (
    at_ms, harness, session_id, mode, decision, rule, would_block, blocked, noted, fail_open, latency_ms, signals,
    checkout, cwd, event_id
);

-- Pruning by age.
CREATE INDEX hook_events_by_time ON hook_events (at_ms);
CREATE INDEX continues_by_time ON continues (at_ms);
CREATE INDEX contests_by_time ON contests (at_ms);
