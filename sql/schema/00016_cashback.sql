-- Cashback: campaigns, what customers bought, and the rewards that came of it.
--
-- While the old version is still running: it does not know the tables.
--
-- A purchase, what it changed of counters, its rewards and their transfers are
-- written in one transaction of the ledger's executor (ledger.Work).

-- +goose Up

-- A row is one version of a campaign; the newest counts.
CREATE TABLE campaigns (
    campaign_id TEXT        NOT NULL,
    version     BIGINT      NOT NULL, -- 1, 2, 3, ... of this campaign
    terms       JSONB       NOT NULL, -- rules.Terms
    created_by  TEXT        NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,

    CONSTRAINT campaigns_pkey PRIMARY KEY (campaign_id, version)
);

-- What a campaign has given, in its currency. Its row is locked by every
-- transaction that may give more: the budget holds whatever happens at once.
CREATE TABLE campaign_totals (
    campaign_id TEXT           NOT NULL,
    -- The campaign's newest: who gives rewards by an older one sees it under the lock.
    version     BIGINT         NOT NULL,
    currency    TEXT           NOT NULL,
    budget      DECIMAL(19, 4) NOT NULL,
    -- Where the rewards that count against the budget stand.
    accrued     DECIMAL(19, 4) NOT NULL,
    confirmed   DECIMAL(19, 4) NOT NULL,
    paid        DECIMAL(19, 4) NOT NULL,
    -- Taken back, all in all; free to be given again.
    reversed    DECIMAL(19, 4) NOT NULL,
    -- To be taken back from customers who have spent it; part of paid.
    owed        DECIMAL(19, 4) NOT NULL,
    -- What merchants paid of accrued + confirmed + paid.
    merchants   DECIMAL(19, 4) NOT NULL,
    rewards     BIGINT         NOT NULL,

    CONSTRAINT campaign_totals_pkey PRIMARY KEY (campaign_id),
    CONSTRAINT campaign_totals_within_budget CHECK (accrued + confirmed + paid <= budget),
    CONSTRAINT campaign_totals_not_negative CHECK (
        accrued >= 0 AND confirmed >= 0 AND paid >= 0 AND reversed >= 0 AND owed >= 0 AND merchants >= 0)
);

-- What campaigns share: groups' policies, loyalty tiers, segments by rule.
CREATE TABLE cashback_programs (
    version    BIGINT      NOT NULL,
    terms      JSONB       NOT NULL, -- rules.Program
    created_by TEXT        NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,

    CONSTRAINT cashback_programs_pkey PRIMARY KEY (version)
);

-- Customers who take part. What comes of others waits until they are entered.
CREATE TABLE cashback_customers (
    customer_id TEXT        NOT NULL,
    -- Where rewards are paid to.
    account_id  TEXT        NOT NULL,
    country     TEXT        NOT NULL, -- empty when not known
    -- By the newest purchase; empty below the first tier.
    tier        TEXT        NOT NULL,
    purchases   BIGINT      NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL,

    CONSTRAINT cashback_customers_pkey PRIMARY KEY (customer_id)
);

-- Spend of a customer by day, returns taken off: what tiers are made of.
CREATE TABLE customer_spend (
    customer_id TEXT           NOT NULL,
    currency    TEXT           NOT NULL,
    day         DATE           NOT NULL, -- UTC, of the purchase
    amount      DECIMAL(19, 4) NOT NULL,

    CONSTRAINT customer_spend_pkey PRIMARY KEY (customer_id, currency, day)
);

CREATE TABLE tier_changes (
    customer_id TEXT           NOT NULL,
    seq         BIGINT         NOT NULL, -- the customer's count of purchases then
    at          TIMESTAMPTZ    NOT NULL, -- of the purchase
    tier        TEXT           NOT NULL,
    spend       DECIMAL(19, 4) NOT NULL,

    CONSTRAINT tier_changes_pkey PRIMARY KEY (customer_id, seq)
);

-- Segments by list.
CREATE TABLE segment_members (
    customer_id TEXT NOT NULL,
    segment     TEXT NOT NULL,

    CONSTRAINT segment_members_pkey PRIMARY KEY (customer_id, segment)
);
CREATE INDEX segment_members_by_segment ON segment_members (segment, customer_id);

-- What customers got of a campaign with a cap, by period of the cap.
CREATE TABLE reward_caps (
    campaign_id TEXT           NOT NULL,
    customer_id TEXT           NOT NULL,
    period      TEXT           NOT NULL, -- such as 2026-11-20, 2026-W47, 2026-11 or ALL
    amount      DECIMAL(19, 4) NOT NULL,

    CONSTRAINT reward_caps_pkey PRIMARY KEY (customer_id, campaign_id, period),
    CONSTRAINT reward_caps_not_negative CHECK (amount >= 0)
);

CREATE TABLE clicks (
    click_id    TEXT        NOT NULL,
    customer_id TEXT        NOT NULL,
    merchant_id TEXT        NOT NULL,
    campaign_id TEXT        NOT NULL,
    clicked_at  TIMESTAMPTZ NOT NULL,
    -- The purchase that it brought; one at most.
    purchase_id TEXT        NULL,
    created_at  TIMESTAMPTZ NOT NULL,

    CONSTRAINT clicks_pkey PRIMARY KEY (click_id)
);
CREATE INDEX clicks_free ON clicks (customer_id, clicked_at) WHERE purchase_id IS NULL;

CREATE TABLE purchases (
    purchase_id       TEXT           NOT NULL,
    merchant_id       TEXT           NOT NULL,
    customer_id       TEXT           NOT NULL,
    currency          TEXT           NOT NULL,
    -- Sum of the lines, exact: up to four decimals, whatever the currency has.
    amount            DECIMAL(19, 4) NOT NULL,
    -- Of what was returned of it.
    returned          DECIMAL(19, 4) NOT NULL,
    country           TEXT           NOT NULL,
    purchased_at      TIMESTAMPTZ    NOT NULL,
    -- As the caller named it; the one that it was attributed to is in findings.
    click_id          TEXT           NULL,
    payment_reference TEXT           NULL,
    lines             JSONB          NOT NULL, -- rules.Line, and what was returned of each
    -- HELD: the customer is not known yet. ACCEPTED: evaluated. RETURNED: all of it.
    status            TEXT           NOT NULL,
    -- What each campaign made of it (rules.Finding), and what was known then; NULL while HELD.
    evaluation        JSONB          NULL,
    -- Tells the same request again from another one under the same id.
    request_hash      BYTEA          NOT NULL,
    source            TEXT           NOT NULL, -- api, csv, or the gateway it came from
    recorded_by       TEXT           NOT NULL, -- id of the key or user
    created_at        TIMESTAMPTZ    NOT NULL,
    updated_at        TIMESTAMPTZ    NOT NULL,

    CONSTRAINT purchases_pkey PRIMARY KEY (purchase_id),
    CONSTRAINT purchases_status_known CHECK (status IN ('HELD', 'ACCEPTED', 'RETURNED')),
    CONSTRAINT purchases_amount_not_negative CHECK (amount >= 0),
    CONSTRAINT purchases_returned_within CHECK (returned >= 0 AND returned <= amount)
);
CREATE INDEX purchases_by_customer ON purchases (customer_id, purchased_at, purchase_id);
CREATE INDEX purchases_by_merchant ON purchases (merchant_id, purchased_at, purchase_id);
CREATE INDEX purchases_by_payment ON purchases (payment_reference) WHERE payment_reference IS NOT NULL;
CREATE INDEX purchases_held ON purchases (customer_id, purchase_id) WHERE status = 'HELD';

CREATE TABLE purchase_returns (
    return_id    TEXT           NOT NULL,
    -- Empty when it names none: it is then matched to what the customer bought of
    -- the merchant, the newest first.
    purchase_id  TEXT           NOT NULL,
    customer_id  TEXT           NOT NULL,
    merchant_id  TEXT           NOT NULL,
    -- What is given back: lines with quantities, or an amount, or all (neither).
    lines        JSONB          NULL,
    amount       DECIMAL(19, 4) NULL,
    returned_at  TIMESTAMPTZ    NOT NULL,
    -- WAITING: the purchase, or of one without a purchase the customer, is not known, or held, yet. APPLIED. REFUSED: more than was bought.
    status       TEXT           NOT NULL,
    failure_code TEXT           NULL,
    failure_message TEXT        NULL,
    -- What it was taken off: purchases, their lines and quantities; NULL until then.
    parts        JSONB          NULL,
    -- Of the parts, and of what was taken back for them; NULL until then.
    currency     TEXT           NULL,
    -- Of rewards, that were taken back for it.
    reversed     DECIMAL(19, 4) NOT NULL,
    request_hash BYTEA          NOT NULL,
    source       TEXT           NOT NULL,
    recorded_by  TEXT           NOT NULL,
    created_at   TIMESTAMPTZ    NOT NULL,
    updated_at   TIMESTAMPTZ    NOT NULL,

    CONSTRAINT purchase_returns_pkey PRIMARY KEY (return_id),
    CONSTRAINT purchase_returns_status_known CHECK (status IN ('WAITING', 'APPLIED', 'REFUSED')),
    CONSTRAINT purchase_returns_refused_has_code CHECK ((status = 'REFUSED') = (failure_code IS NOT NULL))
);
CREATE INDEX purchase_returns_by_purchase ON purchase_returns (purchase_id, return_id) WHERE status = 'WAITING' AND purchase_id <> '';
CREATE INDEX purchase_returns_waiting ON purchase_returns (customer_id, return_id) WHERE status = 'WAITING' AND purchase_id = '';

CREATE TABLE rewards (
    reward_id        TEXT           NOT NULL, -- made of the purchase's and the campaign's
    purchase_id      TEXT           NOT NULL,
    campaign_id      TEXT           NOT NULL,
    campaign_version BIGINT         NOT NULL,
    customer_id      TEXT           NOT NULL,
    currency         TEXT           NOT NULL,
    amount           DECIMAL(19, 4) NOT NULL, -- as granted
    -- Of amount, that the merchant paid, and from which account.
    merchant_amount  DECIMAL(19, 4) NOT NULL,
    merchant_account TEXT           NOT NULL, -- empty for none
    reversed         DECIMAL(19, 4) NOT NULL, -- of amount
    -- Of reversed, what the customer has still to give back.
    owed             DECIMAL(19, 4) NOT NULL,
    -- ACCRUED -> CONFIRMED -> PAID; REVERSED once nothing of it is left.
    status           TEXT           NOT NULL,
    confirm_at       TIMESTAMPTZ    NOT NULL, -- the return window is over
    -- When there is something to do; NULL when there is not.
    next_at          TIMESTAMPTZ    NULL,
    attempts         BIGINT         NOT NULL,
    failure_code     TEXT           NULL, -- why the last step could not be done
    paid_to          TEXT           NULL, -- the account
    -- How many transfers were made for it, which number their ids.
    transfers        BIGINT         NOT NULL,
    created_at       TIMESTAMPTZ    NOT NULL,
    updated_at       TIMESTAMPTZ    NOT NULL,

    CONSTRAINT rewards_pkey PRIMARY KEY (reward_id),
    CONSTRAINT rewards_status_known CHECK (status IN ('ACCRUED', 'CONFIRMED', 'PAID', 'REVERSED')),
    CONSTRAINT rewards_amount_positive CHECK (amount > 0),
    CONSTRAINT rewards_reversed_within CHECK (reversed >= 0 AND reversed <= amount),
    CONSTRAINT rewards_owed_within CHECK (owed >= 0 AND owed <= reversed),
    CONSTRAINT rewards_merchant_within CHECK (merchant_amount >= 0 AND merchant_amount <= amount)
);
CREATE INDEX rewards_by_purchase ON rewards (purchase_id, reward_id);
CREATE INDEX rewards_by_customer ON rewards (customer_id, created_at, reward_id);
CREATE INDEX rewards_by_campaign ON rewards (campaign_id, created_at, reward_id);

-- +goose Down
DROP TABLE rewards;
DROP TABLE purchase_returns;
DROP TABLE purchases;
DROP TABLE clicks;
DROP TABLE reward_caps;
DROP TABLE segment_members;
DROP TABLE tier_changes;
DROP TABLE customer_spend;
DROP TABLE cashback_customers;
DROP TABLE cashback_programs;
DROP TABLE campaign_totals;
DROP TABLE campaigns;
