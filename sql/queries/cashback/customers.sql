-- A customer with the segments whose lists he is on, by the primary keys.
-- name: GetCustomer :one
SELECT customer_id, account_id, country, tier, purchases, created_at, updated_at,
       ARRAY(
           SELECT m.segment
           FROM segment_members AS m
           WHERE m.customer_id = c.customer_id
           ORDER BY m.segment
       )::text[] AS segments
FROM cashback_customers AS c
WHERE c.customer_id = @customer_id;

-- Of two who enter the same customer one meets the primary key.
-- name: InsertCustomer :exec
INSERT INTO cashback_customers (customer_id, account_id, country, tier, purchases, created_at, updated_at)
VALUES (@customer_id, @account_id, @country, '', 0, @created_at, @created_at);

-- What the caller may change; tier and count are those of his purchases.
-- name: UpdateCustomer :exec
UPDATE cashback_customers
SET account_id = @account_id,
    country    = @country,
    updated_at = @updated_at
WHERE customer_id = @customer_id;

-- name: LeaveSegments :exec
DELETE FROM segment_members
WHERE customer_id = @customer_id AND segment <> ALL(@stays_in::text[]);

-- name: JoinSegments :exec
INSERT INTO segment_members (customer_id, segment)
SELECT @customer_id::text, segment
FROM unnest(@segments::text[]) AS joined (segment)
ON CONFLICT (customer_id, segment) DO NOTHING;

-- Newest first, by the primary key.
-- name: ListTierChanges :many
SELECT at, tier, spend
FROM tier_changes
WHERE customer_id = @customer_id
ORDER BY seq DESC
LIMIT @max_rows;
