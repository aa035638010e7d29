package dbtest_test

import (
	"log/slog"
	"testing"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// What Migrate leaves is a migrated database: there is nothing left to do, and
// another program finds its tables.
func TestAFreshDatabaseIsMigrated(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = dbtest.Fresh(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		var isEmpty bool
		if err := db.QueryRow(t.Context(), "SELECT to_regclass('accounts') IS NULL").Scan(&isEmpty); err != nil || !isEmpty {
			t.Fatalf("a fresh database is empty: %t, %v", isEmpty, err)
		}
		for range 2 {
			dbtest.Migrate(t, url)
			if n, err := database.Migrate(t.Context(), db, slog.New(slog.DiscardHandler)); err != nil || n != 0 {
				t.Fatalf("%d migrations were left, %v", n, err)
			}
		}
		var accounts, versions int
		err := db.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM goose_db_version)").Scan(&accounts, &versions)
		if err != nil || accounts != 0 || versions < 2 {
			t.Fatalf("%d accounts, %d versions, %v", accounts, versions, err)
		}
	})
}
