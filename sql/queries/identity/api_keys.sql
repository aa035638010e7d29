-- What a caller may do by a key: by api_keys_secret_hash_key and the primary key of
-- the person behind it. One who is locked, or has lost his role, takes his keys
-- with him, so that both are read at once.
-- name: FindAPIKey :one
SELECT k.key_id, k.name, k.role, k.scopes, k.owner_id, k.allowed_networks, k.expires_at, k.last_used_at,
    k.person_id, coalesce(u.role, '')::text AS person_role, coalesce(u.status, '')::text AS person_status
FROM api_keys AS k
LEFT JOIN users AS u ON u.user_id = k.person_id
WHERE k.secret_hash = @secret_hash AND k.revoked_at IS NULL;

-- The few keys without a prefix, which have any form: bootstrap keys. By
-- api_keys_by_prefix.
-- name: OddAPIKeys :many
SELECT key_id, name, role, secret_hash, expires_at, last_used_at
FROM api_keys
WHERE prefix = '' AND owner_id = '' AND revoked_at IS NULL;

-- name: CountAPIKeys :one
SELECT count(*) FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > @now::timestamptz);

-- name: InsertAPIKey :exec
INSERT INTO api_keys (
    key_id, name, secret_hash, created_at, role, scopes, owner_id, allowed_networks, expires_at, prefix, created_by,
    person_id
)
VALUES (
    @key_id, @name, @secret_hash, @created_at, @role, @scopes, @owner_id, @allowed_networks,
    sqlc.narg(expires_at)::timestamptz, @prefix, @created_by,
    @person_id
);

-- name: PersonBehindKey :one
SELECT person_id
FROM api_keys
WHERE key_id = @key_id;

-- The bootstrap key: locked, since several replicas start at once.
-- name: LockAPIKeyByHash :one
SELECT key_id, name, revoked_at, expires_at
FROM api_keys
WHERE secret_hash = @secret_hash
FOR UPDATE;

-- name: ReviveAPIKey :exec
UPDATE api_keys
SET revoked_at = NULL
WHERE key_id = @key_id;

-- The bootstrap key of an earlier configuration ends when another is configured.
-- name: RevokeOtherAPIKeys :many
UPDATE api_keys
SET revoked_at = @now::timestamptz
WHERE name = @name AND secret_hash <> @secret_hash AND revoked_at IS NULL
RETURNING key_id;

-- name: GetAPIKey :one
SELECT key_id, name, created_at, revoked_at, role, scopes, owner_id, allowed_networks, expires_at,
    last_used_at, last_used_address, prefix, replaced_by, created_by
FROM api_keys
WHERE key_id = @key_id AND (@owner_id::text = '' OR owner_id = @owner_id::text);

-- name: LockAPIKey :one
SELECT key_id, name, created_at, revoked_at, role, scopes, owner_id, allowed_networks, expires_at,
    last_used_at, last_used_address, prefix, replaced_by, created_by
FROM api_keys
WHERE key_id = @key_id AND (@owner_id::text = '' OR owner_id = @owner_id::text)
FOR UPDATE;

-- By primary key, or by api_keys_by_owner.
-- name: ListAPIKeys :many
SELECT key_id, name, created_at, revoked_at, role, scopes, owner_id, allowed_networks, expires_at,
    last_used_at, last_used_address, prefix, replaced_by, created_by
FROM api_keys
WHERE key_id > @after
  AND (@owner_id::text = '' OR owner_id = @owner_id::text)
  AND left(prefix, length(@prefix::text)) = @prefix::text
ORDER BY key_id
LIMIT @max_keys;

-- name: ReplaceAPIKey :exec
UPDATE api_keys
SET replaced_by = @replaced_by, expires_at = @expires_at::timestamptz
WHERE key_id = @key_id;

-- name: RevokeAPIKey :exec
UPDATE api_keys
SET revoked_at = @now::timestamptz, expires_at = sqlc.narg(expires_at)::timestamptz
WHERE key_id = @key_id;

-- Not again within a minute, whichever replica saw it.
-- name: NoteAPIKeyUses :exec
UPDATE api_keys AS k
SET last_used_at = u.used_at, last_used_address = u.address
FROM (
    SELECT unnest(@key_ids::text[]) AS key_id,
           unnest(@used_at::timestamptz[]) AS used_at,
           unnest(@addresses::text[]) AS address
) AS u
WHERE k.key_id = u.key_id AND (k.last_used_at IS NULL OR k.last_used_at <= u.used_at - INTERVAL '1 minute');
