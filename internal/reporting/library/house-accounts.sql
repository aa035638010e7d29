-- House accounts
-- What stands on the house's own accounts.
SELECT account_type, account_id, currency, posted, held, postings, updated_at
FROM reporting.balances
WHERE is_house
ORDER BY account_type, account_id;
