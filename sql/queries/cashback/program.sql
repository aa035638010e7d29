-- The newest version, by the primary key.
-- name: CurrentProgram :one
SELECT version, terms, created_by, created_at
FROM cashback_programs
ORDER BY version DESC
LIMIT 1;

-- Of two who make the same version one meets the primary key.
-- name: InsertProgram :exec
INSERT INTO cashback_programs (version, terms, created_by, created_at)
VALUES (@version, @terms, @created_by, @created_at);
