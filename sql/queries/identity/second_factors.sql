-- name: PutSecondFactor :exec
INSERT INTO second_factors AS f (user_id, secret, last_step, created_at)
VALUES (@user_id, @secret, 0, @now)
ON CONFLICT (user_id) DO UPDATE SET
    secret = excluded.secret, last_step = 0, created_at = excluded.created_at;

-- Locked: of two attempts with one code, the second sees what the first wrote.
-- name: LockSecondFactor :one
SELECT secret, last_step
FROM second_factors
WHERE user_id = @user_id
FOR UPDATE;

-- name: SetLastStep :exec
UPDATE second_factors SET last_step = @last_step WHERE user_id = @user_id;

-- name: DeleteSecondFactor :exec
DELETE FROM second_factors WHERE user_id = @user_id;

-- name: InsertRecoveryCodes :exec
INSERT INTO recovery_codes (user_id, code_hash, created_at)
SELECT @user_id, unnest(@code_hashes::bytea[]), @now;

-- A code is used by deleting it: of two at once, one finds it.
-- name: TakeRecoveryCode :execrows
DELETE FROM recovery_codes WHERE user_id = @user_id AND code_hash = @code_hash;

-- name: CountRecoveryCodes :one
SELECT count(*) FROM recovery_codes WHERE user_id = @user_id;

-- name: DeleteRecoveryCodes :exec
DELETE FROM recovery_codes WHERE user_id = @user_id;

-- Secrets that are not sealed with the first key; a scan, for `florin secrets
-- rotate`. current_prefix begins what that key sealed.
-- name: ListSecondFactorsToReseal :many
SELECT user_id, secret
FROM second_factors
WHERE user_id > @after AND substr(secret, 1, length(@current_prefix::text)) <> @current_prefix::text
ORDER BY user_id
LIMIT @row_limit;

-- Only if the secret is still the one that was read.
-- name: ResealSecondFactor :execrows
UPDATE second_factors SET secret = @sealed WHERE user_id = @user_id AND secret = @was;
