-- Exports of the ledger: what goes where, and how far each has come. Rows are
-- never deleted: a cancelled export stays as the record of what was handed out.
--
-- While the old version is still running: it does not know the table.

-- +goose Up
CREATE TABLE exports (
    export_id     TEXT        NOT NULL,
    -- A URL, without secrets.
    destination   TEXT        NOT NULL,
    -- FOLDER: florin writes files. CHANGEFEED: the database itself delivers.
    kind          TEXT        NOT NULL,
    format        TEXT        NOT NULL,
    status        TEXT        NOT NULL,
    -- The newest part that is whole; 0 before the first.
    part          BIGINT      NOT NULL,
    -- SHA-256 of that part's manifest, in hex; empty before the first.
    manifest_hash TEXT        NOT NULL,
    -- Postings handed out.
    rows          BIGINT      NOT NULL,
    -- Everything committed before this time has been handed out.
    resolved_at   TIMESTAMPTZ NULL,
    -- Where the engine goes on, in its own terms: a WAL position of PostgreSQL,
    -- an HLC timestamp of CockroachDB. Empty before the first.
    position      TEXT        NOT NULL,
    -- The engine's job of a CHANGEFEED.
    job_id        BIGINT      NULL,
    -- Why it FAILED.
    error         TEXT        NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL,

    CONSTRAINT exports_pkey PRIMARY KEY (export_id),
    CONSTRAINT exports_kind_known CHECK (kind IN ('FOLDER', 'CHANGEFEED')),
    CONSTRAINT exports_format_known CHECK (format IN ('ndjson', 'csv', 'parquet')),
    CONSTRAINT exports_status_known CHECK (status IN ('RUNNING', 'PAUSED', 'CANCELLED', 'FAILED')),
    CONSTRAINT exports_part_not_negative CHECK (part >= 0),
    CONSTRAINT exports_failed_has_error CHECK ((status = 'FAILED') = (error IS NOT NULL))
);
-- One live export a destination. The second opener meets this and reads the first's.
CREATE UNIQUE INDEX exports_live_destination ON exports (destination) WHERE status <> 'CANCELLED';

-- +goose Down
DROP TABLE exports;
