-- Indexes of the cashback tables in the order of time: hash-sharded on CockroachDB,
-- where all inserts of an index that grows with the clock would land on one range.
--
-- While the old version is still running: it does not know the tables.

-- +goose Up
CREATE INDEX purchases_by_time ON purchases (purchased_at, purchase_id) USING HASH WITH (bucket_count = 8);
CREATE INDEX rewards_due ON rewards (next_at, reward_id) USING HASH WITH (bucket_count = 8) WHERE next_at IS NOT NULL;

-- +goose Down
DROP INDEX rewards_due;
DROP INDEX purchases_by_time;
