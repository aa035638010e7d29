-- Accepted transfers to execute now: new ones, and those whose executor died
-- (its lease lapsed). SKIP LOCKED lets replicas claim side by side; the lease
-- only spares double work, what makes a transfer happen once is the executor's
-- own transaction. Partial index transfers_unfinished.
-- name: ClaimTransfers :many
UPDATE transfers
SET status      = 'IN_PROGRESS',
    lease_owner = @lease_owner::text,
    lease_until = @lease_until::timestamptz
WHERE transfer_id IN (
    SELECT t.transfer_id
    FROM transfers AS t
    WHERE t.status IN ('PENDING', 'IN_PROGRESS')
      AND (t.lease_until IS NULL OR t.lease_until < @now::timestamptz)
    ORDER BY t.created_at, t.transfer_id
    LIMIT @max_transfers
    FOR UPDATE SKIP LOCKED
)
RETURNING transfer_id, kind, source_account_id, destination_account_id, amount, currency,
          description, metadata, request_hash, effective_at, created_at;

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
