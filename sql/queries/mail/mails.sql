-- name: InsertMail :exec
INSERT INTO mails (mail_id, sealed, created_at, expires_at, attempts, next_at, lease_owner)
VALUES (@mail_id, @sealed, @created_at, @expires_at, 0, @created_at, '');

-- What may be delivered, the longest due first, by mails_by_next. Locks nothing:
-- who gets it is decided by ClaimMails.
-- name: DueMails :many
SELECT mail_id
FROM mails
WHERE next_at <= @now::timestamptz
ORDER BY next_at, mail_id
LIMIT @max_mails;

-- Takes leases by primary key; of two replicas at the same mail the second finds
-- it not due any more.
-- name: ClaimMails :many
UPDATE mails
SET attempts = attempts + 1, next_at = @lease_until::timestamptz, lease_owner = @lease_owner
WHERE mail_id = ANY(@mail_ids::text[]) AND next_at <= @now::timestamptz
RETURNING mail_id, sealed, created_at, expires_at, attempts;

-- Delivered or given up. Also when the lease was lost meanwhile: nobody need do
-- it again.
-- name: DeleteMail :exec
DELETE FROM mails
WHERE mail_id = @mail_id;

-- Some of what nobody has delivered in time; by mails_expiring, on PostgreSQL.
-- name: DeleteExpiredMails :execrows
DELETE FROM mails
WHERE mail_id IN (SELECT m.mail_id FROM mails m WHERE m.expires_at <= @now ORDER BY m.expires_at LIMIT @row_limit);

-- name: PostponeMail :exec
UPDATE mails
SET next_at = @next_at, lease_owner = ''
WHERE mail_id = @mail_id AND lease_owner = @lease_owner;

-- What other keys than the first sealed, a page by primary key.
-- name: MailsSealedOtherwise :many
SELECT mail_id, sealed
FROM mails
WHERE mail_id > @after AND left(sealed, length(@current_prefix::text)) <> @current_prefix::text
ORDER BY mail_id
LIMIT @max_mails;

-- Leaves alone what was changed or delivered since it was read.
-- name: ResealMail :execrows
UPDATE mails
SET sealed = @resealed
WHERE mail_id = @mail_id AND sealed = @sealed;
