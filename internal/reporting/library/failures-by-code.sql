-- Failed transfers by code
-- Why transfers of the last 7 days failed, and how much money that was.
SELECT failure_code, currency, count(*) AS transfers, sum(amount) AS amount, max(created_at) AS latest
FROM reporting.transfers
WHERE status = 'FAILED' AND created_at >= now() - INTERVAL '7 days'
GROUP BY failure_code, currency
ORDER BY transfers DESC, failure_code, currency;
