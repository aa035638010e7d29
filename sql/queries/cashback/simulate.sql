-- What a simulation reads, all on one snapshot. Index purchases_by_time.

-- How many purchases a period has, as far as max_rows.
-- name: CountPurchasesToSimulate :one
SELECT count(*)
FROM (
    SELECT 1
    FROM purchases
    WHERE purchased_at >= @from_at::timestamptz AND purchased_at < @to_at::timestamptz
    LIMIT @max_rows
) AS first_ones;

-- A period's purchases in the order of their times, with what came back of them, what
-- was known of their customers then and the click that they were attributed to. Held ones have no
-- evaluation yet.
-- name: PurchasesToSimulate :many
SELECT p.purchase_id, p.merchant_id, p.customer_id, p.currency, p.country, p.purchased_at, p.lines, p.amount, p.returned,
       (p.evaluation -> 'customer')::jsonb AS customer,
       k.click_id, k.campaign_id AS click_campaign_id, k.clicked_at
FROM purchases AS p
LEFT JOIN clicks AS k ON k.click_id = p.evaluation ->> 'click'
WHERE p.purchased_at >= @from_at::timestamptz AND p.purchased_at < @to_at::timestamptz
  AND p.evaluation IS NOT NULL
ORDER BY p.purchased_at, p.purchase_id;
