-- Campaign budgets
-- How much of each campaign's budget is given, where it stands, and what merchants
-- paid of it.
SELECT campaign_id, name, is_enabled, currency, budget, accrued, confirmed, paid, budget - accrued - confirmed - paid AS remaining,
       reversed, owed, merchants_paid, rewards
FROM reporting.campaigns
ORDER BY campaign_id;
