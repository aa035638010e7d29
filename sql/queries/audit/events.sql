-- The trail is written by one statement, whatever the number of events, and is
-- never changed.
--
-- An element of an array can't be NULL; an empty text stands for it.

-- name: InsertEvents :exec
INSERT INTO audit_events (
    day, journal, seq, recorded_at, action, target_kind, target_id, before, after, result,
    actor_kind, actor_id, role, address, request_id, hash, home_region
)
SELECT @day::date, @journal::text, seq, @recorded_at::timestamptz, action, target_kind, target_id,
       NULLIF(before, ''), NULLIF(after, ''), result,
       actor_kind, actor_id, role, address, request_id, hash, @home_region::text
FROM (
    SELECT unnest(@seqs::bigint[]) AS seq,
           unnest(@actions::text[]) AS action,
           unnest(@target_kinds::text[]) AS target_kind,
           unnest(@target_ids::text[]) AS target_id,
           unnest(@befores::text[]) AS before,
           unnest(@afters::text[]) AS after,
           unnest(@results::text[]) AS result,
           unnest(@actor_kinds::text[]) AS actor_kind,
           unnest(@actor_ids::text[]) AS actor_id,
           unnest(@roles::text[]) AS role,
           unnest(@addresses::text[]) AS address,
           unnest(@request_ids::text[]) AS request_id,
           unnest(@hashes::bytea[]) AS hash
) AS e;

-- The number of the last row of a journal's day; 0 without any. Primary key.
-- name: LastNumber :one
SELECT coalesce(max(seq), 0)::bigint AS seq
FROM audit_events
WHERE day = @day AND journal = @journal;

-- All journals of a day. It jumps from one to the next through the primary key,
-- and so reads one row of each, not the day.
-- name: JournalsOf :many
WITH RECURSIVE journals AS (
    SELECT (SELECT min(f.journal) FROM audit_events AS f WHERE f.day = @day) AS journal
    UNION ALL
    SELECT (SELECT min(n.journal) FROM audit_events AS n WHERE n.day = @day AND n.journal > j.journal)
    FROM journals AS j
    WHERE j.journal IS NOT NULL
)
SELECT journal::text AS journal
FROM journals
WHERE journal IS NOT NULL;

-- The last row of a journal's day. Primary key. It is asked of many journals in
-- one round trip.
-- name: LastRow :batchone
SELECT seq, hash
FROM audit_events
WHERE day = @day AND journal = @journal
ORDER BY seq DESC
LIMIT 1;
