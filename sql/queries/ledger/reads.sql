-- Reads. But for GetAccountSettled none locks a row, and none joins a serializable
-- transaction, so none disturbs a write. On PostgreSQL none waits for one either;
-- on CockroachDB a read of a row that a batch has locked waits for that batch.
-- Optional filters are NULL when absent; the connections plan
-- such statements for the values at hand.

-- name: GetAccount :one
SELECT account_id, account_type, currency, status, posted, held, overdraft_limit,
       shortfall, last_seq, version, metadata, opening_hash, created_at, updated_at, home_region,
       owner_id, transfer_limit, daily_limit, spent_since, spent
FROM accounts
WHERE account_id = @account_id;

-- In the order of the primary key, which no insert disturbs.
-- name: ListAccounts :many
SELECT account_id, account_type, currency, status, posted, held, overdraft_limit,
       shortfall, last_seq, version, metadata, opening_hash, created_at, updated_at, home_region,
       owner_id, transfer_limit, daily_limit, spent_since, spent
FROM accounts
WHERE account_id > @after_account_id
  AND (sqlc.narg(account_type)::text IS NULL OR account_type = sqlc.narg(account_type)::text)
  AND (sqlc.narg(status)::text IS NULL OR status = sqlc.narg(status)::text)
  AND (sqlc.narg(currency)::text IS NULL OR currency = sqlc.narg(currency)::text)
  AND (sqlc.narg(metadata)::jsonb IS NULL OR metadata @> sqlc.narg(metadata)::jsonb)
ORDER BY account_id
LIMIT @max_rows;

-- One owner's, in the order of the partial index accounts_by_owner: nobody else's
-- is read, however many there are.
-- name: ListAccountsOfOwner :many
SELECT account_id, account_type, currency, status, posted, held, overdraft_limit,
       shortfall, last_seq, version, metadata, opening_hash, created_at, updated_at, home_region,
       owner_id, transfer_limit, daily_limit, spent_since, spent
FROM accounts
WHERE owner_id = @owner_id AND owner_id <> ''
  AND account_id > @after_account_id
  AND (sqlc.narg(account_type)::text IS NULL OR account_type = sqlc.narg(account_type)::text)
  AND (sqlc.narg(status)::text IS NULL OR status = sqlc.narg(status)::text)
  AND (sqlc.narg(currency)::text IS NULL OR currency = sqlc.narg(currency)::text)
  AND (sqlc.narg(metadata)::jsonb IS NULL OR metadata @> sqlc.narg(metadata)::jsonb)
ORDER BY account_id
LIMIT @max_rows;

-- Which of these accounts are the owner's, and since when. Primary key lookups.
-- name: OwnedAccounts :many
SELECT account_id, created_at
FROM accounts
WHERE account_id = ANY(@account_ids::text[]) AND owner_id = @owner_id;

-- name: GetTransfer :one
SELECT t.transfer_id, t.kind, t.source_account_id, t.destination_account_id, t.amount, t.currency,
       t.status, t.failure_code, t.failure_message, t.description, t.metadata, t.hold_id, t.reverses_id,
       t.source_seq, t.destination_seq, t.request_hash, t.effective_at, t.created_at, t.finished_at,
       coalesce((SELECT r.transfer_id FROM transfers AS r
                 WHERE r.reverses_id = t.transfer_id AND r.reverses_id IS NOT NULL AND r.status = 'COMPLETED'), '')::text AS reversed_by_id
FROM transfers AS t
WHERE t.transfer_id = @transfer_id;

-- Newest first by (created_at, transfer_id), which never change.
-- name: ListTransfers :many
SELECT transfer_id, kind, source_account_id, destination_account_id, amount, currency,
       status, failure_code, failure_message, description, metadata, hold_id, reverses_id,
       source_seq, destination_seq, request_hash, effective_at, created_at, finished_at
FROM transfers
WHERE (created_at, transfer_id) < (@before_time::timestamptz, @before_id::text)
  AND created_at >= @from_time::timestamptz
  AND created_at < @to_time::timestamptz
  AND (sqlc.narg(status)::text IS NULL OR status = sqlc.narg(status)::text)
ORDER BY created_at DESC, transfer_id DESC
LIMIT @max_rows;

-- One account's, both directions: each branch is a range of its own index.
-- failed_from leaves out what failed before the account was opened: it named an
-- account that did not exist, and is nothing to whoever opened it later.
-- hides_failed_receipts leaves out what others tried to pay: why it failed is about
-- their accounts. A capture is the receiver's own.
-- name: ListTransfersOfAccount :many
SELECT transfer_id, kind, source_account_id, destination_account_id, amount, currency,
       status, failure_code, failure_message, description, metadata, hold_id, reverses_id,
       source_seq, destination_seq, request_hash, effective_at, created_at, finished_at
FROM (
    (SELECT s.* FROM transfers AS s
     WHERE s.source_account_id = @account_id
       AND (s.created_at, s.transfer_id) < (@before_time::timestamptz, @before_id::text)
       AND s.created_at >= @from_time::timestamptz
       AND s.created_at < @to_time::timestamptz
       AND (s.status <> 'FAILED' OR s.created_at >= @failed_from::timestamptz)
       AND (sqlc.narg(status)::text IS NULL OR s.status = sqlc.narg(status)::text)
     ORDER BY s.created_at DESC, s.transfer_id DESC
     LIMIT @max_rows)
    UNION ALL
    (SELECT d.* FROM transfers AS d
     WHERE d.destination_account_id = @account_id
       -- A transfer to the same account is refused and recorded: list it once.
       AND d.source_account_id <> @account_id
       AND (d.created_at, d.transfer_id) < (@before_time::timestamptz, @before_id::text)
       AND d.created_at >= @from_time::timestamptz
       AND d.created_at < @to_time::timestamptz
       AND (d.status <> 'FAILED' OR d.kind = 'CAPTURE' OR NOT @hides_failed_receipts::boolean)
       AND (sqlc.narg(status)::text IS NULL OR d.status = sqlc.narg(status)::text)
     ORDER BY d.created_at DESC, d.transfer_id DESC
     LIMIT @max_rows)
) AS both_directions
ORDER BY created_at DESC, transfer_id DESC
LIMIT @max_rows;

-- What an account has paid since a time: a range of transfers_by_source, newest
-- first and no more than max_rows, so that the work is bounded however busy it is.
-- name: Outflow :one
SELECT count(*) AS transfers, coalesce(sum(amount), 0)::decimal AS total
FROM (
    SELECT amount, status, kind
    FROM transfers
    WHERE source_account_id = @account_id
      AND created_at >= @since::timestamptz
    ORDER BY created_at DESC, transfer_id DESC
    LIMIT @max_rows
) AS recent
WHERE status = 'COMPLETED'
  AND kind IN ('TRANSFER', 'CAPTURE');

-- Whether one account has ever paid another: a range of transfers_by_source, which
-- ends at the first that is found.
-- name: HasPaid :one
SELECT EXISTS (
    SELECT 1
    FROM transfers
    WHERE source_account_id = @source_account_id
      AND destination_account_id = @destination_account_id
      AND status = 'COMPLETED'
      AND kind IN ('TRANSFER', 'CAPTURE')
);

-- The two postings of a transfer, by primary key.
-- name: GetPostings :many
SELECT account_id, seq, transfer_id, amount, balance, currency, created_at, home_region
FROM postings
WHERE (account_id = @source_account_id AND seq = @source_seq)
   OR (account_id = @destination_account_id AND seq = @destination_seq);

-- A statement: a range of the primary key, newest first.
-- name: ListPostings :many
SELECT account_id, seq, transfer_id, amount, balance, currency, created_at, home_region
FROM postings
WHERE account_id = @account_id
  AND seq < @before_seq
  AND seq >= @from_seq
ORDER BY seq DESC
LIMIT @max_rows;

-- name: GetPosting :one
SELECT account_id, seq, transfer_id, amount, balance, currency, created_at, home_region
FROM postings
WHERE account_id = @account_id AND seq = @seq;

-- Waits for a batch that is changing the account just now, and holds up the next
-- no longer than one row takes to read:
-- for the one reading that must see every posting up to this moment.
-- name: GetAccountSettled :one
SELECT account_id, account_type, currency, status, posted, held, overdraft_limit,
       shortfall, last_seq, version, metadata, opening_hash, created_at, updated_at, home_region,
       owner_id, transfer_limit, daily_limit, spent_since, spent
FROM accounts
WHERE account_id = @account_id
FOR SHARE;

-- name: GetHold :one
SELECT hold_id, source_account_id, destination_account_id, amount, currency, status,
       captured_amount, capture_id, description, metadata, request_hash, expires_at,
       created_at, updated_at, home_region
FROM holds
WHERE hold_id = @hold_id;

-- name: ListPendingHolds :many
-- An account's holds that reserve money, by holds_pending_by_account: those that
-- ended are not in that index, and grow with the ledger.
SELECT hold_id, source_account_id, destination_account_id, amount, currency, status,
       captured_amount, capture_id, description, metadata, request_hash, expires_at,
       created_at, updated_at, home_region
FROM holds
WHERE source_account_id = @account_id
  AND status = 'PENDING'
  AND hold_id > @after_hold_id
ORDER BY hold_id
LIMIT @max_rows::int;
