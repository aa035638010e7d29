-- What API keys may do, for whom, from where and until when; and users' bank
-- accounts elsewhere.
--
-- While the old version is still running: the keys that it stores are bootstrap
-- keys, which may do everything, as the defaults say. It does not know what the
-- new columns forbid: no restricted key may be handed out before it is gone.

-- +goose Up
ALTER TABLE api_keys
    ADD COLUMN role TEXT NOT NULL DEFAULT 'admin',
    -- NULL: all that the role may do.
    ADD COLUMN scopes TEXT[] NULL,
    -- The user whose accounts alone the key reaches; empty for all accounts.
    ADD COLUMN owner_id TEXT NOT NULL DEFAULT '',
    -- CIDR; empty: from anywhere.
    ADD COLUMN allowed_networks TEXT[] NOT NULL DEFAULT '{}',
    ADD COLUMN expires_at TIMESTAMPTZ NULL,
    -- To the minute.
    ADD COLUMN last_used_at TIMESTAMPTZ NULL,
    ADD COLUMN last_used_address TEXT NOT NULL DEFAULT '',
    -- The part of the key that is no secret. Empty for keys of any other form,
    -- which were configured, or made before keys had it.
    ADD COLUMN prefix TEXT NOT NULL DEFAULT '',
    -- The key that took this one's place; both are good until expires_at.
    ADD COLUMN replaced_by TEXT NOT NULL DEFAULT '',
    -- The user or the key that made it; empty for bootstrap keys.
    ADD COLUMN created_by TEXT NOT NULL DEFAULT '',
    -- The user who answers for what it does, and without whom it does nothing: its
    -- owner, or who made it, himself or by keys. Empty for bootstrap keys and what
    -- they made.
    ADD COLUMN person_id TEXT NOT NULL DEFAULT '';
CREATE INDEX api_keys_by_owner ON api_keys (owner_id, key_id);
-- Finds the keys that have no prefix.
CREATE INDEX api_keys_by_prefix ON api_keys (prefix, key_id);

CREATE TABLE linked_accounts (
    linked_account_id TEXT        NOT NULL,
    user_id           TEXT        NOT NULL,
    -- US: routing and account number. IBAN: just that.
    kind              TEXT        NOT NULL,
    bank_name         TEXT        NOT NULL,
    -- Of the account number or the IBAN: all that is ever shown.
    last_four         TEXT        NOT NULL,
    -- The numbers, by platform/seal.
    sealed            TEXT        NOT NULL,
    -- Keyed hash of the numbers: the same account twice is found by it.
    fingerprint       BYTEA       NOT NULL,
    created_at        TIMESTAMPTZ NOT NULL,

    CONSTRAINT linked_accounts_pkey PRIMARY KEY (linked_account_id),
    CONSTRAINT linked_accounts_once_a_user UNIQUE (user_id, fingerprint),
    CONSTRAINT linked_accounts_kind_known CHECK (kind IN ('US', 'IBAN'))
);

-- +goose Down
DROP TABLE linked_accounts;
DROP INDEX api_keys_by_prefix;
DROP INDEX api_keys_by_owner;
ALTER TABLE api_keys
    DROP COLUMN person_id,
    DROP COLUMN created_by,
    DROP COLUMN replaced_by,
    DROP COLUMN prefix,
    DROP COLUMN last_used_address,
    DROP COLUMN last_used_at,
    DROP COLUMN expires_at,
    DROP COLUMN allowed_networks,
    DROP COLUMN owner_id,
    DROP COLUMN scopes,
    DROP COLUMN role;
