-- The audit trail: who changed what, and a seal over each day of it.
--
-- While the old version is still running: it writes no events, so what is done
-- through it is not recorded.
--
-- Rows are only ever added. JSON is kept as text, because the hash is over its
-- very bytes.

-- +goose Up
CREATE TABLE audit_events (
    -- The UTC day of recorded_at.
    day         DATE        NOT NULL,
    -- Who numbered and chained the row: a journal has one writer at a time.
    journal     TEXT        NOT NULL,
    -- Number of the row in its journal and day: 1, 2, 3, ... without gaps.
    seq         BIGINT      NOT NULL,
    -- Never goes back within a journal.
    recorded_at TIMESTAMPTZ NOT NULL,
    action      TEXT        NOT NULL,
    target_kind TEXT        NOT NULL,
    target_id   TEXT        NOT NULL,
    -- JSON objects, or NULL where there is nothing to show.
    before      TEXT        NULL,
    after       TEXT        NULL,
    -- "ok", or the code of the refusal.
    result      TEXT        NOT NULL,
    actor_kind  TEXT        NOT NULL,
    actor_id    TEXT        NOT NULL,
    role        TEXT        NOT NULL,
    address     TEXT        NOT NULL,
    request_id  TEXT        NOT NULL,
    -- SHA-256 of the hash of the row before, and of all columns above this one.
    hash        BYTEA       NOT NULL,
    -- Where the row lives, in a database of several regions. Not part of the
    -- hash: rows are moved when a region is given up.
    home_region TEXT        NOT NULL DEFAULT '',
    -- One of the very many events about money that moves.
    of_payment  BOOLEAN     NOT NULL GENERATED ALWAYS AS (action LIKE 'transaction.%' OR action LIKE 'hold.%') STORED,

    CONSTRAINT audit_events_pkey PRIMARY KEY (day, journal, seq),
    CONSTRAINT audit_events_seq_positive CHECK (seq > 0),
    CONSTRAINT audit_events_hash_is_sha256 CHECK (length(hash) = 32)
);
CREATE INDEX audit_events_by_target ON audit_events (target_id, recorded_at);
-- What programs do is nearly everything, and is found by its target or by going
-- through a time.
CREATE INDEX audit_events_by_person ON audit_events (actor_id, recorded_at) WHERE actor_kind <> 'key';
CREATE INDEX audit_events_by_action ON audit_events (action, recorded_at) WHERE NOT of_payment;

-- A day that is over, closed: what was put in, taken out or rewritten later shows.
CREATE TABLE audit_days (
    day           DATE        NOT NULL,
    row_count     BIGINT      NOT NULL,
    journal_count BIGINT      NOT NULL,
    -- A line for each journal, sorted: its name, the number of its last row and
    -- that row's hash in hex, with a blank between them.
    heads         TEXT        NOT NULL,
    -- SHA-256 of the previous root and of all columns above.
    root          BYTEA       NOT NULL,
    -- The root of the day sealed before; empty for the first.
    previous_root BYTEA       NOT NULL,
    sealed_at     TIMESTAMPTZ NOT NULL,

    CONSTRAINT audit_days_pkey PRIMARY KEY (day),
    -- The chain of days does not fork.
    CONSTRAINT audit_days_previous_root_once UNIQUE (previous_root)
);

-- +goose Down
DROP TABLE audit_days;
DROP TABLE audit_events;
