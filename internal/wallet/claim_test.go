package wallet_test

import (
	"sync"
	"testing"
	"time"

	"florin/internal/ledger"
	"florin/internal/platform/id"
	"florin/internal/wallet"
)

// A replica whose hold is refused while another one claims the payment, and finds
// the money there, must not settle under that one's claim: it takes one of its own.
func TestNobodySettlesUnderAnothersClaim(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grownIn("NOK", "100", "Ann Ames")[0]
		other := w.replica(w.bank)
		var claims []int64 // of each time that the bank was asked
		w.bank.answers(func(o wallet.Order, _ int) verdict {
			var attempts int64
			if err := w.db.QueryRow(t.Context(), "SELECT attempts FROM wallet_payments WHERE payment_id = $1", o.ID).Scan(&attempts); err != nil {
				t.Error(err)
			}
			claims = append(claims, attempts)
			return lost
		})
		// The replica's clock is where it stands between two steps: the money is spent
		// while it judges, and comes back when its hold was refused.
		var once, twice sync.Once
		spent := false
		clock := func() time.Time {
			if pending, err := w.Pending(t.Context(), ann.Principal); err == nil && len(pending) == 1 && spent {
				// The first time is when the payment is read back; its hold is refused by the next.
				twice.Do(func() {
					w.fund(ann.account, "100")
					_, err := other.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("80", "k"))
					if err != nil {
						t.Error(err)
					}
				})
			}
			once.Do(func() {
				spent = true
				_, err := w.books.Transfer(t.Context(), ledger.TransferRequest{
					ID: id.New("spent"), SourceAccountID: ann.account, DestinationAccountID: "house:test:NOK", Amount: dec("50"),
				})
				if err != nil {
					t.Error(err)
				}
			})
			return w.time.Now()
		}
		late := wallet.New(w.db, w.books, w.users, w.rules, w.linked, w.bank, wallet.Options{Clock: clock, Log: w.told, Audit: w.log})
		out, err := late.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("80", "k"))
		want(t, out, err, wallet.Pending)
		if len(claims) != 2 || claims[0] != 1 || claims[1] != 2 {
			t.Fatalf("the bank was asked under the claims %v; want 1 and 2", claims)
		}
		w.wantBalance(ann.account, "150", "80")
		w.bank.answers(func(wallet.Order, int) verdict { return yes })
		out, err = w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("80", "k"))
		want(t, out, err, wallet.Completed)
		w.wantBalance(ann.account, "70", "0")
	})
}

// Somebody who knows the id of a withdrawal posts a transaction under it: the
// withdrawal is booked all the same.
func TestAWithdrawalIsBookedWhoeverHasItsID(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grownIn("DKK", "100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		w.bank.answers(func(o wallet.Order, _ int) verdict {
			_, err := w.books.As(bob.UserID).Transfer(t.Context(), ledger.TransferRequest{
				ID: o.ID, SourceAccountID: bob.account, DestinationAccountID: ann.account, Amount: dec("1"),
			})
			if err != nil {
				t.Error(err)
			}
			return yes
		})
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("40", "k"))
		want(t, out, err, wallet.Completed)
		w.wantBalance(ann.account, "61", "0")
		w.wantBalance(ledger.BankAccountID("DKK"), "40", "0")
	})
}

// A transfer whose hold was captured from outside has come about, whatever the
// reviewer says.
func TestARejectedTransferThatWasCapturedIsDone(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann, bob, _, inReview := w.reviewed()
		if _, err := w.books.CaptureHold(t.Context(), ledger.Capture{ID: inReview.ID, HoldID: "house:wallet:" + inReview.ID}); err != nil {
			t.Fatal(err)
		}
		got, err := w.RejectReview(w.reviewer(), w.toReview(inReview.ID), "no")
		want(t, got, err, wallet.Completed)
		w.wantBalance(ann.account, "500", "0")
		w.wantBalance(bob.account, "3500", "0")
	})
}
