-- Seals of days. Few rows; each is written once.

-- name: LastSeal :one
SELECT day, root
FROM audit_days
ORDER BY day DESC
LIMIT 1;

-- The first day with events after another one, and whether it has been over for
-- an hour, by the database's clock. Primary key.
-- name: NextDay :one
SELECT day, (day < ((now() - INTERVAL '1 hour') AT TIME ZONE 'UTC')::date)::bool AS is_over
FROM audit_events
WHERE day > @after
ORDER BY day
LIMIT 1;

-- name: InsertSeal :exec
INSERT INTO audit_days (day, row_count, journal_count, heads, root, previous_root, sealed_at)
VALUES (@day, @row_count, @journal_count, @heads, @root, @previous_root, @sealed_at);
