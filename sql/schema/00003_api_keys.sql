-- API keys: who may call the API. Only a key's hash is kept.
--
-- While the old version is still running: it does not know the table.

-- +goose Up
CREATE TABLE api_keys (
    key_id      TEXT        NOT NULL,
    name        TEXT        NOT NULL,
    -- SHA-256 of the whole key. Keys are random, so no slow hash is needed.
    secret_hash BYTEA       NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    revoked_at  TIMESTAMPTZ NULL,

    CONSTRAINT api_keys_pkey PRIMARY KEY (key_id),
    CONSTRAINT api_keys_secret_hash_key UNIQUE (secret_hash)
);

-- +goose Down
DROP TABLE api_keys;
