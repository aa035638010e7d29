package wallet_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"florin/internal/ledger"
	"florin/internal/platform/id"
	"florin/internal/risk"
	"florin/internal/wallet"
)

// admit pays by the ledger itself, as a merchant's program does.
func (w *world) admit(p *person, transferID, to, amount string) error {
	w.t.Helper()
	return w.Admit(w.as(p), p.Principal, wallet.AccountPayment{ID: transferID, From: p.account, To: to, Amount: dec(amount)}, func(ctx context.Context) error {
		_, err := w.books.As(p.UserID).Transfer(ctx, ledger.TransferRequest{
			ID: transferID, SourceAccountID: p.account, DestinationAccountID: to, Amount: dec(amount),
		})
		return err
	})
}

func TestWhatIsAskedOfTheLedgerIsJudgedToo(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.rule("unlucky", `currency == "SEK" && amount == decimal("6.66")`, risk.Decline)
		people := w.grownIn("SEK", "9000", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		if err := w.admit(ann, id.New("t"), bob.account, "10"); err != nil {
			t.Fatal(err)
		}
		wantCode(t, w.admit(ann, id.New("t"), bob.account, "6.66"), "declined_by_risk")
		carl := w.joinIn("SEK", "Carl Cole", "customer")
		waits := id.New("t")
		for range 2 {
			wantCode(t, w.admit(ann, waits, carl.account, "1500"), "needs_review") // to a new payee
		}
		wantCode(t, w.admit(ann, waits, bob.account, "20"), "duplicate_transaction") // it was judged as another
		wantCode(t, w.admit(ann, id.New("t"), "acc_none", "1500"), "needs_review")
		wantCode(t, w.admit(&person{Principal: ann.Principal, account: bob.account}, id.New("t"), ann.account, "1"), "account_not_found")
		w.wantBalance(ann.account, "8990", "0")
		d, err := w.rules.DecisionOf(t.Context(), waits)
		if err != nil || d.Outcome != risk.Review || d.Review.Status != risk.ReviewRejected || d.PayeeID != carl.UserID {
			t.Fatalf("%+v, %v; want it out of the queue", d, err)
		}
		_, err = w.ApproveReview(w.reviewer(), d.ID, "")
		wantCode(t, err, "review_not_found")
	})
}

func TestWhoFindsNobodyTooOftenIsToldNothingMore(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		ask := func(p *person, to wallet.Payee) error {
			_, err := w.Transfer(w.as(p), p.Principal, p.transfer(to, "1", ""))
			return err
		}
		for i := range 30 {
			wantCode(t, ask(ann, wallet.Payee{Email: fmt.Sprintf("nobody%d@example.com", i)}), "payee_not_found")
		}
		for _, to := range []wallet.Payee{{Email: "nobody@example.com"}, {Email: bob.email}, {AccountID: bob.account}} {
			wantCode(t, ask(ann, to), "too_many_lookups")
		}
		if err := ask(bob, wallet.Payee{UserID: ann.UserID}); err != nil {
			t.Error(err)
		}
		w.time.pass(3 * time.Minute) // 30 an hour
		if err := ask(ann, wallet.Payee{Email: bob.email}); err != nil {
			t.Error(err)
		}
	})
}

func TestAReviewWithoutAPaymentIsClosed(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("3000", "Ann Ames")[0]
		d, err := w.rules.Decide(t.Context(), risk.Facts{
			Operation: risk.Withdrawal, Amount: dec("2500"), Currency: "USD", Role: "customer", AccountAgeHours: 1000,
		}, risk.Subject{TransferID: id.New("wdr"), AccountID: ann.account, UserID: ann.UserID})
		if err != nil || d.Review.Status != risk.ReviewPending {
			t.Fatal(d, err)
		}
		_, err = w.RejectReview(w.reviewer(), d.ID, "") // it may be put on record just now
		wantCode(t, err, "review_not_found")
		w.time.pass(5 * time.Minute)
		_, err = w.ApproveReview(w.reviewer(), d.ID, "")
		wantCode(t, err, "review_not_found")
		for range 2 {
			got, err := w.RejectReview(w.reviewer(), d.ID, "")
			want(t, got, err, wallet.Failed)
			if got.ID != d.TransferID || got.Kind != wallet.KindWithdrawal || got.FailureCode != "rejected_by_review" {
				t.Errorf("%+v", got)
			}
		}
		if d, err = w.rules.Decision(t.Context(), d.ID); err != nil || d.Review.Status != risk.ReviewRejected {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

func TestThereIsRoomBeforeAPaymentIsJudged(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("9000", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		few := wallet.New(w.db, w.books, w.users, w.rules, w.linked, w.bank, wallet.Options{
			Clock: w.time.Now, Log: w.told, Audit: w.log, PendingMax: 1,
		})
		waits, err := few.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "1500", "a"))
		want(t, waits, err, wallet.InReview)
		_, err = few.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "1501", "b"))
		wantCode(t, err, "too_many_pending")
		_, err = few.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("2500", "c"))
		wantCode(t, err, "too_many_pending")
		decisions, err := w.rules.DecisionsOf(t.Context(), ann.account, risk.Position{}, 10)
		if err != nil || len(decisions) != 1 {
			t.Errorf("judged were %+v, %v", decisions, err)
		}
	})
}
