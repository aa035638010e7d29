package ledger

import (
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// TransferStatus is where a transfer stands.
type TransferStatus string

// PENDING -> IN_PROGRESS -> COMPLETED | FAILED; a transfer that is not accepted
// for later begins with its end.
const (
	Pending    TransferStatus = "PENDING"
	InProgress TransferStatus = "IN_PROGRESS"
	Completed  TransferStatus = "COMPLETED"
	Failed     TransferStatus = "FAILED"
)

// IsFinal says that the status will not change any more.
func (s TransferStatus) IsFinal() bool { return s == Completed || s == Failed }

// TransferStatuses are all of them, in the order of a transfer's life.
var TransferStatuses = []TransferStatus{Pending, InProgress, Completed, Failed}

// Kind says what a transfer came from.
type Kind string

// The kinds.
const (
	KindTransfer Kind = "TRANSFER"
	KindOpening  Kind = "OPENING"  // an account's opening balance
	KindCapture  Kind = "CAPTURE"  // of a hold
	KindReversal Kind = "REVERSAL" // of another transfer
)

// Transfer is one movement of money from a source to a destination account. Once
// it is COMPLETED or FAILED nothing in it changes.
type Transfer struct {
	ID                   string
	Kind                 Kind
	SourceAccountID      string
	DestinationAccountID string
	Amount               decimal.Decimal // above zero
	Currency             money.Currency  // empty when it failed before one was known
	Status               TransferStatus
	Failure              *Failure // why it FAILED
	Description          string
	Metadata             json.RawMessage // nil or a JSON object
	HoldID               string          // what a capture draws on
	ReversesID           string          // what a reversal undoes
	ReversedByID         string          // the reversal that undid it; read with one transfer only
	// SourceSeq and DestinationSeq number the two postings in their accounts;
	// 0 until COMPLETED.
	SourceSeq      int64
	DestinationSeq int64
	EffectiveAt    *time.Time // the caller's own time of the event
	CreatedAt      time.Time  // accepted
	FinishedAt     *time.Time // completed or failed; the time of its postings
}

// Posting is one leg of a transfer.
type Posting struct {
	AccountID  string
	Seq        int64 // number in its account: 1, 2, 3, ...
	TransferID string
	Amount     decimal.Decimal // credits positive, debits negative
	Balance    decimal.Decimal // of the account, after it
	Currency   money.Currency
	CreatedAt  time.Time
}

// TransferRequest asks for a movement of money. ID is the caller's and is its
// idempotency key: the same request again returns the first outcome, another one
// under the same id is DuplicateTransaction.
type TransferRequest struct {
	ID                   string
	SourceAccountID      string
	DestinationAccountID string
	Amount               decimal.Decimal
	Currency             money.Currency // the accounts' when empty
	EffectiveAt          *time.Time
	Description          string
	Metadata             json.RawMessage
	// Limits are those of whoever asks; nil for none. They are no part of what makes
	// two requests the same.
	Limits *Limits

	hash []byte
	// isOneOfMany says that an amount with more decimals than the accounts'
	// currency fails this transfer alone, instead of the caller's whole request.
	isOneOfMany bool
	// isAccepted says that the request is in the database, to be executed now.
	isAccepted bool
	// sourceHome is the source account's region where its row is not read.
	sourceHome string
}

func (r *TransferRequest) keys(k *keys) {
	if r.isAccepted {
		k.transfer(r.ID)
	} else {
		k.newTransfer(r.ID)
	}
	k.account(r.SourceAccountID)
	k.account(r.DestinationAccountID)
}

func (r *TransferRequest) transfer(now time.Time) Transfer {
	return Transfer{
		ID: r.ID, Kind: KindTransfer, SourceAccountID: r.SourceAccountID, DestinationAccountID: r.DestinationAccountID,
		Amount: r.Amount, Currency: r.Currency, Description: r.Description, Metadata: r.Metadata,
		EffectiveAt: r.EffectiveAt, CreatedAt: now,
	}
}

func (r *TransferRequest) apply(b *book) Result {
	if !b.reaches(r.SourceAccountID) {
		return failed(accountNotFound(r.SourceAccountID))
	}
	if !b.mayPayInto(r.DestinationAccountID) {
		return failed(accountNotFound(r.DestinationAccountID))
	}
	entry := b.transfers[r.ID]
	if entry != nil {
		if result, done := entry.replay(r.hash); done {
			return result
		}
	}
	transfer := r.transfer(b.now)
	if entry != nil { // accepted earlier, to be executed now
		transfer = entry.Transfer
	}
	if failure := b.post(&transfer, guardFunds, r.Limits); failure != nil {
		if failure.Code == InvalidAmount && entry == nil && !r.isOneOfMany {
			b.isUnsure = !b.knowsIDs
			return Result{Err: invalid("amount", "%s", failure.Message)}
		}
		return b.fail(transfer, r.hash, failure)
	}
	return b.record(transfer, r.hash)
}

// abort records that the transfer's atomic batch failed, the transfer itself
// with why. One that was accepted earlier ends by it too: an answer of FAILED
// must stay true.
func (r *TransferRequest) abort(b *book, why *Failure) Result {
	if !b.reaches(r.SourceAccountID) {
		return failed(why) // no record under another's account
	}
	transfer := r.transfer(b.now)
	if entry := b.transfers[r.ID]; entry != nil {
		if result, done := entry.replay(r.hash); done {
			return result
		}
		transfer = entry.Transfer
	}
	return b.fail(transfer, r.hash, why)
}

// acceptance stores a request as PENDING, to be executed later.
type acceptance struct{ *TransferRequest }

func (a acceptance) keys(k *keys) {
	k.newTransfer(a.ID)
	if k.reach != "" { // whose the source is has to be known now: it is executed for nobody
		k.account(a.SourceAccountID)
	}
}

func (a acceptance) apply(b *book) Result {
	if !b.reaches(a.SourceAccountID) {
		return failed(accountNotFound(a.SourceAccountID))
	}
	if !b.mayPayInto(a.DestinationAccountID) {
		return failed(accountNotFound(a.DestinationAccountID))
	}
	if entry := b.transfers[a.ID]; entry != nil {
		if string(entry.hash) != string(a.hash) {
			return failed(duplicateTransaction(a.ID))
		}
		return Result{Transfer: &entry.Transfer}
	}
	transfer := a.transfer(b.now)
	transfer.Status = Pending
	result := b.record(transfer, a.hash)
	entry := b.transfers[a.ID]
	entry.homeRegion, entry.roleLimits = a.sourceHome, a.Limits
	return result
}

// Reversal undoes a completed transfer, once, by moving its amount back.
type Reversal struct {
	ID       string // of the reversal; made by the ledger when empty
	TargetID string
	// Force takes the money back even when it is gone: the account's available
	// funds then go below zero.
	Force       bool
	Description string
	Metadata    json.RawMessage

	hash   []byte
	target Transfer // as read before; its accounts and amount never change
}

func (r *Reversal) keys(k *keys) {
	k.transfer(r.ID)
	k.reversal(r.TargetID)
	k.account(r.target.SourceAccountID)
	k.account(r.target.DestinationAccountID)
}

func (r *Reversal) apply(b *book) Result {
	if payer := r.target.DestinationAccountID; !b.reaches(payer) {
		return failed(accountNotFound(payer))
	}
	if receiver := r.target.SourceAccountID; !b.mayPayInto(receiver) {
		return failed(accountNotFound(receiver))
	}
	if entry := b.transfers[r.ID]; entry != nil {
		if result, done := entry.replay(r.hash); done {
			return result
		}
		return failed(duplicateTransaction(r.ID))
	}
	target := b.transfers[r.TargetID]
	if target == nil {
		return failed(transactionNotFound(r.TargetID))
	}
	transfer := Transfer{
		ID: r.ID, Kind: KindReversal, ReversesID: r.TargetID,
		SourceAccountID: target.DestinationAccountID, DestinationAccountID: target.SourceAccountID,
		Amount: target.Amount, Currency: target.Currency,
		Description: r.Description, Metadata: r.Metadata, CreatedAt: b.now,
	}
	if failure := r.refusal(b, target); failure != nil {
		return b.fail(transfer, r.hash, failure)
	}
	guard := guardFunds
	if r.Force {
		guard = guardNothing
	}
	if failure := b.post(&transfer, guard, nil); failure != nil {
		return b.fail(transfer, r.hash, failure)
	}
	result := b.record(transfer, r.hash)
	b.noteReversed(&transfer, r.Force)
	return result
}

func (r *Reversal) refusal(b *book, target *transferEntry) *Failure {
	if target.Status != Completed {
		return TransactionNotCompleted.Failure("transaction %s is %s", r.TargetID, target.Status)
	}
	if by, reversed := b.reversals[r.TargetID]; reversed {
		return AlreadyReversed.Failure("transaction %s was reversed by %s", r.TargetID, by)
	}
	return nil
}

func duplicateTransaction(id string) *Failure {
	return DuplicateTransaction.Failure("transaction id %s was used for another request", id)
}
