package cashback

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

var (
	friday   = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	anyTerms = rules.Terms{
		Name: "Five percent", Currency: "USD", From: friday.AddDate(0, -1, 0), To: friday.AddDate(0, 1, 0), Enabled: true,
		Reward: rules.Reward{Kind: rules.Percent, Percent: decimal.NewFromInt(5)}, Budget: decimal.NewFromInt(1000), BudgetEnd: rules.PayRest,
		Funding: rules.Funding{Kind: rules.Platform},
	}
)

// newStill is a cashback whose intake does not run, on books that do.
func newStill(t *testing.T, url string) *Cashback {
	t.Helper()
	fresh := dbtest.Fresh(t, url)
	dbtest.Migrate(t, fresh)
	db := dbtest.Open(t, fresh, database.Options{})
	now := func() time.Time { return friday }
	books := ledger.New(db, db, ledger.Options{Clock: now})
	var running sync.WaitGroup
	ctx := t.Context() // ends before cleanups are called
	running.Go(func() { books.Run(ctx) })
	t.Cleanup(running.Wait)
	return New(db, books, Options{Clock: now})
}

func purchaseOf(purchaseID, customerID string, lines int) *item {
	r := PurchaseRequest{ID: purchaseID, CustomerID: customerID, MerchantID: "shop", Currency: "USD", At: friday, Source: "api"}
	for range lines {
		r.Lines = append(r.Lines, rules.Line{Product: "a", Quantity: 1, UnitPrice: decimal.NewFromInt(1)})
	}
	it := &item{kind: newPurchase, id: r.ID, bought: r, amount: decimal.NewFromInt(int64(lines)), hash: r.hash(), lines: linesToJSON(r.Lines, nil)}
	it.waiter = &waiter{done: make(chan struct{})}
	it.waiter.pending.Store(1)
	return it
}

// The rules are asked under locks that all of the ledger waits for.
func TestATransactionTakesNoMoreThanItsRulesCanBeAskedSoon(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		c := newStill(t, url)
		set := func(conditions, lineConditions int) *rules.Set {
			var campaigns []rules.Versioned
			for i := range conditions + lineConditions {
				v := rules.Versioned{ID: string(rune('a' + i)), Version: 1, Terms: anyTerms}
				if i < conditions {
					v.Terms.Condition = "amount > 1"
				} else {
					v.Terms.LineCondition = "quantity > 1"
				}
				campaigns = append(campaigns, v)
			}
			made, err := rules.NewSet(rules.Program{}, campaigns)
			if err != nil {
				t.Fatal(err)
			}
			return made
		}
		known := purchaseOf("known", "nobody", 1000)
		c.intake.execute([]*item{known})
		if known.err != nil {
			t.Fatal(known.err)
		}
		named := func() *item {
			return &item{kind: newReturn, id: "r", returned: ReturnRequest{ID: "r", PurchaseID: "known"}}
		}
		unnamed := func() *item {
			return &item{kind: newReturn, id: "r", returned: ReturnRequest{ID: "r", CustomerID: "cus", MerchantID: "shop"}}
		}
		large := func() *item { return purchaseOf("p", "cus", MaxLines) }
		small := func() *item { return purchaseOf("p", "cus", 1) }
		for name, of := range map[string]struct {
			set  *rules.Set
			item func() *item
			want int // of 1,000
		}{
			"large ones without conditions":     {set(0, 0), large, 1000},
			"small ones with many":              {set(0, 19), small, 1000},
			"large ones with one":               {set(0, 1), large, 9},
			"large ones with many":              {set(0, 20), large, 1},
			"returns of a large purchase":       {set(0, 2), named, 9},
			"returns, the campaigns are over":   {set(0, 0), named, 19},
			"returns that name no purchase":     {set(0, 0), unnamed, unreferencedMax},
			"large ones asked about as a whole": {set(1, 0), large, weightMax / (1 + rules.MaxCost/rules.MaxLineCost)},
		} {
			items := make([]*item, 1000)
			shared := of.item()
			for i := range items {
				one := *shared
				items[i] = &one
			}
			if err := c.intake.weigh(t.Context(), of.set, items); err != nil {
				t.Fatal(err)
			}
			if got := fitting(items); got != min(1000, of.want) {
				t.Errorf("%s: %d in a transaction, want %d", name, got, of.want)
			}
		}
	})
}

// Whoever pauses a campaign is told so when nothing is given by it any more: not even
// by what was prepared before.
func TestAWorkThatWasPreparedBeforeACampaignChangedIsDoneAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		c := newStill(t, url)
		ctx := t.Context()
		if _, err := c.CreateCampaign(ctx, "five", anyTerms); err != nil {
			t.Fatal(err)
		}
		wallet, err := c.books.OpenAccount(ctx, ledger.OpenAccount{Type: ledger.Wallet, Currency: "USD"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.PutCustomer(ctx, CustomerRequest{ID: "ada", AccountID: wallet.ID}); err != nil {
			t.Fatal(err)
		}
		before := purchaseOf("before", "ada", 100)
		c.intake.execute([]*item{before})
		if before.err != nil || len(before.purchase.Rewards) != 1 {
			t.Fatalf("%+v, %v", before.purchase, before.err)
		}
		after := purchaseOf("after", "ada", 100)
		w, err := c.intake.prepare([]*item{after})
		if err != nil {
			t.Fatal(err)
		}
		paused := anyTerms
		paused.Enabled = false
		if _, err := c.ChangeCampaign(ctx, "five", 1, paused); err != nil {
			t.Fatal(err)
		}
		if err := c.books.Do(ctx, w); err != nil || !w.isStale || w.decided != 0 {
			t.Fatalf("stale is %t, %d are decided, %v", w.isStale, w.decided, err)
		}
		c.intake.execute(c.intake.finish(w, []*item{after}))
		if after.err != nil || after.purchase.Status != Accepted || len(after.purchase.Rewards) != 0 {
			t.Errorf("%+v, %v", after.purchase, after.err)
		}
	})
}

// What was done in a commit whose answer was lost would be told as not done, if it were
// tried again and the database then went away.
func TestWhatMayBeCommittedIsNotTriedAgainAsIfItWereNot(t *testing.T) {
	t.Parallel()
	for _, second := range []error{database.ErrConflict, database.ErrOutOfTime, database.ErrUnavailable} {
		if err := fmt.Errorf("%w (looking again: %w)", database.ErrCommitUnknown, second); isConflict(err) || isLate(err) || !passes(err) {
			t.Errorf("%v: it is a conflict %t, late %t, passes %t", err, isConflict(err), isLate(err), passes(err))
		}
	}
	for err, want := range map[error][3]bool{
		database.ErrConflict:     {true, false, true},
		database.ErrOutOfTime:    {false, true, true},
		database.ErrUnavailable:  {false, false, true},
		errors.New("a bad row"):  {false, false, false},
		ledger.ErrShuttingDown:   {false, false, true},
		ledger.ErrOverloaded:     {false, false, true},
		context.DeadlineExceeded: {false, false, false}, // a caller's own
	} {
		if got := [3]bool{isConflict(err), isLate(err), passes(err)}; got != want {
			t.Errorf("%v: conflict, late, passes are %t; want %t", err, got, want)
		}
	}
}
