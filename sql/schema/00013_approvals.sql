-- Approvals: sensitive operations that a second person has to agree to. Rows are
-- never deleted: they are the record of who asked for what, and who agreed.
--
-- While the old version is still running: it does not know the table.

-- +goose Up
CREATE TABLE approvals (
    approval_id       TEXT        NOT NULL,
    operation         TEXT        NOT NULL,
    target_id         TEXT        NOT NULL,
    -- JSON: what is to be done, in the words of who will do it.
    payload           TEXT        NOT NULL,
    -- SHA-256 of operation, target and payload: tells the same request again.
    request_hash      BYTEA       NOT NULL,
    -- Who asked: a user or an API key, and the person behind it ('' when nobody
    -- is known).
    requested_kind    TEXT        NOT NULL,
    requested_by      TEXT        NOT NULL,
    requested_person  TEXT        NOT NULL,
    requested_at      TIMESTAMPTZ NOT NULL,
    -- What is PENDING past expires_at counts as EXPIRED, and is marked so when
    -- the same is requested again.
    status            TEXT        NOT NULL,
    expires_at        TIMESTAMPTZ NOT NULL,
    decided_by        TEXT        NOT NULL,
    decided_at        TIMESTAMPTZ NULL,
    reason            TEXT        NOT NULL,
    executed_at       TIMESTAMPTZ NULL,
    result            TEXT        NOT NULL,

    CONSTRAINT approvals_pkey PRIMARY KEY (approval_id),
    CONSTRAINT approvals_status_known CHECK (status IN ('PENDING', 'APPROVED', 'REJECTED', 'EXPIRED')),
    CONSTRAINT approvals_decided_is_signed CHECK ((status IN ('APPROVED', 'REJECTED')) = (decided_at IS NOT NULL AND decided_by <> '')),
    CONSTRAINT approvals_second_person CHECK (status <> 'APPROVED' OR decided_by <> requested_by AND decided_by <> requested_person),
    CONSTRAINT approvals_executed_is_approved CHECK (executed_at IS NULL OR status = 'APPROVED')
);
-- The same request is pending once. The second one meets this and reads the first.
CREATE UNIQUE INDEX approvals_pending ON approvals (request_hash) WHERE status = 'PENDING';
CREATE INDEX approvals_by_time ON approvals (requested_at, approval_id);

-- +goose Down
DROP TABLE approvals;
