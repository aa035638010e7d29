package ledger

import "fmt"

// Code is a stable name of what a rule of the ledger refused. Codes are part of
// the API: they are never renamed.
type Code string

// The codes, each with what it means.
const (
	AccountExists           Code = "account_exists"            // the id is taken, perhaps by a closed account
	AccountNotFound         Code = "account_not_found"         //
	AccountFrozen           Code = "account_frozen"            // neither pays nor receives until unfrozen
	AccountClosed           Code = "account_closed"            // for good
	AccountReserved         Code = "account_reserved"          // the ledger's own account: nobody changes or closes it
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
// Nothing of it was applied. It is an error; errors.Is compares the code alone,
// so errors.Is(err, InsufficientFunds.Failure("")) holds for any text.
type Failure struct {
	Code    Code
	Message string // for people; names the account or transfer concerned
}

// Error is the code and the message, for logs.
func (f *Failure) Error() string { return string(f.Code) + ": " + f.Message }

// Is compares codes.
func (f *Failure) Is(target error) bool {
	other, ok := target.(*Failure)
	return ok && other.Code == f.Code
}

// Failure is a refusal with this code.
func (c Code) Failure(format string, args ...any) *Failure {
	return &Failure{Code: c, Message: fmt.Sprintf(format, args...)}
}

// InvalidInput says that a request makes no sense, whatever the books hold.
// Nothing of it was stored.
type InvalidInput struct{ Fields []FieldError }

// FieldError is one field's problem. Field is the field's name in the API, such
// as "amount"; in a batch "transfers[3].amount".
type FieldError struct {
	Field   string
	Problem string // what is wrong and what the limit is
}

// Error names the first of the fields, for logs.
func (e *InvalidInput) Error() string {
	if len(e.Fields) == 0 {
		return "invalid input"
	}
	return fmt.Sprintf("invalid %s: %s", e.Fields[0].Field, e.Fields[0].Problem)
}
