package export

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// books is a database with two accounts that money goes between, and an export's
// folder.
type books struct {
	t            *testing.T
	url          string
	db           *database.DB
	ledger       *ledger.Ledger
	payer, payee string
	dir          string
}

// newBooks makes a database of its own: exports look at all of one.
func newBooks(t *testing.T, serverURL string) *books {
	t.Helper()
	url := dbtest.Fresh(t, serverURL)
	dbtest.Migrate(t, url)
	b := &books{t: t, url: url, db: dbtest.Open(t, url, database.Options{MaxConns: 6}), payer: id.New("a"), payee: id.New("a")}
	b.ledger = ledger.New(b.db, dbtest.Open(t, url, database.Options{Plans: database.PlansPinned, MaxConns: 3}), ledger.Options{Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.ledger.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-ended })
	for _, name := range []string{b.payer, b.payee} {
		if _, err := b.ledger.OpenAccount(t.Context(), ledger.OpenAccount{ID: name, Balance: decimal.NewFromInt(1000)}); err != nil {
			t.Fatal(err)
		}
	}
	b.newFolder()
	return b
}

// newFolder begins another export, which is cancelled when the test ends: its
// slot would stay on a server that other tests share.
func (b *books) newFolder() {
	b.dir = filepath.Join(b.t.TempDir(), "export")
	destination := FolderDestination(b.dir)
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dbtest.Timeout)
		defer cancel()
		catalog := NewCatalog(b.db, clock.System)
		e, err := catalog.Open(ctx, destination, NDJSON)
		if err == nil {
			_, err = catalog.Cancel(ctx, e.ID)
		}
		if err != nil {
			b.t.Error(err)
		}
	})
}

// eachCase runs a test of every case with a folder of its own.
func eachCase[C any](t *testing.T, cases map[string]C, test func(t *testing.T, b *books, c C)) {
	dbtest.Each(t, func(t *testing.T, url string) {
		b := newBooks(t, url)
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				own := *b
				own.t = t
				own.newFolder()
				test(t, &own, c)
			})
		}
	})
}

func (b *books) pay(times int) {
	b.t.Helper()
	for range times {
		request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: b.payer, DestinationAccountID: b.payee, Amount: decimal.NewFromInt(1)}
		if _, err := b.ledger.Transfer(b.t.Context(), request); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *books) options() Options {
	return Options{Destination: FolderDestination(b.dir), Format: NDJSON, PartRows: 100, Once: true, Log: slog.New(slog.DiscardHandler)}
}

// finish exports what is left and proves the folder, with every posting once.
func (b *books) finish() Summary {
	b.t.Helper()
	summary, err := Run(b.t.Context(), b.db, b.options())
	if err != nil {
		b.t.Fatal(err)
	}
	report, err := Check(b.t.Context(), b.dir, b.db)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(report.Problems) > 0 {
		b.t.Fatal(report.Problems)
	}
	var postings int64
	if err := b.db.QueryRow(b.t.Context(), "SELECT count(*) FROM postings").Scan(&postings); err != nil {
		b.t.Fatal(err)
	}
	if report.Rows != postings {
		b.t.Fatalf("the export has %d postings, the database %d", report.Rows, postings)
	}
	return summary
}

// exporter opens an exporter by hand, so that a test can stop it anywhere.
func (b *books) exporter() (x *exporter, kill func()) {
	b.t.Helper()
	held, err := openFolder(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	o := b.options()
	o.Interval, o.Clock = time.Second, clock.System
	x = &exporter{
		options: o, db: b.db, catalog: NewCatalog(b.db, clock.System), folder: held, log: o.Log, seen: sequences{},
		metrics: newMetrics(prometheus.NewRegistry(), clock.System),
	}
	if err := x.open(b.t.Context(), o.Destination); err != nil {
		b.t.Fatal(err)
	}
	return x, func() { held.close() }
}

// nextPart writes the next part's data as far as a temporary file.
func (b *books) nextPart(x *exporter) Manifest {
	b.t.Helper()
	got, err := x.feed.Next(b.t.Context(), x.progress.Position, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(got.transactions) == 0 {
		b.t.Fatal("there is nothing to export")
	}
	m, err := x.writePart(got, Progress{Position: got.position, ResolvedAt: got.resolvedAt})
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

func wantFailure(t *testing.T, err error, want Code) {
	t.Helper()
	if failure := (*Failure)(nil); !errors.As(err, &failure) || failure.Code != want {
		t.Fatalf("got %v; want %s", err, want)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A part is data, manifest, catalog, engine; a crash after any of them loses and
// doubles nothing.
func TestCrashWhileAPartIsWritten(t *testing.T) {
	t.Parallel()
	eachCase(t, map[string]func(t *testing.T, x *exporter, m Manifest){
		"before the data has its name": func(*testing.T, *exporter, Manifest) {},
		"between data and manifest": func(t *testing.T, x *exporter, m Manifest) {
			must(t, x.folder.placeData(m))
		},
		"between manifest and catalog": func(t *testing.T, x *exporter, m Manifest) {
			must(t, x.folder.publish(m))
		},
		"between catalog and engine": func(t *testing.T, x *exporter, m Manifest) {
			must(t, x.folder.publish(m))
			must(t, x.save(t.Context(), x.folder.progress()))
		},
	}, func(t *testing.T, b *books, crash func(*testing.T, *exporter, Manifest)) {
		b.finish()
		b.pay(3)
		x, kill := b.exporter()
		m := b.nextPart(x)
		crash(t, x, m)
		kill()
		b.pay(2)
		b.finish()
	})
}

func TestCrashInHistory(t *testing.T) {
	t.Parallel()
	eachCase(t, map[string]func(t *testing.T, b *books, x *exporter){
		"before it is complete": func(t *testing.T, b *books, x *exporter) {
			h := b.stage(x)
			must(t, h.abandon())
		},
		"before it is published": func(t *testing.T, b *books, x *exporter) {
			must(t, b.stageAll(x))
		},
		"while it is published, after a data file": func(t *testing.T, b *books, x *exporter) {
			must(t, b.stageAll(x))
			m, _, err := readManifest(x.folder.historyDir(), 1)
			must(t, err, os.Rename(filepath.Join(x.folder.historyDir(), m.File), filepath.Join(b.dir, m.File)))
		},
		"while it is published, after a part": func(t *testing.T, b *books, x *exporter) {
			must(t, b.stageAll(x))
			m, _, err := readManifest(x.folder.historyDir(), 1)
			must(t, err)
			for _, file := range []string{m.File, manifestName(1)} {
				must(t, os.Rename(filepath.Join(x.folder.historyDir(), file), filepath.Join(b.dir, file)))
			}
		},
		"before the catalog knows": func(t *testing.T, b *books, x *exporter) {
			must(t, b.stageAll(x))
			must(t, x.folder.recover(x.export))
		},
	}, func(t *testing.T, b *books, crash func(*testing.T, *books, *exporter)) {
		b.pay(60) // two parts at least
		x, kill := b.exporter()
		crash(t, b, x)
		kill()
		b.pay(2)
		b.finish()
	})
}

// stage writes history as far as its last part, which stays open.
func (b *books) stage(x *exporter) *historyWriter {
	b.t.Helper()
	staged, err := x.folder.stageHistory()
	must(b.t, err)
	h := &historyWriter{exporter: x, staged: staged}
	_, err = x.feed.Begin(b.t.Context(), h.add)
	must(b.t, err)
	return h
}

func (b *books) stageAll(x *exporter) error {
	staged, err := x.folder.stageHistory()
	if err != nil {
		return err
	}
	h := &historyWriter{exporter: x, staged: staged}
	begin, err := x.feed.Begin(b.t.Context(), h.add)
	if err != nil {
		return err
	}
	if err := h.finish(begin); err != nil {
		return err
	}
	return x.folder.completeHistory(x.export.ID)
}

// A folder that lost what the catalog knows is refused, and so is another's.
func TestFolderThatIsNotTheCatalogs(t *testing.T) {
	t.Parallel()
	eachCase(t, map[string]func(t *testing.T, b *books){
		"newest part removed": func(t *testing.T, b *books) {
			newest, err := newestPart(b.dir)
			must(t, err, os.Remove(filepath.Join(b.dir, manifestName(newest))))
		},
		"emptied": func(t *testing.T, b *books) { must(t, os.RemoveAll(b.dir)) },
		"newest manifest changed": func(t *testing.T, b *books) {
			newest, err := newestPart(b.dir)
			must(t, err)
			m, _, err := readManifest(b.dir, newest)
			must(t, err)
			m.Bytes++
			must(t, os.WriteFile(filepath.Join(b.dir, manifestName(newest)), m.encode(), 0o600))
		},
		"another export's": func(t *testing.T, b *books) {
			e, err := NewCatalog(b.db, clock.System).Open(t.Context(), FolderDestination(b.dir), NDJSON)
			must(t, err)
			_, err = NewCatalog(b.db, clock.System).Cancel(t.Context(), e.ID)
			must(t, err)
		},
	}, func(t *testing.T, b *books, spoil func(*testing.T, *books)) {
		b.finish()
		spoil(t, b)
		_, err := Run(t.Context(), b.db, b.options())
		wantFailure(t, err, FolderMismatch)
	})
}
