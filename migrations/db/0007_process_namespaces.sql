-- A pid counts within a PID namespace, and one process may run many sessions.

ALTER TABLE sessions ADD COLUMN pid_namespace INTEGER;
ALTER TABLE sessions ADD COLUMN process_shared INTEGER NOT NULL DEFAULT 0;
