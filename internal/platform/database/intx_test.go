package database_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// table makes a table of the test's own: k is unique, v is data.
func table(t *testing.T, db *database.DB) string {
	t.Helper()
	name := id.New("intx")
	execute(t, db, "CREATE TABLE "+name+" (k TEXT, v INT8 NOT NULL, CONSTRAINT "+name+"_k PRIMARY KEY (k), CONSTRAINT "+name+"_v UNIQUE (v))")
	return name
}

func execute(t *testing.T, db *database.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func count(t *testing.T, db *database.DB, from string) (n int) {
	t.Helper()
	if err := db.QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// retries reads the metric of retries of one transaction's name.
func retries(t *testing.T, registry *prometheus.Registry, name, reason string) (n float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.Metric {
			if family.GetName() == "florin_transaction_retries_total" && strings.Contains(metric.String(), fmt.Sprintf("%q", name)) && strings.Contains(metric.String(), fmt.Sprintf("%q", reason)) {
				n += metric.GetCounter().GetValue()
			}
		}
	}
	return n
}

func TestInTxRunsAgainAfterWriteSkew(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		registry := prometheus.NewRegistry()
		db := dbtest.Open(t, url, database.Options{MaxConns: 4, Metrics: database.NewMetrics(registry)})
		name := table(t, db)
		execute(t, db, "INSERT INTO "+name+" VALUES ('x', 1), ('y', 2)")
		// Each doctor leaves if the other is on duty: without SERIALIZABLE both leave.
		var runs atomic.Int32
		var met sync.WaitGroup
		met.Add(2)
		leave := func(k string) error {
			first := true
			return db.InTx(t.Context(), "skew", func(_ context.Context, tx pgx.Tx) error {
				runs.Add(1)
				var onDuty int
				if err := tx.QueryRow(t.Context(), "SELECT count(*) FROM "+name+" WHERE v > 0").Scan(&onDuty); err != nil {
					return err
				}
				if first { // both have read before either writes
					first = false
					met.Done()
					met.Wait()
				}
				if onDuty < 2 {
					return nil
				}
				_, err := tx.Exec(t.Context(), "UPDATE "+name+" SET v = -v WHERE k = $1", k)
				return err
			})
		}
		var both sync.WaitGroup
		for _, k := range []string{"x", "y"} {
			both.Go(func() {
				if err := leave(k); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if onDuty := count(t, db, name+" WHERE v > 0"); onDuty != 1 || runs.Load() < 3 {
			t.Fatalf("%d on duty after %d runs; want 1 after at least 3", onDuty, runs.Load())
		}
		if retries(t, registry, "skew", "conflict") < 1 {
			t.Fatal("the retry was not counted")
		}
	})
}

func TestInTxGivesUpWithConflict(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		name := table(t, db)
		runs := 0
		cause := &pgconn.PgError{Code: "40001", Message: "restart transaction"}
		err := db.InTx(t.Context(), "hopeless", func(_ context.Context, tx pgx.Tx) error {
			runs++
			if _, err := tx.Exec(t.Context(), "INSERT INTO "+name+" VALUES ('x', 1)"); err != nil {
				return err
			}
			return fmt.Errorf("wrapped: %w", cause)
		})
		if !errors.Is(err, database.ErrConflict) || !errors.Is(err, cause) || runs != 12 || count(t, db, name) != 0 {
			t.Fatalf("%v after %d runs, %d rows", err, runs, count(t, db, name))
		}
		runs = 0
		lost := errors.New("lost the race")
		err = db.InTx(t.Context(), "hopeless", func(context.Context, pgx.Tx) error { runs++; return database.Retry(lost) })
		if !errors.Is(err, database.ErrConflict) || !errors.Is(err, lost) || runs != 12 {
			t.Fatalf("%v after %d runs", err, runs)
		}
		// A caller's deadline is obeyed between the tries.
		impatient, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		runs = 0
		if err := db.InTx(impatient, "hopeless", func(context.Context, pgx.Tx) error { runs++; return cause }); err == nil || runs == 12 {
			t.Fatalf("%v after %d runs", err, runs)
		}
	})
}

func TestInTxReturnsTheClosuresErrorAsItIsAndKeepsNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{MaxConns: 1})
		name := table(t, db)
		insert := func(tx pgx.Tx) {
			if _, err := tx.Exec(t.Context(), "INSERT INTO "+name+" VALUES ('x', 1)"); err != nil {
				t.Error(err)
			}
		}
		own, runs := errors.New("my own"), 0
		if err := db.InTx(t.Context(), "own", func(_ context.Context, tx pgx.Tx) error { runs++; insert(tx); return own }); err != own || runs != 1 { //nolint:errorlint // the very same
			t.Fatalf("%v after %d runs", err, runs)
		}
		runs = 0
		err := db.InTx(t.Context(), "refused", func(_ context.Context, tx pgx.Tx) error {
			runs++
			insert(tx)
			_, err := tx.Exec(t.Context(), "INSERT INTO "+name+" VALUES ('x', 2)")
			return err
		})
		if database.UniqueViolation(err) != name+"_k" || runs != 1 {
			t.Fatalf("%v (constraint %q) after %d runs", err, database.UniqueViolation(err), runs)
		}
		// An error that the closure swallowed is not taken for success.
		err = db.InTx(t.Context(), "swallowed", func(_ context.Context, tx pgx.Tx) error {
			insert(tx)
			_, _ = tx.Exec(t.Context(), "SELECT 1/0")
			return nil
		})
		if err == nil {
			t.Fatal("a transaction that had failed was committed")
		}
		func() {
			defer func() {
				if recover() != "oh no" {
					t.Error("the panic was kept")
				}
			}()
			_ = db.InTx(t.Context(), "panic", func(_ context.Context, tx pgx.Tx) error { insert(tx); panic("oh no") })
		}()
		gone, cancel := context.WithCancel(t.Context())
		if err := db.InTx(gone, "cancelled", func(_ context.Context, tx pgx.Tx) error { insert(tx); cancel(); return gone.Err() }); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		// The one connection is usable each time, and nothing stayed.
		if n := count(t, db, name); n != 0 {
			t.Fatalf("%d rows", n)
		}
		if err := db.InTx(t.Context(), "done", func(_ context.Context, tx pgx.Tx) error { insert(tx); return nil }); err != nil || count(t, db, name) != 1 {
			t.Fatal(err)
		}
	})
}

func TestUniqueViolationNamesTheConstraint(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{MaxConns: 1})
		name := table(t, db)
		execute(t, db, "INSERT INTO "+name+" VALUES ('x', 1)")
		for constraint, sql := range map[string]string{
			name + "_k": "INSERT INTO " + name + " VALUES ('x', 2)",
			name + "_v": "INSERT INTO " + name + " VALUES ('y', 1)",
			"":          "INSERT INTO " + name + " VALUES ('y', NULL)",
		} {
			_, err := db.Exec(t.Context(), sql)
			if got := database.UniqueViolation(fmt.Errorf("wrapped: %w", err)); err == nil || got != constraint {
				t.Errorf("%s: constraint %q of %v; want %q", sql, got, err, constraint)
			}
		}
	})
}

func TestInTxRunsAgainWhenTheConnectionIsCutBeforeTheCommit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		direct := dbtest.Open(t, url, database.Options{MaxConns: 2})
		name := table(t, direct)
		proxy := dbtest.NewProxy(t, url)
		registry := prometheus.NewRegistry()
		db := dbtest.Open(t, proxy.URL, database.Options{MaxConns: 2, Metrics: database.NewMetrics(registry)})
		runs := 0
		err := db.InTx(t.Context(), "cut", func(_ context.Context, tx pgx.Tx) error {
			if runs++; runs == 2 || runs == 4 {
				proxy.Cut()
			}
			if _, err := tx.Exec(t.Context(), "INSERT INTO "+name+" VALUES ('x', 1)"); err != nil {
				return err
			}
			if runs == 1 {
				proxy.Cut() // the COMMIT is not sent any more, or finds nobody
			}
			_, err := tx.Exec(t.Context(), "SELECT 1")
			return err
		})
		if err != nil || runs < 3 || count(t, direct, name) != 1 || retries(t, registry, "cut", "unavailable") < 2 {
			t.Fatalf("%v after %d runs, %d rows", err, runs, count(t, direct, name))
		}
		err = db.InTx(t.Context(), "down", func(_ context.Context, tx pgx.Tx) error {
			proxy.Cut()
			_, err := tx.Exec(t.Context(), "SELECT 1")
			return err
		})
		if !errors.Is(err, database.ErrUnavailable) || !database.Unavailable(err) {
			t.Fatalf("got %v; want ErrUnavailable", err)
		}
	})
}

func TestInTxNeverGuessesTheOutcomeOfACommit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		direct := dbtest.Open(t, url, database.Options{MaxConns: 2})
		proxy := dbtest.NewProxy(t, url)
		db := dbtest.Open(t, proxy.URL, database.Options{MaxConns: 2})
		for mode, rows := range map[dbtest.Break]int{dbtest.CommitApplied: 1, dbtest.CommitLost: 0} {
			name := table(t, direct)
			runs := 0
			proxy.BreakCommits(1, mode)
			err := db.InTx(t.Context(), "unknown", func(_ context.Context, tx pgx.Tx) error {
				runs++
				_, err := tx.Exec(t.Context(), "INSERT INTO "+name+" VALUES ('x', 1)")
				return err
			})
			if !errors.Is(err, database.ErrCommitUnknown) || runs != 1 {
				t.Fatalf("got %v after %d runs; want ErrCommitUnknown after one", err, runs)
			}
			if n := count(t, direct, name); n != rows {
				t.Fatalf("%d rows; want %d", n, rows)
			}
		}
		if proxy.Broken() != 2 {
			t.Fatalf("%d commits were broken; want 2", proxy.Broken())
		}
	})
}

// together calls f in n goroutines, begun at once.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			f(i)
		})
	}
	close(begin)
	all.Wait()
}
