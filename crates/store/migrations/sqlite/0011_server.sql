-- The server's identity, by which clients keep keys of it: random, made once, and copied with the data.
CREATE TABLE server (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    identity TEXT NOT NULL
) STRICT;

INSERT INTO server (one, identity) VALUES (1, lower(hex(randomblob(16))));
