-- What the functions of the Second State API keep besides their versions: stored values, ephemeral values, calls.

-- The 2020 storage: each function has its own name space.
CREATE TABLE stored_values (
    wasm_id INTEGER NOT NULL REFERENCES functions (wasm_id),
    key     BLOB    NOT NULL CHECK (length(key) = 32),
    value   BLOB    NOT NULL,
    PRIMARY KEY (wasm_id, key)
) STRICT;

-- What they add up to, kept in the transaction that changes them, so that a save need not add them up.
-- Not a column of functions: to count, SQLite would write the function's state again, which may be a megabyte.
CREATE TABLE stored_totals (
    wasm_id INTEGER PRIMARY KEY NOT NULL REFERENCES functions (wasm_id),
    bytes   INTEGER NOT NULL CHECK (bytes >= 0) -- keys and values
) STRICT;

-- Texts that anyone may keep for a while. They belong to no function.
CREATE TABLE ephemeral (
    key        TEXT    PRIMARY KEY NOT NULL,
    value      TEXT    NOT NULL,
    size       INTEGER NOT NULL, -- bytes of key and value, as UTF-8
    expires_at INTEGER NOT NULL  -- Unix milliseconds; from then on, the row is as good as gone
) STRICT;

CREATE INDEX ephemeral_expires_at ON ephemeral (expires_at);

CREATE TABLE ephemeral_total (
    one   INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    bytes INTEGER NOT NULL CHECK (bytes >= 0) -- of all rows, expired ones included
) STRICT;

INSERT INTO ephemeral_total (one, bytes) VALUES (1, 0);

-- The newest calls of each function. AUTOINCREMENT: rows come and go, and a number is never used twice.
CREATE TABLE calls (
    log_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    wasm_id   INTEGER NOT NULL REFERENCES functions (wasm_id),
    called_at INTEGER NOT NULL, -- Unix milliseconds
    guest_ns  INTEGER NOT NULL, -- before the texts, so that adding it up need not read through them
    state     TEXT    NOT NULL, -- the function's, as the call found it
    record    TEXT    NOT NULL  -- JSON, opaque here
) STRICT;

CREATE INDEX calls_wasm_id ON calls (wasm_id, log_id);

-- All calls of each function, whether or not their rows are still there.
CREATE TABLE usage (
    wasm_id     INTEGER PRIMARY KEY NOT NULL REFERENCES functions (wasm_id),
    invocations INTEGER NOT NULL,
    guest_ns    INTEGER NOT NULL, -- of all of them
    latest_ns   INTEGER NOT NULL  -- of the last one
) STRICT;
