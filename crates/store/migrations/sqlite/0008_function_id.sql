-- One word for the number of a function: function_id, as versions call it. Only the API of 2020 calls it wasm_id.
-- SQLite changes what refers to a column with it: indexes, triggers and foreign keys. Most indexes keep their names,
-- because to rename one is to build it anew.
ALTER TABLE functions RENAME COLUMN wasm_id TO function_id;
ALTER TABLE stored_values RENAME COLUMN wasm_id TO function_id;
ALTER TABLE stored_totals RENAME COLUMN wasm_id TO function_id;
ALTER TABLE calls RENAME COLUMN wasm_id TO function_id;
ALTER TABLE usage RENAME COLUMN wasm_id TO function_id;
ALTER TABLE secrets RENAME COLUMN wasm_id TO function_id;
ALTER TABLE recordings RENAME COLUMN wasm_id TO function_id;
ALTER TABLE api_keys RENAME COLUMN wasm_id TO function_id;
ALTER TABLE jobs RENAME COLUMN wasm_id TO function_id;
ALTER TABLE jobs_kept RENAME COLUMN wasm_id TO function_id;

-- The audit log by its name. Its numbers go on: sqlite_sequence follows the name of the table.
ALTER TABLE sent RENAME TO audit;
ALTER TABLE sent_functions RENAME TO audit_functions;
ALTER TABLE audit_functions RENAME COLUMN wasm_id TO function_id;
DROP INDEX sent_call;
DROP INDEX sent_functions_last;
CREATE INDEX audit_call ON audit (call_to, call_from);
CREATE INDEX audit_functions_last ON audit_functions (last);
