package cashback_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// life is a world with one campaign and one customer, who buys.
type life struct {
	*world
	campaign string
	customer cashback.Customer
	shop     string // where he buys
	merchant string // account of the shop that pays a part, if it does
}

func newLife(w *world, terms rules.Terms) *life {
	w.t.Helper()
	l := &life{world: w, campaign: newCampaignID(), shop: "shop", merchant: terms.Funding.AccountID}
	if len(terms.Merchants) > 0 {
		l.shop = terms.Merchants[0]
	}
	if _, err := w.CreateCampaign(w.t.Context(), l.campaign, terms); err != nil {
		w.t.Fatal(err)
	}
	l.customer = w.customer()
	return l
}

// ofOneShop are terms for purchases of a merchant whom no other campaign of the test
// is for, over a year.
func ofOneShop(terms rules.Terms) rules.Terms {
	terms.Merchants, terms.To = []string{id.New("shop")}, noon.AddDate(1, 0, 0)
	return terms
}

// sharedTerms are someTerms of which the merchant pays a third.
func sharedTerms(w *world) rules.Terms {
	terms := someTerms()
	terms.Funding = rules.Funding{Kind: rules.Shared, AccountID: w.account(ledger.Merchant, "USD", "100"), MerchantPercent: dec("33.3333")}
	return terms
}

// buys records a purchase of a quantity of one product, now.
func (l *life) buys(price string, quantity int64) cashback.Purchase {
	l.t.Helper()
	return l.records(l.customer.ID, rules.Line{Product: "85123A", Quantity: quantity, UnitPrice: dec(price)})
}

func (l *life) records(customerID string, lines ...rules.Line) cashback.Purchase {
	l.t.Helper()
	p, err := l.Record(l.t.Context(), cashback.PurchaseRequest{
		ID: id.New("p"), MerchantID: l.shop, CustomerID: customerID, Currency: "USD", At: l.time(), Lines: lines, Source: "api",
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

// rewardOf is the one reward of a purchase, as it is now.
func (l *life) rewardOf(p cashback.Purchase) cashback.Reward {
	l.t.Helper()
	reward, err := l.Reward(l.t.Context(), cashback.RewardID(p.ID, l.campaign))
	if err != nil {
		l.t.Fatal(err)
	}
	return reward
}

// gives back a quantity of a purchase's first line.
func (l *life) givesBack(p cashback.Purchase, quantity int64) cashback.Return {
	l.t.Helper()
	line := 0
	r, err := l.Return(l.t.Context(), cashback.ReturnRequest{
		ID: id.New("r"), PurchaseID: p.ID, Lines: []cashback.ReturnedLine{{Line: &line, Quantity: quantity}}, At: l.time(), Source: "api",
	})
	if err != nil || r.Status != cashback.ReturnApplied {
		l.t.Fatalf("%+v, %v", r, err)
	}
	return r
}

// settles does what is due.
func (l *life) settles() {
	l.t.Helper()
	if err := l.SettleDue(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

// spends takes money from the customer's wallet.
func (l *life) spends(amount string) {
	l.moves(l.customer.AccountID, l.account(ledger.Checking, "USD", "0"), amount)
}

// earns brings money to the customer's wallet.
func (l *life) earns(amount string) {
	l.moves(l.account(ledger.Checking, "USD", amount), l.customer.AccountID, amount)
}

func (l *life) moves(from, to, amount string) {
	l.t.Helper()
	if _, err := l.books.Transfer(l.t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from, DestinationAccountID: to, Amount: dec(amount)}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) setStatus(accountID string, status ledger.AccountStatus) {
	l.t.Helper()
	if _, err := l.books.UpdateAccount(l.t.Context(), ledger.UpdateAccount{ID: accountID, Status: &status}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) wantBalance(what, accountID, want string) {
	l.t.Helper()
	account, err := l.books.Account(l.t.Context(), accountID)
	if err != nil {
		l.t.Fatal(err)
	}
	equal(l.t, what, account.Posted, want)
}

// figures are of a campaign, as "accrued confirmed paid reversed owed merchants".
type figures struct{ accrued, confirmed, paid, reversed, owed, merchants string }

// wantFigures fails the test unless the campaign's figures are these, and books and
// cashback are sound, which says that its accounts agree.
func (l *life) wantFigures(want figures) {
	l.t.Helper()
	got, err := l.Figures(l.t.Context(), l.campaign)
	if err != nil {
		l.t.Fatal(err)
	}
	equal(l.t, "accrued", got.Accrued, want.accrued)
	equal(l.t, "confirmed", got.Confirmed, want.confirmed)
	equal(l.t, "paid", got.Paid, want.paid)
	equal(l.t, "reversed", got.Reversed, want.reversed)
	equal(l.t, "owed", got.Owed, want.owed)
	equal(l.t, "paid by merchants", got.Merchants, want.merchants)
	l.wantProven()
}

func (l *life) wantProven() {
	l.t.Helper()
	books, err := ledger.Verify(l.t.Context(), l.db, nil)
	if err != nil || len(books.Offences) > 0 {
		l.t.Errorf("the books: %v, %v", books.Offences, err)
	}
	proof, err := cashback.Verify(l.t.Context(), l.db, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, offence := range proof.Offences {
		if offence.Rule != "reward_is_late" { // a world's time is not the clock's
			l.t.Errorf("the cashback: %+v", offence)
		}
	}
}

func (l *life) wantReward(p cashback.Purchase, status cashback.RewardStatus, failureCode string) cashback.Reward {
	l.t.Helper()
	reward := l.rewardOf(p)
	if reward.Status != status || reward.FailureCode != failureCode {
		l.t.Errorf("the reward is %s %q, want %s %q", reward.Status, reward.FailureCode, status, failureCode)
	}
	return reward
}

// wantUntouched fails the test when a reward was changed since it was read.
func (l *life) wantUntouched(read cashback.Reward) {
	l.t.Helper()
	now, err := l.Reward(l.t.Context(), read.ID)
	if err != nil || now.Status != read.Status || now.Transfers != read.Transfers || !now.UpdatedAt.Equal(read.UpdatedAt) {
		l.t.Errorf("it was %+v and became %+v, %v", read, now, err)
	}
}

const returnWindow = 14 * 24 * time.Hour // of someTerms

func TestARewardIsPaidWhenItsReturnWindowIsOver(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, sharedTerms(w))
		p := l.buys("100.10", 1) // 5 percent: 5.005, half-even 5.00
		l.wantFigures(figures{"5.00", "0", "0", "0", "0", "1.67"})

		l.pass(returnWindow - time.Microsecond)
		l.settles()
		l.wantReward(p, cashback.Accrued, "")
		l.wantBalance("the wallet", l.customer.AccountID, "0")

		l.pass(time.Microsecond)
		l.settles()
		reward := l.wantReward(p, cashback.Paid, "")
		if reward.PaidTo != l.customer.AccountID || !reward.ConfirmAt.Equal(noon.Add(returnWindow)) || !reward.UpdatedAt.Equal(l.time()) {
			t.Errorf("%+v", reward)
		}
		l.wantBalance("the wallet", l.customer.AccountID, "5.00")
		l.wantBalance("the merchant's account", l.merchant, "98.33")
		l.wantFigures(figures{"0", "0", "5.00", "0", "0", "1.67"})

		l.pass(returnWindow)
		l.settles()
		l.wantUntouched(reward)
		// It can be followed in the books: two that paid for it, confirmed, paid.
		for n, want := range []string{"1.67", "3.33", "5.00", "5.00"} {
			transfer, err := l.books.TransferByID(t.Context(), cashback.TransferID(reward.ID, int64(n+1)))
			if err != nil {
				t.Fatal(err)
			}
			if n < 2 && !transfer.Amount.Equal(dec(want)) && !transfer.Amount.Equal(dec("5").Sub(dec(want))) || n >= 2 && !transfer.Amount.Equal(dec(want)) {
				t.Errorf("transfer %d is of %s", n+1, transfer.Amount)
			}
		}
	})
}

func TestARewardWaitsForAnAccountThatTakesIt(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			name, code string
			spoil      func(l *life)
			mend       func(l *life)
		}{
			{
				"frozen", "account_frozen",
				func(l *life) { l.setStatus(l.customer.AccountID, ledger.Frozen) },
				func(l *life) { l.setStatus(l.customer.AccountID, ledger.Active) },
			},
			{"closed", "account_closed", func(l *life) {
				if _, err := l.books.CloseAccount(t.Context(), l.customer.AccountID); err != nil {
					t.Fatal(err)
				}
			}, func(l *life) { l.takesAccount(l.account(ledger.Wallet, "USD", "0")) }},
			{
				"in another currency", "currency_mismatch",
				func(l *life) { l.takesAccount(l.account(ledger.Wallet, "EUR", "0")) },
				func(l *life) { l.takesAccount(l.account(ledger.Wallet, "USD", "0")) },
			},
		} {
			l := newLife(w, ofOneShop(someTerms()))
			p := l.buys("40.00", 1)
			c.spoil(l)
			l.pass(returnWindow)
			l.settles()
			reward := l.wantReward(p, cashback.Confirmed, c.code)
			l.wantFigures(figures{"0", "2", "0", "0", "0", "0"})

			// Tried after a minute, then less and less often, at last every six hours.
			for _, wait := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, 64 * time.Minute, 128 * time.Minute, 256 * time.Minute, 6 * time.Hour, 6 * time.Hour} {
				l.pass(wait - time.Microsecond)
				l.settles()
				if early := l.rewardOf(p); !early.UpdatedAt.Equal(reward.UpdatedAt) {
					t.Fatalf("%s: tried before %s had passed", c.name, wait)
				}
				l.pass(time.Microsecond)
				l.settles()
				if reward = l.wantReward(p, cashback.Confirmed, c.code); !reward.UpdatedAt.Equal(l.time()) {
					t.Fatalf("%s: not tried after %s", c.name, wait)
				}
			}
			c.mend(l)
			l.pass(6 * time.Hour)
			l.settles()
			l.wantReward(p, cashback.Paid, "")
			l.wantBalance(c.name+": the wallet", l.customer.AccountID, "2")
			l.wantFigures(figures{"0", "0", "2", "0", "0", "0"})
		}
	})
}

// takesAccount has the customer paid to another account.
func (l *life) takesAccount(accountID string) {
	l.t.Helper()
	changed, err := l.PutCustomer(l.t.Context(), cashback.CustomerRequest{ID: l.customer.ID, AccountID: accountID, Country: l.customer.Country})
	if err != nil {
		l.t.Fatal(err)
	}
	l.customer = changed
}

func TestTwoReplicasThatSweepAtOncePayOnce(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, sharedTerms(w))
		l.moves(l.account(ledger.Checking, "USD", "2"), l.merchant, "2") // so that he can pay for all
		const purchases = 600                                            // more than a page
		requests := make([]cashback.PurchaseRequest, purchases)
		for i := range requests {
			requests[i] = cashback.PurchaseRequest{
				ID: id.New("p"), MerchantID: "shop", CustomerID: l.customer.ID, Currency: "USD", At: l.time(), Source: "api",
				Lines: []rules.Line{{Product: "A", Quantity: 1, UnitPrice: dec("10")}},
			}
		}
		results, err := l.RecordBatch(t.Context(), requests)
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range results {
			if result.Err != nil {
				t.Fatal(result.Err)
			}
		}
		books := ledger.New(l.db, dbtest.Open(t, l.url, database.Options{Plans: database.PlansPinned, MaxConns: 4}), ledger.Options{Clock: l.time})
		l.run(books.Run)
		other := cashback.New(l.db, books, cashback.Options{Clock: l.time, Audit: l.log, SweepInterval: time.Hour})
		l.pass(returnWindow)
		var sweeping sync.WaitGroup
		for _, c := range []*cashback.Cashback{l.Cashback, other, l.Cashback, other} {
			sweeping.Go(func() {
				if err := c.SettleDue(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		sweeping.Wait()
		l.settles() // nothing is left to another time but what two got in each other's way of
		l.wantBalance("the wallet", l.customer.AccountID, "300")
		l.wantFigures(figures{"0", "0", "300", "0", "0", "102"}) // 0.17 of each 0.50
	})
}

func TestAStepWhoseCommitWasLostIsDoneOnce(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		proxy := dbtest.NewProxy(t, w.url)
		books := ledger.New(w.db, dbtest.Open(t, proxy.URL, database.Options{Plans: database.PlansPinned, MaxConns: 4}), ledger.Options{Clock: w.time})
		w.run(books.Run)
		for _, mode := range []dbtest.Break{dbtest.CommitApplied, dbtest.CommitLost, dbtest.CommitAppliedYetTimedOut} {
			l := newLife(w, ofOneShop(sharedTerms(w)))
			behind := cashback.New(l.db, books, cashback.Options{Clock: l.time, Audit: l.log, SweepInterval: time.Hour})
			p := l.buys("30.00", 2)
			l.pass(returnWindow)
			broken := proxy.Broken()
			proxy.BreakCommits(2, mode)
			if err := behind.SettleDue(t.Context()); err != nil || proxy.Broken() != broken+2 {
				t.Fatalf("paid with %v after %d broken commits", err, proxy.Broken()-broken)
			}
			if reward := l.wantReward(p, cashback.Paid, ""); reward.Transfers != 4 {
				t.Errorf("paid with %d transfers, want 4", reward.Transfers)
			}
			l.spends("3")
			l.givesBack(p, 1)
			l.earns("3")
			l.pass(time.Minute)
			proxy.BreakCommits(2, mode)
			if err := behind.SettleDue(t.Context()); err != nil || proxy.Broken() != broken+4 {
				t.Fatalf("collected with %v after %d broken commits", err, proxy.Broken()-broken)
			}
			l.wantBalance("the wallet", l.customer.AccountID, "1.5")
			l.wantFigures(figures{"0", "0", "1.5", "1.5", "0", "0.5"})
		}
	})
}

func TestARewardThatCannotBeSettledKeepsNobodyFromHis(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		// Cannot be: its next transfer is there already.
		spoiled, sound := l.buys("10", 1), l.buys("20", 1)
		execute(t, l.db, "UPDATE rewards SET transfers = 0 WHERE purchase_id = $1", spoiled.ID)
		quiet := cashback.New(l.db, l.books, cashback.Options{Clock: l.time, Audit: l.log, Log: slog.New(slog.DiscardHandler)})
		l.pass(returnWindow)
		if err := quiet.SettleDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.wantReward(sound, cashback.Paid, "")
		l.wantReward(spoiled, cashback.Accrued, "")

		execute(t, l.db, "UPDATE rewards SET transfers = 1 WHERE purchase_id = $1", spoiled.ID)
		l.settles()
		l.wantReward(spoiled, cashback.Accrued, "") // put off
		l.pass(time.Minute)
		l.settles()
		l.wantReward(spoiled, cashback.Paid, "")
		l.wantFigures(figures{"0", "0", "1.5", "0", "0", "0"})
	})
}

// hurried is another server, whose ledger gives a statement a second or two.
func (w *world) hurried() *cashback.Cashback {
	w.t.Helper()
	url := dbtest.With(w.t, w.url, "statement_timeout", "2000")
	books := ledger.New(w.db, dbtest.Open(w.t, url, database.Options{Plans: database.PlansPinned, MaxConns: 4}), ledger.Options{Clock: w.time})
	w.run(books.Run)
	c := cashback.New(w.db, books, cashback.Options{Clock: w.time, Audit: w.log, SweepInterval: time.Hour, Log: slog.New(slog.DiscardHandler)})
	w.run(c.Run)
	return c
}

// lockAccount keeps an account locked until the returned function is called.
func (w *world) lockAccount(accountID string) (unlock func()) {
	w.t.Helper()
	tx, err := w.db.Begin(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := tx.Exec(w.t.Context(), "SELECT account_id FROM accounts WHERE account_id = $1 FOR UPDATE", accountID); err != nil {
		w.t.Fatal(err)
	}
	unlock = sync.OnceFunc(func() { _ = tx.Rollback(context.Background()) })
	w.t.Cleanup(unlock)
	return unlock
}

func TestARewardThatTakesTooLongKeepsOthersFromTheirsOnce(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		slow := l.buys("10", 1)
		l.pass(time.Second) // that one is looked at first
		other := w.customer()
		sound := l.records(other.ID, rules.Line{Product: "85123A", Quantity: 1, UnitPrice: dec("20")})
		c := w.hurried()
		unlock := w.lockAccount(l.customer.AccountID)
		l.pass(returnWindow)
		if err := c.SettleDue(t.Context()); !errors.Is(err, database.ErrOutOfTime) {
			t.Errorf("%v, want ErrOutOfTime", err)
		}
		if err := c.SettleDue(t.Context()); err != nil {
			t.Error(err)
		}
		l.wantReward(sound, cashback.Paid, "")
		l.wantReward(slow, cashback.Accrued, "")
		unlock()
		l.pass(time.Minute)
		l.settles()
		l.wantReward(slow, cashback.Paid, "")
		l.wantFigures(figures{"0", "0", "1.5", "0", "0", "0"})
	})
}

func TestASweepTakesUpHeldPurchasesOfCustomersWhoAreKnown(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		late, never := id.New("cus"), id.New("cus")
		p := l.records(late, rules.Line{Product: "A", Quantity: 1, UnitPrice: dec("10")})
		stays := l.records(never, rules.Line{Product: "A", Quantity: 1, UnitPrice: dec("10")})
		if p.Status != cashback.Held || stays.Status != cashback.Held {
			t.Fatalf("%s and %s, want both HELD", p.Status, stays.Status)
		}
		// Strangers, who stay such, keep nobody waiting: more than are looked at at once.
		execute(t, l.db, `INSERT INTO purchases (purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at,
				lines, status, request_hash, source, recorded_by, created_at, updated_at)
			SELECT 'stranger_' || i::text, 'shop', 'a' || i::text, 'USD', amount, 0, '', $1, lines, 'HELD', 'x', 'api', 'x', $1, $1
			FROM generate_series(1, 2500) AS i, purchases WHERE purchase_id = $2`, l.time(), p.ID)
		// As a replica leaves it that enters him and dies.
		execute(t, l.db, `INSERT INTO cashback_customers (customer_id, account_id, country, tier, purchases, created_at, updated_at)
			VALUES ($1, $2, '', '', 0, $3, $3)`, late, l.account(ledger.Wallet, "USD", "0"), l.time())
		l.replica() // sweeps when it begins
		eventually(t, func() bool {
			now, err := l.Purchase(t.Context(), p.ID)
			return err == nil && now.Status == cashback.Accepted
		})
		if now, err := l.Purchase(t.Context(), stays.ID); err != nil || now.Status != cashback.Held {
			t.Errorf("%s, %v; want it HELD", now.Status, err)
		}
		l.wantFigures(figures{"0.5", "0", "0", "0", "0", "0"})
	})
}

// A return that names no purchase waits for its customer, and the purchases before it
// may be evaluated by one who then dies.
func TestAReturnThatWaitsForItsCustomerIsAppliedWhoeverDied(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		for name, resume := range map[string]func(cashback.CustomerRequest){
			"by a sweep": func(cashback.CustomerRequest) { l.replica() },
			"by the customer entered again": func(r cashback.CustomerRequest) {
				if _, err := l.PutCustomer(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			},
		} {
			late := cashback.CustomerRequest{ID: id.New("cus"), AccountID: l.account(ledger.Wallet, "USD", "0")}
			p := l.records(late.ID, rules.Line{Product: "A", Quantity: 2, UnitPrice: dec("10")})
			back, err := l.Return(t.Context(), cashback.ReturnRequest{
				ID: id.New("r"), CustomerID: late.ID, MerchantID: l.shop, At: l.time(), Source: "api",
				Lines: []cashback.ReturnedLine{{Product: "A", Quantity: 1}},
			})
			if err != nil || back.Status != cashback.ReturnWaiting || p.Status != cashback.Held {
				t.Fatalf("%s and %s, %v", p.Status, back.Status, err)
			}
			const moveReturn = "UPDATE purchase_returns SET customer_id = $1 WHERE return_id = $2"
			execute(t, l.db, moveReturn, "nobody", back.ID)
			if _, err := l.PutCustomer(t.Context(), late); err != nil {
				t.Fatal(err)
			}
			execute(t, l.db, moveReturn, late.ID, back.ID)
			resume(late)
			eventually(t, func() bool {
				now, err := l.ReturnByID(t.Context(), back.ID)
				return err == nil && now.Status == cashback.ReturnApplied
			})
			equal(t, name+": reversed", l.rewardOf(p).Reversed, "0.5")
		}
		l.wantFigures(figures{"1", "0", "0", "1", "0", "0"})
	})
}

func TestARewardWhoseStepMeetsConflictsStaysDue(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		first, second := l.buys("10", 1), l.buys("20", 1)
		execute(t, l.db, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN RAISE EXCEPTION 'somebody else is changing it' USING ERRCODE = '40001'; END $$`)
		execute(t, l.db, "CREATE TRIGGER refuse BEFORE UPDATE ON rewards FOR EACH ROW EXECUTE FUNCTION refuse()")
		var told bytes.Buffer
		c := cashback.New(l.db, l.books, cashback.Options{Clock: l.time, Audit: l.log, Log: slog.New(slog.NewTextHandler(&told, nil))})
		l.pass(returnWindow)
		if err := c.SettleDue(t.Context()); !errors.Is(err, database.ErrConflict) {
			t.Errorf("%v, want ErrConflict", err)
		}
		if told.Len() > 0 {
			t.Errorf("it was told as a failure: %s", &told)
		}
		execute(t, l.db, "DROP TRIGGER refuse ON rewards")
		l.settles() // at once: nothing was put off
		l.wantReward(first, cashback.Paid, "")
		l.wantReward(second, cashback.Paid, "")
		l.wantFigures(figures{"0", "0", "1.5", "0", "0", "0"})
	})
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, isSo func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), dbtest.Timeout)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !isSo() {
		select {
		case <-ctx.Done():
			t.Fatal("it never came to that")
		case <-ticker.C:
		}
	}
}

func execute(t *testing.T, db *database.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
