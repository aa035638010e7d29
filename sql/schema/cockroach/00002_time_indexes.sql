-- Indexes in the order of time, on CockroachDB: hash-sharded, because all
-- inserts of an index that grows with the clock would land on one range.
-- sql/schema/postgres has the same indexes for PostgreSQL.
--
-- While the old version is still running: only adds indexes.

-- +goose Up
CREATE INDEX transfers_by_time ON transfers (created_at, transfer_id) USING HASH WITH (bucket_count = 8);
CREATE INDEX transfers_failed_by_time ON transfers (created_at, transfer_id) USING HASH WITH (bucket_count = 8) WHERE status = 'FAILED';
CREATE INDEX transfers_unfinished ON transfers (created_at, transfer_id) USING HASH WITH (bucket_count = 8) WHERE status IN ('PENDING', 'IN_PROGRESS');
CREATE INDEX holds_expiring ON holds (expires_at, hold_id) USING HASH WITH (bucket_count = 8) WHERE status = 'PENDING';

-- +goose Down
DROP INDEX holds_expiring;
DROP INDEX transfers_unfinished;
DROP INDEX transfers_failed_by_time;
DROP INDEX transfers_by_time;
