package ledger_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// CockroachDB's own means to try a client's retry loop: session variables that
// make the first statement, or the COMMIT, of a transaction fail with 40001.
const (
	injectAtStatements = "inject_retry_errors_enabled"
	injectAtCommits    = "inject_retry_errors_on_commit_enabled"
)

// eachInjecting runs a test where errors can be injected.
func eachInjecting(t *testing.T, test func(t *testing.T, url string)) {
	dbtest.Each(t, func(t *testing.T, url string) {
		if dbtest.Open(t, url, database.Options{MaxConns: 1}).Engine != database.Cockroach {
			t.Skip("only CockroachDB injects errors")
		}
		test(t, dbtest.Second(t, url))
	})
}

// A variable set for a whole pool refuses every run of every transaction: the
// engine gives in after three errors, but counts them anew from each BEGIN.
func TestARefusedBatchEndsAndLeavesNothing(t *testing.T) {
	t.Parallel()
	eachInjecting(t, func(t *testing.T, url string) {
		healthy := start(t, url, ledger.Options{})
		from, to := openWith(t, healthy, "10"), openWith(t, healthy, "0")
		for _, variable := range []string{injectAtStatements, injectAtCommits} {
			refused, registry := startMeasured(t, url, dbtest.With(t, url, variable, "true"), "", ledger.Options{})
			requests := []ledger.TransferRequest{
				{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")},
				{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("2")},
			}
			if _, err := refused.TransferBatch(t.Context(), requests, false); !errors.Is(err, database.ErrConflict) {
				t.Fatalf("%s: got %v; want ErrConflict", variable, err)
			}
			// Each of the two alone, and before that both together if they came as one batch.
			if n := counted(t, registry, "florin_transaction_retries_total", "ledger.execute", "conflict"); n != 2*11 && n != 3*11 {
				t.Errorf("%s: %v retries; want 22 or 33", variable, n)
			}
			for _, request := range requests {
				if _, err := healthy.TransferByID(t.Context(), request.ID); codeOf(err) != ledger.TransactionNotFound {
					t.Errorf("%s: after ErrConflict: %v", variable, err)
				}
			}
			if results, err := healthy.TransferBatch(t.Context(), requests, false); err != nil || results[0].Err != nil || results[1].Err != nil {
				t.Errorf("%s: the same requests again: %+v, %v", variable, results, err)
			}
		}
		wantBalance(t, healthy, to.ID, "6", "0")
		wantSoundBooks(t, url)
	})
}

// refuseInTurns has the transactions of a pool of one connection refused at least
// three times each turn, at their statements and at their commits, and lets at
// least one through between the turns. stop ends that and counts the turns.
func refuseInTurns(t *testing.T, writes *database.DB, registry *prometheus.Registry) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	set := func(variable, value string) {
		// Between two runs of a transaction its connection is free.
		if _, err := writes.Exec(t.Context(), "SET "+variable+" = "+value); err != nil {
			t.Error(err)
		}
	}
	await := func(more float64, metric string, labels ...string) {
		enough := counted(t, registry, metric, labels...) + more
		for ctx.Err() == nil && counted(t, registry, metric, labels...) < enough {
			time.Sleep(time.Millisecond)
		}
	}
	turns := 0
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			for _, variable := range []string{injectAtStatements, injectAtCommits} {
				set(variable, "true")
				await(3, "florin_transaction_retries_total", "conflict")
				set(variable, "false")
				if ctx.Err() == nil {
					turns++
				}
				await(1, "florin_transaction_seconds", "committed")
			}
		}
	})
	return func() int {
		cancel()
		running.Wait()
		return turns
	}
}

func TestEveryCommandSurvivesInjectedConflicts(t *testing.T) {
	t.Parallel()
	eachInjecting(t, func(t *testing.T, url string) {
		registry := prometheus.NewRegistry()
		measured := database.NewMetrics(registry)
		writes := dbtest.Open(t, url, database.Options{Plans: database.PlansPinned, MaxConns: 1, Metrics: measured})
		// Single statements, such as the ledger's reads, are run again by the engine itself.
		reads := dbtest.Open(t, dbtest.With(t, url, injectAtStatements, "true"), database.Options{MaxConns: 4})
		l := ledger.New(reads, writes, ledger.Options{BatchMax: 10})
		run(t, l)
		stop := refuseInTurns(t, writes, registry)

		const clients = 8
		sources, sinks := make([]ledger.Account, clients), make([]ledger.Account, clients)
		shared := openWith(t, l, "0")
		together(clients, func(i int) {
			check := func(what string, err error, want ledger.Code) {
				if codeOf(err) != want {
					t.Errorf("%s: got %v; want %q", what, err, want)
				}
			}
			var err error
			sources[i], err = l.OpenAccount(t.Context(), ledger.OpenAccount{ID: id.New("a"), Balance: usd("100")})
			check("open", err, "")
			sinks[i], err = l.OpenAccount(t.Context(), ledger.OpenAccount{ID: id.New("a")})
			check("open", err, "")
			request := func(amount string) ledger.TransferRequest {
				return ledger.TransferRequest{ID: id.New("t"), SourceAccountID: sources[i].ID, DestinationAccountID: sinks[i].ID, Amount: usd(amount)}
			}
			hold := func(amount string) ledger.Hold {
				held, err := l.PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: sources[i].ID, DestinationAccountID: shared.ID, Amount: usd(amount)})
				check("hold", err, "")
				return held
			}

			first := request("10")
			_, err = l.Transfer(t.Context(), first)
			check("transfer", err, "")
			_, err = l.Transfer(t.Context(), first)
			check("the same transfer", err, "")
			_, err = l.Transfer(t.Context(), request("1000"))
			check("too large a transfer", err, ledger.InsufficientFunds)
			_, err = l.Reverse(t.Context(), ledger.Reversal{TargetID: first.ID})
			check("reversal", err, "")
			for _, atomic := range []bool{true, false} {
				results, err := l.TransferBatch(t.Context(), []ledger.TransferRequest{request("1"), request("2")}, atomic)
				check("batch", err, "")
				for _, result := range results {
					check("transfer of a batch", result.Err, "")
				}
			}
			_, err = l.CaptureHold(t.Context(), ledger.Capture{HoldID: hold("5").ID})
			check("capture", err, "")
			_, err = l.VoidHold(t.Context(), hold("7").ID)
			check("void", err, "")
			for range 3 {
				_, err = l.Accept(t.Context(), request("4"))
				check("accept", err, "")
			}
		})
		wantNothingUnfinished(t, url)
		turns := stop()
		if n := counted(t, registry, "florin_transaction_retries_total", "ledger.execute", "conflict"); turns < 4 || n < float64(3*turns) {
			t.Errorf("%v retries in %d turns; want at least 4 turns of 3", n, turns)
		}
		wantBalance(t, l, shared.ID, "40", "0")
		for i := range clients {
			wantBalance(t, l, sources[i].ID, "77", "0")
			wantBalance(t, l, sinks[i].ID, "18", "0")
		}
		wantSoundBooks(t, url)
	})
}
