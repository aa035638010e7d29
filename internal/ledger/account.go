package ledger

import (
	"encoding/json"
	"errors"
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
	// OwnerID is the user whose account it is; "" for the house's accounts and
	// those of nobody. It never changes.
	OwnerID string
	// TransferLimit and DailyLimit are the account's own limits, in place of those
	// of whoever pays from it (Limits); not valid means none of its own.
	TransferLimit decimal.NullDecimal
	DailyLimit    decimal.NullDecimal
	// SpentSince is the first payment counted in Spent, which is about that day
	// (UTC) from then on; the zero time before the first. See SpentOn.
	SpentSince time.Time
	Spent      decimal.Decimal
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
	// OwnerID is the user whose account it will be, for ever; none when empty. Only
	// customers' accounts have owners. In an owner's view of the books (As) it is
	// that owner, whatever stands here.
	OwnerID string
	// IdempotencyKey, when not empty, makes a second call with the same content
	// return the account that the first one opened. It needs ID to be set.
	IdempotencyKey string

	openingHash       []byte
	openingTransferID string
	// isHouse says that any account of this id, type and currency will do.
	isHouse bool
}

func (o *OpenAccount) keys(k *keys) {
	k.account(o.ID)
	if o.Balance.IsPositive() {
		k.account(OpeningAccountID(o.Currency))
	}
}

func (o *OpenAccount) apply(b *book) Result {
	if existing := b.accounts[o.ID]; existing != nil {
		if o.isOpened(existing) {
			return existing.result()
		}
		return failed(AccountExists.Failure("account id %s is taken", o.ID))
	}
	account := b.open(Account{
		ID: o.ID, Type: o.Type, Currency: o.Currency,
		OverdraftLimit: o.OverdraftLimit, Metadata: o.Metadata, HomeRegion: o.HomeRegion, OwnerID: o.OwnerID,
	}, o.openingHash)
	var opening *Transfer
	if o.Balance.IsPositive() {
		house := OpeningAccountID(o.Currency)
		isFirst := b.accounts[house] == nil
		if isFirst {
			b.open(Account{ID: house, Type: Equity, Currency: o.Currency, Metadata: emptyObject, HomeRegion: o.HomeRegion}, []byte(house))
		}
		opening = &Transfer{
			ID: o.openingTransferID, Kind: KindOpening, SourceAccountID: house, DestinationAccountID: o.ID,
			Amount: o.Balance, Currency: o.Currency, Description: "Opening balance", CreatedAt: b.now,
		}
		if failure := b.post(opening, guardNothing, nil); failure != nil {
			// The opening account itself is full; the new account must not stay.
			b.forget(o.ID)
			return failed(failure)
		}
		if isFirst {
			b.noteOpened(b.accounts[house])
		}
	}
	b.noteOpened(account)
	if opening != nil {
		b.record(*opening, requestHash("opening", o.ID))
	}
	return account.result()
}

// isOpened says whether an account is the one that the request asks for.
func (o *OpenAccount) isOpened(existing *accountEntry) bool {
	if o.isHouse {
		return existing.Type == o.Type && existing.Currency == o.Currency
	}
	return string(existing.openingHash) == string(o.openingHash)
}

// UpdateAccount changes what is not a balance. Fields that are nil stay as they are.
type UpdateAccount struct {
	ID             string
	Status         *AccountStatus   // ACTIVE or FROZEN
	OverdraftLimit *decimal.Decimal // not below what is used of it
	// TransferLimit and DailyLimit become the account's own, from the next payment
	// on; not valid takes them away. The house's accounts have none.
	TransferLimit *decimal.NullDecimal
	DailyLimit    *decimal.NullDecimal
	// LowersOnly refuses, as ErrLimitRaised, a change by which the account could pay
	// more: a higher overdraft limit or limit of its own, or one taken away.
	LowersOnly bool
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
	if err := u.setLimits(&changed); err != nil {
		return Result{Err: err}
	}
	if u.LowersOnly && u.raises(&account.Account) {
		return Result{Err: ErrLimitRaised}
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
	before := account.Account
	b.changeTerms(account, changed)
	b.noteUpdated(&before, account)
	return account.result()
}

// ErrLimitRaised says that a change would let an account pay more, which
// UpdateAccount.LowersOnly forbids. Nothing of it was applied.
var ErrLimitRaised = errors.New("the change raises a limit")

// raises says whether the account could pay more. One that had no limit of its own
// had its payer's, which are not known here: any that it is given may be more.
func (u *UpdateAccount) raises(now *Account) bool {
	isMore := func(own decimal.NullDecimal, asked *decimal.NullDecimal) bool {
		switch {
		case asked == nil:
			return false
		case !asked.Valid:
			return own.Valid
		}
		return !own.Valid || asked.Decimal.GreaterThan(own.Decimal)
	}
	overdraft := u.OverdraftLimit != nil && now.OverdraftLimit.Valid && u.OverdraftLimit.GreaterThan(now.OverdraftLimit.Decimal)
	return overdraft || isMore(now.TransferLimit, u.TransferLimit) || isMore(now.DailyLimit, u.DailyLimit)
}

func (u *UpdateAccount) setLimits(changed *Account) error {
	if u.OverdraftLimit != nil {
		changed.OverdraftLimit = decimal.NewNullDecimal(*u.OverdraftLimit)
		if err := changed.checkLimit("overdraftLimit", *u.OverdraftLimit); err != nil {
			return err
		}
		if available := changed.Available().Decimal; available.Add(changed.Shortfall).IsNegative() {
			return OverdraftInUse.Failure("account %s uses %s more than this overdraft limit",
				u.ID, money.Format(available.Neg(), changed.Currency))
		}
	}
	for _, limit := range []struct {
		field string
		asked *decimal.NullDecimal
		own   *decimal.NullDecimal
	}{
		{"transferLimit", u.TransferLimit, &changed.TransferLimit},
		{"dailyLimit", u.DailyLimit, &changed.DailyLimit},
	} {
		if limit.asked == nil {
			continue
		}
		if changed.Type.IsHouse() && limit.asked.Valid {
			return invalid(limit.field, "must be absent: account %s is the house's", u.ID)
		}
		if err := changed.checkLimit(limit.field, limit.asked.Decimal); err != nil {
			return err
		}
		*limit.own = *limit.asked
	}
	return nil
}

// checkLimit refuses decimals that the account's currency does not have.
func (a *Account) checkLimit(field string, limit decimal.Decimal) error {
	if money.Check(limit, a.Currency) != nil {
		return InvalidAmount.Failure("%s has more than the %d decimals of %s", field, a.Currency.Decimals(), a.Currency)
	}
	return nil
}

// changeable is an account that people may change: not one of the ledger's own,
// without which no account could be opened any more.
func (b *book) changeable(id string) (*accountEntry, *Failure) {
	if !b.reaches(id) {
		return nil, accountNotFound(id)
	}
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
	before := account.Account
	changed := before
	changed.Status = Closed
	b.changeTerms(account, changed)
	b.noteClosed(&before, account)
	return account.result()
}
