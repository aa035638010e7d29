package wallet_test

import (
	"context"
	"testing"

	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/risk"
	"florin/internal/wallet"
)

func nullDec(d decimal.Decimal) decimal.NullDecimal { return decimal.NewNullDecimal(d) }

func decInt(n int) decimal.Decimal { return decimal.NewFromInt(int64(n)) }

// reviewer is the context of a request by staff.
func (w *world) reviewer() context.Context {
	return audit.With(w.t.Context(), audit.Origin{ActorKind: "user", ActorID: "usr_operator", Role: string(identity.Operator), RequestID: "req_review"})
}

// toReview is the decision about a payment that waits for a review.
func (w *world) toReview(paymentID string) string {
	w.t.Helper()
	d, err := w.rules.DecisionOf(w.t.Context(), paymentID)
	if err != nil || d.Review.Status != risk.ReviewPending {
		w.t.Fatalf("the decision is %+v, %v", d, err)
	}
	return d.ID
}

// reviewed is a transfer of 1500 that a person has to look at.
func (w *world) reviewed() (ann, bob *person, request wallet.TransferRequest, t wallet.Transaction) {
	w.t.Helper()
	people := w.grown("2000", "Ann Ames", "Bob Bell")
	ann, bob = people[0], people[1]
	request = ann.transfer(wallet.Payee{UserID: bob.UserID}, "1500", "k")
	got, err := w.Transfer(w.as(ann), ann.Principal, request)
	want(w.t, got, err, wallet.InReview)
	w.wantBalance(ann.account, "2000", "1500")
	w.wantBalance(bob.account, "2000", "0")
	return ann, bob, request, got
}

func TestAnApprovedTransferIsDone(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann, bob, request, inReview := w.reviewed()
		pending, err := w.Pending(t.Context(), ann.Principal)
		if err != nil || len(pending) != 1 || pending[0].Status != wallet.InReview || pending[0].Counterparty.Name != "Bob B." {
			t.Fatalf("under way are %+v, %v", pending, err)
		}
		decisionID := w.toReview(inReview.ID)
		for range 2 {
			got, err := w.ApproveReview(w.reviewer(), decisionID, "known customer")
			want(t, got, err, wallet.Completed)
			if got.ID != inReview.ID {
				t.Fatalf("it was done as %s", got.ID)
			}
			w.wantBalance(ann.account, "500", "0")
			w.wantBalance(bob.account, "3500", "0")
		}
		if transfer, err := w.books.TransferByID(t.Context(), inReview.ID); err != nil || transfer.Status != ledger.Completed {
			t.Fatalf("the books have %+v, %v", transfer, err)
		}
		_, err = w.RejectReview(w.reviewer(), decisionID, "")
		wantCode(t, err, "already_reviewed")
		again, err := w.Transfer(w.as(ann), ann.Principal, request)
		want(t, again, err, wallet.Completed)
		w.wantBalance(ann.account, "500", "0")
		w.wantEvents(inReview.ID, "payment.completed ok", "transaction.completed ok")
	})
}

func TestARejectedTransferGivesTheMoneyBack(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann, bob, request, inReview := w.reviewed()
		decisionID := w.toReview(inReview.ID)
		for range 2 {
			got, err := w.RejectReview(w.reviewer(), decisionID, "no")
			want(t, got, err, wallet.Failed)
			if got.FailureCode != "rejected_by_review" {
				t.Fatalf("it ended as %+v", got)
			}
		}
		_, err := w.ApproveReview(w.reviewer(), decisionID, "")
		wantCode(t, err, "already_reviewed")
		_, err = w.Transfer(w.as(ann), ann.Principal, request)
		wantCode(t, err, "rejected_by_review")
		w.wantBalance(ann.account, "2000", "0")
		w.wantBalance(bob.account, "2000", "0")
	})
}

func TestNobodyReviewsHisOwnPayment(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann, bob, _, inReview := w.reviewed()
		decisionID := w.toReview(inReview.ID)
		for _, p := range []*person{ann, bob} {
			_, err := w.ApproveReview(w.as(p), decisionID, "")
			wantCode(t, err, "own_review")
		}
		if _, err := w.ApproveReview(t.Context(), decisionID, ""); err == nil {
			t.Fatal("nobody has approved it")
		}
		w.wantBalance(ann.account, "2000", "1500")
	})
}

func TestAnApprovedTransferThatCanNotBeDoneGivesTheMoneyBack(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann, bob, _, inReview := w.reviewed()
		w.setStatus(bob.account, ledger.Frozen)
		got, err := w.ApproveReview(w.reviewer(), w.toReview(inReview.ID), "")
		want(t, got, err, wallet.Failed)
		if got.FailureCode != "account_frozen" {
			t.Fatalf("it ended as %+v", got)
		}
		w.wantBalance(ann.account, "2000", "0")
		w.wantBalance(bob.account, "2000", "0")
	})
}

func TestAnApprovedWithdrawalIsPaid(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("3000", "Ann Ames")[0]
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("2500", "k"))
		want(t, out, err, wallet.InReview)
		if n := w.bank.timesAsked(out.ID); n != 0 {
			t.Fatalf("the bank was asked %d times before the review", n)
		}
		again, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("2500", "k"))
		want(t, again, err, wallet.InReview)
		w.wantBalance(ann.account, "3000", "2500")
		got, err := w.ApproveReview(w.reviewer(), w.toReview(out.ID), "")
		want(t, got, err, wallet.Completed)
		w.wantBalance(ann.account, "500", "0")
		if _, paid := w.bank.sums(); !paid.Equal(dec("2500")) {
			t.Fatalf("the bank has paid %s", paid)
		}
	})
}

func TestARejectedWithdrawalIsNotPaid(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("3000", "Ann Ames")[0]
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("2500", "k"))
		want(t, out, err, wallet.InReview)
		got, err := w.RejectReview(w.reviewer(), w.toReview(out.ID), "")
		want(t, got, err, wallet.Failed)
		w.wantBalance(ann.account, "3000", "0")
		if n := w.bank.timesAsked(out.ID); n != 0 {
			t.Fatalf("the bank was asked %d times", n)
		}
	})
}

func TestTheBankMayRefuseWhatWasApproved(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("3000", "Ann Ames")[0]
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("2500", "k"))
		want(t, out, err, wallet.InReview)
		w.bank.answers(func(wallet.Order, int) verdict { return no })
		got, err := w.ApproveReview(w.reviewer(), w.toReview(out.ID), "")
		want(t, got, err, wallet.Failed)
		if got.FailureCode != "bank_refused" {
			t.Fatalf("it ended as %+v", got)
		}
		w.wantBalance(ann.account, "3000", "0")
	})
}

func TestAReviewOfNothing(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grownIn("USD", "100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		_, err := w.ApproveReview(w.reviewer(), "dec_none", "")
		wantCode(t, err, "risk_decision_not_found")
		done, err := w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "1", ""))
		want(t, done, err, wallet.Completed)
		d, err := w.rules.DecisionOf(t.Context(), done.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.ApproveReview(w.reviewer(), d.ID, "") // was allowed, not reviewed
		wantCode(t, err, "review_not_found")
	})
}
