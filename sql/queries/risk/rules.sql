-- The rules that come with the program, once: whoever is second changes nothing.
-- name: InsertRuleIfNew :execrows
INSERT INTO risk_rules (rule_id, version, name, expression, outcome, priority, enabled, created_by, created_at)
VALUES (@rule_id, @version, @name, @expression, @outcome, @priority, @enabled, @created_by, @created_at)
ON CONFLICT (rule_id, version) DO NOTHING;

-- Of two who make the same version one meets the primary key.
-- name: InsertRule :exec
INSERT INTO risk_rules (rule_id, version, name, expression, outcome, priority, enabled, created_by, created_at)
VALUES (@rule_id, @version, @name, @expression, @outcome, @priority, @enabled, @created_by, @created_at);

-- All rules as they are now. The table is read whole: it has hundreds of rows at
-- most, and is read once in a few seconds.
-- name: CurrentRules :many
SELECT DISTINCT ON (rule_id)
       rule_id, version, name, expression, outcome, priority, enabled, created_by, created_at
FROM risk_rules
ORDER BY rule_id, version DESC;

-- By the primary key.
-- name: CurrentRule :one
SELECT rule_id, version, name, expression, outcome, priority, enabled, created_by, created_at
FROM risk_rules
WHERE rule_id = @rule_id
ORDER BY version DESC
LIMIT 1;

-- By the primary key, newest first.
-- name: RuleVersions :many
SELECT rule_id, version, name, expression, outcome, priority, enabled, created_by, created_at
FROM risk_rules
WHERE rule_id = @rule_id AND version < @before_version
ORDER BY version DESC
LIMIT @max_rows;

-- name: CountRules :one
SELECT count(DISTINCT rule_id) FROM risk_rules;
