package ledger

import (
	"florin/internal/platform/failure"
)

// Code is a stable name of what a rule of the ledger refused. Codes are part of
// the API: they are never renamed.
type Code string

// The codes, each with what it means.
const (
	AccountExists           Code = "account_exists"            // the id is taken, perhaps by a closed account
	AccountNotFound         Code = "account_not_found"         //
	AccountFrozen           Code = "account_frozen"            // neither pays nor receives until unfrozen
	AccountClosed           Code = "account_closed"            // for good
	AccountReserved         Code = "account_reserved"          // the program's own account: nobody else changes, closes or moves it
	AccountNotEmpty         Code = "account_not_empty"         // can't be closed: money is posted or held
	OverdraftInUse          Code = "overdraft_in_use"          // the limit can't go below what is used of it
	InsufficientFunds       Code = "insufficient_funds"        // available is less than the amount
	TransferLimitExceeded   Code = "transfer_limit_exceeded"   // the amount is more than may be paid at a time
	DailyLimitExceeded      Code = "daily_limit_exceeded"      // more than is left of what may be paid a day (UTC)
	BalanceLimitExceeded    Code = "balance_limit_exceeded"    // the balance would reach 10^15
	CurrencyMismatch        Code = "currency_mismatch"         // the accounts and the request don't agree
	SameAccount             Code = "same_account"              // source and destination are one account
	InvalidAmount           Code = "invalid_amount"            // more decimals than the account's currency has
	DuplicateTransaction    Code = "duplicate_transaction"     // the id is taken by another request
	BatchAborted            Code = "batch_aborted"             // another transfer of the atomic batch failed
	TransactionNotFound     Code = "transaction_not_found"     //
	TransactionNotCompleted Code = "transaction_not_completed" // only what was done can be reversed
	AlreadyReversed         Code = "already_reversed"          //
	HoldNotFound            Code = "hold_not_found"            //
	HoldNotPending          Code = "hold_not_pending"          // captured or voided before
	HoldExpired             Code = "hold_expired"              //
	DuplicateHold           Code = "duplicate_hold"            // the id is taken by another request
	AmountExceedsHold       Code = "amount_exceeds_hold"       // a capture of more than was held
)

// Failure is a rule's refusal: the request was understood and can't be done.
// Nothing of it was applied. Its message names the account or transfer concerned.
// It is an error; errors.Is compares the code alone, so errors.Is(err,
// InsufficientFunds.Failure("")) holds for any text.
type Failure = failure.Of[Code]

// Failure is a refusal with this code.
func (c Code) Failure(format string, args ...any) *Failure {
	return failure.New(c, format, args...)
}

// InvalidInput says that a request makes no sense, whatever the books hold.
// Nothing of it was stored.
type InvalidInput = failure.Invalid

// FieldError is one field's problem.
type FieldError = failure.Field
