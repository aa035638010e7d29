-- Rewards, and what campaigns gave. In a Work, rows are locked in one order:
-- campaign_totals, cashback_customers, purchases, rewards; each by its key.
--
-- An element of an array can't be NULL; an empty text and the time 0001-01-01 stand
-- for it.

-- What campaigns gave, locked: whoever may give more or takes back waits here.
-- name: LockTotals :many
SELECT campaign_id, version, currency, budget, accrued, confirmed, paid, reversed, owed, merchants, rewards
FROM campaign_totals
WHERE campaign_id = ANY(@campaign_ids::text[])
ORDER BY campaign_id
FOR UPDATE;

-- The budget is not among it: that is changed by people alone.
-- name: UpdateTotals :exec
UPDATE campaign_totals AS t
SET accrued   = u.accrued,
    confirmed = u.confirmed,
    paid      = u.paid,
    reversed  = u.reversed,
    owed      = u.owed,
    merchants = u.merchants,
    rewards   = u.rewards
FROM (
    SELECT unnest(@campaign_ids::text[]) AS campaign_id,
           unnest(@accrued::decimal[]) AS accrued,
           unnest(@confirmed::decimal[]) AS confirmed,
           unnest(@paid::decimal[]) AS paid,
           unnest(@reversed::decimal[]) AS reversed,
           unnest(@owed::decimal[]) AS owed,
           unnest(@merchants::decimal[]) AS merchants,
           unnest(@rewards::bigint[]) AS rewards
) AS u
WHERE t.campaign_id = u.campaign_id;

-- Rewards, locked by their ids.
-- name: LockRewards :many
SELECT reward_id, purchase_id, campaign_id, campaign_version, customer_id, currency, amount, merchant_amount,
       merchant_account, reversed, owed, status, confirm_at, next_at, attempts, failure_code, paid_to, transfers,
       created_at, updated_at
FROM rewards
WHERE reward_id = ANY(@reward_ids::text[])
ORDER BY reward_id
FOR UPDATE;

-- The rewards of purchases, locked: found by rewards_by_purchase, then locked by their
-- ids. LIMIT is for the plan, as in SegmentsOfCustomers.
-- name: LockRewardsOfPurchases :many
SELECT r.reward_id, r.purchase_id, r.campaign_id, r.campaign_version, r.customer_id, r.currency, r.amount,
       r.merchant_amount, r.merchant_account, r.reversed, r.owed, r.status, r.confirm_at, r.next_at, r.attempts,
       r.failure_code, r.paid_to, r.transfers, r.created_at, r.updated_at
FROM (
    SELECT reward_id
    FROM rewards
    WHERE purchase_id = ANY(@purchase_ids::text[])
    LIMIT 1000000000
) AS found
JOIN rewards AS r ON r.reward_id = found.reward_id
ORDER BY r.reward_id
FOR UPDATE OF r;

-- name: InsertRewards :exec
INSERT INTO rewards (
    reward_id, purchase_id, campaign_id, campaign_version, customer_id, currency, amount, merchant_amount,
    merchant_account, reversed, owed, status, confirm_at, next_at, attempts, failure_code, paid_to, transfers,
    created_at, updated_at
)
SELECT unnest(@reward_ids::text[]),
       unnest(@purchase_ids::text[]),
       unnest(@campaign_ids::text[]),
       unnest(@campaign_versions::bigint[]),
       unnest(@customer_ids::text[]),
       unnest(@currencies::text[]),
       unnest(@amounts::decimal[]),
       unnest(@merchant_amounts::decimal[]),
       unnest(@merchant_accounts::text[]),
       unnest(@reversed::decimal[]),
       unnest(@owed::decimal[]),
       unnest(@statuses::text[]),
       unnest(@confirm_at::timestamptz[]),
       NULLIF(unnest(@next_at::timestamptz[]), '0001-01-01 00:00:00+00'),
       unnest(@attempts::bigint[]),
       NULLIF(unnest(@failure_codes::text[]), ''),
       NULLIF(unnest(@paid_to::text[]), ''),
       unnest(@transfers::bigint[]),
       unnest(@created_at::timestamptz[]),
       unnest(@updated_at::timestamptz[]);

-- What a reward was granted as never changes; where it stands does.
-- name: UpdateRewards :exec
UPDATE rewards AS r
SET reversed     = u.reversed,
    owed         = u.owed,
    status       = u.status,
    next_at      = NULLIF(u.next_at, '0001-01-01 00:00:00+00'),
    attempts     = u.attempts,
    failure_code = NULLIF(u.failure_code, ''),
    paid_to      = NULLIF(u.paid_to, ''),
    transfers    = u.transfers,
    updated_at   = u.updated_at
FROM (
    SELECT unnest(@reward_ids::text[]) AS reward_id,
           unnest(@reversed::decimal[]) AS reversed,
           unnest(@owed::decimal[]) AS owed,
           unnest(@statuses::text[]) AS status,
           unnest(@next_at::timestamptz[]) AS next_at,
           unnest(@attempts::bigint[]) AS attempts,
           unnest(@failure_codes::text[]) AS failure_code,
           unnest(@paid_to::text[]) AS paid_to,
           unnest(@transfers::bigint[]) AS transfers,
           unnest(@updated_at::timestamptz[]) AS updated_at
) AS u
WHERE r.reward_id = u.reward_id;

-- name: GetReward :one
SELECT reward_id, purchase_id, campaign_id, campaign_version, customer_id, currency, amount, merchant_amount,
       merchant_account, reversed, owed, status, confirm_at, next_at, attempts, failure_code, paid_to, transfers,
       created_at, updated_at
FROM rewards
WHERE reward_id = @reward_id;

-- The lists are newest first, and begin after a place. Each has an index of its own,
-- rewards_by_purchase, rewards_by_customer and rewards_by_campaign; what more is asked
-- is looked for among what that finds.
-- name: RewardsOfPurchase :many
SELECT reward_id, purchase_id, campaign_id, campaign_version, customer_id, currency, amount, merchant_amount,
       merchant_account, reversed, owed, status, confirm_at, next_at, attempts, failure_code, paid_to, transfers,
       created_at, updated_at
FROM rewards
WHERE purchase_id = @purchase_id
  AND (created_at, reward_id) < (@before_at::timestamptz, @before_id::text)
  AND (@campaign_id::text = '' OR campaign_id = @campaign_id)
  AND (@customer_id::text = '' OR customer_id = @customer_id)
  AND (@status::text = '' OR status = @status)
ORDER BY created_at DESC, reward_id DESC
LIMIT @max_rows;

-- name: RewardsOfCustomer :many
SELECT reward_id, purchase_id, campaign_id, campaign_version, customer_id, currency, amount, merchant_amount,
       merchant_account, reversed, owed, status, confirm_at, next_at, attempts, failure_code, paid_to, transfers,
       created_at, updated_at
FROM rewards
WHERE customer_id = @customer_id
  AND (created_at, reward_id) < (@before_at::timestamptz, @before_id::text)
  AND (@campaign_id::text = '' OR campaign_id = @campaign_id)
  AND (@status::text = '' OR status = @status)
ORDER BY created_at DESC, reward_id DESC
LIMIT @max_rows;

-- name: RewardsOfCampaign :many
SELECT reward_id, purchase_id, campaign_id, campaign_version, customer_id, currency, amount, merchant_amount,
       merchant_account, reversed, owed, status, confirm_at, next_at, attempts, failure_code, paid_to, transfers,
       created_at, updated_at
FROM rewards
WHERE campaign_id = @campaign_id
  AND (created_at, reward_id) < (@before_at::timestamptz, @before_id::text)
  AND (@status::text = '' OR status = @status)
ORDER BY created_at DESC, reward_id DESC
LIMIT @max_rows;
