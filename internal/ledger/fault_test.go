package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// startBehind runs a ledger that writes through the proxy and reads directly.
func startBehind(t *testing.T, url string, proxy *dbtest.Proxy, o ledger.Options) *ledger.Ledger {
	t.Helper()
	l := ledger.New(dbtest.Open(t, url, database.Options{MaxConns: 4}), dbtest.Open(t, proxy.URL, database.Options{Plans: database.PlansPinned, MaxConns: 4}), o)
	run(t, l)
	return l
}

func TestACommitWhoseOutcomeWasLostIsDoneOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		for name, mode := range map[string]dbtest.Break{"the answer was lost": dbtest.CommitApplied, "the commit was lost": dbtest.CommitLost, "the answer was that time was up": dbtest.CommitAppliedYetTimedOut} {
			proxy := dbtest.NewProxy(t, url)
			registry := prometheus.NewRegistry()
			l := startBehind(t, url, proxy, ledger.Options{BatchMax: 8, Registry: registry})
			from, to := openWith(t, l, "30"), openWith(t, l, "0")
			hold, err := l.PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("4")})
			if err != nil {
				t.Fatal(err)
			}

			// Every kind of command, alone in its batch, each with its commit broken twice.
			broken := func(what string, f func() error) {
				t.Helper()
				before := proxy.Broken()
				proxy.BreakCommits(2, mode)
				if err := f(); err != nil || proxy.Broken() != before+2 {
					t.Fatalf("%s, %s: %v, %d commits broken", name, what, err, proxy.Broken()-before)
				}
			}
			transferID, reversalID, accountID := id.New("t"), id.New("r"), id.New("a")
			broken("transfer", func() error {
				got, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: transferID, SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("3")})
				if err == nil && (got.Status != ledger.Completed || got.ID != transferID) {
					return fmt.Errorf("%+v", got)
				}
				return err
			})
			broken("reversal", func() error {
				_, err := l.Reverse(t.Context(), ledger.Reversal{ID: reversalID, TargetID: transferID})
				return err
			})
			broken("refusal", func() error {
				_, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: to.ID, DestinationAccountID: from.ID, Amount: usd("300")})
				if codeOf(err) != ledger.InsufficientFunds {
					return fmt.Errorf("want insufficient_funds, got %w", err)
				}
				return nil
			})
			broken("account", func() error {
				got, err := l.OpenAccount(t.Context(), ledger.OpenAccount{ID: accountID, Balance: usd("5")})
				if err == nil && !got.Posted.Equal(usd("5")) {
					return fmt.Errorf("%+v", got)
				}
				return err
			})
			broken("capture", func() error {
				_, err := l.CaptureHold(t.Context(), ledger.Capture{HoldID: hold.ID})
				return err
			})
			broken("hold", func() error {
				hold, err = l.PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("4")})
				return err
			})
			broken("void", func() error {
				_, err := l.VoidHold(t.Context(), hold.ID)
				return err
			})
			broken("atomic batch", func() error {
				results, err := l.TransferBatch(t.Context(), []ledger.TransferRequest{
					{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")},
					{ID: id.New("t"), SourceAccountID: to.ID, DestinationAccountID: from.ID, Amount: usd("2")},
				}, true)
				if err == nil && (results[0].Err != nil || results[1].Err != nil) {
					return errors.Join(results[0].Err, results[1].Err)
				}
				return err
			})
			wantBalance(t, l, from.ID, "27", "0")
			wantBalance(t, l, to.ID, "3", "0")

			// Many at once, some of whose batches lose their commits.
			var outcomes tally
			proxy.BreakCommits(3, mode)
			together(40, func(int) {
				_, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")})
				outcomes.add(err)
			})
			outcomes.want(t, map[ledger.Code]int{"": 27, ledger.InsufficientFunds: 13})
			wantBalance(t, l, from.ID, "0", "0")
			wantBalance(t, l, to.ID, "30", "0")

			// One that stays unknown is told so, and its caller asks again.
			request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: to.ID, DestinationAccountID: from.ID, Amount: usd("1")}
			proxy.BreakCommits(5, mode)
			if _, err := l.Transfer(t.Context(), request); !errors.Is(err, database.ErrCommitUnknown) {
				t.Fatalf("%s five times: %v", name, err)
			}
			if got, err := l.Transfer(t.Context(), request); err != nil || got.Status != ledger.Completed {
				t.Fatalf("%+v, %v", got, err)
			}
			wantBalance(t, l, from.ID, "1", "0")
		}
		wantSoundBooks(t, url)
	})
}

func TestConnectionsThatBreakUnderLoadLoseNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		proxy := dbtest.NewProxy(t, url)
		l := startBehind(t, url, proxy, ledger.Options{BatchMax: 10})
		from, to := openWith(t, l, "1000"), openWith(t, l, "0")
		var cutting sync.WaitGroup
		cutting.Go(func() {
			for range 12 {
				time.Sleep(15 * time.Millisecond)
				proxy.Cut()
			}
		})
		var outcomes tally
		together(20, func(int) {
			for range 5 {
				request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")}
				_, err := l.Transfer(t.Context(), request)
				for errors.Is(err, database.ErrUnavailable) || errors.Is(err, database.ErrCommitUnknown) {
					_, err = l.Transfer(t.Context(), request) // as a client would
				}
				outcomes.add(err)
			}
		})
		cutting.Wait()
		outcomes.want(t, map[ledger.Code]int{"": 100})
		wantBalance(t, l, to.ID, "100", "0")
	})
}

func TestMetricsCountWhatBecameOfCommands(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		registry := prometheus.NewRegistry()
		l := start(t, url, ledger.Options{Registry: registry})
		from, to := openWith(t, l, "1"), openWith(t, l, "0")
		for range 2 {
			_, _ = l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")})
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]float64{}
		for _, family := range families {
			for _, metric := range family.Metric {
				if family.GetName() == "florin_executor_commands_total" {
					counts[metric.Label[0].GetValue()] += metric.GetCounter().GetValue()
				}
				if strings.HasSuffix(family.GetName(), "queue_depth") && metric.GetGauge().GetValue() != 0 {
					t.Errorf("the queue is %v deep", metric.GetGauge().GetValue())
				}
			}
		}
		if counts["ok"] < 3 || counts["insufficient_funds"] != 1 {
			t.Fatalf("%v", counts)
		}
	})
}

// The commit was made, its answer lost, and the database stayed away: "nothing was
// applied" would be wrong, and a caller who believed it might pay twice.
func TestAnUnknownCommitStaysUnknownWhenTheDatabaseIsGone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		proxy := dbtest.NewProxy(t, url)
		// One connection, so that none is left over when the database is gone.
		l := ledger.New(dbtest.Open(t, url, database.Options{MaxConns: 4}),
			dbtest.Open(t, proxy.URL, database.Options{Plans: database.PlansPinned, MaxConns: 1}), ledger.Options{})
		run(t, l)
		accountID := id.New("a")
		proxy.BreakCommits(1, dbtest.CommitAppliedThenGone)
		_, err := l.OpenAccount(t.Context(), ledger.OpenAccount{ID: accountID})
		if !errors.Is(err, database.ErrCommitUnknown) {
			t.Fatalf("got %v; want ErrCommitUnknown", err)
		}
		if _, err := l.Account(t.Context(), accountID); err != nil {
			t.Fatalf("the commit was made: %v", err)
		}
	})
}
