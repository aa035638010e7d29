package database_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// Only the server's word that a transaction was refused is believed: see
// classifyCommit.
func TestACommitThatTookTooLongIsUnknown(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		direct := dbtest.Open(t, url, database.Options{MaxConns: 1})
		proxy := dbtest.NewProxy(t, url)
		db := dbtest.Open(t, proxy.URL, database.Options{MaxConns: 1})
		for what, c := range map[string]struct {
			mode  dbtest.Break
			limit time.Duration
		}{
			"the server says that its time was up": {dbtest.CommitAppliedYetTimedOut, dbtest.Timeout},
			"no answer comes":                      {dbtest.CommitAppliedThenSilence, 3 * time.Second},
		} {
			name := table(t, direct)
			database.LimitTransactions(db, c.limit)
			proxy.BreakCommits(1, c.mode)
			err := db.InTx(t.Context(), "late", func(ctx context.Context, tx pgx.Tx) error {
				_, err := tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1)")
				return err
			})
			if !errors.Is(err, database.ErrCommitUnknown) || count(t, direct, name) != 1 {
				t.Errorf("%s: %v, %d rows; want ErrCommitUnknown and one", what, err, count(t, direct, name))
			}
			database.LimitTransactions(db, dbtest.Timeout)
			// The connection is usable, or was replaced.
			if err := db.InTx(t.Context(), "next", func(context.Context, pgx.Tx) error { return nil }); err != nil {
				t.Errorf("%s, then: %v", what, err)
			}
		}
		name := table(t, direct)
		proxy.BreakCommits(1, dbtest.CommitAppliedThenSilence)
		caller, giveUp := context.WithCancel(t.Context())
		err := db.InTx(caller, "abandoned", func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1)")
			time.AfterFunc(time.Second, giveUp)
			return err
		})
		giveUp()
		if !errors.Is(err, database.ErrCommitUnknown) || count(t, direct, name) != 1 {
			t.Errorf("a caller that gave up meanwhile: %v, %d rows; want ErrCommitUnknown and one", err, count(t, direct, name))
		}
	})
}

func TestACommitThatIsNotSentIsNotUnknown(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{MaxConns: 1})
		name := table(t, db)
		caller, giveUp := context.WithCancel(t.Context())
		err := db.InTx(caller, "cancelled", func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1)")
			giveUp()
			return err
		})
		if !errors.Is(err, context.Canceled) || errors.Is(err, database.ErrCommitUnknown) || count(t, db, name) != 0 {
			t.Errorf("the caller gave up: %v, %d rows", err, count(t, db, name))
		}
		database.LimitTransactions(db, 300*time.Millisecond)
		err = db.InTx(t.Context(), "late", func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1)")
			<-ctx.Done()
			return err
		})
		if !errors.Is(err, database.ErrUnavailable) || errors.Is(err, database.ErrCommitUnknown) || count(t, db, name) != 0 {
			t.Errorf("the time was up: %v, %d rows", err, count(t, db, name))
		}
	})
}

func TestAConstraintCheckedAtTheCommitIsAPlainRefusal(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{MaxConns: 1})
		if db.Engine != database.Postgres {
			t.Skip("CockroachDB defers no constraints")
		}
		name := table(t, db)
		execute(t, db, "ALTER TABLE "+name+" ADD CONSTRAINT "+name+"_late UNIQUE (v) DEFERRABLE INITIALLY DEFERRED")
		execute(t, db, "ALTER TABLE "+name+" DROP CONSTRAINT "+name+"_v")
		runs := 0
		err := db.InTx(t.Context(), "deferred", func(ctx context.Context, tx pgx.Tx) error {
			runs++
			_, err := tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1), ('y', 1)")
			return err
		})
		if database.UniqueViolation(err) != name+"_late" || errors.Is(err, database.ErrCommitUnknown) || runs != 1 || count(t, db, name) != 0 {
			t.Fatalf("%v after %d runs, %d rows", err, runs, count(t, db, name))
		}
	})
}
