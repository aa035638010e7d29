-- Reserved money
-- Holds that are neither captured nor released, by account, the largest sums first.
SELECT source_account_id, currency, count(*) AS holds, sum(amount) AS held, min(created_at) AS oldest, min(expires_at) AS next_expires
FROM reporting.holds
WHERE status = 'PENDING'
GROUP BY source_account_id, currency
ORDER BY held DESC, source_account_id
LIMIT 200;
