package cashback_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// noon is when the worlds of tests begin.
var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// world is a server with a time of its own. Worlds of one database share what is
// stored.
type world struct {
	*cashback.Cashback
	t     *testing.T
	url   string
	db    *database.DB
	books *ledger.Ledger
	log   *audit.Log

	mu  sync.Mutex
	now time.Time
}

// eachWorld runs a test on each engine, in a database that it shares.
func eachWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, newWorld(t, url)) })
}

// eachFresh is eachWorld with a database of the test's own, for tests that change
// what all purchases are evaluated under, or look at all of it.
func eachFresh(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	freshOnEach(t, false, test)
}

// eachLong is eachFresh for what dbtest.LongOnCockroach is about.
func eachLong(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	freshOnEach(t, true, test)
}

func freshOnEach(t *testing.T, isLong bool, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		if isLong {
			dbtest.LongOnCockroach(t)
		}
		fresh := dbtest.Fresh(t, url)
		dbtest.Migrate(t, fresh)
		test(t, newWorld(t, fresh))
	})
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{t: t, url: url, db: dbtest.Open(t, url, database.Options{MaxConns: 12}), now: noon}
	w.log = audit.New(w.db, w.time)
	w.books = ledger.New(w.db, dbtest.Open(t, url, database.Options{Plans: database.PlansPinned, MaxConns: 4}), ledger.Options{Clock: w.time})
	w.run(w.books.Run)
	w.Cashback = w.replica()
	return w
}

// replica is another process with the same database.
func (w *world) replica() *cashback.Cashback {
	w.t.Helper()
	c := cashback.New(w.db, w.books, cashback.Options{Clock: w.time, Audit: w.log, SweepInterval: time.Hour}) // tests settle themselves
	w.run(c.Run)
	return c
}

// run runs a part until the test ends: the last begun ends first.
func (w *world) run(part func(context.Context)) {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	var running sync.WaitGroup
	running.Go(func() { part(ctx) })
	w.t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func as(t *testing.T, actorID string) context.Context {
	t.Helper()
	return audit.With(t.Context(), audit.Origin{ActorKind: "user", ActorID: actorID, Role: "operator", Address: "192.0.2.7", RequestID: id.New("req")})
}

// events are the actions recorded about a target, the oldest first.
func (w *world) events(target string) []audit.Record {
	w.t.Helper()
	found, err := w.log.Search(w.t.Context(), audit.Filter{TargetID: target}, audit.Position{}, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Reverse(found.Records)
	return found.Records
}

// account opens an account of a customer or merchant with money in it.
func (w *world) account(t ledger.AccountType, currency money.Currency, balance string) string {
	w.t.Helper()
	account, err := w.books.OpenAccount(w.t.Context(), ledger.OpenAccount{Type: t, Currency: currency, Balance: dec(balance)})
	if err != nil {
		w.t.Fatal(err)
	}
	return account.ID
}

// customer enters a customer with a wallet in USD.
func (w *world) customer() cashback.Customer {
	w.t.Helper()
	customer, err := w.PutCustomer(w.t.Context(), cashback.CustomerRequest{ID: id.New("cus"), AccountID: w.account(ledger.Wallet, "USD", "0"), Country: "DE"})
	if err != nil {
		w.t.Fatal(err)
	}
	return customer
}

// newCampaignID is an id that no other test has.
func newCampaignID() string { return "c-" + id.New("x")[2:22] }

// someTerms are 5 percent of everything in USD, paid by the platform.
func someTerms() rules.Terms {
	return rules.Terms{
		Name: "Five percent", Currency: "USD", From: noon.AddDate(0, -1, 0), To: noon.AddDate(0, 1, 0), Enabled: true,
		Reward: rules.Reward{Kind: rules.Percent, Percent: dec("5")}, Budget: dec("1000"), BudgetEnd: rules.PayRest,
		Funding: rules.Funding{Kind: rules.Platform}, ReturnDays: 14,
	}
}

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// equal fails the test when an amount is another.
func equal(t *testing.T, what string, got decimal.Decimal, want string) {
	t.Helper()
	if !got.Equal(dec(want)) {
		t.Errorf("%s is %s, want %s", what, got, want)
	}
}
