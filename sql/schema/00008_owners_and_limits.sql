-- Owners and amount limits: whose an account is, and how much it may pay.
--
-- While the old version is still running: its inserts leave the new columns at
-- their defaults, its reads name their columns. What it pays is not counted in
-- spent, and it knows no limits: they hold once it has gone.
--
-- +goose NO TRANSACTION
--
-- CockroachDB makes no partial index over a column of the same transaction. Each
-- statement can be run again, so that a migration that ended half way goes on.

-- +goose Up
ALTER TABLE accounts
    -- The user whose account it is; empty for the house's and for those that
    -- belong to nobody. Never changes.
    ADD COLUMN IF NOT EXISTS owner_id       TEXT           NOT NULL DEFAULT '',
    -- The account's own limits, in place of those of whoever pays. NULL: none of
    -- its own. 0 is a limit.
    ADD COLUMN IF NOT EXISTS transfer_limit DECIMAL(19, 4) NULL,
    ADD COLUMN IF NOT EXISTS daily_limit    DECIMAL(19, 4) NULL,
    -- The first payment that is counted in spent, which is about that day (UTC)
    -- from then on. NULL before the first.
    ADD COLUMN IF NOT EXISTS spent_since    TIMESTAMPTZ    NULL,
    -- What left by transfers and is taken by holds, captured or not. Wider than a
    -- balance: money can come and go many times a day.
    ADD COLUMN IF NOT EXISTS spent          DECIMAL(38, 4) NOT NULL DEFAULT 0;
ALTER TABLE accounts DROP CONSTRAINT IF EXISTS accounts_limits_not_negative;
ALTER TABLE accounts ADD CONSTRAINT accounts_limits_not_negative CHECK (transfer_limit >= 0 AND daily_limit >= 0 AND spent >= 0);
CREATE INDEX IF NOT EXISTS accounts_by_owner ON accounts (owner_id, account_id) WHERE owner_id <> '';

ALTER TABLE transfers
    -- The limits of the role that asked for an accepted transfer, for when it is
    -- executed. NULL: none.
    ADD COLUMN IF NOT EXISTS role_transfer_limit DECIMAL(19, 4) NULL,
    ADD COLUMN IF NOT EXISTS role_daily_limit    DECIMAL(19, 4) NULL;

-- +goose Down
ALTER TABLE transfers DROP COLUMN role_daily_limit;
ALTER TABLE transfers DROP COLUMN role_transfer_limit;
DROP INDEX accounts_by_owner;
ALTER TABLE accounts DROP COLUMN spent;
ALTER TABLE accounts DROP COLUMN spent_since;
ALTER TABLE accounts DROP COLUMN daily_limit;
ALTER TABLE accounts DROP COLUMN transfer_limit;
ALTER TABLE accounts DROP COLUMN owner_id;
