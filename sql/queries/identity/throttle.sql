-- An attempt, counted as failed before anything is looked at: of any number at
-- once, only as many are let in as are allowed to fail. One that comes while the
-- subject waits changes nothing, and its attempt_id is not in the answer. From the
-- free-th failure on each one doubles the wait, which is bounded. Failures halve
-- with each half-life since the last wait ended: what failed at a place is forgotten
-- although others use it, and who comes when his wait ends gains nothing.
-- name: CountAttempt :one
INSERT INTO sign_in_throttle AS t (subject, place, failures, waits_until, refusals, attempt_id, is_known, expires_at)
VALUES (sqlc.arg(subject), sqlc.arg(place), 1, sqlc.arg(first_waits_until), 0, sqlc.arg(attempt_id), FALSE, sqlc.arg(expires_at))
ON CONFLICT (subject, place) DO UPDATE SET
    failures = CASE
        WHEN t.expires_at <= sqlc.arg(now)::timestamptz THEN 1
        WHEN t.waits_until > sqlc.arg(now)::timestamptz THEN t.failures
        ELSE 1 + t.failures * power(0.5::float8, extract(epoch FROM sqlc.arg(now)::timestamptz - t.waits_until)::float8 / sqlc.arg(half_life_seconds)::float8) END,
    waits_until = CASE
        WHEN t.expires_at <= sqlc.arg(now)::timestamptz THEN excluded.waits_until
        WHEN t.waits_until > sqlc.arg(now)::timestamptz THEN t.waits_until
        WHEN round(1 + t.failures * power(0.5::float8, extract(epoch FROM sqlc.arg(now)::timestamptz - t.waits_until)::float8 / sqlc.arg(half_life_seconds)::float8))
            < sqlc.arg(free)::float8 THEN sqlc.arg(now)::timestamptz
        ELSE sqlc.arg(now)::timestamptz + INTERVAL '1 second' * least(sqlc.arg(wait_max_seconds)::float8,
            sqlc.arg(wait_seconds)::float8 * power(2::float8, least(30::float8, round(1 + t.failures
                * power(0.5::float8, extract(epoch FROM sqlc.arg(now)::timestamptz - t.waits_until)::float8 / sqlc.arg(half_life_seconds)::float8)) - sqlc.arg(free)::float8))) END,
    refusals = CASE
        WHEN t.expires_at > sqlc.arg(now)::timestamptz AND t.waits_until > sqlc.arg(now)::timestamptz THEN t.refusals + 1
        ELSE 0 END,
    attempt_id = CASE
        WHEN t.expires_at > sqlc.arg(now)::timestamptz AND t.waits_until > sqlc.arg(now)::timestamptz THEN t.attempt_id
        ELSE excluded.attempt_id END,
    is_known = t.is_known AND t.expires_at > sqlc.arg(now)::timestamptz,
    expires_at = greatest(t.expires_at, excluded.expires_at)
RETURNING waits_until, attempt_id, refusals;

-- The attempt did not fail after all: it is not counted, and the wait that it
-- began is over.
-- name: ForgiveAttempt :exec
UPDATE sign_in_throttle
SET failures = greatest(failures - 1, 0),
    waits_until = CASE WHEN attempt_id = @attempt_id THEN @now ELSE waits_until END
WHERE subject = @subject AND place = @place;

-- The subject succeeded at this place: nothing failed there, and it is known.
-- name: ClearAttempts :exec
INSERT INTO sign_in_throttle AS t (subject, place, failures, waits_until, refusals, attempt_id, is_known, expires_at)
VALUES (@subject, @place, 0, @now, 0, '', TRUE, @expires_at)
ON CONFLICT (subject, place) DO UPDATE SET
    failures = 0, waits_until = excluded.waits_until, refusals = 0, attempt_id = '', is_known = TRUE, expires_at = excluded.expires_at;

-- name: IsKnownPlace :one
SELECT EXISTS (
    SELECT 1 FROM sign_in_throttle
    WHERE subject = @subject AND place = @place AND is_known AND expires_at > @now);

-- At all places: by the first column of the primary key.
-- name: ForgetAttempts :exec
DELETE FROM sign_in_throttle WHERE subject = @subject;

-- name: DeleteExpiredThrottles :execrows
DELETE FROM sign_in_throttle
WHERE (subject, place) IN (
    SELECT t.subject, t.place FROM sign_in_throttle t WHERE t.expires_at <= @now ORDER BY t.expires_at LIMIT @row_limit);
