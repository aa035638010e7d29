-- Searches, newest first by (recorded_at, journal, seq), which never change. None
-- locks anything. Optional filters are NULL when absent; the connections
-- plan such statements for the values at hand.
--
-- Each of the first three follows one index down from @before_at: recorded_at is
-- compared by itself too, because the comparison of rows is no bound of an index.

-- Index audit_events_by_target.
-- name: SearchByTarget :many
SELECT day, journal, seq, recorded_at, action, target_kind, target_id, before, after, result,
       actor_kind, actor_id, role, address, request_id, hash, home_region, of_payment
FROM audit_events
WHERE target_id = @target_id
  AND recorded_at <= @before_at AND (recorded_at, journal, seq) < (@before_at, @before_journal::text, @before_seq::bigint)
  AND recorded_at >= @since
  AND (sqlc.narg(target_kind)::text IS NULL OR target_kind = sqlc.narg(target_kind)::text)
  AND (sqlc.narg(action)::text IS NULL OR action = sqlc.narg(action)::text)
  AND (sqlc.narg(actor_kind)::text IS NULL OR actor_kind = sqlc.narg(actor_kind)::text)
  AND (sqlc.narg(actor_id)::text IS NULL OR actor_id = sqlc.narg(actor_id)::text)
  AND (sqlc.narg(request_id)::text IS NULL OR request_id = sqlc.narg(request_id)::text)
  AND (sqlc.narg(result)::text IS NULL OR result = sqlc.narg(result)::text)
ORDER BY recorded_at DESC, journal DESC, seq DESC
LIMIT @max_rows;

-- Partial index audit_events_by_person.
-- name: SearchByPerson :many
SELECT day, journal, seq, recorded_at, action, target_kind, target_id, before, after, result,
       actor_kind, actor_id, role, address, request_id, hash, home_region, of_payment
FROM audit_events
WHERE actor_id = @actor_id AND actor_kind <> 'key'
  AND recorded_at <= @before_at AND (recorded_at, journal, seq) < (@before_at, @before_journal::text, @before_seq::bigint)
  AND recorded_at >= @since
  AND (sqlc.narg(target_kind)::text IS NULL OR target_kind = sqlc.narg(target_kind)::text)
  AND (sqlc.narg(action)::text IS NULL OR action = sqlc.narg(action)::text)
  AND (sqlc.narg(actor_kind)::text IS NULL OR actor_kind = sqlc.narg(actor_kind)::text)
  AND (sqlc.narg(request_id)::text IS NULL OR request_id = sqlc.narg(request_id)::text)
  AND (sqlc.narg(result)::text IS NULL OR result = sqlc.narg(result)::text)
ORDER BY recorded_at DESC, journal DESC, seq DESC
LIMIT @max_rows;

-- Partial index audit_events_by_action.
-- name: SearchByAction :many
SELECT day, journal, seq, recorded_at, action, target_kind, target_id, before, after, result,
       actor_kind, actor_id, role, address, request_id, hash, home_region, of_payment
FROM audit_events
WHERE action = @action AND NOT of_payment
  AND recorded_at <= @before_at AND (recorded_at, journal, seq) < (@before_at, @before_journal::text, @before_seq::bigint)
  AND recorded_at >= @since
  AND (sqlc.narg(target_kind)::text IS NULL OR target_kind = sqlc.narg(target_kind)::text)
  AND (sqlc.narg(actor_kind)::text IS NULL OR actor_kind = sqlc.narg(actor_kind)::text)
  AND (sqlc.narg(actor_id)::text IS NULL OR actor_id = sqlc.narg(actor_id)::text)
  AND (sqlc.narg(request_id)::text IS NULL OR request_id = sqlc.narg(request_id)::text)
  AND (sqlc.narg(result)::text IS NULL OR result = sqlc.narg(result)::text)
ORDER BY recorded_at DESC, journal DESC, seq DESC
LIMIT @max_rows;

-- Whether anything was done by an actor who is no key. Partial index
-- audit_events_by_person.
-- name: IsPerson :one
SELECT EXISTS (SELECT 1 FROM audit_events WHERE actor_id = @actor_id AND actor_kind <> 'key') AS is_person;

-- The newest day with events, not after another one. Primary key.
-- name: DayNotAfter :one
SELECT day
FROM audit_events
WHERE day <= @day
ORDER BY day DESC
LIMIT 1;

-- The next rows of a journal's day, down from a number. Primary key. It is asked of
-- many journals in one round trip.
-- name: ReadDown :batchmany
SELECT day, journal, seq, recorded_at, action, target_kind, target_id, before, after, result,
       actor_kind, actor_id, role, address, request_id, hash, home_region, of_payment
FROM audit_events
WHERE day = @day AND journal = @journal AND seq <= @seq
ORDER BY seq DESC
LIMIT @max_rows;

-- The number and time of the row with that number or, should it be missing, of the
-- one before. Primary key. It is asked of many journals in one round trip.
-- name: TimeAt :batchmany
SELECT seq, recorded_at
FROM audit_events
WHERE day = @day AND journal = @journal AND seq <= @seq
ORDER BY seq DESC
LIMIT 1;
