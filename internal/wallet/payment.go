package wallet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/database"
	"florin/internal/wallet/internal/walletdb"
)

// payment is one that the bank or a reviewer has a say in, as it is on record.
type payment struct {
	ID              string
	Kind            Kind // DEPOSIT, WITHDRAWAL or TRANSFER
	UserID          string
	AccountID       string // the user's
	OtherAccountID  string // the house's bank account, or the payee's
	LinkedAccountID string
	Amount          decimal.Decimal
	Currency        money.Currency
	Description     string
	RequestHash     []byte
	Stage           stage
	Refusal         *Failure // of releasing and refused; a ledger's code too
	Limits          ledger.Limits
	Attempts        int64
	NextAt          *time.Time
	CreatedAt       time.Time
	UpdatedAt       time.Time // since when it is at its stage
}

// stage is how far a payment has come; settle.go takes it from each to the next.
type stage string

const (
	inReview  stage = "IN_REVIEW" // a person decides
	ready     stage = "READY"     // to be done
	agreed    stage = "AGREED"    // the bank has done it: to be booked
	releasing stage = "RELEASING" // refused: what is reserved is to be given back
	completed stage = "COMPLETED"
	refused   stage = "FAILED"
)

func (s stage) isFinal() bool { return s == completed || s == refused }

// isOutgoing says whether the payment takes money from the user's account, which
// is reserved before anybody else is asked.
func (p *payment) isOutgoing() bool { return p.Kind != KindDeposit }

// holdPrefix begins the ids of the holds of payments: a hold is not the user's to
// capture or release before the bank or the reviewer has spoken.
const holdPrefix = "house:wallet:"

func (p *payment) holdID() string { return holdPrefix + p.ID }

// transaction is the payment as its user sees it.
func (p *payment) transaction() Transaction {
	t := Transaction{
		ID: p.ID, Kind: p.Kind, Direction: Sent, Status: Pending, AccountID: p.AccountID,
		Counterparty: Counterparty{LinkedAccountID: p.LinkedAccountID},
		Amount:       p.Amount, Currency: p.Currency, Description: p.Description, CreatedAt: p.CreatedAt,
	}
	switch p.Kind {
	case KindDeposit:
		t.Direction = Received
	case KindTransfer:
		t.Counterparty.AccountID = p.OtherAccountID
	}
	switch p.Stage {
	case inReview:
		t.Status = InReview
	case completed:
		t.Status = Completed
	case refused:
		t.Status = Failed
	}
	if p.Stage.isFinal() {
		t.FinishedAt = &p.UpdatedAt
	}
	if p.Refusal != nil && p.Stage == refused {
		t.FailureCode, t.FailureMessage = string(p.Refusal.Code), p.Refusal.Message
	}
	return t
}

// failure is why the payment FAILED, as the error that its request returns.
func (p *payment) failure() error {
	if p.Stage != refused {
		return nil
	}
	return p.Refusal
}

// note is what a payment's transaction says about itself in its metadata.
type note struct {
	Kind    Kind   `json:"kind"`
	Request []byte `json:"request"` // hash of the request, to tell it from another under its key
}

type metadata struct {
	Wallet note `json:"wallet"`
}

func noteOf(kind Kind, requestHash []byte) json.RawMessage {
	text, err := json.Marshal(metadata{note{kind, requestHash}})
	if err != nil {
		panic("wallet: " + err.Error()) // strings and bytes are always JSON
	}
	return text
}

// isOf says whether a transaction was made by the request with this hash.
func isOf(t *ledger.Transfer, requestHash []byte) bool {
	var m metadata
	return json.Unmarshal(t.Metadata, &m) == nil && bytes.Equal(m.Wallet.Request, requestHash)
}

func duplicate() *ledger.Failure {
	return ledger.DuplicateTransaction.Failure("the key was used for another request")
}

// record puts a new payment on record. Returns what is there when its id is
// taken by the same request, and ledger.DuplicateTransaction by another one;
// TooManyPending.
func (w *Wallets) record(ctx context.Context, p payment) (recorded payment, isNew bool, err error) {
	now := w.clock()
	next := now.Add(claimTime)
	if p.Stage == inReview {
		p.NextAt = nil
	} else {
		p.NextAt = &next
	}
	err = w.db.InTx(ctx, "wallet.record", func(ctx context.Context, tx pgx.Tx) error {
		q := w.queries.WithTx(tx)
		open, err := q.OpenPayments(ctx, walletdb.OpenPaymentsParams{UserID: p.UserID, MaxRows: int32(w.pendingMax)})
		if err != nil {
			return err
		}
		row, err := q.GetPayment(ctx, p.ID)
		switch {
		case err == nil:
			recorded, isNew = paymentFrom(row), false
			return nil
		case !database.NotFound(err):
			return err
		case len(open) >= w.pendingMax:
			return tooManyPending(len(open))
		}
		if _, err := q.InsertPayment(ctx, p.row(now)); err != nil {
			return err
		}
		if row, err = q.GetPayment(ctx, p.ID); err != nil {
			return err
		}
		recorded, isNew = paymentFrom(row), true
		return w.audit.AppendTx(ctx, tx, p.event("payment.requested", audit.OK))
	})
	if failure := (*Failure)(nil); err != nil && !errors.As(err, &failure) {
		err = fmt.Errorf("record payment: %w", err)
	}
	if err == nil && !bytes.Equal(recorded.RequestHash, p.RequestHash) {
		return payment{}, false, duplicate()
	}
	return recorded, isNew, err
}

// hasRoom says whether one more payment of the user's may wait. It is asked before a
// payment is judged: one that is to be reviewed and has no room leaves a review of
// nothing. Returns TooManyPending.
func (w *Wallets) hasRoom(ctx context.Context, userID string) error {
	open, err := w.openPayments(ctx, userID)
	if err == nil && len(open) >= w.pendingMax {
		return tooManyPending(len(open))
	}
	return err
}

func tooManyPending(n int) *Failure {
	return TooManyPending.Failure("you have %d payments under way; wait until they are done", n)
}

// payment reads one. Returns PaymentNotFound.
func (w *Wallets) payment(ctx context.Context, paymentID string) (payment, error) {
	row, err := w.queries.GetPayment(ctx, paymentID)
	if database.NotFound(err) {
		return payment{}, PaymentNotFound.Failure("there is no payment %s", paymentID)
	}
	if err != nil {
		return payment{}, fmt.Errorf("read payment: %w", err)
	}
	return paymentFrom(row), nil
}

// move takes a payment to its next stage. isMoved is false when somebody else was
// quicker; the payment is then returned as he has left it.
func (w *Wallets) move(ctx context.Context, p payment, to stage, why *Failure) (moved payment, isMoved bool, err error) {
	return w.moveAs(ctx, p, to, why, nil)
}

// giveUp moves a payment to RELEASING for what is true only as long as nobody has
// claimed the payment after the caller: that nothing was reserved, and the bank not
// asked.
func (w *Wallets) giveUp(ctx context.Context, p payment, why *Failure) (moved payment, isMoved bool, err error) {
	return w.moveAs(ctx, p, releasing, why, &p.Attempts)
}

func (w *Wallets) moveAs(ctx context.Context, p payment, to stage, why *Failure, claim *int64) (moved payment, isMoved bool, err error) {
	now := w.clock()
	params := walletdb.MovePaymentParams{
		PaymentID: p.ID, FromStatus: string(p.Stage), ToStatus: string(to), Now: now, Claim: claim,
	}
	result := audit.OK
	if why != nil {
		result = string(why.Code)
		params.FailureCode, params.FailureMessage = &result, &why.Message
	}
	if next := now.Add(claimTime); !to.isFinal() {
		params.NextAt = &next
	}
	err = w.db.InTx(ctx, "wallet.move", func(ctx context.Context, tx pgx.Tx) error {
		q := w.queries.WithTx(tx)
		changed, err := q.MovePayment(ctx, params)
		if err != nil {
			return err
		}
		row, err := q.GetPayment(ctx, p.ID)
		if err != nil {
			return err
		}
		if moved, isMoved = paymentFrom(row), changed > 0; !isMoved {
			return nil
		}
		moved.Attempts = p.Attempts // what the caller has claimed
		if !to.isFinal() {
			return nil
		}
		return w.audit.AppendTx(ctx, tx, moved.event(endActions[to], result))
	})
	if err != nil {
		return p, false, fmt.Errorf("move payment %s to %s: %w", p.ID, to, err)
	}
	return moved, isMoved, nil
}

var endActions = map[stage]string{completed: "payment.completed", refused: "payment.failed"}

// event is the audit trail's word of a payment.
func (p *payment) event(action, result string) audit.Event {
	after, err := json.Marshal(struct {
		Kind     Kind   `json:"kind"`
		Amount   string `json:"amount"`
		Currency string `json:"currency"`
		Account  string `json:"account"`
		Stage    stage  `json:"stage"`
	}{p.Kind, money.Format(p.Amount, p.Currency), string(p.Currency), p.AccountID, p.Stage})
	if err != nil {
		panic("wallet: " + err.Error()) // strings are always JSON
	}
	return audit.Event{Action: action, TargetKind: "payment", TargetID: p.ID, After: after, Result: result}
}

func (p *payment) row(now time.Time) walletdb.InsertPaymentParams {
	return walletdb.InsertPaymentParams{
		PaymentID: p.ID, Kind: string(p.Kind), UserID: p.UserID, AccountID: p.AccountID, OtherAccountID: p.OtherAccountID,
		LinkedAccountID: p.LinkedAccountID, Amount: p.Amount, Currency: string(p.Currency), Description: p.Description,
		RequestHash: p.RequestHash, Status: string(p.Stage),
		TransferLimit: p.Limits.PerTransfer, DailyLimit: p.Limits.Daily, NextAt: p.NextAt, Now: now,
	}
}

func paymentFrom(row walletdb.WalletPayment) payment {
	p := payment{
		ID: row.PaymentID, Kind: Kind(row.Kind), UserID: row.UserID, AccountID: row.AccountID, OtherAccountID: row.OtherAccountID,
		LinkedAccountID: row.LinkedAccountID, Amount: row.Amount, Currency: money.Currency(row.Currency),
		Description: row.Description, RequestHash: row.RequestHash, Stage: stage(row.Status),
		Limits:   ledger.Limits{PerTransfer: row.TransferLimit, Daily: row.DailyLimit},
		Attempts: row.Attempts, NextAt: row.NextAt, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
	if row.FailureCode != nil && row.FailureMessage != nil {
		p.Refusal = &Failure{Code: Code(*row.FailureCode), Message: *row.FailureMessage}
	}
	return p
}
