-- What functions reached outside, many rows in one: a call that sends a request leaves two, and to insert them each by
-- itself, with three indexes, cost more than to send it.
-- Still no reference to functions: this is evidence, and deleting a function must not remove what it did.
CREATE TABLE sent (
    last      INTEGER PRIMARY KEY AUTOINCREMENT, -- the number of the last one
    first     INTEGER NOT NULL CHECK (first <= last), -- and of the first: all between them are here
    newest    INTEGER NOT NULL, -- Unix milliseconds; when the latest began
    call_from BLOB    NOT NULL CHECK (length(call_from) = 16), -- UUID; the least
    call_to   BLOB    NOT NULL CHECK (length(call_to) = 16), -- and the greatest: calls are numbered by their time
    rows      TEXT    NOT NULL -- JSON, an array of objects
) STRICT;

-- All that finding a call's reads.
CREATE INDEX sent_call ON sent (call_to, call_from);

-- Whose they are.
CREATE TABLE sent_functions (
    wasm_id INTEGER NOT NULL,
    last    INTEGER NOT NULL REFERENCES sent (last) ON DELETE CASCADE,
    PRIMARY KEY (wasm_id, last)
) STRICT, WITHOUT ROWID;

CREATE INDEX sent_functions_last ON sent_functions (last);

INSERT INTO sent (last, first, newest, call_from, call_to, rows)
SELECT MAX(id), MIN(id), MAX(at), MIN(call), MAX(call),
       json_group_array(json_object(
           'at', at,
           'call', lower(substr(hex(call), 1, 8) || '-' || substr(hex(call), 9, 4) || '-' || substr(hex(call), 13, 4)
                         || '-' || substr(hex(call), 17, 4) || '-' || substr(hex(call), 21)),
           'wasm_id', wasm_id, 'version', version, 'kind', kind, 'subject', subject, 'secrets', secrets,
           'method', method, 'host', host, 'address', address, 'status', status,
           'bytes_out', bytes_out, 'bytes_in', bytes_in, 'ms', ms, 'outcome', outcome) ORDER BY id)
  FROM outbound
 GROUP BY id / 128;

INSERT INTO sent_functions (wasm_id, last)
SELECT DISTINCT outbound.wasm_id, sent.last FROM outbound JOIN sent ON outbound.id BETWEEN sent.first AND sent.last;

-- A number that went with its row does not come back.
INSERT INTO sqlite_sequence (name, seq)
SELECT 'sent', seq FROM sqlite_sequence
 WHERE name = 'outbound' AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'sent');

DROP TABLE outbound;
