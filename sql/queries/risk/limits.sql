-- All that are set: a few dozen rows at most, read once in a few seconds.
-- name: AllLimits :many
SELECT role, currency, per_transfer, daily, updated_by, updated_at
FROM role_limits
ORDER BY role, currency;

-- name: UpsertLimits :exec
INSERT INTO role_limits (role, currency, per_transfer, daily, updated_by, updated_at)
VALUES (@role, @currency, sqlc.narg(per_transfer), sqlc.narg(daily), @updated_by, @updated_at)
ON CONFLICT (role, currency) DO UPDATE
SET per_transfer = excluded.per_transfer,
    daily        = excluded.daily,
    updated_by   = excluded.updated_by,
    updated_at   = excluded.updated_at;
