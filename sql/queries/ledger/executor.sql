-- The executor's statements: two round trips a batch. Their plans must not
-- depend on how large the tables were when they were first planned; on
-- PostgreSQL the executor's connections see to that (database.PlansPinned).
--
-- An element of an array can't be NULL; the column type's zero stands for it (-1
-- for an overdraft limit, where 0 is a limit).

-- The batch's accounts, locked. The order of the ids is the order of the locks:
-- two batches that share accounts wait for each other. On PostgreSQL they never
-- deadlock; on CockroachDB LockFirst, and regions, can make two that do, of which
-- the database ends one, to be run again.
-- name: LockAccounts :many
SELECT account_id, account_type, currency, status, posted, held, overdraft_limit,
       shortfall, last_seq, version, metadata, opening_hash, created_at, updated_at, home_region,
       owner_id, transfer_limit, daily_limit, spent_since, spent
FROM accounts
WHERE account_id = ANY(@account_ids::text[])
ORDER BY account_id
FOR UPDATE;

-- The account that much of a batch is about, before the others and by itself, on
-- CockroachDB. There a transaction that has waited for a lock finds the row newer
-- than its own time. If the row is all that it has asked for, it goes on at the
-- new time with the lock; otherwise it must ask for everything again, and whoever
-- asks from nearer gets in between, again and again.
-- name: LockFirst :exec
SELECT account_id
FROM accounts
WHERE account_id = @account_id AND home_region = @home_region
FOR UPDATE;

-- What became of these transfer ids before: duplicates, accepted transfers to
-- execute, and transfers to reverse. Primary key lookups.
-- name: FindTransfers :many
SELECT transfer_id, kind, source_account_id, destination_account_id, amount, currency,
       status, failure_code, failure_message, description, metadata, hold_id, reverses_id,
       source_seq, destination_seq, request_hash, effective_at, created_at, finished_at
FROM transfers
WHERE transfer_id = ANY(@transfer_ids::text[]);

-- Who reversed these transfers. Partial unique index transfers_reversed_once.
-- name: FindReversals :many
SELECT reverses_id::text AS reverses_id, transfer_id
FROM transfers
WHERE reverses_id = ANY(@transfer_ids::text[]) AND reverses_id IS NOT NULL AND status = 'COMPLETED';

-- Holds change under their source account's lock alone, so they need no lock of
-- their own.
-- name: FindHolds :many
SELECT hold_id, source_account_id, destination_account_id, amount, currency, status,
       captured_amount, capture_id, description, metadata, request_hash, expires_at,
       created_at, updated_at, home_region
FROM holds
WHERE hold_id = ANY(@hold_ids::text[]);

-- name: InsertAccounts :exec
INSERT INTO accounts (
    account_id, account_type, currency, status, posted, held, overdraft_limit,
    shortfall, last_seq, version, metadata, opening_hash, created_at, updated_at, home_region,
    owner_id, spent_since, spent
)
SELECT unnest(@account_ids::text[]),
       unnest(@account_types::text[]),
       unnest(@currencies::text[]),
       unnest(@statuses::text[]),
       unnest(@posted::decimal[]),
       unnest(@held::decimal[]),
       NULLIF(unnest(@overdraft_limits::decimal[]), -1),
       unnest(@shortfalls::decimal[]),
       unnest(@last_seqs::bigint[]),
       unnest(@versions::bigint[]),
       unnest(@metadata::text[])::jsonb,
       unnest(@opening_hashes::bytea[]),
       unnest(@created_at::timestamptz[]),
       unnest(@updated_at::timestamptz[]),
       unnest(@home_regions::text[]),
       unnest(@owner_ids::text[]),
       NULLIF(unnest(@spent_since::timestamptz[]), '0001-01-01 00:00:00+00'),
       unnest(@spent::decimal[]);

-- The region is named so that a database of several goes there straight.
-- name: UpdateBalances :exec
UPDATE accounts AS a
SET posted      = u.posted,
    held        = u.held,
    shortfall   = u.shortfall,
    last_seq    = u.last_seq,
    version     = u.version,
    updated_at  = u.updated_at,
    spent_since = NULLIF(u.spent_since, '0001-01-01 00:00:00+00'),
    spent       = u.spent
FROM (
    SELECT unnest(@account_ids::text[]) AS account_id,
           unnest(@posted::decimal[]) AS posted,
           unnest(@held::decimal[]) AS held,
           unnest(@shortfalls::decimal[]) AS shortfall,
           unnest(@last_seqs::bigint[]) AS last_seq,
           unnest(@versions::bigint[]) AS version,
           unnest(@updated_at::timestamptz[]) AS updated_at,
           unnest(@spent_since::timestamptz[]) AS spent_since,
           unnest(@spent::decimal[]) AS spent,
           unnest(@home_regions::text[]) AS home_region
) AS u
WHERE a.account_id = u.account_id AND a.home_region = u.home_region;

-- What is not a balance; changed by people, so one row at a time will do.
-- name: UpdateAccountTerms :exec
UPDATE accounts
SET status          = @status,
    overdraft_limit = @overdraft_limit,
    transfer_limit  = @transfer_limit,
    daily_limit     = @daily_limit,
    metadata        = @metadata
WHERE account_id = @account_id;

-- name: InsertTransfers :exec
INSERT INTO transfers (
    transfer_id, kind, source_account_id, destination_account_id, amount, currency, status,
    failure_code, failure_message, description, metadata, hold_id, reverses_id,
    source_seq, destination_seq, request_hash, effective_at, created_at, finished_at, home_region
)
SELECT unnest(@transfer_ids::text[]),
       unnest(@kinds::text[]),
       unnest(@source_account_ids::text[]),
       unnest(@destination_account_ids::text[]),
       unnest(@amounts::decimal[]),
       unnest(@currencies::text[]),
       unnest(@statuses::text[]),
       NULLIF(unnest(@failure_codes::text[]), ''),
       NULLIF(unnest(@failure_messages::text[]), ''),
       unnest(@descriptions::text[]),
       NULLIF(unnest(@metadata::text[]), '')::jsonb,
       NULLIF(unnest(@hold_ids::text[]), ''),
       NULLIF(unnest(@reverses_ids::text[]), ''),
       NULLIF(unnest(@source_seqs::bigint[]), 0),
       NULLIF(unnest(@destination_seqs::bigint[]), 0),
       unnest(@request_hashes::bytea[]),
       NULLIF(unnest(@effective_at::timestamptz[]), '0001-01-01 00:00:00+00'),
       unnest(@created_at::timestamptz[]),
       NULLIF(unnest(@finished_at::timestamptz[]), '0001-01-01 00:00:00+00'),
       unnest(@home_regions::text[]);

-- The limits that accepted transfers are executed under. By itself, because nearly
-- no insert has any; -1 stands for NULL.
-- name: SetRoleLimits :exec
UPDATE transfers AS t
SET role_transfer_limit = NULLIF(u.transfer_limit, -1),
    role_daily_limit    = NULLIF(u.daily_limit, -1)
FROM (
    SELECT unnest(@transfer_ids::text[]) AS transfer_id,
           unnest(@transfer_limits::decimal[]) AS transfer_limit,
           unnest(@daily_limits::decimal[]) AS daily_limit
) AS u
WHERE t.transfer_id = u.transfer_id;

-- The end of accepted transfers.
-- name: FinishTransfers :exec
UPDATE transfers AS t
SET status          = u.status,
    currency        = u.currency,
    failure_code    = NULLIF(u.failure_code, ''),
    failure_message = NULLIF(u.failure_message, ''),
    source_seq      = NULLIF(u.source_seq, 0),
    destination_seq = NULLIF(u.destination_seq, 0),
    finished_at     = u.finished_at,
    lease_owner     = NULL,
    lease_until     = NULL
FROM (
    SELECT unnest(@transfer_ids::text[]) AS transfer_id,
           unnest(@statuses::text[]) AS status,
           unnest(@currencies::text[]) AS currency,
           unnest(@failure_codes::text[]) AS failure_code,
           unnest(@failure_messages::text[]) AS failure_message,
           unnest(@source_seqs::bigint[]) AS source_seq,
           unnest(@destination_seqs::bigint[]) AS destination_seq,
           NULLIF(unnest(@finished_at::timestamptz[]), '0001-01-01 00:00:00+00') AS finished_at
) AS u
WHERE t.transfer_id = u.transfer_id;

-- name: InsertPostings :exec
INSERT INTO postings (account_id, seq, transfer_id, amount, balance, currency, created_at, home_region)
SELECT unnest(@account_ids::text[]),
       unnest(@seqs::bigint[]),
       unnest(@transfer_ids::text[]),
       unnest(@amounts::decimal[]),
       unnest(@balances::decimal[]),
       unnest(@currencies::text[]),
       unnest(@created_at::timestamptz[]),
       unnest(@home_regions::text[]);

-- name: InsertHolds :exec
INSERT INTO holds (
    hold_id, source_account_id, destination_account_id, amount, currency, status,
    captured_amount, capture_id, description, metadata, request_hash, expires_at,
    created_at, updated_at, home_region
)
SELECT unnest(@hold_ids::text[]),
       unnest(@source_account_ids::text[]),
       unnest(@destination_account_ids::text[]),
       unnest(@amounts::decimal[]),
       unnest(@currencies::text[]),
       unnest(@statuses::text[]),
       unnest(@captured_amounts::decimal[]),
       NULLIF(unnest(@capture_ids::text[]), ''),
       unnest(@descriptions::text[]),
       NULLIF(unnest(@metadata::text[]), '')::jsonb,
       unnest(@request_hashes::bytea[]),
       NULLIF(unnest(@expires_at::timestamptz[]), '0001-01-01 00:00:00+00'),
       unnest(@created_at::timestamptz[]),
       unnest(@updated_at::timestamptz[]),
       unnest(@home_regions::text[]);

-- name: UpdateHolds :exec
UPDATE holds AS h
SET status          = u.status,
    captured_amount = u.captured_amount,
    capture_id      = NULLIF(u.capture_id, ''),
    updated_at      = u.updated_at
FROM (
    SELECT unnest(@hold_ids::text[]) AS hold_id,
           unnest(@statuses::text[]) AS status,
           unnest(@captured_amounts::decimal[]) AS captured_amount,
           unnest(@capture_ids::text[]) AS capture_id,
           unnest(@updated_at::timestamptz[]) AS updated_at
) AS u
WHERE h.hold_id = u.hold_id;
