-- Leases of resources, who waits for one, and what became of them. Bodies are JSON, as `stopgate_coordination::lease` has them.
CREATE TABLE lease_rooms (
    room        TEXT    PRIMARY KEY,
    -- The last number of a grant, which is never used again.
    last_token  INTEGER NOT NULL,
    -- The last place in the queue.
    last_ticket INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
    room       TEXT    NOT NULL,
    token      INTEGER NOT NULL,
    -- Empty for a name, which belongs to the room.
    tree       TEXT    NOT NULL,
    resource   TEXT    NOT NULL,
    harness    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    -- Times of `CLOCK_BOOTTIME` in the body are of this boot.
    boot_id    TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (room, token, tree, resource)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease_waiters (
    room       TEXT    NOT NULL,
    harness    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    boot_id    TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (room, harness, session_id)
) STRICT, WITHOUT ROWID;

-- What was said to next holders who are not there yet.
CREATE TABLE lease_handoffs (
    id   INTEGER PRIMARY KEY,
    room TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- What happened, for whoever looks, and for sessions that have to hear of it.
CREATE TABLE lease_events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    room       TEXT    NOT NULL,
    at_ms      INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    harness    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    -- The session has to hear of it, and has not yet.
    untold     INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT;
CREATE INDEX lease_events_by_room ON lease_events (room, id);
CREATE INDEX lease_events_by_time ON lease_events (at_ms);
CREATE INDEX lease_events_untold ON lease_events (harness, session_id) WHERE untold = 1;
