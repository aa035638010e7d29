-- What a person is shown beside the amounts of his own postings and transactions.
-- Whether they are his is checked where they are read, by the ledger's reach: the
-- ids come from there. Other modules' tables are only read here.

-- Transactions of a page of postings. Primary key.
-- name: TransfersByID :many
SELECT transfer_id, kind, source_account_id, destination_account_id, description
FROM transfers
WHERE transfer_id = ANY(@transfer_ids::text[]);

-- Whose these accounts are; deleted users have no name. Primary keys.
-- name: OwnersOfAccounts :many
SELECT a.account_id, a.owner_id, u.name
FROM accounts AS a
JOIN users AS u ON u.user_id = a.owner_id
WHERE a.account_id = ANY(@account_ids::text[]) AND a.owner_id <> '';

-- Those of the users who own accounts, closed ones included. Partial index
-- accounts_by_owner.
-- name: AccountOwners :many
SELECT DISTINCT owner_id
FROM accounts
WHERE owner_id = ANY(@user_ids::text[]) AND owner_id <> '';

-- Who waits for a bank account of his. Partial index wallet_payments_open.
-- name: CountOpenPaymentsOfLink :one
SELECT count(*)
FROM wallet_payments
WHERE user_id = @user_id AND linked_account_id = @linked_account_id
  AND status IN ('IN_REVIEW', 'READY', 'AGREED', 'RELEASING');

-- What came to an owner's accounts and left them, newest first: of each account
-- two ranges, by transfers_by_source and transfers_by_destination, no longer than
-- the page. The owner is checked here, on the accounts. What did not come about is
-- its sender's to see, unless that was the house. Between two of his accounts a
-- transfer is found twice.
-- name: TransfersOfOwner :many
SELECT a.account_id, t.direction::text AS direction, t.transfer_id, t.kind, t.source_account_id, t.destination_account_id,
       t.amount, t.currency, t.status, t.failure_code, t.failure_message, t.description, t.created_at, t.finished_at
FROM accounts AS a
CROSS JOIN LATERAL (
    (SELECT 'SENT' AS direction, s.transfer_id, s.kind, s.source_account_id, s.destination_account_id, s.amount, s.currency,
            s.status, s.failure_code, s.failure_message, s.description, s.created_at, s.finished_at
     FROM transfers AS s
     WHERE s.source_account_id = a.account_id
       AND (s.created_at, s.transfer_id) < (@before_time::timestamptz, @before_id::text)
       AND s.created_at >= @from_time::timestamptz
       AND s.created_at < @to_time::timestamptz
       AND (s.status <> 'FAILED' OR s.created_at >= a.created_at)
     ORDER BY s.created_at DESC, s.transfer_id DESC
     LIMIT @max_rows)
    UNION ALL
    (SELECT 'RECEIVED' AS direction, d.transfer_id, d.kind, d.source_account_id, d.destination_account_id, d.amount, d.currency,
            d.status, d.failure_code, d.failure_message, d.description, d.created_at, d.finished_at
     FROM transfers AS d
     WHERE d.destination_account_id = a.account_id
       AND (d.created_at, d.transfer_id) < (@before_time::timestamptz, @before_id::text)
       AND d.created_at >= @from_time::timestamptz
       AND d.created_at < @to_time::timestamptz
       AND (d.status = 'COMPLETED' OR d.source_account_id LIKE 'house:%' AND d.created_at >= a.created_at)
     ORDER BY d.created_at DESC, d.transfer_id DESC
     LIMIT @max_rows)
) AS t
WHERE a.owner_id = @owner_id::text AND a.owner_id <> ''
  AND (@account_id::text = '' OR a.account_id = @account_id::text)
ORDER BY t.created_at DESC, t.transfer_id DESC, t.direction DESC
LIMIT @max_rows;
