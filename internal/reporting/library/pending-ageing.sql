-- Ageing of pending transfers
-- How long transfers that are not done yet have waited. Those of more than a minute
-- are worth a look.
SELECT CASE
           WHEN created_at > now() - INTERVAL '1 minute' THEN '1: under a minute'
           WHEN created_at > now() - INTERVAL '1 hour' THEN '2: under an hour'
           WHEN created_at > now() - INTERVAL '1 day' THEN '3: under a day'
           ELSE '4: a day or more'
       END AS age,
       currency, count(*) AS transfers, sum(amount) AS amount, min(created_at) AS oldest
FROM reporting.transfers
WHERE status IN ('PENDING', 'IN_PROGRESS')
GROUP BY 1, currency
ORDER BY 1, currency;
