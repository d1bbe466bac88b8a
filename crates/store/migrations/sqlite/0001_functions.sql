-- A function is a row that never moves; what it runs is the version that active_version points at.
-- AUTOINCREMENT: a wasm_id is a name that people keep in scripts, so one that was deleted never comes back as
-- somebody else's function.
CREATE TABLE functions (
    wasm_id        INTEGER PRIMARY KEY AUTOINCREMENT,
    description    TEXT    NOT NULL,
    state          TEXT    NOT NULL DEFAULT '{}',
    storage_key    TEXT    NOT NULL CHECK (length(storage_key) = 32),
    callback       TEXT    NOT NULL DEFAULT '{}',
    usage_key_hash BLOB    CHECK (length(usage_key_hash) = 32), -- NULL: anyone may call it
    admin_key_hash BLOB    NOT NULL CHECK (length(admin_key_hash) = 32),
    -- Deferred, because a function and its first version refer to each other and arrive in one transaction.
    active_version TEXT    NOT NULL REFERENCES versions (id) DEFERRABLE INITIALLY DEFERRED,
    created_at     INTEGER NOT NULL -- Unix milliseconds
) STRICT;

CREATE TABLE versions (
    id            TEXT    PRIMARY KEY NOT NULL, -- UUIDv7
    function_id   INTEGER NOT NULL REFERENCES functions (wasm_id) DEFERRABLE INITIALLY DEFERRED,
    number        INTEGER NOT NULL CHECK (number > 0), -- 1, 2, 3… within its function
    sha256        BLOB    NOT NULL CHECK (length(sha256) = 32), -- of the source; also its object's name
    legacy_sha256 TEXT    NOT NULL, -- what the Second State API calls wasm_sha256
    size          INTEGER NOT NULL, -- bytes of the source
    kind          TEXT    NOT NULL,
    manifest      TEXT    NOT NULL, -- JSON, opaque here
    created_at    INTEGER NOT NULL, -- Unix milliseconds
    UNIQUE (function_id, number)
) STRICT;

-- "Does any version still need this source?", asked by every deletion.
CREATE INDEX versions_sha256 ON versions (sha256);

CREATE TRIGGER versions_never_change BEFORE UPDATE ON versions
BEGIN
    SELECT RAISE(ABORT, 'a version never changes');
END;
