package risk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
	"florin/internal/risk/internal/riskdb"
)

// Subject is the payment that is judged.
type Subject struct {
	TransferID string // of the transfer, or of the withdrawal's capture, to be
	AccountID  string // who pays: the account,
	UserID     string // and its owner
	PayeeID    string // the user who is paid; "" when none is
}

// Match is a rule that was true of a payment, or that could not be asked.
type Match struct {
	RuleID  string  `json:"ruleId"`
	Version int64   `json:"version"`
	Outcome Outcome `json:"outcome"`
	// Problem says why the rule could not be asked; "" when it matched. Such a
	// rule counts as REVIEW.
	Problem string `json:"problem,omitempty"`
}

// Decision is what was decided about one payment, and why. It stays for ever;
// only its review changes.
type Decision struct {
	ID string
	Subject
	Operation Operation
	Amount    decimal.Decimal
	Currency  money.Currency
	Outcome   Outcome
	// RuleID and RuleVersion are the rule that decided; "" and 0 when none
	// matched, which allows.
	RuleID      string
	RuleVersion int64
	Matches     []Match // in the order of their rules' ids
	Facts       Facts   // what the rules saw
	DecidedAt   time.Time
	Review      ReviewState // zero when there is none
}

// Decide judges a payment by all enabled rules and records the decision: the
// strictest outcome, of equally strict rules the one with the highest priority.
// Without a matching rule a payment is allowed. It opens transactions of its own
// and moves nothing.
//
// A transfer id is judged once: a second call returns the first decision, whatever
// the facts and rules are by then, with what became of its review. Returns
// DecisionDiffers when the id was judged for another amount, account, payee or
// operation, and InvalidInput. On any error the payment must not happen; the
// same call may be made again.
func (r *Rules) Decide(ctx context.Context, f Facts, s Subject) (Decision, error) {
	return r.decide(ctx, f, s, ReviewState{Status: ReviewPending})
}

// DecideAtOnce is Decide for a payment that can't wait for a person: where a rule
// wants a review the decision is REVIEW all the same, and its review is REJECTED
// from the start, by nobody, so that it does not stand in the queue.
func (r *Rules) DecideAtOnce(ctx context.Context, f Facts, s Subject) (Decision, error) {
	return r.decide(ctx, f, s, ReviewState{
		Status: ReviewRejected, By: systemActor, ByKind: systemActor, Reason: "it was asked for in a way that can not wait", At: r.clock(),
	})
}

func (r *Rules) decide(ctx context.Context, f Facts, s Subject, review ReviewState) (Decision, error) {
	if err := errors.Join(f.validate(), s.validate()); err != nil {
		return Decision{}, err
	}
	d := Decision{ID: id.New("dec"), Subject: s, Operation: f.Operation, Amount: f.Amount, Currency: f.Currency, DecidedAt: r.clock()}
	row, isOpen, err := r.open(ctx, d)
	if err != nil || !isOpen {
		return row, err
	}
	if f.AttemptsHour, f.AttemptsDay, err = r.attempts(ctx, s.AccountID); err != nil {
		return Decision{}, err
	}
	rules, err := r.current(ctx)
	if err != nil {
		return Decision{}, err
	}
	verdict := judge(ctx, rules, f)
	if err := ctx.Err(); err != nil { // rules that were not asked to the end have decided nothing
		return Decision{}, err
	}
	return r.settle(ctx, s.TransferID, verdict, review)
}

// open puts the payment on record, or finds it there. It is open until it is
// settled.
func (r *Rules) open(ctx context.Context, d Decision) (recorded Decision, isOpen bool, err error) {
	inserted, err := r.queries.InsertDecision(ctx, riskdb.InsertDecisionParams{
		DecisionID: d.ID, TransferID: d.TransferID, AccountID: d.AccountID, UserID: d.UserID, PayeeID: d.PayeeID,
		Operation: string(d.Operation), Amount: d.Amount, Currency: string(d.Currency), DecidedAt: d.DecidedAt,
	})
	if err != nil {
		return Decision{}, false, fmt.Errorf("record payment to be judged: %w", err)
	}
	if inserted > 0 {
		return Decision{}, true, nil
	}
	row, err := r.queries.DecisionOfTransfer(ctx, d.TransferID)
	if err != nil {
		return Decision{}, false, fmt.Errorf("read decision: %w", err)
	}
	recorded, err = decisionFromRow(row)
	if err != nil {
		return Decision{}, false, err
	}
	if recorded.Subject != d.Subject || recorded.Operation != d.Operation || recorded.Currency != d.Currency || !recorded.Amount.Equal(d.Amount) {
		return Decision{}, false, DecisionDiffers.Failure("transfer %s was judged before, as another payment", d.TransferID)
	}
	return recorded, recorded.Outcome == pending, nil
}

// attempts counts what was asked of the account, after this payment is on record:
// of many at once the last one sees all others.
func (r *Rules) attempts(ctx context.Context, accountID string) (inHour, inDay int64, err error) {
	now := r.clock()
	counts, err := r.queries.CountAttempts(ctx, riskdb.CountAttemptsParams{
		AccountID: accountID, HourAgo: now.Add(-time.Hour), DayAgo: now.Add(-24 * time.Hour), MaxRows: AttemptsMax,
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count payments of account: %w", err)
	}
	return counts.InHour, counts.InDay, nil
}

// settle records the verdict, unless another call for the same transfer did, and
// returns what is recorded. review is how a review begins, if there is one.
func (r *Rules) settle(ctx context.Context, transferID string, v verdict, review ReviewState) (Decision, error) {
	if v.outcome != Review {
		review = ReviewState{}
	}
	var reviewedAt *time.Time
	if !review.At.IsZero() {
		reviewedAt = &review.At
	}
	row, err := r.queries.SettleDecision(ctx, riskdb.SettleDecisionParams{
		TransferID: transferID, Outcome: string(v.outcome), RuleID: v.ruleID, RuleVersion: v.version,
		Matches: string(object(v.matches)), Inputs: string(object(v.facts)), ReviewStatus: string(review.Status),
		ReviewedBy: review.By, ReviewedKind: review.ByKind, ReviewReason: review.Reason, ReviewedAt: reviewedAt,
	})
	if database.NotFound(err) {
		return r.DecisionOf(ctx, transferID)
	}
	if err != nil {
		return Decision{}, fmt.Errorf("record decision: %w", err)
	}
	return decisionFromRow(row)
}

// verdict is what rules say of facts.
type verdict struct {
	outcome Outcome
	ruleID  string
	version int64
	matches []Match
	facts   Facts
}

// judge asks all rules that are enabled. It is pure but for the context, which can
// end it early.
func judge(ctx context.Context, rules []compiled, f Facts) verdict {
	v := verdict{outcome: Allow, matches: []Match{}, facts: f}
	variables := f.variables()
	priority := -1
	for _, rule := range rules {
		if !rule.Enabled {
			continue
		}
		match, isMatch := rule.ask(ctx, variables)
		if !isMatch {
			continue
		}
		v.matches = append(v.matches, match)
		severity, soFar := match.Outcome.severity(), v.outcome.severity()
		if severity > soFar || severity == soFar && rule.Priority > priority {
			v.outcome, v.ruleID, v.version, priority = match.Outcome, rule.ID, rule.Version, rule.Priority
		}
	}
	return v
}

func (c *compiled) ask(ctx context.Context, variables map[string]any) (m Match, isMatch bool) {
	m = Match{RuleID: c.ID, Version: c.Version, Outcome: c.Outcome}
	err := c.problem
	if err == nil {
		isMatch, _, err = c.expression.matches(ctx, variables)
	}
	if err != nil {
		m.Outcome, m.Problem = Review, err.Error()
		return m, true
	}
	return m, isMatch
}

// TestResult is what a rule says of facts.
type TestResult struct {
	IsMatch bool
	Cost    uint64 // of at most MaxCost
	Problem string // why the rule could not be asked, such as a division by zero; "" when it could
}

// Test asks an expression about facts, as a rule would be, and records nothing.
// Returns InvalidInput when the expression or the facts are wrong.
func (r *Rules) Test(ctx context.Context, expression string, f Facts) (TestResult, error) {
	if err := f.validate(); err != nil {
		return TestResult{}, err
	}
	e, err := compile(expression)
	if err != nil {
		return TestResult{}, err
	}
	isMatch, cost, err := e.matches(ctx, f.variables())
	if ctx.Err() != nil {
		return TestResult{}, ctx.Err()
	}
	result := TestResult{IsMatch: isMatch, Cost: cost}
	if err != nil {
		result.Problem = err.Error()
	}
	return result, nil
}

func (s *Subject) validate() error {
	for field, value := range map[string]string{"transferId": s.TransferID, "accountId": s.AccountID, "userId": s.UserID} {
		if !id.IsPossible(value) {
			return invalid(field, "must have 1 to 50 characters of A-Z a-z 0-9 _ - . :")
		}
	}
	if s.PayeeID != "" && !id.IsPossible(s.PayeeID) {
		return invalid("payeeId", "must have up to 50 characters of A-Z a-z 0-9 _ - . :")
	}
	return nil
}
