-- Cashback cost by cohort
-- Customers by the month of their first purchase: what they bought since, what they
-- got for it, and that as a percentage.
WITH cohorts AS (
    SELECT customer_id, date_trunc('month', min(purchased_at) AT TIME ZONE 'UTC')::date AS cohort
    FROM reporting.purchases
    GROUP BY customer_id
), bought AS (
    SELECT customer_id, currency, sum(amount - returned) AS amount
    FROM reporting.purchases
    GROUP BY customer_id, currency
), given AS (
    SELECT customer_id, currency, sum(amount - reversed) AS amount
    FROM reporting.rewards
    GROUP BY customer_id, currency
)
SELECT c.cohort, b.currency, count(DISTINCT c.customer_id) AS customers, sum(b.amount) AS bought,
       coalesce(sum(g.amount), 0) AS cashback,
       round(100 * coalesce(sum(g.amount), 0) / nullif(sum(b.amount), 0), 2) AS percent
FROM cohorts AS c
JOIN bought AS b ON b.customer_id = c.customer_id
LEFT JOIN given AS g ON g.customer_id = b.customer_id AND g.currency = b.currency
GROUP BY c.cohort, b.currency
ORDER BY c.cohort, b.currency;
