-- Calls that were refused before their function ran, the newest of each function. Not in call_log, so that whoever sends
-- what is refused pushes out no row of a call that ran. Their numbers are drawn from those of call_log.
CREATE TABLE refused_calls (
    log_id      INTEGER PRIMARY KEY,
    function_id INTEGER NOT NULL REFERENCES functions (function_id),
    called_at   INTEGER NOT NULL, -- Unix milliseconds
    record      TEXT    NOT NULL  -- JSON that the server understands
) STRICT;

CREATE INDEX refused_calls_function_id ON refused_calls (function_id, log_id);
