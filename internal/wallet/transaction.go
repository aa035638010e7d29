package wallet

import (
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/money"
)

// Direction says which way money went, as the user sees it.
type Direction string

// The directions. Money between two accounts of the user himself is SENT, unless
// the account that received it is what was asked for.
const (
	Sent     Direction = "SENT"
	Received Direction = "RECEIVED"
)

// Kind says what a transaction is to the user.
type Kind string

// The kinds.
const (
	KindTransfer   Kind = "TRANSFER"   // between accounts of the house
	KindDeposit    Kind = "DEPOSIT"    // from a bank account
	KindWithdrawal Kind = "WITHDRAWAL" // to a bank account
	KindOpening    Kind = "OPENING"    // the balance that an account began with
	KindReversal   Kind = "REVERSAL"   // undoes another transaction
)

// Status says where a transaction stands.
type Status string

// The statuses. PENDING and IN_REVIEW end as COMPLETED or FAILED.
const (
	Pending   Status = "PENDING"   // is being done; what leaves the account is reserved
	InReview  Status = "IN_REVIEW" // waits for a person's yes; the money is reserved
	Completed Status = "COMPLETED"
	Failed    Status = "FAILED" // nothing was moved
)

// Transaction is money that came to the user or left him.
type Transaction struct {
	ID        string
	Kind      Kind
	Direction Direction
	Status    Status
	AccountID string // the user's
	// Counterparty is the other end; of deposits and withdrawals it has the linked
	// account while they are under way, and nothing afterwards.
	Counterparty Counterparty
	Amount       decimal.Decimal // above zero
	Currency     money.Currency
	Description  string
	// FailureCode and FailureMessage say why it FAILED. The code is the ledger's or
	// this package's.
	FailureCode, FailureMessage string
	CreatedAt                   time.Time
	FinishedAt                  *time.Time
}

// Counterparty is who is at the other end, as far as it is to be known.
type Counterparty struct {
	// Name is "First L."; empty for the house, and for who has left.
	Name            string
	AccountID       string // "" for the house
	LinkedAccountID string
	IsSelf          bool // the user's own other account
}

func statusOf(s ledger.TransferStatus) Status {
	switch s {
	case ledger.Completed:
		return Completed
	case ledger.Failed:
		return Failed
	}
	return Pending
}
