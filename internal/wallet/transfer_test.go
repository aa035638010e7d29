package wallet_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/id"
	"florin/internal/risk"
	"florin/internal/wallet"
)

// rule adds a rule; it should be about a currency that no other test has.
func (w *world) rule(ruleID, expression string, outcome risk.Outcome) {
	w.t.Helper()
	_, err := w.rules.CreateRule(w.as(&person{}), ruleID, risk.Terms{Name: ruleID, Expression: expression, Outcome: outcome, Priority: 950, Enabled: true})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestAUserPaysAnotherByEveryName(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("100", "Ann Ames", "Bob van der Bell")
		ann, bob := people[0], people[1]
		for name, to := range map[string]wallet.Payee{
			"id": {UserID: bob.UserID}, "email": {Email: bob.email}, "account": {AccountID: bob.account},
			"email in capitals": {Email: strings.ToUpper(bob.email)},
		} {
			got, err := w.Transfer(w.as(ann), ann.Principal, ann.transfer(to, "10", ""))
			want(t, got, err, wallet.Completed)
			if got.Counterparty.Name != "Bob B." || got.Counterparty.AccountID != bob.account || got.Direction != wallet.Sent {
				t.Fatalf("by %s: %+v", name, got)
			}
		}
		w.wantBalance(ann.account, "60", "0")
		w.wantBalance(bob.account, "140", "0")
	})
}

func TestAPayeeIsPaidOnTheOldestAccountThatFits(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		w.open(bob, "EUR")
		younger := w.open(bob, "USD")
		w.setStatus(bob.account, ledger.Frozen)
		got, err := w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "10", "first"))
		want(t, got, err, wallet.Completed)
		w.wantBalance(younger, "10", "0")
		w.setStatus(bob.account, ledger.Active)
		got, err = w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "10", "second"))
		want(t, got, err, wallet.Completed)
		w.wantBalance(bob.account, "110", "0")
		// The repeat is of the first payment, whatever account would be chosen now.
		got, err = w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "10", "first"))
		want(t, got, err, wallet.Completed)
		if got.Counterparty.AccountID != younger {
			t.Fatalf("the repeat is %+v", got)
		}
		w.wantBalance(ann.account, "80", "0")
	})
}

func TestWhoCannotBePaidIsNotFound(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("100", "Ann Ames", "Bob Bell", "Carl Cole", "Dora Dahl")
		ann, bob, locked, gone := people[0], people[1], people[2], people[3]
		if err := w.users.Lock(w.as(bob), locked.UserID); err != nil {
			t.Fatal(err)
		}
		w.setStatus(gone.account, ledger.Frozen)
		stranger := id.New("x") + "@example.com"
		if err := w.users.SignUp(t.Context(), identity.SignUp{Email: stranger, Name: "Eve Else", Password: "marble engine sings at dusk"}); err != nil {
			t.Fatal(err)
		}
		euros := w.open(bob, "EUR")
		var words string
		for name, to := range map[string]wallet.Payee{
			"nobody's address":       {Email: "nobody@example.com"},
			"no address":             {Email: "x\x00\xff"},
			"an unverified address":  {Email: stranger},
			"a locked user":          {Email: locked.email},
			"a locked user's id":     {UserID: locked.UserID},
			"no such user":           {UserID: "usr_none"},
			"no possible user":       {UserID: "x\x00' OR 1=1"},
			"no usable account":      {UserID: gone.UserID},
			"a frozen account":       {AccountID: gone.account},
			"no such account":        {AccountID: "acc_none"},
			"no possible account":    {AccountID: "x\x00"},
			"another currency":       {AccountID: euros},
			"the house's bank":       {AccountID: ledger.BankAccountID("USD")},
			"the house's own":        {AccountID: "house:test:USD"},
			"the house's, not there": {AccountID: "house:nothing"},
		} {
			_, err := w.Transfer(w.as(ann), ann.Principal, ann.transfer(to, "10", ""))
			if codeOf(err) != "payee_not_found" {
				t.Fatalf("%s: got %v", name, err)
			}
			if words == "" {
				words = err.Error()
			}
			if err.Error() != words {
				t.Fatalf("%s is told by %q; another by %q", name, err, words)
			}
		}
		w.wantBalance(ann.account, "100", "0")
	})
}

func TestWithoutMoneyNobodyLearnsWhoIsHere(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("0", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		_, known := w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{Email: bob.email}, "10", ""))
		_, unknown := w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{Email: "nobody@example.com"}, "10", ""))
		wantCode(t, known, "insufficient_funds")
		if known.Error() != unknown.Error() {
			t.Fatalf("%v; %v", known, unknown)
		}
	})
}

func TestTransfersThatMakeNoSense(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		toBob := wallet.Payee{UserID: bob.UserID}
		for name, c := range map[string]struct {
			change func(*wallet.TransferRequest)
			code   string
		}{
			"nobody":            {func(r *wallet.TransferRequest) { r.To = wallet.Payee{} }, "invalid to"},
			"two payees":        {func(r *wallet.TransferRequest) { r.To.Email = bob.email }, "invalid to"},
			"oneself":           {func(r *wallet.TransferRequest) { r.To = wallet.Payee{UserID: ann.UserID} }, "invalid to"},
			"one's own address": {func(r *wallet.TransferRequest) { r.To = wallet.Payee{Email: ann.email} }, "invalid to"},
			"the same account":  {func(r *wallet.TransferRequest) { r.To = wallet.Payee{AccountID: ann.account} }, "same_account"},
			"from another's":    {func(r *wallet.TransferRequest) { r.From = bob.account }, "account_not_found"},
			"from nothing":      {func(r *wallet.TransferRequest) { r.From = "" }, "invalid accountId"},
			"from the house":    {func(r *wallet.TransferRequest) { r.From = "house:test:USD" }, "account_not_found"},
			"nothing":           {func(r *wallet.TransferRequest) { r.Amount = dec("0") }, "invalid amount"},
			"less than nothing": {func(r *wallet.TransferRequest) { r.Amount = dec("-1") }, "invalid amount"},
			"too many decimals": {func(r *wallet.TransferRequest) { r.Amount, r.Currency = dec("0.001"), "" }, "invalid amount"},
			"another currency":  {func(r *wallet.TransferRequest) { r.Currency = "EUR" }, "currency_mismatch"},
			"a long key":        {func(r *wallet.TransferRequest) { r.Key = strings.Repeat("k", 256) }, "invalid key"},
			"a long text":       {func(r *wallet.TransferRequest) { r.Description = strings.Repeat("ü", 501) }, "invalid description"},
		} {
			r := ann.transfer(toBob, "10", "")
			c.change(&r)
			_, err := w.Transfer(w.as(ann), ann.Principal, r)
			if got := codeOf(err); got != c.code {
				t.Errorf("%s: got %v; want %s", name, err, c.code)
			}
		}
		w.wantBalance(ann.account, "100", "0")
		w.wantBalance(bob.account, "100", "0")
	})
}

func TestAnothersAccountReadsLikeNone(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		words := func(accountID string) string {
			r := ann.transfer(wallet.Payee{UserID: bob.UserID}, "10", "")
			r.From = accountID
			_, err := w.Transfer(w.as(ann), ann.Principal, r)
			if err == nil {
				t.Fatal("another's money was moved")
			}
			return strings.ReplaceAll(err.Error(), accountID, "ID")
		}
		if there, missing := words(bob.account), words("acc_nobody"); there != missing {
			t.Fatalf("%q and %q", there, missing)
		}
	})
}

func TestNobodyIsEverybody(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.grown("100", "Ann Ames")[0]
		nobody := identity.Principal{Kind: identity.KeyPrincipal, ID: "key_x", Role: identity.Admin}
		calls := map[string]func() error{
			"transfer": func() error {
				_, err := w.Transfer(t.Context(), nobody, ann.transfer(wallet.Payee{UserID: "x"}, "1", ""))
				return err
			},
			"deposit":     func() error { _, err := w.Deposit(t.Context(), nobody, ann.bankPayment("1", "")); return err },
			"withdraw":    func() error { _, err := w.Withdraw(t.Context(), nobody, ann.bankPayment("1", "")); return err },
			"open":        func() error { _, err := w.OpenAccount(t.Context(), nobody, "", "USD", ""); return err },
			"accounts":    func() error { _, err := w.Accounts(t.Context(), nobody); return err },
			"pending":     func() error { _, err := w.Pending(t.Context(), nobody); return err },
			"transaction": func() error { _, err := w.Transaction(t.Context(), nobody, "txn_x"); return err },
			"close":       func() error { return w.CloseUser(t.Context(), nobody) },
			"remove link": func() error { return w.RemoveLinkedAccount(t.Context(), nobody, ann.link) },
			"transactions": func() error {
				_, err := w.Transactions(t.Context(), nobody, wallet.TransactionFilter{}, ledger.TransferPosition{}, 10)
				return err
			},
			"statement": func() error {
				_, err := w.Statement(t.Context(), nobody, ann.account, time.Time{}, time.Time{})
				return err
			},
		}
		for name, call := range calls {
			if err := call(); err == nil {
				t.Errorf("%s: a key without a user got through", name)
			}
		}
	})
}

func TestLimitsHoldHoweverManyAskAtOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		ann := w.join("Ann Ames", identity.Merchant)
		bob := w.join("Bob Bell", identity.Merchant)
		w.time.pass(31 * 24 * time.Hour)
		w.fund(ann.account, "1000")
		daily := dec("100")
		limit := nullDec(daily)
		if _, err := w.books.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: ann.account, DailyLimit: &limit}); err != nil {
			t.Fatal(err)
		}
		replicas := []*wallet.Wallets{w.Wallets, w.replica(w.bank)}
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = replicas[i/2%2].Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "9", ""))
				} else {
					_, err = replicas[i/2%2].Withdraw(w.as(ann), ann.Principal, ann.bankPayment("9", ""))
				}
				if err != nil && codeOf(err) != "daily_limit_exceeded" {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.wantBalance(ann.account, "901", "0") // eleven of 9
	})
}

func TestRoleLimitsBindAndAreRecorded(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("6000", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		// Paid before, so that only the limit speaks.
		got, err := w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "1", ""))
		want(t, got, err, wallet.Completed)
		got, err = w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "5000.01", "k"))
		wantCode(t, err, "transfer_limit_exceeded")
		if got.Status != wallet.Failed || got.FailureCode != "transfer_limit_exceeded" {
			t.Fatalf("the refused transfer is %+v", got)
		}
		again, err := w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "5000.01", "k"))
		wantCode(t, err, "transfer_limit_exceeded")
		if again.ID != got.ID {
			t.Fatalf("the repeat is %+v", again)
		}
	})
}

func TestWhatRiskDeclinesIsNotDone(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grownIn("SEK", "100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		w.rule("odd", `currency == "SEK" && (amount > 12 && amount < 14 || operation == "withdrawal" && amount > 50)`, risk.Decline)
		to := wallet.Payee{UserID: bob.UserID}
		_, err := w.Transfer(w.as(ann), ann.Principal, ann.transfer(to, "13", "k"))
		wantCode(t, err, "declined_by_risk")
		_, err = w.Transfer(w.as(ann), ann.Principal, ann.transfer(to, "13", "k"))
		wantCode(t, err, "declined_by_risk")
		// The key stands for the payment that was judged.
		_, err = w.Transfer(w.as(ann), ann.Principal, ann.transfer(to, "12", "k"))
		wantCode(t, err, "duplicate_transaction")
		_, err = w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("51", ""))
		wantCode(t, err, "declined_by_risk")
		w.wantBalance(ann.account, "100", "0")
		w.wantBalance(bob.account, "100", "0")
		decisions, err := w.rules.DecisionsOf(t.Context(), ann.account, risk.Position{}, 10)
		if err != nil || len(decisions) != 2 {
			t.Fatalf("%d decisions are on record, %v", len(decisions), err)
		}
	})
}

func TestVelocityIsOfAllAccountsTogether(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grownIn("NOK", "100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		second := w.open(ann, "NOK")
		w.time.pass(25 * time.Hour)
		w.fund(second, "100")
		w.rule("sum", `currency == "NOK" && sum_hour + amount > 100`, risk.Decline)
		to := wallet.Payee{UserID: bob.UserID}
		got, err := w.Transfer(w.as(ann), ann.Principal, ann.transfer(to, "60", ""))
		want(t, got, err, wallet.Completed)
		other := ann.transfer(to, "41", "")
		other.From = second
		_, err = w.Transfer(w.as(ann), ann.Principal, other)
		wantCode(t, err, "declined_by_risk")
		// What is reserved counts as well.
		w.bank.answers(func(wallet.Order, int) verdict { return lost })
		out, err := w.Withdraw(w.as(ann), ann.Principal, ann.bankPayment("30", ""))
		want(t, out, err, wallet.Pending)
		other.Amount = dec("11")
		_, err = w.Transfer(w.as(ann), ann.Principal, other)
		wantCode(t, err, "declined_by_risk")
		w.time.pass(2 * time.Hour)
		other.Amount = dec("71") // with 30 reserved
		_, err = w.Transfer(w.as(ann), ann.Principal, other)
		wantCode(t, err, "declined_by_risk")
		other.Amount = dec("70")
		got, err = w.Transfer(w.as(ann), ann.Principal, other)
		want(t, got, err, wallet.Completed)
	})
}

func TestParallelPaymentsAreCountedByTheNext(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grownIn("DKK", "100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		w.rule("count", `currency == "DKK" && count_hour >= 3`, risk.Decline)
		var all sync.WaitGroup
		for range 12 {
			all.Go(func() {
				_, err := w.Transfer(w.as(ann), ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "1", ""))
				if err != nil && codeOf(err) != "declined_by_risk" {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.wantBalance(bob.account, "103", "0")
	})
}

func TestACallerWhoHangsUpLeavesNoJudgementBehind(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		people := w.grown("100", "Ann Ames", "Bob Bell")
		ann, bob := people[0], people[1]
		for i := range 5 {
			ctx, hangUp := context.WithCancel(w.as(ann))
			time.AfterFunc(time.Duration(i)*3*time.Millisecond, hangUp)
			_, _ = w.Transfer(ctx, ann.Principal, ann.transfer(wallet.Payee{UserID: bob.UserID}, "1", "")) // either way
		}
		decisions, err := w.rules.DecisionsOf(t.Context(), ann.account, risk.Position{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range decisions {
			if _, err := w.books.TransferByID(t.Context(), d.TransferID); err != nil {
				t.Fatalf("the payment %s was judged and left: %v", d.TransferID, err)
			}
		}
		w.wantBalance(bob.account, dec("100").Add(dec("1").Mul(decInt(len(decisions)))).String(), "0")
	})
}
