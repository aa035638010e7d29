package wallet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/id"
	"florin/internal/risk"
	"florin/internal/wallet/internal/walletdb"
)

// BankPayment asks to move money between an account of the user's and one that he
// has at a bank.
type BankPayment struct {
	AccountID       string
	LinkedAccountID string
	Amount          decimal.Decimal
	Currency        money.Currency // the account's when empty
	Description     string
	// Key makes a repeat safe, as TransferRequest.Key does.
	Key string
}

// freshLink is how long a bank account counts as a new payee after it was linked:
// whoever has taken over a user begins by linking one of his own.
const freshLink = 24 * time.Hour

// Deposit takes money from the user's bank account and books it to his account. It
// is COMPLETED, or PENDING while the bank has not answered: it is finished by
// itself then, and the same request again tells how far it is.
//
// Returns ledger.InvalidInput, ledger.AccountNotFound, ledger.AccountFrozen,
// ledger.AccountClosed, ledger.CurrencyMismatch, LinkedAccountNotFound,
// BankNotConnected, TooManyPending, ledger.DuplicateTransaction, and BankRefused
// with the FAILED transaction.
func (w *Wallets) Deposit(ctx context.Context, p identity.Principal, r BankPayment) (Transaction, error) {
	return w.bankPayment(ctx, p, r, KindDeposit, "dep")
}

// Withdraw reserves money of the account, sends it to the user's bank account, and
// books it when the bank has it. It is COMPLETED; PENDING while the bank has not
// answered; or IN_REVIEW until a reviewer says yes.
//
// Returns what Deposit returns, DeclinedByRisk, and ledger.InsufficientFunds,
// ledger.TransferLimitExceeded and ledger.DailyLimitExceeded.
func (w *Wallets) Withdraw(ctx context.Context, p identity.Principal, r BankPayment) (Transaction, error) {
	return w.bankPayment(ctx, p, r, KindWithdrawal, "wdr")
}

func (w *Wallets) bankPayment(ctx context.Context, p identity.Principal, r BankPayment, kind Kind, prefix string) (Transaction, error) {
	books, err := w.booksOf(p)
	if err != nil {
		return Transaction{}, err
	}
	if err := validateCommon(r.AccountID, r.Amount, r.Currency, r.Description, r.Key); err != nil {
		return Transaction{}, err
	}
	pay := payment{
		ID: idOf(prefix, p.UserID, r.Key), Kind: kind, UserID: p.UserID, AccountID: r.AccountID,
		LinkedAccountID: r.LinkedAccountID, Amount: r.Amount, Currency: r.Currency, Description: r.Description, Stage: ready,
		RequestHash: hashOf(string(kind), r.AccountID, r.LinkedAccountID, plain(r.Amount), string(r.Currency), r.Description),
	}
	ctx, cancel := w.detached(ctx)
	defer cancel()
	if t, found, err := w.earlier(ctx, p, books, pay, r.Key); found || err != nil {
		return t, err
	}
	if _, isNone := w.bank.(NoBank); isNone {
		return Transaction{}, errNoBank()
	}
	pay, isNew, err := w.begin(ctx, p, books, pay)
	if err != nil {
		return Transaction{}, err
	}
	// Outside the lane: nobody waits for the bank but who has asked.
	onward := w.settle
	if !isNew {
		onward = w.resume
	}
	if pay, err = onward(ctx, pay); err != nil {
		return Transaction{}, err
	}
	return w.shownPayment(ctx, p, pay)
}

// begin puts a payment by the bank on record and reserves what it takes from the
// account. It may be refused there and then; the bank is not asked yet. isNew is
// false when another call with the same key was quicker, or somebody has claimed the
// payment since: it is not this caller's to settle without a claim then.
func (w *Wallets) begin(ctx context.Context, p identity.Principal, books *ledger.Ledger, pay payment) (begun payment, isNew bool, err error) {
	leave, err := w.lanes.enter(ctx, p.UserID)
	if err != nil {
		return pay, false, err
	}
	defer leave()
	link, err := w.linkedAccount(ctx, p.UserID, pay.LinkedAccountID)
	if err != nil {
		return pay, false, err
	}
	find := w.payer
	if pay.Kind == KindDeposit {
		find = w.receiver
	}
	account, err := find(ctx, books, pay.AccountID, pay.Amount, pay.Currency)
	if err != nil {
		return pay, false, err
	}
	bank := bankAccount(account.Currency)
	if err := w.house(ctx, bank); err != nil {
		return pay, false, err
	}
	pay.Currency, pay.OtherAccountID = account.Currency, bank.id
	if pay.Kind == KindWithdrawal {
		if pay, err = w.judgedWithdrawal(ctx, p, books, pay, account, link); err != nil {
			return pay, false, err
		}
	}
	if pay, isNew, err = w.record(ctx, pay); err == nil && isNew && pay.isOutgoing() {
		pay, isNew, err = w.reserveFirst(ctx, pay)
	}
	return pay, isNew, err
}

func (w *Wallets) judgedWithdrawal(ctx context.Context, p identity.Principal, books *ledger.Ledger, pay payment, account ledger.Account, link identity.LinkedAccount) (payment, error) {
	var err error
	if pay.Limits, err = w.limits(ctx, p, &account); err != nil {
		return pay, err
	}
	hasPaid, err := books.HasPaid(ctx, account.ID, pay.OtherAccountID)
	if err != nil {
		return pay, err
	}
	if err := w.hasRoom(ctx, p.UserID); err != nil {
		return pay, err
	}
	isNew := !hasPaid || w.clock().Sub(link.CreatedAt) < freshLink
	decision, err := w.judge(ctx, p, books, question{
		paymentID: pay.ID, operation: risk.Withdrawal, from: account, amount: pay.Amount, isNewPayee: isNew,
	})
	if err == nil && decision.Outcome == risk.Review {
		pay.Stage = inReview
	}
	return pay, err
}

// receiver is the account that a deposit goes to, one of the user's own.
func (w *Wallets) receiver(ctx context.Context, books *ledger.Ledger, accountID string, amount decimal.Decimal, currency money.Currency) (ledger.Account, error) {
	account, err := usable(ctx, books, accountID, currency)
	if err != nil {
		return account, err
	}
	if err := money.Check(amount, account.Currency); err != nil {
		return account, invalid("amount", "%v", err)
	}
	if account.Posted.Add(amount).GreaterThanOrEqual(money.Limit) {
		return account, ledger.BalanceLimitExceeded.Failure("the balance of %s would have more than %d digits before the point",
			account.ID, money.MaxIntegerDigits)
	}
	return account, nil
}

// linkedAccount is a bank account of the user's. Returns LinkedAccountNotFound.
func (w *Wallets) linkedAccount(ctx context.Context, userID, linkedAccountID string) (identity.LinkedAccount, error) {
	if !id.IsPossible(linkedAccountID) {
		return identity.LinkedAccount{}, LinkedAccountNotFound.Failure("you have no linked account %q", linkedAccountID)
	}
	link, err := w.linked.Get(ctx, userID, linkedAccountID)
	if errors.Is(err, identity.ErrLinkedAccountNotFound) {
		return link, LinkedAccountNotFound.Failure("you have no linked account %q", linkedAccountID)
	}
	return link, err
}

// RemoveLinkedAccount removes a bank account of the user's. Returns
// LinkedAccountNotFound, also the second time, and PaymentsPending while the bank
// may still be asked for it.
func (w *Wallets) RemoveLinkedAccount(ctx context.Context, p identity.Principal, linkedAccountID string) error {
	if p.UserID == "" {
		return errNoUser
	}
	if _, err := w.linkedAccount(ctx, p.UserID, linkedAccountID); err != nil {
		return err
	}
	open, err := w.queries.CountOpenPaymentsOfLink(ctx, walletdb.CountOpenPaymentsOfLinkParams{UserID: p.UserID, LinkedAccountID: linkedAccountID})
	if err != nil {
		return fmt.Errorf("count payments of linked account: %w", err)
	}
	if open > 0 {
		return PaymentsPending.Failure("%d payments by this account are under way", open)
	}
	err = w.linked.Remove(ctx, p.UserID, linkedAccountID)
	if errors.Is(err, identity.ErrLinkedAccountNotFound) {
		return LinkedAccountNotFound.Failure("you have no linked account %q", linkedAccountID)
	}
	return err
}
