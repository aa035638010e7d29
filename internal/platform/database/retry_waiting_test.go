package database_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// nothing is a transaction without statements.
func nothing(context.Context, pgx.Tx) error { return nil }

func TestInTxWaitsForAConnectionNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{MaxConns: 1})
		database.LimitTransactions(db, 300*time.Millisecond)
		// A transaction within a transaction waits for what its own caller holds.
		err := db.InTx(t.Context(), "outer", func(context.Context, pgx.Tx) error {
			return db.InTx(t.Context(), "inner", nothing)
		})
		if !errors.Is(err, database.ErrUnavailable) || errors.Is(err, database.ErrCommitUnknown) {
			t.Errorf("got %v; want ErrUnavailable", err)
		}

		taken, err := db.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		caller, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := db.InTx(caller, "impatient", nothing); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, database.ErrUnavailable) {
			t.Errorf("a caller whose time is up: got %v; want its own error", err)
		}
		database.LimitTransactions(db, dbtest.Timeout)
		time.AfterFunc(50*time.Millisecond, taken.Release)
		if err := db.InTx(t.Context(), "patient", nothing); err != nil {
			t.Errorf("a connection came free: %v", err)
		}
	})
}

func TestManyTransactionsShareFewConnections(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		name := table(t, db)
		together(40, func(i int) {
			err := db.InTx(t.Context(), "shared", func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO "+name+" VALUES ($1::INT8::TEXT, $1)", i)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		if n := count(t, db, name); n != 40 {
			t.Fatalf("%d rows; want 40", n)
		}
	})
}

// A network that swallows everything closes no connection: time alone ends the wait.
func TestInTxEndsWhenTheNetworkGoesSilent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		direct := dbtest.Open(t, url, database.Options{MaxConns: 1})
		name := table(t, direct)
		for _, stream := range []string{"upstream", "downstream"} {
			network := dbtest.NewNetwork(t, url)
			db := dbtest.Open(t, network.URL, database.Options{MaxConns: 1})
			database.LimitTransactions(db, time.Second)
			insert := func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO "+name+" VALUES ($1, $2)", stream, len(stream))
				return err
			}
			network.Suffer(dbtest.Trouble{Type: "timeout", Stream: stream})
			// On a connection that was open before, and then while opening a new one.
			for range 2 {
				if err := db.InTx(t.Context(), "silent", insert); !errors.Is(err, database.ErrUnavailable) || errors.Is(err, database.ErrCommitUnknown) {
					t.Errorf("%s: got %v; want ErrUnavailable", stream, err)
				}
			}
			if n := count(t, direct, name+" WHERE k = '"+stream+"'"); n != 0 {
				t.Errorf("%s: %d rows of transactions that were not committed", stream, n)
			}
			network.Heal()
			database.LimitTransactions(db, dbtest.Timeout)
			if err := db.InTx(t.Context(), "healed", insert); err != nil {
				t.Errorf("%s, healed: %v", stream, err)
			}
		}
	})
}

// An exit that is neither a return nor a panic gives the connection back too.
func TestInTxKeepsNothingOfAClosureThatExits(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{MaxConns: 1})
		name := table(t, db)
		var exiting sync.WaitGroup
		exiting.Go(func() {
			_ = db.InTx(t.Context(), "exit", func(ctx context.Context, tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1)"); err != nil {
					t.Error(err)
				}
				runtime.Goexit()
				return nil
			})
			t.Error("InTx returned")
		})
		exiting.Wait()
		if n := count(t, db, name); n != 0 {
			t.Fatalf("%d rows", n)
		}
	})
}
