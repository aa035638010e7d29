-- Returns that wait for a purchase which nobody reports.

-- The next of the returns that wait for a purchase, of whatever age, after a place, by
-- purchase_returns_by_purchase: few wait, and no index of their age is kept for that.
-- name: WaitingReturns :many
SELECT purchase_id, return_id, created_at
FROM purchase_returns
WHERE status = 'WAITING' AND purchase_id <> ''
  AND (purchase_id, return_id) > (@after_purchase_id::text, @after_return_id::text)
ORDER BY purchase_id, return_id
LIMIT @max_rows;

-- Refuses those of these returns that still wait and whose purchase is not on record,
-- by the primary keys. One that comes in at the same time applies the return: only one
-- of the two transactions is committed.
-- name: RefuseReturns :many
UPDATE purchase_returns AS r
SET status = 'REFUSED', failure_code = @failure_code::text, failure_message = @failure_message::text, updated_at = @now
WHERE r.return_id = ANY(@return_ids::text[]) AND r.status = 'WAITING'
  AND NOT EXISTS (SELECT 1 FROM purchases AS p WHERE p.purchase_id = r.purchase_id)
RETURNING r.return_id;
