package wallet

import (
	"context"
	"errors"

	"github.com/shopspring/decimal"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/id"
	"florin/internal/risk"
)

// AccountPayment is a payment that a user, or a program of his, asks of the ledger
// himself, by its accounts: a transfer or a hold.
type AccountPayment struct {
	// ID is the transfer's. For what is no transfer it is one of its own each time.
	ID       string
	From, To string // accounts
	Amount   decimal.Decimal
	Currency money.Currency // the account's when empty
}

// Admit has the risk rules judge a payment by the facts that Transfer is judged by,
// and does it when they allow. The same transfer is judged once. Until it is done no
// other payment of the user is judged in this process. do is given a context that
// outlives the caller's.
//
// What makes no sense to the ledger is left to do, which is refused. Returns
// ledger.AccountNotFound for an account that is not the user's, DeclinedByRisk,
// NeedsReview, ledger.DuplicateTransaction, and what do returns.
func (w *Wallets) Admit(ctx context.Context, p identity.Principal, r AccountPayment, do func(context.Context) error) error {
	books, err := w.booksOf(p)
	if err != nil {
		return err
	}
	ctx, cancel := w.detached(ctx)
	defer cancel()
	leave, err := w.lanes.enter(ctx, p.UserID)
	if err != nil {
		return err
	}
	defer leave()
	if err := w.admitted(ctx, p, books, r); err != nil {
		return err
	}
	return do(ctx)
}

// admitted says why a payment must not be done.
func (w *Wallets) admitted(ctx context.Context, p identity.Principal, books *ledger.Ledger, r AccountPayment) error {
	if !id.IsPossible(r.ID) || !id.IsPossible(r.From) || !id.IsPossible(r.To) || !r.Amount.IsPositive() {
		return nil // it stays refused for ever
	}
	from, err := books.Account(ctx, r.From)
	if err != nil {
		return err
	}
	if r.Currency != "" && r.Currency != from.Currency || money.Check(r.Amount, from.Currency) != nil {
		return nil //nolint:nilerr // likewise
	}
	to, err := w.books.Account(ctx, r.To)
	if errors.Is(err, ledger.AccountNotFound.Failure("")) {
		to, err = ledger.Account{ID: r.To}, nil
	}
	if err != nil {
		return err
	}
	isNew, err := isNewPayee(ctx, p, books, from, to)
	if err != nil {
		return err
	}
	decision, err := w.judge(ctx, p, books, question{
		paymentID: r.ID, operation: risk.Transfer, from: from, amount: r.Amount, isNewPayee: isNew, payeeID: to.OwnerID, cantWait: true,
	})
	if err == nil && decision.Outcome != risk.Allow {
		return NeedsReview.Failure("a person would have to look at the payment; ask support, naming %s", decision.ID)
	}
	return err
}
