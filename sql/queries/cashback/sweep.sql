-- What a sweep finds to do. It reads without locks: what makes a step happen once is
-- the reward's row, read again and locked in the Work that does it. Without FOR
-- UPDATE SKIP LOCKED: CockroachDB, with statistics of an emptier table, would read and
-- lock all of it for that (as for the ledger's UnclaimedTransfers).

-- The rewards that are due, those that have waited longest first. Partial index
-- rewards_due, which has all that is asked: in one statement with what follows,
-- CockroachDB would read both tables whole while it takes them for small.
-- name: DueRewards :many
SELECT reward_id
FROM rewards
WHERE next_at IS NOT NULL AND next_at <= @now::timestamptz
ORDER BY next_at, reward_id
LIMIT @max_rows;

-- What the step of rewards needs to know before its transaction, by the primary keys.
-- name: RewardsToSettle :many
SELECT r.reward_id, r.campaign_id, r.campaign_version, r.customer_id, r.merchant_account, r.owed, r.paid_to, r.attempts,
       c.account_id AS wallet
FROM rewards AS r
JOIN cashback_customers AS c ON c.customer_id = r.customer_id
WHERE r.reward_id = ANY(@reward_ids::text[]);

-- Where customers want their rewards, by the primary key. Not locked: a transaction
-- that changes it is before or after this one, and either is right.
-- name: AccountsOfCustomers :many
SELECT customer_id, account_id
FROM cashback_customers
WHERE customer_id = ANY(@customer_ids::text[]);

-- Puts off a reward whose step has failed in a way that no rule foresees, so that it
-- does not keep others from theirs.
-- name: PostponeReward :exec
UPDATE rewards
SET next_at = @next_at::timestamptz, attempts = attempts + 1
WHERE reward_id = @reward_id AND next_at IS NOT NULL;

-- Versions of campaigns, which never change, by the primary key.
-- name: FindCampaignVersions :many
SELECT c.campaign_id, c.version, c.terms, c.created_by, c.created_at
FROM campaigns AS c
JOIN (
    SELECT unnest(@campaign_ids::text[]) AS campaign_id, unnest(@versions::bigint[]) AS version
) AS u ON c.campaign_id = u.campaign_id AND c.version = u.version;

-- Customers of whom a purchase waits, or a return that names none, each once, with
-- whether they are known by now: those after a customer. Partial indexes purchases_held
-- and purchase_returns_waiting; known customers are looked up by the primary key.
-- name: WaitingCustomers :many
SELECT w.customer_id::text AS customer_id,
       EXISTS (SELECT 1 FROM cashback_customers AS c WHERE c.customer_id = w.customer_id)::bool AS is_known
FROM (
    SELECT customer_id
    FROM (
        (SELECT DISTINCT customer_id
         FROM purchases
         WHERE status = 'HELD' AND customer_id > @after_customer_id::text
         ORDER BY customer_id
         LIMIT @max_rows)
        UNION
        (SELECT DISTINCT customer_id
         FROM purchase_returns
         WHERE status = 'WAITING' AND purchase_id = '' AND customer_id > @after_customer_id::text
         ORDER BY customer_id
         LIMIT @max_rows)
    ) AS either
    ORDER BY customer_id
    LIMIT @max_rows
) AS w
ORDER BY w.customer_id;
