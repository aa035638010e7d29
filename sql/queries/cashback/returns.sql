-- Returns. An element of an array can't be NULL; an empty text stands for it, and -1
-- for an amount.

-- What became of these return ids before, by the primary key.
-- name: FindReturns :many
SELECT return_id, purchase_id, customer_id, merchant_id, lines, amount, returned_at, status, failure_code,
       failure_message, parts, currency, reversed, request_hash, source, recorded_by, created_at, updated_at
FROM purchase_returns
WHERE return_id = ANY(@return_ids::text[]);

-- Returns that came before their purchase was evaluated, by
-- purchase_returns_by_purchase. They change under the lock of the purchase's
-- customer. LIMIT is for the plan, as in SegmentsOfCustomers.
-- name: WaitingReturnsOfPurchases :many
SELECT return_id, purchase_id, customer_id, merchant_id, lines, amount, returned_at, status, failure_code,
       failure_message, parts, currency, reversed, request_hash, source, recorded_by, created_at, updated_at
FROM purchase_returns
WHERE purchase_id = ANY(@purchase_ids::text[]) AND purchase_id <> '' AND status = 'WAITING'
LIMIT 1000000000;

-- Returns that name no purchase and came before their customer was entered, by
-- purchase_returns_waiting.
-- name: WaitingReturnsOfCustomer :many
SELECT return_id, purchase_id, customer_id, merchant_id, lines, amount, returned_at, status, failure_code,
       failure_message, parts, currency, reversed, request_hash, source, recorded_by, created_at, updated_at
FROM purchase_returns
WHERE customer_id = @customer_id AND purchase_id = '' AND status = 'WAITING'
  AND (returned_at, return_id) > (@after_at::timestamptz, @after_id::text)
ORDER BY returned_at, return_id
LIMIT @max_rows;

-- name: InsertReturns :exec
INSERT INTO purchase_returns (
    return_id, purchase_id, customer_id, merchant_id, lines, amount, returned_at, status, failure_code,
    failure_message, parts, currency, reversed, request_hash, source, recorded_by, created_at, updated_at
)
SELECT unnest(@return_ids::text[]),
       unnest(@purchase_ids::text[]),
       unnest(@customer_ids::text[]),
       unnest(@merchant_ids::text[]),
       NULLIF(unnest(@lines::text[]), '')::jsonb,
       NULLIF(unnest(@amounts::decimal[]), -1),
       unnest(@returned_at::timestamptz[]),
       unnest(@statuses::text[]),
       NULLIF(unnest(@failure_codes::text[]), ''),
       NULLIF(unnest(@failure_messages::text[]), ''),
       NULLIF(unnest(@parts::text[]), '')::jsonb,
       NULLIF(unnest(@currencies::text[]), ''),
       unnest(@reversed::decimal[]),
       unnest(@request_hashes::bytea[]),
       unnest(@sources::text[]),
       unnest(@recorded_by::text[]),
       unnest(@created_at::timestamptz[]),
       unnest(@updated_at::timestamptz[]);

-- The end of those that waited.
-- name: FinishReturns :exec
UPDATE purchase_returns AS r
SET status          = u.status,
    failure_code    = NULLIF(u.failure_code, ''),
    failure_message = NULLIF(u.failure_message, ''),
    parts           = NULLIF(u.parts, '')::jsonb,
    currency        = NULLIF(u.currency, ''),
    reversed        = u.reversed,
    updated_at      = u.updated_at
FROM (
    SELECT unnest(@return_ids::text[]) AS return_id,
           unnest(@statuses::text[]) AS status,
           unnest(@failure_codes::text[]) AS failure_code,
           unnest(@failure_messages::text[]) AS failure_message,
           unnest(@parts::text[]) AS parts,
           unnest(@currencies::text[]) AS currency,
           unnest(@reversed::decimal[]) AS reversed,
           unnest(@updated_at::timestamptz[]) AS updated_at
) AS u
WHERE r.return_id = u.return_id;

-- name: GetReturn :one
SELECT return_id, purchase_id, customer_id, merchant_id, lines, amount, returned_at, status, failure_code,
       failure_message, parts, currency, reversed, request_hash, source, recorded_by, created_at, updated_at
FROM purchase_returns
WHERE return_id = @return_id;

-- A page of what a customer bought before a place, the newest first, by
-- purchases_by_customer: a return is looked for in it that names no purchase. It has
-- the lines of those alone that it may be of, but counts all, so that it ends.
-- name: ReturnablePurchases :many
SELECT purchase_id, purchased_at, currency,
       (CASE WHEN merchant_id = @merchant_id::text AND status = 'ACCEPTED' THEN lines END)::jsonb AS lines
FROM purchases
WHERE customer_id = @customer_id
  AND (purchased_at, purchase_id) < (@before_at::timestamptz, @before_id::text)
ORDER BY purchased_at DESC, purchase_id DESC
LIMIT @max_rows;

-- How many lines purchases have, by the primary key.
-- name: LineCounts :many
SELECT purchase_id, jsonb_array_length(lines)::bigint AS lines
FROM purchases
WHERE purchase_id = ANY(@purchase_ids::text[]);
