package ledger_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// startHurried runs a ledger whose executor gives a transaction this long, and that
// writes to writesURL.
func startHurried(t *testing.T, url, writesURL string, limit time.Duration) (*ledger.Ledger, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	l := ledger.New(
		dbtest.Open(t, url, database.Options{MaxConns: 4}),
		dbtest.Open(t, writesURL, database.Options{Plans: database.PlansPinned, MaxConns: 4, Metrics: database.NewMetrics(registry)}),
		ledger.Options{Registry: registry},
	)
	ledger.LimitTransactions(l, limit)
	run(t, l)
	return l, registry
}

// wantLate fails the test unless err says that time was up, that nothing was applied,
// and not that the database is away.
func wantLate(t *testing.T, what string, err error) {
	t.Helper()
	isLate := errors.Is(err, database.ErrOutOfTime) && database.TimedOut(err)
	if !isLate || database.Unavailable(err) || errors.Is(err, database.ErrCommitUnknown) {
		t.Errorf("%s: got %v; want ErrOutOfTime alone", what, err)
	}
}

// inOneBatch hands transfers in that wait for the worker, so that they come as one batch,
// and returns the errors.
func inOneBatch(t *testing.T, url string, l *ledger.Ledger, requests []ledger.TransferRequest) []error {
	t.Helper()
	proceed := busy(t, url, l)
	errs := make([]error, len(requests))
	var waiting sync.WaitGroup
	for i := range requests {
		waiting.Go(func() { _, errs[i] = l.Transfer(t.Context(), requests[i]) })
	}
	time.Sleep(100 * time.Millisecond) // until they wait
	proceed()
	waiting.Wait()
	return errs
}

func TestATransferThatRunsOutOfTimeDoesNotSpoilItsBatch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l, _ := startHurried(t, url, url, 2*time.Second)
		from, waits, to := openWith(t, l, "10"), openWith(t, l, "10"), openWith(t, l, "0")
		requests := make([]ledger.TransferRequest, 4)
		for i := range requests {
			requests[i] = ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")}
		}
		late := &requests[1]
		late.SourceAccountID = waits.ID
		unlock := lockAccount(t, url, waits.ID)
		for i, err := range inOneBatch(t, url, l, requests) {
			if requests[i].ID == late.ID {
				wantLate(t, "the one whose account is locked", err)
			} else if err != nil {
				t.Errorf("a neighbour: %v", err)
			}
		}
		if _, err := l.TransferByID(t.Context(), late.ID); codeOf(err) != ledger.TransactionNotFound {
			t.Errorf("after ErrOutOfTime: %v", err)
		}
		unlock()
		if got, err := l.Transfer(t.Context(), *late); err != nil || got.Status != ledger.Completed {
			t.Errorf("tried again: %+v, %v", got, err)
		}
		wantBalance(t, l, to.ID, "4", "0")
	})
}

// Halves of a thousand transfers would wait for hours, one after the other.
func TestADatabaseThatHangsIsNotWaitedForByEveryTransfer(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l, registry := startHurried(t, url, url, time.Second)
		from, to := openWith(t, l, "10"), openWith(t, l, "0")
		unlock := lockAccount(t, url, from.ID)
		requests := make([]ledger.TransferRequest, 8)
		for i := range requests {
			requests[i] = ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")}
		}
		_, err := l.TransferBatch(t.Context(), requests, false)
		wantLate(t, "the transfers", err)
		// 8, 4, 2, 1, and the other halves whole: 7, or some more if they came as two
		// batches. Down to each alone would be 15.
		if n := counted(t, registry, "florin_transaction_seconds", "ledger.execute", "failed"); n > 10 {
			t.Errorf("%v transactions were waited for; want about 7", n)
		}
		unlock()
		if _, err := l.TransferBatch(t.Context(), requests, false); err != nil {
			t.Errorf("tried again: %v", err)
		}
		wantBalance(t, l, to.ID, "8", "0")
	})
}

// pensive is a work that takes its time to decide.
type pensive struct {
	glance
	takes time.Duration
}

func (p *pensive) Decide(*ledger.Mover) { time.Sleep(p.takes) }

func (p *pensive) Save(batch *pgx.Batch) error {
	batch.Queue("SELECT 1")
	return nil
}

func TestAWorkThatDecidesTooLongIsNoOutage(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l, _ := startHurried(t, url, url, time.Second)
		wantLate(t, "it", l.Do(t.Context(), &pensive{takes: 1100 * time.Millisecond}))
	})
}

// The commit was made, its answer lost, and there was no time to look again: "nothing
// was applied" would be wrong.
func TestAnUnknownCommitStaysUnknownWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		proxy := dbtest.NewProxy(t, url)
		direct := start(t, url, ledger.Options{})
		l, _ := startHurried(t, url, proxy.URL, 2*time.Second)
		from, to := openWith(t, direct, "10"), openWith(t, direct, "0")
		request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")}
		proxy.BreakCommits(1, dbtest.CommitAppliedThenSilence)
		told := make(chan error, 1)
		go func() {
			_, err := l.Transfer(t.Context(), request)
			told <- err
		}()
		eventually(t, "the transfer is committed", func() bool {
			_, err := direct.TransferByID(t.Context(), request.ID)
			return err == nil
		})
		unlock := lockAccount(t, url, from.ID)
		if err := <-told; !errors.Is(err, database.ErrCommitUnknown) || !errors.Is(err, database.ErrOutOfTime) {
			t.Errorf("got %v; want ErrCommitUnknown, and why it stays so", err)
		}
		unlock()
		if got, err := l.Transfer(t.Context(), request); err != nil || got.Status != ledger.Completed {
			t.Errorf("asked again: %+v, %v", got, err)
		}
		wantBalance(t, direct, to.ID, "1", "0")
	})
}
