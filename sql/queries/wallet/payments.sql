-- Payments that a bank or a reviewer has a say in: a handful a user, each read and
-- written by its id.

-- Nothing happens when the id is taken; the caller reads that row in the same
-- transaction.
-- name: InsertPayment :execrows
INSERT INTO wallet_payments (
    payment_id, kind, user_id, account_id, other_account_id, linked_account_id, amount, currency, description,
    request_hash, status, transfer_limit, daily_limit, attempts, next_at, created_at, updated_at
)
VALUES (
    @payment_id, @kind, @user_id, @account_id, @other_account_id, @linked_account_id, @amount, @currency, @description,
    @request_hash, @status, sqlc.narg(transfer_limit), sqlc.narg(daily_limit), 0, sqlc.narg(next_at), @now, @now
)
ON CONFLICT (payment_id) DO NOTHING;

-- name: GetPayment :one
SELECT payment_id, kind, user_id, account_id, other_account_id, linked_account_id, amount, currency, description,
       request_hash, status, failure_code, failure_message, transfer_limit, daily_limit, attempts, next_at,
       created_at, updated_at
FROM wallet_payments
WHERE payment_id = @payment_id;

-- Moves a payment on, if it still is where the caller saw it: of two replicas that
-- settle one payment the second changes nothing. What only whoever claimed it last
-- may say names his claim: what hangs on nobody else having gone on meanwhile.
-- name: MovePayment :execrows
UPDATE wallet_payments
SET status          = @to_status,
    failure_code    = sqlc.narg(failure_code),
    failure_message = sqlc.narg(failure_message),
    next_at         = sqlc.narg(next_at),
    updated_at      = @now
WHERE payment_id = @payment_id AND status = @from_status
  AND (sqlc.narg(claim)::bigint IS NULL OR attempts = sqlc.narg(claim)::bigint);

-- Puts off the next try of a payment that is not settled yet. It is no step:
-- updated_at says since when the payment stands where it does.
-- name: PostponePayment :exec
UPDATE wallet_payments
SET next_at = @next_at
WHERE payment_id = @payment_id AND status IN ('READY', 'AGREED', 'RELEASING');

-- Partial index wallet_payments_due.
-- name: DuePayments :many
SELECT payment_id
FROM wallet_payments
WHERE next_at IS NOT NULL AND next_at <= @now::timestamptz
ORDER BY next_at
LIMIT @max_rows;

-- Claims what nobody else has claimed meanwhile. It counts before anything is
-- tried, so that 0 attempts means that nothing was but by whoever began it.
-- name: ClaimPayment :execrows
UPDATE wallet_payments
SET attempts = attempts + 1, next_at = @until::timestamptz
WHERE payment_id = @payment_id AND status IN ('READY', 'AGREED', 'RELEASING') AND attempts = @attempts;

-- What a user has under way. Partial index wallet_payments_open.
-- name: OpenPayments :many
SELECT payment_id, kind, user_id, account_id, other_account_id, linked_account_id, amount, currency, description,
       request_hash, status, failure_code, failure_message, transfer_limit, daily_limit, attempts, next_at,
       created_at, updated_at
FROM wallet_payments
WHERE user_id = @user_id AND status IN ('IN_REVIEW', 'READY', 'AGREED', 'RELEASING') AND payment_id > @after_payment_id
ORDER BY payment_id
LIMIT @max_rows;
