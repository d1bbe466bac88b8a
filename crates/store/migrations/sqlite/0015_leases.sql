-- Leases, queues, callbacks and idempotency keys of jobs. The table is made anew, because what is long has to come last: a
-- column behind a request of megabytes costs the reading of it.
CREATE TABLE jobs_0015 (
    id               BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16), -- UUID; the call's
    function_id      INTEGER NOT NULL REFERENCES functions (function_id),
    version          INTEGER NOT NULL, -- its number within the function
    export           TEXT    NOT NULL,
    kind             TEXT    NOT NULL DEFAULT 'call' CHECK (kind IN ('call', 'callback')),
    state            TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done')),
    rank             INTEGER NOT NULL DEFAULT 0, -- the priority with its sign changed, so that an index goes one way
    delayed          INTEGER NOT NULL DEFAULT 0 CHECK (delayed IN (0, 1)), -- queued, and not due before not_before
    attempts         INTEGER NOT NULL CHECK (attempts >= 0), -- times that it was begun
    most_attempts    INTEGER NOT NULL DEFAULT 3, -- times that it is begun after interruptions
    token            INTEGER NOT NULL DEFAULT 0, -- raised by each taking; an owner's changes name it
    accepted_at      INTEGER NOT NULL, -- Unix milliseconds, as are all times
    not_before       INTEGER, -- NULL: it is due
    expires_at       INTEGER, -- from then on it is not begun any more; NULL: it always is
    started_at       INTEGER, -- the last time; NULL: not yet
    lease_until      INTEGER, -- NULL: not leased, or by a release without leases
    finished_at      INTEGER CHECK ((finished_at IS NULL) = (state <> 'done')),
    ended            TEXT    CHECK ((ended IS NULL) = (state <> 'done'))
                             CHECK (ended IN ('ok', 'failed', 'cancelled', 'expired', 'lost')),
    fault            TEXT,    -- the code of the last failure
    schedule         TEXT,    -- the name of the schedule that made it
    due_at           INTEGER CHECK ((due_at IS NULL) = (schedule IS NULL)), -- the time that it was made for
    of_job           BLOB    CHECK (length(of_job) = 16), -- the job whose outcome it sends
    callback         TEXT,    -- the URL that the outcome is sent to
    callback_job     BLOB    CHECK (length(callback_job) = 16), -- the job that will send it
    idempotency_key  BLOB    CHECK (length(idempotency_key) = 32), -- SHA-256 of the key
    idempotency_body BLOB    CHECK (length(idempotency_body) = 32), -- and of what was asked
    request          BLOB    NOT NULL, -- empty when it is done, unless it can be retried
    outcome          BLOB    CHECK ((outcome IS NULL) = (state <> 'done'))
) STRICT;

INSERT INTO jobs_0015 (id, function_id, version, export, state, attempts, accepted_at, started_at, finished_at, ended, fault,
                       schedule, due_at, request, outcome)
SELECT id, function_id, version, export, state, attempts, accepted_at, started_at, finished_at,
       CASE WHEN state = 'done' THEN CASE fault WHEN 'job-cancelled' THEN 'cancelled' WHEN 'job-lost' THEN 'lost'
                                     ELSE iif(fault IS NULL, 'ok', 'failed') END END,
       fault, schedule, due_at, request, outcome
  FROM (SELECT *, iif(json_valid(CAST(outcome AS TEXT)), json_extract(CAST(outcome AS TEXT), '$.fault'), NULL) AS fault
          FROM jobs);

DROP TABLE jobs;
ALTER TABLE jobs_0015 RENAME TO jobs;

CREATE INDEX jobs_state ON jobs (state, accepted_at, id);
CREATE INDEX jobs_accepted_at ON jobs (accepted_at, id);
CREATE INDEX jobs_finished_at ON jobs (finished_at);
CREATE INDEX jobs_function ON jobs (function_id, accepted_at, id);
CREATE UNIQUE INDEX jobs_schedule ON jobs (function_id, schedule, due_at) WHERE schedule IS NOT NULL;
CREATE UNIQUE INDEX jobs_idempotency ON jobs (function_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_ready ON jobs (function_id, rank, accepted_at, id) WHERE state = 'queued' AND delayed = 0;
CREATE INDEX jobs_delayed ON jobs (not_before) WHERE state = 'queued' AND delayed = 1;
CREATE INDEX jobs_expiring ON jobs (expires_at) WHERE state = 'queued' AND expires_at IS NOT NULL;
CREATE INDEX jobs_leases ON jobs (lease_until) WHERE state = 'running';

-- Those of 0005 and 0006, which went with the old table.
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

CREATE TRIGGER jobs_kept_accepted AFTER INSERT ON jobs
BEGIN
    INSERT INTO jobs_kept (function_id, bytes)
    VALUES (NEW.function_id, 1024 + length(CAST(NEW.export AS BLOB)) + length(NEW.request) + coalesce(length(NEW.outcome), 0))
    ON CONFLICT (function_id) DO UPDATE SET bytes = bytes + excluded.bytes;
    UPDATE jobs_waiting
       SET bytes = bytes + 1024 + length(CAST(NEW.export AS BLOB)) + length(NEW.request) + coalesce(length(NEW.outcome), 0);
END;

CREATE TRIGGER jobs_kept_changed AFTER UPDATE OF request, outcome ON jobs
BEGIN
    UPDATE jobs_kept
       SET bytes = bytes + length(NEW.request) + coalesce(length(NEW.outcome), 0)
                 - length(OLD.request) - coalesce(length(OLD.outcome), 0)
     WHERE function_id = NEW.function_id;
    UPDATE jobs_waiting
       SET bytes = bytes + length(NEW.request) + coalesce(length(NEW.outcome), 0)
                 - length(OLD.request) - coalesce(length(OLD.outcome), 0);
END;

CREATE TRIGGER jobs_kept_removed AFTER DELETE ON jobs
BEGIN
    UPDATE jobs_kept
       SET bytes = bytes - 1024 - length(CAST(OLD.export AS BLOB)) - length(OLD.request) - coalesce(length(OLD.outcome), 0)
     WHERE function_id = OLD.function_id;
    DELETE FROM jobs_kept WHERE function_id = OLD.function_id AND bytes = 0;
    UPDATE jobs_waiting
       SET bytes = bytes - 1024 - length(CAST(OLD.export AS BLOB)) - length(OLD.request) - coalesce(length(OLD.outcome), 0);
END;

-- One row for each function that has, or had, jobs, or declares how they run.
CREATE TABLE job_queues (
    function_id INTEGER PRIMARY KEY NOT NULL,
    ready       INTEGER NOT NULL DEFAULT 0 CHECK (ready >= 0),   -- queued and due
    delayed     INTEGER NOT NULL DEFAULT 0 CHECK (delayed >= 0), -- queued and not due
    running     INTEGER NOT NULL DEFAULT 0 CHECK (running >= 0),
    pass        INTEGER NOT NULL DEFAULT 0, -- the queue with the lowest is served next
    weight      INTEGER NOT NULL DEFAULT 1 CHECK (weight > 0),
    concurrency INTEGER, -- jobs that run at once; NULL: as the server has it
    rate        INTEGER CHECK (rate > 0), -- jobs that begin in a minute; NULL: no limit
    open_at     INTEGER NOT NULL DEFAULT 0 -- Unix microseconds: from when the rate lets the next one begin
) STRICT;

CREATE INDEX job_queues_next ON job_queues (pass, function_id) WHERE ready > 0;

INSERT INTO job_queues (function_id, ready, running)
SELECT function_id, SUM(state = 'queued'), SUM(state = 'running') FROM jobs WHERE state <> 'done' GROUP BY function_id;

-- The pass of the queue that was served last.
ALTER TABLE jobs_waiting ADD COLUMN pass INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER job_queues_accepted AFTER INSERT ON jobs WHEN NEW.state = 'queued'
BEGIN
    INSERT INTO job_queues (function_id, ready, delayed, pass)
    VALUES (NEW.function_id, 1 - NEW.delayed, NEW.delayed, (SELECT pass FROM jobs_waiting))
    ON CONFLICT (function_id) DO UPDATE SET
        pass = CASE WHEN ready = 0 THEN max(pass, excluded.pass) ELSE pass END,
        ready = ready + excluded.ready, delayed = delayed + excluded.delayed;
END;

CREATE TRIGGER job_queues_changed AFTER UPDATE OF state, delayed ON jobs
    WHEN OLD.state <> NEW.state OR OLD.delayed <> NEW.delayed
BEGIN
    UPDATE job_queues SET
        pass = CASE WHEN ready = 0 AND NEW.state = 'queued' THEN max(pass, (SELECT pass FROM jobs_waiting)) ELSE pass END,
        ready = ready - (OLD.state = 'queued' AND OLD.delayed = 0) + (NEW.state = 'queued' AND NEW.delayed = 0),
        delayed = delayed - (OLD.state = 'queued' AND OLD.delayed = 1) + (NEW.state = 'queued' AND NEW.delayed = 1),
        running = running - (OLD.state = 'running') + (NEW.state = 'running')
     WHERE function_id = NEW.function_id;
END;

CREATE TRIGGER job_queues_removed AFTER DELETE ON jobs WHEN OLD.state <> 'done'
BEGIN
    UPDATE job_queues SET
        ready = ready - (OLD.state = 'queued' AND OLD.delayed = 0),
        delayed = delayed - (OLD.state = 'queued' AND OLD.delayed = 1),
        running = running - (OLD.state = 'running')
     WHERE function_id = OLD.function_id;
END;

-- However a job ends, its outcome is sent. The job that sends it gives up by itself, long before this number.
CREATE TRIGGER jobs_called_back AFTER UPDATE OF state ON jobs
    WHEN NEW.state = 'done' AND OLD.state <> 'done' AND NEW.callback IS NOT NULL AND NEW.kind = 'call'
BEGIN
    INSERT INTO jobs (id, function_id, version, export, state, attempts, accepted_at, request, kind, most_attempts, callback, of_job)
    VALUES (NEW.callback_job, NEW.function_id, NEW.version, NEW.export, 'queued', 0, NEW.finished_at, x'', 'callback', 1000, NEW.callback, NEW.id);
END;
