package ledger_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// startMeasured runs a ledger whose transactions, and whose own figures, are
// counted in a registry of its own.
func startMeasured(t *testing.T, readsURL, writesURL, applicationName string, o ledger.Options) (*ledger.Ledger, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	transactions := database.NewMetrics(registry)
	o.Registry = registry
	l := ledger.New(
		dbtest.Open(t, readsURL, database.Options{MaxConns: 4, Metrics: transactions}),
		dbtest.Open(t, writesURL, database.Options{Plans: database.PlansPinned, MaxConns: int32(max(o.Workers, 1)), Metrics: transactions, ApplicationName: applicationName}),
		o,
	)
	run(t, l)
	return l, registry
}

// counted adds up a counter, or a histogram's observations, over all its labels
// that include the values given.
func counted(t *testing.T, registry *prometheus.Registry, metric string, values ...string) (total float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != metric {
			continue
		}
		for _, m := range family.Metric {
			missing := slices.Clone(values)
			for _, label := range m.Label {
				missing = slices.DeleteFunc(missing, func(v string) bool { return v == label.GetValue() })
			}
			if len(missing) == 0 {
				total += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return total
}

// Four replicas move money to and fro between the same two accounts: each of their
// transactions is in the way of all others. No caller is told of a conflict.
func TestReplicasThatCollideAnswerEveryTransfer(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = dbtest.Second(t, url)
		const n, clients, transfers = 4, 16, 15
		ledgers := make([]*ledger.Ledger, n)
		registries := make([]*prometheus.Registry, n)
		application := id.New("collide")
		for i := range ledgers {
			ledgers[i], registries[i] = startMeasured(t, url, url, application, ledger.Options{})
		}
		a, b := openWith(t, ledgers[0], "20"), openWith(t, ledgers[0], "20")
		direct := dbtest.Open(t, url, database.Options{MaxConns: 1})
		transfer := func(l *ledger.Ledger, from, to ledger.Account, amount string) error {
			_, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd(amount)})
			return err
		}

		// All wait for one row, which the first to get it changes: on PostgreSQL the
		// others then have to run again. CockroachDB lets them read it anew.
		unlock := lockAccount(t, url, a.ID)
		var first sync.WaitGroup
		for _, l := range ledgers {
			first.Go(func() {
				if err := transfer(l, a, b, "1"); err != nil {
					t.Error(err)
				}
			})
		}
		if direct.Engine == database.Postgres {
			eventually(t, "every replica waits for the row", func() bool {
				var waiting int
				err := direct.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'", application).Scan(&waiting)
				return err == nil && waiting == n
			})
		}
		unlock()
		first.Wait()

		var outcomes tally
		together(clients, func(i int) {
			from, to := a, b
			if i%2 == 1 {
				from, to = b, a
			}
			for range transfers {
				outcomes.add(transfer(ledgers[i/2%n], from, to, "7"))
			}
		})
		done, refused := outcomes.counts[""], outcomes.counts[ledger.InsufficientFunds]
		if done == 0 || done+refused != clients*transfers {
			t.Errorf("of %d transfers: %v", clients*transfers, outcomes.counts)
		}
		conflicts := 0.0
		for _, registry := range registries {
			conflicts += counted(t, registry, "florin_transaction_retries_total", "ledger.execute", "conflict")
		}
		t.Logf("%v transactions run again, outcomes %v", conflicts, outcomes.counts)
		if direct.Engine == database.Postgres && conflicts < n-1 {
			t.Errorf("%v transactions were run again; want at least %d", conflicts, n-1)
		}
		now, err := ledgers[n-1].Account(t.Context(), b.ID)
		if err != nil {
			t.Fatal(err)
		}
		wantBalance(t, ledgers[0], a.ID, usd("40").Sub(now.Posted).String(), "0")
		wantStatementAddsUp(t, ledgers[0], a.ID)
		wantStatementAddsUp(t, ledgers[0], b.ID)
		wantSoundBooks(t, url)
	})
}
