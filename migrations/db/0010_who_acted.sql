-- Who did what is the operator's, and what a person has not seen yet.
-- `caller`: `person`, `unattended`, `agent`, `elsewhere`, `vanished`; empty in what older versions wrote.
ALTER TABLE operator_actions ADD COLUMN caller TEXT NOT NULL DEFAULT '';
-- The caller and its ancestors, nearest first: pid, start time in clock ticks since boot, name. JSON.
ALTER TABLE operator_actions ADD COLUMN chain TEXT NOT NULL DEFAULT '[]';
ALTER TABLE operator_actions ADD COLUMN seen_at_ms INTEGER;
CREATE INDEX operator_actions_unseen ON operator_actions (id)
    WHERE caller = 'unattended' AND outcome = 'done' AND seen_at_ms IS NULL;
