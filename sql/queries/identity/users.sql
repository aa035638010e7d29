-- A sign-up. The same statement whether the address is known or not. What a user
-- signed up with is kept with the token that he is mailed: of several who sign up
-- one address nobody gains by being first, nor by being last. From the second on
-- the user's row has a hash that no password has (contested_hash). Nothing of a
-- verified user changes.
-- name: PutSignUp :one
INSERT INTO users AS u (user_id, email, password_hash, role, status, name, phone, address, locale, created_at, updated_at)
VALUES (@user_id, @email::text, @password_hash, @role, 'ACTIVE', @name, '', '', @locale, @now, @now)
ON CONFLICT (email) DO UPDATE SET
    password_hash = CASE WHEN u.email_verified_at IS NULL THEN @contested_hash::text ELSE u.password_hash END,
    updated_at = CASE WHEN u.email_verified_at IS NULL THEN excluded.updated_at ELSE u.updated_at END
RETURNING user_id, email_verified_at;

-- name: InsertUser :exec
INSERT INTO users (user_id, email, email_verified_at, password_hash, role, status, name, phone, address, locale, created_at, updated_at)
VALUES (@user_id, @email::text, @now::timestamptz, @password_hash, @role, 'ACTIVE', @name, '', '', @locale, @now, @now);

-- By primary key.
-- name: FindUser :one
SELECT user_id, email, email_verified_at, password_hash, role, status, name, phone, address, locale,
    second_factor_at, created_at, updated_at
FROM users
WHERE user_id = @user_id;

-- By users_email_key.
-- name: FindUserByEmail :one
SELECT user_id, email, email_verified_at, password_hash, role, status, name, phone, address, locale,
    second_factor_at, created_at, updated_at
FROM users
WHERE email = @email::text;

-- The user's row is what all changes of his credentials are ordered by.
-- name: LockUser :one
SELECT user_id, email, email_verified_at, password_hash, role, status, name, phone, address, locale,
    second_factor_at, created_at, updated_at
FROM users
WHERE user_id = @user_id
FOR UPDATE;

-- In the order of the primary key, or of users_by_role for one role.
-- name: ListUsers :many
SELECT user_id, email, email_verified_at, password_hash, role, status, name, phone, address, locale,
    second_factor_at, created_at, updated_at
FROM users
WHERE user_id > @after
  AND (@role::text = '' OR role = @role::text)
  AND (@status::text = '' OR status = @status::text)
  AND (@email::text = '' OR email = @email::text)
ORDER BY user_id
LIMIT @row_limit;

-- name: UpdateProfile :exec
UPDATE users
SET name = @name, phone = @phone, address = @address, locale = @locale, updated_at = @now
WHERE user_id = @user_id;

-- name: SetEmailVerified :exec
UPDATE users
SET email_verified_at = @now::timestamptz, updated_at = @now
WHERE user_id = @user_id AND email_verified_at IS NULL;

-- The address is the user's, and what he signed up with. Not again.
-- name: VerifySignUp :execrows
UPDATE users
SET email_verified_at = @now::timestamptz, password_hash = @password_hash, name = @name, updated_at = @now
WHERE user_id = @user_id AND email_verified_at IS NULL AND status = 'ACTIVE';

-- name: SetPassword :exec
UPDATE users
SET password_hash = @password_hash, updated_at = @now
WHERE user_id = @user_id;

-- name: SetRole :exec
UPDATE users
SET role = @role, updated_at = @now
WHERE user_id = @user_id;

-- name: SetStatus :exec
UPDATE users
SET status = @status, updated_at = @now
WHERE user_id = @user_id;

-- name: SetSecondFactor :exec
UPDATE users
SET second_factor_at = sqlc.narg(second_factor_at)::timestamptz, updated_at = @now
WHERE user_id = @user_id;

-- What is left of a user that was deleted: the id that the books name, and when.
-- name: PseudonymiseUser :exec
UPDATE users
SET email = NULL, email_verified_at = NULL, password_hash = '', status = 'DELETED', role = 'customer',
    name = '', phone = '', address = '', locale = '', second_factor_at = NULL, updated_at = @now
WHERE user_id = @user_id;

-- By linked_accounts' index of user_id.
-- name: DeleteLinkedAccountsOfUser :exec
DELETE FROM linked_accounts WHERE user_id = @user_id;

-- name: RevokeKeysOfUser :execrows
UPDATE api_keys
SET revoked_at = @now::timestamptz
WHERE owner_id = @user_id AND revoked_at IS NULL;

-- A page of all users in the order of the primary key: where it ends, empty after the
-- last, and those of it who signed up, the last time, before a time and whose address
-- is not verified. Users are walked, not looked up: an index of these few would be
-- written with every sign-up, for a look or two a day.
-- name: UnverifiedUsers :one
SELECT coalesce(max(p.user_id), '')::text AS last_user_id,
    coalesce(array_agg(p.user_id ORDER BY p.user_id)
        FILTER (WHERE p.email_verified_at IS NULL AND p.status = 'ACTIVE' AND p.updated_at < @before::timestamptz), '{}')::text[] AS user_ids
FROM (
    SELECT u.user_id, u.email_verified_at, u.status, u.updated_at
    FROM users u
    WHERE u.user_id > @after
    ORDER BY u.user_id
    LIMIT @row_limit
) AS p;

-- Deletes those of the users who still have not verified their address, and have
-- nothing: no mail of theirs waits to be followed, no key was made for them, no bank
-- account linked. By primary keys, api_keys_by_owner and linked_accounts_once_a_user.
-- name: DeleteUnverifiedUsers :many
DELETE FROM users AS u
WHERE u.user_id = ANY(@user_ids::text[])
  AND u.email_verified_at IS NULL AND u.status = 'ACTIVE' AND u.updated_at < @before::timestamptz
  AND NOT EXISTS (SELECT 1 FROM user_tokens AS t WHERE t.user_id = u.user_id AND t.expires_at > @now::timestamptz)
  AND NOT EXISTS (SELECT 1 FROM api_keys AS k WHERE k.owner_id = u.user_id)
  AND NOT EXISTS (SELECT 1 FROM linked_accounts AS l WHERE l.user_id = u.user_id)
RETURNING u.user_id;
