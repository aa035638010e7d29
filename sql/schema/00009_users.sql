-- Users: people who sign in, what they prove themselves with, and their sessions.
-- Of passwords, tokens and recovery codes only hashes are kept.
--
-- While the old version is still running: it does not know these tables.

-- +goose Up
CREATE TABLE users (
    user_id           TEXT        NOT NULL,
    -- In lower case. NULL once the user is deleted: the address is free again.
    email             TEXT        NULL,
    email_verified_at TIMESTAMPTZ NULL,
    -- argon2id, with its parameters and salt. Empty once the user is deleted. Until
    -- the address is verified it opens nothing: it is then replaced by that of the
    -- sign-up whose mail was followed.
    password_hash     TEXT        NOT NULL,
    role              TEXT        NOT NULL,
    status            TEXT        NOT NULL,
    -- Personal data; empty when not given, and once the user is deleted.
    name              TEXT        NOT NULL,
    phone             TEXT        NOT NULL,
    address           TEXT        NOT NULL,
    locale            TEXT        NOT NULL,
    -- Since when sign-in asks for a second factor; NULL: it does not.
    second_factor_at  TIMESTAMPTZ NULL,
    created_at        TIMESTAMPTZ NOT NULL,
    updated_at        TIMESTAMPTZ NOT NULL,

    CONSTRAINT users_pkey PRIMARY KEY (user_id),
    CONSTRAINT users_email_key UNIQUE (email),
    CONSTRAINT users_role_known CHECK (role IN ('customer', 'merchant', 'support', 'finance', 'operator', 'admin')),
    CONSTRAINT users_status_known CHECK (status IN ('ACTIVE', 'LOCKED', 'DELETED')),
    CONSTRAINT users_deleted_is_nobody CHECK ((status = 'DELETED') = (email IS NULL)),
    CONSTRAINT users_deleted_has_no_password CHECK ((status = 'DELETED') = (password_hash = '')),
    CONSTRAINT users_email_lower_case CHECK (email = lower(email))
);
CREATE INDEX users_by_role ON users (role, user_id);

CREATE TABLE sessions (
    -- SHA-256 of the whole token.
    token_hash   BYTEA       NOT NULL,
    -- Names the session in lists and in the audit trail; opens nothing.
    session_id   TEXT        NOT NULL,
    user_id      TEXT        NOT NULL,
    -- From where and with what it was opened, for the user to recognise it.
    address      TEXT        NOT NULL,
    agent        TEXT        NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    -- To the minute.
    last_used_at TIMESTAMPTZ NOT NULL,
    -- When the user last gave a password or a second factor.
    proven_at    TIMESTAMPTZ NOT NULL,
    -- When the session is over, however much it is used.
    ends_at      TIMESTAMPTZ NOT NULL,
    -- When it is over unless it is used: never after ends_at.
    expires_at   TIMESTAMPTZ NOT NULL,

    CONSTRAINT sessions_pkey PRIMARY KEY (token_hash),
    CONSTRAINT sessions_user_session_key UNIQUE (user_id, session_id),
    CONSTRAINT sessions_expire_by_their_end CHECK (expires_at <= ends_at)
);

-- Tokens sent by mail. A user has one reset token: a new one ends the older. Of an
-- address that is not verified several sign-ups may wait, each with its own token.
CREATE TABLE user_tokens (
    user_id       TEXT        NOT NULL,
    purpose       TEXT        NOT NULL,
    -- SHA-256 of the token.
    token_hash    BYTEA       NOT NULL,
    -- What verifying by this token makes the user's: his who signed up by it.
    -- Empty for resets.
    password_hash TEXT        NOT NULL,
    name          TEXT        NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    expires_at    TIMESTAMPTZ NOT NULL,

    CONSTRAINT user_tokens_pkey PRIMARY KEY (user_id, purpose, token_hash),
    CONSTRAINT user_tokens_token_hash_key UNIQUE (token_hash),
    CONSTRAINT user_tokens_purpose_known CHECK (purpose IN ('VERIFY_EMAIL', 'RESET_PASSWORD'))
);

-- TOTP secrets (RFC 6238). A second factor counts once users.second_factor_at is
-- set; before that it waits to be confirmed.
CREATE TABLE second_factors (
    user_id    TEXT        NOT NULL,
    -- Encrypted (platform/seal), bound to this table, row and column.
    secret     TEXT        NOT NULL,
    -- The newest time step of which a code was taken: no code is taken twice, and
    -- none that is older.
    last_step  BIGINT      NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,

    CONSTRAINT second_factors_pkey PRIMARY KEY (user_id)
);

-- Recovery codes that were not used yet.
CREATE TABLE recovery_codes (
    user_id    TEXT        NOT NULL,
    -- SHA-256 of the user's id and the code, which has 120 random bits.
    code_hash  BYTEA       NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,

    CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id, code_hash)
);

-- Failed attempts, and until when the next has to wait. What is counted, such as
-- an email address, stands here as a hash: also of addresses that nobody has.
CREATE TABLE sign_in_throttle (
    subject     BYTEA       NOT NULL,
    -- Narrows the subject to a place that it is tried from; empty for all places.
    place       BYTEA       NOT NULL,
    -- Halved with each half-life of the subject since waits_until.
    failures    DOUBLE PRECISION NOT NULL,
    -- Attempts before this time are refused unseen. When the last attempt began no
    -- wait: its time.
    waits_until TIMESTAMPTZ NOT NULL,
    -- How many were, since the wait began.
    refusals    BIGINT      NOT NULL,
    -- The newest attempt that was let in.
    attempt_id  TEXT        NOT NULL,
    -- The subject signed in from this place before.
    is_known    BOOLEAN     NOT NULL,
    -- When all this is forgotten.
    expires_at  TIMESTAMPTZ NOT NULL,

    CONSTRAINT sign_in_throttle_pkey PRIMARY KEY (subject, place),
    CONSTRAINT sign_in_throttle_failures_not_negative CHECK (failures >= 0)
);

-- +goose Down
DROP TABLE sign_in_throttle;
DROP TABLE recovery_codes;
DROP TABLE second_factors;
DROP TABLE user_tokens;
DROP TABLE sessions;
DROP TABLE users;
