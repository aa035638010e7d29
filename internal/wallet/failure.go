package wallet

import (
	"errors"

	"florin/internal/ledger"
	"florin/internal/platform/failure"
)

// Code is a stable name of what a rule of this package refused. Codes are part of
// the API: they are never renamed.
type Code string

// The codes, each with what it means. What the books refuse keeps the ledger's
// code.
const (
	BankNotConnected      Code = "bank_not_connected"       // this server has no bank to pay in or out by
	BankRefused           Code = "bank_refused"             // the bank said no
	DeclinedByRisk        Code = "declined_by_risk"         // a risk rule said no
	NeedsReview           Code = "needs_review"             // a person would have to look at a payment that can't wait
	RejectedByReview      Code = "rejected_by_review"       // a reviewer said no
	PayeeNotFound         Code = "payee_not_found"          // nobody, or nobody who can receive this currency
	TooManyLookups        Code = "too_many_lookups"         // too many of those that a user asked to pay are not there
	LinkedAccountNotFound Code = "linked_account_not_found" //
	PaymentNotFound       Code = "payment_not_found"        // nothing of the user's has the id
	ReviewNotFound        Code = "review_not_found"         // no payment waits for this decision
	ReservationReleased   Code = "reservation_released"     // somebody gave the reserved money back
	BalanceRemaining      Code = "balance_remaining"        // a user who leaves has money or debts
	PaymentsPending       Code = "payments_pending"         // a user who leaves has payments under way
	TooManyAccounts       Code = "too_many_accounts"        // a user has as many accounts as he may
	TooManyPending        Code = "too_many_pending"         // a user has as many payments under way as he may
)

// Failure is a rule's refusal: the request was understood and can't be done. It is
// an error; errors.Is compares the code alone. TooManyLookups says how long to wait.
type Failure = failure.Of[Code]

// Failure is a refusal with this code.
func (c Code) Failure(format string, args ...any) *Failure {
	return failure.New(c, format, args...)
}

// invalid is one field's problem, in the form that all of the API has.
func invalid(field, format string, args ...any) error {
	return failure.Invalidf(field, format, args...)
}

func isFailure(err error, code Code) bool { return errors.Is(err, &Failure{Code: code}) }

func isLedgerFailure(err error, code ledger.Code) bool {
	return errors.Is(err, &ledger.Failure{Code: code})
}
