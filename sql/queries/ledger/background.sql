-- Accepted transfers to execute now: new ones, and those whose executor died
-- (its lease lapsed). Partial index transfers_unfinished.
-- Without FOR UPDATE SKIP LOCKED: CockroachDB, with statistics of an emptier table,
-- would read and lock all of it for that.
-- name: UnclaimedTransfers :many
SELECT transfer_id
FROM transfers
WHERE status IN ('PENDING', 'IN_PROGRESS')
  AND (lease_until IS NULL OR lease_until < @now::timestamptz)
ORDER BY created_at, transfer_id
LIMIT @max_transfers;

-- Claims what nobody else has claimed meanwhile. The lease only spares double work;
-- what makes a transfer happen once is the executor's own transaction.
-- name: ClaimTransfers :many
UPDATE transfers
SET status      = 'IN_PROGRESS',
    lease_owner = @lease_owner::text,
    lease_until = @lease_until::timestamptz
WHERE transfer_id = ANY(@transfer_ids::text[])
  AND status IN ('PENDING', 'IN_PROGRESS')
  AND (lease_until IS NULL OR lease_until < @now::timestamptz)
RETURNING transfer_id, kind, source_account_id, destination_account_id, amount, currency,
          description, metadata, request_hash, effective_at, created_at,
          role_transfer_limit, role_daily_limit;

-- How much is accepted and not done, and since when. Partial index.
-- name: UnfinishedTransfers :one
SELECT count(*) AS transfers, coalesce(min(created_at), now())::timestamptz AS oldest
FROM transfers
WHERE status IN ('PENDING', 'IN_PROGRESS');

-- Holds past their time. Partial index holds_expiring.
-- name: ExpiredHolds :many
SELECT hold_id, source_account_id
FROM holds
WHERE status = 'PENDING' AND expires_at <= @now::timestamptz
ORDER BY expires_at
LIMIT @max_holds;
