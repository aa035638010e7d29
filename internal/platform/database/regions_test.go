package database_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3/lock"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

func TestLocalizeRefusesRegionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		for name, regions := range map[string]database.Regions{
			"an empty name":             {Names: []string{"a", ""}},
			"a name twice":              {Names: []string{"a", "b", "a"}},
			"an unknown goal":           {Names: []string{"a"}, Survival: "planet"},
			"two can't outlive one":     {Names: []string{"a", "b"}, Survival: database.SurviveRegion},
			"a goal without any region": {Survival: database.SurviveZone},
		} {
			err := database.Localize(t.Context(), db, regions, slog.New(slog.DiscardHandler))
			if !errors.Is(err, database.ErrBadRegions) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestWithoutItsRegionsADatabaseKeepsItsSingleRegionForm(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = dbtest.Fresh(t, url)
		dbtest.Migrate(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		var said bytes.Buffer
		err := database.Localize(t.Context(), db, database.Regions{Names: []string{"mars", "venus"}}, slog.New(slog.NewTextHandler(&said, nil)))
		if err != nil || !strings.Contains(said.String(), "level=WARN") || !strings.Contains(said.String(), "mars") {
			t.Fatalf("%v, said %q", err, said.String())
		}
		if names, here, err := db.Regions(t.Context()); err != nil || len(names) != 0 || here != "" {
			t.Fatalf("%v, %q, %v", names, here, err)
		}
	})
}

// clusterRegions are the regions of the cluster's nodes; the test is skipped where
// there are none.
func clusterRegions(t *testing.T, db *database.DB) []string {
	t.Helper()
	if db.Engine != database.Cockroach {
		t.Skip("only CockroachDB has regions")
	}
	rows, err := db.Query(t.Context(), "SELECT region FROM [SHOW REGIONS FROM CLUSTER]")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var regions []string
	for rows.Next() {
		var region string
		if err := rows.Scan(&region); err != nil {
			t.Fatal(err)
		}
		regions = append(regions, region)
	}
	if len(regions) == 0 {
		t.Skip("the cluster's nodes name no region as their locality")
	}
	return regions
}

func TestLocalizeLeavesATableThatSomebodyElseHasSpread(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = dbtest.Fresh(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 4})
		regions := clusterRegions(t, db)
		dbtest.Migrate(t, url)
		for _, statement := range []string{
			"ALTER DATABASE " + database.QuoteIdentifier(db.Config().ConnConfig.Database) + " SET PRIMARY REGION " + database.QuoteIdentifier(regions[0]),
			"ALTER TABLE accounts SET (schema_locked = false)",
			"ALTER TABLE accounts SET LOCALITY REGIONAL BY ROW", // by the region that a row is written from
		} {
			if _, err := db.Exec(t.Context(), statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
		err := database.Localize(t.Context(), db, database.Regions{Names: regions}, slog.New(slog.DiscardHandler))
		if !errors.Is(err, database.ErrBadRegions) || !strings.Contains(err.Error(), "accounts") {
			t.Fatal(err)
		}
	})
}

func TestLocalizeSpreadsALiveDatabaseAndFindsNothingToDoTheSecondTime(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = dbtest.Fresh(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 4})
		regions := clusterRegions(t, db)
		dbtest.Migrate(t, url)
		// From before there were regions.
		if _, err := db.Exec(t.Context(), `
			INSERT INTO postings (account_id, seq, transfer_id, amount, balance, currency, created_at)
			SELECT 'old', i, 't' || i::text, 1, i, 'USD', now() FROM generate_series(1, 10) AS i`); err != nil {
			t.Fatal(err)
		}
		localize := func() (steps int) {
			t.Helper()
			var said bytes.Buffer
			if err := database.Localize(t.Context(), db, database.Regions{Names: regions}, slog.New(slog.NewTextHandler(&said, nil))); err != nil {
				t.Fatal(err)
			}
			return strings.Count(said.String(), "msg=localized")
		}
		if steps := localize(); steps < 10 {
			t.Fatalf("%d steps", steps)
		}
		if steps := localize(); steps != 0 {
			t.Fatalf("the second time: %d steps", steps)
		}

		got := map[string]string{}
		rows, err := db.Query(t.Context(), "SELECT table_name, locality FROM [SHOW TABLES]")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var table, locality string
			if err := rows.Scan(&table, &locality); err != nil {
				t.Fatal(err)
			}
			got[table] = locality
		}
		for table, want := range map[string]string{
			"accounts": "REGIONAL BY ROW AS crdb_region", "transfers": "REGIONAL BY ROW AS crdb_region",
			"postings": "REGIONAL BY ROW AS crdb_region", "holds": "REGIONAL BY ROW AS crdb_region", "api_keys": "GLOBAL",
		} {
			if got[table] != want {
				t.Errorf("%s is %q, want %q", table, got[table], want)
			}
		}
		var old int
		var where string
		err = db.QueryRow(t.Context(), "SELECT count(*), max(crdb_region::text) FROM postings WHERE account_id = 'old'").Scan(&old, &where)
		if err != nil || old != 10 || where != regions[0] {
			t.Errorf("%d old postings in %q, %v", old, where, err)
		}
		names, here, err := db.Regions(t.Context())
		if err != nil || names[0] != regions[0] || here == "" {
			t.Errorf("%v, %q, %v", names, here, err)
		}
		log := slog.New(slog.DiscardHandler)
		for _, names := range [][]string{append([]string{"elsewhere"}, regions...), append(regions[:len(regions):len(regions)], "elsewhere")} {
			if err := database.Localize(t.Context(), db, database.Regions{Names: names}, log); !errors.Is(err, database.ErrRegionsMissing) {
				t.Errorf("%v: %v", names, err)
			}
		}
		// A run that was cut short before its last step.
		if _, err := db.Exec(t.Context(), "ALTER TABLE holds SET (schema_locked = false)"); err != nil {
			t.Fatal(err)
		}
		if steps := localize(); steps != 1 {
			t.Errorf("to lock one table again: %d steps", steps)
		}
	})
}

// A row with a lease excludes on CockroachDB what an advisory lock would not.
func TestAMigratorWaitsForAnotherAndTakesOverFromADeadOne(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = dbtest.Fresh(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 6})
		if db.Engine != database.Cockroach {
			t.Skip("PostgreSQL's advisory lock ends with its session")
		}
		ctx, cancel := context.WithTimeout(t.Context(), dbtest.Timeout)
		defer cancel()
		pool := stdlib.OpenDBFromPool(db.Pool)
		defer pool.Close()
		other, err := lock.NewPostgresTableLocker(lock.WithTableHeartbeatInterval(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Lock(ctx, pool); err != nil {
			t.Fatal(err)
		}
		migrated := make(chan error, 1)
		go func() {
			_, err := database.Migrate(ctx, db, slog.New(slog.DiscardHandler))
			migrated <- err
		}()
		select {
		case err := <-migrated:
			t.Fatalf("migrated while another held the lock: %v", err)
		case <-time.After(3 * time.Second):
		}
		if ok, err := database.Migrated(ctx, db); err != nil || ok {
			t.Fatalf("%t, %v", ok, err)
		}
		// It died: nobody renews its lease any more, and its time is over.
		if _, err := db.Exec(ctx, "UPDATE goose_lock SET lease_expires_at = now() - INTERVAL '1 second'"); err != nil {
			t.Fatal(err)
		}
		if err := <-migrated; err != nil {
			t.Fatal(err)
		}
		if ok, err := database.Migrated(ctx, db); err != nil || !ok {
			t.Fatalf("%t, %v", ok, err)
		}
	})
}
