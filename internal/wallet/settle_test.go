package wallet_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/ledger"
	"florin/internal/wallet"
)

// TestNoYesIsLostAndNoneIsMade is the rule of the whole package, against a bank that
// loses orders and answers, callers that give up, and replicas that settle the same
// payments at once: in the end the books say what the bank has done, to the cent.
func TestNoYesIsLostAndNoneIsMade(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		people := w.grown("300", "Ann Ames", "Bob Bell", "Carl Cole")
		w.bank.answers(func(o wallet.Order, asked int) verdict {
			hash := fnv.New32a()
			_, _ = fmt.Fprint(hash, o.ID, asked)
			switch n := hash.Sum32() % 10; {
			case asked > 4 && n%2 == 0:
				return yes
			case n < 3:
				return lost
			case n < 5:
				return yesButSilent
			case n < 6:
				return noButSilent
			case n < 7:
				return no
			}
			return yes
		})
		replicas := []*wallet.Wallets{w.Wallets, w.replica(w.bank), w.replica(w.bank)}
		var all sync.WaitGroup
		for i := range 36 {
			p, r := people[i%3], replicas[(i/3)%3]
			all.Go(func() {
				request := p.bankPayment(fmt.Sprintf("%d.%02d", 1+i%7, i), fmt.Sprint("k", i))
				for range 1 + i%3 { // impatient callers
					ctx, giveUp := context.WithTimeout(w.as(p), time.Duration(5+i%40)*time.Millisecond)
					if i%2 == 0 {
						_, _ = r.Deposit(ctx, p.Principal, request)
					} else {
						_, _ = r.Withdraw(ctx, p.Principal, request)
					}
					giveUp()
				}
			})
		}
		stopVerifying := w.verifyAlways()
		all.Wait()
		w.settleAll(replicas, people)
		stopVerifying()

		got, paid := w.bank.sums()
		w.wantBalance(ledger.BankAccountID("USD"), paid.Sub(got).String(), "0")
		total := decimal.Zero
		for _, p := range people {
			account, err := w.books.Account(t.Context(), p.account)
			if err != nil {
				t.Fatal(err)
			}
			if !account.Held.IsZero() {
				t.Errorf("%s is left reserved", account.Held)
			}
			total = total.Add(account.Posted)
		}
		if want := dec("900").Add(got).Sub(paid); !total.Equal(want) {
			t.Fatalf("the users have %s; want %s", total, want)
		}
		trail, err := audit.Verify(t.Context(), w.db, audit.VerifyOptions{})
		if err != nil || len(trail.Offences) > 0 {
			t.Fatalf("the audit trail: %+v, %v", trail, err)
		}
		proof, err := ledger.Verify(t.Context(), w.db, nil)
		if err != nil || len(proof.Offences) > 0 {
			t.Fatalf("the books: %+v, %v", proof, err)
		}
	})
}

// verifyAlways proves the payments again and again until it is stopped, while others are
// at work.
func (w *world) verifyAlways() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for proofs := 0; ; proofs++ {
			proof, err := wallet.Verify(ctx, w.db, nil)
			switch {
			case ctx.Err() != nil && proofs > 0:
				return
			case err != nil || len(proof.Offences) > 0:
				w.t.Errorf("the payments, half way: %+v, %v", proof, err)
				return
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// settleAll has replicas settle together until nothing is under way.
func (w *world) settleAll(replicas []*wallet.Wallets, people []*person) {
	w.t.Helper()
	for range 40 {
		w.time.pass(2 * time.Hour)
		var all sync.WaitGroup
		for _, r := range replicas {
			all.Go(func() {
				if err := r.SettleDue(w.t.Context()); err != nil {
					w.t.Error(err)
				}
			})
		}
		all.Wait()
		open := 0
		for _, p := range people {
			pending, err := w.Pending(w.t.Context(), p.Principal)
			if err != nil {
				w.t.Fatal(err)
			}
			open += len(pending)
		}
		if open == 0 {
			return
		}
	}
	w.t.Fatal("payments are still under way")
}

func TestAnotherReplicaFinishesWhatOneHasBegun(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		ann := w.grown("100", "Ann Ames")[0]
		w.bank.answers(func(wallet.Order, int) verdict { return lost })
		in, err := w.Deposit(w.as(ann), ann.Principal, ann.bankPayment("10", "in"))
		want(t, in, err, wallet.Pending)
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("25", "out"))
		want(t, out, err, wallet.Pending)
		w.bank.answers(func(wallet.Order, int) verdict { return yes })

		other := w.replica(w.bank)
		if err := other.SettleDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantBalance(ann.account, "100", "25") // not due yet
		w.time.pass(time.Minute)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { other.Run(ctx) })
		deadline := time.After(30 * time.Second)
		for {
			got, err := w.Transaction(t.Context(), ann.Principal, out.ID)
			if err != nil {
				t.Fatal(err)
			}
			in, err := w.Transaction(t.Context(), ann.Principal, in.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got.Status == wallet.Completed && in.Status == wallet.Completed {
				break
			}
			select {
			case <-deadline:
				t.Fatalf("they are %s and %s", in.Status, got.Status)
			case <-time.After(10 * time.Millisecond):
			}
		}
		stop()
		running.Wait()
		w.wantBalance(ann.account, "85", "0")
	})
}

func TestAHangingBankHoldsNobodyElseUp(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		asked, goOn := make(chan struct{}), make(chan struct{})
		hanging := w.replica(bankFunc(func(ctx context.Context) error {
			close(asked)
			select {
			case <-goOn:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}))
		var all sync.WaitGroup
		all.Go(func() {
			got, err := hanging.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("10", ""))
			if err != nil || got.Status != wallet.Completed {
				t.Errorf("%+v, %v", got, err)
			}
		})
		<-asked
		got, err := hanging.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "1", ""))
		want(t, got, err, wallet.Completed)
		close(goOn)
		all.Wait()
		w.wantBalance(ann.account, "89", "0")
	})
}

// bankFunc is a bank that answers all alike.
type bankFunc func(context.Context) error

func (f bankFunc) Collect(ctx context.Context, _ wallet.Order) error { return f(ctx) }

func (f bankFunc) Pay(ctx context.Context, _ wallet.Order) error { return f(ctx) }

func TestAWithdrawalWhoseReservationWasReleasedIsNotPaid(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("100", "Ann Ames")[0]
		w.bank.answers(func(wallet.Order, int) verdict { return lost })
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("40", "k"))
		want(t, out, err, wallet.Pending)
		if _, err := w.books.VoidHold(t.Context(), "house:wallet:"+out.ID); err != nil { // by staff
			t.Fatal(err)
		}
		w.bank.answers(func(wallet.Order, int) verdict { return yes })
		_, err = w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("40", "k"))
		wantCode(t, err, "reservation_released")
		w.wantBalance(ann.account, "100", "0")
		if _, paid := w.bank.sums(); !paid.IsZero() {
			t.Fatalf("the bank has paid %s", paid)
		}
	})
}

func TestALinkThatIsGoneBeforeTheBankIsAskedEndsThePayment(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("3000", "Ann Ames")[0]
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("2500", "k"))
		want(t, out, err, wallet.InReview)
		if err := w.linked.Remove(t.Context(), ann.UserID, ann.link); err != nil {
			t.Fatal(err)
		}
		got, err := w.ApproveReview(w.reviewer(), w.toReview(out.ID), "")
		want(t, got, err, wallet.Failed)
		if got.FailureCode != "linked_account_not_found" {
			t.Fatalf("it ended as %+v", got)
		}
		w.wantBalance(ann.account, "3000", "0")
	})
}
