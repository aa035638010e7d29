-- What operators see of the ledger's health: outcomes counted over all replicas, and
-- proofs that the books balance. Nothing of the books hangs on any of it.
--
-- While the old version is still running: it does not know the tables, and what it
-- executes is not counted.

-- +goose Up

-- Each replica counts in memory what it has committed and writes the sums here every
-- few seconds: its own rows alone, each time as they are in full, so that a write may
-- be repeated. Rows of a longer span are the same outcomes again, so that a long
-- period is read as few rows.
CREATE TABLE ledger_activity (
    span_seconds BIGINT         NOT NULL,
    begins_at    TIMESTAMPTZ    NOT NULL,
    -- One run of the program.
    replica      TEXT           NOT NULL,
    -- Where it runs; '' in a database without regions.
    region       TEXT           NOT NULL,
    -- '' for what failed before a currency was known.
    currency     TEXT           NOT NULL,
    -- 'ok', or why the transfers failed.
    code         TEXT           NOT NULL,
    transfers    BIGINT         NOT NULL,
    -- Sum of their amounts; of those that failed what was asked for.
    volume       DECIMAL(38, 4) NOT NULL,
    expires_at   TIMESTAMPTZ    NOT NULL,

    CONSTRAINT ledger_activity_pkey PRIMARY KEY (span_seconds, begins_at, replica, currency, code),
    CONSTRAINT ledger_activity_counts CHECK (transfers > 0 AND volume >= 0)
);

CREATE TABLE proofs (
    -- BALANCES: the accounts of each currency sum to zero. FULL: every invariant.
    kind        TEXT        NOT NULL,
    -- The one time that all was read at.
    read_at     TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    -- The replica, or the command and its host.
    recorded_by TEXT        NOT NULL,
    is_balanced BOOLEAN     NOT NULL,
    offences    BIGINT      NOT NULL,
    -- JSON: for each currency its accounts and the sum of their balances.
    sums        JSONB       NOT NULL,
    -- NULL: kept for good.
    expires_at  TIMESTAMPTZ NULL,

    CONSTRAINT proofs_pkey PRIMARY KEY (kind, read_at, recorded_by),
    CONSTRAINT proofs_kind_known CHECK (kind IN ('BALANCES', 'FULL')),
    CONSTRAINT proofs_balanced_without_offences CHECK (is_balanced OR offences > 0)
);

-- Whose turn it is to prove: one replica of many takes it, for a while.
CREATE TABLE proof_turns (
    kind     TEXT        NOT NULL,
    taken_by TEXT        NOT NULL,
    next_at  TIMESTAMPTZ NOT NULL,

    CONSTRAINT proof_turns_pkey PRIMARY KEY (kind)
);

-- +goose Down
DROP TABLE proof_turns;
DROP TABLE proofs;
DROP TABLE ledger_activity;
