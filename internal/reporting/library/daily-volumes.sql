-- Volume by day
-- What was moved in the last 30 days, by day (UTC) and currency.
SELECT (created_at AT TIME ZONE 'UTC')::date AS day, currency, count(*) AS transfers, sum(amount) AS volume
FROM reporting.transfers
WHERE status = 'COMPLETED' AND created_at >= now() - INTERVAL '30 days'
GROUP BY 1, currency
ORDER BY 1, currency;
