package wallet_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/wallet"
)

func TestAUserOpensAccountsOfHisOwn(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann, shop := w.join("Ann Ames", identity.Customer), w.join("Shop Smith", identity.Merchant)
		first, err := w.OpenAccount(w.as(ann), ann.Principal, ledger.Savings, "EUR", "k")
		if err != nil || first.OwnerID != ann.UserID || first.Type != ledger.Savings || first.Currency != "EUR" ||
			!first.OverdraftLimit.Valid || !first.OverdraftLimit.Decimal.IsZero() {
			t.Fatalf("%+v, %v", first, err)
		}
		again, err := w.OpenAccount(w.as(ann), ann.Principal, ledger.Savings, "EUR", "k")
		if err != nil || again.ID != first.ID {
			t.Fatalf("%+v, %v; want %s again", again, err, first.ID)
		}
		_, err = w.OpenAccount(w.as(ann), ann.Principal, ledger.Savings, "USD", "k")
		wantCode(t, err, "account_exists")
		for _, house := range []ledger.AccountType{ledger.Asset, ledger.Liability, ledger.Equity, ledger.Revenue, ledger.Expense, ledger.Merchant, "X"} {
			_, err = w.OpenAccount(w.as(ann), ann.Principal, house, "USD", "")
			wantCode(t, err, "invalid accountType")
		}
		if _, err = w.OpenAccount(w.as(shop), shop.Principal, ledger.Merchant, "USD", ""); err != nil {
			t.Fatal(err)
		}
		for _, currency := range []string{"usd", "XXX", "US\x00"} {
			_, err = w.OpenAccount(w.as(ann), ann.Principal, "", moneyOf(currency), "")
			wantCode(t, err, "invalid currency")
		}
		accounts, err := w.Accounts(t.Context(), ann.Principal)
		if err != nil || len(accounts) != 2 {
			t.Fatalf("%d accounts, %v", len(accounts), err)
		}
		w.wantEvents(first.ID, "account.opened ok")
	})
}

func TestAccountsOfAUserAreBounded(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.join("Ann Ames", identity.Customer)
		few := wallet.New(w.db, w.books, w.users, w.rules, w.linked, w.bank, wallet.Options{
			Clock: w.time.Now, Log: w.told, Audit: w.log, OpenAccountsMax: 3,
		})
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				_, err := few.OpenAccount(w.as(ann), ann.Principal, "", "USD", "")
				if err != nil && codeOf(err) != "too_many_accounts" {
					t.Error(err)
				}
			})
		}
		all.Wait()
		accounts, err := w.Accounts(t.Context(), ann.Principal)
		if err != nil || len(accounts) != 3 {
			t.Fatalf("%d accounts, %v", len(accounts), err)
		}
		if _, err := w.books.CloseAccount(t.Context(), accounts[0].ID); err != nil {
			t.Fatal(err)
		}
		last, err := few.OpenAccount(w.as(ann), ann.Principal, "", "USD", "last")
		if err != nil {
			t.Fatal(err)
		}
		again, err := few.OpenAccount(w.as(ann), ann.Principal, "", "USD", "last")
		if err != nil || again.ID != last.ID {
			t.Fatalf("a repeat at the limit: %+v, %v", again, err)
		}
	})
}

func TestAUserLeavesWhenNothingIsLeft(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("10", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		empty := w.open(ann, "EUR")
		wantCode(t, w.CloseUser(w.as(ann), ann.Principal), "balance_remaining")
		if account, err := w.books.Account(t.Context(), empty); err != nil || account.Status != ledger.Active {
			t.Fatalf("a refused leave has closed %+v, %v", account, err)
		}
		w.bank.answers(func(wallet.Order, int) verdict { return lost })
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("10", "k"))
		want(t, out, err, wallet.Pending)
		wantCode(t, w.CloseUser(w.as(ann), ann.Principal), "payments_pending")
		w.bank.answers(func(wallet.Order, int) verdict { return yes })
		out, err = w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("10", "k"))
		want(t, out, err, wallet.Completed)
		w.setStatus(empty, ledger.Frozen)
		wantCode(t, w.CloseUser(w.as(ann), ann.Principal), "account_frozen")
		w.setStatus(empty, ledger.Active)

		got, err := w.Transfer(w.as(bob), bob.Principal, bob.transfer(wallet.Payee{AccountID: ann.account}, "1", ""))
		want(t, got, err, wallet.Completed)
		got, err = w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{AccountID: bob.account}, "1", ""))
		want(t, got, err, wallet.Completed)
		for range 2 {
			if err := w.CloseUser(w.as(ann), ann.Principal); err != nil {
				t.Fatal(err)
			}
		}
		for _, accountID := range []string{ann.account, empty} {
			if account, err := w.books.Account(t.Context(), accountID); err != nil || account.Status != ledger.Closed {
				t.Fatalf("%+v, %v is left open", account, err)
			}
		}
		for _, to := range []wallet.Payee{{Email: ann.email}, {UserID: ann.UserID}, {AccountID: ann.account}} {
			_, err = w.Transfer(w.as(bob), bob.Principal, bob.transfer(to, "1", ""))
			wantCode(t, err, "payee_not_found")
		}
		page, err := w.Transactions(t.Context(), bob.Principal, wallet.TransactionFilter{}, ledger.TransferPosition{}, 2)
		if err != nil || len(page.Transactions) != 2 || page.Transactions[0].Counterparty.Name != "" {
			t.Fatalf("who has left is still named: %+v, %v", page.Transactions, err)
		}
		if links, err := w.linked.List(t.Context(), ann.UserID); err != nil || len(links) != 0 {
			t.Fatalf("bank accounts are left: %v, %v", links, err)
		}
	})
}

// A user who never verified his address is kept for the account that staff has opened
// for him.
func TestRunForgetsSignUpsWithoutAnAccount(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		var ids []string
		for _, name := range []string{"with", "without"} {
			email := name + "@example.com"
			if err := w.users.SignUp(t.Context(), identity.SignUp{Email: email, Password: password, Name: "Una Unverified"}); err != nil {
				t.Fatal(err)
			}
			users, err := w.users.ListUsers(t.Context(), identity.UserFilter{Email: email}, "", 1)
			if err != nil || len(users) != 1 {
				t.Fatal(users, err)
			}
			ids = append(ids, users[0].ID)
		}
		if _, err := w.books.OpenAccount(t.Context(), ledger.OpenAccount{OwnerID: ids[0]}); err != nil {
			t.Fatal(err)
		}
		w.time.pass(8 * 24 * time.Hour)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { w.Run(ctx) })
		deadline := time.After(30 * time.Second)
		for {
			_, err := w.users.Profile(t.Context(), ids[1])
			if errors.Is(err, identity.ErrUserNotFound) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			select {
			case <-deadline:
				t.Fatal("the sign-up is still there")
			case <-time.After(10 * time.Millisecond):
			}
		}
		stop()
		running.Wait()
		if _, err := w.users.Profile(t.Context(), ids[0]); err != nil {
			t.Fatalf("the owner of an account: %v", err)
		}
	})
}
