package wallet

import (
	"context"
	"errors"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/risk"
)

// question is a payment that risk is asked about.
type question struct {
	paymentID  string
	operation  risk.Operation
	from       ledger.Account
	amount     decimal.Decimal
	isNewPayee bool
	payeeID    string // the user who is paid; "" when none is
	cantWait   bool   // for a reviewer
}

// judge asks the risk rules. The same payment again has the same answer. Returns
// DeclinedByRisk, and RejectedByReview for one that a reviewer has rejected before it
// was on record.
func (w *Wallets) judge(ctx context.Context, p identity.Principal, books *ledger.Ledger, q question) (risk.Decision, error) {
	facts, err := w.facts(ctx, p, books, q)
	if err != nil {
		return risk.Decision{}, err
	}
	decide := w.rules.Decide
	if q.cantWait {
		decide = w.rules.DecideAtOnce
	}
	decision, err := decide(ctx, facts, risk.Subject{TransferID: q.paymentID, AccountID: q.from.ID, UserID: p.UserID, PayeeID: q.payeeID})
	if errors.Is(err, risk.DecisionDiffers.Failure("")) {
		return risk.Decision{}, duplicate()
	}
	if err != nil {
		return risk.Decision{}, err
	}
	// No word of the rule: who knew it would stay just below it.
	if decision.Outcome == risk.Decline {
		return decision, DeclinedByRisk.Failure("the payment was declined; ask support, naming %s", decision.ID)
	}
	if !q.cantWait && decision.Review.Status == risk.ReviewRejected {
		return decision, RejectedByReview.Failure("a reviewer has rejected the payment")
	}
	return decision, nil
}

// facts are what the rules know of a payment. Payments out of all of the user's
// accounts in the currency count: many accounts are no way around a rule. So does
// what is reserved, as it is promised already.
func (w *Wallets) facts(ctx context.Context, p identity.Principal, books *ledger.Ledger, q question) (risk.Facts, error) {
	user, err := w.users.Profile(ctx, p.UserID)
	if err != nil {
		return risk.Facts{}, err
	}
	now := w.clock()
	facts := risk.Facts{
		Operation: q.operation, Amount: q.amount, Currency: q.from.Currency, Role: string(p.Role),
		AccountAgeHours: max(0, int64(now.Sub(q.from.CreatedAt).Hours())),
		IsNewPayee:      q.isNewPayee, HasSecondFactor: user.HasSecondFactor,
	}
	accounts, err := accountsOf(ctx, books, ledger.AccountFilter{Currency: q.from.Currency})
	if err != nil {
		return risk.Facts{}, err
	}
	for i := range accounts {
		if err := addOutflow(ctx, books, &accounts[i], now, &facts); err != nil {
			return risk.Facts{}, err
		}
	}
	return facts, nil
}

func addOutflow(ctx context.Context, books *ledger.Ledger, account *ledger.Account, now time.Time, facts *risk.Facts) error {
	if account.UpdatedAt.Before(now.Add(-24*time.Hour)) && account.Held.IsZero() {
		return nil // nothing has moved since
	}
	countDay, sumDay, err := books.Outflow(ctx, account.ID, now.Add(-24*time.Hour))
	if err != nil {
		return err
	}
	var countHour int64
	var sumHour decimal.Decimal
	if countDay > 0 {
		if countHour, sumHour, err = books.Outflow(ctx, account.ID, now.Add(-time.Hour)); err != nil {
			return err
		}
	}
	if account.Held.IsPositive() {
		countHour, countDay = countHour+1, countDay+1 // one at least
	}
	facts.CountHour += countHour
	facts.CountDay += countDay
	facts.SumHour = facts.SumHour.Add(sumHour).Add(account.Held)
	facts.SumDay = facts.SumDay.Add(sumDay).Add(account.Held)
	return nil
}

// limits are the most that the role may pay out of an account.
func (w *Wallets) limits(ctx context.Context, p identity.Principal, account *ledger.Account) (ledger.Limits, error) {
	perTransfer, daily, err := w.rules.Limits(ctx, string(p.Role), account.Currency)
	if err != nil {
		return ledger.Limits{}, err
	}
	return ledger.Limits{PerTransfer: perTransfer, Daily: daily}, nil
}
