package database_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

func TestADatabaseThatHangsIsUnavailable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		database.HangingDatabase(t, dbtest.Open(t, url, database.Options{}))
	})
}

func TestOpenRefusesABadURLWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"postgres://u:s3cret@localhost:notaport/db",
		"postgres://u:s3cret%zz@localhost/db",
		"postgres://u:s3cret@@ho st:5432/db",
		"postgres://u:s3cret@localhost:5432/db?sslmode=wrong",
		"postgres://u:s3cret@localhost:5432/db?pool_max_conns=many",
		"postgres://u:s3cret@127.0.0.1:1/db?connect_timeout=2",
		"postgres://u@127.0.0.1:1/db?connect_timeout=2&password=s3cret",
		"postgres://u@127.0.0.1:99999999/db?password=s3cret",
		"host=localhost port=notaport user=u password=s3cret",
		"host=localhost user=u password='s3cret' sslmode=wrong",
		"user=u password=s3cret what",
		"mysql://u:s3cret@localhost/db",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		db, err := database.Open(ctx, bad, database.Options{})
		cancel()
		if err == nil {
			db.Close()
			t.Errorf("%s was opened", bad)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestOpenFindsOutTheEngine(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{Plans: database.PlansPinned, ApplicationName: "florin-test", StatementTimeout: 1500 * time.Millisecond, MaxConns: 3})
		want := database.Postgres
		if strings.Contains(db.Version, "Cockroach") {
			want = database.Cockroach
		}
		var application, zone, timeout string
		err := db.QueryRow(t.Context(), "SELECT current_setting('application_name'), current_setting('timezone'), current_setting('statement_timeout')").Scan(&application, &zone, &timeout)
		if err != nil || db.Engine != want || application != "florin-test" || zone != "UTC" || !strings.HasPrefix(timeout, "1500") || db.Stat().MaxConns() != 3 {
			t.Fatalf("%s, %s: %q %q %q, %v", db.Engine, db.Version, application, zone, timeout, err)
		}
	})
}

func TestMigrateMayBeCalledByManyAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = dbtest.Fresh(t, url)
		log := slog.New(slog.DiscardHandler)
		first := dbtest.Open(t, url, database.Options{MaxConns: 4})
		if migrated, err := database.Migrated(t.Context(), first); err != nil || migrated {
			t.Fatalf("an empty database: %t, %v", migrated, err)
		}
		var applied atomic.Int64
		together(4, func(int) {
			db := dbtest.Open(t, url, database.Options{MaxConns: 4})
			n, err := database.Migrate(t.Context(), db, log)
			if err != nil {
				t.Error(err)
			}
			applied.Add(int64(n))
		})
		if migrated, err := database.Migrated(t.Context(), first); err != nil || !migrated || applied.Load() < 3 {
			t.Fatalf("%t, %d applied, %v", migrated, applied.Load(), err)
		}
		if n, err := database.Migrate(t.Context(), first, log); err != nil || n != 0 {
			t.Fatalf("again: %d, %v", n, err)
		}
		var versions, distinct int
		err := first.QueryRow(t.Context(), "SELECT count(*), count(DISTINCT version_id) FROM goose_db_version").Scan(&versions, &distinct)
		if err != nil || versions != distinct || versions != int(applied.Load())+1 {
			t.Fatalf("%d versions, %d distinct, %d applied, %v", versions, distinct, applied.Load(), err)
		}
	})
}

func TestSnapshotSeesOneMomentAndAllThatWasAcknowledgedBefore(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{MaxConns: 4})
		name := table(t, db)
		execute(t, db, "INSERT INTO "+name+" VALUES ('x', 0)")
		execute(t, db, "INSERT INTO "+name+" SELECT 'm' || i::text, i FROM generate_series(1, 3) AS i")
		for i := range 60 {
			execute(t, db, "UPDATE "+name+" SET v = $1 WHERE k = 'x'", 10+i)
			err := db.Snapshot(t.Context(), func(tx pgx.Tx, at time.Time) error {
				var v, again int
				if err := tx.QueryRow(t.Context(), "SELECT v FROM "+name+" WHERE k = 'x'").Scan(&v); err != nil {
					return err
				}
				if v != 10+i {
					t.Errorf("sees %d after %d was acknowledged", v, 10+i)
				}
				// It neither waits for a write nor sees it.
				execute(t, db, "UPDATE "+name+" SET v = -v WHERE k = 'x'")
				if err := tx.QueryRow(t.Context(), "SELECT v FROM "+name+" WHERE k = 'x'").Scan(&again); err != nil {
					return err
				}
				if again != v {
					t.Errorf("sees %d, then %d", v, again)
				}
				if since := time.Since(at); since < -time.Second || since > 30*time.Second || at.Location() != time.UTC {
					t.Errorf("is of %s, %s ago", at, since)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		err := db.Snapshot(t.Context(), func(tx pgx.Tx, _ time.Time) error {
			_, err := tx.Exec(t.Context(), "UPDATE "+name+" SET v = 7 WHERE k = 'x'")
			return err
		})
		if err == nil {
			t.Fatal("a snapshot was written to")
		}
	})
}
