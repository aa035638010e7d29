package ledger

import (
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// Limits bound what is paid out of a customer's account, in its currency. Not
// valid means without limit; zero is a limit. They are checked under the
// account's lock, so that requests at one time don't slip past them together.
type Limits struct {
	PerTransfer decimal.NullDecimal // the largest single transfer or hold
	Daily       decimal.NullDecimal // all of a day (UTC) together
}

// What counts is money that leaves a customer's account by a transfer, or is
// reserved by a hold: at the time of the posting, or when the hold is placed. A
// capture doesn't count again. A hold that ends gives back what was not taken,
// to the day that it was placed on. Openings and reversals don't count.

// limits are those that the account pays under: its own, and where it has none
// those of whoever asks.
func (a *Account) limits(role *Limits) Limits {
	own := Limits{PerTransfer: a.TransferLimit, Daily: a.DailyLimit}
	if role == nil {
		return own
	}
	if !own.PerTransfer.Valid {
		own.PerTransfer = role.PerTransfer
	}
	if !own.Daily.Valid {
		own.Daily = role.Daily
	}
	return own
}

// SpentOn is what counts towards the daily limit on the day (UTC) of a time,
// which must be the account's newest day or one after it.
func (a *Account) SpentOn(at time.Time) decimal.Decimal {
	if !isSameDay(a.SpentSince, at) {
		return decimal.Zero
	}
	return a.Spent
}

// overLimit says why the account may not pay amount at a time, if so.
func (a *Account) overLimit(amount decimal.Decimal, role *Limits, at time.Time) *Failure {
	if a.Type.IsHouse() {
		return nil
	}
	limits := a.limits(role)
	if limit := limits.PerTransfer; limit.Valid && amount.GreaterThan(limit.Decimal) {
		return TransferLimitExceeded.Failure("account %s may pay %s at a time, less than %s", a.ID,
			money.Format(limit.Decimal, a.Currency), money.Format(amount, a.Currency))
	}
	if limit := limits.Daily; limit.Valid {
		if left := limit.Decimal.Sub(a.SpentOn(at)); amount.GreaterThan(left) {
			return DailyLimitExceeded.Failure("account %s may pay %s a day and has %s of it left, less than %s", a.ID,
				money.Format(limit.Decimal, a.Currency), money.Format(decimal.Max(left, decimal.Zero), a.Currency), money.Format(amount, a.Currency))
		}
	}
	return nil
}

// spend counts what leaves the account, also while it has no limit: it may be
// given one on the same day.
func (a *Account) spend(amount decimal.Decimal, at time.Time) {
	if a.Type.IsHouse() {
		return
	}
	if !isSameDay(a.SpentSince, at) {
		a.SpentSince, a.Spent = at, decimal.Zero
	}
	a.Spent = a.Spent.Add(amount)
}

// giveBack takes off what a hold placed at a time has reserved and not taken. On
// a later day there is nothing to take it off, nor when it was placed by a
// version of the program that did not count: of a day that both counted in, what is
// left never goes below zero, which would let more be paid than the limit.
func (a *Account) giveBack(amount decimal.Decimal, placedAt time.Time) {
	if isSameDay(a.SpentSince, placedAt) && !placedAt.Before(a.SpentSince) {
		a.Spent = decimal.Max(decimal.Zero, a.Spent.Sub(amount))
	}
}

const day = 24 * time.Hour

// isSameDay compares days in UTC, in which the zero time begins one too.
func isSameDay(a, b time.Time) bool { return a.Truncate(day).Equal(b.Truncate(day)) }
