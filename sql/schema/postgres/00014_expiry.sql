-- Indexes by which the program finds rows that have expired and deletes them.
-- sql/schema/cockroach leaves that to the database.
--
-- While the old version is still running: only adds indexes.

-- +goose Up
CREATE INDEX sessions_expiring ON sessions (expires_at);
CREATE INDEX user_tokens_expiring ON user_tokens (expires_at);
CREATE INDEX sign_in_throttle_expiring ON sign_in_throttle (expires_at);
CREATE INDEX mails_expiring ON mails (expires_at);

-- +goose Down
DROP INDEX mails_expiring;
DROP INDEX sign_in_throttle_expiring;
DROP INDEX user_tokens_expiring;
DROP INDEX sessions_expiring;
