package reporting_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/id"
	"florin/internal/reporting"
)

func TestMain(m *testing.M) { dbtest.Main(m, dropRoles) }

// world is a database with a ledger that runs, and in those of each a role for the
// console.
type world struct {
	t       *testing.T
	url     string
	db      *database.DB
	ledger  *ledger.Ledger
	audit   *audit.Log
	role    string
	roleURL string
	console *reporting.Console
}

// each runs a test on every engine, in this package's database: accounts and whoever
// asks are the test's own.
func each(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		w.useRole()
		test(t, w)
	})
}

// eachAlone runs a test on every engine, in a database of its own and without a
// console.
func eachAlone(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		fresh := dbtest.Fresh(t, url)
		dbtest.Migrate(t, fresh)
		test(t, newWorld(t, fresh))
	})
}

func newWorld(t *testing.T, databaseURL string) *world {
	t.Helper()
	w := &world{t: t, url: databaseURL, db: dbtest.Open(t, databaseURL, database.Options{MaxConns: 6})}
	w.audit = audit.New(w.db, clock.System)
	w.ledger = ledger.New(w.db, dbtest.Open(t, databaseURL, database.Options{Plans: database.PlansPinned, MaxConns: 2}), ledger.Options{Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.ledger.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return w
}

// roles are those of the tests' servers, by the URL of the database that each reads.
// One is made once: on CockroachDB followers know it some seconds later.
var roles = struct {
	sync.Mutex
	made map[string]role
}{made: map[string]role{}}

type role struct{ name, url, password string }

func (w *world) useRole() {
	w.t.Helper()
	roles.Lock()
	defer roles.Unlock()
	known, isKnown := roles.made[w.url]
	if !isKnown {
		known = w.makeRole()
		roles.made[w.url] = known
	}
	w.role, w.roleURL = known.name, known.url
	w.console = reporting.NewConsole(w.db, reporting.ConsoleOptions{URL: w.roleURL, Clock: clock.System, Log: w.audit})
	if !isKnown {
		w.waitFollowers()
	}
}

// makeRole makes a role of the cluster's.
func (w *world) makeRole() role {
	w.t.Helper()
	r := role{name: strings.ReplaceAll(id.New("rep"), "-", "_"), password: reporting.NewPassword()}
	secrets.Register(w.t, "reporting password", r.password)
	made, err := reporting.EnsureRole(w.t.Context(), w.db, r.name, r.password)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(made.Warnings) > 0 {
		w.t.Errorf("not done: %q", made.Warnings)
	}
	u, err := url.Parse(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	u.User = url.User(r.name)
	if made.HasPassword {
		u.User = url.UserPassword(r.name, r.password)
	}
	r.url = u.String()
	return r
}

func dropRoles() {
	ctx, cancel := context.WithTimeout(context.Background(), dbtest.Timeout)
	defer cancel()
	for databaseURL, r := range roles.made {
		db, err := database.Open(ctx, databaseURL, database.Options{MaxConns: 1})
		if err != nil {
			panic(err)
		}
		if err := dropRole(ctx, db, r.name); err != nil {
			panic(err)
		}
		db.Close()
	}
}

func dropRole(ctx context.Context, db *database.DB, name string) error {
	for _, statement := range []string{"ALTER DEFAULT PRIVILEGES IN SCHEMA reporting REVOKE SELECT ON TABLES FROM " + name, "DROP OWNED BY " + name, "DROP ROLE " + name} {
		if _, err := db.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// waitFollowers waits until what was made is old enough to be read where the console
// reads.
func (w *world) waitFollowers() {
	w.t.Helper()
	for deadline := time.Now().Add(dbtest.Timeout); ; time.Sleep(200 * time.Millisecond) {
		_, _, err := w.run("SELECT count(*) FROM reporting.accounts")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal(err)
		}
	}
}

// settle waits until what is committed now shows in the console.
func (w *world) settle() {
	if w.db.Engine == database.Cockroach {
		time.Sleep(6 * time.Second) // follower_read_timestamp() is some 4.2 s back
	}
}

func (w *world) open(t ledger.AccountType, owner, balance string) string {
	w.t.Helper()
	return w.openIn("USD", t, owner, balance)
}

func (w *world) openIn(currency string, t ledger.AccountType, owner, balance string) string {
	w.t.Helper()
	account, err := w.ledger.OpenAccount(w.t.Context(), ledger.OpenAccount{
		ID: id.New("a"), Type: t, OwnerID: owner, Currency: money.Currency(currency), Balance: decimal.RequireFromString(balance),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return account.ID
}

func (w *world) pay(from, to, amount string) {
	w.t.Helper()
	if _, err := w.ledger.Transfer(w.t.Context(), ledger.TransferRequest{
		ID: id.New("t"), SourceAccountID: from, DestinationAccountID: to, Amount: decimal.RequireFromString(amount), Description: "=paid, \"twice\"",
	}); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a query as one caller and returns its rows, tab-separated.
func (w *world) run(query string) (rows []string, result *reporting.Result, err error) {
	return w.runAs("usr_fin", query, reporting.Limits{Rows: 1000, Bytes: 8 << 20, Time: time.Second})
}

func (w *world) runAs(by, query string, limits reporting.Limits) (rows []string, result *reporting.Result, err error) {
	w.t.Helper()
	result, err = w.console.Open(w.t.Context(), by, reporting.Run, query, limits)
	if err != nil {
		return nil, nil, err
	}
	for row := result.Next(); row != nil; row = result.Next() {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = string(cell)
		}
		rows = append(rows, strings.Join(cells, "\t"))
	}
	err = result.Err()
	if closeErr := result.Close(); closeErr != nil {
		w.t.Errorf("close: %v", closeErr)
	}
	return rows, result, err
}
