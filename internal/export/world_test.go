package export_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/export"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// world is a database with a ledger that runs.
type world struct {
	t        *testing.T
	url      string
	db       *database.DB
	ledger   *ledger.Ledger
	accounts []string
	foreign  []string // in JPY
}

// newWorld is a database of its own: exports look at all of one.
func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{t: t, url: dbtest.Fresh(t, url)}
	dbtest.Migrate(t, w.url)
	w.db = dbtest.Open(t, w.url, database.Options{MaxConns: 6})
	t.Cleanup(w.cancelAll)
	w.ledger = ledger.New(w.db, dbtest.Open(t, w.url, database.Options{Plans: database.PlansPinned, MaxConns: 3}),
		ledger.Options{SweepInterval: 100 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.ledger.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	for range 6 {
		w.accounts = append(w.accounts, w.open("USD", "1000000.00"))
	}
	for range 2 {
		w.foreign = append(w.foreign, w.open("JPY", "1000000"))
	}
	return w
}

// cancelAll ends the exports: their slots would stay on a server that other
// tests share.
func (w *world) cancelAll() {
	ctx, cancel := context.WithTimeout(context.Background(), dbtest.Timeout)
	defer cancel()
	c := export.NewCatalog(w.db, clock.System)
	live, err := c.List(ctx, "", 1000)
	for _, e := range live {
		if _, cancelErr := c.Cancel(ctx, e.ID); cancelErr != nil {
			err = cancelErr
		}
	}
	if err != nil {
		w.t.Error(err)
	}
}

func (w *world) open(currency, balance string) string {
	w.t.Helper()
	account, err := w.ledger.OpenAccount(w.t.Context(), ledger.OpenAccount{
		ID: id.New("a"), Currency: money.Currency(currency), Balance: decimal.RequireFromString(balance),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return account.ID
}

// act does one of everything that posts, and of what does not.
func (w *world) act(n int) {
	ctx := w.t.Context()
	from, to := w.accounts[n%len(w.accounts)], w.accounts[(n+1+rand.IntN(len(w.accounts)-1))%len(w.accounts)]
	amount := decimal.New(int64(1+rand.IntN(10_000)), -2)
	effective := time.Date(2026, 1, 2, 3, 4, 5, 678_000, time.UTC)
	request := ledger.TransferRequest{
		ID: id.New("t"), SourceAccountID: from, DestinationAccountID: to, Amount: amount,
		Description: fmt.Sprintf("=transfer \"%d\", of\r\nsome 'words' \\ and – letters", n), EffectiveAt: &effective,
	}
	var err error
	switch n % 8 {
	case 0: // stored apart by PostgreSQL, and not repeated when it completes
		request.Description = randomText(500)
		request.Metadata = fmt.Appendf(nil, `{"filler": %q}`, randomText(2000))
		_, err = w.ledger.Accept(ctx, request)
	case 1:
		_, err = w.ledger.Accept(ctx, request)
	case 2:
		request.Amount = decimal.New(1, 12) // refused
		_, _ = w.ledger.Transfer(ctx, request)
	case 3:
		var hold ledger.Hold
		if hold, err = w.ledger.PlaceHold(ctx, ledger.HoldRequest{SourceAccountID: from, DestinationAccountID: to, Amount: amount}); err == nil {
			_, err = w.ledger.CaptureHold(ctx, ledger.Capture{HoldID: hold.ID})
		}
	case 4:
		if _, err = w.ledger.Transfer(ctx, request); err == nil {
			_, err = w.ledger.Reverse(ctx, ledger.Reversal{TargetID: request.ID, Force: true})
		}
	case 5:
		request.SourceAccountID, request.DestinationAccountID = w.foreign[0], w.foreign[1]
		request.Amount = decimal.NewFromInt(1)
		_, err = w.ledger.Transfer(ctx, request)
	default:
		_, err = w.ledger.Transfer(ctx, request)
	}
	if err != nil {
		w.t.Errorf("action %d: %v", n, err)
	}
}

// randomText does not compress.
func randomText(length int) string {
	var text strings.Builder
	for range length {
		text.WriteRune(rune(0x4e00 + rand.IntN(20_000)))
	}
	return text.String()
}

// acts does n things, several at once.
func (w *world) acts(n int) {
	var workers sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		workers.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				w.act(i)
			}
		})
	}
	workers.Wait()
}

// load acts until the function that it returns is called. That one waits for what
// is under way: a call whose caller has gone is still committed, at a time that
// nobody knows.
func (w *world) load() (stop func()) {
	var stopped atomic.Bool
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for n := rand.IntN(8); !stopped.Load(); n++ {
				w.act(n)
			}
		})
	}
	return func() {
		stopped.Store(true)
		workers.Wait()
	}
}

// settle waits until every accepted transfer is done.
func (w *world) settle() {
	w.t.Helper()
	for deadline := time.Now().Add(dbtest.Timeout); ; time.Sleep(20 * time.Millisecond) {
		if w.count("SELECT count(*) FROM transfers WHERE status IN ('PENDING', 'IN_PROGRESS')") == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal("accepted transfers are not done")
		}
	}
}

func (w *world) count(sql string) (n int64) {
	w.t.Helper()
	if err := w.db.QueryRow(w.t.Context(), sql).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) postings() int64 {
	w.t.Helper()
	return w.count("SELECT count(*) FROM postings")
}

// options export to a folder of the test.
func (w *world) options(format export.Format) export.Options {
	return export.Options{
		Destination: export.FolderDestination(filepath.Join(w.t.TempDir(), "export")), Format: format,
		Interval: 50 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
}

func dirOf(o export.Options) string { return strings.TrimPrefix(o.Destination, "file://") }

// once exports up to now.
func (w *world) once(o export.Options) export.Summary {
	w.t.Helper()
	o.Once = true
	ctx, cancel := context.WithTimeout(w.t.Context(), dbtest.Timeout)
	defer cancel()
	summary, err := export.Run(ctx, w.db, o)
	if err != nil {
		w.t.Fatal(err)
	}
	if ctx.Err() != nil {
		w.t.Fatal("the export took too long")
	}
	return summary
}

// check is export.Check with the database.
func (w *world) check(o export.Options) export.Report {
	w.t.Helper()
	report, err := export.Check(w.t.Context(), dirOf(o), w.db)
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// wantWhole proves the folder and that it has every posting of the database.
func (w *world) wantWhole(o export.Options) {
	w.t.Helper()
	report := w.check(o)
	if len(report.Problems) > 0 {
		w.t.Fatalf("%d problems, the first: %v", len(report.Problems), report.Problems[0])
	}
	if want := w.postings(); report.Rows != want {
		w.t.Fatalf("the export has %d postings, the database %d", report.Rows, want)
	}
}
