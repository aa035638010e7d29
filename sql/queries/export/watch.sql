-- Reads the whole table, which has a handful of rows.
-- name: ListWatchedExports :many
SELECT export_id, destination, kind, format, status, part, manifest_hash, rows, resolved_at,
       position, job_id, error, created_at, updated_at, error_code, parameters_hash
FROM exports
WHERE status <> 'CANCELLED' OR kind = 'CHANGEFEED' AND updated_at > @cancelled_since
ORDER BY export_id;
