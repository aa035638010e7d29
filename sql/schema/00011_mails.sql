-- The outbox of mails: written in the transaction of what they tell about,
-- delivered afterwards, deleted once delivered or given up.
--
-- While the old version is still running: it does not know the table.

-- +goose Up
CREATE TABLE mails (
    mail_id     TEXT        NOT NULL,
    -- Recipient, subject and text, by platform/seal: they hold tokens.
    sealed      TEXT        NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    -- Not delivered by then, it is given up and deleted.
    expires_at  TIMESTAMPTZ NOT NULL,
    -- Counted when a delivery begins.
    attempts    INTEGER     NOT NULL,
    -- When the next delivery may begin: while one is under way, when its lease ends.
    next_at     TIMESTAMPTZ NOT NULL,
    -- Who holds the lease; empty when nobody does.
    lease_owner TEXT        NOT NULL,

    CONSTRAINT mails_pkey PRIMARY KEY (mail_id),
    CONSTRAINT mails_attempts_not_negative CHECK (attempts >= 0)
);
CREATE INDEX mails_by_next ON mails (next_at, mail_id);

-- +goose Down
DROP TABLE mails;
