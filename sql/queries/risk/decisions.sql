-- Puts the payment on record before it is judged, so that those that come at the
-- same time see each other. Whoever is second for one transfer changes nothing.
-- name: InsertDecision :execrows
INSERT INTO risk_decisions (decision_id, transfer_id, account_id, user_id, payee_id, operation, amount, currency, outcome, rule_id,
                            rule_version, matches, inputs, decided_at, review_status, reviewed_by, reviewed_kind, review_reason)
VALUES (@decision_id, @transfer_id, @account_id, @user_id, @payee_id, @operation, @amount, @currency, 'PENDING', '',
        0, '[]', '{}', @decided_at, '', '', '', '')
ON CONFLICT (transfer_id) DO NOTHING;

-- What was asked of an account lately, newest first and no more than max_rows: by
-- risk_decisions_by_account, so that the work is bounded however busy it is.
-- name: CountAttempts :one
SELECT count(*) AS in_day, count(*) FILTER (WHERE decided_at > @hour_ago::timestamptz) AS in_hour
FROM (
    SELECT decided_at
    FROM risk_decisions
    WHERE account_id = @account_id AND decided_at > @day_ago::timestamptz
    ORDER BY decided_at DESC
    LIMIT @max_rows
) AS recent;

-- The first judgement of a transfer stays: whoever is second finds no row.
-- name: SettleDecision :one
UPDATE risk_decisions
SET outcome       = @outcome,
    rule_id       = @rule_id,
    rule_version  = @rule_version,
    matches       = @matches,
    inputs        = @inputs,
    review_status = @review_status,
    reviewed_by   = @reviewed_by,
    reviewed_kind = @reviewed_kind,
    review_reason = @review_reason,
    reviewed_at   = sqlc.narg(reviewed_at)
WHERE transfer_id = @transfer_id AND outcome = 'PENDING'
RETURNING decision_id, transfer_id, account_id, user_id, payee_id, operation, amount, currency, outcome, rule_id, rule_version, matches,
          inputs, decided_at, review_status, reviewed_by, reviewed_kind, review_reason, reviewed_at;

-- name: DecisionOfTransfer :one
SELECT decision_id, transfer_id, account_id, user_id, payee_id, operation, amount, currency, outcome, rule_id, rule_version, matches,
       inputs, decided_at, review_status, reviewed_by, reviewed_kind, review_reason, reviewed_at
FROM risk_decisions
WHERE transfer_id = @transfer_id;

-- name: GetDecision :one
SELECT decision_id, transfer_id, account_id, user_id, payee_id, operation, amount, currency, outcome, rule_id, rule_version, matches,
       inputs, decided_at, review_status, reviewed_by, reviewed_kind, review_reason, reviewed_at
FROM risk_decisions
WHERE decision_id = @decision_id;

-- The row is locked, so that two who review it take turns.
-- name: LockDecision :one
SELECT decision_id, transfer_id, account_id, user_id, payee_id, operation, amount, currency, outcome, rule_id, rule_version, matches,
       inputs, decided_at, review_status, reviewed_by, reviewed_kind, review_reason, reviewed_at
FROM risk_decisions
WHERE decision_id = @decision_id
FOR UPDATE;

-- name: SetReview :exec
UPDATE risk_decisions
SET review_status = @review_status,
    reviewed_by   = @reviewed_by,
    reviewed_kind = @reviewed_kind,
    review_reason = @review_reason,
    reviewed_at   = @reviewed_at
WHERE decision_id = @decision_id;

-- The review queue, who waits longest first, by risk_decisions_reviews. Of a user
-- or an account alone it reads on until it has enough.
-- name: ListReviews :many
SELECT decision_id, transfer_id, account_id, user_id, payee_id, operation, amount, currency, outcome, rule_id, rule_version, matches,
       inputs, decided_at, review_status, reviewed_by, reviewed_kind, review_reason, reviewed_at
FROM risk_decisions
WHERE review_status = @review_status AND review_status <> ''
  AND (decided_at, decision_id) > (@after_decided_at::timestamptz, @after_decision_id::text)
  AND (sqlc.narg(user_id)::text IS NULL OR user_id = sqlc.narg(user_id))
  AND (sqlc.narg(account_id)::text IS NULL OR account_id = sqlc.narg(account_id))
ORDER BY decided_at, decision_id
LIMIT @max_rows;

-- Newest first, by risk_decisions_by_account.
-- name: ListDecisionsOfAccount :many
SELECT decision_id, transfer_id, account_id, user_id, payee_id, operation, amount, currency, outcome, rule_id, rule_version, matches,
       inputs, decided_at, review_status, reviewed_by, reviewed_kind, review_reason, reviewed_at
FROM risk_decisions
WHERE account_id = @account_id AND outcome <> 'PENDING'
  AND (decided_at, decision_id) < (@before_decided_at::timestamptz, @before_decision_id::text)
ORDER BY decided_at DESC, decision_id DESC
LIMIT @max_rows;
