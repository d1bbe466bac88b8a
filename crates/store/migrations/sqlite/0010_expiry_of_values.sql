-- Values that end: Unix milliseconds, from when on the row is as good as gone; NULL: it stays.
ALTER TABLE stored_values ADD COLUMN expires_at INTEGER;
CREATE INDEX stored_values_expires_at ON stored_values (function_id, expires_at) WHERE expires_at IS NOT NULL;
