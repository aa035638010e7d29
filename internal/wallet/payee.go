package wallet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/id"
	"florin/internal/platform/ratelimit"
)

// Payee names who is paid: exactly one of the fields.
type Payee struct {
	UserID    string
	Email     string
	AccountID string
}

func (p *Payee) validate() error {
	given := 0
	for _, field := range []string{p.UserID, p.Email, p.AccountID} {
		if field != "" {
			given++
		}
	}
	if given != 1 {
		return invalid("to", "must name exactly one of userId, email and accountId")
	}
	return nil
}

// receivingTypes are the accounts that a user is paid on when he is named and not
// one of them, the first choice first.
var receivingTypes = []ledger.AccountType{ledger.Wallet, ledger.Checking, ledger.Merchant, ledger.Savings}

// payeeAccount finds the account that is to be paid. A person gets it on the
// oldest of his accounts in the currency that can receive, wallets first. The
// house's accounts are nobody's to pay. Returns PayeeNotFound, in the same words
// for a person who is not there, may not receive, or has no such account; and
// TooManyLookups for who has guessed too often.
func (w *Wallets) payeeAccount(ctx context.Context, p identity.Principal, to Payee, currency money.Currency) (ledger.Account, error) {
	subject := ratelimit.Caller(p.UserID)
	if verdict := w.misses.Look(missesPolicy, subject); !verdict.Allowed {
		return ledger.Account{}, &Failure{
			Code: TooManyLookups, Message: "too many of those you asked to pay are not there", RetryAfter: verdict.Wait,
		}
	}
	account, err := w.findPayee(ctx, p, to, currency)
	if isFailure(err, PayeeNotFound) {
		w.misses.Take(missesPolicy, subject)
	}
	return account, err
}

// Who tries addresses to learn who has an account here finds nobody most of the
// time. The count is each replica's own.
const (
	missesMax     = 30
	missesTracked = 10_000 // users
)

var missesPolicy = ratelimit.NewPolicy("payees", ratelimit.Limit{Quota: missesMax, Window: time.Hour})

func (w *Wallets) findPayee(ctx context.Context, p identity.Principal, to Payee, currency money.Currency) (ledger.Account, error) {
	if to.AccountID != "" {
		return w.payeeByAccount(ctx, to.AccountID, currency)
	}
	user, err := w.payeeUser(ctx, to)
	if err != nil {
		return ledger.Account{}, err
	}
	if user.ID == p.UserID {
		return ledger.Account{}, invalid("to", "is yourself; name the account to move money to by accountId")
	}
	accounts, err := accountsOf(ctx, w.books.As(user.ID), ledger.AccountFilter{Currency: currency, Status: ledger.Active})
	if err != nil {
		return ledger.Account{}, err
	}
	best := -1
	for i := range accounts {
		if slices.Contains(receivingTypes, accounts[i].Type) && (best < 0 || isBetterPayee(&accounts[i], &accounts[best])) {
			best = i
		}
	}
	if best < 0 {
		return ledger.Account{}, payeeNotFound()
	}
	return accounts[best], nil
}

func isBetterPayee(a, b *ledger.Account) bool {
	if rankA, rankB := slices.Index(receivingTypes, a.Type), slices.Index(receivingTypes, b.Type); rankA != rankB {
		return rankA < rankB
	}
	if !a.CreatedAt.Equal(b.CreatedAt) {
		return a.CreatedAt.Before(b.CreatedAt)
	}
	return a.ID < b.ID
}

func (w *Wallets) payeeByAccount(ctx context.Context, accountID string, currency money.Currency) (ledger.Account, error) {
	account, err := w.books.Account(ctx, accountID)
	if errors.Is(err, ledger.AccountNotFound.Failure("")) {
		return ledger.Account{}, payeeNotFound()
	}
	if err != nil {
		return ledger.Account{}, err
	}
	if strings.HasPrefix(account.ID, housePrefix) || account.Type.IsHouse() ||
		account.Status != ledger.Active || account.Currency != currency {
		return ledger.Account{}, payeeNotFound()
	}
	return account, nil
}

func (w *Wallets) payeeUser(ctx context.Context, to Payee) (identity.User, error) {
	find, by := w.users.FindUserByEmail, to.Email
	if to.UserID != "" {
		if !id.IsPossible(to.UserID) {
			return identity.User{}, payeeNotFound()
		}
		find, by = w.users.UserByID, to.UserID
	}
	user, err := find(ctx, by)
	if errors.Is(err, identity.ErrUserNotFound) {
		return identity.User{}, payeeNotFound()
	}
	return user, err
}

func payeeNotFound() *Failure {
	return PayeeNotFound.Failure("there is nobody who can be paid this currency there")
}

// shownNameMax bounds what of a name is shown.
const shownNameMax = 40

// shownName is as much of a person's name as others see: "Ada L." of Ada King
// Lovelace. A name that could be an address shows its first letter alone.
func shownName(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	if len(words) == 0 {
		return ""
	}
	first, last := words[0], words[len(words)-1]
	if strings.ContainsAny(name, "@＠") || strings.Contains(name, "://") {
		return initial(first)
	}
	if utf8.RuneCountInString(first) > shownNameMax {
		first = string([]rune(first)[:shownNameMax]) + "…"
	}
	if len(words) == 1 {
		return first
	}
	return strings.TrimSpace(first + " " + initial(last))
}

func initial(word string) string {
	for _, r := range word {
		if unicode.IsLetter(r) {
			return string(unicode.ToUpper(r)) + "."
		}
	}
	return ""
}
