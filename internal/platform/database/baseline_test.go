package database_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

const baselinePath = "../../../sql/baseline/cockroach.sql"

var update = flag.Bool("update", false, "write the baseline anew")

// With -update it writes the baseline that the migrations of today make.
func TestBaselineIsWhatTheMigrationsMake(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		migrated := dbtest.Open(t, dbtest.Fresh(t, url), database.Options{MaxConns: 2})
		if migrated.Engine != database.Cockroach {
			t.Skip("only CockroachDB has a baseline")
		}
		steps, err := database.MigrateStepByStep(t.Context(), migrated)
		if err != nil {
			t.Fatal(err)
		}
		want := schema(t, migrated)
		if *update {
			writeBaseline(t, want, steps)
			return
		}

		made := dbtest.Open(t, dbtest.Fresh(t, url), database.Options{MaxConns: 2})
		if n, err := database.Migrate(t.Context(), made, slog.New(slog.DiscardHandler)); err != nil || n != steps {
			t.Fatalf("%d migrations, not %d, %v", n, steps, err)
		}
		got := schema(t, made)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("the baseline makes\n%s\nand the migrations\n%s\nrun this test with -update", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if versions, want := versionsOf(t, made), versionsOf(t, migrated); !slices.Equal(versions, want) {
			t.Errorf("versions %v, not %v", versions, want)
		}
	})
}

// schema are the statements that make a database's schemas, tables and views, with all
// that belongs to them but sequences, which identity columns bring, in an order in which
// they can be run. They don't name the database.
func schema(t *testing.T, db *database.DB) []string {
	t.Helper()
	var all []string
	for _, show := range []string{"SHOW CREATE ALL SCHEMAS", "SHOW CREATE ALL TABLES"} {
		rows, err := db.Query(t.Context(), "SELECT create_statement FROM ["+show+"]")
		if err != nil {
			t.Fatal(err)
		}
		statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, statements...)
	}
	all = slices.DeleteFunc(all, func(statement string) bool {
		return strings.HasPrefix(statement, "CREATE SEQUENCE") || strings.HasPrefix(statement, "CREATE SCHEMA public")
	})
	name := db.Config().ConnConfig.Database // in views
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], name+".", "")
	}
	return all
}

// versionsOf are the versions in the order in which goose reads them.
func versionsOf(t *testing.T, db *database.DB) []int64 {
	t.Helper()
	rows, err := db.Query(t.Context(), "SELECT version_id FROM goose_db_version WHERE is_applied ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	versions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	return versions
}

// writeBaseline leaves the tables of versions and of the lock to goose, and to each
// version of CockroachDB whether tables are locked against schema changes.
func writeBaseline(t *testing.T, statements []string, steps int) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "-- What migrations 1 to %d make of an empty CockroachDB database.\n-- Written by: go test ./internal/platform/database -run Baseline -update\n\n", steps)
	for _, statement := range statements {
		if !strings.Contains(statement, ".goose_") {
			statement = strings.ReplaceAll(statement, " WITH (schema_locked = true)", "")
			b.WriteString(strings.ReplaceAll(statement, ", schema_locked = true", "") + "\n\n")
		}
	}
	b.WriteString("INSERT INTO public.goose_db_version (version_id, is_applied) VALUES (1, true)")
	for version := 2; version <= steps; version++ {
		fmt.Fprintf(&b, ", (%d, true)", version)
	}
	b.WriteString(";\n")
	if err := os.WriteFile(baselinePath, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
