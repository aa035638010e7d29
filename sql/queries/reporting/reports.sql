-- Reports. Each is one statement in a snapshot, whose rows are passed on as they
-- come: the program keeps none. They read what a period is about, which for
-- balances is every posting since it began: postings have no index by time
-- (docs/adr/0005), so the whole table is gone through in the order of its key.

-- What stood on each account before and after a period, and what moved in it. The
-- past is counted back from the account's balance, which is the sum of its postings.
-- name: TrialBalance :many
SELECT a.account_id, a.account_type, a.currency,
       (a.posted - coalesce(p.since_from, 0))::decimal AS opening,
       coalesce(p.debits, 0)::decimal AS debits,
       coalesce(p.credits, 0)::decimal AS credits,
       (a.posted - coalesce(p.since_to, 0))::decimal AS closing
FROM accounts AS a
LEFT JOIN (
    SELECT account_id,
           sum(amount) AS since_from,
           sum(amount) FILTER (WHERE created_at >= @to_time::timestamptz) AS since_to,
           -sum(amount) FILTER (WHERE amount < 0 AND created_at < @to_time::timestamptz) AS debits,
           sum(amount) FILTER (WHERE amount > 0 AND created_at < @to_time::timestamptz) AS credits
    FROM postings
    WHERE created_at >= @from_time::timestamptz
    GROUP BY account_id
) AS p ON p.account_id = a.account_id
WHERE a.created_at < @to_time::timestamptz
ORDER BY a.account_id;

-- What moved on the accounts of some types: accounts_by_type, then their postings by
-- the primary key.
-- name: ProfitAndLoss :many
SELECT a.account_id, a.account_type, a.currency,
       coalesce(-sum(p.amount) FILTER (WHERE p.amount < 0), 0)::decimal AS debits,
       coalesce(sum(p.amount) FILTER (WHERE p.amount > 0), 0)::decimal AS credits,
       coalesce(sum(p.amount), 0)::decimal AS result
FROM accounts AS a
LEFT JOIN postings AS p ON p.account_id = a.account_id
    AND p.created_at >= @from_time::timestamptz AND p.created_at < @to_time::timestamptz
WHERE a.account_type IN ('REVENUE', 'EXPENSE') AND a.created_at < @to_time::timestamptz
GROUP BY a.account_id, a.account_type, a.currency
ORDER BY a.account_type DESC, a.account_id;

-- A range of transfers_by_time. Days are of UTC.
-- name: DailyVolumes :many
SELECT (created_at AT TIME ZONE 'UTC')::date AS day, currency, kind,
       count(*) FILTER (WHERE status = 'COMPLETED') AS completed,
       coalesce(sum(amount) FILTER (WHERE status = 'COMPLETED'), 0)::decimal AS volume,
       count(*) FILTER (WHERE status = 'FAILED') AS failed,
       count(*) FILTER (WHERE status IN ('PENDING', 'IN_PROGRESS')) AS unfinished
FROM transfers
WHERE created_at >= @from_time::timestamptz AND created_at < @to_time::timestamptz
GROUP BY (created_at AT TIME ZONE 'UTC')::date, currency, kind
ORDER BY day, currency, kind;

-- What the house owes to those whose accounts these are, and they to it.
-- name: CustomerLiabilities :many
SELECT account_type, currency, count(*) AS accounts,
       sum(opening)::decimal AS opening,
       sum(closing)::decimal AS closing,
       coalesce(sum(closing) FILTER (WHERE closing > 0), 0)::decimal AS owed_to_customers,
       coalesce(-sum(closing) FILTER (WHERE closing < 0), 0)::decimal AS owed_by_customers
FROM (
    SELECT a.account_type, a.currency,
           a.posted - coalesce(p.since_from, 0) AS opening,
           a.posted - coalesce(p.since_to, 0) AS closing
    FROM accounts AS a
    LEFT JOIN (
        SELECT account_id, sum(amount) AS since_from, sum(amount) FILTER (WHERE created_at >= @to_time::timestamptz) AS since_to
        FROM postings
        WHERE created_at >= @from_time::timestamptz
        GROUP BY account_id
    ) AS p ON p.account_id = a.account_id
    WHERE a.created_at < @to_time::timestamptz
      AND a.account_type NOT IN ('ASSET', 'LIABILITY', 'EQUITY', 'REVENUE', 'EXPENSE')
) AS balances
GROUP BY account_type, currency
ORDER BY account_type, currency;

-- name: StatementAccount :one
SELECT account_id, account_type, currency, owner_id, posted, last_seq, created_at
FROM accounts
WHERE account_id = @account_id;

-- In the order of the partial index accounts_by_owner.
-- name: StatementAccounts :many
SELECT account_id, account_type, currency, owner_id, posted, last_seq, created_at
FROM accounts
WHERE owner_id = @owner_id AND owner_id <> ''
ORDER BY account_id
LIMIT @max_rows;

-- One posting, by the primary key: a time is found by halving, since times never go
-- back within an account.
-- name: PostingNumbered :one
SELECT balance, created_at
FROM postings
WHERE account_id = @account_id AND seq = @seq;

-- A range of the primary key, each with its transfer by that's.
-- name: StatementLines :many
SELECT p.account_id, p.seq, p.created_at, p.transfer_id, t.kind,
       CASE WHEN t.source_account_id = p.account_id THEN t.destination_account_id ELSE t.source_account_id END::text AS counterparty,
       t.description, p.amount, p.balance, p.currency
FROM postings AS p
JOIN transfers AS t ON t.transfer_id = p.transfer_id
WHERE p.account_id = @account_id AND p.seq > @after_seq AND p.seq <= @last_seq
ORDER BY p.seq;
