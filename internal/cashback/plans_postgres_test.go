package cashback_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// PostgreSQL plans a statement of the executor's once a connection, maybe on empty
// tables, and keeps the plan while they grow (docs/adr/0004): each has to find its rows
// by an index, however large the tables are and whatever is known of them.
func TestPostgresPlansReadNoWholeTable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		if dbtest.Open(t, url, database.Options{MaxConns: 1}).Engine != database.Postgres {
			t.Skip("CockroachDB's plans are looked at by themselves")
		}
		url = dbtest.Fresh(t, url)
		dbtest.Migrate(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 1, Plans: database.PlansPinned}) // what is prepared is a connection's
		ofTen := statements(10)
		for name, s := range ofTen {
			execute(t, db, "PREPARE "+name+" AS "+s.sql)
		}
		look := func(phase string) {
			t.Helper()
			for name, s := range ofTen {
				if plan := explainPrepared(t, db, name, s.args); len(wholeOf(plan)) > 0 {
					t.Errorf("%s, %s reads all of %v:\n%s", phase, name, wholeOf(plan), plan)
				}
			}
		}
		look("empty tables")
		for table, row := range fiftyRows {
			execute(t, db, "ALTER TABLE "+table+" SET (autovacuum_enabled = false)") // which would make new plans
			execute(t, db, "INSERT INTO "+table+" ("+row[0]+") SELECT "+row[1]+" FROM generate_series(1, 20000) AS i")
		}
		look("plans of when they were empty")
		for table := range fiftyRows { // of campaigns there are few
			execute(t, db, "ANALYZE "+table)
		}
		look("statistics of large tables")
	})
}

// explainPrepared is the plan that a prepared statement is executed by.
func explainPrepared(t *testing.T, db *database.DB, name string, args []any) string {
	t.Helper()
	places := make([]string, len(args))
	for i := range args {
		places[i] = fmt.Sprint("$", i+1)
	}
	rows, err := db.Query(t.Context(), "EXPLAIN EXECUTE "+name+"("+strings.Join(places, ", ")+")", append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.Join(lines, "\n")
}

var (
	tableScan = regexp.MustCompile(`Seq Scan on (\w+)`)
	// indexScan is a scan of an index, and what it is bounded by.
	indexScan = regexp.MustCompile(`(?:Index|Index Only|Bitmap Index) Scan (?:Backward )?(?:using|on) (\w+).*\n\s*(Index Cond)?`)
)

// unfinished are indexes that may be read whole: they have what waits alone.
var unfinished = []string{"purchases_held", "purchase_returns_waiting", "rewards_due"}

// wholeOf are the tables and indexes that a plan reads all of.
func wholeOf(plan string) []string {
	var whole []string
	for _, scan := range tableScan.FindAllStringSubmatch(plan, -1) {
		whole = append(whole, scan[1])
	}
	for _, scan := range indexScan.FindAllStringSubmatch(plan+"\n", -1) {
		if scan[2] == "" && !slices.Contains(unfinished, scan[1]) {
			whole = append(whole, scan[1])
		}
	}
	return whole
}
