package ledger

import (
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// HoldStatus is where a hold stands.
type HoldStatus string

// PENDING -> CAPTURED | VOIDED | EXPIRED.
const (
	HoldPending  HoldStatus = "PENDING"
	HoldCaptured HoldStatus = "CAPTURED"
	HoldVoided   HoldStatus = "VOIDED"
	HoldLapsed   HoldStatus = "EXPIRED"
)

// HoldStatuses are all of them.
var HoldStatuses = []HoldStatus{HoldPending, HoldCaptured, HoldVoided, HoldLapsed}

// Hold is money of the source account reserved for the destination.
type Hold struct {
	ID                   string
	SourceAccountID      string
	DestinationAccountID string
	Amount               decimal.Decimal
	Currency             money.Currency
	Status               HoldStatus
	CapturedAmount       decimal.Decimal
	CaptureID            string // the transfer that captured it
	Description          string
	Metadata             json.RawMessage
	ExpiresAt            *time.Time
	CreatedAt            time.Time
	UpdatedAt            time.Time
}

// HoldRequest asks for money to be reserved. The same request again returns the
// hold as it is now; another one under the same id is DuplicateHold. A refused
// hold leaves nothing behind: its id can be tried again.
type HoldRequest struct {
	ID                   string // made by the ledger when empty
	SourceAccountID      string
	DestinationAccountID string
	Amount               decimal.Decimal
	Currency             money.Currency // the accounts' when empty
	ExpiresAt            *time.Time     // in the future; never when nil
	Description          string
	Metadata             json.RawMessage
	// Limits are those of whoever asks; nil for none. They are no part of what makes
	// two requests the same.
	Limits *Limits

	hash []byte
}

func (r *HoldRequest) keys(k *keys) {
	k.hold(r.ID)
	k.account(r.SourceAccountID)
	k.account(r.DestinationAccountID)
}

func (r *HoldRequest) apply(b *book) Result {
	if !b.reaches(r.SourceAccountID) {
		return failed(accountNotFound(r.SourceAccountID))
	}
	if !b.mayPayInto(r.DestinationAccountID) {
		return failed(accountNotFound(r.DestinationAccountID))
	}
	if b.reach != "" && isHouseID(r.ID) {
		return Result{Err: invalid("holdId", "must not begin with %q", housePrefix)}
	}
	if existing := b.holds[r.ID]; existing != nil {
		if string(existing.hash) != string(r.hash) {
			return failed(DuplicateHold.Failure("hold id %s was used for another request", r.ID))
		}
		return existing.result()
	}
	if r.ExpiresAt != nil && !r.ExpiresAt.After(b.now) {
		return Result{Err: invalid("expiresAt", "must be in the future")}
	}
	source, _, notFound := b.pair(r.SourceAccountID, r.DestinationAccountID, r.Currency)
	if source == nil {
		return failed(notFound)
	}
	if err := money.Check(r.Amount, source.Currency); err != nil {
		return Result{Err: invalid("amount", "%v", err)}
	}
	if !source.canPay(r.Amount) {
		return failed(insufficientFunds(source, r.Amount))
	}
	at := b.timeFor(source)
	if failure := source.overLimit(r.Amount, r.Limits, at); failure != nil {
		return failed(failure)
	}
	if notFound != nil {
		return failed(notFound)
	}
	held := source.Held.Add(r.Amount)
	if held.GreaterThanOrEqual(money.Limit) {
		return failed(balanceLimitExceeded(source))
	}
	b.change(source, source.Posted, held, at)
	source.spend(r.Amount, at)
	return b.place(Hold{
		ID: r.ID, SourceAccountID: r.SourceAccountID, DestinationAccountID: r.DestinationAccountID,
		Amount: r.Amount, Currency: source.Currency, Status: HoldPending,
		Description: r.Description, Metadata: r.Metadata,
		ExpiresAt: r.ExpiresAt, CreatedAt: at, UpdatedAt: at,
	}, r.hash).result()
}

// Capture moves held money to its destination and releases the rest.
type Capture struct {
	ID     string // of the transfer; made by the ledger when empty
	HoldID string
	// Amount is at most what is held; not valid means all of it.
	Amount      decimal.NullDecimal
	Description string
	Metadata    json.RawMessage

	hash []byte
	hold Hold // as read before; its accounts and amount never change
}

func (c *Capture) keys(k *keys) {
	k.transfer(c.ID)
	k.hold(c.HoldID)
	k.account(c.hold.SourceAccountID)
	k.account(c.hold.DestinationAccountID)
}

func (c *Capture) apply(b *book) Result {
	if !b.mayEnd(c.HoldID, c.hold.DestinationAccountID) {
		return failed(holdNotFound(c.HoldID))
	}
	if entry := b.transfers[c.ID]; entry != nil {
		if result, done := entry.replay(c.hash); done {
			return result
		}
		return failed(duplicateTransaction(c.ID))
	}
	hold := b.holds[c.HoldID]
	if hold == nil {
		return failed(holdNotFound(c.HoldID))
	}
	amount := hold.Amount
	if c.Amount.Valid {
		amount = c.Amount.Decimal
	}
	transfer := Transfer{
		ID: c.ID, Kind: KindCapture, HoldID: c.HoldID,
		SourceAccountID: hold.SourceAccountID, DestinationAccountID: hold.DestinationAccountID,
		Amount: amount, Currency: hold.Currency,
		Description: c.Description, Metadata: c.Metadata, CreatedAt: b.now,
	}
	if failure := hold.refusal(b.now); failure != nil {
		return b.fail(transfer, c.hash, failure)
	}
	if amount.GreaterThan(hold.Amount) {
		return b.fail(transfer, c.hash, AmountExceedsHold.Failure("hold %s has %s, less than %s", c.HoldID,
			money.Format(hold.Amount, hold.Currency), money.Format(amount, hold.Currency)))
	}
	if err := money.Check(amount, hold.Currency); err != nil {
		return Result{Err: invalid("amount", "%v", err)}
	}
	// What was held is promised to the destination: no second look at the funds.
	if failure := b.postHeld(&transfer, &hold.Hold); failure != nil {
		return b.fail(transfer, c.hash, failure)
	}
	changed := hold.Hold
	changed.Status, changed.CapturedAmount, changed.CaptureID = HoldCaptured, amount, c.ID
	b.changeHold(hold, changed, *transfer.FinishedAt)
	return b.record(transfer, c.hash)
}

// refusal says why a hold can be neither captured nor voided.
func (h *holdEntry) refusal(now time.Time) *Failure {
	if h.Status == HoldLapsed || h.Status == HoldPending && h.lapsed(now) {
		return HoldExpired.Failure("hold %s expired at %s", h.ID, h.ExpiresAt.Format(time.RFC3339))
	}
	if h.Status != HoldPending {
		return HoldNotPending.Failure("hold %s is %s", h.ID, h.Status)
	}
	return nil
}

func (h *Hold) lapsed(now time.Time) bool {
	return h.ExpiresAt != nil && !h.ExpiresAt.After(now)
}

// release ends a hold without moving money: VOIDED when somebody asks for it,
// EXPIRED when its time has come.
type release struct {
	holdID          string
	sourceAccountID string // as read before; never changes
	// destinationAccountID is needed where its owner asks.
	destinationAccountID string
	to                   HoldStatus
}

func (r *release) keys(k *keys) {
	k.hold(r.holdID)
	k.account(r.sourceAccountID)
	if k.reach != "" {
		k.account(r.destinationAccountID)
	}
}

func (r *release) apply(b *book) Result {
	if !b.mayEnd(r.holdID, r.destinationAccountID) {
		return failed(holdNotFound(r.holdID))
	}
	hold := b.holds[r.holdID]
	if hold == nil {
		return failed(holdNotFound(r.holdID))
	}
	if hold.Status == r.to {
		return hold.result() // a second call finds it done
	}
	if r.to == HoldVoided {
		if failure := hold.refusal(b.now); failure != nil {
			return failed(failure)
		}
	} else if hold.Status != HoldPending || !hold.lapsed(b.now) {
		return hold.result() // captured or voided just before its time came
	}
	source, failure := b.account(hold.SourceAccountID)
	if failure != nil {
		return failed(failure)
	}
	at := b.timeFor(source)
	b.change(source, source.Posted, source.Held.Sub(hold.Amount), at)
	source.giveBack(hold.Amount, hold.CreatedAt)
	changed := hold.Hold
	changed.Status = r.to
	b.changeHold(hold, changed, at)
	return hold.result()
}
