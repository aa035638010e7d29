package ledger_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// isPassing says that a caller should ask again by its id.
func isPassing(err error) bool {
	return errors.Is(err, database.ErrUnavailable) || errors.Is(err, database.ErrCommitUnknown) ||
		errors.Is(err, database.ErrConflict) || errors.Is(err, ledger.ErrOverloaded) || errors.Is(err, context.DeadlineExceeded)
}

// torment lets one trouble of the network follow another, at random, for about as
// many milliseconds each.
func torment(network *dbtest.Network, troubles, milliseconds int) {
	begin := func(kind, stream string, attributes map[string]int) {
		network.Suffer(dbtest.Trouble{Type: kind, Stream: stream, Attributes: attributes})
	}
	for range troubles {
		stream := []string{"upstream", "downstream"}[rand.IntN(2)]
		switch rand.IntN(7) {
		case 0:
			begin("latency", stream, map[string]int{"latency": 5, "jitter": 5})
		case 1: // messages come in pieces
			begin("slicer", stream, map[string]int{"average_size": 40, "size_variation": 20, "delay": 50})
		case 2: // cut after so many bytes, wherever that is
			begin("limit_data", stream, map[string]int{"bytes": 1 + rand.IntN(6000)})
		case 3:
			begin("reset_peer", stream, map[string]int{"timeout": rand.IntN(20)})
		case 4: // swallowed, then cut
			begin("timeout", stream, map[string]int{"timeout": 1 + rand.IntN(30)})
		case 5: // swallowed
			begin("timeout", stream, map[string]int{"timeout": 0})
		case 6:
			network.Cut()
			time.Sleep(time.Duration(milliseconds/2) * time.Millisecond)
			network.Reconnect()
		}
		time.Sleep(time.Duration(milliseconds) * time.Millisecond)
		network.Heal()
		time.Sleep(time.Duration(rand.IntN(milliseconds)) * time.Millisecond)
	}
}

func TestABadNetworkNeitherLosesNorDoublesATransfer(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = dbtest.Second(t, url)
		const n, clients, accounts, troubles = 2, 16, 4, 25
		direct := start(t, url, ledger.Options{})
		ids := make([]string, accounts)
		for i := range ids {
			ids[i] = openWith(t, direct, "1000").ID
		}
		ledgers := make([]*running, n)
		registries := make([]*prometheus.Registry, n)
		var tormenting sync.WaitGroup
		for i := range ledgers {
			network := dbtest.NewNetwork(t, url)
			ledgers[i], registries[i] = startBehindNetwork(t, network.URL)
			tormenting.Go(func() { torment(network, troubles, 80) })
		}
		calm := make(chan struct{})
		go func() {
			tormenting.Wait()
			close(calm)
		}()

		var mu sync.Mutex
		outcomes := map[string]outcome{}
		together(clients, func(int) {
			for isOver := false; !isOver; {
				select {
				case <-calm:
					isOver = true // after one more
				default:
				}
				from := rand.IntN(accounts)
				request := ledger.TransferRequest{
					ID: id.New("t"), SourceAccountID: ids[from], DestinationAccountID: ids[(from+1+rand.IntN(accounts-1))%accounts],
					Amount: decimal.New(int64(1+rand.IntN(50000)), -2),
				}
				got := outcomeOf(t, ledgers, request)
				mu.Lock()
				outcomes[request.ID] = got
				mu.Unlock()
			}
		})
		for _, l := range ledgers { // so that nothing unknown is still under way
			l.stop()
			<-l.done
		}

		postings := postingsOf(t, url, ids)
		counts := map[outcome]int{}
		for transferID, got := range outcomes {
			counts[got]++
			switch n := postings[transferID]; {
			case got == done && n != 2, got == refused && n != 0, got == unknown && n != 0 && n != 2:
				t.Errorf("transfer %s was %s and has %d postings", transferID, got, n)
			}
		}
		broken := 0.0
		for _, registry := range registries {
			broken += counted(t, registry, "florin_transaction_retries_total", "unavailable") + counted(t, registry, "florin_transaction_seconds", "unknown")
		}
		t.Logf("%v, %v transactions broken", counts, broken)
		if counts[done] == 0 || broken == 0 {
			t.Errorf("%d transfers done, %v transactions broken; want some of both", counts[done], broken)
		}
		for _, accountID := range ids {
			wantStatementAddsUp(t, direct, accountID)
		}
		wantSoundBooks(t, url)
	})
}

func startBehindNetwork(t *testing.T, url string) (*running, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	transactions := database.NewMetrics(registry)
	l := ledger.New(
		dbtest.Open(t, url, database.Options{MaxConns: 4, Metrics: transactions}),
		dbtest.Open(t, url, database.Options{Plans: database.PlansPinned, MaxConns: 2, Metrics: transactions}),
		ledger.Options{BatchMax: 5, Registry: registry, Log: slog.New(slog.DiscardHandler)},
	)
	ctx, stop := context.WithCancel(t.Context())
	r := &running{l, stop, make(chan struct{})}
	go func() {
		defer close(r.done)
		l.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-r.done
	})
	return r, registry
}

// outcomeOf asks for a transfer as a client would: again under its id, of any
// replica, when no answer came, but not for ever.
func outcomeOf(t *testing.T, ledgers []*running, request ledger.TransferRequest) outcome {
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := ledgers[rand.IntN(len(ledgers))].Transfer(ctx, request)
		cancel()
		switch {
		case err == nil:
			return done
		case codeOf(err) == ledger.InsufficientFunds:
			return refused
		case !isPassing(err):
			t.Errorf("neither done nor refused: %v", err)
		}
	}
	return unknown
}

// postingsOf counts the postings of each transfer of some accounts.
func postingsOf(t *testing.T, url string, accountIDs []string) map[string]int {
	t.Helper()
	db := dbtest.Open(t, url, database.Options{MaxConns: 1})
	rows, err := db.Query(t.Context(), "SELECT transfer_id, count(*) FROM postings WHERE account_id = ANY($1) GROUP BY transfer_id", accountIDs)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	var transferID string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&transferID, &n}, func() error { counts[transferID] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	return counts
}
