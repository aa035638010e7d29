package bench_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"florin/internal/api"
	"florin/internal/audit"
	"florin/internal/bench"
	"florin/internal/identity"
	"florin/internal/platform/clock"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/dbtest/secrets"
)

// BenchmarkAuthentication is what it costs to know who calls: single transfers over
// HTTP by an API key, with the limits of an operator, beside the same by a server
// that takes everybody for an operator and limits nobody. Both write the same books
// and the same audit trail, through one executor; they take turns, so that a busy
// machine is busy for both. It reports the median of kept/open over the turns.
//
//	go test ./internal/bench -run '^$' -bench Authentication -benchtime 5x
func BenchmarkAuthentication(b *testing.B) {
	dbtest.Bench(b, func(b *testing.B, serverURL string) {
		url, db := fresh(b, serverURL)
		trail := audit.New(db, clock.System)
		keys := identity.NewKeys(db, identity.KeysOptions{Clock: clock.System, Log: trail})
		secret, err := keys.Bootstrap(b.Context(), "")
		if err != nil {
			b.Fatal(err)
		}
		secrets.Register(b, "key", secret)
		ledger := books(b, url)
		kept := serve(b, api.Options{Ledger: ledger, Authenticate: keys.Authenticate})
		kept.APIKey = secret
		unlimited, err := api.ParseRateLimits("operator.read=none operator.write=none")
		if err != nil {
			b.Fatal(err)
		}
		open := serve(b, api.Options{Ledger: ledger, RateLimits: unlimited, Authenticate: func(context.Context, string, netip.Addr) (identity.Principal, error) {
			return identity.Principal{Kind: identity.KeyPrincipal, ID: "anybody", Role: identity.Operator}, nil
		}})
		rate := func(server *bench.Server) float64 {
			report, err := bench.Run(b.Context(), bench.Options{Mode: bench.ModeHTTP, Accounts: 500, Duration: 2 * time.Second, Server: server})
			if err != nil {
				b.Fatal(err)
			}
			return report.Runs[0].TransfersPerSecond
		}
		rate(open) // what is slow but once
		var ratios []float64
		for b.Loop() {
			// The second of two finds a larger database, and other leftovers of the first.
			without, with := rate(open), rate(kept)
			with, without = (with+rate(kept))/2, (without+rate(open))/2
			b.Logf("open %.0f, kept %.0f transfers/s", without, with)
			ratios = append(ratios, with/without)
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "kept/open")
	})
}
