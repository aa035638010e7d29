package wallet

import (
	"context"
	"errors"
	"slices"
	"strings"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
)

// accountsEverMax bounds what a user can fill the books with by opening and
// closing.
const accountsEverMax = 200

// typesFor are the types of account that a role's users open for themselves.
func typesFor(role identity.Role) []ledger.AccountType {
	types := []ledger.AccountType{ledger.Checking, ledger.Savings, ledger.Wallet}
	if role == identity.Merchant {
		types = append(types, ledger.Merchant)
	}
	return types
}

// OpenAccount opens an account for the user, empty and without overdraft. The same
// key again returns the account as it is now. An empty type is WALLET, an empty
// currency USD. Returns ledger.InvalidInput, ledger.AccountExists when the key was
// used for another account, and TooManyAccounts.
func (w *Wallets) OpenAccount(ctx context.Context, p identity.Principal, t ledger.AccountType, currency money.Currency, key string) (ledger.Account, error) {
	books, err := w.booksOf(p)
	if err != nil {
		return ledger.Account{}, err
	}
	if t == "" {
		t = ledger.Wallet
	}
	if err := checkKey(key); err != nil {
		return ledger.Account{}, err
	}
	if allowed := typesFor(p.Role); !slices.Contains(allowed, t) {
		return ledger.Account{}, invalid("accountType", "must be one of %s", typeList(allowed))
	}
	leave, err := w.lanes.enter(ctx, p.UserID) // or two at once would both be the last
	if err != nil {
		return ledger.Account{}, err
	}
	defer leave()
	open := ledger.OpenAccount{ID: idOf("acc", p.UserID, key), Type: t, Currency: currency, IdempotencyKey: key}
	if _, err := books.Account(ctx, open.ID); err == nil {
		return books.OpenAccount(ctx, open) // opened before, and then it counts already
	} else if !errors.Is(err, ledger.AccountNotFound.Failure("")) {
		return ledger.Account{}, err
	}
	if err := w.checkRoom(ctx, books); err != nil {
		return ledger.Account{}, err
	}
	return books.OpenAccount(ctx, open)
}

// checkRoom returns TooManyAccounts when the user may open no more.
func (w *Wallets) checkRoom(ctx context.Context, books *ledger.Ledger) error {
	accounts, err := books.Accounts(ctx, ledger.AccountFilter{}, "", accountsEverMax)
	if err != nil {
		return err
	}
	open := 0
	for i := range accounts {
		if accounts[i].Status != ledger.Closed {
			open++
		}
	}
	if open >= w.openAccountsMax || len(accounts) >= accountsEverMax {
		return TooManyAccounts.Failure("you have %d open accounts, and may have %d; and %d with those that are closed",
			open, w.openAccountsMax, accountsEverMax)
	}
	return nil
}

// Accounts lists the user's accounts, closed ones included, in the order of their
// ids. Their number is bounded.
func (w *Wallets) Accounts(ctx context.Context, p identity.Principal) ([]ledger.Account, error) {
	books, err := w.booksOf(p)
	if err != nil {
		return nil, err
	}
	return accountsOf(ctx, books, ledger.AccountFilter{})
}

// accountsOf reads all of an owner's accounts. Staff may have opened more for him
// than he could.
func accountsOf(ctx context.Context, books *ledger.Ledger, f ledger.AccountFilter) ([]ledger.Account, error) {
	var all []ledger.Account
	for after := ""; ; {
		page, err := books.Accounts(ctx, f, after, ledger.MaxPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < ledger.MaxPage {
			return all, nil
		}
		after = page[len(page)-1].ID
	}
}

// usable is one of the user's own accounts that money can move on now. Returns
// ledger.AccountNotFound, ledger.AccountFrozen, ledger.AccountClosed and, when a
// currency is given that is not the account's, ledger.CurrencyMismatch.
func usable(ctx context.Context, books *ledger.Ledger, accountID string, currency money.Currency) (ledger.Account, error) {
	account, err := books.Account(ctx, accountID)
	if err != nil {
		return ledger.Account{}, err
	}
	switch {
	case account.Status == ledger.Frozen:
		return account, ledger.AccountFrozen.Failure("account %s is frozen", account.ID)
	case account.Status == ledger.Closed:
		return account, ledger.AccountClosed.Failure("account %s is closed", account.ID)
	case currency != "" && currency != account.Currency:
		return account, ledger.CurrencyMismatch.Failure("account %s is in %s, the request in %s", account.ID, account.Currency, currency)
	}
	return account, nil
}

func typeList(types []ledger.AccountType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return strings.Join(names, ", ")
}

// houseAccount is an account that the house has for each currency.
type houseAccount struct {
	id       string
	kind     ledger.AccountType
	currency money.Currency
}

// bankAccount stands for the house's money at the bank.
func bankAccount(currency money.Currency) houseAccount {
	return houseAccount{ledger.BankAccountID(currency), ledger.Asset, currency}
}

// suspenseAccount holds what the bank collected and the user's account did not
// take: it is owed, and staff finds it where it belongs.
func suspenseAccount(currency money.Currency) houseAccount {
	return houseAccount{suspensePrefix + string(currency), ledger.Liability, currency}
}

const (
	housePrefix    = "house:"
	bankPrefix     = "house:bank:"
	suspensePrefix = "house:suspense:"
)
