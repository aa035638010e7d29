-- Reporting: what finance reads by SQL. The views of the schema `reporting` are a
-- contract (docs/reporting.md): columns are added, never changed or taken away.
-- They show no text that a person wrote, no metadata and nothing of a person but
-- the ids of users and customers. A role that may read them alone is made by
-- `florin reporting role`.
--
-- While the old version is still running: it does not know the table or the views,
-- and writes to none of what they need otherwise than before.

-- +goose Up
-- Queries that people keep. The newest version alone: the earlier ones are on the
-- audit trail.
CREATE TABLE saved_queries (
    query_id    TEXT        NOT NULL,
    version     BIGINT      NOT NULL, -- 1, 2, 3, ... of this query
    name        TEXT        NOT NULL,
    description TEXT        NOT NULL,
    query       TEXT        NOT NULL, -- SQL
    -- The user or the API key that made it, and alone changes it.
    owner_id    TEXT        NOT NULL,
    -- Everybody who may use the console sees it.
    is_shared   BOOLEAN     NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL,

    CONSTRAINT saved_queries_pkey PRIMARY KEY (query_id),
    CONSTRAINT saved_queries_version_positive CHECK (version > 0)
);
CREATE INDEX saved_queries_by_owner ON saved_queries (owner_id, query_id);
CREATE INDEX saved_queries_shared ON saved_queries (query_id) WHERE is_shared;

CREATE SCHEMA reporting;

CREATE VIEW reporting.accounts AS
SELECT account_id, account_type,
       account_type IN ('ASSET', 'LIABILITY', 'EQUITY', 'REVENUE', 'EXPENSE') AS is_house,
       currency, status, owner_id, home_region, created_at, updated_at
FROM public.accounts;

CREATE VIEW reporting.balances AS
SELECT account_id, account_type,
       account_type IN ('ASSET', 'LIABILITY', 'EQUITY', 'REVENUE', 'EXPENSE') AS is_house,
       currency, posted, held, overdraft_limit,
       posted - held + overdraft_limit AS available,
       shortfall, last_seq AS postings, updated_at
FROM public.accounts;

CREATE VIEW reporting.transfers AS
SELECT transfer_id, kind, status, source_account_id, destination_account_id, amount, currency, failure_code,
       hold_id, reverses_id, home_region, effective_at, created_at, finished_at
FROM public.transfers;

CREATE VIEW reporting.postings AS
SELECT account_id, seq, transfer_id, amount, balance, currency, created_at
FROM public.postings;

CREATE VIEW reporting.holds AS
SELECT hold_id, status, source_account_id, destination_account_id, amount, captured_amount, currency, capture_id,
       expires_at, created_at, updated_at
FROM public.holds;

CREATE VIEW reporting.payments AS
SELECT payment_id, kind, status, user_id, account_id, other_account_id, amount, currency, failure_code,
       created_at, updated_at
FROM public.wallet_payments;

CREATE VIEW reporting.campaigns AS
SELECT c.campaign_id, c.version, c.terms ->> 'name' AS name, t.currency,
       (c.terms ->> 'enabled')::boolean AS is_enabled,
       (c.terms ->> 'from')::timestamptz AS starts_at,
       (c.terms ->> 'to')::timestamptz AS ends_at,
       t.budget, t.accrued, t.confirmed, t.paid, t.reversed, t.owed, t.merchants AS merchants_paid, t.rewards
FROM public.campaign_totals AS t
JOIN public.campaigns AS c ON c.campaign_id = t.campaign_id AND c.version = t.version;

CREATE VIEW reporting.rewards AS
SELECT reward_id, purchase_id, campaign_id, campaign_version, customer_id, status, amount, merchant_amount, reversed,
       owed, currency, merchant_account AS merchant_account_id, paid_to AS paid_to_account_id, failure_code, confirm_at, created_at, updated_at
FROM public.rewards;

CREATE VIEW reporting.purchases AS
SELECT purchase_id, merchant_id, customer_id, status, amount, returned, currency, source, purchased_at, created_at
FROM public.purchases;

-- Days are of UTC, by the time that a transfer was asked for.
CREATE VIEW reporting.daily_volumes AS
SELECT (created_at AT TIME ZONE 'UTC')::date AS day, currency, kind, status, count(*) AS transfers, sum(amount) AS volume
FROM public.transfers
GROUP BY (created_at AT TIME ZONE 'UTC')::date, currency, kind, status;

-- +goose Down
DROP VIEW reporting.daily_volumes;
DROP VIEW reporting.purchases;
DROP VIEW reporting.rewards;
DROP VIEW reporting.campaigns;
DROP VIEW reporting.payments;
DROP VIEW reporting.holds;
DROP VIEW reporting.postings;
DROP VIEW reporting.transfers;
DROP VIEW reporting.balances;
DROP VIEW reporting.accounts;
DROP SCHEMA reporting;
DROP TABLE saved_queries;
