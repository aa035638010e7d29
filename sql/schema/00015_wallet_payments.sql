-- Payments that are not one step of the ledger: deposits and withdrawals, where a
-- bank has a say, and transfers that wait for a person's review. A row is written
-- before the bank is asked, so that whoever dies, another replica finishes what
-- was begun: no bank's yes is lost, and nothing is booked without one.
--
-- While the old version is still running: it does not know the table.

-- +goose Up
CREATE TABLE wallet_payments (
    -- Also the id of the ledger's transaction.
    payment_id         TEXT           NOT NULL,
    kind               TEXT           NOT NULL,
    user_id            TEXT           NOT NULL,
    -- The user's account: credited by a deposit, debited by the others.
    account_id         TEXT           NOT NULL,
    -- The account at the other end: the house's bank account, or the payee's.
    other_account_id   TEXT           NOT NULL,
    -- Empty for transfers.
    linked_account_id  TEXT           NOT NULL,
    amount             DECIMAL(19, 4) NOT NULL,
    currency           TEXT           NOT NULL,
    description        TEXT           NOT NULL,
    -- Tells the same request again from another one under the same key.
    request_hash       BYTEA          NOT NULL,
    -- (IN_REVIEW ->) READY -> (AGREED ->) COMPLETED, or by way of RELEASING to
    -- FAILED (internal/wallet/settle.go).
    status             TEXT           NOT NULL,
    failure_code       TEXT           NULL,
    failure_message    TEXT           NULL,
    -- The most that the role's limits allowed when it was asked for, kept for the
    -- step that reserves the money; NULL for none.
    transfer_limit     DECIMAL(19, 4) NULL,
    daily_limit        DECIMAL(19, 4) NULL,
    -- How often it was tried to be finished, and when it is to be tried next;
    -- NULL when there is nothing to do.
    attempts           BIGINT         NOT NULL,
    next_at            TIMESTAMPTZ    NULL,
    created_at         TIMESTAMPTZ    NOT NULL,
    updated_at         TIMESTAMPTZ    NOT NULL,

    CONSTRAINT wallet_payments_pkey PRIMARY KEY (payment_id),
    CONSTRAINT wallet_payments_kind_known CHECK (kind IN ('DEPOSIT', 'WITHDRAWAL', 'TRANSFER')),
    CONSTRAINT wallet_payments_status_known CHECK (status IN ('IN_REVIEW', 'READY', 'AGREED', 'RELEASING', 'COMPLETED', 'FAILED')),
    CONSTRAINT wallet_payments_amount_positive CHECK (amount > 0),
    CONSTRAINT wallet_payments_failed_has_code CHECK ((status IN ('RELEASING', 'FAILED')) = (failure_code IS NOT NULL))
);
CREATE INDEX wallet_payments_due ON wallet_payments (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX wallet_payments_open ON wallet_payments (user_id, payment_id)
    WHERE status IN ('IN_REVIEW', 'READY', 'AGREED', 'RELEASING');

-- +goose Down
DROP TABLE wallet_payments;
