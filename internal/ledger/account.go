package ledger

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// AccountType says whose money an account holds.
type AccountType string

// Customers' accounts, then the house's.
const (
	Checking AccountType = "CHECKING"
	Savings  AccountType = "SAVINGS"
	Wallet   AccountType = "WALLET"
	Merchant AccountType = "MERCHANT"

	Asset     AccountType = "ASSET"
	Liability AccountType = "LIABILITY"
	Equity    AccountType = "EQUITY"
	Revenue   AccountType = "REVENUE"
	Expense   AccountType = "EXPENSE"
)

// AccountTypes are all types, customers' first.
var AccountTypes = []AccountType{Checking, Savings, Wallet, Merchant, Asset, Liability, Equity, Revenue, Expense}

// IsHouse says whether accounts of the type belong to the house. They may go
// negative without limit unless they are given one.
func (t AccountType) IsHouse() bool {
	switch t {
	case Asset, Liability, Equity, Revenue, Expense:
		return true
	}
	return false
}

// AccountStatus is an account's state.
type AccountStatus string

// ACTIVE <-> FROZEN, and either -> CLOSED for good.
const (
	Active AccountStatus = "ACTIVE"
	Frozen AccountStatus = "FROZEN"
	Closed AccountStatus = "CLOSED"
)

// housePrefix begins the ids of accounts that the ledger opens by itself.
const housePrefix = "house:"

// OpeningAccountID is the house account that opening balances come from, one a
// currency. It is opened when first needed.
func OpeningAccountID(currency money.Currency) string {
	return housePrefix + "opening:" + string(currency)
}

// Account is a place for money of one currency.
type Account struct {
	ID       string
	Type     AccountType
	Currency money.Currency
	Status   AccountStatus
	// Posted is the sum of the account's postings: what came in less what went out.
	Posted decimal.Decimal
	// Held is the sum of its pending holds.
	Held decimal.Decimal
	// OverdraftLimit is how far available funds may reach below zero; not valid
	// (NULL) means without limit.
	OverdraftLimit decimal.NullDecimal
	// Shortfall is how far forced reversals have taken the available funds below
	// zero; it shrinks as money comes in.
	Shortfall decimal.Decimal
	// Postings is the number of postings, and the seq of the newest.
	Postings int64
	// Version counts the changes of the account: 1 when opened, 2 with a balance.
	Version  int64
	Metadata json.RawMessage
	// HomeRegion is where the account's rows live in a database of several
	// regions; "" in one without, and for accounts opened before it had any,
	// which live in the first. It never changes.
	HomeRegion string
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Available is what the account can pay: posted - held + overdraft limit. Not
// valid means without limit. It is negative only after a forced reversal.
func (a *Account) Available() decimal.NullDecimal {
	if !a.OverdraftLimit.Valid {
		return decimal.NullDecimal{}
	}
	return decimal.NewNullDecimal(a.Posted.Sub(a.Held).Add(a.OverdraftLimit.Decimal))
}

// canPay says whether the account has amount available.
func (a *Account) canPay(amount decimal.Decimal) bool {
	available := a.Available()
	return !available.Valid || available.Decimal.GreaterThanOrEqual(amount)
}

// usable refuses money for accounts that are frozen or closed.
func (a *Account) usable() *Failure {
	switch a.Status {
	case Frozen:
		return AccountFrozen.Failure("account %s is frozen", a.ID)
	case Closed:
		return AccountClosed.Failure("account %s is closed", a.ID)
	}
	return nil
}

// OpenAccount asks for a new account.
type OpenAccount struct {
	// ID of the account; made by the ledger when empty.
	ID       string
	Type     AccountType    // CHECKING when empty
	Currency money.Currency // USD when empty
	// Balance above zero is booked as a transfer from the house's opening account.
	Balance decimal.Decimal
	// OverdraftLimit not valid means none at all for a customer's account and
	// without limit for the house's.
	OverdraftLimit decimal.NullDecimal
	Metadata       json.RawMessage // a JSON object; {} when empty
	// HomeRegion is one of the database's regions; this replica's when empty.
	HomeRegion string
	// IdempotencyKey, when not empty, makes a second call with the same content
	// return the account that the first one opened. It needs ID to be set.
	IdempotencyKey string

	openingHash       []byte
	openingTransferID string
}

func (o *OpenAccount) keys(k *keys) {
	k.account(o.ID)
	if o.Balance.IsPositive() {
		k.account(OpeningAccountID(o.Currency))
	}
}

func (o *OpenAccount) apply(b *book) Result {
	if existing := b.accounts[o.ID]; existing != nil {
		if string(existing.openingHash) == string(o.openingHash) {
			return existing.result()
		}
		return failed(AccountExists.Failure("account id %s is taken", o.ID))
	}
	account := b.open(Account{
		ID: o.ID, Type: o.Type, Currency: o.Currency,
		OverdraftLimit: o.OverdraftLimit, Metadata: o.Metadata, HomeRegion: o.HomeRegion,
	}, o.openingHash)
	if o.Balance.IsPositive() {
		house := OpeningAccountID(o.Currency)
		if b.accounts[house] == nil {
			b.open(Account{ID: house, Type: Equity, Currency: o.Currency, Metadata: emptyObject, HomeRegion: o.HomeRegion}, []byte(house))
		}
		opening := Transfer{
			ID: o.openingTransferID, Kind: KindOpening, SourceAccountID: house, DestinationAccountID: o.ID,
			Amount: o.Balance, Currency: o.Currency, Description: "Opening balance", CreatedAt: b.now,
		}
		if failure := b.post(&opening, guardNothing); failure != nil {
			// The opening account itself is full; the new account must not stay.
			b.forget(o.ID)
			return failed(failure)
		}
		b.record(opening, requestHash("opening", o.ID))
	}
	return account.result()
}

// UpdateAccount changes what is not a balance. Fields that are nil stay as they are.
type UpdateAccount struct {
	ID             string
	Status         *AccountStatus   // ACTIVE or FROZEN
	OverdraftLimit *decimal.Decimal // not below what is used of it
	// Metadata is merged into the account's: a key with null is taken away
	// (JSON Merge Patch, RFC 7396).
	Metadata json.RawMessage
}

func (u *UpdateAccount) keys(k *keys) { k.account(u.ID) }

func (u *UpdateAccount) apply(b *book) Result {
	account, failure := b.changeable(u.ID)
	if failure != nil {
		return failed(failure)
	}
	if account.Status == Closed {
		return failed(account.usable())
	}
	changed := account.Account
	if u.OverdraftLimit != nil {
		changed.OverdraftLimit = decimal.NewNullDecimal(*u.OverdraftLimit)
		if places := changed.Currency.Decimals(); money.Check(*u.OverdraftLimit, changed.Currency) != nil {
			return failed(InvalidAmount.Failure("overdraftLimit has more than the %d decimals of %s", places, changed.Currency))
		}
		if available := changed.Available().Decimal; available.Add(changed.Shortfall).IsNegative() {
			return failed(OverdraftInUse.Failure("account %s uses %s more than this overdraft limit",
				u.ID, money.Format(available.Neg(), changed.Currency)))
		}
	}
	if u.Status != nil {
		changed.Status = *u.Status
	}
	if u.Metadata != nil {
		merged, err := mergePatch(changed.Metadata, u.Metadata)
		if err != nil {
			return Result{Err: err}
		}
		changed.Metadata = merged
	}
	b.changeTerms(account, changed)
	return account.result()
}

// changeable is an account that people may change: not one of the ledger's own,
// without which no account could be opened any more.
func (b *book) changeable(id string) (*accountEntry, *Failure) {
	if isHouseID(id) {
		return nil, AccountReserved.Failure("account %s is the ledger's own", id)
	}
	return b.account(id)
}

// CloseAccount closes an empty account for good. Closing it again changes nothing.
type CloseAccount struct{ ID string }

func (c *CloseAccount) keys(k *keys) { k.account(c.ID) }

func (c *CloseAccount) apply(b *book) Result {
	account, failure := b.changeable(c.ID)
	if failure != nil {
		return failed(failure)
	}
	if account.Status == Closed {
		return account.result()
	}
	if !account.Posted.IsZero() || !account.Held.IsZero() {
		return failed(AccountNotEmpty.Failure("account %s has %s posted and %s held", c.ID,
			money.Format(account.Posted, account.Currency), money.Format(account.Held, account.Currency)))
	}
	changed := account.Account
	changed.Status = Closed
	b.changeTerms(account, changed)
	return account.result()
}

func isHouseID(id string) bool { return strings.HasPrefix(id, housePrefix) }
