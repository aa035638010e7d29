package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"florin/internal/identity"
	"florin/internal/money"
	"florin/internal/risk"
)

// RiskRule is one version of a rule.
type RiskRule struct {
	RuleID     string    `json:"ruleId" example:"new_payee_large"`
	Version    int64     `json:"version" doc:"1, 2, 3, … of this rule."`
	Name       string    `json:"name" example:"Large payment to a new payee"`
	Expression string    `json:"expression" doc:"CEL, true of the payments that the rule is about." example:"is_new_payee && amount > 1000"`
	Outcome    string    `json:"outcome" enum:"ALLOW,REVIEW,DECLINE"`
	Priority   int       `json:"priority" doc:"Of matching rules with the same outcome the highest is named."`
	Enabled    bool      `json:"enabled"`
	CreatedBy  string    `json:"createdBy" doc:"Of this version; system for the program."`
	CreatedAt  time.Time `json:"createdAt"`
}

func ruleOf(r risk.Rule) RiskRule {
	return RiskRule{
		RuleID: r.ID, Version: r.Version, Name: r.Name, Expression: r.Expression, Outcome: string(r.Outcome), Priority: r.Priority,
		Enabled: r.Enabled, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt,
	}
}

// RiskRuleList is a list of rules, or of a rule's versions.
type RiskRuleList struct {
	Data       []RiskRule `json:"data" nullable:"false"`
	NextCursor string     `json:"nextCursor,omitempty" doc:"Where the next page begins; absent on the last."`
}

// RiskRuleTerms are a rule's terms.
type RiskRuleTerms struct {
	RuleID     string `json:"ruleId,omitempty" doc:"Of a new rule: a-z 0-9 _, at most 50 characters." example:"new_payee_large"`
	Version    int    `json:"version,omitempty" doc:"Of a change: the version that it is made of."`
	Name       string `json:"name" example:"Large payment to a new payee"`
	Expression string `json:"expression" doc:"CEL. Variables: operation, amount, currency, role, account_age_hours, is_new_payee, count_hour, count_day, sum_hour, sum_day, has_second_factor, attempts_hour, attempts_day. Amounts are exact: decimal(\"0.10\")." example:"is_new_payee && amount > 1000"`
	Outcome    string `json:"outcome" enum:"ALLOW,REVIEW,DECLINE"`
	Priority   int    `json:"priority,omitempty" doc:"0 to 1000."`
	Enabled    bool   `json:"enabled"`
}

var ruleTermsMembers = []member[RiskRuleTerms]{
	{"ruleId", false, func(d *decoder, r *RiskRuleTerms) { d.readText(&r.RuleID) }},
	{"version", false, func(d *decoder, r *RiskRuleTerms) { d.readInt(&r.Version) }},
	{"name", true, func(d *decoder, r *RiskRuleTerms) { d.readText(&r.Name) }},
	{"expression", true, func(d *decoder, r *RiskRuleTerms) { d.readText(&r.Expression) }},
	{"outcome", true, func(d *decoder, r *RiskRuleTerms) { d.readText(&r.Outcome) }},
	{"priority", false, func(d *decoder, r *RiskRuleTerms) { d.readInt(&r.Priority) }},
	{"enabled", true, func(d *decoder, r *RiskRuleTerms) { d.readFlag(&r.Enabled) }},
}

func (RiskRuleTerms) members() []member[RiskRuleTerms] { return ruleTermsMembers }

func (r *RiskRuleTerms) terms() risk.Terms {
	return risk.Terms{Name: r.Name, Expression: r.Expression, Outcome: risk.Outcome(r.Outcome), Priority: r.Priority, Enabled: r.Enabled}
}

// RiskFacts are what rules know of a payment.
type RiskFacts struct {
	Operation       string `json:"operation" enum:"transfer,withdrawal"`
	Amount          Amount `json:"amount"`
	Currency        string `json:"currency" example:"USD"`
	Role            string `json:"role,omitempty" default:"customer"`
	AccountAgeHours int    `json:"accountAgeHours,omitempty"`
	IsNewPayee      bool   `json:"isNewPayee,omitempty"`
	CountHour       int    `json:"countHour,omitempty"`
	CountDay        int    `json:"countDay,omitempty"`
	SumHour         Amount `json:"sumHour,omitempty"`
	SumDay          Amount `json:"sumDay,omitempty"`
	HasSecondFactor bool   `json:"hasSecondFactor,omitempty"`
	AttemptsHour    int    `json:"attemptsHour,omitempty"`
	AttemptsDay     int    `json:"attemptsDay,omitempty"`
}

var factsMembers = []member[RiskFacts]{
	{"operation", true, func(d *decoder, r *RiskFacts) { d.readText(&r.Operation) }},
	{"amount", true, func(d *decoder, r *RiskFacts) { d.readAmount(&r.Amount) }},
	{"currency", true, func(d *decoder, r *RiskFacts) { d.readText(&r.Currency) }},
	{"role", false, func(d *decoder, r *RiskFacts) { d.readText(&r.Role) }},
	{"accountAgeHours", false, func(d *decoder, r *RiskFacts) { d.readInt(&r.AccountAgeHours) }},
	{"isNewPayee", false, func(d *decoder, r *RiskFacts) { d.readFlag(&r.IsNewPayee) }},
	{"countHour", false, func(d *decoder, r *RiskFacts) { d.readInt(&r.CountHour) }},
	{"countDay", false, func(d *decoder, r *RiskFacts) { d.readInt(&r.CountDay) }},
	{"sumHour", false, func(d *decoder, r *RiskFacts) { d.readAmount(&r.SumHour) }},
	{"sumDay", false, func(d *decoder, r *RiskFacts) { d.readAmount(&r.SumDay) }},
	{"hasSecondFactor", false, func(d *decoder, r *RiskFacts) { d.readFlag(&r.HasSecondFactor) }},
	{"attemptsHour", false, func(d *decoder, r *RiskFacts) { d.readInt(&r.AttemptsHour) }},
	{"attemptsDay", false, func(d *decoder, r *RiskFacts) { d.readInt(&r.AttemptsDay) }},
}

func (RiskFacts) members() []member[RiskFacts] { return factsMembers }

func (r *RiskFacts) facts() risk.Facts {
	role := r.Role
	if role == "" {
		role = string(identity.Customer)
	}
	return risk.Facts{
		Operation: risk.Operation(r.Operation), Amount: r.Amount.Decimal, Currency: money.Currency(r.Currency), Role: role,
		AccountAgeHours: int64(r.AccountAgeHours), IsNewPayee: r.IsNewPayee, CountHour: int64(r.CountHour), CountDay: int64(r.CountDay),
		SumHour: r.SumHour.Decimal, SumDay: r.SumDay.Decimal, HasSecondFactor: r.HasSecondFactor,
		AttemptsHour: int64(r.AttemptsHour), AttemptsDay: int64(r.AttemptsDay),
	}
}

// TestRuleRequest asks an expression about facts.
type TestRuleRequest struct {
	Expression string    `json:"expression" example:"is_new_payee && amount > 1000"`
	Facts      RiskFacts `json:"facts"`
}

var testRuleMembers = []member[TestRuleRequest]{
	{"expression", true, func(d *decoder, r *TestRuleRequest) { d.readText(&r.Expression) }},
	{"facts", true, func(d *decoder, r *TestRuleRequest) { decodeObject(d, &r.Facts) }},
}

func (TestRuleRequest) members() []member[TestRuleRequest] { return testRuleMembers }

// TestRuleResult is what an expression said.
type TestRuleResult struct {
	IsMatch bool   `json:"isMatch"`
	Cost    uint64 `json:"cost" doc:"Of the evaluation, in CEL's units."`
	Problem string `json:"problem,omitempty" doc:"Why it could not be asked. Such a rule counts as REVIEW."`
}

// RiskDecision is what was decided about a payment, and why.
type RiskDecision struct {
	DecisionID    string          `json:"decisionId" example:"dec_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	TransactionID string          `json:"transactionId"`
	AccountID     string          `json:"accountId" doc:"Which pays."`
	UserID        string          `json:"userId" doc:"Who pays."`
	PayeeID       string          `json:"payeeId,omitempty" doc:"The user who is paid."`
	Operation     string          `json:"operation" enum:"transfer,withdrawal"`
	Amount        Money           `json:"amount"`
	Currency      string          `json:"currency"`
	Outcome       string          `json:"outcome" enum:"ALLOW,REVIEW,DECLINE"`
	RuleID        string          `json:"ruleId,omitempty" doc:"The rule that decided; absent when none matched."`
	RuleVersion   int64           `json:"ruleVersion,omitempty"`
	Matches       []RiskRuleMatch `json:"matches" nullable:"false" doc:"All rules that matched, or could not be asked."`
	Facts         json.RawMessage `json:"facts" doc:"What the rules saw."`
	DecidedAt     time.Time       `json:"decidedAt"`
	ReviewStatus  string          `json:"reviewStatus,omitempty" enum:"PENDING,APPROVED,REJECTED"`
	ReviewedBy    string          `json:"reviewedBy,omitempty" doc:"Id of the user or the key."`
	ReviewReason  string          `json:"reviewReason,omitempty"`
	ReviewedAt    *time.Time      `json:"reviewedAt,omitempty"`
}

// RiskRuleMatch is a rule that was true of a payment, or could not be asked.
type RiskRuleMatch struct {
	RuleID  string `json:"ruleId"`
	Version int64  `json:"version"`
	Outcome string `json:"outcome" enum:"ALLOW,REVIEW,DECLINE"`
	Problem string `json:"problem,omitempty" doc:"Why it could not be asked."`
}

func decisionOf(d risk.Decision) (RiskDecision, error) {
	facts, err := json.Marshal(d.Facts)
	if err != nil {
		return RiskDecision{}, err
	}
	out := RiskDecision{
		DecisionID: d.ID, TransactionID: d.TransferID, AccountID: d.AccountID, UserID: d.UserID, PayeeID: d.PayeeID, Operation: string(d.Operation),
		Amount: moneyOf(d.Amount, d.Currency), Currency: string(d.Currency), Outcome: string(d.Outcome), RuleID: d.RuleID, RuleVersion: d.RuleVersion,
		Matches: make([]RiskRuleMatch, len(d.Matches)), Facts: facts, DecidedAt: d.DecidedAt,
		ReviewStatus: string(d.Review.Status), ReviewedBy: d.Review.By, ReviewReason: d.Review.Reason, ReviewedAt: unlessZero(d.Review.At),
	}
	for i, m := range d.Matches {
		out.Matches[i] = RiskRuleMatch{RuleID: m.RuleID, Version: m.Version, Outcome: string(m.Outcome), Problem: m.Problem}
	}
	return out, nil
}

// RiskDecisionList is a page of decisions.
type RiskDecisionList struct {
	Data       []RiskDecision `json:"data" nullable:"false"`
	NextCursor string         `json:"nextCursor,omitempty" doc:"Where the next page begins; absent on the last."`
}

// Reviewed is a review's end, and the payment's.
type Reviewed struct {
	Decision    RiskDecision  `json:"decision"`
	Transaction MyTransaction `json:"transaction" doc:"As its payer sees it."`
}

// RulePath names a rule.
type RulePath struct {
	RuleID string `path:"ruleId" maxLength:"50" doc:"The rule's id." example:"new_payee_large"`
}

// DecisionPath names a decision.
type DecisionPath struct {
	DecisionID ID `path:"decisionId" doc:"The decision's id." example:"dec_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
}

type ruleTermsInput struct{ Payload jsonBody[RiskRuleTerms] }

type changeRuleInput struct {
	RulePath
	Payload jsonBody[RiskRuleTerms]
}

type ruleVersionsInput struct {
	RulePath
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
}

type testRuleInput struct{ Payload jsonBody[TestRuleRequest] }

type listDecisionsInput struct {
	Limit         int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor        string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
	TransactionID ID     `query:"transactionId" doc:"The one about this transaction; instead of accountId."`
	AccountID     ID     `query:"accountId" doc:"Those about payments out of this account, the newest first; instead of transactionId."`
}

type listReviewsInput struct {
	Limit     int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor    string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
	Status    string `query:"status" enum:"PENDING,APPROVED,REJECTED" default:"PENDING" doc:"Where the review stands."`
	UserID    ID     `query:"userId" doc:"Of this payer alone."`
	AccountID ID     `query:"accountId" doc:"Out of this account alone."`
}

type reviewInput struct {
	DecisionPath
	Payload jsonBody[ReasonRequest]
}

type ruleOutput struct {
	Status int
	Body   RiskRule
}

type rulesOutput struct{ Body RiskRuleList }

type testRuleOutput struct{ Body TestRuleResult }

type decisionsOutput struct{ Body RiskDecisionList }

type reviewedOutput struct{ Body Reviewed }

func (a *api) routeRisk() {
	route(a, listRulesEndpoint, a.listRules)
	route(a, createRuleEndpoint, a.createRule)
	route(a, changeRuleEndpoint, a.changeRule)
	route(a, listRuleVersionsEndpoint, a.listRuleVersions)
	route(a, testRuleEndpoint, a.testRule)
	route(a, listDecisionsEndpoint, a.listDecisions)
	route(a, listReviewsEndpoint, a.listReviews)
	route(a, approveReviewEndpoint, a.approveReview)
	route(a, rejectReviewEndpoint, a.rejectReview)
}

func (a *api) listRules(ctx context.Context, _ *struct{}) (*rulesOutput, error) {
	rows, err := a.risk.Rules(ctx)
	if err != nil {
		return nil, err
	}
	return &rulesOutput{RiskRuleList{Data: rulesOf(rows)}}, nil
}

func rulesOf(rows []risk.Rule) []RiskRule {
	list := make([]RiskRule, len(rows))
	for i, row := range rows {
		list[i] = ruleOf(row)
	}
	return list
}

func (a *api) createRule(ctx context.Context, in *ruleTermsInput) (*ruleOutput, error) {
	r := &in.Payload.Value
	if r.Version != 0 {
		return nil, invalidField("version", "must be absent: a new rule begins with 1")
	}
	rule, err := a.risk.CreateRule(ctx, r.RuleID, r.terms())
	if err != nil {
		return nil, inOurWords(err, func(string) string { return "ruleId" }, "id")
	}
	return &ruleOutput{http.StatusCreated, ruleOf(rule)}, nil
}

func (a *api) changeRule(ctx context.Context, in *changeRuleInput) (*ruleOutput, error) {
	r := &in.Payload.Value
	if r.RuleID != "" && r.RuleID != in.RuleID {
		return nil, invalidField("ruleId", "must be the one of the path, or absent")
	}
	rule, err := a.risk.ChangeRule(ctx, in.RuleID, int64(r.Version), r.terms())
	if err != nil {
		return nil, err
	}
	return &ruleOutput{http.StatusOK, ruleOf(rule)}, nil
}

func (a *api) listRuleVersions(ctx context.Context, in *ruleVersionsInput) (*rulesOutput, error) {
	before, err := versionAfter(in.Cursor, "rule versions")
	if err != nil {
		return nil, err
	}
	if _, err := a.risk.Rule(ctx, in.RuleID); err != nil {
		return nil, err
	}
	rows, err := a.risk.RuleVersions(ctx, in.RuleID, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := RiskRuleList{Data: rulesOf(rows)}
	if more {
		list.NextCursor = newCursor("rule versions", noSnapshot, strconv.FormatInt(rows[len(rows)-1].Version, 10))
	}
	return &rulesOutput{list}, nil
}

func (a *api) testRule(ctx context.Context, in *testRuleInput) (*testRuleOutput, error) {
	r := &in.Payload.Value
	result, err := a.risk.Test(ctx, r.Expression, r.Facts.facts())
	if err != nil {
		return nil, inOurWords(err, func(fact string) string { return "facts." + camelCase(fact) }, factNames...)
	}
	return &testRuleOutput{TestRuleResult{IsMatch: result.IsMatch, Cost: result.Cost, Problem: result.Problem}}, nil
}

// factNames are the facts that can be wrong, as rules call them.
var factNames = []string{
	"operation", "amount", "currency", "role", "account_age_hours", "count_hour", "count_day", "sum_hour", "sum_day", "attempts_hour", "attempts_day",
}

// inOurWords names the field of an error as the request does, if it is one of
// these.
func inOurWords(err error, name func(field string) string, fields ...string) error {
	if input, is := errors.AsType[*risk.InvalidInput](err); is && slices.Contains(fields, input.Fields[0].Field) {
		return invalidField(name(input.Fields[0].Field), input.Fields[0].Problem)
	}
	return err
}

// camelCase writes sum_day as sumDay.
func camelCase(name string) string {
	words := strings.Split(name, "_")
	for i, word := range words[1:] {
		words[i+1] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, "")
}

func (a *api) listDecisions(ctx context.Context, in *listDecisionsInput) (*decisionsOutput, error) {
	if (in.TransactionID == "") == (in.AccountID == "") {
		return nil, invalidField("transactionId", "or accountId must be given, one of them")
	}
	if in.TransactionID != "" {
		found, err := a.risk.DecisionOf(ctx, string(in.TransactionID))
		if err != nil {
			return nil, err
		}
		return decisionPage([]risk.Decision{found}, false, "")
	}
	const kind = "decisions"
	at, id, err := placeAfter(in.Cursor, kind)
	if err != nil {
		return nil, err
	}
	rows, err := a.risk.DecisionsOf(ctx, string(in.AccountID), risk.Position{DecidedAt: at, ID: id}, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	return decisionPage(rows, more, kind)
}

func (a *api) listReviews(ctx context.Context, in *listReviewsInput) (*decisionsOutput, error) {
	const kind = "reviews"
	at, id, err := placeAfter(in.Cursor, kind)
	if err != nil {
		return nil, err
	}
	rows, err := a.risk.Reviews(ctx, risk.ReviewFilter{
		Status: risk.ReviewStatus(in.Status), UserID: string(in.UserID), AccountID: string(in.AccountID),
	}, risk.Position{DecidedAt: at, ID: id}, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	return decisionPage(rows, more, kind)
}

func decisionPage(rows []risk.Decision, more bool, kind string) (*decisionsOutput, error) {
	list := RiskDecisionList{Data: make([]RiskDecision, len(rows))}
	for i, row := range rows {
		var err error
		if list.Data[i], err = decisionOf(row); err != nil {
			return nil, err
		}
	}
	if more {
		last := rows[len(rows)-1].Position()
		list.NextCursor = placeCursor(kind, last.DecidedAt, last.ID)
	}
	return &decisionsOutput{list}, nil
}

func (a *api) approveReview(ctx context.Context, in *reviewInput) (*reviewedOutput, error) {
	transaction, err := a.wallets.ApproveReview(ctx, string(in.DecisionID), in.Payload.Value.Reason)
	if err != nil {
		return nil, err
	}
	return a.reviewed(ctx, in, myTransactionOf(transaction))
}

func (a *api) rejectReview(ctx context.Context, in *reviewInput) (*reviewedOutput, error) {
	transaction, err := a.wallets.RejectReview(ctx, string(in.DecisionID), in.Payload.Value.Reason)
	if err != nil {
		return nil, err
	}
	return a.reviewed(ctx, in, myTransactionOf(transaction))
}

func (a *api) reviewed(ctx context.Context, in *reviewInput, transaction MyTransaction) (*reviewedOutput, error) {
	decided, err := a.risk.Decision(ctx, string(in.DecisionID))
	if err != nil {
		return nil, err
	}
	decision, err := decisionOf(decided)
	if err != nil {
		return nil, err
	}
	return &reviewedOutput{Reviewed{Decision: decision, Transaction: transaction}}, nil
}
