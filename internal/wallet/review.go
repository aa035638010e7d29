package wallet

import (
	"context"
	"errors"
	"fmt"

	"florin/internal/risk"
)

// ApproveReview ends the review of a decision with a yes, for the reviewer who acts
// under ctx (audit.With), and carries the payment out: a transfer is captured under
// its id, a withdrawal is paid by the bank and then captured. The transaction is
// then COMPLETED, PENDING while the bank has not answered, or FAILED when it can't
// be done any more, as the payee's account was closed meanwhile.
//
// A second call returns how far the payment is. Returns what risk.Resolve returns,
// and ReviewNotFound when the decision is about no payment of a wallet.
func (w *Wallets) ApproveReview(ctx context.Context, decisionID, reason string) (Transaction, error) {
	return w.review(ctx, decisionID, reason, true)
}

// RejectReview ends the review of a decision with a no, for the reviewer who acts
// under ctx: the reserved money is the user's again. A second call changes nothing.
// It returns what ApproveReview returns; but a decision that has had no payment for
// a while is closed, as whoever asked for it has died: the transaction is FAILED.
func (w *Wallets) RejectReview(ctx context.Context, decisionID, reason string) (Transaction, error) {
	return w.review(ctx, decisionID, reason, false)
}

func (w *Wallets) review(ctx context.Context, decisionID, reason string, approve bool) (Transaction, error) {
	ctx, cancel := w.detached(ctx)
	defer cancel()
	decision, err := w.rules.Decision(ctx, decisionID)
	if err != nil {
		return Transaction{}, err
	}
	p, err := w.payment(ctx, decision.TransferID)
	if errors.Is(err, PaymentNotFound.Failure("")) && !approve && w.clock().Sub(decision.DecidedAt) > claimTime {
		return w.rejectNothing(ctx, decisionID, reason)
	}
	if errors.Is(err, PaymentNotFound.Failure("")) {
		return Transaction{}, ReviewNotFound.Failure("decision %s has no payment that waits for it", decisionID)
	}
	if err != nil {
		return Transaction{}, err
	}
	if decision, err = w.rules.Resolve(ctx, decisionID, approve, reason); err != nil {
		return Transaction{}, err
	}
	if p, err = w.resolved(ctx, p, decision); err != nil {
		return Transaction{}, err
	}
	return p.transaction(), nil
}

// rejectNothing ends the review of a decision that has no payment.
func (w *Wallets) rejectNothing(ctx context.Context, decisionID, reason string) (Transaction, error) {
	decision, err := w.rules.Resolve(ctx, decisionID, false, reason)
	if err != nil {
		return Transaction{}, err
	}
	p := payment{
		ID: decision.TransferID, Kind: KindTransfer, UserID: decision.UserID, AccountID: decision.AccountID, Amount: decision.Amount,
		Currency: decision.Currency, Stage: refused, Refusal: RejectedByReview.Failure("a reviewer has rejected the payment"),
		CreatedAt: decision.DecidedAt, UpdatedAt: decision.Review.At,
	}
	if decision.Operation == risk.Withdrawal {
		p.Kind = KindWithdrawal
	}
	return p.transaction(), nil
}

// resolved takes a payment out of review, if it is still there, and settles it.
// Whoever dies between the review and this is made good by the reviewer's second
// call.
func (w *Wallets) resolved(ctx context.Context, p payment, d risk.Decision) (payment, error) {
	if p.Stage != inReview {
		return w.resume(ctx, p)
	}
	var isMoved bool
	var err error
	switch d.Review.Status {
	case risk.ReviewApproved:
		p, isMoved, err = w.move(ctx, p, ready, nil)
	case risk.ReviewRejected:
		p, isMoved, err = w.move(ctx, p, releasing, RejectedByReview.Failure("a reviewer has rejected the payment"))
	default:
		err = fmt.Errorf("decision %s is reviewed and %q", d.ID, d.Review.Status)
	}
	if err != nil {
		return p, err
	}
	if !isMoved {
		return w.resume(ctx, p)
	}
	return w.settle(ctx, p)
}
