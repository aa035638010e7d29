-- What an export can't do without: why it FAILED, as a code, because not every
-- failure may be tried again by itself; and which parameters of its destination
-- it was created with, because they say where that is.
--
-- While the old version is still running: it leaves both as they are. An export
-- that it fails has no code, and is tried again.

-- +goose Up
-- The code of the error; only of an export that FAILED.
ALTER TABLE exports ADD COLUMN error_code TEXT NULL;
-- SHA-256, in hex, of the parameters but for credentials. Empty when it is not
-- known, and for folders, which have none.
ALTER TABLE exports ADD COLUMN parameters_hash TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE exports DROP COLUMN parameters_hash;
ALTER TABLE exports DROP COLUMN error_code;
