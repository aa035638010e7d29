-- Purchases. An element of an array can't be NULL; an empty text stands for it.

-- What became of these purchase ids before, by the primary key.
-- name: FindPurchases :many
SELECT purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at, click_id,
       payment_reference, lines, status, evaluation, request_hash, source, recorded_by, created_at, updated_at
FROM purchases
WHERE purchase_id = ANY(@purchase_ids::text[]);

-- Purchases that are to be evaluated, or returned.
-- name: LockPurchases :many
SELECT purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at, click_id,
       payment_reference, lines, status, evaluation, request_hash, source, recorded_by, created_at, updated_at
FROM purchases
WHERE purchase_id = ANY(@purchase_ids::text[])
ORDER BY purchase_id
FOR UPDATE;

-- name: InsertPurchases :exec
INSERT INTO purchases (
    purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at, click_id,
    payment_reference, lines, status, evaluation, request_hash, source, recorded_by, created_at, updated_at
)
SELECT unnest(@purchase_ids::text[]),
       unnest(@merchant_ids::text[]),
       unnest(@customer_ids::text[]),
       unnest(@currencies::text[]),
       unnest(@amounts::decimal[]),
       unnest(@returned::decimal[]),
       unnest(@countries::text[]),
       unnest(@purchased_at::timestamptz[]),
       NULLIF(unnest(@click_ids::text[]), ''),
       NULLIF(unnest(@payment_references::text[]), ''),
       unnest(@lines::text[])::jsonb,
       unnest(@statuses::text[]),
       NULLIF(unnest(@evaluations::text[]), '')::jsonb,
       unnest(@request_hashes::bytea[]),
       unnest(@sources::text[]),
       unnest(@recorded_by::text[]),
       unnest(@created_at::timestamptz[]),
       unnest(@updated_at::timestamptz[]);

-- What is reported of a purchase never changes; what was made and returned of it does.
-- name: UpdatePurchases :exec
UPDATE purchases AS p
SET returned   = u.returned,
    lines      = u.lines::jsonb,
    status     = u.status,
    evaluation = NULLIF(u.evaluation, '')::jsonb,
    updated_at = u.updated_at
FROM (
    SELECT unnest(@purchase_ids::text[]) AS purchase_id,
           unnest(@returned::decimal[]) AS returned,
           unnest(@lines::text[]) AS lines,
           unnest(@statuses::text[]) AS status,
           unnest(@evaluations::text[]) AS evaluation,
           unnest(@updated_at::timestamptz[]) AS updated_at
) AS u
WHERE p.purchase_id = u.purchase_id;

-- name: GetPurchase :one
SELECT purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at, click_id,
       payment_reference, lines, status, evaluation, request_hash, source, recorded_by, created_at, updated_at
FROM purchases
WHERE purchase_id = @purchase_id;

-- What a customer bought before he was entered, by purchases_held.
-- name: HeldPurchasesOfCustomer :many
SELECT purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at, click_id,
       payment_reference, lines, status, evaluation, request_hash, source, recorded_by, created_at, updated_at
FROM purchases
WHERE status = 'HELD' AND customer_id = @customer_id
  AND (purchased_at, purchase_id) > (@after_at::timestamptz, @after_id::text)
ORDER BY purchased_at, purchase_id
LIMIT @max_rows;

-- Which of these customers have purchases that are not evaluated yet, by
-- purchases_held.
-- name: CustomersWithHeld :many
SELECT u.customer_id::text AS customer_id
FROM (SELECT unnest(@customer_ids::text[]) AS customer_id) AS u
WHERE EXISTS (SELECT 1 FROM purchases AS p WHERE p.status = 'HELD' AND p.customer_id = u.customer_id);

-- The lists are newest first, and begin after a place. Each has an index of its own,
-- purchases_by_customer, purchases_by_merchant, purchases_by_payment and
-- purchases_by_time; what more is asked is looked for among what that finds.
-- name: PurchasesOfCustomer :many
SELECT purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at, click_id,
       payment_reference, lines, status, evaluation, request_hash, source, recorded_by, created_at, updated_at
FROM purchases
WHERE customer_id = @customer_id
  AND purchased_at >= @from_at AND purchased_at < @to_at
  AND (purchased_at, purchase_id) < (@before_at::timestamptz, @before_id::text)
  AND (@merchant_id::text = '' OR merchant_id = @merchant_id)
  AND (@payment_reference::text = '' OR payment_reference = @payment_reference)
ORDER BY purchased_at DESC, purchase_id DESC
LIMIT @max_rows;

-- name: PurchasesOfMerchant :many
SELECT purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at, click_id,
       payment_reference, lines, status, evaluation, request_hash, source, recorded_by, created_at, updated_at
FROM purchases
WHERE merchant_id = @merchant_id
  AND purchased_at >= @from_at AND purchased_at < @to_at
  AND (purchased_at, purchase_id) < (@before_at::timestamptz, @before_id::text)
ORDER BY purchased_at DESC, purchase_id DESC
LIMIT @max_rows;

-- name: PurchasesOfPayment :many
SELECT purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at, click_id,
       payment_reference, lines, status, evaluation, request_hash, source, recorded_by, created_at, updated_at
FROM purchases
WHERE payment_reference = @payment_reference::text AND payment_reference IS NOT NULL
  AND purchased_at >= @from_at AND purchased_at < @to_at
  AND (purchased_at, purchase_id) < (@before_at::timestamptz, @before_id::text)
  AND (@merchant_id::text = '' OR merchant_id = @merchant_id)
ORDER BY purchased_at DESC, purchase_id DESC
LIMIT @max_rows;

-- name: PurchasesByTime :many
SELECT purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at, click_id,
       payment_reference, lines, status, evaluation, request_hash, source, recorded_by, created_at, updated_at
FROM purchases
WHERE purchased_at >= @from_at AND purchased_at < @to_at
  AND (purchased_at, purchase_id) < (@before_at::timestamptz, @before_id::text)
ORDER BY purchased_at DESC, purchase_id DESC
LIMIT @max_rows;
