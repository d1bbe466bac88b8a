-- What functions may do outside, what they use to reach it, and what they reached.

-- What a version was granted: JSON, opaque here. NULL: it was uploaded without saying.
-- A column, because a grant belongs to the code that it was made for and changes no more than that does.
ALTER TABLE versions ADD COLUMN declaration TEXT;

-- Secrets, each encrypted. A copy of this file gives away their names, the lengths of their values, and no more.
CREATE TABLE secrets (
    wasm_id    INTEGER NOT NULL REFERENCES functions (wasm_id),
    name       TEXT    NOT NULL,
    key_id     TEXT    NOT NULL CHECK (length(key_id) = 8), -- which key; the keys themselves are never here
    nonce      BLOB    NOT NULL CHECK (length(nonce) = 24),
    sealed     BLOB    NOT NULL, -- the encrypted value and its tag
    created_at INTEGER NOT NULL, -- Unix milliseconds; when this value was set
    PRIMARY KEY (wasm_id, name)
) STRICT;

-- One row for each outbound request and each command run.
-- No reference to functions: this is evidence, and deleting a function must not remove what it did. AUTOINCREMENT on
-- both sides makes a wasm_id that is gone as good a name as one that is there.
CREATE TABLE outbound (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL, -- Unix milliseconds; when it began
    call      BLOB    NOT NULL CHECK (length(call) = 16), -- UUID; as bytes, because its index holds it once more
    wasm_id   INTEGER NOT NULL,
    version   INTEGER NOT NULL, -- its number within the function
    kind      TEXT    NOT NULL CHECK (kind IN ('request', 'command')),
    subject   TEXT, -- the rule that let the request through (NULL: none did), or the command's name
    secrets   TEXT, -- the names of those attached, comma separated
    method    TEXT,
    host      TEXT,
    address   TEXT,
    status    INTEGER,
    bytes_out INTEGER NOT NULL,
    bytes_in  INTEGER NOT NULL,
    ms        INTEGER NOT NULL,
    outcome   TEXT    NOT NULL
) STRICT;

-- Each entry of an index ends with the row's id, so these are in the order of ids, too.
CREATE INDEX outbound_wasm_id ON outbound (wasm_id);
CREATE INDEX outbound_call ON outbound (call);
CREATE INDEX outbound_at ON outbound (at); -- what is old goes first, whatever the order in which it was written

-- Calls that can be run again: what went in and what the host answered, in a form that the server understands.
-- They go with their function, since without it there is nothing to run.
CREATE TABLE recordings (
    call    BLOB    PRIMARY KEY NOT NULL CHECK (length(call) = 16), -- UUID
    wasm_id INTEGER NOT NULL REFERENCES functions (wasm_id),
    version INTEGER NOT NULL, -- its number within the function
    at      INTEGER NOT NULL, -- Unix milliseconds; when the call began
    outcome TEXT    NOT NULL, -- 'ok', or the code of its fault
    size    INTEGER NOT NULL CHECK (size = length(data)), -- a column for the sake of the indexes
    data    BLOB    NOT NULL
) STRICT;

-- With the size, so that finding what has to go reads no row.
CREATE INDEX recordings_wasm_id ON recordings (wasm_id, at, call, size);
CREATE INDEX recordings_at ON recordings (at, call, size);

-- What they add up to. By triggers, because rows go for four reasons, and one day for a fifth.
CREATE TABLE recordings_total (
    one   INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    bytes INTEGER NOT NULL CHECK (bytes >= 0) -- of data
) STRICT;

INSERT INTO recordings_total (one, bytes) VALUES (1, 0);

CREATE TRIGGER recordings_added AFTER INSERT ON recordings
BEGIN
    UPDATE recordings_total SET bytes = bytes + NEW.size;
END;

CREATE TRIGGER recordings_removed AFTER DELETE ON recordings
BEGIN
    UPDATE recordings_total SET bytes = bytes - OLD.size;
END;

CREATE TRIGGER recordings_never_change BEFORE UPDATE ON recordings
BEGIN
    SELECT RAISE(ABORT, 'a recording never changes');
END;
