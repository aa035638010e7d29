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

-- What one owner's accounts pay for: the newest version of each campaign that has one
-- of them pay, from after a campaign on. By the primary key, as ListCampaigns; there
-- are hundreds.
-- name: FundedCampaigns :many
SELECT DISTINCT ON (campaign_id)
       campaign_id, version, terms, created_by, created_at
FROM campaigns
WHERE campaign_id > @after_campaign_id::text AND terms -> 'funding' ->> 'accountId' = ANY(@account_ids::text[])
ORDER BY campaign_id, version DESC
LIMIT @max_rows;

-- The same of one campaign.
-- name: FundedCampaign :one
SELECT campaign_id, version, terms, created_by, created_at
FROM campaigns
WHERE campaign_id = @campaign_id AND terms -> 'funding' ->> 'accountId' = ANY(@account_ids::text[])
ORDER BY version DESC
LIMIT 1;

-- A campaign's rewards that one of these accounts pays for: those of which nothing was
-- taken back in one row for each version and status, the others together that have the
-- same left, as the merchant's part of each is rounded by itself. It reads all of the
-- campaign's rewards, by rewards_by_campaign or, where they are most there are, whole;
-- on a snapshot, so that nobody waits for it.
-- name: FundedRewards :many
SELECT campaign_version, status,
       (reversed > 0)::bool AS is_reversed,
       (CASE WHEN reversed > 0 THEN amount - reversed ELSE 0 END)::numeric AS kept,
       (CASE WHEN reversed > 0 THEN amount - reversed + owed ELSE 0 END)::numeric AS given,
       sum(merchant_amount)::numeric AS granted,
       count(*) AS rewards
FROM rewards
WHERE campaign_id = @campaign_id AND merchant_account = ANY(@account_ids::text[])
GROUP BY campaign_version, status, is_reversed, kept, given;
