-- Other processes that a session was taken up in, as `claude -p --resume` does with one that is open in a terminal, and
-- that have not said that they end. The one that counts is in `sessions`.

CREATE TABLE session_processes (
    harness             TEXT    NOT NULL,
    session_id          TEXT    NOT NULL,
    process_pid         INTEGER NOT NULL,
    process_start_ticks INTEGER NOT NULL,
    process_command     TEXT    NOT NULL,
    process_executable  TEXT,
    boot_id             TEXT    NOT NULL,
    pid_namespace       INTEGER,
    host                TEXT,
    tmux_server         TEXT,
    tmux_server_pid     INTEGER,
    tmux_session        TEXT,
    tmux_pane           TEXT,
    -- When it was last heard of.
    at_ms               INTEGER NOT NULL
) STRICT;

CREATE INDEX session_processes_by_session ON session_processes (harness, session_id);
