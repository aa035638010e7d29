package database_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// eachPast is dbtest.Each for engines that can read the past: the others must
// say that they cannot.
func eachPast(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{MaxConns: 4})
		if db.Engine == database.Cockroach {
			test(t, db)
			return
		}
		for _, moment := range []database.Moment{database.Follower, database.At(database.TimestampOf(time.Unix(1, 0)))} {
			if _, _, err := valueAt(t, db, moment, "pg_class"); !errors.Is(err, database.ErrNoPast) {
				t.Errorf("got %v; want ErrNoPast", err)
			}
		}
	})
}

// valueAt adds up the table's v at a moment.
func valueAt(t *testing.T, db *database.DB, moment database.Moment, table string) (v int, at database.Timestamp, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), dbtest.Timeout)
	defer cancel()
	err = db.SnapshotAt(ctx, moment, func(tx pgx.Tx, shown database.Timestamp) error {
		at = shown
		return tx.QueryRow(ctx, "SELECT coalesce(sum(v), 0) FROM "+table).Scan(&v)
	})
	return v, at, err
}

func TestASnapshotCanBeReadAgainAtItsTime(t *testing.T) {
	t.Parallel()
	eachPast(t, func(t *testing.T, db *database.DB) {
		name := table(t, db)
		execute(t, db, "INSERT INTO "+name+" VALUES ('x', 1)")
		v, first, err := valueAt(t, db, database.Newest, name)
		if err != nil || v != 1 {
			t.Fatalf("%d, %v", v, err)
		}
		execute(t, db, "UPDATE "+name+" SET v = 2")
		if v, again, err := valueAt(t, db, database.At(first), name); err != nil || v != 1 || again != first {
			t.Fatalf("%d at %s, %v; was 1 at %s", v, again, err, first)
		}
		// To the last of its 29 digits.
		wall, _, _ := strings.Cut(first.String(), ".")
		exact, err := database.ParseTimestamp(wall + ".0000000007")
		if err != nil {
			t.Fatal(err)
		}
		if v, again, err := valueAt(t, db, database.At(exact), name); err != nil || v != 1 || again != exact {
			t.Fatalf("%d at %s, %v; want 1 at %s", v, again, err, exact)
		}
		// A follower is a little behind, and comes there by itself.
		for deadline := time.Now().Add(dbtest.Timeout); ; time.Sleep(50 * time.Millisecond) {
			v, at, err := valueAt(t, db, database.Follower, name)
			if err != nil && !errors.Is(err, database.ErrUnavailable) { // the table is too young
				t.Fatal(err)
			}
			if err == nil && at.Time().After(time.Now()) {
				t.Fatalf("a follower shows %s", at.Time())
			}
			if v == 2 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("a follower still shows %d at %s, %v", v, at.Time(), err)
			}
		}
	})
}

// No lock of a transaction under way stands in the way of an earlier time.
func TestASnapshotOfThePastIsNotHeldUpByWrites(t *testing.T) {
	t.Parallel()
	eachPast(t, func(t *testing.T, db *database.DB) {
		name := table(t, db)
		execute(t, db, "INSERT INTO "+name+" VALUES ('x', 1)")
		_, first, err := valueAt(t, db, database.Newest, name)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := db.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
		if _, err := tx.Exec(t.Context(), "UPDATE "+name+" SET v = 2"); err != nil {
			t.Fatal(err)
		}
		if v, _, err := valueAt(t, db, database.At(first), name); err != nil || v != 1 {
			t.Fatalf("%d, %v", v, err)
		}
	})
}

func TestATimeThatCannotBeReadIsToldFromOtherErrors(t *testing.T) {
	t.Parallel()
	eachPast(t, func(t *testing.T, db *database.DB) {
		before := database.TimestampOf(time.Now().Add(-time.Hour))
		name := table(t, db)
		execute(t, db, "INSERT INTO "+name+" VALUES ('x', 1)")
		for what, c := range map[string]struct {
			at   time.Time
			want error
		}{
			"in a minute":                {time.Now().Add(time.Minute), database.ErrSnapshotInFuture},
			"in the year 9999":           {time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), database.ErrSnapshotInFuture},
			"in the year 1":              {time.Time{}, database.ErrSnapshotGone},
			"before there was a cluster": {time.Unix(1_000_000_000, 0), database.ErrSnapshotGone},
			"before there was the table": {before.Time(), database.ErrSnapshotGone},
		} {
			if _, _, err := valueAt(t, db, database.At(database.TimestampOf(c.at)), name); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v; want %v", what, err, c.want)
			}
		}
		if _, at, err := valueAt(t, db, database.Newest, name); err != nil {
			t.Fatal(err)
		} else if _, _, err := valueAt(t, db, database.At(at), name+" WHERE v / 0 = 1"); err == nil || errors.Is(err, database.ErrSnapshotGone) {
			t.Errorf("an error of the query's own became %v", err)
		}
	})
}

// The real thing: versions older than gc.ttlseconds are collected.
func TestATimeWhoseVersionsAreCollectedIsGone(t *testing.T) {
	t.Parallel()
	eachPast(t, func(t *testing.T, db *database.DB) {
		name := table(t, db)
		execute(t, db, "ALTER TABLE "+name+" CONFIGURE ZONE USING gc.ttlseconds = 1")
		execute(t, db, "INSERT INTO "+name+" VALUES ('x', 1)")
		_, at, err := valueAt(t, db, database.Newest, name)
		if err != nil {
			t.Fatal(err)
		}
		execute(t, db, "UPDATE "+name+" SET v = 2")
		for deadline := time.Now().Add(dbtest.Timeout); ; time.Sleep(200 * time.Millisecond) {
			// The queue that collects garbage comes by in its own time: send it.
			execute(t, db, "SELECT crdb_internal.kv_enqueue_replica(range_id, 'mvccGC', true) FROM [SHOW RANGES FROM TABLE "+name+"]")
			_, _, err := valueAt(t, db, database.At(at), name)
			if errors.Is(err, database.ErrSnapshotGone) {
				break
			}
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("got %v; want ErrSnapshotGone", err)
			}
		}
		if v, _, err := valueAt(t, db, database.Newest, name); err != nil || v != 2 {
			t.Fatalf("the newest: %d, %v", v, err)
		}
	})
}
