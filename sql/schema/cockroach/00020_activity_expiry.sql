-- Activity and proofs that have expired are deleted by CockroachDB's own job, once an
-- hour, as in 00014. On PostgreSQL the program sweeps: sql/schema/postgres has the
-- indexes for it.
--
-- While the old version is still running: it does not know the tables.

-- +goose Up
ALTER TABLE ledger_activity SET (ttl_expiration_expression = 'expires_at', ttl_job_cron = '47 * * * *');
ALTER TABLE proofs SET (ttl_expiration_expression = 'expires_at', ttl_job_cron = '57 * * * *');

-- +goose Down
ALTER TABLE proofs RESET (ttl);
ALTER TABLE ledger_activity RESET (ttl);
