package ledger_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/ledger/internal/ledgerdb"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// CockroachDB plans by statistics: whatever they say of a table's size, no statement
// of the executor or the background may read all of it, which at SERIALIZABLE
// would conflict with every other batch.
func TestCockroachPlansReadNoWholeTable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		if dbtest.Open(t, url, database.Options{MaxConns: 1}).Engine != database.Cockroach {
			t.Skip("PostgreSQL's plans are looked at by what they read")
		}
		url = dbtest.Fresh(t, url)
		dbtest.Migrate(t, url)
		db := dbtest.Open(t, url, database.Options{MaxConns: 2, Plans: database.PlansPinned})
		look := func(phase string) {
			t.Helper()
			for _, size := range []int{1, 20, 1000} {
				for name, s := range executorStatements(size) {
					plan := explain(t, db, s)
					if wholeTable.MatchString(plan) {
						t.Errorf("%s, %s of %d:\n%s", phase, name, size, plan)
					}
				}
			}
		}
		look("no statistics")
		execute(t, url, `
			INSERT INTO accounts (account_id, account_type, currency, status, posted, held, shortfall, last_seq, version, metadata, opening_hash, created_at, updated_at)
			SELECT 'x' || i::text, 'ASSET', 'USD', 'ACTIVE', 0, 0, 0, 0, 1, '{}', '', now(), now() FROM generate_series(1, 1000) AS i`)
		for _, table := range []string{"accounts", "transfers", "postings", "holds"} {
			execute(t, url, "ANALYZE "+table)
		}
		look("statistics of small tables")
		for _, table := range []string{"accounts", "transfers", "postings", "holds"} {
			execute(t, url, "DELETE FROM "+table)
			execute(t, url, "ANALYZE "+table)
		}
		look("statistics of empty tables")
	})
}

// wholeTable finds a scan of all of a table or a full index. All of a partial
// index, which has what is unfinished, or reversals, is not meant.
var wholeTable = regexp.MustCompile(`table: [^\s(]+\n\s*spans: FULL SCAN`)

func explain(t *testing.T, db *database.DB, s statement) string {
	t.Helper()
	rows, err := db.Query(t.Context(), "EXPLAIN "+s.sql, append([]any{pgx.QueryExecModeSimpleProtocol}, s.args...)...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", s.sql, err)
	}
	return strings.Join(lines, "\n")
}

type statement struct {
	sql  string
	args []any
}

func executorStatements(n int) map[string]statement {
	ids, regions, texts, numbers := make([]string, n), make([]string, n), make([]string, n), make([]int64, n)
	amounts, times, hashes := make([]decimal.Decimal, n), make([]time.Time, n), make([][]byte, n)
	for i := range n {
		ids[i], texts[i], numbers[i] = id.New("plan"), "{}", int64(i)
		amounts[i], times[i], hashes[i] = decimal.NewFromInt(1), time.Now().UTC(), []byte("h")
	}
	completed := make([]string, n)
	for i := range completed {
		completed[i] = "COMPLETED"
	}
	return map[string]statement{
		"LockFirst":          {ledgerdb.LockFirst, []any{"a", ""}},
		"LockAccounts":       {ledgerdb.LockAccounts, []any{ids}},
		"UnclaimedTransfers": {ledgerdb.UnclaimedTransfers, []any{times[0], n}},
		"ClaimTransfers":     {ledgerdb.ClaimTransfers, []any{"owner", times[0], ids, times[0]}},
		"ExpiredHolds":       {ledgerdb.ExpiredHolds, []any{times[0], n}},
		"FindTransfers":      {ledgerdb.FindTransfers, []any{ids}},
		"FindReversals":      {ledgerdb.FindReversals, []any{ids}},
		"FindHolds":          {ledgerdb.FindHolds, []any{ids}},
		"UpdateBalances":     {ledgerdb.UpdateBalances, []any{ids, amounts, amounts, amounts, numbers, numbers, times, times, amounts, regions}},
		"SetRoleLimits":      {ledgerdb.SetRoleLimits, []any{ids, amounts, amounts}},
		"OwnedAccounts":      {ledgerdb.OwnedAccounts, []any{ids, "owner"}},
		"Outflow":            {ledgerdb.Outflow, []any{"a", times[0], 10}},
		"InsertTransfers": {ledgerdb.InsertTransfers, []any{
			ids, texts, ids, ids, amounts, texts, completed, regions, regions, texts, texts, regions, regions,
			numbers, numbers, hashes, times, times, times, regions,
		}},
		"FinishTransfers": {ledgerdb.FinishTransfers, []any{ids, completed, texts, regions, regions, numbers, numbers, times}},
		"InsertPostings":  {ledgerdb.InsertPostings, []any{ids, numbers, ids, amounts, amounts, texts, times, regions}},
		"InsertHolds": {ledgerdb.InsertHolds, []any{
			ids, ids, ids, amounts, texts, completed, amounts, regions, texts, texts, hashes, times, times, times, regions,
		}},
		"UpdateHolds": {ledgerdb.UpdateHolds, []any{ids, completed, amounts, regions, times}},
	}
}
