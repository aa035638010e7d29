package wallet

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/risk"
)

// TransferRequest asks to pay from an account of the user's.
type TransferRequest struct {
	From        string // account id
	To          Payee
	Amount      decimal.Decimal
	Currency    money.Currency // the account's when empty
	Description string         // the payee reads it
	// Key makes a repeat safe: the same request under it returns the first outcome,
	// another one is ledger.DuplicateTransaction. Without it each call is another
	// transfer.
	Key string
}

func (r *TransferRequest) validate() error {
	return errors.Join(r.To.validate(), validateCommon(r.From, r.Amount, r.Currency, r.Description, r.Key))
}

// validateCommon checks what every payment names.
func validateCommon(accountID string, amount decimal.Decimal, currency money.Currency, description, key string) error {
	var fields []ledger.FieldError
	add := func(field, problem string) {
		fields = append(fields, ledger.FieldError{Field: field, Problem: problem})
	}
	if accountID == "" {
		add("accountId", "must be given")
	}
	if !amount.IsPositive() {
		add("amount", "must be above zero")
	}
	if currency != "" {
		if _, err := money.ParseCurrency(string(currency)); err != nil {
			add("currency", err.Error())
		}
	}
	if err := money.Check(amount, currency); err != nil {
		add("amount", err.Error())
	}
	if !utf8.ValidString(description) || strings.ContainsRune(description, 0) {
		add("description", "must be text without NUL characters")
	} else if utf8.RuneCountInString(description) > ledger.MaxDescriptionLength {
		add("description", "must not be that long")
	}
	if len(fields) > 0 {
		return &ledger.InvalidInput{Fields: fields}
	}
	return checkKey(key)
}

// hashOf tells a request from another one under the same key.
func hashOf(parts ...string) []byte {
	sum := sha256.Sum256(joined(parts...))
	return sum[:16]
}

// plain writes equal amounts alike.
func plain(amount decimal.Decimal) string { return amount.StringFixed(money.MaxDecimals) }

// Transfer pays another user, or moves money between the user's own accounts. It
// is COMPLETED, or IN_REVIEW: then the money is reserved and moves when a reviewer
// says yes, under the same id.
//
// Returns ledger.InvalidInput, ledger.AccountNotFound for an account that is not
// the user's, PayeeNotFound, TooManyLookups, TooManyPending, DeclinedByRisk, and what ledger.Transfer returns, with
// the FAILED transaction that records it, if there is one. The account's funds are
// looked at before the payee: who has no money does not learn who has an account
// here.
func (w *Wallets) Transfer(ctx context.Context, p identity.Principal, r TransferRequest) (Transaction, error) {
	books, err := w.booksOf(p)
	if err != nil {
		return Transaction{}, err
	}
	if err := r.validate(); err != nil {
		return Transaction{}, err
	}
	pay := payment{
		ID: idOf("txn", p.UserID, r.Key), Kind: KindTransfer, UserID: p.UserID, AccountID: r.From, Amount: r.Amount,
		Description: r.Description, Stage: inReview,
		RequestHash: hashOf("transfer", r.From, r.To.UserID, r.To.Email, r.To.AccountID, plain(r.Amount), string(r.Currency), r.Description),
	}
	ctx, cancel := w.detached(ctx)
	defer cancel()
	leave, err := w.lanes.enter(ctx, p.UserID)
	if err != nil {
		return Transaction{}, err
	}
	defer leave()
	if t, found, err := w.earlier(ctx, p, books, pay, r.Key); found || err != nil {
		return t, err
	}
	from, err := w.payer(ctx, books, r.From, r.Amount, r.Currency)
	if err != nil {
		return Transaction{}, err
	}
	to, err := w.payeeAccount(ctx, p, r.To, from.Currency)
	if err != nil {
		return Transaction{}, err
	}
	if to.ID == from.ID {
		return Transaction{}, ledger.SameAccount.Failure("source and destination are both %s", from.ID)
	}
	pay.OtherAccountID, pay.Currency = to.ID, from.Currency
	if pay.Limits, err = w.limits(ctx, p, &from); err != nil {
		return Transaction{}, err
	}
	return w.judgedTransfer(ctx, p, books, pay, from, to)
}

func (w *Wallets) judgedTransfer(ctx context.Context, p identity.Principal, books *ledger.Ledger, pay payment, from, to ledger.Account) (Transaction, error) {
	isNew, err := isNewPayee(ctx, p, books, from, to)
	if err != nil {
		return Transaction{}, err
	}
	if err := w.hasRoom(ctx, p.UserID); err != nil {
		return Transaction{}, err
	}
	decision, err := w.judge(ctx, p, books, question{
		paymentID: pay.ID, operation: risk.Transfer, from: from, amount: pay.Amount, isNewPayee: isNew, payeeID: to.OwnerID,
	})
	if err != nil {
		return Transaction{}, err
	}
	if decision.Outcome == risk.Review {
		return w.underReview(ctx, p, pay)
	}
	done, err := books.Transfer(ctx, ledger.TransferRequest{
		ID: pay.ID, SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: pay.Amount, Currency: pay.Currency,
		Description: pay.Description, Metadata: noteOf(KindTransfer, pay.RequestHash), Limits: &pay.Limits,
	})
	if done.ID == "" {
		return Transaction{}, err
	}
	return w.sent(ctx, p, done, err)
}

// underReview reserves the money of a payment that a person is to look at. When it
// can't be reserved the payment has FAILED: there is nothing to approve any more.
func (w *Wallets) underReview(ctx context.Context, p identity.Principal, pay payment) (Transaction, error) {
	pay, isNew, err := w.record(ctx, pay)
	if err != nil {
		return Transaction{}, err
	}
	if isNew {
		if pay, _, err = w.reserveFirst(ctx, pay); err != nil {
			return Transaction{}, err
		}
	}
	return w.shownPayment(ctx, p, pay)
}

// reserveFirst reserves the money of a payment that was just put on record. A
// refusal ends the payment. isOurs is false when somebody else has claimed or ended
// it meanwhile: what is returned is then as he has left it.
func (w *Wallets) reserveFirst(ctx context.Context, pay payment) (left payment, isOurs bool, err error) {
	_, err = w.reserve(ctx, pay)
	failure := failureOf(err)
	switch {
	case err == nil:
		return pay, true, nil
	case errors.Is(err, errTaken):
		left, err = w.payment(ctx, pay.ID)
		return left, false, err
	case failure == nil:
		return pay, true, err
	}
	left, isOurs, err = w.giveUp(ctx, pay, failure)
	if err != nil || !isOurs {
		return left, isOurs, err
	}
	left, err = w.settle(ctx, left)
	return left, true, err
}

// isNewPayee says whether the account pays this one for the first time. Accounts
// of the user himself are not new to him.
func isNewPayee(ctx context.Context, p identity.Principal, books *ledger.Ledger, from, to ledger.Account) (bool, error) {
	if to.OwnerID == p.UserID {
		return false, nil
	}
	hasPaid, err := books.HasPaid(ctx, from.ID, to.ID)
	return !hasPaid, err
}

// payer is the account that pays, one of the user's own that has the amount.
func (w *Wallets) payer(ctx context.Context, books *ledger.Ledger, accountID string, amount decimal.Decimal, currency money.Currency) (ledger.Account, error) {
	account, err := usable(ctx, books, accountID, currency)
	if err != nil {
		return account, err
	}
	if err := money.Check(amount, account.Currency); err != nil {
		return account, invalid("amount", "%v", err)
	}
	if available := account.Available(); available.Valid && available.Decimal.LessThan(amount) {
		return account, ledger.InsufficientFunds.Failure("account %s has %s available, less than %s", account.ID,
			money.Format(available.Decimal, account.Currency), money.Format(amount, account.Currency))
	}
	return account, nil
}

// earlier answers a request whose key was used before. A payment that is not done
// yet is taken further.
func (w *Wallets) earlier(ctx context.Context, p identity.Principal, books *ledger.Ledger, asked payment, key string) (t Transaction, found bool, err error) {
	if key == "" {
		return Transaction{}, false, nil
	}
	pay, err := w.payment(ctx, asked.ID)
	if err == nil {
		if string(pay.RequestHash) != string(asked.RequestHash) {
			return Transaction{}, true, duplicate()
		}
		if pay, err = w.resume(ctx, pay); err != nil {
			return Transaction{}, true, err
		}
		t, err = w.shownPayment(ctx, p, pay)
		return t, true, err
	}
	if !errors.Is(err, PaymentNotFound.Failure("")) {
		return Transaction{}, false, err
	}
	done, err := books.TransferByID(ctx, asked.ID)
	switch {
	case errors.Is(err, ledger.TransactionNotFound.Failure("")):
		return Transaction{}, false, nil
	case err != nil:
		return Transaction{}, false, err
	case !isOf(&done, asked.RequestHash):
		return Transaction{}, true, duplicate()
	}
	var failure error
	if done.Failure != nil {
		failure = done.Failure
	}
	t, err = w.sent(ctx, p, done, failure)
	return t, true, err
}
