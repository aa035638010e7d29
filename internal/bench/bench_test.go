package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/api"
	"florin/internal/bench"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// fresh is an empty, migrated database of the test's own.
func fresh(t testing.TB, serverURL string) (string, *database.DB) {
	t.Helper()
	url := dbtest.Fresh(t, serverURL)
	dbtest.Migrate(t, url)
	return url, dbtest.Open(t, url, database.Options{})
}

func scratchDatabases(t *testing.T, db *database.DB) (n int) {
	t.Helper()
	err := db.QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname LIKE left(current_database(), 30) || '_bench_%'").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantRightBooks(t *testing.T, db *database.DB) ledger.Proof {
	t.Helper()
	proof, err := ledger.Verify(t.Context(), db, nil)
	if err != nil || len(proof.Offences) > 0 {
		t.Fatalf("the books: %+v, %v", proof.Offences, err)
	}
	return proof
}

func TestEveryModeMovesWhatItAcknowledges(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, serverURL string) {
		dbtest.LongOnCockroach(t)
		url, db := fresh(t, serverURL)
		report, err := bench.Run(t.Context(), bench.Options{
			Mode: bench.ModeAll, Accounts: 60, Hot: 0.5, Batch: 50, Duration: time.Second, DatabaseURL: url,
		})
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := report.Print(&text); err != nil {
			t.Error(err)
		}
		t.Log(text.String())
		if len(report.Runs) != 5 {
			t.Fatalf("%d runs; want raw, naive and ledger, the latter two also hot", len(report.Runs))
		}
		var inLedger int64
		for _, run := range report.Runs {
			// On a slow day nothing may begin and end within the time that counts.
			if run.Stored == 0 || run.P50Ms > run.P95Ms || run.P95Ms > run.P99Ms {
				t.Errorf("%s: %.0f transfers/s, p50 %.3f, p95 %.3f, p99 %.3f ms", run.Mode, run.TransfersPerSecond, run.P50Ms, run.P95Ms, run.P99Ms)
			}
			if run.Acknowledged != run.Stored || run.Stored < int64(run.TransfersPerSecond*run.Seconds)-1 || run.Failures != 0 {
				t.Errorf("%s: %d acknowledged, %d stored, %d refused", run.Mode, run.Acknowledged, run.Stored, run.Failures)
			}
			if run.Mode == bench.ModeLedger {
				inLedger += run.Stored + int64(run.Accounts) // their opening balances
			}
		}
		if err := report.Check(); err != nil {
			t.Error(err)
		}
		for _, ratio := range []string{"ledger/raw", "ledgerHot/ledger", "ledgerHot/naiveHot"} {
			if _, told := report.Ratios[ratio]; !told {
				t.Errorf("ratio %s is missing from %v", ratio, report.Ratios)
			}
		}
		if proof := wantRightBooks(t, db); proof.Transfers != inLedger {
			t.Errorf("the ledger holds %d transfers; want %d", proof.Transfers, inLedger)
		}
		if n := scratchDatabases(t, db); n != 0 {
			t.Errorf("%d scratch databases are left", n)
		}
	})
}

func TestLedgerTakesSingleTransfers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, serverURL string) {
		url, db := fresh(t, serverURL)
		report, err := bench.Run(t.Context(), bench.Options{
			Mode: bench.ModeLedger, Accounts: 20, Hot: 1, Batch: 1, Concurrency: 8, Duration: 200 * time.Millisecond, DatabaseURL: url,
		})
		if err != nil {
			t.Fatal(err)
		}
		if run := report.Runs[0]; run.Stored == 0 || run.Stored != run.Acknowledged || run.Concurrency != 8 || run.Batch != 1 {
			t.Errorf("got %+v", run)
		}
		wantRightBooks(t, db)
	})
}

// authenticate takes "secret" for an operator's key.
func authenticate(_ context.Context, token string, _ netip.Addr) (identity.Principal, error) {
	if token != "secret" {
		return identity.Principal{}, api.ErrUnauthenticated
	}
	return identity.Principal{Kind: identity.KeyPrincipal, ID: "bench", Name: "bench", Role: identity.Operator}, nil
}

// books are a ledger that runs until the test ends.
func books(t testing.TB, url string) *ledger.Ledger {
	t.Helper()
	l := ledger.New(dbtest.Open(t, url, database.Options{}), dbtest.Open(t, url, database.Options{Plans: database.PlansPinned, MaxConns: 2}), ledger.Options{})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return l
}

// serve runs the API until the test ends.
func serve(t testing.TB, o api.Options) *bench.Server {
	t.Helper()
	o.Registry, o.Log = prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	o.Ready = func(context.Context) error { return nil }
	server := httptest.NewServer(api.New(o))
	t.Cleanup(server.Close)
	return &bench.Server{URLs: []string{server.URL}, APIKey: "secret"}
}

func TestHTTPModesMoveWhatTheyAcknowledge(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, serverURL string) {
		url, db := fresh(t, serverURL)
		server := serve(t, api.Options{Ledger: books(t, url), Authenticate: authenticate})
		for _, mode := range []bench.Mode{bench.ModeHTTP, bench.ModeHTTPBatch} {
			o := bench.Options{Mode: mode, Accounts: 30, Hot: 0.5, Batch: 40, Duration: 300 * time.Millisecond, Server: server}
			for _, o.DatabaseURL = range []string{"", url} { // counted by the server, and in the database
				o.Server.SharesDatabase = o.DatabaseURL != ""
				report, err := bench.Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if run := report.Runs[0]; run.Stored == 0 || run.Stored != run.Acknowledged || run.Failures != 0 ||
					(run.P99Ms > 0) != (run.TransfersPerSecond > 0) {
					t.Errorf("got %+v", run)
				}
			}
		}
		wantRightBooks(t, db)

		server.APIKey = "wrong"
		_, err := bench.Run(t.Context(), bench.Options{Mode: bench.ModeHTTP, Server: server})
		if err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("with a wrong key: %v", err)
		}
	})
}

func TestInterruptedRunLeavesNoScratchDatabase(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, serverURL string) {
		dbtest.LongOnCockroach(t)
		for _, mode := range []bench.Mode{bench.ModeRaw, bench.ModeNaive} {
			t.Run(string(mode), func(t *testing.T) {
				t.Parallel()
				url, db := fresh(t, serverURL)
				ctx, interrupt := context.WithCancel(t.Context())
				_, err := bench.Run(ctx, bench.Options{
					Mode: mode, Accounts: 20, Duration: time.Hour, DatabaseURL: url,
					Progress: func(p bench.Progress) {
						if p.Transfers > 0 {
							interrupt()
						}
					},
				})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v; want it canceled", err)
				}
				if n := scratchDatabases(t, db); n != 0 {
					t.Errorf("%d scratch databases are left", n)
				}
			})
		}
	})
}

func TestBadOptionsGetOneLine(t *testing.T) {
	for name, o := range map[string]bench.Options{
		"--mode":        {Mode: "fast"},
		"--accounts":    {Mode: bench.ModeRaw, Accounts: 2},
		"--hot":         {Mode: bench.ModeRaw, Hot: 1.1},
		"--concurrency": {Mode: bench.ModeRaw, Concurrency: -1},
		"--batch":       {Mode: bench.ModeRaw, Batch: 10_001},
		"--duration":    {Mode: bench.ModeRaw, Duration: time.Millisecond},
		"server":        {Mode: bench.ModeHTTP},
		"database":      {Mode: bench.ModeRaw},
	} {
		_, err := bench.Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestReportIsOneObject(t *testing.T) {
	text, err := json.Marshal(bench.Report{Runs: []bench.Result{{Mode: bench.ModeRaw}}, Ratios: map[string]float64{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"mode", "engine", "transfersPerSecond", "p50Ms", "p95Ms", "p99Ms", "conflicts", "seconds", "accounts", "hot", "batch", "concurrency"} {
		if !strings.Contains(string(text), `"`+field+`":`) {
			t.Errorf("%s is not in %s", field, text)
		}
	}
}
