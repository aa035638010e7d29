package ledger_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// scans is what PostgreSQL counts of the ledger's tables: whole tables read, and
// entries read from indexes.
type scans struct {
	sequential map[string]int64
	entries    int64
}

func countScans(t *testing.T, pools ...*database.DB) scans {
	t.Helper()
	for _, pool := range pools { // of one connection each, which reports what it did
		if _, err := pool.Exec(t.Context(), "SELECT pg_stat_force_next_flush()"); err != nil {
			t.Fatal(err)
		}
	}
	s := scans{sequential: map[string]int64{}}
	rows, err := pools[0].Query(t.Context(), `
		SELECT t.relname, t.seq_scan, coalesce((SELECT sum(i.idx_tup_read) FROM pg_stat_user_indexes AS i WHERE i.relid = t.relid), 0)::bigint
		FROM pg_stat_user_tables AS t
		WHERE t.relname IN ('accounts', 'transfers', 'postings', 'holds')`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		var sequential, entries int64
		if err := rows.Scan(&table, &sequential, &entries); err != nil {
			t.Fatal(err)
		}
		s.sequential[table] = sequential
		s.entries += entries
	}
	return s
}

// Statements are planned once a connection, on empty tables, and the plan is kept
// while the tables grow (docs/adr/0004): it has to go through the indexes.
func TestPlansMadeOnEmptyTablesUseTheIndexesOfLargeOnes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		if dbtest.Open(t, url, database.Options{MaxConns: 1}).Engine != database.Postgres {
			t.Skip("PostgreSQL's counters")
		}
		url = dbtest.Fresh(t, url)
		migrateAndLeave(t, url)
		for _, table := range []string{"accounts", "transfers", "postings", "holds"} {
			execute(t, url, "ALTER TABLE "+table+" SET (autovacuum_enabled = false)") // never analysed
		}
		reads := dbtest.Open(t, url, database.Options{MaxConns: 1})
		writes := dbtest.Open(t, url, database.Options{MaxConns: 1, Plans: database.PlansPinned})
		l := ledger.New(reads, writes, ledger.Options{BatchMax: 2000, SweepInterval: time.Hour, ExpiryInterval: time.Hour})
		run(t, l)

		from, err := l.OpenAccount(t.Context(), ledger.OpenAccount{Type: ledger.Asset})
		if err != nil {
			t.Fatal(err)
		}
		everything := func() { useEverything(t, l, from.ID) }
		for range 8 {
			everything()
		}
		execute(t, url, `
			INSERT INTO transfers (transfer_id, kind, source_account_id, destination_account_id, amount, currency, status, description, source_seq, destination_seq, request_hash, created_at, finished_at)
			SELECT 'x' || i, 'TRANSFER', 'x' || i % 1000, 'x' || i % 999, 1, 'USD', 'COMPLETED', '', i, i, '', now(), now() FROM generate_series(1, 200000) AS i`)
		execute(t, url, `
			INSERT INTO accounts (account_id, account_type, currency, status, posted, held, overdraft_limit, shortfall, last_seq, version, metadata, opening_hash, created_at, updated_at)
			SELECT 'x' || i, 'ASSET', 'USD', 'ACTIVE', 0, 0, NULL, 0, 0, 1, '{}', '', now(), now() FROM generate_series(1, 200000) AS i`)
		execute(t, url, `
			INSERT INTO postings (account_id, seq, transfer_id, amount, balance, currency, created_at)
			SELECT 'p' || i % 1000, i, 'x' || i, 1, 1, 'USD', now() FROM generate_series(1, 50000) AS i`)
		execute(t, url, `
			INSERT INTO holds (hold_id, source_account_id, destination_account_id, amount, currency, status, captured_amount, description, request_hash, created_at, updated_at)
			SELECT 'x' || i, 'x1', 'x2', 1, 'USD', 'VOIDED', 0, '', '', now(), now() FROM generate_series(1, 50000) AS i`)

		for _, phase := range []string{"never analysed", "analysed"} {
			if phase == "analysed" {
				execute(t, url, "ANALYZE")
			}
			for _, size := range []int{1, 10, 100, 1000, 2000} {
				before := countScans(t, writes, reads)
				requests := make([]ledger.TransferRequest, size)
				for i := range requests {
					requests[i] = ledger.TransferRequest{ID: id.New("t"), SourceAccountID: fmt.Sprint("x", i+1), DestinationAccountID: fmt.Sprint("x", 100_000+i), Amount: usd("1")}
				}
				for range 2 { // new, then known
					results, err := l.TransferBatch(t.Context(), requests, true)
					if err != nil || results[size-1].Err != nil {
						t.Fatalf("%+v, %v", results, err)
					}
				}
				after := countScans(t, writes, reads)
				if fmt.Sprint(after.sequential) != fmt.Sprint(before.sequential) {
					t.Errorf("%s, batch of %d: sequential scans %v, then %v", phase, size, before.sequential, after.sequential)
				}
				if entries := after.entries - before.entries; entries > int64(100+40*size) {
					t.Errorf("%s, batch of %d: %d entries of indexes were read", phase, size, entries)
				}
			}
			before := countScans(t, writes, reads)
			everything()
			after := countScans(t, writes, reads)
			if fmt.Sprint(after.sequential) != fmt.Sprint(before.sequential) {
				t.Errorf("%s, every command: sequential scans %v, then %v", phase, before.sequential, after.sequential)
			}
			if entries := after.entries - before.entries; entries > 2000 {
				t.Errorf("%s, every command: %d entries of indexes were read", phase, entries)
			}
		}
	})
}

// migrateAndLeave migrates and waits until the server has counted all that it did
// for it: building an index reads a table.
func migrateAndLeave(t *testing.T, url string) {
	t.Helper()
	db, err := database.Open(t.Context(), url, database.Options{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := database.Migrate(t.Context(), db, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	db.Close()
	alone := dbtest.Open(t, url, database.Options{MaxConns: 1})
	eventually(t, "no other connection", func() bool {
		var others int
		err := alone.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()").Scan(&others)
		return err == nil && others == 0
	})
}

// useEverything runs each statement of the executor and of the background once
// or more.
func useEverything(t *testing.T, l *ledger.Ledger, fromID string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	to, err := l.OpenAccount(ctx, ledger.OpenAccount{Balance: usd("1")})
	must(err)
	_, err = l.UpdateAccount(ctx, ledger.UpdateAccount{ID: to.ID, Metadata: []byte(`{"a":1}`)})
	must(err)
	request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: fromID, DestinationAccountID: to.ID, Amount: usd("1")}
	_, err = l.Transfer(ctx, request)
	must(err)
	_, err = l.Reverse(ctx, ledger.Reversal{TargetID: request.ID})
	must(err)
	for _, captures := range []bool{true, false} {
		hold, err := l.PlaceHold(ctx, ledger.HoldRequest{SourceAccountID: fromID, DestinationAccountID: to.ID, Amount: usd("1")})
		must(err)
		_, err = l.PendingHolds(ctx, fromID, "", 50)
		must(err)
		if captures {
			_, err = l.CaptureHold(ctx, ledger.Capture{HoldID: hold.ID})
		} else {
			_, err = l.VoidHold(ctx, hold.ID)
		}
		must(err)
	}
	request.ID, request.Limits = id.New("t"), &ledger.Limits{}
	_, err = l.Accept(ctx, request)
	must(err)
	wantAllCompleted(t, l, []string{request.ID})
}
