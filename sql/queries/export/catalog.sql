-- The catalog of exports: a handful of rows, read and written one at a time.

-- Nothing happens when the destination has a live export already; the caller
-- reads that one in the same transaction.
-- name: InsertExport :exec
INSERT INTO exports (
    export_id, destination, kind, format, status, part, manifest_hash, rows, position, created_at, updated_at,
    parameters_hash
)
VALUES (@export_id, @destination, @kind, @format, 'RUNNING', 0, '', 0, '', @now, @now, @parameters_hash)
ON CONFLICT (destination) WHERE status <> 'CANCELLED' DO NOTHING;

-- Partial unique index exports_live_destination.
-- name: GetLiveExport :one
SELECT export_id, destination, kind, format, status, part, manifest_hash, rows, resolved_at,
       position, job_id, error, created_at, updated_at, error_code, parameters_hash
FROM exports
WHERE destination = @destination AND status <> 'CANCELLED';

-- name: GetExport :one
SELECT export_id, destination, kind, format, status, part, manifest_hash, rows, resolved_at,
       position, job_id, error, created_at, updated_at, error_code, parameters_hash
FROM exports
WHERE export_id = @export_id;

-- In the order of the primary key, which no insert disturbs.
-- name: ListExports :many
SELECT export_id, destination, kind, format, status, part, manifest_hash, rows, resolved_at,
       position, job_id, error, created_at, updated_at, error_code, parameters_hash
FROM exports
WHERE export_id > @after_export_id
ORDER BY export_id
LIMIT @max_rows;

-- The row is locked, so that two who change the status take turns.
-- name: LockExport :one
SELECT export_id, destination, kind, format, status, part, manifest_hash, rows, resolved_at,
       position, job_id, error, created_at, updated_at, error_code, parameters_hash
FROM exports
WHERE export_id = @export_id
FOR UPDATE;

-- name: SetExportStatus :exec
UPDATE exports
SET status = @status, error = sqlc.narg(error), error_code = sqlc.narg(error_code), updated_at = @now
WHERE export_id = @export_id;

-- Of two who made a job for one export the first is recorded.
-- name: SetExportJob :exec
UPDATE exports
SET job_id = @job_id, updated_at = @now
WHERE export_id = @export_id AND kind = 'CHANGEFEED' AND job_id IS NULL AND status <> 'CANCELLED';

-- Progress never goes back: of two writers the one that is behind changes nothing,
-- nor does one that has another part of the same number.
-- name: SaveExportProgress :execrows
UPDATE exports
SET part          = @part,
    manifest_hash = @manifest_hash,
    rows          = @rows,
    resolved_at   = sqlc.narg(resolved_at),
    position      = @position,
    updated_at    = @now
WHERE export_id = @export_id
  AND (part < @part OR part = @part AND manifest_hash IN ('', @manifest_hash))
  AND (resolved_at IS NULL OR resolved_at <= sqlc.narg(resolved_at));
