-- Rows that expire are deleted by CockroachDB's own job (row-level TTL), in small
-- batches, once an hour. Reads check expires_at themselves: a row counts for
-- nothing from that moment, deleted or not. On PostgreSQL the program sweeps:
-- sql/schema/postgres has the indexes for it.
--
-- While the old version is still running: it does not know these tables.

-- +goose Up
ALTER TABLE sessions SET (ttl_expiration_expression = 'expires_at', ttl_job_cron = '7 * * * *');
ALTER TABLE user_tokens SET (ttl_expiration_expression = 'expires_at', ttl_job_cron = '17 * * * *');
ALTER TABLE sign_in_throttle SET (ttl_expiration_expression = 'expires_at', ttl_job_cron = '27 * * * *');
ALTER TABLE mails SET (ttl_expiration_expression = 'expires_at', ttl_job_cron = '37 * * * *');

-- +goose Down
ALTER TABLE mails RESET (ttl);
ALTER TABLE sign_in_throttle RESET (ttl);
ALTER TABLE user_tokens RESET (ttl);
ALTER TABLE sessions RESET (ttl);
