-- Indexes in the order of time, on PostgreSQL: plain B-trees, appended at the
-- right. sql/schema/cockroach has the same indexes, hash-sharded.
--
-- While the old version is still running: only adds indexes and storage settings.

-- +goose Up
CREATE INDEX transfers_by_time ON transfers (created_at, transfer_id);
CREATE INDEX transfers_failed_by_time ON transfers (created_at, transfer_id) WHERE status = 'FAILED';
CREATE INDEX transfers_unfinished ON transfers (created_at, transfer_id) WHERE status IN ('PENDING', 'IN_PROGRESS');
CREATE INDEX holds_expiring ON holds (expires_at, hold_id) WHERE status = 'PENDING';

-- A balance changes with every transfer. Room on its page keeps the update
-- there (HOT), without a new entry in any index; a hot account leaves hundreds
-- of dead versions a second, which vacuum must take away soon.
ALTER TABLE accounts SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- +goose Down
ALTER TABLE accounts RESET (fillfactor, autovacuum_vacuum_scale_factor);
DROP INDEX holds_expiring;
DROP INDEX transfers_unfinished;
DROP INDEX transfers_failed_by_time;
DROP INDEX transfers_by_time;
