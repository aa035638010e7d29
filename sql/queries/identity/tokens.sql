-- name: InsertUserToken :exec
INSERT INTO user_tokens (user_id, purpose, token_hash, password_hash, name, created_at, expires_at)
VALUES (@user_id, @purpose, @token_hash, @password_hash, @name, @now, @expires_at);

-- Ends the user's tokens of a purpose. The caller has the user's row locked.
-- name: DeleteUserTokensFor :exec
DELETE FROM user_tokens WHERE user_id = @user_id AND purpose = @purpose;

-- By user_tokens_token_hash_key.
-- name: FindUserToken :one
SELECT user_id
FROM user_tokens
WHERE token_hash = @token_hash AND purpose = @purpose AND expires_at > @now;

-- A token is used by deleting it: of two at once, one finds it.
-- name: TakeUserToken :one
DELETE FROM user_tokens
WHERE token_hash = @token_hash AND purpose = @purpose AND expires_at > @now
RETURNING user_id, password_hash, name;

-- name: DeleteUserTokens :exec
DELETE FROM user_tokens WHERE user_id = @user_id;

-- name: DeleteTokensOfUsers :exec
DELETE FROM user_tokens WHERE user_id = ANY(@user_ids::text[]);

-- name: DeleteExpiredUserTokens :execrows
DELETE FROM user_tokens
WHERE token_hash IN (SELECT t.token_hash FROM user_tokens t WHERE t.expires_at <= @now ORDER BY t.expires_at LIMIT @row_limit);
