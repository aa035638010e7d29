package seed_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"florin/internal/ledger"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/seed"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// start runs a ledger on an empty database of its own until the test ends.
func start(t *testing.T, serverURL string) (*ledger.Ledger, *database.DB) {
	t.Helper()
	url := dbtest.Fresh(t, serverURL)
	dbtest.Migrate(t, url)
	reads := dbtest.Open(t, url, database.Options{})
	l := ledger.New(reads, dbtest.Open(t, url, database.Options{Plans: database.PlansPinned, MaxConns: 2}), ledger.Options{})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return l, reads
}

// prove returns the proof of books that are right.
func prove(t *testing.T, db *database.DB) ledger.Proof {
	t.Helper()
	proof, err := ledger.Verify(t.Context(), db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(proof.Offences) > 0 {
		t.Fatalf("the books are wrong: %+v", proof.Offences)
	}
	return proof
}

func TestDemoMakesASmallWorldOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l, db := start(t, url)
		elapsed := clock.Stopwatch()
		if err := seed.Demo(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		t.Logf("the first run took %s", elapsed())
		first := prove(t, db)
		if first.Accounts < 40 || first.Transfers < 200 || first.Holds != 1 || len(first.Turnover) < 4 {
			t.Errorf("got %d accounts, %d transfers, %d holds, %d currencies; want at least 40, 200, 1, 4",
				first.Accounts, first.Transfers, first.Holds, len(first.Turnover))
		}
		mallory, err := l.Account(t.Context(), "mallory")
		if err != nil || mallory.Status != ledger.Frozen {
			t.Errorf("mallory is %s, %v; want FROZEN", mallory.Status, err)
		}
		for id, want := range map[string]ledger.Code{"demo-too-much": ledger.InsufficientFunds, "demo-frozen": ledger.AccountFrozen} {
			if transfer, err := l.TransferByID(t.Context(), id); err != nil || transfer.Failure == nil || transfer.Failure.Code != want {
				t.Errorf("%s: %+v, %v; want %s", id, transfer.Failure, err, want)
			}
		}
		failed, err := l.Transfers(t.Context(), ledger.TransferFilter{Status: ledger.Failed}, ledger.TransferPosition{}, 100)
		if err != nil || len(failed) != 2 {
			t.Errorf("%d transfers failed, %v; want the two that are meant to", len(failed), err)
		}

		if err := seed.Demo(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		second := prove(t, db)
		if second.Accounts != first.Accounts || second.Postings != first.Postings {
			t.Errorf("a second run left %d accounts and %d postings; want %d and %d as before",
				second.Accounts, second.Postings, first.Accounts, first.Postings)
		}
	})
}

func TestRunMakesTheSameDataOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l, db := start(t, url)
		o := seed.Options{Seed: 7, Accounts: 60, Transfers: 6000, Months: 6, Failures: 0.05, Batch: 300}
		first, err := seed.Run(t.Context(), l, o)
		if err != nil {
			t.Fatal(err)
		}
		before := prove(t, db)
		meant := first.FailedBy[ledger.InsufficientFunds] + first.FailedBy[ledger.AccountNotFound]
		if first.Transfers != o.Transfers || first.Completed+first.Failed != o.Transfers || first.Failed != meant || first.Replayed != 0 {
			t.Errorf("got %+v", first)
		}
		if meant < o.Transfers/50 || meant > o.Transfers/10 {
			t.Errorf("%d of %d failed; want about 5%%", meant, o.Transfers)
		}
		if first.Captures == 0 || first.Voids == 0 || first.Reversals == 0 || before.Holds == 0 || len(before.Turnover) != 3 {
			t.Errorf("got %+v in %d currencies", first, len(before.Turnover))
		}

		second, err := seed.Run(t.Context(), l, o)
		if err != nil {
			t.Fatal(err)
		}
		if after := prove(t, db); after.Postings != before.Postings || after.Accounts != before.Accounts || after.Holds != before.Holds {
			t.Errorf("a second run changed %+v to %+v", before, after)
		}
		if second.Replayed != second.Transfers || second.Completed != first.Completed || second.Failed != first.Failed {
			t.Errorf("a second run: %+v; want all of the first replayed", second)
		}
	})
}

// What the data is depends on the options alone, not on the database or on how
// the batches came along.
func TestRunIsTheSameOnEveryDatabase(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		turnover := map[int]ledger.Proof{}
		for i := range 2 {
			l, db := start(t, url)
			if _, err := seed.Run(t.Context(), l, seed.Options{Seed: 3, Accounts: 40, Transfers: 1500, Months: 1, Failures: 0.1, Batch: 100 + 150*i}); err != nil {
				t.Fatal(err)
			}
			proof := prove(t, db)
			for currency, sum := range proof.Turnover {
				if i == 1 && !sum.Equal(turnover[0].Turnover[currency]) {
					t.Errorf("%s: %s was transferred, and %s before", currency, sum, turnover[0].Turnover[currency])
				}
			}
			turnover[i] = proof
		}
	})
}

func TestBadOptionsGetOneLine(t *testing.T) {
	good := seed.Options{Accounts: 100, Transfers: 10, Months: 1, Batch: 10}
	for flag, spoil := range map[string]func(*seed.Options){
		"--accounts":  func(o *seed.Options) { o.Accounts = 3 },
		"--customers": func(o *seed.Options) { o.Customers = 200 },
		"--transfers": func(o *seed.Options) { o.Transfers = -1 },
		"--months":    func(o *seed.Options) { o.Months = 0 },
		"--failures":  func(o *seed.Options) { o.Failures = 2 },
		"--batch":     func(o *seed.Options) { o.Batch = 10_000 },
	} {
		o := good
		spoil(&o)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), flag) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v", flag, err)
		}
	}
}
