-- Saved queries: a few hundred rows, read and written one at a time.

-- name: InsertSavedQuery :exec
INSERT INTO saved_queries (query_id, version, name, description, query, owner_id, is_shared, created_at, updated_at)
VALUES (@query_id, 1, @name, @description, @query, @owner_id, @is_shared, @now, @now);

-- One's own, or a shared one.
-- name: GetSavedQuery :one
SELECT query_id, version, name, description, query, owner_id, is_shared, created_at, updated_at
FROM saved_queries
WHERE query_id = @query_id AND (owner_id = @owner_id OR is_shared);

-- The row is locked, so that two who change it take turns.
-- name: LockSavedQuery :one
SELECT query_id, version, name, description, query, owner_id, is_shared, created_at, updated_at
FROM saved_queries
WHERE query_id = @query_id
FOR UPDATE;

-- name: UpdateSavedQuery :exec
UPDATE saved_queries
SET version = version + 1, name = @name, description = @description, query = @query, is_shared = @is_shared, updated_at = @now
WHERE query_id = @query_id;

-- name: DeleteSavedQuery :exec
DELETE FROM saved_queries
WHERE query_id = @query_id;

-- One's own: a range of saved_queries_by_owner. Used within the transaction that adds
-- one, it bounds how many there are.
-- name: CountSavedQueries :one
SELECT count(*)
FROM saved_queries
WHERE owner_id = @owner_id;

-- One's own and the shared ones, by saved_queries_by_owner and saved_queries_shared,
-- each no further than a page.
-- name: ListSavedQueries :many
SELECT query_id, version, name, description, query, owner_id, is_shared, created_at, updated_at
FROM (
    (SELECT o.* FROM saved_queries AS o
     WHERE o.owner_id = @owner_id AND o.query_id > @after_query_id
     ORDER BY o.query_id
     LIMIT @max_rows)
    UNION
    (SELECT s.* FROM saved_queries AS s
     WHERE s.is_shared AND s.query_id > @after_query_id
     ORDER BY s.query_id
     LIMIT @max_rows)
) AS visible
ORDER BY query_id
LIMIT @max_rows;
