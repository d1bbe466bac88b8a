-- Names of functions, versions that get a share of the calls, keys with scopes, and calls whose answer is fetched later.

-- NULL: it has its number alone. What it looks like is checked before it gets here.
ALTER TABLE functions ADD COLUMN name TEXT;
CREATE UNIQUE INDEX functions_name ON functions (name);

CREATE TRIGGER functions_names_never_change BEFORE UPDATE OF name ON functions WHEN NEW.name IS NOT OLD.name
BEGIN
    SELECT RAISE(ABORT, 'a name never changes');
END;

-- The version that gets canary_percent of the calls; the active one gets the rest. Both or neither.
ALTER TABLE functions ADD COLUMN canary_version TEXT REFERENCES versions (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE functions ADD COLUMN canary_percent INTEGER
    CHECK (canary_percent BETWEEN 1 AND 99)
    CHECK ((canary_percent IS NULL) = (canary_version IS NULL))
    CHECK (canary_version <> active_version);
-- Before a version goes, SQLite looks for functions that refer to it. Without these, among all functions: 17 ms for each
-- version where there are 10,000.
CREATE INDEX functions_active_version ON functions (active_version);
CREATE INDEX functions_canary_version ON functions (canary_version);

-- Keys of the server's own API. AUTOINCREMENT: what a log says about key 7 stays said about that one.
CREATE TABLE api_keys (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32), -- SHA-256 of the key
    label      TEXT    NOT NULL,
    scopes     TEXT    NOT NULL CHECK (scopes <> ''), -- comma separated
    wasm_id    INTEGER REFERENCES functions (wasm_id), -- NULL: for all functions
    created_at INTEGER NOT NULL, -- Unix milliseconds
    expires_at INTEGER -- Unix milliseconds; from then on, the row is as good as gone. NULL: never
) STRICT;

CREATE INDEX api_keys_wasm_id ON api_keys (wasm_id);

-- What is long comes last, so that looking through states need not read through it.
CREATE TABLE jobs (
    id          BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16), -- UUID; the call's
    wasm_id     INTEGER NOT NULL REFERENCES functions (wasm_id),
    version     INTEGER NOT NULL, -- its number within the function
    export      TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done')),
    attempts    INTEGER NOT NULL CHECK (attempts >= 0), -- how often it was begun
    accepted_at INTEGER NOT NULL, -- Unix milliseconds, as are the next two
    started_at  INTEGER, -- the last time; NULL: not yet
    finished_at INTEGER CHECK ((finished_at IS NULL) = (state <> 'done')),
    request     BLOB    NOT NULL, -- empty when it is done
    outcome     BLOB    CHECK ((outcome IS NULL) = (state <> 'done'))
) STRICT;

CREATE INDEX jobs_state ON jobs (state, accepted_at, id);
CREATE INDEX jobs_finished_at ON jobs (finished_at);
CREATE INDEX jobs_wasm_id ON jobs (wasm_id);

-- How many are not done. Counted as they come and go, so that accepting one need not count ten thousand; by triggers,
-- because rows go for three reasons, and one day for a fourth.
CREATE TABLE jobs_waiting (
    one  INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    jobs INTEGER NOT NULL CHECK (jobs >= 0)
) STRICT;

INSERT INTO jobs_waiting (one, jobs) VALUES (1, 0);

CREATE TRIGGER jobs_accepted AFTER INSERT ON jobs WHEN NEW.state <> 'done'
BEGIN
    UPDATE jobs_waiting SET jobs = jobs + 1;
END;

CREATE TRIGGER jobs_done AFTER UPDATE OF state ON jobs WHEN OLD.state <> 'done' AND NEW.state = 'done'
BEGIN
    UPDATE jobs_waiting SET jobs = jobs - 1;
END;

CREATE TRIGGER jobs_removed AFTER DELETE ON jobs WHEN OLD.state <> 'done'
BEGIN
    UPDATE jobs_waiting SET jobs = jobs - 1;
END;

CREATE TRIGGER jobs_stay_done BEFORE UPDATE ON jobs WHEN OLD.state = 'done'
BEGIN
    SELECT RAISE(ABORT, 'a job that is done never changes');
END;
