-- Home regions: where an account's rows live in a database of several regions.
--
-- Plain text, the same on every engine; in a database of several regions the
-- localities that `florin migrate` sets are computed from it. Empty: the account
-- was opened where there were none, or in none in particular.
--
-- While the old version is still running: its inserts leave the new columns
-- empty, its reads name their columns.

-- +goose Up
-- Never changes: the rows below repeat it.
ALTER TABLE accounts ADD COLUMN home_region TEXT NOT NULL DEFAULT '';
-- The source account's.
ALTER TABLE transfers ADD COLUMN home_region TEXT NOT NULL DEFAULT '';
-- The account's.
ALTER TABLE postings ADD COLUMN home_region TEXT NOT NULL DEFAULT '';
-- The source account's.
ALTER TABLE holds ADD COLUMN home_region TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE holds DROP COLUMN home_region;
ALTER TABLE postings DROP COLUMN home_region;
ALTER TABLE transfers DROP COLUMN home_region;
ALTER TABLE accounts DROP COLUMN home_region;
