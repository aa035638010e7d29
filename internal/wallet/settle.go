package wallet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/wallet/internal/walletdb"
)

// How a payment that is on record comes to its end, whoever dies on the way:
//
//	DEPOSIT     READY: the bank collects -> AGREED: booked -> COMPLETED
//	WITHDRAWAL  READY: reserved, the bank pays -> AGREED: captured -> COMPLETED
//	TRANSFER    READY (approved): captured -> COMPLETED
//	a no        RELEASING: the reservation is given back -> FAILED
//
// Each step can be done twice without harm: the bank knows the order, and the
// ledger the hold and the transaction, by the payment's id. So no lock is held
// while the bank is asked, and a replica that takes over need not know how far
// another came. Whoever takes a payment up claims it by counting an attempt; that
// nothing was done yet is said only by the newest claim.

const (
	// claimTime is for how long nobody else takes up a payment that is worked on:
	// longer than all steps together take, as a rule.
	claimTime = 2 * time.Minute
	// What the bank did not answer is asked again after a while, and then less and
	// less often.
	retryMin = 5 * time.Second
	retryMax = time.Hour
	// settleBatch is how many payments are taken up in one round, settleWorkers how
	// many of them at a time: a bank that hangs must not hold up all.
	settleBatch   = 50
	settleWorkers = 8
	// suspenseSuffix ends the id of the transaction that keeps a deposit for staff.
	suspenseSuffix = "-suspense"
)

var (
	// errUnsettled says that a payment can't be taken further now.
	errUnsettled = errors.New("not settled yet")
	// errTaken says that somebody else has ended the payment.
	errTaken = errors.New("the payment was ended meanwhile")
)

// settle takes a payment that the caller has begun or claimed as far as it goes
// now. A payment that has to wait is no error: it stays PENDING and is taken up
// again.
func (w *Wallets) settle(ctx context.Context, p payment) (payment, error) {
	for !p.Stage.isFinal() && p.Stage != inReview {
		next, isMoved, err := w.step(ctx, p)
		if errors.Is(err, errTaken) {
			return w.payment(ctx, p.ID)
		}
		if err != nil {
			return w.postpone(ctx, p, err)
		}
		p = next
		if !isMoved {
			break // somebody else has it
		}
	}
	return p, nil
}

// step takes a payment to its next stage, or says why it can't.
func (w *Wallets) step(ctx context.Context, p payment) (next payment, isMoved bool, err error) {
	switch {
	case p.Stage == releasing:
		return w.giveBack(ctx, p)
	case p.Kind == KindDeposit && p.Stage == ready:
		return w.askBank(ctx, p, w.bank.Collect)
	case p.Kind == KindDeposit && p.Stage == agreed:
		return w.bookDeposit(ctx, p)
	case p.Kind == KindWithdrawal && p.Stage == ready:
		return w.payOut(ctx, p)
	case p.Kind == KindWithdrawal && p.Stage == agreed:
		return w.bookWithdrawal(ctx, p)
	case p.Kind == KindTransfer && p.Stage == ready:
		return w.bookTransfer(ctx, p)
	}
	return p, false, fmt.Errorf("a %s can't be %s", p.Kind, p.Stage)
}

// payOut sends the money of a withdrawal, once it is reserved.
func (w *Wallets) payOut(ctx context.Context, p payment) (payment, bool, error) {
	hold, err := w.reserve(ctx, p)
	if failure := failureOf(err); failure != nil {
		return w.giveUp(ctx, p, failure)
	}
	if err != nil {
		return p, false, err
	}
	switch hold.Status {
	case ledger.HoldPending, ledger.HoldCaptured:
		return w.askBank(ctx, p, w.bank.Pay)
	}
	if p.Attempts > 0 { // the bank may have been asked
		w.log.ErrorContext(ctx, "the hold of a withdrawal was released from outside: see whether the bank has paid", "payment", p.ID, "hold", hold.ID)
	}
	return w.giveUp(ctx, p, ReservationReleased.Failure("the reserved money was released"))
}

// askBank gives the bank its order, and moves the payment on by what it says.
func (w *Wallets) askBank(ctx context.Context, p payment, ask func(context.Context, Order) error) (payment, bool, error) {
	account, err := w.linked.Details(ctx, p.UserID, p.LinkedAccountID)
	if errors.Is(err, identity.ErrLinkedAccountNotFound) {
		if p.Attempts == 0 {
			return w.giveUp(ctx, p, LinkedAccountNotFound.Failure("the linked account was removed before the bank was asked"))
		}
		return p, false, fmt.Errorf("the linked account is gone, and the bank may have the order: %w", err)
	}
	if err != nil {
		return p, false, err
	}
	// The last look before the outside: whoever claimed the payment meanwhile may
	// have found that nothing was reserved, and has ended it.
	now, err := w.payment(ctx, p.ID)
	if err != nil || now.Stage != p.Stage || now.Attempts != p.Attempts {
		return now, false, err
	}
	bankCtx, cancel := context.WithTimeout(ctx, w.bankTimeout)
	defer cancel()
	err = ask(bankCtx, Order{ID: p.ID, Amount: p.Amount, Currency: p.Currency, Account: account})
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		return w.answered(ctx, p, releasing, BankRefused.Failure("the bank refused: %s", refusal.Reason))
	}
	if err != nil {
		return p, false, fmt.Errorf("%w: %w", errUnsettled, err)
	}
	return w.answered(ctx, p, agreed, nil)
}

// answered moves a payment on by the bank's answer. Who else has asked has the same
// answer; a payment that went another way meanwhile is for people to put right.
func (w *Wallets) answered(ctx context.Context, p payment, to stage, refusal *Failure) (payment, bool, error) {
	moved, isMoved, err := w.move(ctx, p, to, refusal)
	hasAgreed := moved.Stage == agreed || moved.Stage == completed
	if err == nil && !isMoved && hasAgreed != (to == agreed) {
		w.log.ErrorContext(ctx, "the bank's answer came to a payment that was ended another way: see what the bank has done",
			"payment", p.ID, "bank_agreed", to == agreed, "stage", moved.Stage)
	}
	return moved, isMoved, err
}

// bookDeposit books what the bank has collected. When the account does not take it
// any more, as it was frozen meanwhile, the money is the user's all the same: it
// waits in the house's suspense account for staff to find it its place.
func (w *Wallets) bookDeposit(ctx context.Context, p payment) (payment, bool, error) {
	booked := ledger.TransferRequest{
		ID: p.ID, SourceAccountID: p.OtherAccountID, DestinationAccountID: p.AccountID, Amount: p.Amount, Currency: p.Currency,
		Description: p.Description, Metadata: noteOf(p.Kind, p.RequestHash),
	}
	_, err := w.books.Transfer(ctx, booked)
	if err == nil {
		return w.move(ctx, p, completed, nil)
	}
	failure := failureOf(err)
	if failure == nil {
		return p, false, err
	}
	suspense := suspenseAccount(p.Currency)
	if err := w.house(ctx, suspense); err != nil {
		return p, false, err
	}
	booked.ID, booked.DestinationAccountID = p.ID+suspenseSuffix, suspense.id
	if _, err := w.books.Transfer(ctx, booked); err != nil {
		return p, false, fmt.Errorf("book to %s: %w", suspense.id, err)
	}
	w.log.ErrorContext(ctx, "a deposit was collected and its account does not take it: it waits in the suspense account",
		"payment", p.ID, "account", p.AccountID, "suspense", suspense.id, "code", failure.Code)
	failure.Message += "; the money was collected and is kept for you: ask support"
	return w.move(ctx, p, refused, failure)
}

// bookWithdrawal books what the bank has paid. It can't be refused any more: while
// the account is frozen it waits, reserved.
func (w *Wallets) bookWithdrawal(ctx context.Context, p payment) (payment, bool, error) {
	hold, err := w.books.HoldByID(ctx, p.holdID())
	if err != nil {
		return p, false, err
	}
	switch hold.Status {
	case ledger.HoldCaptured:
		return w.move(ctx, p, completed, nil)
	case ledger.HoldVoided, ledger.HoldLapsed:
		return p, false, fmt.Errorf("the bank has paid and the hold %s is %s: book it by hand", hold.ID, hold.Status)
	}
	account, err := w.books.Account(ctx, p.AccountID)
	if err != nil {
		return p, false, err
	}
	if account.Status != ledger.Active {
		return p, false, fmt.Errorf("%w: the account is %s", errUnsettled, account.Status)
	}
	captureID, err := w.captureID(ctx, p)
	if err != nil {
		return p, false, err
	}
	_, err = w.capture(ctx, p, captureID)
	if failureOf(err) != nil {
		return p, false, fmt.Errorf("%w: %w", errUnsettled, err)
	}
	if err != nil {
		return p, false, err
	}
	return w.move(ctx, p, completed, nil)
}

// captureID is the payment's own id, or another one when that is taken: by a capture
// that was refused, as the account was frozen at that moment and which stays refused
// for ever, or by somebody's transaction that is none of this payment.
// The hold is captured once all the same.
func (w *Wallets) captureID(ctx context.Context, p payment) (string, error) {
	const triesMax = 100
	captureID := p.ID
	for try := 2; try < triesMax; try++ {
		earlier, err := w.books.TransferByID(ctx, captureID)
		isOwn := err == nil && earlier.Kind == ledger.KindCapture && earlier.HoldID == p.holdID() && earlier.Status != ledger.Failed
		if isOwn || errors.Is(err, ledger.TransactionNotFound.Failure("")) {
			return captureID, nil
		}
		if err != nil {
			return "", err
		}
		captureID = fmt.Sprintf("%s-%d", p.ID, try)
	}
	return "", fmt.Errorf("no id is left for the capture of %s after %d", p.holdID(), triesMax)
}

// bookTransfer carries out a transfer that was approved.
func (w *Wallets) bookTransfer(ctx context.Context, p payment) (payment, bool, error) {
	_, err := w.reserve(ctx, p)
	if failure := failureOf(err); failure != nil {
		return w.giveUp(ctx, p, failure)
	}
	if err != nil {
		return p, false, err
	}
	_, err = w.capture(ctx, p, p.ID)
	if failure := failureOf(err); failure != nil {
		return w.move(ctx, p, releasing, failure)
	}
	if err != nil {
		return p, false, err
	}
	return w.move(ctx, p, completed, nil)
}

// reserve holds the money of an outgoing payment. It is refused only when nothing
// was held before. A payment that somebody else ended meanwhile keeps nothing
// held: errTaken.
//
// The hold is the house's, not the user's: he could capture or release his own
// while the bank or the reviewer is still to be heard. That the account is his was
// found out when the payment was put on record, and an owner never changes.
func (w *Wallets) reserve(ctx context.Context, p payment) (ledger.Hold, error) {
	hold, err := w.books.PlaceHold(ctx, ledger.HoldRequest{
		ID: p.holdID(), SourceAccountID: p.AccountID, DestinationAccountID: p.OtherAccountID,
		Amount: p.Amount, Currency: p.Currency, Description: p.Description,
		Metadata: noteOf(p.Kind, p.RequestHash), Limits: &p.Limits,
	})
	if err != nil {
		return hold, err
	}
	now, err := w.payment(ctx, p.ID)
	if err != nil {
		return hold, err
	}
	if now.Stage == releasing || now.Stage == refused {
		if _, err := w.books.VoidHold(ctx, p.holdID()); err != nil {
			return hold, err
		}
		return hold, errTaken
	}
	return hold, nil
}

func (w *Wallets) capture(ctx context.Context, p payment, captureID string) (ledger.Transfer, error) {
	return w.books.CaptureHold(ctx, ledger.Capture{
		ID: captureID, HoldID: p.holdID(), Description: p.Description, Metadata: noteOf(p.Kind, p.RequestHash),
	})
}

// giveBack ends a payment that was refused, and releases what is reserved for it.
func (w *Wallets) giveBack(ctx context.Context, p payment) (payment, bool, error) {
	if p.isOutgoing() {
		_, err := w.books.VoidHold(ctx, p.holdID())
		failure := failureOf(err)
		if failure == nil && err != nil {
			return p, false, err
		}
		isGone := failure == nil || failure.Code == Code(ledger.HoldNotFound) || failure.Code == Code(ledger.HoldExpired)
		if !isGone && p.Kind == KindTransfer && w.isCaptured(ctx, p) {
			return w.move(ctx, p, completed, nil)
		}
		if !isGone {
			return p, false, fmt.Errorf("release what is reserved: %w", err)
		}
	}
	return w.move(ctx, p, refused, p.Refusal)
}

// isCaptured says that the hold of a payment was captured from outside. The money of
// a transfer is with the payee then, whatever was decided; that of a withdrawal the
// bank has not sent, which people have to put right.
func (w *Wallets) isCaptured(ctx context.Context, p payment) bool {
	hold, err := w.books.HoldByID(ctx, p.holdID())
	if err != nil || hold.Status != ledger.HoldCaptured {
		return false
	}
	w.log.ErrorContext(ctx, "the hold of a payment that was refused is captured", "payment", p.ID, "hold", hold.ID, "capture", hold.CaptureID)
	return true
}

// failureOf is the ledger's refusal as this package records it; nil when err is
// none.
func failureOf(err error) *Failure {
	if failure := (*ledger.Failure)(nil); errors.As(err, &failure) {
		return &Failure{Code: Code(failure.Code), Message: failure.Message}
	}
	return nil
}

// postpone has a payment taken up again later. What only has to wait, as the bank
// does not answer, is no error.
func (w *Wallets) postpone(ctx context.Context, p payment, why error) (payment, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepMax)
	defer cancel()
	next := w.clock().Add(retryAfter(p.Attempts))
	err := w.queries.PostponePayment(ctx, walletdb.PostponePaymentParams{PaymentID: p.ID, NextAt: &next})
	if err != nil {
		why = errors.Join(why, fmt.Errorf("postpone payment: %w", err)) // its claim ends by itself
	}
	if errors.Is(why, errUnsettled) {
		w.log.WarnContext(ctx, "a payment is not settled yet", "payment", p.ID, "stage", p.Stage, "attempts", p.Attempts, "next", next, "error", why)
		return p, nil
	}
	return p, fmt.Errorf("settle payment %s: %w", p.ID, why)
}

func retryAfter(attempts int64) time.Duration {
	wait := retryMax
	if attempts < 10 {
		wait = min(retryMin<<attempts, retryMax)
	}
	return wait/2 + rand.N(wait/2) //nolint:gosec // not a secret
}

// resume takes a payment further for somebody who asks for it again.
func (w *Wallets) resume(ctx context.Context, p payment) (payment, error) {
	if p.Stage.isFinal() || p.Stage == inReview {
		return p, nil
	}
	isMine, err := w.claim(ctx, &p)
	if err != nil || !isMine {
		return p, err
	}
	return w.settle(ctx, p)
}

// claim says whether the payment is the caller's to settle.
func (w *Wallets) claim(ctx context.Context, p *payment) (bool, error) {
	claimed, err := w.queries.ClaimPayment(ctx, walletdb.ClaimPaymentParams{
		PaymentID: p.ID, Attempts: p.Attempts, Until: w.clock().Add(claimTime),
	})
	if err != nil {
		return false, fmt.Errorf("claim payment: %w", err)
	}
	p.Attempts++
	return claimed > 0, nil
}

// Run finishes payments that are due, of this replica and of those that died, and
// deletes sign-ups that nobody verifies, until ctx ends. Several replicas may run it.
func (w *Wallets) Run(ctx context.Context) {
	var sweeping sync.WaitGroup
	sweeping.Go(func() { w.sweepSignUps(ctx) })
	defer sweeping.Wait()
	ticker := time.NewTicker(w.settleInterval)
	defer ticker.Stop()
	for {
		if err := w.SettleDue(ctx); err != nil && ctx.Err() == nil && !database.Unavailable(err) {
			w.log.ErrorContext(ctx, "payments could not be settled", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// SettleDue takes up the payments that are due now, once each. A payment that can't
// be finished is logged and does not keep others from it.
func (w *Wallets) SettleDue(ctx context.Context) error {
	due, err := w.queries.DuePayments(ctx, walletdb.DuePaymentsParams{Now: w.clock(), MaxRows: settleBatch})
	if err != nil {
		return fmt.Errorf("find payments that are due: %w", err)
	}
	var working errgroup.Group
	working.SetLimit(settleWorkers)
	for _, paymentID := range due {
		working.Go(func() error {
			if err := w.settleOne(ctx, paymentID); err != nil && ctx.Err() == nil {
				w.log.ErrorContext(ctx, "a payment could not be settled", "payment", paymentID, "error", err)
			}
			return nil
		})
	}
	return working.Wait()
}

func (w *Wallets) settleOne(ctx context.Context, paymentID string) error {
	p, err := w.payment(ctx, paymentID)
	if err != nil || p.NextAt == nil || p.NextAt.After(w.clock()) { // another replica has it
		return err
	}
	_, err = w.resume(ctx, p)
	return err
}
