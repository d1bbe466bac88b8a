-- Shares of the ephemeral storage, and names of stored values.

-- The network address that a row came from on a server without keys, of which each has a share; '': nobody's share.
ALTER TABLE ephemeral ADD COLUMN owner TEXT NOT NULL DEFAULT '';

-- What an owner's rows add up to, expired ones included. By triggers, because rows come and go for four reasons.
CREATE TABLE ephemeral_shares (
    owner TEXT    PRIMARY KEY NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT;

CREATE TRIGGER ephemeral_put AFTER INSERT ON ephemeral WHEN NEW.owner <> ''
BEGIN
    INSERT INTO ephemeral_shares (owner, bytes) VALUES (NEW.owner, NEW.size)
        ON CONFLICT (owner) DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER ephemeral_replaced AFTER UPDATE OF size, owner ON ephemeral
BEGIN
    UPDATE ephemeral_shares SET bytes = bytes - OLD.size WHERE owner = OLD.owner;
    INSERT INTO ephemeral_shares (owner, bytes) SELECT NEW.owner, NEW.size WHERE NEW.owner <> ''
        ON CONFLICT (owner) DO UPDATE SET bytes = bytes + excluded.bytes;
    DELETE FROM ephemeral_shares WHERE owner = OLD.owner AND bytes = 0;
END;

CREATE TRIGGER ephemeral_removed AFTER DELETE ON ephemeral WHEN OLD.owner <> ''
BEGIN
    UPDATE ephemeral_shares SET bytes = bytes - OLD.size WHERE owner = OLD.owner;
    DELETE FROM ephemeral_shares WHERE owner = OLD.owner AND bytes = 0;
END;

-- The text that a key is the digest of, by which a function lists its keys. NULL: a key of 2020, which is no digest.
ALTER TABLE stored_values ADD COLUMN name BLOB;
CREATE INDEX stored_values_name ON stored_values (wasm_id, name) WHERE name IS NOT NULL;
