package export

import (
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// Row is one posting with what finance needs beside it: one line of a part.
type Row struct {
	AccountID             string
	Seq                   int64 // its number in the account: 1, 2, 3, ... without gaps
	TransactionID         string
	Kind                  string // TRANSFER, OPENING, CAPTURE or REVERSAL
	CounterpartyAccountID string
	Amount                decimal.Decimal // signed: credits positive, debits negative
	Balance               decimal.Decimal // the account's, after this posting
	Currency              money.Currency
	CreatedAt             time.Time // as in the account's statement
	EffectiveAt           time.Time // the caller's own time of the event; zero when there is none
	Description           string
	ReversesTransactionID string // of a REVERSAL
	HoldID                string // of a CAPTURE
	// CommittedAt is when the database committed it; zero in history, where the
	// database does not tell any more. Not before CreatedAt but for the clocks of
	// the machines.
	CommittedAt time.Time
}

// transaction is a completed transfer's two rows. They stand in one part, side
// by side, the debit first.
type transaction struct{ debit, credit Row }

// posting and transfer are what a feed joins to a transaction.
type posting struct {
	AccountID  string          `json:"account_id"`
	Seq        int64           `json:"seq"`
	TransferID string          `json:"transfer_id"`
	Amount     decimal.Decimal `json:"amount"`
	Balance    decimal.Decimal `json:"balance"`
	Currency   string          `json:"currency"`
	CreatedAt  time.Time       `json:"created_at"`
}

type transfer struct {
	ID          string     `json:"transfer_id"`
	Kind        string     `json:"kind"`
	Status      string     `json:"status"`
	Description string     `json:"description"`
	HoldID      *string    `json:"hold_id"`
	ReversesID  *string    `json:"reverses_id"`
	EffectiveAt *time.Time `json:"effective_at"`
}

// join makes a transaction of a transfer and its postings, in any order. Returns
// LedgerInconsistent when they don't belong together.
func join(t transfer, legs []posting, committedAt time.Time) (transaction, error) {
	if len(legs) != 2 {
		return transaction{}, LedgerInconsistent.Failure("transaction %s has %d postings instead of 2: run florin verify", t.ID, len(legs))
	}
	debit, credit := legs[0], legs[1]
	if debit.Amount.IsPositive() {
		debit, credit = credit, debit
	}
	tx := transaction{debit: rowOf(t, debit, credit.AccountID, committedAt), credit: rowOf(t, credit, debit.AccountID, committedAt)}
	return tx, tx.validate()
}

func rowOf(t transfer, p posting, counterparty string, committedAt time.Time) Row {
	return Row{
		AccountID: p.AccountID, Seq: p.Seq, TransactionID: t.ID, Kind: t.Kind, CounterpartyAccountID: counterparty,
		Amount: p.Amount, Balance: p.Balance, Currency: money.Currency(p.Currency), CreatedAt: microseconds(p.CreatedAt),
		EffectiveAt: microseconds(orZero(t.EffectiveAt)), Description: t.Description,
		ReversesTransactionID: orZero(t.ReversesID), HoldID: orZero(t.HoldID), CommittedAt: microseconds(committedAt),
	}
}

// microseconds brings a time to what every format can hold.
func microseconds(t time.Time) time.Time {
	return t.UTC().Truncate(time.Microsecond)
}

// validate returns LedgerInconsistent unless the rows are the two legs of one
// movement of money.
func (t transaction) validate() error {
	d, c := t.debit, t.credit
	switch {
	case d.TransactionID != c.TransactionID:
		return LedgerInconsistent.Failure("the postings of transactions %s and %s stand where one transaction's should", d.TransactionID, c.TransactionID)
	case !d.Amount.IsNegative() || !c.Amount.IsPositive():
		return LedgerInconsistent.Failure("transaction %s does not have a debit and a credit", d.TransactionID)
	case d.Currency != c.Currency || !d.Amount.Add(c.Amount).IsZero():
		return LedgerInconsistent.Failure("transaction %s does not sum to zero: %s %s and %s %s", d.TransactionID, d.Amount, d.Currency, c.Amount, c.Currency)
	case d.CounterpartyAccountID != c.AccountID || c.CounterpartyAccountID != d.AccountID:
		return LedgerInconsistent.Failure("the postings of transaction %s don't name each other's accounts", d.TransactionID)
	case !d.CommittedAt.Equal(c.CommittedAt):
		return LedgerInconsistent.Failure("the postings of transaction %s were committed at different times", d.TransactionID)
	}
	return nil
}
