-- What migrations 1 to 20 make of an empty CockroachDB database.
-- Written by: go test ./internal/platform/database -run Baseline -update

CREATE SCHEMA reporting;

CREATE TABLE public.accounts (
	account_id STRING NOT NULL,
	account_type STRING NOT NULL,
	currency STRING NOT NULL,
	status STRING NOT NULL,
	posted DECIMAL(19,4) NOT NULL,
	held DECIMAL(19,4) NOT NULL,
	overdraft_limit DECIMAL(19,4) NULL,
	shortfall DECIMAL(19,4) NOT NULL,
	last_seq INT8 NOT NULL,
	version INT8 NOT NULL,
	metadata JSONB NOT NULL,
	opening_hash BYTES NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	home_region STRING NOT NULL DEFAULT '':::STRING,
	owner_id STRING NOT NULL DEFAULT '':::STRING,
	transfer_limit DECIMAL(19,4) NULL,
	daily_limit DECIMAL(19,4) NULL,
	spent_since TIMESTAMPTZ NULL,
	spent DECIMAL(38,4) NOT NULL DEFAULT 0:::DECIMAL,
	CONSTRAINT accounts_pkey PRIMARY KEY (account_id ASC),
	INDEX accounts_by_type (account_type ASC, account_id ASC),
	INDEX accounts_not_active (status ASC, account_id ASC) WHERE status != 'ACTIVE':::STRING,
	INVERTED INDEX accounts_by_metadata (metadata),
	INDEX accounts_by_owner (owner_id ASC, account_id ASC) WHERE owner_id != '':::STRING,
	CONSTRAINT accounts_status_known CHECK (status IN ('ACTIVE':::STRING, 'FROZEN':::STRING, 'CLOSED':::STRING)),
	CONSTRAINT accounts_held_not_negative CHECK (held >= 0:::DECIMAL),
	CONSTRAINT accounts_overdraft_limit_not_negative CHECK (overdraft_limit >= 0:::DECIMAL),
	CONSTRAINT accounts_shortfall_not_negative CHECK (shortfall >= 0:::DECIMAL),
	CONSTRAINT accounts_available_not_negative CHECK ((((posted - held) + overdraft_limit) + shortfall) >= 0:::DECIMAL),
	CONSTRAINT accounts_limits_not_negative CHECK (((transfer_limit >= 0:::DECIMAL) AND (daily_limit >= 0:::DECIMAL)) AND (spent >= 0:::DECIMAL))
);

CREATE TABLE public.transfers (
	transfer_id STRING NOT NULL,
	kind STRING NOT NULL,
	source_account_id STRING NOT NULL,
	destination_account_id STRING NOT NULL,
	amount DECIMAL(19,4) NOT NULL,
	currency STRING NOT NULL,
	status STRING NOT NULL,
	failure_code STRING NULL,
	failure_message STRING NULL,
	description STRING NOT NULL,
	metadata JSONB NULL,
	hold_id STRING NULL,
	reverses_id STRING NULL,
	source_seq INT8 NULL,
	destination_seq INT8 NULL,
	request_hash BYTES NOT NULL,
	effective_at TIMESTAMPTZ NULL,
	created_at TIMESTAMPTZ NOT NULL,
	finished_at TIMESTAMPTZ NULL,
	lease_owner STRING NULL,
	lease_until TIMESTAMPTZ NULL,
	crdb_internal_created_at_transfer_id_shard_8 INT8 NOT VISIBLE NOT NULL AS (mod(fnv32(md5(crdb_internal.datums_to_bytes(created_at, transfer_id))), 8:::INT8)) VIRTUAL,
	home_region STRING NOT NULL DEFAULT '':::STRING,
	role_transfer_limit DECIMAL(19,4) NULL,
	role_daily_limit DECIMAL(19,4) NULL,
	CONSTRAINT transfers_pkey PRIMARY KEY (transfer_id ASC),
	INDEX transfers_by_source (source_account_id ASC, created_at ASC, transfer_id ASC),
	INDEX transfers_by_destination (destination_account_id ASC, created_at ASC, transfer_id ASC),
	UNIQUE INDEX transfers_reversed_once (reverses_id ASC) WHERE (reverses_id IS NOT NULL) AND (status = 'COMPLETED':::STRING),
	INDEX transfers_by_time (created_at ASC, transfer_id ASC) USING HASH WITH (bucket_count=8),
	INDEX transfers_failed_by_time (created_at ASC, transfer_id ASC) USING HASH WITH (bucket_count=8) WHERE status = 'FAILED':::STRING,
	INDEX transfers_unfinished (created_at ASC, transfer_id ASC) USING HASH WITH (bucket_count=8) WHERE status IN ('PENDING':::STRING, 'IN_PROGRESS':::STRING),
	CONSTRAINT transfers_amount_positive CHECK (amount > 0:::DECIMAL),
	CONSTRAINT transfers_status_known CHECK (status IN ('PENDING':::STRING, 'IN_PROGRESS':::STRING, 'COMPLETED':::STRING, 'FAILED':::STRING)),
	CONSTRAINT transfers_completed_is_posted CHECK ((status = 'COMPLETED':::STRING) = ((source_seq IS NOT NULL) AND (destination_seq IS NOT NULL))),
	CONSTRAINT transfers_failed_has_code CHECK ((status = 'FAILED':::STRING) = (failure_code IS NOT NULL))
);

CREATE TABLE public.postings (
	account_id STRING NOT NULL,
	seq INT8 NOT NULL,
	transfer_id STRING NOT NULL,
	amount DECIMAL(19,4) NOT NULL,
	balance DECIMAL(19,4) NOT NULL,
	currency STRING NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	home_region STRING NOT NULL DEFAULT '':::STRING,
	CONSTRAINT postings_pkey PRIMARY KEY (account_id ASC, seq ASC)
);

CREATE TABLE public.holds (
	hold_id STRING NOT NULL,
	source_account_id STRING NOT NULL,
	destination_account_id STRING NOT NULL,
	amount DECIMAL(19,4) NOT NULL,
	currency STRING NOT NULL,
	status STRING NOT NULL,
	captured_amount DECIMAL(19,4) NOT NULL,
	capture_id STRING NULL,
	description STRING NOT NULL,
	metadata JSONB NULL,
	request_hash BYTES NOT NULL,
	expires_at TIMESTAMPTZ NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	crdb_internal_expires_at_hold_id_shard_8 INT8 NOT VISIBLE NOT NULL AS (mod(fnv32(md5(crdb_internal.datums_to_bytes(expires_at, hold_id))), 8:::INT8)) VIRTUAL,
	home_region STRING NOT NULL DEFAULT '':::STRING,
	CONSTRAINT holds_pkey PRIMARY KEY (hold_id ASC),
	INDEX holds_pending_by_account (source_account_id ASC, hold_id ASC) WHERE status = 'PENDING':::STRING,
	INDEX holds_expiring (expires_at ASC, hold_id ASC) USING HASH WITH (bucket_count=8) WHERE status = 'PENDING':::STRING,
	CONSTRAINT holds_amount_positive CHECK (amount > 0:::DECIMAL),
	CONSTRAINT holds_status_known CHECK (status IN ('PENDING':::STRING, 'CAPTURED':::STRING, 'VOIDED':::STRING, 'EXPIRED':::STRING)),
	CONSTRAINT holds_captured_within_amount CHECK ((captured_amount >= 0:::DECIMAL) AND (captured_amount <= amount))
);

CREATE TABLE public.api_keys (
	key_id STRING NOT NULL,
	name STRING NOT NULL,
	secret_hash BYTES NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	revoked_at TIMESTAMPTZ NULL,
	"role" STRING NOT NULL DEFAULT 'admin':::STRING,
	scopes STRING[] NULL,
	owner_id STRING NOT NULL DEFAULT '':::STRING,
	allowed_networks STRING[] NOT NULL DEFAULT ARRAY[]:::STRING[],
	expires_at TIMESTAMPTZ NULL,
	last_used_at TIMESTAMPTZ NULL,
	last_used_address STRING NOT NULL DEFAULT '':::STRING,
	prefix STRING NOT NULL DEFAULT '':::STRING,
	replaced_by STRING NOT NULL DEFAULT '':::STRING,
	created_by STRING NOT NULL DEFAULT '':::STRING,
	person_id STRING NOT NULL DEFAULT '':::STRING,
	CONSTRAINT api_keys_pkey PRIMARY KEY (key_id ASC),
	UNIQUE INDEX api_keys_secret_hash_key (secret_hash ASC),
	INDEX api_keys_by_owner (owner_id ASC, key_id ASC),
	INDEX api_keys_by_prefix (prefix ASC, key_id ASC)
);

CREATE TABLE public.exports (
	export_id STRING NOT NULL,
	destination STRING NOT NULL,
	kind STRING NOT NULL,
	format STRING NOT NULL,
	status STRING NOT NULL,
	part INT8 NOT NULL,
	manifest_hash STRING NOT NULL,
	rows INT8 NOT NULL,
	resolved_at TIMESTAMPTZ NULL,
	"position" STRING NOT NULL,
	job_id INT8 NULL,
	error STRING NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	error_code STRING NULL,
	parameters_hash STRING NOT NULL DEFAULT '':::STRING,
	CONSTRAINT exports_pkey PRIMARY KEY (export_id ASC),
	UNIQUE INDEX exports_live_destination (destination ASC) WHERE status != 'CANCELLED':::STRING,
	CONSTRAINT exports_kind_known CHECK (kind IN ('FOLDER':::STRING, 'CHANGEFEED':::STRING)),
	CONSTRAINT exports_format_known CHECK (format IN ('ndjson':::STRING, 'csv':::STRING, 'parquet':::STRING)),
	CONSTRAINT exports_status_known CHECK (status IN ('RUNNING':::STRING, 'PAUSED':::STRING, 'CANCELLED':::STRING, 'FAILED':::STRING)),
	CONSTRAINT exports_part_not_negative CHECK (part >= 0:::INT8),
	CONSTRAINT exports_failed_has_error CHECK ((status = 'FAILED':::STRING) = (error IS NOT NULL))
);

CREATE TABLE public.audit_events (
	day DATE NOT NULL,
	journal STRING NOT NULL,
	seq INT8 NOT NULL,
	recorded_at TIMESTAMPTZ NOT NULL,
	action STRING NOT NULL,
	target_kind STRING NOT NULL,
	target_id STRING NOT NULL,
	before STRING NULL,
	after STRING NULL,
	result STRING NOT NULL,
	actor_kind STRING NOT NULL,
	actor_id STRING NOT NULL,
	"role" STRING NOT NULL,
	address STRING NOT NULL,
	request_id STRING NOT NULL,
	hash BYTES NOT NULL,
	home_region STRING NOT NULL DEFAULT '':::STRING,
	of_payment BOOL NOT NULL AS ((action LIKE 'transaction.%':::STRING) OR (action LIKE 'hold.%':::STRING)) STORED,
	CONSTRAINT audit_events_pkey PRIMARY KEY (day ASC, journal ASC, seq ASC),
	INDEX audit_events_by_target (target_id ASC, recorded_at ASC),
	INDEX audit_events_by_person (actor_id ASC, recorded_at ASC) WHERE actor_kind != 'key':::STRING,
	INDEX audit_events_by_action (action ASC, recorded_at ASC) WHERE NOT of_payment,
	CONSTRAINT audit_events_seq_positive CHECK (seq > 0:::INT8),
	CONSTRAINT audit_events_hash_is_sha256 CHECK (length(hash) = 32:::INT8)
);

CREATE TABLE public.audit_days (
	day DATE NOT NULL,
	row_count INT8 NOT NULL,
	journal_count INT8 NOT NULL,
	heads STRING NOT NULL,
	root BYTES NOT NULL,
	previous_root BYTES NOT NULL,
	sealed_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT audit_days_pkey PRIMARY KEY (day ASC),
	UNIQUE INDEX audit_days_previous_root_once (previous_root ASC)
);

CREATE TABLE public.users (
	user_id STRING NOT NULL,
	email STRING NULL,
	email_verified_at TIMESTAMPTZ NULL,
	password_hash STRING NOT NULL,
	"role" STRING NOT NULL,
	status STRING NOT NULL,
	name STRING NOT NULL,
	phone STRING NOT NULL,
	address STRING NOT NULL,
	locale STRING NOT NULL,
	second_factor_at TIMESTAMPTZ NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT users_pkey PRIMARY KEY (user_id ASC),
	UNIQUE INDEX users_email_key (email ASC),
	INDEX users_by_role ("role" ASC, user_id ASC),
	CONSTRAINT users_role_known CHECK ("role" IN ('customer':::STRING, 'merchant':::STRING, 'support':::STRING, 'finance':::STRING, 'operator':::STRING, 'admin':::STRING)),
	CONSTRAINT users_status_known CHECK (status IN ('ACTIVE':::STRING, 'LOCKED':::STRING, 'DELETED':::STRING)),
	CONSTRAINT users_deleted_is_nobody CHECK ((status = 'DELETED':::STRING) = (email IS NULL)),
	CONSTRAINT users_deleted_has_no_password CHECK ((status = 'DELETED':::STRING) = (password_hash = '':::STRING)),
	CONSTRAINT users_email_lower_case CHECK (email = lower(email))
);

CREATE TABLE public.sessions (
	token_hash BYTES NOT NULL,
	session_id STRING NOT NULL,
	user_id STRING NOT NULL,
	address STRING NOT NULL,
	agent STRING NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	last_used_at TIMESTAMPTZ NOT NULL,
	proven_at TIMESTAMPTZ NOT NULL,
	ends_at TIMESTAMPTZ NOT NULL,
	expires_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT sessions_pkey PRIMARY KEY (token_hash ASC),
	UNIQUE INDEX sessions_user_session_key (user_id ASC, session_id ASC),
	CONSTRAINT sessions_expire_by_their_end CHECK (expires_at <= ends_at)
) WITH (ttl = 'on', ttl_expiration_expression = 'expires_at', ttl_job_cron = '7 * * * *');

CREATE TABLE public.user_tokens (
	user_id STRING NOT NULL,
	purpose STRING NOT NULL,
	token_hash BYTES NOT NULL,
	password_hash STRING NOT NULL,
	name STRING NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	expires_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT user_tokens_pkey PRIMARY KEY (user_id ASC, purpose ASC, token_hash ASC),
	UNIQUE INDEX user_tokens_token_hash_key (token_hash ASC),
	CONSTRAINT user_tokens_purpose_known CHECK (purpose IN ('VERIFY_EMAIL':::STRING, 'RESET_PASSWORD':::STRING))
) WITH (ttl = 'on', ttl_expiration_expression = 'expires_at', ttl_job_cron = '17 * * * *');

CREATE TABLE public.second_factors (
	user_id STRING NOT NULL,
	secret STRING NOT NULL,
	last_step INT8 NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT second_factors_pkey PRIMARY KEY (user_id ASC)
);

CREATE TABLE public.recovery_codes (
	user_id STRING NOT NULL,
	code_hash BYTES NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT recovery_codes_pkey PRIMARY KEY (user_id ASC, code_hash ASC)
);

CREATE TABLE public.sign_in_throttle (
	subject BYTES NOT NULL,
	place BYTES NOT NULL,
	failures FLOAT8 NOT NULL,
	waits_until TIMESTAMPTZ NOT NULL,
	refusals INT8 NOT NULL,
	attempt_id STRING NOT NULL,
	is_known BOOL NOT NULL,
	expires_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT sign_in_throttle_pkey PRIMARY KEY (subject ASC, place ASC),
	CONSTRAINT sign_in_throttle_failures_not_negative CHECK (failures >= 0.0:::FLOAT8)
) WITH (ttl = 'on', ttl_expiration_expression = 'expires_at', ttl_job_cron = '27 * * * *');

CREATE TABLE public.linked_accounts (
	linked_account_id STRING NOT NULL,
	user_id STRING NOT NULL,
	kind STRING NOT NULL,
	bank_name STRING NOT NULL,
	last_four STRING NOT NULL,
	sealed STRING NOT NULL,
	fingerprint BYTES NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT linked_accounts_pkey PRIMARY KEY (linked_account_id ASC),
	UNIQUE INDEX linked_accounts_once_a_user (user_id ASC, fingerprint ASC),
	CONSTRAINT linked_accounts_kind_known CHECK (kind IN ('US':::STRING, 'IBAN':::STRING))
);

CREATE TABLE public.mails (
	mail_id STRING NOT NULL,
	sealed STRING NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	expires_at TIMESTAMPTZ NOT NULL,
	attempts INT8 NOT NULL,
	next_at TIMESTAMPTZ NOT NULL,
	lease_owner STRING NOT NULL,
	CONSTRAINT mails_pkey PRIMARY KEY (mail_id ASC),
	INDEX mails_by_next (next_at ASC, mail_id ASC),
	CONSTRAINT mails_attempts_not_negative CHECK (attempts >= 0:::INT8)
) WITH (ttl = 'on', ttl_expiration_expression = 'expires_at', ttl_job_cron = '37 * * * *');

CREATE TABLE public.risk_rules (
	rule_id STRING NOT NULL,
	version INT8 NOT NULL,
	name STRING NOT NULL,
	expression STRING NOT NULL,
	outcome STRING NOT NULL,
	priority INT8 NOT NULL,
	enabled BOOL NOT NULL,
	created_by STRING NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT risk_rules_pkey PRIMARY KEY (rule_id ASC, version ASC),
	CONSTRAINT risk_rules_version_positive CHECK (version > 0:::INT8),
	CONSTRAINT risk_rules_outcome_known CHECK (outcome IN ('ALLOW':::STRING, 'REVIEW':::STRING, 'DECLINE':::STRING))
);

CREATE TABLE public.risk_decisions (
	decision_id STRING NOT NULL,
	transfer_id STRING NOT NULL,
	account_id STRING NOT NULL,
	user_id STRING NOT NULL,
	payee_id STRING NOT NULL,
	operation STRING NOT NULL,
	amount DECIMAL(19,4) NOT NULL,
	currency STRING NOT NULL,
	outcome STRING NOT NULL,
	rule_id STRING NOT NULL,
	rule_version INT8 NOT NULL,
	matches STRING NOT NULL,
	inputs STRING NOT NULL,
	decided_at TIMESTAMPTZ NOT NULL,
	review_status STRING NOT NULL,
	reviewed_by STRING NOT NULL,
	reviewed_kind STRING NOT NULL,
	review_reason STRING NOT NULL,
	reviewed_at TIMESTAMPTZ NULL,
	CONSTRAINT risk_decisions_pkey PRIMARY KEY (decision_id ASC),
	UNIQUE INDEX risk_decisions_transfer (transfer_id ASC),
	INDEX risk_decisions_by_account (account_id ASC, decided_at ASC, decision_id ASC),
	INDEX risk_decisions_reviews (review_status ASC, decided_at ASC, decision_id ASC) WHERE review_status != '':::STRING,
	CONSTRAINT risk_decisions_outcome_known CHECK (outcome IN ('PENDING':::STRING, 'ALLOW':::STRING, 'REVIEW':::STRING, 'DECLINE':::STRING)),
	CONSTRAINT risk_decisions_review_known CHECK (review_status IN ('':::STRING, 'PENDING':::STRING, 'APPROVED':::STRING, 'REJECTED':::STRING)),
	CONSTRAINT risk_decisions_review_is_of_review CHECK ((outcome = 'REVIEW':::STRING) = (review_status != '':::STRING)),
	CONSTRAINT risk_decisions_reviewed_is_signed CHECK ((review_status IN ('APPROVED':::STRING, 'REJECTED':::STRING)) = (reviewed_at IS NOT NULL))
);

CREATE TABLE public.role_limits (
	"role" STRING NOT NULL,
	currency STRING NOT NULL,
	per_transfer DECIMAL(19,4) NULL,
	daily DECIMAL(19,4) NULL,
	updated_by STRING NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT role_limits_pkey PRIMARY KEY ("role" ASC, currency ASC),
	CONSTRAINT role_limits_per_transfer_not_negative CHECK (per_transfer >= 0:::DECIMAL),
	CONSTRAINT role_limits_daily_not_negative CHECK (daily >= 0:::DECIMAL)
);

CREATE TABLE public.approvals (
	approval_id STRING NOT NULL,
	operation STRING NOT NULL,
	target_id STRING NOT NULL,
	payload STRING NOT NULL,
	request_hash BYTES NOT NULL,
	requested_kind STRING NOT NULL,
	requested_by STRING NOT NULL,
	requested_person STRING NOT NULL,
	requested_at TIMESTAMPTZ NOT NULL,
	status STRING NOT NULL,
	expires_at TIMESTAMPTZ NOT NULL,
	decided_by STRING NOT NULL,
	decided_at TIMESTAMPTZ NULL,
	reason STRING NOT NULL,
	executed_at TIMESTAMPTZ NULL,
	result STRING NOT NULL,
	CONSTRAINT approvals_pkey PRIMARY KEY (approval_id ASC),
	UNIQUE INDEX approvals_pending (request_hash ASC) WHERE status = 'PENDING':::STRING,
	INDEX approvals_by_time (requested_at ASC, approval_id ASC),
	CONSTRAINT approvals_status_known CHECK (status IN ('PENDING':::STRING, 'APPROVED':::STRING, 'REJECTED':::STRING, 'EXPIRED':::STRING)),
	CONSTRAINT approvals_decided_is_signed CHECK ((status IN ('APPROVED':::STRING, 'REJECTED':::STRING)) = ((decided_at IS NOT NULL) AND (decided_by != '':::STRING))),
	CONSTRAINT approvals_second_person CHECK ((status != 'APPROVED':::STRING) OR ((decided_by != requested_by) AND (decided_by != requested_person))),
	CONSTRAINT approvals_executed_is_approved CHECK ((executed_at IS NULL) OR (status = 'APPROVED':::STRING))
);

CREATE TABLE public.wallet_payments (
	payment_id STRING NOT NULL,
	kind STRING NOT NULL,
	user_id STRING NOT NULL,
	account_id STRING NOT NULL,
	other_account_id STRING NOT NULL,
	linked_account_id STRING NOT NULL,
	amount DECIMAL(19,4) NOT NULL,
	currency STRING NOT NULL,
	description STRING NOT NULL,
	request_hash BYTES NOT NULL,
	status STRING NOT NULL,
	failure_code STRING NULL,
	failure_message STRING NULL,
	transfer_limit DECIMAL(19,4) NULL,
	daily_limit DECIMAL(19,4) NULL,
	attempts INT8 NOT NULL,
	next_at TIMESTAMPTZ NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT wallet_payments_pkey PRIMARY KEY (payment_id ASC),
	INDEX wallet_payments_due (next_at ASC) WHERE next_at IS NOT NULL,
	INDEX wallet_payments_open (user_id ASC, payment_id ASC) WHERE status IN ('IN_REVIEW':::STRING, 'READY':::STRING, 'AGREED':::STRING, 'RELEASING':::STRING),
	CONSTRAINT wallet_payments_kind_known CHECK (kind IN ('DEPOSIT':::STRING, 'WITHDRAWAL':::STRING, 'TRANSFER':::STRING)),
	CONSTRAINT wallet_payments_status_known CHECK (status IN ('IN_REVIEW':::STRING, 'READY':::STRING, 'AGREED':::STRING, 'RELEASING':::STRING, 'COMPLETED':::STRING, 'FAILED':::STRING)),
	CONSTRAINT wallet_payments_amount_positive CHECK (amount > 0:::DECIMAL),
	CONSTRAINT wallet_payments_failed_has_code CHECK ((status IN ('RELEASING':::STRING, 'FAILED':::STRING)) = (failure_code IS NOT NULL))
);

CREATE TABLE public.campaigns (
	campaign_id STRING NOT NULL,
	version INT8 NOT NULL,
	terms JSONB NOT NULL,
	created_by STRING NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT campaigns_pkey PRIMARY KEY (campaign_id ASC, version ASC)
);

CREATE TABLE public.campaign_totals (
	campaign_id STRING NOT NULL,
	version INT8 NOT NULL,
	currency STRING NOT NULL,
	budget DECIMAL(19,4) NOT NULL,
	accrued DECIMAL(19,4) NOT NULL,
	confirmed DECIMAL(19,4) NOT NULL,
	paid DECIMAL(19,4) NOT NULL,
	reversed DECIMAL(19,4) NOT NULL,
	owed DECIMAL(19,4) NOT NULL,
	merchants DECIMAL(19,4) NOT NULL,
	rewards INT8 NOT NULL,
	CONSTRAINT campaign_totals_pkey PRIMARY KEY (campaign_id ASC),
	CONSTRAINT campaign_totals_within_budget CHECK (((accrued + confirmed) + paid) <= budget),
	CONSTRAINT campaign_totals_not_negative CHECK ((((((accrued >= 0:::DECIMAL) AND (confirmed >= 0:::DECIMAL)) AND (paid >= 0:::DECIMAL)) AND (reversed >= 0:::DECIMAL)) AND (owed >= 0:::DECIMAL)) AND (merchants >= 0:::DECIMAL))
);

CREATE TABLE public.cashback_programs (
	version INT8 NOT NULL,
	terms JSONB NOT NULL,
	created_by STRING NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT cashback_programs_pkey PRIMARY KEY (version ASC)
);

CREATE TABLE public.cashback_customers (
	customer_id STRING NOT NULL,
	account_id STRING NOT NULL,
	country STRING NOT NULL,
	tier STRING NOT NULL,
	purchases INT8 NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT cashback_customers_pkey PRIMARY KEY (customer_id ASC)
);

CREATE TABLE public.customer_spend (
	customer_id STRING NOT NULL,
	currency STRING NOT NULL,
	day DATE NOT NULL,
	amount DECIMAL(19,4) NOT NULL,
	CONSTRAINT customer_spend_pkey PRIMARY KEY (customer_id ASC, currency ASC, day ASC)
);

CREATE TABLE public.tier_changes (
	customer_id STRING NOT NULL,
	seq INT8 NOT NULL,
	at TIMESTAMPTZ NOT NULL,
	tier STRING NOT NULL,
	spend DECIMAL(19,4) NOT NULL,
	CONSTRAINT tier_changes_pkey PRIMARY KEY (customer_id ASC, seq ASC)
);

CREATE TABLE public.segment_members (
	customer_id STRING NOT NULL,
	segment STRING NOT NULL,
	CONSTRAINT segment_members_pkey PRIMARY KEY (customer_id ASC, segment ASC),
	INDEX segment_members_by_segment (segment ASC, customer_id ASC)
);

CREATE TABLE public.reward_caps (
	campaign_id STRING NOT NULL,
	customer_id STRING NOT NULL,
	period STRING NOT NULL,
	amount DECIMAL(19,4) NOT NULL,
	CONSTRAINT reward_caps_pkey PRIMARY KEY (customer_id ASC, campaign_id ASC, period ASC),
	CONSTRAINT reward_caps_not_negative CHECK (amount >= 0:::DECIMAL)
);

CREATE TABLE public.clicks (
	click_id STRING NOT NULL,
	customer_id STRING NOT NULL,
	merchant_id STRING NOT NULL,
	campaign_id STRING NOT NULL,
	clicked_at TIMESTAMPTZ NOT NULL,
	purchase_id STRING NULL,
	created_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT clicks_pkey PRIMARY KEY (click_id ASC),
	INDEX clicks_free (customer_id ASC, clicked_at ASC) WHERE purchase_id IS NULL
);

CREATE TABLE public.purchases (
	purchase_id STRING NOT NULL,
	merchant_id STRING NOT NULL,
	customer_id STRING NOT NULL,
	currency STRING NOT NULL,
	amount DECIMAL(19,4) NOT NULL,
	returned DECIMAL(19,4) NOT NULL,
	country STRING NOT NULL,
	purchased_at TIMESTAMPTZ NOT NULL,
	click_id STRING NULL,
	payment_reference STRING NULL,
	lines JSONB NOT NULL,
	status STRING NOT NULL,
	evaluation JSONB NULL,
	request_hash BYTES NOT NULL,
	source STRING NOT NULL,
	recorded_by STRING NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	crdb_internal_purchase_id_purchased_at_shard_8 INT8 NOT VISIBLE NOT NULL AS (mod(fnv32(md5(crdb_internal.datums_to_bytes(purchase_id, purchased_at))), 8:::INT8)) VIRTUAL,
	CONSTRAINT purchases_pkey PRIMARY KEY (purchase_id ASC),
	INDEX purchases_by_customer (customer_id ASC, purchased_at ASC, purchase_id ASC),
	INDEX purchases_by_merchant (merchant_id ASC, purchased_at ASC, purchase_id ASC),
	INDEX purchases_by_payment (payment_reference ASC) WHERE payment_reference IS NOT NULL,
	INDEX purchases_held (customer_id ASC, purchase_id ASC) WHERE status = 'HELD':::STRING,
	INDEX purchases_by_time (purchased_at ASC, purchase_id ASC) USING HASH WITH (bucket_count=8),
	CONSTRAINT purchases_status_known CHECK (status IN ('HELD':::STRING, 'ACCEPTED':::STRING, 'RETURNED':::STRING)),
	CONSTRAINT purchases_amount_not_negative CHECK (amount >= 0:::DECIMAL),
	CONSTRAINT purchases_returned_within CHECK ((returned >= 0:::DECIMAL) AND (returned <= amount))
);

CREATE TABLE public.purchase_returns (
	return_id STRING NOT NULL,
	purchase_id STRING NOT NULL,
	customer_id STRING NOT NULL,
	merchant_id STRING NOT NULL,
	lines JSONB NULL,
	amount DECIMAL(19,4) NULL,
	returned_at TIMESTAMPTZ NOT NULL,
	status STRING NOT NULL,
	failure_code STRING NULL,
	failure_message STRING NULL,
	parts JSONB NULL,
	currency STRING NULL,
	reversed DECIMAL(19,4) NOT NULL,
	request_hash BYTES NOT NULL,
	source STRING NOT NULL,
	recorded_by STRING NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT purchase_returns_pkey PRIMARY KEY (return_id ASC),
	INDEX purchase_returns_by_purchase (purchase_id ASC, return_id ASC) WHERE (status = 'WAITING':::STRING) AND (purchase_id != '':::STRING),
	INDEX purchase_returns_waiting (customer_id ASC, return_id ASC) WHERE (status = 'WAITING':::STRING) AND (purchase_id = '':::STRING),
	CONSTRAINT purchase_returns_status_known CHECK (status IN ('WAITING':::STRING, 'APPLIED':::STRING, 'REFUSED':::STRING)),
	CONSTRAINT purchase_returns_refused_has_code CHECK ((status = 'REFUSED':::STRING) = (failure_code IS NOT NULL))
);

CREATE TABLE public.rewards (
	reward_id STRING NOT NULL,
	purchase_id STRING NOT NULL,
	campaign_id STRING NOT NULL,
	campaign_version INT8 NOT NULL,
	customer_id STRING NOT NULL,
	currency STRING NOT NULL,
	amount DECIMAL(19,4) NOT NULL,
	merchant_amount DECIMAL(19,4) NOT NULL,
	merchant_account STRING NOT NULL,
	reversed DECIMAL(19,4) NOT NULL,
	owed DECIMAL(19,4) NOT NULL,
	status STRING NOT NULL,
	confirm_at TIMESTAMPTZ NOT NULL,
	next_at TIMESTAMPTZ NULL,
	attempts INT8 NOT NULL,
	failure_code STRING NULL,
	paid_to STRING NULL,
	transfers INT8 NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	crdb_internal_next_at_reward_id_shard_8 INT8 NOT VISIBLE NOT NULL AS (mod(fnv32(md5(crdb_internal.datums_to_bytes(next_at, reward_id))), 8:::INT8)) VIRTUAL,
	CONSTRAINT rewards_pkey PRIMARY KEY (reward_id ASC),
	INDEX rewards_by_purchase (purchase_id ASC, reward_id ASC),
	INDEX rewards_by_customer (customer_id ASC, created_at ASC, reward_id ASC),
	INDEX rewards_by_campaign (campaign_id ASC, created_at ASC, reward_id ASC),
	INDEX rewards_due (next_at ASC, reward_id ASC) USING HASH WITH (bucket_count=8) WHERE next_at IS NOT NULL,
	CONSTRAINT rewards_status_known CHECK (status IN ('ACCRUED':::STRING, 'CONFIRMED':::STRING, 'PAID':::STRING, 'REVERSED':::STRING)),
	CONSTRAINT rewards_amount_positive CHECK (amount > 0:::DECIMAL),
	CONSTRAINT rewards_reversed_within CHECK ((reversed >= 0:::DECIMAL) AND (reversed <= amount)),
	CONSTRAINT rewards_owed_within CHECK ((owed >= 0:::DECIMAL) AND (owed <= reversed)),
	CONSTRAINT rewards_merchant_within CHECK ((merchant_amount >= 0:::DECIMAL) AND (merchant_amount <= amount))
);

CREATE TABLE public.saved_queries (
	query_id STRING NOT NULL,
	version INT8 NOT NULL,
	name STRING NOT NULL,
	description STRING NOT NULL,
	query STRING NOT NULL,
	owner_id STRING NOT NULL,
	is_shared BOOL NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	updated_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT saved_queries_pkey PRIMARY KEY (query_id ASC),
	INDEX saved_queries_by_owner (owner_id ASC, query_id ASC),
	INDEX saved_queries_shared (query_id ASC) WHERE is_shared,
	CONSTRAINT saved_queries_version_positive CHECK (version > 0:::INT8)
);

CREATE VIEW reporting.accounts (
	account_id,
	account_type,
	is_house,
	currency,
	status,
	owner_id,
	home_region,
	created_at,
	updated_at
) AS SELECT
		account_id,
		account_type,
		account_type
		IN (
				'ASSET':::STRING,
				'LIABILITY':::STRING,
				'EQUITY':::STRING,
				'REVENUE':::STRING,
				'EXPENSE':::STRING
			)
			AS is_house,
		currency,
		status,
		owner_id,
		home_region,
		created_at,
		updated_at
	FROM
		public.accounts;

CREATE VIEW reporting.balances (
	account_id,
	account_type,
	is_house,
	currency,
	posted,
	held,
	overdraft_limit,
	available,
	shortfall,
	postings,
	updated_at
) AS SELECT
		account_id,
		account_type,
		account_type
		IN (
				'ASSET':::STRING,
				'LIABILITY':::STRING,
				'EQUITY':::STRING,
				'REVENUE':::STRING,
				'EXPENSE':::STRING
			)
			AS is_house,
		currency,
		posted,
		held,
		overdraft_limit,
		posted - held + overdraft_limit AS available,
		shortfall,
		last_seq AS postings,
		updated_at
	FROM
		public.accounts;

CREATE VIEW reporting.transfers (
	transfer_id,
	kind,
	status,
	source_account_id,
	destination_account_id,
	amount,
	currency,
	failure_code,
	hold_id,
	reverses_id,
	home_region,
	effective_at,
	created_at,
	finished_at
) AS SELECT
		transfer_id,
		kind,
		status,
		source_account_id,
		destination_account_id,
		amount,
		currency,
		failure_code,
		hold_id,
		reverses_id,
		home_region,
		effective_at,
		created_at,
		finished_at
	FROM
		public.transfers;

CREATE VIEW reporting.postings (
	account_id,
	seq,
	transfer_id,
	amount,
	balance,
	currency,
	created_at
) AS SELECT
		account_id, seq, transfer_id, amount, balance, currency, created_at
	FROM
		public.postings;

CREATE VIEW reporting.holds (
	hold_id,
	status,
	source_account_id,
	destination_account_id,
	amount,
	captured_amount,
	currency,
	capture_id,
	expires_at,
	created_at,
	updated_at
) AS SELECT
		hold_id,
		status,
		source_account_id,
		destination_account_id,
		amount,
		captured_amount,
		currency,
		capture_id,
		expires_at,
		created_at,
		updated_at
	FROM
		public.holds;

CREATE VIEW reporting.payments (
	payment_id,
	kind,
	status,
	user_id,
	account_id,
	other_account_id,
	amount,
	currency,
	failure_code,
	created_at,
	updated_at
) AS SELECT
		payment_id,
		kind,
		status,
		user_id,
		account_id,
		other_account_id,
		amount,
		currency,
		failure_code,
		created_at,
		updated_at
	FROM
		public.wallet_payments;

CREATE VIEW reporting.campaigns (
	campaign_id,
	version,
	name,
	currency,
	is_enabled,
	starts_at,
	ends_at,
	budget,
	accrued,
	confirmed,
	paid,
	reversed,
	owed,
	merchants_paid,
	rewards
) AS SELECT
		c.campaign_id,
		c.version,
		c.terms->>'name' AS name,
		t.currency,
		(c.terms->>'enabled')::BOOL AS is_enabled,
		(c.terms->>'from')::TIMESTAMPTZ AS starts_at,
		(c.terms->>'to')::TIMESTAMPTZ AS ends_at,
		t.budget,
		t.accrued,
		t.confirmed,
		t.paid,
		t.reversed,
		t.owed,
		t.merchants AS merchants_paid,
		t.rewards
	FROM
		public.campaign_totals AS t
		JOIN public.campaigns AS c ON
				c.campaign_id = t.campaign_id AND c.version = t.version;

CREATE VIEW reporting.rewards (
	reward_id,
	purchase_id,
	campaign_id,
	campaign_version,
	customer_id,
	status,
	amount,
	merchant_amount,
	reversed,
	owed,
	currency,
	merchant_account_id,
	paid_to_account_id,
	failure_code,
	confirm_at,
	created_at,
	updated_at
) AS SELECT
		reward_id,
		purchase_id,
		campaign_id,
		campaign_version,
		customer_id,
		status,
		amount,
		merchant_amount,
		reversed,
		owed,
		currency,
		merchant_account AS merchant_account_id,
		paid_to AS paid_to_account_id,
		failure_code,
		confirm_at,
		created_at,
		updated_at
	FROM
		public.rewards;

CREATE VIEW reporting.purchases (
	purchase_id,
	merchant_id,
	customer_id,
	status,
	amount,
	returned,
	currency,
	source,
	purchased_at,
	created_at
) AS SELECT
		purchase_id,
		merchant_id,
		customer_id,
		status,
		amount,
		returned,
		currency,
		source,
		purchased_at,
		created_at
	FROM
		public.purchases;

CREATE VIEW reporting.daily_volumes (
	day,
	currency,
	kind,
	status,
	transfers,
	volume
) AS SELECT
		(timezone('UTC', created_at))::DATE AS day,
		currency,
		kind,
		status,
		count(*) AS transfers,
		sum(amount) AS volume
	FROM
		public.transfers
	GROUP BY
		(timezone('UTC', created_at))::DATE, currency, kind, status;

CREATE TABLE public.ledger_activity (
	span_seconds INT8 NOT NULL,
	begins_at TIMESTAMPTZ NOT NULL,
	replica STRING NOT NULL,
	region STRING NOT NULL,
	currency STRING NOT NULL,
	code STRING NOT NULL,
	transfers INT8 NOT NULL,
	volume DECIMAL(38,4) NOT NULL,
	expires_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT ledger_activity_pkey PRIMARY KEY (span_seconds ASC, begins_at ASC, replica ASC, currency ASC, code ASC),
	CONSTRAINT ledger_activity_counts CHECK ((transfers > 0:::INT8) AND (volume >= 0:::DECIMAL))
) WITH (ttl = 'on', ttl_expiration_expression = 'expires_at', ttl_job_cron = '47 * * * *');

CREATE TABLE public.proofs (
	kind STRING NOT NULL,
	read_at TIMESTAMPTZ NOT NULL,
	recorded_at TIMESTAMPTZ NOT NULL,
	recorded_by STRING NOT NULL,
	is_balanced BOOL NOT NULL,
	offences INT8 NOT NULL,
	sums JSONB NOT NULL,
	expires_at TIMESTAMPTZ NULL,
	CONSTRAINT proofs_pkey PRIMARY KEY (kind ASC, read_at ASC, recorded_by ASC),
	CONSTRAINT proofs_kind_known CHECK (kind IN ('BALANCES':::STRING, 'FULL':::STRING)),
	CONSTRAINT proofs_balanced_without_offences CHECK (is_balanced OR (offences > 0:::INT8))
) WITH (ttl = 'on', ttl_expiration_expression = 'expires_at', ttl_job_cron = '57 * * * *');

CREATE TABLE public.proof_turns (
	kind STRING NOT NULL,
	taken_by STRING NOT NULL,
	next_at TIMESTAMPTZ NOT NULL,
	CONSTRAINT proof_turns_pkey PRIMARY KEY (kind ASC)
);

INSERT INTO public.goose_db_version (version_id, is_applied) VALUES (1, true), (2, true), (3, true), (4, true), (5, true), (6, true), (7, true), (8, true), (9, true), (10, true), (11, true), (12, true), (13, true), (14, true), (15, true), (16, true), (17, true), (18, true), (19, true), (20, true);
