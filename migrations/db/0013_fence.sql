-- What the fence was asked, what it decided and from what: `stopgate fence explain` decides again from `facts`.
CREATE TABLE fence_events (
    event_id    TEXT PRIMARY KEY,
    at_ms       INTEGER NOT NULL,
    harness     TEXT NOT NULL,
    session_id  TEXT NOT NULL,
    -- The subagent of that session that called.
    agent_id    TEXT,
    -- The session's name at that time.
    name        TEXT,
    -- Top of the main checkout of what was touched first, or its directory.
    room        TEXT,
    tool        TEXT NOT NULL,
    mode        TEXT NOT NULL CHECK (mode IN ('shadow', 'enforce')),
    -- What was decided, and what the hook was told, which in shadow is always to allow.
    verdict     TEXT NOT NULL CHECK (verdict IN ('allow', 'note', 'deny')),
    answered    TEXT NOT NULL CHECK (answered IN ('allow', 'note', 'deny')),
    -- Whom it would have harmed: harness:session and name.
    against     TEXT,
    against_name TEXT,
    -- What two denials that are the same have in common.
    signature   TEXT,
    -- How long it took, in microseconds.
    took_us     INTEGER NOT NULL,
    -- JSON: FenceQuestion, FenceFacts, and the grounds.
    question    TEXT NOT NULL,
    facts       TEXT NOT NULL,
    grounds     TEXT NOT NULL,
    -- A person's word on it: 1 right, 0 wrong.
    is_right    INTEGER
) STRICT;
CREATE INDEX fence_events_by_time ON fence_events (at_ms);
CREATE INDEX fence_events_of_session ON fence_events (harness, session_id, at_ms);

-- Files that the fence saw written, or would have: what two sessions touched within the hour is counted from it.
CREATE TABLE fence_writes (
    at_ms       INTEGER NOT NULL,
    harness     TEXT NOT NULL,
    session_id  TEXT NOT NULL,
    tree        TEXT NOT NULL,
    path        TEXT NOT NULL,
    event_id    TEXT NOT NULL REFERENCES fence_events (event_id) ON DELETE CASCADE
) STRICT;
CREATE INDEX fence_writes_of_file ON fence_writes (tree, path, at_ms);
CREATE INDEX fence_writes_of_event ON fence_writes (event_id);

-- Who was let stash, and take or drop what is stashed: whose the entries are that all working trees of a room share.
CREATE TABLE fence_stashes (
    at_ms       INTEGER NOT NULL,
    harness     TEXT NOT NULL,
    session_id  TEXT NOT NULL,
    name        TEXT NOT NULL,
    room        TEXT NOT NULL,
    -- What was checked out then; the entry has it as its first parent.
    head        TEXT,
    -- 1 where an entry was taken or dropped.
    takes       INTEGER NOT NULL,
    event_id    TEXT NOT NULL REFERENCES fence_events (event_id) ON DELETE CASCADE
) STRICT;
CREATE INDEX fence_stashes_of_room ON fence_stashes (room, at_ms);
CREATE INDEX fence_stashes_of_event ON fence_stashes (event_id);
