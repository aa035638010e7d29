-- Risk: the rules that judge payments, what they decided, and the amount limits
-- of roles.
--
-- While the old version is still running: it does not know the tables.

-- +goose Up
-- A rule is never changed: a change is a new version, and the newest one holds.
CREATE TABLE risk_rules (
    rule_id    TEXT        NOT NULL,
    version    BIGINT      NOT NULL,
    name       TEXT        NOT NULL,
    -- CEL, of type bool.
    expression TEXT        NOT NULL,
    outcome    TEXT        NOT NULL,
    -- Of rules with the same outcome the highest one is named in the decision.
    priority   BIGINT      NOT NULL,
    enabled    BOOLEAN     NOT NULL,
    -- The id of a user or an API key; 'system' for the rules that come with the program.
    created_by TEXT        NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,

    CONSTRAINT risk_rules_pkey PRIMARY KEY (rule_id, version),
    CONSTRAINT risk_rules_version_positive CHECK (version > 0),
    CONSTRAINT risk_rules_outcome_known CHECK (outcome IN ('ALLOW', 'REVIEW', 'DECLINE'))
);

-- One row for each payment that was judged; only PENDING outcomes and reviews change.
CREATE TABLE risk_decisions (
    decision_id     TEXT           NOT NULL,
    transfer_id     TEXT           NOT NULL,
    account_id      TEXT           NOT NULL,
    user_id         TEXT           NOT NULL,
    -- The user who is paid; '' when none is.
    payee_id        TEXT           NOT NULL,
    operation       TEXT           NOT NULL,
    amount          DECIMAL(19, 4) NOT NULL,
    currency        TEXT           NOT NULL,
    -- PENDING while the rules are asked; a judge that died leaves it, and the next
    -- call for the transfer judges again.
    outcome         TEXT           NOT NULL,
    -- The rule that decided; '' and 0 when none matched.
    rule_id         TEXT           NOT NULL,
    rule_version    BIGINT         NOT NULL,
    -- JSON: all rules that matched or failed, with their versions; what they saw.
    matches         TEXT           NOT NULL,
    inputs          TEXT           NOT NULL,
    decided_at      TIMESTAMPTZ    NOT NULL,
    -- Of outcome REVIEW alone; '' otherwise.
    review_status   TEXT           NOT NULL,
    reviewed_by     TEXT           NOT NULL,
    reviewed_kind   TEXT           NOT NULL,
    review_reason   TEXT           NOT NULL,
    reviewed_at     TIMESTAMPTZ    NULL,

    CONSTRAINT risk_decisions_pkey PRIMARY KEY (decision_id),
    CONSTRAINT risk_decisions_outcome_known CHECK (outcome IN ('PENDING', 'ALLOW', 'REVIEW', 'DECLINE')),
    CONSTRAINT risk_decisions_review_known CHECK (review_status IN ('', 'PENDING', 'APPROVED', 'REJECTED')),
    CONSTRAINT risk_decisions_review_is_of_review CHECK ((outcome = 'REVIEW') = (review_status <> '')),
    CONSTRAINT risk_decisions_reviewed_is_signed CHECK ((review_status IN ('APPROVED', 'REJECTED')) = (reviewed_at IS NOT NULL))
);
-- A transfer is judged once.
CREATE UNIQUE INDEX risk_decisions_transfer ON risk_decisions (transfer_id);
-- Counts what was asked of an account lately.
CREATE INDEX risk_decisions_by_account ON risk_decisions (account_id, decided_at, decision_id);
CREATE INDEX risk_decisions_reviews ON risk_decisions (review_status, decided_at, decision_id) WHERE review_status <> '';

CREATE TABLE role_limits (
    role         TEXT           NOT NULL,
    -- '' is all currencies that have no limits of their own.
    currency     TEXT           NOT NULL,
    -- NULL: no limit.
    per_transfer DECIMAL(19, 4) NULL,
    daily        DECIMAL(19, 4) NULL,
    updated_by   TEXT           NOT NULL,
    updated_at   TIMESTAMPTZ    NOT NULL,

    CONSTRAINT role_limits_pkey PRIMARY KEY (role, currency),
    CONSTRAINT role_limits_per_transfer_not_negative CHECK (per_transfer >= 0),
    CONSTRAINT role_limits_daily_not_negative CHECK (daily >= 0)
);

-- +goose Down
DROP TABLE role_limits;
DROP TABLE risk_decisions;
DROP TABLE risk_rules;
