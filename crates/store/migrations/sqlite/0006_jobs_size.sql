-- What jobs keep: requests, outcomes and names, and a kilobyte for each row, in which what is said of a failure fits.
-- Counted as they come and go, for all and for each function, so that accepting one need not add up the others.
ALTER TABLE jobs_waiting ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0);

CREATE TABLE jobs_kept (
    wasm_id INTEGER PRIMARY KEY NOT NULL, -- without a job, a function has no row
    bytes   INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT;

INSERT INTO jobs_kept (wasm_id, bytes)
SELECT wasm_id, SUM(1024 + length(CAST(export AS BLOB)) + length(request) + coalesce(length(outcome), 0))
  FROM jobs GROUP BY wasm_id;

UPDATE jobs_waiting SET bytes = coalesce((SELECT SUM(bytes) FROM jobs_kept), 0);

CREATE TRIGGER jobs_kept_accepted AFTER INSERT ON jobs
BEGIN
    INSERT INTO jobs_kept (wasm_id, bytes)
    VALUES (NEW.wasm_id, 1024 + length(CAST(NEW.export AS BLOB)) + length(NEW.request) + coalesce(length(NEW.outcome), 0))
    ON CONFLICT (wasm_id) DO UPDATE SET bytes = bytes + excluded.bytes;
    UPDATE jobs_waiting
       SET bytes = bytes + 1024 + length(CAST(NEW.export AS BLOB)) + length(NEW.request) + coalesce(length(NEW.outcome), 0);
END;

CREATE TRIGGER jobs_kept_changed AFTER UPDATE OF request, outcome ON jobs
BEGIN
    UPDATE jobs_kept
       SET bytes = bytes + length(NEW.request) + coalesce(length(NEW.outcome), 0)
                 - length(OLD.request) - coalesce(length(OLD.outcome), 0)
     WHERE wasm_id = NEW.wasm_id;
    UPDATE jobs_waiting
       SET bytes = bytes + length(NEW.request) + coalesce(length(NEW.outcome), 0)
                 - length(OLD.request) - coalesce(length(OLD.outcome), 0);
END;

CREATE TRIGGER jobs_kept_removed AFTER DELETE ON jobs
BEGIN
    UPDATE jobs_kept
       SET bytes = bytes - 1024 - length(CAST(OLD.export AS BLOB)) - length(OLD.request) - coalesce(length(OLD.outcome), 0)
     WHERE wasm_id = OLD.wasm_id;
    DELETE FROM jobs_kept WHERE wasm_id = OLD.wasm_id AND bytes = 0;
    UPDATE jobs_waiting
       SET bytes = bytes - 1024 - length(CAST(OLD.export AS BLOB)) - length(OLD.request) - coalesce(length(OLD.outcome), 0);
END;
