-- Trial balance
-- What stands on all accounts, by type and currency. The balances of a currency sum
-- up to zero.
SELECT currency, account_type, count(*) AS accounts,
       coalesce(-sum(posted) FILTER (WHERE posted < 0), 0) AS debit_balances,
       coalesce(sum(posted) FILTER (WHERE posted > 0), 0) AS credit_balances,
       sum(posted) AS balance
FROM reporting.balances
GROUP BY currency, account_type
ORDER BY currency, account_type;
