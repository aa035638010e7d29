package risk

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/platform/database"
	"florin/internal/risk/internal/riskdb"
)

// Outcome is what a rule wants done with a payment that it matches, and what a
// decision says.
type Outcome string

// The outcomes, the mildest first. Of several the strictest wins.
const (
	Allow   Outcome = "ALLOW"   // changes nothing, but the decision says that the rule matched
	Review  Outcome = "REVIEW"  // a person approves or rejects it
	Decline Outcome = "DECLINE" // it does not happen
)

// pending is a decision that is still being made. It never leaves the package.
const pending Outcome = "PENDING"

func (o Outcome) severity() int {
	switch o {
	case Allow:
		return 0
	case Review:
		return 1
	}
	return 2
}

// Limits of rules. They are part of the API.
const (
	MaxRules      = 100
	MaxNameLength = 100 // characters
	MaxPriority   = 1000
)

// Terms are what can be changed of a rule.
type Terms struct {
	Name string `json:"name"`
	// Expression is CEL over the variables that Facts names, and true of the
	// payments that the rule is about:
	// is_new_payee && amount > 1000 && currency == "USD". Amounts are exact:
	// amount >= decimal("0.10"), amount == decimal(13).
	Expression string  `json:"expression"`
	Outcome    Outcome `json:"outcome"`
	// Priority says which of several matching rules with the same outcome the
	// decision names: the highest, 0 to MaxPriority.
	Priority int  `json:"priority"`
	Enabled  bool `json:"enabled"`
}

// Rule is one version of a rule.
type Rule struct {
	ID      string
	Version int64 // 1, 2, 3, ... of this rule
	Terms
	CreatedBy string // id of the user or key that made this version; "system" for the program
	CreatedAt time.Time
}

// compiled is a rule ready to be asked. Problem says why it can't be; it does not
// go unnoticed, since what can't be judged is reviewed.
type compiled struct {
	Rule
	expression *expression
	problem    error
}

var ruleIDPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,49}$`)

func (t *Terms) validate() error {
	if n := utf8.RuneCountInString(t.Name); n == 0 || n > MaxNameLength || !isPlainText(t.Name) {
		return invalid("name", "must have 1 to %d characters, none of them control characters", MaxNameLength)
	}
	if t.Outcome != Allow && t.Outcome != Review && t.Outcome != Decline {
		return invalid("outcome", "must be ALLOW, REVIEW or DECLINE")
	}
	if t.Priority < 0 || t.Priority > MaxPriority {
		return invalid("priority", "must be 0 to %d", MaxPriority)
	}
	_, err := compile(t.Expression)
	return err
}

func isPlainText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// CreateRule records version 1 of a rule; it is asked at once here, and by other
// replicas within CacheTime. A second call with the same terms returns what is
// there. Returns RuleExists, TooManyRules and InvalidInput, which for an expression
// says where it is wrong.
func (r *Rules) CreateRule(ctx context.Context, ruleID string, t Terms) (Rule, error) {
	if !ruleIDPattern.MatchString(ruleID) {
		return Rule{}, invalid("id", "must have 1 to 50 characters of a-z 0-9 _ and begin with a letter")
	}
	if err := t.validate(); err != nil {
		return Rule{}, err
	}
	if err := r.storeBuiltIn(ctx); err != nil { // its ids are taken, whoever comes first
		return Rule{}, err
	}
	return r.save(ctx, ruleID, func(current *Rule, rules int64) (Rule, error) {
		switch {
		case current != nil && current.Version == 1 && current.Terms == t:
			return *current, nil
		case current != nil:
			return Rule{}, RuleExists.Failure("there is a rule %s already", ruleID)
		case rules >= MaxRules:
			return Rule{}, TooManyRules.Failure("there are %d rules already, the most there can be: change one", rules)
		}
		return Rule{ID: ruleID, Version: 1, Terms: t}, nil
	})
}

// ChangeRule records the next version of a rule, made of the version given. The
// earlier ones stay. A second call returns what the first did; terms that are
// there already make no version. Returns RuleNotFound, InvalidInput, and
// RuleChanged when the newest version is another.
func (r *Rules) ChangeRule(ctx context.Context, ruleID string, version int64, t Terms) (Rule, error) {
	if err := t.validate(); err != nil {
		return Rule{}, err
	}
	return r.save(ctx, ruleID, func(current *Rule, _ int64) (Rule, error) {
		switch {
		case current == nil:
			return Rule{}, ruleNotFound(ruleID)
		case current.Terms == t && (current.Version == version || current.Version-1 == version):
			return *current, nil
		case current.Version != version:
			return Rule{}, RuleChanged.Failure("rule %s has version %d, the change is of version %d: read it again", ruleID, current.Version, version)
		}
		return Rule{ID: ruleID, Version: version + 1, Terms: t}, nil
	})
}

// save reads a rule and writes the version that decide makes of it, unless it is
// the one that is there.
func (r *Rules) save(ctx context.Context, ruleID string, decide func(current *Rule, rules int64) (Rule, error)) (Rule, error) {
	if !ruleIDPattern.MatchString(ruleID) {
		return Rule{}, ruleNotFound(ruleID)
	}
	var saved Rule
	err := r.db.InTx(ctx, "risk.rule", func(ctx context.Context, tx pgx.Tx) error {
		queries := riskdb.New(tx)
		rules, err := queries.CountRules(ctx)
		if err != nil {
			return err
		}
		var current *Rule
		row, err := queries.CurrentRule(ctx, ruleID)
		switch {
		case err == nil:
			current = new(ruleFromRow(row))
		case !database.NotFound(err):
			return err
		}
		if saved, err = decide(current, rules); err != nil || current != nil && saved.Version == current.Version {
			return err
		}
		saved.CreatedBy, saved.CreatedAt = actor(ctx), r.clock()
		err = queries.InsertRule(ctx, riskdb.InsertRuleParams(saved.row()))
		if database.UniqueViolation(err) == "risk_rules_pkey" {
			return database.Retry(err) // read what the other one made of it
		}
		if err != nil {
			return err
		}
		return r.log.AppendTx(ctx, tx, ruleEvent(current, saved))
	})
	r.rules.Forget()
	if err != nil {
		return Rule{}, fmt.Errorf("save rule: %w", err)
	}
	return saved, nil
}

func ruleEvent(before *Rule, after Rule) audit.Event {
	event := audit.Event{Action: "risk_rule.created", TargetKind: "risk_rule", TargetID: after.ID, After: after.json(), Result: audit.OK}
	if before != nil {
		event.Action, event.Before = "risk_rule.changed", before.json()
	}
	return event
}

func (r Rule) json() json.RawMessage {
	return object(struct {
		Version int64 `json:"version"`
		Terms
	}{r.Version, r.Terms})
}

// object is v as JSON. It is for the package's own plain types, which always can be.
func object(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic("risk: " + err.Error())
	}
	return text
}

// Rules returns all rules as they are now, in the order of their ids, disabled
// ones included. There are at most MaxRules.
func (r *Rules) Rules(ctx context.Context) ([]Rule, error) {
	current, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	rules := make([]Rule, len(current))
	for i, c := range current {
		rules[i] = c.Rule
	}
	return rules, nil
}

// Rule returns the newest version of a rule. Returns RuleNotFound.
func (r *Rules) Rule(ctx context.Context, ruleID string) (Rule, error) {
	versions, err := r.RuleVersions(ctx, ruleID, 0, 1)
	if err != nil {
		return Rule{}, err
	}
	if len(versions) == 0 {
		return Rule{}, ruleNotFound(ruleID)
	}
	return versions[0], nil
}

// RuleVersions returns up to limit versions of a rule, the newest first, from
// before the version given (0 for the newest); none for an unknown rule.
func (r *Rules) RuleVersions(ctx context.Context, ruleID string, before int64, limit int) ([]Rule, error) {
	if !ruleIDPattern.MatchString(ruleID) {
		return nil, nil
	}
	if before <= 0 {
		before = math.MaxInt64
	}
	if err := r.storeBuiltIn(ctx); err != nil {
		return nil, err
	}
	rows, err := r.queries.RuleVersions(ctx, riskdb.RuleVersionsParams{RuleID: ruleID, BeforeVersion: before, MaxRows: pageSize(limit)})
	if err != nil {
		return nil, fmt.Errorf("read versions of rule: %w", err)
	}
	rules := make([]Rule, len(rows))
	for i, row := range rows {
		rules[i] = ruleFromRow(row)
	}
	return rules, nil
}

// current returns what is remembered of the rules, at most CacheTime old.
func (r *Rules) current(ctx context.Context) ([]compiled, error) {
	return r.rules.Get(r.clock(), CacheTime, func([]compiled) ([]compiled, error) { return r.read(ctx) })
}

// read reads all rules; those that come with the program are stored first.
func (r *Rules) read(ctx context.Context) ([]compiled, error) {
	if err := r.storeBuiltIn(ctx); err != nil {
		return nil, err
	}
	rows, err := r.queries.CurrentRules(ctx)
	if err != nil {
		return nil, fmt.Errorf("read risk rules: %w", err)
	}
	rules := make([]compiled, len(rows))
	for i, row := range rows {
		rules[i].Rule = ruleFromRow(row)
		if rules[i].Enabled {
			rules[i].expression, rules[i].problem = compile(row.Expression)
		}
	}
	return rules, nil
}

// actor is the id of who acts under ctx.
func actor(ctx context.Context) string {
	if origin, found := audit.From(ctx); found {
		return origin.ActorID
	}
	return systemActor
}

const systemActor = "system"

func ruleNotFound(ruleID string) error {
	return RuleNotFound.Failure("there is no rule %q", ruleID)
}

func pageSize(limit int) int32 { return int32(max(1, min(limit, MaxPage))) }

func ruleFromRow(row riskdb.RiskRule) Rule {
	return Rule{
		ID: row.RuleID, Version: row.Version,
		Terms: Terms{
			Name: row.Name, Expression: row.Expression, Outcome: Outcome(row.Outcome), Priority: int(row.Priority), Enabled: row.Enabled,
		},
		CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt.UTC(),
	}
}

func (r Rule) row() riskdb.RiskRule {
	return riskdb.RiskRule{
		RuleID: r.ID, Version: r.Version, Name: r.Name, Expression: r.Expression, Outcome: string(r.Outcome),
		Priority: int64(r.Priority), Enabled: r.Enabled, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt,
	}
}
