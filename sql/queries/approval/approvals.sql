-- Takes nothing away from a request that is pending already.
-- name: InsertApproval :execrows
INSERT INTO approvals (approval_id, operation, target_id, payload, request_hash, requested_kind, requested_by, requested_person,
                       requested_at, status, expires_at, decided_by, reason, result)
VALUES (@approval_id, @operation, @target_id, @payload, @request_hash, @requested_kind, @requested_by, @requested_person,
        @requested_at, 'PENDING', @expires_at, '', '', '')
ON CONFLICT (request_hash) WHERE status = 'PENDING' DO NOTHING;

-- By approvals_pending: makes room for the same request again.
-- name: ExpireApproval :exec
UPDATE approvals
SET status = 'EXPIRED'
WHERE request_hash = @request_hash AND status = 'PENDING' AND expires_at <= @now;

-- name: PendingApproval :one
SELECT approval_id, operation, target_id, payload, request_hash, requested_kind, requested_by, requested_person, requested_at,
       status, expires_at, decided_by, decided_at, reason, executed_at, result
FROM approvals
WHERE request_hash = @request_hash AND status = 'PENDING';

-- name: GetApproval :one
SELECT approval_id, operation, target_id, payload, request_hash, requested_kind, requested_by, requested_person, requested_at,
       status, expires_at, decided_by, decided_at, reason, executed_at, result
FROM approvals
WHERE approval_id = @approval_id;

-- The row is locked, so that two who decide take turns.
-- name: LockApproval :one
SELECT approval_id, operation, target_id, payload, request_hash, requested_kind, requested_by, requested_person, requested_at,
       status, expires_at, decided_by, decided_at, reason, executed_at, result
FROM approvals
WHERE approval_id = @approval_id
FOR UPDATE;

-- name: DecideApproval :exec
UPDATE approvals
SET status = @status, decided_by = @decided_by, decided_at = @decided_at, reason = @reason
WHERE approval_id = @approval_id;

-- name: ExecuteApproval :exec
UPDATE approvals
SET executed_at = @executed_at, result = @result
WHERE approval_id = @approval_id;

-- Newest first, by approvals_by_time. Approvals are few: the other conditions are
-- tried on the way. What is PENDING past its time is EXPIRED.
-- name: ListApprovals :many
SELECT approval_id, operation, target_id, payload, request_hash, requested_kind, requested_by, requested_person, requested_at,
       status, expires_at, decided_by, decided_at, reason, executed_at, result
FROM approvals
WHERE (requested_at, approval_id) < (@before_requested_at::timestamptz, @before_approval_id::text)
  AND (sqlc.narg(status)::text IS NULL
       OR sqlc.narg(status) = CASE WHEN status = 'PENDING' AND expires_at <= @now::timestamptz THEN 'EXPIRED' ELSE status END)
  AND (sqlc.narg(operation)::text IS NULL OR operation = sqlc.narg(operation))
  AND (sqlc.narg(target_id)::text IS NULL OR target_id = sqlc.narg(target_id))
  AND (sqlc.narg(requested_by)::text IS NULL OR requested_by = sqlc.narg(requested_by))
ORDER BY requested_at DESC, approval_id DESC
LIMIT @max_rows;
