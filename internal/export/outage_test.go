package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// follow exports without Once until the function that it returns is called,
// which returns Run's error.
func (b *books) follow(db *database.DB, log *slog.Logger, written func(Manifest)) (stop func() error) {
	o := b.options()
	o.Once, o.Interval, o.Log, o.PartWritten = false, 20*time.Millisecond, log, written
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := Run(ctx, db, o)
		ended <- err
	}()
	return func() error {
		cancel()
		return <-ended
	}
}

// Between a part and the catalog the database goes away: the exporter waits, and
// goes on after the part.
func TestOutageBetweenFolderAndCatalog(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b := newBooks(t, url)
		b.finish()
		b.pay(3)
		proxy := dbtest.NewProxy(t, b.url)
		db := dbtest.Open(t, proxy.URL, database.Options{MaxConns: 2})
		var told bytes.Buffer
		parts, isCut := make(chan Manifest, 100), false
		stop := b.follow(db, slog.New(slog.NewTextHandler(&told, nil)), func(m Manifest) {
			if !isCut {
				isCut = true
				if _, err := db.Exec(t.Context(), "SELECT 1"); err != nil { // the pool takes no look at what was used just now
					t.Error(err)
				}
				proxy.Cut()
			}
			parts <- m
		})
		for rows := range []int64{6, 2} {
			select {
			case m := <-parts:
				if want := []int64{6, 2}[rows]; m.Rows != want {
					t.Errorf("%+v; want %d rows", m, want)
				}
			case <-time.After(dbtest.Timeout):
				t.Fatalf("no part: %v", stop())
			}
			b.pay(1)
		}
		must(t, stop())
		if !strings.Contains(told.String(), "the database is away") {
			t.Fatalf("nothing went wrong: %s", told.String())
		}
		b.finish()
	})
}

// What CockroachDB says for a moment while tables become GLOBAL is waited for, like a
// database that is away.
func TestTablesThatBecomeGlobalAreWaitedFor(t *testing.T) {
	t.Parallel()
	x := &exporter{}
	for want, message := range map[bool]string{true: "request timestamp too far in future (1.2,0 > 1.1,0)", false: "something else"} {
		err := fmt.Errorf("read the changefeed: %w", &pgconn.PgError{Code: "XXUUU", Message: message})
		if got := x.mayWait(t.Context(), err); got != want {
			t.Errorf("%q: %v", message, got)
		}
	}
}

// A disk that fails is no outage: the exporter ends at once and says so, and when
// the disk is well again the next one goes on. Directories stand where the next
// part's files should.
func TestDiskThatFailsEndsTheExporter(t *testing.T) {
	t.Parallel()
	eachCase(t, map[string]func(part int64) string{
		"at the data":     func(part int64) string { return dataName(part, NDJSON) },
		"at the manifest": manifestName,
	}, func(t *testing.T, b *books, nameOf func(int64) string) {
		b.finish()
		b.pay(1)
		obstacle := make(chan string, 100)
		stop := b.follow(b.db, slog.New(slog.DiscardHandler), func(m Manifest) {
			path := filepath.Join(b.dir, nameOf(m.Part+1))
			if err := os.MkdirAll(filepath.Join(path, "x"), 0o700); err != nil {
				t.Error(err)
			}
			obstacle <- path
		})
		path := <-obstacle
		b.pay(1)
		e, err := NewCatalog(b.db, clock.System).Open(t.Context(), FolderDestination(b.dir), NDJSON)
		must(t, err)
		for deadline := time.Now().Add(dbtest.Timeout); e.Status != Failed; time.Sleep(20 * time.Millisecond) {
			if e, err = NewCatalog(b.db, clock.System).ByID(t.Context(), e.ID); err != nil || time.Now().After(deadline) {
				t.Fatalf("the exporter does not end: %v, %v", err, stop())
			}
		}
		if e.ErrorCode != FolderUnusable {
			t.Fatalf("%s: %s", e.ErrorCode, e.Error)
		}
		_ = stop() // its error is nil when it was told to stop a moment before it ended
		must(t, os.RemoveAll(path))
		if summary := b.finish(); summary.Rows != 2 {
			t.Fatalf("%+v; want the 2 postings that could not be written", summary)
		}
	})
}

// An export whose books did not add up goes on when a person says so, not when a
// supervisor starts its exporter again.
func TestInconsistentExportIsNotResumedByItself(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b := newBooks(t, url)
		id := b.finish().ExportID
		catalog := NewCatalog(b.db, clock.System)
		_, err := catalog.Fail(t.Context(), id, LedgerInconsistent, "a posting is missing")
		must(t, err)
		b.pay(1)
		_, err = Run(t.Context(), b.db, b.options())
		wantFailure(t, err, NotRunning)
		if !strings.Contains(err.Error(), "a posting is missing") || !strings.Contains(err.Error(), "export resume "+id) {
			t.Error(err)
		}
		_, err = catalog.Resume(t.Context(), id)
		must(t, err)
		b.finish()
		_, err = catalog.Fail(t.Context(), id, FolderUnusable, "no space left on device")
		must(t, err)
		b.finish()
	})
}

// An export that is cancelled while its history is read ends then, and leaves
// nothing on the server.
func TestCancelInHistory(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b := newBooks(t, url)
		x, kill := b.exporter()
		defer kill()
		_, err := x.catalog.Cancel(t.Context(), x.export.ID)
		must(t, err)
		wantFailure(t, x.writeHistory(t.Context()), Cancelled)
		if b.db.Engine == database.Postgres {
			var left int
			must(t, b.db.QueryRow(t.Context(), "SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1", slotName(x.export.ID)).Scan(&left))
			if left != 0 {
				t.Fatal("the slot is left")
			}
		}
	})
}

// One place with other parameters may lead elsewhere.
func TestDestinationWithOtherParametersIsAnother(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		catalog := NewCatalog(dbtest.Open(t, url, database.Options{}), clock.System)
		const place = "kafka://parameters.invalid:9092"
		first, err := catalog.openWith(t.Context(), place, NDJSON, "one")
		must(t, err)
		again, err := catalog.openWith(t.Context(), place, NDJSON, "one")
		if err != nil || again != first {
			t.Fatalf("%+v, %v after %+v", again, err, first)
		}
		_, err = catalog.openWith(t.Context(), place, NDJSON, "other")
		wantFailure(t, err, ParametersDiffer)
		_, err = catalog.Cancel(t.Context(), first.ID)
		must(t, err)
		other, err := catalog.openWith(t.Context(), place, NDJSON, "other")
		must(t, err)
		_, err = catalog.Cancel(t.Context(), other.ID)
		must(t, err)
	})
}

// while is a context that does something each time that it is asked whether it
// has ended.
type while struct {
	context.Context
	do func()
}

func (w while) Err() error {
	w.do()
	return w.Context.Err()
}

// A check beside an exporter finds nothing wrong with the parts that come
// meanwhile.
func TestCheckBesideAnExporter(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b := newBooks(t, url)
		b.finish()
		b.pay(2)
		b.finish()
		written, isBusy := 0, false
		ctx := while{t.Context(), func() {
			if isBusy || written == 6 {
				return
			}
			isBusy = true
			b.pay(1)
			_, err := Run(t.Context(), b.db, b.options())
			must(t, err)
			written, isBusy = written+1, false
		}}
		report, err := Check(ctx, b.dir, b.db)
		must(t, err)
		if written < 2 {
			t.Fatalf("%d parts were written meanwhile", written)
		}
		if len(report.Problems) > 0 {
			t.Fatal(report.Problems)
		}
	})
}

// Only what is collected as garbage is lost; any other error is itself.
func TestKeptIsNotLost(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b := newBooks(t, url)
		if b.db.Engine == database.Postgres {
			t.Skip("PostgreSQL has a slot")
		}
		f := &cockroachFeed{db: b.db}
		err := f.checkKept(t.Context(), database.TimestampOf(time.Now().Add(time.Hour)))
		if err == nil || errors.Is(err, HistoryLost.Failure("")) {
			t.Fatalf("a time to come: %v", err)
		}
		// A node's clock that is behind has nothing to read yet.
		position := database.TimestampOf(time.Now().Add(time.Hour)).String()
		got, err := f.Next(t.Context(), position, 100)
		if err != nil || got.position != position || got.more || len(got.transactions) > 0 || !got.resolvedAt.IsZero() {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

// A changefeed that ends early has read the window up to where it says.
func TestWindowEndsWhereItIsResolved(t *testing.T) {
	const row = `{"after": {"account_id": "a", "seq": %SEQ}, "mvcc_timestamp": "%SEQ.0000000000"}`
	for name, c := range map[string]struct {
		resolved string
		to       int64
		seqs     int
		isThere  bool
	}{
		"whole":      {"5.0000000000", 5, 2, true},
		"cut":        {"3.0000000000", 3, 1, true},
		"went back":  {"3.0000000000 2.0000000000", 3, 1, true},
		"not at all": {"", 1, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWindow(database.TimestampOf(time.Unix(0, 1)), database.TimestampOf(time.Unix(0, 5)))
			for _, seq := range []string{"2", "4"} {
				must(t, w.add("postings", []byte(strings.ReplaceAll(row, "%SEQ", seq))))
			}
			for _, resolved := range strings.Fields(c.resolved) {
				must(t, w.add("", []byte(`{"resolved": "`+resolved+`"}`)))
			}
			if isThere := w.end(); isThere != c.isThere || w.to.Time().UnixNano() != c.to || len(w.postings) != c.seqs {
				t.Fatalf("%v: %+v", isThere, w)
			}
		})
	}
}
