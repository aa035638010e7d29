package ledger

import (
	"context"
	"slices"
	"strings"

	"florin/internal/money"
)

// housePrefix begins the ids of the house's own accounts, which nobody changes
// or closes.
const housePrefix = "house:"

func isHouseID(id string) bool { return strings.HasPrefix(id, housePrefix) }

// OpeningAccountID is the house account that opening balances come from, one a
// currency. It is opened when first needed.
func OpeningAccountID(currency money.Currency) string {
	return housePrefix + "opening:" + string(currency)
}

// BankAccountID is the house account that stands for its money at the bank in a
// currency: deposits come from it, withdrawals go to it. Whoever books on it
// opens it first (OpenHouse).
func BankAccountID(currency money.Currency) string {
	return housePrefix + "bank:" + string(currency)
}

// OpenHouse opens one of the house's own accounts, whose id begins with "house:",
// without limit and empty. A second call returns the account as it is now.
// Returns AccountExists when the id has another type or currency, and
// InvalidInput, also for an owner's view of the books (As).
func (l *Ledger) OpenHouse(ctx context.Context, id string, t AccountType, currency money.Currency) (Account, error) {
	var f fields
	f.id("accountId", id)
	if !isHouseID(id) {
		f.add("accountId", "must begin with %q", housePrefix)
	}
	if !t.IsHouse() {
		f.add("accountType", "must be one of %s", list(houseTypes))
	}
	if l.reach != "" {
		f.add("accountId", "must not be one of the house's")
	}
	if _, err := money.ParseCurrency(string(currency)); err != nil {
		f.add("currency", "%v", err)
	}
	if err := f.err(); err != nil {
		return Account{}, err
	}
	o := OpenAccount{
		ID: id, Type: t, Currency: currency, Metadata: emptyObject,
		openingHash: []byte(id), isHouse: true,
	}
	if err := l.home(ctx, &o); err != nil {
		return Account{}, err
	}
	return l.account(ctx, &o)
}

var (
	customerTypes = slices.DeleteFunc(slices.Clone(AccountTypes), AccountType.IsHouse)
	houseTypes    = slices.DeleteFunc(slices.Clone(AccountTypes), func(t AccountType) bool { return !t.IsHouse() })
)
