-- The newest calls of each function, many in one row: as a row each, they could not be written as fast as calls end.
CREATE TABLE call_log (
    last        INTEGER PRIMARY KEY AUTOINCREMENT, -- the number of the newest call in it
    first       INTEGER NOT NULL CHECK (first <= last), -- and of the oldest: all between them are here
    function_id INTEGER NOT NULL REFERENCES functions (function_id),
    through     INTEGER NOT NULL, -- calls of the function that were ever logged, up to the newest one here
    calls       TEXT    NOT NULL  -- JSON, an array of arrays: Unix milliseconds, nanoseconds, record, and the state, or
                                  -- null where it is that of the call before
) STRICT;

-- Each entry of an index ends with the row's number, so this is in the order of numbers, too.
CREATE INDEX call_log_function_id ON call_log (function_id, through);

-- Calls that were ever logged, and how many of these are no longer in the log: a row of call_log goes when all its calls
-- have gone, so that trimming is one range of the index.
ALTER TABLE usage ADD COLUMN logged INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN trimmed INTEGER NOT NULL DEFAULT 0;

-- A row each, still: their numbers are not one after the other.
INSERT INTO call_log (last, first, function_id, through, calls)
SELECT log_id, log_id, function_id, row_number() OVER (PARTITION BY function_id ORDER BY log_id),
       json_array(json_array(called_at, guest_ns, record, state))
  FROM calls ORDER BY log_id;

UPDATE usage SET logged = (SELECT COUNT(*) FROM calls WHERE calls.function_id = usage.function_id);

-- A number that went with its row does not come back.
DELETE FROM sqlite_sequence WHERE name = 'call_log';
INSERT INTO sqlite_sequence (name, seq) SELECT 'call_log', seq FROM sqlite_sequence WHERE name = 'calls';

DROP TABLE calls;
