-- Top merchants
-- Who sold most in the last 30 days, returns taken off, and what was given as
-- cashback for it.
SELECT p.merchant_id, p.currency, count(*) AS purchases, sum(p.amount - p.returned) AS sold,
       sum(coalesce(r.given, 0)) AS cashback, sum(coalesce(r.by_merchant, 0)) AS paid_by_merchant
FROM reporting.purchases AS p
LEFT JOIN (
    SELECT purchase_id, sum(amount - reversed) AS given, sum(merchant_amount) AS by_merchant
    FROM reporting.rewards
    GROUP BY purchase_id
) AS r ON r.purchase_id = p.purchase_id
WHERE p.purchased_at >= now() - INTERVAL '30 days'
GROUP BY p.merchant_id, p.currency
ORDER BY sold DESC, p.merchant_id
LIMIT 50;
