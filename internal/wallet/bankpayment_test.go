package wallet_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/wallet"
)

func TestMoneyComesInAndGoesOutByTheBank(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grownIn("AUD", "0", "Ann Ames")[0]
		in, err := w.Deposit(w.as(ann), ann.Principal, ann.bankPayment("120.50", ""))
		want(t, in, err, wallet.Completed)
		if in.Kind != wallet.KindDeposit || in.Direction != wallet.Received {
			t.Fatalf("a deposit is %+v", in)
		}
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("20.25", ""))
		want(t, out, err, wallet.Completed)
		if out.Kind != wallet.KindWithdrawal || out.Direction != wallet.Sent {
			t.Fatalf("a withdrawal is %+v", out)
		}
		w.wantBalance(ann.account, "100.25", "0")
		w.wantBalance(ledger.BankAccountID("AUD"), "-100.25", "0")
		if got, paid := w.bank.sums(); !got.Equal(dec("120.50")) || !paid.Equal(dec("20.25")) {
			t.Fatalf("the bank has collected %s and paid %s", got, paid)
		}
		w.wantEvents(in.ID, "payment.requested ok", "payment.completed ok", "transaction.completed ok")
		w.wantEvents(out.ID, "payment.requested ok", "payment.completed ok", "transaction.completed ok")
	})
}

func TestTheBanksNoMovesNothing(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("50", "Ann Ames")[0]
		simulated := w.replica(wallet.SimulatedBank{})
		in, err := simulated.Deposit(w.as(ann), ann.Principal, ann.bankPayment("10.13", "in"))
		wantCode(t, err, "bank_refused")
		if in.Status != wallet.Failed || in.FailureCode != "bank_refused" || in.ID == "" {
			t.Fatalf("the refused deposit is %+v", in)
		}
		out, err := simulated.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("10.13", "out"))
		wantCode(t, err, "bank_refused")
		w.wantBalance(ann.account, "50", "0")
		again, err := simulated.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("10.13", "out"))
		wantCode(t, err, "bank_refused")
		if again.ID != out.ID {
			t.Fatalf("the same key again is %s; want %s", again.ID, out.ID)
		}
		w.wantEvents(out.ID, "payment.failed bank_refused")
		in, err = simulated.Deposit(w.as(ann), ann.Principal, ann.bankPayment("10.14", ""))
		want(t, in, err, wallet.Completed)
	})
}

func TestWithoutABankNothingIsBegun(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("50", "Ann Ames")[0]
		none := w.replica(wallet.NoBank{})
		_, err := none.Deposit(w.as(ann), ann.Principal, ann.bankPayment("10", ""))
		wantCode(t, err, "bank_not_connected")
		_, err = none.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("10", ""))
		wantCode(t, err, "bank_not_connected")
		w.wantBalance(ann.account, "50", "0")
		if pending, err := none.Pending(t.Context(), ann.Principal); err != nil || len(pending) != 0 {
			t.Fatalf("%v, %v are under way", pending, err)
		}
	})
}

func TestAKeyIsDoneOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("500", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		for name, do := range map[string]func(amount, key string) (wallet.Transaction, error){
			"deposit": func(amount, key string) (wallet.Transaction, error) {
				return w.Deposit(w.as(ann), ann.Principal, ann.bankPayment(amount, key))
			},
			"withdrawal": func(amount, key string) (wallet.Transaction, error) {
				return w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment(amount, key))
			},
			"transfer": func(amount, key string) (wallet.Transaction, error) {
				return w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{Email: bob.email}, amount, key))
			},
		} {
			before := w.posted(ann.account)
			first, err := do("10.00", "key")
			want(t, first, err, wallet.Completed)
			again, err := do("10", "key")
			want(t, again, err, wallet.Completed)
			if first.ID != again.ID {
				t.Fatalf("%s: the same key gives %s, then %s", name, first.ID, again.ID)
			}
			if moved := w.posted(ann.account).Sub(before).Abs(); !moved.Equal(dec("10")) {
				t.Fatalf("%s: %s was moved", name, moved)
			}
			_, err = do("11", "key")
			wantCode(t, err, "duplicate_transaction")
		}
		// Another user's equal key is another one.
		got, err := w.Deposit(w.as(bob), bob.Principal, bob.bankPayment("10", "key"))
		want(t, got, err, wallet.Completed)
	})
}

func TestManyAtOnceUnderOneKeyMoveMoneyOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("500", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		replicas := []*wallet.Wallets{w.Wallets, w.replica(w.bank), w.replica(w.bank)}
		for name, do := range map[string]func(*wallet.Wallets) (wallet.Transaction, error){
			"deposit": func(r *wallet.Wallets) (wallet.Transaction, error) {
				return r.Deposit(w.as(ann), ann.Principal, ann.bankPayment("7", "k"))
			},
			"withdrawal": func(r *wallet.Wallets) (wallet.Transaction, error) {
				return r.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("7", "k"))
			},
			"transfer": func(r *wallet.Wallets) (wallet.Transaction, error) {
				return r.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "7", "k"))
			},
		} {
			before := w.posted(ann.account)
			var all sync.WaitGroup
			for i := range 12 {
				all.Go(func() {
					if _, err := do(replicas[i%len(replicas)]); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			all.Wait()
			final, err := do(w.Wallets)
			want(t, final, err, wallet.Completed)
			if moved := w.posted(ann.account).Sub(before).Abs(); !moved.Equal(dec("7")) {
				t.Fatalf("%s: %s was moved", name, moved)
			}
			page, err := w.Transactions(t.Context(), ann.Principal, wallet.TransactionFilter{}, ledger.TransferPosition{}, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, each := range page.Transactions {
				if each.Status != wallet.Completed {
					t.Fatalf("%s: the list has %+v", name, each)
				}
			}
		}
		w.wantBalance(ann.account, "493", "0")
	})
}

func TestAPaymentWithoutAnAnswerIsFinishedByItsRepeat(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("100", "Ann Ames")[0]
		for _, silence := range []verdict{lost, yesButSilent} {
			w.bank.answers(func(_ wallet.Order, asked int) verdict {
				if asked == 1 {
					return silence
				}
				return yes
			})
			key := fmt.Sprint("key", silence)
			before := w.posted(ann.account)
			out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("30", key))
			want(t, out, err, wallet.Pending)
			w.wantBalance(ann.account, before.String(), "30")
			pending, err := w.Pending(t.Context(), ann.Principal)
			if err != nil || len(pending) != 1 || pending[0].ID != out.ID {
				t.Fatalf("under way are %v, %v", pending, err)
			}
			again, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("30", key))
			want(t, again, err, wallet.Completed)
			w.wantBalance(ann.account, before.Sub(dec("30")).String(), "0")

			in, err := w.Deposit(w.as(ann), ann.Principal, ann.bankPayment("30", key))
			want(t, in, err, wallet.Pending)
			w.wantBalance(ann.account, before.Sub(dec("30")).String(), "0")
			again, err = w.Deposit(w.as(ann), ann.Principal, ann.bankPayment("30", key))
			want(t, again, err, wallet.Completed)
			w.wantBalance(ann.account, before.String(), "0")
		}
		if got, paid := w.bank.sums(); !got.Equal(dec("60")) || !paid.Equal(dec("60")) {
			t.Fatalf("the bank has collected %s and paid %s", got, paid)
		}
	})
}

func TestALostNoGivesTheMoneyBack(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("100", "Ann Ames")[0]
		w.bank.answers(func(_ wallet.Order, asked int) verdict {
			if asked == 1 {
				return noButSilent
			}
			return yes // which it can't mean: the order was refused
		})
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("30", "k"))
		want(t, out, err, wallet.Pending)
		w.wantBalance(ann.account, "100", "30")
		_, err = w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("30", "k"))
		wantCode(t, err, "bank_refused")
		w.wantBalance(ann.account, "100", "0")
	})
}

func TestACollectedDepositIsNeverLost(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grownIn("CAD", "0", "Ann Ames")[0]
		w.bank.answers(func(wallet.Order, int) verdict {
			w.setStatus(ann.account, ledger.Frozen) // while the bank collects
			return yes
		})
		in, err := w.Deposit(w.as(ann), ann.Principal, ann.bankPayment("40", "k"))
		wantCode(t, err, "account_frozen")
		if in.Status != wallet.Failed {
			t.Fatalf("the deposit is %+v", in)
		}
		w.wantBalance(ann.account, "0", "0")
		w.wantBalance("house:suspense:CAD", "40", "0")
		w.wantBalance(ledger.BankAccountID("CAD"), "-40", "0")
		_, err = w.Deposit(w.as(ann), ann.Principal, ann.bankPayment("40", "k"))
		wantCode(t, err, "account_frozen")
		w.wantBalance("house:suspense:CAD", "40", "0")
	})
}

func TestAPaidWithdrawalWaitsForAFrozenAccount(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("100", "Ann Ames")[0]
		w.bank.answers(func(wallet.Order, int) verdict {
			w.setStatus(ann.account, ledger.Frozen)
			return yes
		})
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("40", "k"))
		want(t, out, err, wallet.Pending)
		w.wantBalance(ann.account, "100", "40")
		w.setStatus(ann.account, ledger.Active)
		out, err = w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("40", "k"))
		want(t, out, err, wallet.Completed)
		w.wantBalance(ann.account, "60", "0")
		if n := w.bank.timesAsked(out.ID); n != 1 {
			t.Fatalf("the bank was asked %d times", n)
		}
	})
}

func (w *world) setStatus(accountID string, status ledger.AccountStatus) {
	if _, err := w.books.UpdateAccount(w.t.Context(), ledger.UpdateAccount{ID: accountID, Status: &status}); err != nil {
		w.t.Error(err)
	}
}

func TestBankPaymentsThatAreRefusedLeaveNothing(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		euros := w.open(ann, "EUR")
		yen := w.open(ann, "JPY")
		for name, c := range map[string]struct {
			change func(*wallet.BankPayment)
			code   string
		}{
			"another's account":        {func(r *wallet.BankPayment) { r.AccountID = bob.account }, "account_not_found"},
			"no account":               {func(r *wallet.BankPayment) { r.AccountID = "acc_none" }, "account_not_found"},
			"an impossible account":    {func(r *wallet.BankPayment) { r.AccountID = "a\x00b" }, "account_not_found"},
			"the house's account":      {func(r *wallet.BankPayment) { r.AccountID = ledger.BankAccountID("USD") }, "account_not_found"},
			"another's bank account":   {func(r *wallet.BankPayment) { r.LinkedAccountID = bob.link }, "linked_account_not_found"},
			"no bank account":          {func(r *wallet.BankPayment) { r.LinkedAccountID = "" }, "linked_account_not_found"},
			"an impossible bank":       {func(r *wallet.BankPayment) { r.LinkedAccountID = "x\x00\xff" }, "linked_account_not_found"},
			"another currency":         {func(r *wallet.BankPayment) { r.Currency = "EUR" }, "currency_mismatch"},
			"the other account":        {func(r *wallet.BankPayment) { r.AccountID = euros }, "currency_mismatch"},
			"no currency":              {func(r *wallet.BankPayment) { r.Currency = "usd" }, "invalid currency"},
			"nothing":                  {func(r *wallet.BankPayment) { r.Amount = dec("0") }, "invalid amount"},
			"less than nothing":        {func(r *wallet.BankPayment) { r.Amount = dec("-5") }, "invalid amount"},
			"too many decimals":        {func(r *wallet.BankPayment) { r.Amount = dec("1.001") }, "invalid amount"},
			"too many for the account": {func(r *wallet.BankPayment) { r.AccountID, r.Currency, r.Amount = yen, "", dec("1.5") }, "invalid amount"},
			"too much":                 {func(r *wallet.BankPayment) { r.Amount = dec("1e20") }, "invalid amount"},
			"a NUL":                    {func(r *wallet.BankPayment) { r.Description = "a\x00" }, "invalid description"},
			"no text":                  {func(r *wallet.BankPayment) { r.Description = "\xff" }, "invalid description"},
		} {
			r := ann.bankPayment("10", "")
			c.change(&r)
			_, err := w.Deposit(w.as(ann), ann.Principal, r)
			if got := codeOf(err); got != c.code {
				t.Errorf("deposit, %s: got %v; want %s", name, err, c.code)
			}
			_, err = w.Withdraw(w.as(ann), ann.Principal, r)
			if got := codeOf(err); got != c.code {
				t.Errorf("withdrawal, %s: got %v; want %s", name, err, c.code)
			}
		}
		_, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("100.01", ""))
		wantCode(t, err, "insufficient_funds")
		w.wantBalance(ann.account, "100", "0")
		w.wantBalance(bob.account, "100", "0")
		if got, paid := w.bank.sums(); !got.IsZero() || !paid.IsZero() {
			t.Fatalf("the bank has collected %s and paid %s", got, paid)
		}
	})
}

func TestABankAccountStaysWhileItIsNeeded(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		wantCode(t, w.RemoveLinkedAccount(t.Context(), bob.Principal, ann.link), "linked_account_not_found")
		w.bank.answers(func(wallet.Order, int) verdict { return lost })
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("10", "k"))
		want(t, out, err, wallet.Pending)
		wantCode(t, w.RemoveLinkedAccount(t.Context(), ann.Principal, ann.link), "payments_pending")
		w.bank.answers(func(wallet.Order, int) verdict { return yes })
		out, err = w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("10", "k"))
		want(t, out, err, wallet.Completed)
		if err := w.RemoveLinkedAccount(t.Context(), ann.Principal, ann.link); err != nil {
			t.Fatal(err)
		}
		wantCode(t, w.RemoveLinkedAccount(t.Context(), ann.Principal, ann.link), "linked_account_not_found")
	})
}

func TestPaymentsUnderWayAreBounded(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("0", "Ann Ames")[0]
		few := wallet.New(w.db, w.books, w.users, w.rules, w.linked, w.bank, wallet.Options{
			Clock: w.time.Now, Log: w.told, Audit: w.log, PendingMax: 2,
		})
		w.bank.answers(func(wallet.Order, int) verdict { return lost })
		for range 2 {
			in, err := few.Deposit(w.as(ann), ann.Principal, ann.bankPayment("1", ""))
			want(t, in, err, wallet.Pending)
		}
		_, err := few.Deposit(w.as(ann), ann.Principal, ann.bankPayment("1", ""))
		wantCode(t, err, "too_many_pending")
	})
}

func TestALinkThatIsNewMakesAWithdrawalToANewPayee(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		w.rule("fresh", `currency == "CHF" && operation == "withdrawal" && is_new_payee`, "DECLINE")
		ann := w.joinIn("CHF", "Ann Ames", identity.Customer)
		w.fund(ann.account, "100")
		_, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("1", ""))
		wantCode(t, err, "declined_by_risk")
		w.time.pass(25 * time.Hour)
		_, err = w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("1", "")) // never paid anywhere
		wantCode(t, err, "declined_by_risk")
	})
}
