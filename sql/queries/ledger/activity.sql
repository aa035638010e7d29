-- What operators see. None of it locks a row of the books, and none reads more of
-- them than a bounded number of rows but SumAccounts.

-- A replica's own rows, as they are in full: written again after an unknown outcome
-- they are the same.
-- name: SaveActivity :exec
INSERT INTO ledger_activity (span_seconds, begins_at, replica, region, currency, code, transfers, volume, expires_at)
SELECT unnest(@spans_seconds::bigint[]),
       unnest(@begins_at::timestamptz[]),
       @replica,
       @region,
       unnest(@currencies::text[]),
       unnest(@codes::text[]),
       unnest(@transfers::bigint[]),
       unnest(@volumes::decimal[]),
       unnest(@expires_at::timestamptz[])
ON CONFLICT (span_seconds, begins_at, replica, currency, code) DO UPDATE
SET transfers = excluded.transfers,
    volume    = excluded.volume;

-- A range of the primary key: as many rows as the period has spans, times replicas,
-- currencies and codes.
-- name: ActivitySeries :many
SELECT begins_at, currency, (code = 'ok')::boolean AS is_completed,
       sum(transfers)::bigint AS transfers, sum(volume)::decimal AS volume
FROM ledger_activity
WHERE span_seconds = @span_seconds
  AND begins_at >= @from_time::timestamptz
  AND expires_at > @now::timestamptz
GROUP BY begins_at, currency, code = 'ok'
ORDER BY begins_at, currency;

-- The same range, by everything but time.
-- name: ActivityTotals :many
SELECT region, replica, currency, code,
       sum(transfers)::bigint AS transfers, sum(volume)::decimal AS volume, max(begins_at)::timestamptz AS last_at
FROM ledger_activity
WHERE span_seconds = @span_seconds
  AND begins_at >= @from_time::timestamptz
  AND expires_at > @now::timestamptz
GROUP BY region, replica, currency, code
ORDER BY region, replica, currency, code;

-- Accepted and not done, no more of them than max_rows. Partial index
-- transfers_unfinished, the oldest first.
-- name: WaitingTransfers :one
SELECT count(*) AS transfers, coalesce(min(created_at), @now::timestamptz)::timestamptz AS oldest_at
FROM (
    SELECT created_at
    FROM transfers
    WHERE status IN ('PENDING', 'IN_PROGRESS')
    ORDER BY created_at
    LIMIT @max_rows
) AS waiting;

-- Holds whose time comes before until, no more of them than max_rows. Partial index
-- holds_expiring, the next first.
-- name: ExpiringHolds :one
SELECT count(*) AS holds, coalesce(min(expires_at), @until::timestamptz)::timestamptz AS next_at
FROM (
    SELECT expires_at
    FROM holds
    WHERE status = 'PENDING' AND expires_at < @until::timestamptz
    ORDER BY expires_at
    LIMIT @max_rows
) AS expiring;

-- Takes the turn if it has come. A replica that dies with it is followed by another
-- when the next one comes.
-- name: TakeProofTurn :execrows
INSERT INTO proof_turns AS t (kind, taken_by, next_at)
VALUES (@kind, @taken_by, @next_at)
ON CONFLICT (kind) DO UPDATE
SET taken_by = excluded.taken_by,
    next_at  = excluded.next_at
WHERE t.next_at <= @now::timestamptz;

-- What a turn did not achieve is tried again sooner.
-- name: RetryProofTurn :exec
UPDATE proof_turns
SET next_at = @next_at
WHERE kind = @kind AND taken_by = @taken_by;

-- All accounts, in a snapshot.
-- name: SumAccounts :many
SELECT currency, count(*) AS accounts, sum(posted)::decimal AS total
FROM accounts
GROUP BY currency
ORDER BY currency;

-- name: InsertProof :exec
INSERT INTO proofs (kind, read_at, recorded_at, recorded_by, is_balanced, offences, sums, expires_at)
VALUES (@kind, @read_at, @recorded_at, @recorded_by, @is_balanced, @offences, @sums, sqlc.narg(expires_at))
ON CONFLICT (kind, read_at, recorded_by) DO NOTHING;

-- The end of the primary key's range.
-- name: NewestProof :one
SELECT kind, read_at, recorded_at, recorded_by, is_balanced, offences, sums
FROM proofs
WHERE kind = @kind
ORDER BY read_at DESC
LIMIT 1;

-- Where the database does not do it itself, on PostgreSQL. A few at a time.
-- name: DeleteExpiredActivity :execrows
DELETE FROM ledger_activity
WHERE (span_seconds, begins_at, replica, currency, code) IN (
    SELECT e.span_seconds, e.begins_at, e.replica, e.currency, e.code
    FROM ledger_activity AS e
    WHERE e.expires_at <= @now
    LIMIT @row_limit
);

-- name: DeleteExpiredProofs :execrows
DELETE FROM proofs
WHERE (kind, read_at, recorded_by) IN (
    SELECT e.kind, e.read_at, e.recorded_by
    FROM proofs AS e
    WHERE e.expires_at <= @now
    LIMIT @row_limit
);
