-- Largest customer balances
-- The 50 accounts of each currency that hold most.
SELECT currency, place, account_id, account_type, posted, held, available
FROM (
    SELECT currency, account_id, account_type, posted, held, available,
           row_number() OVER (PARTITION BY currency ORDER BY posted DESC, account_id) AS place
    FROM reporting.balances
    WHERE NOT is_house
) AS ranked
WHERE place <= 50
ORDER BY currency, place;
