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
