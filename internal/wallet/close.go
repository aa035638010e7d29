package wallet

import (
	"context"
	"fmt"
	"time"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
)

// CloseUser closes the user's accounts and takes away what is personal about him
// (identity.Users.Delete). The books keep what they must: postings under the ids of
// his accounts, which nobody is behind any more.
//
// Nothing is closed, and it returns BalanceRemaining, while an account has money,
// debts or holds; PaymentsPending while a payment is under way; ledger.AccountFrozen
// while an account is frozen. When money arrives in between, some accounts are
// closed already: call it again when the rest is empty.
func (w *Wallets) CloseUser(ctx context.Context, p identity.Principal) error {
	books, err := w.booksOf(p)
	if err != nil {
		return err
	}
	leave, err := w.lanes.enter(ctx, p.UserID)
	if err != nil {
		return err
	}
	defer leave()
	open, err := w.openPayments(ctx, p.UserID)
	if err != nil {
		return err
	}
	if len(open) > 0 {
		return PaymentsPending.Failure("%d payments are under way; %s is the first", len(open), open[0].ID)
	}
	accounts, err := accountsOf(ctx, books, ledger.AccountFilter{})
	if err != nil {
		return err
	}
	for i := range accounts {
		if err := closable(&accounts[i]); err != nil {
			return err
		}
	}
	for i := range accounts {
		if accounts[i].Status == ledger.Closed {
			continue
		}
		_, err := books.CloseAccount(ctx, accounts[i].ID)
		if isLedgerFailure(err, ledger.AccountNotEmpty) {
			return BalanceRemaining.Failure("account %s has received money meanwhile", accounts[i].ID)
		}
		if err != nil {
			return fmt.Errorf("close account %s: %w", accounts[i].ID, err)
		}
	}
	return w.users.Delete(ctx, p.UserID)
}

// signUpsInterval is how often sign-ups are looked for that nobody has verified.
const signUpsInterval = 6 * time.Hour

// sweepSignUps deletes what sign-ups leave that nobody verifies, until ctx ends. Whose
// account it is the books know: staff may have opened one for a user who has not
// verified his address yet, and he is kept.
func (w *Wallets) sweepSignUps(ctx context.Context) {
	for {
		if err := w.users.SweepSignUps(ctx, w.queries.AccountOwners); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "sign-ups that nobody verified could not be deleted; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(signUpsInterval):
		}
	}
}

// closable says why an account can't be closed.
func closable(account *ledger.Account) error {
	switch {
	case account.Status == ledger.Closed:
		return nil
	case account.Status == ledger.Frozen:
		return ledger.AccountFrozen.Failure("account %s is frozen: ask support", account.ID)
	case !account.Posted.IsZero() || !account.Held.IsZero():
		return BalanceRemaining.Failure("account %s has %s posted and %s held; move it away first", account.ID,
			money.Format(account.Posted, account.Currency), money.Format(account.Held, account.Currency))
	}
	return nil
}
