-- Schedules of the active version of each function. They are written with the pointer to that version, so that no moment
-- has the schedules of another. What they mean is in the version's declaration; here is how far each has come.
CREATE TABLE schedules (
    function_id INTEGER NOT NULL REFERENCES functions (function_id),
    name        TEXT    NOT NULL, -- unique within a declaration
    version     INTEGER NOT NULL, -- the number of the version that declares it
    cron        TEXT    NOT NULL, -- with the zone: times that are declared anew are counted from then on
    timezone    TEXT    NOT NULL,
    settled_at  INTEGER NOT NULL, -- Unix milliseconds; times until then were run or left out, and never come again
    due_at      INTEGER,          -- when to look at it next; NULL: it has no further time
    paused      INTEGER NOT NULL CHECK (paused IN (0, 1)),
    PRIMARY KEY (function_id, name)
) STRICT;

CREATE INDEX schedules_due_at ON schedules (due_at) WHERE paused = 0;

-- A job that a schedule made: its name, and the time it was made for. One job at most for each time.
ALTER TABLE jobs ADD COLUMN schedule TEXT;
ALTER TABLE jobs ADD COLUMN due_at INTEGER CHECK ((due_at IS NULL) = (schedule IS NULL));

CREATE UNIQUE INDEX jobs_schedule ON jobs (function_id, schedule, due_at) WHERE schedule IS NOT NULL;
