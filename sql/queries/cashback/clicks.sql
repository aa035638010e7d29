-- Clicks. One belongs to a purchase at most, and changes under the lock of its
-- customer.

-- Those whose ids are taken are left out, and not counted.
-- name: InsertClicks :execrows
INSERT INTO clicks (click_id, customer_id, merchant_id, campaign_id, clicked_at, created_at)
SELECT unnest(@click_ids::text[]),
       unnest(@customer_ids::text[]),
       unnest(@merchant_ids::text[]),
       unnest(@campaign_ids::text[]),
       unnest(@clicked_at::timestamptz[]),
       @created_at::timestamptz
ON CONFLICT (click_id) DO NOTHING;

-- By the primary key.
-- name: FindClicks :many
SELECT click_id, customer_id, merchant_id, campaign_id, clicked_at, purchase_id, created_at
FROM clicks
WHERE click_id = ANY(@click_ids::text[]);

-- The clicks that purchases may belong to: all of their customers in a time, of
-- whichever merchants, by clicks_free. LIMIT is for the plan, as in
-- SegmentsOfCustomers.
-- name: FreeClicks :many
SELECT click_id, customer_id, merchant_id, campaign_id, clicked_at
FROM clicks
WHERE customer_id = ANY(@customer_ids::text[]) AND clicked_at >= @from_at::timestamptz AND clicked_at <= @to_at::timestamptz
  AND purchase_id IS NULL
LIMIT 1000000000;

-- name: UseClicks :exec
UPDATE clicks AS c
SET purchase_id = u.purchase_id
FROM (
    SELECT unnest(@click_ids::text[]) AS click_id,
           unnest(@purchase_ids::text[]) AS purchase_id
) AS u
WHERE c.click_id = u.click_id;
