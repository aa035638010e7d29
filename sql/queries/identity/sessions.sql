-- name: InsertSession :exec
INSERT INTO sessions (token_hash, session_id, user_id, address, agent, created_at, last_used_at, proven_at, ends_at, expires_at)
VALUES (@token_hash, @session_id, @user_id, @address, @agent, @now, @now, @now, @ends_at, @expires_at);

-- By primary key, on every request whose session is not remembered.
-- name: FindSession :one
SELECT s.session_id, s.user_id, s.last_used_at, s.proven_at, s.ends_at, s.expires_at, u.name, u.role,
    u.second_factor_at
FROM sessions s
JOIN users u ON u.user_id = s.user_id
WHERE s.token_hash = @token_hash AND s.expires_at > @now AND u.status = 'ACTIVE';

-- Of several that come at once, one writes.
-- name: TouchSession :exec
UPDATE sessions
SET last_used_at = @now, expires_at = least(ends_at, @idle_until)
WHERE token_hash = @token_hash AND last_used_at <= @touched_before AND expires_at > @now;

-- By sessions_user_session_key.
-- name: ListSessions :many
SELECT session_id, address, agent, created_at, last_used_at, expires_at
FROM sessions
WHERE user_id = @user_id AND expires_at > @now
ORDER BY created_at DESC, session_id;

-- By sessions_user_session_key.
-- name: FindSessionProof :one
SELECT proven_at
FROM sessions
WHERE user_id = @user_id AND session_id = @session_id AND expires_at > @now;

-- name: ProveSession :execrows
UPDATE sessions
SET proven_at = @now
WHERE user_id = @user_id AND session_id = @session_id AND expires_at > @now;

-- name: DeleteSession :execrows
DELETE FROM sessions
WHERE user_id = @user_id AND session_id = @session_id;

-- All sessions of a user but one, or all with none named.
-- name: DeleteSessions :execrows
DELETE FROM sessions
WHERE user_id = @user_id AND session_id <> @kept_id;

-- name: DeleteSessionsOfUsers :exec
DELETE FROM sessions WHERE user_id = ANY(@user_ids::text[]);

-- Some of what has expired; by sessions_expiring, on PostgreSQL.
-- name: DeleteExpiredSessions :execrows
DELETE FROM sessions
WHERE token_hash IN (SELECT s.token_hash FROM sessions s WHERE s.expires_at <= @now ORDER BY s.expires_at LIMIT @row_limit);
