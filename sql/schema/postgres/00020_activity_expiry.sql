-- Indexes by which the program finds activity and proofs that have expired and deletes
-- them. sql/schema/cockroach leaves that to the database.
--
-- While the old version is still running: it does not know the tables.

-- +goose Up
CREATE INDEX ledger_activity_expiring ON ledger_activity (expires_at);
CREATE INDEX proofs_expiring ON proofs (expires_at) WHERE expires_at IS NOT NULL;

-- +goose Down
DROP INDEX proofs_expiring;
DROP INDEX ledger_activity_expiring;
