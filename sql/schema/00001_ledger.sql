-- The ledger: accounts, transfers, postings, holds.
--
-- While the old version is still running: this is the first migration, there is
-- no old version.
--
-- There are no foreign keys: a failed transfer may name accounts that do not
-- exist and is recorded all the same, and the executor, the only writer, holds
-- the rows of both accounts locked when it writes their postings. `florin
-- verify` proves every reference.

-- +goose Up
CREATE TABLE accounts (
    account_id      TEXT           NOT NULL,
    account_type    TEXT           NOT NULL,
    currency        TEXT           NOT NULL,
    status          TEXT           NOT NULL,
    -- Sum of the account's postings: credits positive, debits negative.
    posted          DECIMAL(19, 4) NOT NULL,
    -- Sum of the account's pending holds.
    held            DECIMAL(19, 4) NOT NULL,
    -- NULL: no limit (house accounts).
    overdraft_limit DECIMAL(19, 4) NULL,
    -- How far forced reversals have taken the available balance below zero.
    shortfall       DECIMAL(19, 4) NOT NULL,
    -- The seq of the newest posting; 0 before the first.
    last_seq        BIGINT         NOT NULL,
    version         BIGINT         NOT NULL,
    metadata        JSONB          NOT NULL,
    -- Identifies the request that opened the account, so that a retry of it is
    -- told from a second request for the same id.
    opening_hash    BYTEA          NOT NULL,
    created_at      TIMESTAMPTZ    NOT NULL,
    -- Never goes back: a posting's time is at least its accounts' updated_at.
    updated_at      TIMESTAMPTZ    NOT NULL,

    CONSTRAINT accounts_pkey PRIMARY KEY (account_id),
    CONSTRAINT accounts_status_known CHECK (status IN ('ACTIVE', 'FROZEN', 'CLOSED')),
    CONSTRAINT accounts_held_not_negative CHECK (held >= 0),
    CONSTRAINT accounts_overdraft_limit_not_negative CHECK (overdraft_limit >= 0),
    CONSTRAINT accounts_shortfall_not_negative CHECK (shortfall >= 0),
    CONSTRAINT accounts_available_not_negative CHECK (posted - held + overdraft_limit + shortfall >= 0)
);
CREATE INDEX accounts_by_type ON accounts (account_type, account_id);
CREATE INDEX accounts_not_active ON accounts (status, account_id) WHERE status <> 'ACTIVE';
CREATE INDEX accounts_by_metadata ON accounts USING GIN (metadata);

CREATE TABLE transfers (
    transfer_id            TEXT           NOT NULL,
    kind                   TEXT           NOT NULL,
    source_account_id      TEXT           NOT NULL,
    destination_account_id TEXT           NOT NULL,
    amount                 DECIMAL(19, 4) NOT NULL,
    -- Empty when the request named none and failed before one was known.
    currency               TEXT           NOT NULL,
    status                 TEXT           NOT NULL,
    failure_code           TEXT           NULL,
    failure_message        TEXT           NULL,
    description            TEXT           NOT NULL,
    metadata               JSONB          NULL,
    -- The hold that a capture draws on; the transfer that a reversal undoes.
    hold_id                TEXT           NULL,
    reverses_id            TEXT           NULL,
    -- Where the two postings stand: (source_account_id, source_seq) and
    -- (destination_account_id, destination_seq). NULL until COMPLETED. This
    -- spares an index over all postings.
    source_seq             BIGINT         NULL,
    destination_seq        BIGINT         NULL,
    -- Tells the same request again from another one under the same id.
    request_hash           BYTEA          NOT NULL,
    -- The caller's own time of the event; informative.
    effective_at           TIMESTAMPTZ    NULL,
    created_at             TIMESTAMPTZ    NOT NULL,
    finished_at            TIMESTAMPTZ    NULL,
    -- Who executes an accepted transfer, and until when nobody else will.
    lease_owner            TEXT           NULL,
    lease_until            TIMESTAMPTZ    NULL,

    CONSTRAINT transfers_pkey PRIMARY KEY (transfer_id),
    CONSTRAINT transfers_amount_positive CHECK (amount > 0),
    CONSTRAINT transfers_status_known CHECK (status IN ('PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED')),
    CONSTRAINT transfers_completed_is_posted CHECK ((status = 'COMPLETED') = (source_seq IS NOT NULL AND destination_seq IS NOT NULL)),
    CONSTRAINT transfers_failed_has_code CHECK ((status = 'FAILED') = (failure_code IS NOT NULL))
);
CREATE INDEX transfers_by_source ON transfers (source_account_id, created_at, transfer_id);
CREATE INDEX transfers_by_destination ON transfers (destination_account_id, created_at, transfer_id);
-- A transfer is reversed once. The executor sees to it; this is the second guard.
CREATE UNIQUE INDEX transfers_reversed_once ON transfers (reverses_id) WHERE reverses_id IS NOT NULL AND status = 'COMPLETED';

CREATE TABLE postings (
    account_id  TEXT           NOT NULL,
    -- Number of the posting in its account: 1, 2, 3, ... without gaps.
    seq         BIGINT         NOT NULL,
    transfer_id TEXT           NOT NULL,
    -- Signed: credits positive, debits negative.
    amount      DECIMAL(19, 4) NOT NULL,
    -- The account's posted balance after this posting.
    balance     DECIMAL(19, 4) NOT NULL,
    currency    TEXT           NOT NULL,
    -- Never goes back within an account, so that a time can be found by seq.
    created_at  TIMESTAMPTZ    NOT NULL,

    CONSTRAINT postings_pkey PRIMARY KEY (account_id, seq)
);

CREATE TABLE holds (
    hold_id                TEXT           NOT NULL,
    source_account_id      TEXT           NOT NULL,
    destination_account_id TEXT           NOT NULL,
    amount                 DECIMAL(19, 4) NOT NULL,
    currency               TEXT           NOT NULL,
    status                 TEXT           NOT NULL,
    captured_amount        DECIMAL(19, 4) NOT NULL,
    -- The transfer that captured it.
    capture_id             TEXT           NULL,
    description            TEXT           NOT NULL,
    metadata               JSONB          NULL,
    request_hash           BYTEA          NOT NULL,
    expires_at             TIMESTAMPTZ    NULL,
    created_at             TIMESTAMPTZ    NOT NULL,
    updated_at             TIMESTAMPTZ    NOT NULL,

    CONSTRAINT holds_pkey PRIMARY KEY (hold_id),
    CONSTRAINT holds_amount_positive CHECK (amount > 0),
    CONSTRAINT holds_status_known CHECK (status IN ('PENDING', 'CAPTURED', 'VOIDED', 'EXPIRED')),
    CONSTRAINT holds_captured_within_amount CHECK (captured_amount >= 0 AND captured_amount <= amount)
);
CREATE INDEX holds_pending_by_account ON holds (source_account_id, hold_id) WHERE status = 'PENDING';

-- +goose Down
DROP TABLE holds;
DROP TABLE postings;
DROP TABLE transfers;
DROP TABLE accounts;
