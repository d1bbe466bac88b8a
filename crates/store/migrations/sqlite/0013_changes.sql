-- Changes that people and programs made to what the server keeps: when, through which surface, with which key, and what.
-- A row stays when its function or its key goes.
CREATE TABLE changes (
    change_id     INTEGER PRIMARY KEY AUTOINCREMENT,
    made_at       INTEGER NOT NULL, -- Unix milliseconds
    surface       TEXT    NOT NULL,
    key_kind      TEXT    NOT NULL, -- that of the key, which itself is not here
    key_id        INTEGER,          -- its number; of a function's admin key, that of the function
    key_label     TEXT,
    action        TEXT    NOT NULL,
    function_id   INTEGER,          -- NULL: of no one function
    function_name TEXT,             -- its name then
    details       TEXT    NOT NULL  -- a JSON object
) STRICT;

-- Each entry of an index ends with the row's number, so the changes of one function are here in their order.
CREATE INDEX changes_function_id ON changes (function_id);

-- The number of rows, which the limit of all changes needs with each of them.
CREATE TABLE changes_kept (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    rows INTEGER NOT NULL CHECK (rows >= 0)
) STRICT;

INSERT INTO changes_kept (one, rows) VALUES (1, 0);

CREATE TRIGGER changes_added AFTER INSERT ON changes
BEGIN
    UPDATE changes_kept SET rows = rows + 1;
END;

CREATE TRIGGER changes_removed AFTER DELETE ON changes
BEGIN
    UPDATE changes_kept SET rows = rows - 1;
END;
