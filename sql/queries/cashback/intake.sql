-- What the intake's Work reads and writes of customers (ledger.Work): one statement
-- a table, however many purchases there are. In it rows are locked in one order:
-- campaign_totals, cashback_customers, purchases, rewards; each by its key. What is
-- a customer's own (spend, caps, clicks) changes under the lock of his row alone.
--
-- CockroachDB, with statistics of an emptier table, would rather read all of a table
-- than look up twenty keys, unless it knows how many rows a lookup finds at most. Of
-- a whole primary key it does; where rows are found by the beginning of a key, a
-- LIMIT that nothing reaches tells it.

-- The customers of a batch, locked: what they have spent and got counts.
-- name: LockCustomers :many
SELECT customer_id, country, tier, purchases
FROM cashback_customers
WHERE customer_id = ANY(@customer_ids::text[])
ORDER BY customer_id
FOR UPDATE;

-- By the primary key. LIMIT is for the plan.
-- name: SegmentsOfCustomers :many
SELECT customer_id, segment
FROM segment_members
WHERE customer_id = ANY(@customer_ids::text[])
LIMIT 1000000000;

-- What customers spent, by day, from a day on, by the primary key; days count from
-- 1970-01-01. LIMIT is for the plan.
-- name: SpendOfCustomers :many
SELECT customer_id, (day - '1970-01-01'::date)::bigint AS day, amount
FROM customer_spend
WHERE customer_id = ANY(@customer_ids::text[]) AND currency = @currency::text AND day >= (@from_day::text)::date
LIMIT 1000000000;

-- By the primary key. OFFSET 0 has PostgreSQL look up one key after the other: the
-- plan is made while the table is empty, and would read all of it.
-- name: CapsOfCustomers :many
SELECT c.customer_id, c.campaign_id, c.period, c.amount
FROM (
    SELECT unnest(@customer_ids::text[]) AS customer_id,
           unnest(@campaign_ids::text[]) AS campaign_id,
           unnest(@periods::text[]) AS period
) AS u
CROSS JOIN LATERAL (
    SELECT customer_id, campaign_id, period, amount
    FROM reward_caps
    WHERE customer_id = u.customer_id AND campaign_id = u.campaign_id AND period = u.period
    OFFSET 0
) AS c;

-- name: UpdateCustomerCounts :exec
UPDATE cashback_customers AS c
SET tier       = u.tier,
    purchases  = u.purchases,
    updated_at = u.updated_at
FROM (
    SELECT unnest(@customer_ids::text[]) AS customer_id,
           unnest(@tiers::text[]) AS tier,
           unnest(@purchases::bigint[]) AS purchases,
           unnest(@updated_at::timestamptz[]) AS updated_at
) AS u
WHERE c.customer_id = u.customer_id;

-- Adds to what customers spent; what was returned is taken off.
-- name: AddSpend :exec
INSERT INTO customer_spend (customer_id, currency, day, amount)
SELECT unnest(@customer_ids::text[]),
       unnest(@currencies::text[]),
       unnest(@days::text[])::date,
       unnest(@amounts::decimal[])
ON CONFLICT (customer_id, currency, day) DO UPDATE
SET amount = customer_spend.amount + excluded.amount;

-- name: InsertTierChanges :exec
INSERT INTO tier_changes (customer_id, seq, at, tier, spend)
SELECT unnest(@customer_ids::text[]),
       unnest(@seqs::bigint[]),
       unnest(@at::timestamptz[]),
       unnest(@tiers::text[]),
       unnest(@spend::decimal[]);

-- Adds to what customers got in a period.
-- name: AddToCaps :exec
INSERT INTO reward_caps (campaign_id, customer_id, period, amount)
SELECT unnest(@campaign_ids::text[]),
       unnest(@customer_ids::text[]),
       unnest(@periods::text[]),
       unnest(@amounts::decimal[])
ON CONFLICT (customer_id, campaign_id, period) DO UPDATE
SET amount = reward_caps.amount + excluded.amount;

-- Takes off it what was taken back. By itself: a row to be inserted must not be
-- below zero, whether it is there or not.
-- name: TakeOffCaps :exec
UPDATE reward_caps AS c
SET amount = c.amount - u.amount
FROM (
    SELECT unnest(@campaign_ids::text[]) AS campaign_id,
           unnest(@customer_ids::text[]) AS customer_id,
           unnest(@periods::text[]) AS period,
           unnest(@amounts::decimal[]) AS amount
) AS u
WHERE c.customer_id = u.customer_id AND c.campaign_id = u.campaign_id AND c.period = u.period;

-- Who is concerned when purchases are returned: read before the transaction, for it
-- to lock, and looked at again under the locks. By the primary key and
-- rewards_by_purchase; LIMIT is for the plan, and smaller than the others: what it
-- says is multiplied with how many purchases there are.
-- name: ReachOfPurchases :many
SELECT p.purchase_id, p.customer_id, r.campaign_id, r.campaign_version, r.merchant_account, r.paid_to
FROM purchases AS p
LEFT JOIN (
    SELECT reward_id, purchase_id
    FROM rewards
    WHERE purchase_id = ANY(@purchase_ids::text[])
    LIMIT 1000000
) AS found ON found.purchase_id = p.purchase_id
LEFT JOIN rewards AS r ON r.reward_id = found.reward_id
WHERE p.purchase_id = ANY(@purchase_ids::text[]);
