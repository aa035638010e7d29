-- name: FindAPIKey :one
SELECT key_id, name, created_at
FROM api_keys
WHERE secret_hash = @secret_hash AND revoked_at IS NULL;

-- name: CountAPIKeys :one
SELECT count(*) FROM api_keys WHERE revoked_at IS NULL;

-- Safe to repeat: a key that is there already is valid (again).
-- name: InsertAPIKey :exec
INSERT INTO api_keys (key_id, name, secret_hash, created_at)
VALUES (@key_id, @name, @secret_hash, @created_at)
ON CONFLICT (secret_hash) DO UPDATE SET revoked_at = NULL;

-- The bootstrap key of an earlier configuration ends when another is configured.
-- name: RevokeOtherAPIKeys :execrows
UPDATE api_keys
SET revoked_at = @now::timestamptz
WHERE name = @name AND secret_hash <> @secret_hash AND revoked_at IS NULL;
