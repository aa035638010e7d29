package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"florin/internal/ledger"
	"florin/internal/platform/database"
)

// overloadPause is how long a caller waits who was told that the queue is full.
const overloadPause = 20 * time.Millisecond

// inProcess calls a ledger of its own, on the real tables.
type inProcess struct {
	ledger   *ledger.Ledger
	workload *workload
	batch    int
	db       *database.DB
	retries  *retries
	end      func()
}

// newInProcess starts a ledger whose transactions take as many transfers as a
// caller hands in (raw's do, too); single ones are grouped as the server does.
func newInProcess(ctx context.Context, b *bench, p plan, w *workload) (load, error) {
	r := newRetries()
	reads, err := database.Open(ctx, b.DatabaseURL, database.Options{ApplicationName: "florin bench", MaxConns: 2})
	if err != nil {
		return nil, err
	}
	writes, err := database.Open(ctx, b.DatabaseURL, database.Options{
		ApplicationName: "florin bench executor", MaxConns: int32(b.Workers) + 1, Plans: database.PlansPinned, Metrics: r.metrics,
	})
	if err != nil {
		reads.Close()
		return nil, err
	}
	o := ledger.Options{
		Workers:  b.Workers,
		QueueMax: max(2*ledger.MaxBatch, p.concurrency*p.batch),
		Log:      slog.New(slog.DiscardHandler),
	}
	if p.batch > 1 {
		o.BatchMax = p.batch
	}
	l := &inProcess{
		ledger: ledger.New(reads, writes, o), workload: w, batch: p.batch, db: b.db, retries: r,
	}
	running, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { l.ledger.Run(running) })
	l.end = func() {
		stop()
		ended.Wait()
		writes.Close()
		reads.Close()
	}
	if err := l.openAccounts(ctx, w); err != nil {
		l.close()
		return nil, fmt.Errorf("open accounts: %w", err)
	}
	return l, nil
}

func (l *inProcess) openAccounts(ctx context.Context, w *workload) error {
	const atOnce = 1000 // the executor makes one transaction of them
	return inParallel(ctx, len(w.accounts), min(atOnce, len(w.accounts)), func(ctx context.Context, _, i int) error {
		_, err := l.ledger.OpenAccount(ctx, ledger.OpenAccount{ID: w.accounts[i], Currency: benchCurrency, Balance: w.opening(i)})
		return err
	})
}

func (l *inProcess) request(c choice) ledger.TransferRequest {
	return ledger.TransferRequest{
		ID: c.id, SourceAccountID: l.workload.accounts[c.from], DestinationAccountID: l.workload.accounts[c.to],
		Amount: c.amount, Currency: benchCurrency, Description: benchDescription,
	}
}

func (l *inProcess) submit(ctx context.Context, c *caller) (done, refused int, err error) {
	if l.batch == 1 {
		_, err = l.ledger.Transfer(ctx, l.request(l.workload.next(c.random)))
		if err == nil {
			return 1, 0, nil
		}
	} else {
		requests := make([]ledger.TransferRequest, l.batch)
		for i := range requests {
			requests[i] = l.request(l.workload.next(c.random))
		}
		var results []ledger.Result
		results, err = l.ledger.TransferBatch(ctx, requests, false)
		for _, result := range results {
			if result.Err == nil {
				done++
			} else {
				refused++
			}
		}
	}
	failure := (*ledger.Failure)(nil)
	switch {
	case errors.As(err, &failure):
		return 0, 1, nil
	case errors.Is(err, ledger.ErrOverloaded):
		time.Sleep(overloadPause)
		return 0, l.batch, nil
	}
	return done, refused, err
}

func (l *inProcess) conflicts() (int64, bool) { return l.retries.conflicts(), true }

func (l *inProcess) stored(ctx context.Context) (int64, error) {
	return storedTransfers(ctx, l.db, l.workload)
}

func (l *inProcess) close() { l.end() }

// storedTransfers counts a run's completed transfers in the ledger's tables.
func storedTransfers(ctx context.Context, db *database.DB, w *workload) (n int64, err error) {
	// Ids of a run begin alike and hold none of LIKE's wildcards.
	err = db.QueryRow(ctx, "SELECT count(*) FROM transfers WHERE transfer_id LIKE $1 AND status = $2",
		w.run+"-%", string(ledger.Completed)).Scan(&n)
	return n, err
}
