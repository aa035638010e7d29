-- name: InsertLinkedAccount :exec
INSERT INTO linked_accounts (linked_account_id, user_id, kind, bank_name, last_four, sealed, fingerprint, created_at)
VALUES (@linked_account_id, @user_id, @kind, @bank_name, @last_four, @sealed, @fingerprint, @created_at);

-- All of a user's, by linked_accounts_once_a_user: there are few.
-- name: ListLinkedAccounts :many
SELECT linked_account_id, user_id, kind, bank_name, last_four, fingerprint, created_at
FROM linked_accounts
WHERE user_id = @user_id
ORDER BY created_at, linked_account_id;

-- name: GetLinkedAccount :one
SELECT linked_account_id, user_id, kind, bank_name, last_four, sealed, created_at
FROM linked_accounts
WHERE linked_account_id = @linked_account_id AND user_id = @user_id;

-- name: DeleteLinkedAccount :one
DELETE FROM linked_accounts
WHERE linked_account_id = @linked_account_id AND user_id = @user_id
RETURNING kind;

-- What other keys than the first sealed, a page by primary key.
-- name: LinkedAccountsSealedOtherwise :many
SELECT linked_account_id, sealed
FROM linked_accounts
WHERE linked_account_id > @after AND left(sealed, length(@current_prefix::text)) <> @current_prefix::text
ORDER BY linked_account_id
LIMIT @max_accounts;

-- Leaves alone what was changed or deleted since it was read.
-- name: ResealLinkedAccount :execrows
UPDATE linked_accounts
SET sealed = @resealed, fingerprint = @fingerprint
WHERE linked_account_id = @linked_account_id AND sealed = @sealed;
