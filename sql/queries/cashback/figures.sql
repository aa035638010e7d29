-- name: InsertTotals :exec
INSERT INTO campaign_totals (campaign_id, version, currency, budget, accrued, confirmed, paid, reversed, owed, merchants, rewards)
VALUES (@campaign_id, @version, @currency, @budget, 0, 0, 0, 0, 0, 0, 0);

-- By the primary key. Figures are read without a lock.
-- name: GetTotals :one
SELECT campaign_id, version, currency, budget, accrued, confirmed, paid, reversed, owed, merchants, rewards
FROM campaign_totals
WHERE campaign_id = @campaign_id;

-- What of the budget is given, which stays so until the end of the transaction:
-- whoever gives rewards locks the same row.
-- name: LockSpent :one
SELECT (accrued + confirmed + paid)::numeric AS spent
FROM campaign_totals
WHERE campaign_id = @campaign_id
FOR UPDATE;

-- The version and its budget alone: what is given is counted by who gives it.
-- name: SetVersion :exec
UPDATE campaign_totals
SET version = @version, budget = @budget
WHERE campaign_id = @campaign_id;
