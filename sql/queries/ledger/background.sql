-- Accepted transfers to execute now: new ones, and those whose executor died
-- (its lease lapsed). SKIP LOCKED lets replicas claim side by side; the lease
-- only spares double work, what makes a transfer happen once is the executor's
-- own transaction. Partial index transfers_unfinished.
-- MATERIALIZED, so that no plan runs the inner query more than once.
-- name: ClaimTransfers :many
WITH claimable AS MATERIALIZED (
    SELECT c.transfer_id
    FROM transfers AS c
    WHERE c.status IN ('PENDING', 'IN_PROGRESS')
      AND (c.lease_until IS NULL OR c.lease_until < @now::timestamptz)
    ORDER BY c.created_at, c.transfer_id
    LIMIT @max_transfers
    FOR UPDATE SKIP LOCKED
)
UPDATE transfers AS t
SET status      = 'IN_PROGRESS',
    lease_owner = @lease_owner::text,
    lease_until = @lease_until::timestamptz
FROM claimable
WHERE t.transfer_id = claimable.transfer_id
RETURNING t.transfer_id, t.kind, t.source_account_id, t.destination_account_id, t.amount, t.currency,
          t.description, t.metadata, t.request_hash, t.effective_at, t.created_at;

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
