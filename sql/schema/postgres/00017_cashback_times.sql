-- Indexes of the cashback tables in the order of time: hash-sharded on CockroachDB,
-- where all inserts of an index that grows with the clock would land on one range.
--
-- While the old version is still running: it does not know the tables.

-- +goose Up
CREATE INDEX purchases_by_time ON purchases (purchased_at, purchase_id);
CREATE INDEX rewards_due ON rewards (next_at, reward_id) WHERE next_at IS NOT NULL;

-- One row a campaign, changed by every batch: room on its page for the next version.
ALTER TABLE campaign_totals SET (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- +goose Down
ALTER TABLE campaign_totals RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
DROP INDEX rewards_due;
DROP INDEX purchases_by_time;
