// Package seed fills a ledger with invented data: Demo makes the small world of
// people and shops that `florin dev` shows, Run any number of transfers for
// tests of size. Everything goes through the ledger, so the books stay right.
//
// Both are deterministic and may be run again: what is there already is found
// by its ids and left as it is.
package seed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"florin/internal/ledger"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

// Options say how much data, and which. The same options give the same data:
// accounts, transfers, amounts and outcomes; times are counted back from the day
// of the first run.
type Options struct {
	Seed      uint64
	Accounts  int     // of customers and merchants
	Customers int     // who share the customers' accounts; 0: half as many as accounts
	Transfers int     // without the accounts' opening balances
	Months    int     // that the transfers are spread over
	Failures  float64 // share of transfers that are meant to fail
	Batch     int     // transfers handed in at once

	// Progress, if not nil, is told after each step how many of all are done.
	Progress func(step string, done, all int)
}

// Limits of the options.
const (
	accountsMin  = 20
	accountsMax  = 1_000_000
	transfersMax = 1_000_000_000
	monthsMax    = 120
	batchMax     = 1_000
)

// Validate says in one line what is wrong with the options, by the names of the
// command's flags.
func (o *Options) Validate() error {
	if o.Customers == 0 {
		o.Customers = max(1, (o.Accounts-merchantsOf(o.Accounts))/2)
	}
	switch {
	case o.Accounts < accountsMin || o.Accounts > accountsMax:
		return fmt.Errorf("--accounts is %d, must be %d to %d", o.Accounts, accountsMin, accountsMax)
	case o.Customers < 1 || o.Customers > o.Accounts-merchantsOf(o.Accounts):
		return fmt.Errorf("--customers is %d, must be 1 to %d, one account each", o.Customers, o.Accounts-merchantsOf(o.Accounts))
	case o.Transfers < 0 || o.Transfers > transfersMax:
		return fmt.Errorf("--transfers is %d, must be 0 to %d", o.Transfers, transfersMax)
	case o.Months < 1 || o.Months > monthsMax:
		return fmt.Errorf("--months is %d, must be 1 to %d", o.Months, monthsMax)
	case !(o.Failures >= 0 && o.Failures <= 1): // refuses NaN too
		return fmt.Errorf("--failures is %v, must be 0 to 1, the share of transfers that are meant to fail", o.Failures)
	case o.Batch < 1 || o.Batch > batchMax:
		return fmt.Errorf("--batch is %d, must be 1 to %d", o.Batch, batchMax)
	}
	return nil
}

// Summary says what a run did.
type Summary struct {
	Seed      uint64 `json:"seed"`
	Prefix    string `json:"prefix"` // of the ids of all that was made
	Customers int    `json:"customers"`
	Accounts  int    `json:"accounts"` // the house's included
	Transfers int    `json:"transfers"`
	Completed int    `json:"completed"`
	Failed    int    `json:"failed"`
	// FailedBy counts the failed by code.
	FailedBy map[ledger.Code]int `json:"failedBy"`
	// Replayed of the transfers were there before this run.
	Replayed           int       `json:"replayed"`
	Holds              int       `json:"holds"`
	Captures           int       `json:"captures"`
	Voids              int       `json:"voids"`
	Reversals          int       `json:"reversals"`
	From               time.Time `json:"from"`
	To                 time.Time `json:"to"`
	Seconds            float64   `json:"seconds"`
	TransfersPerSecond float64   `json:"transfersPerSecond"`
}

const (
	// opensAtOnce accounts are asked for side by side; the executor makes one
	// transaction of them.
	opensAtOnce = 500
	// inFlightMax is how many transfers may be handed in and not done. What a
	// transfer brings can be spent by one that comes so much later.
	inFlightMax = 4_000
	batchesMax  = 6
	// tries of a batch that met trouble of the database's, and the pause between.
	tries      = 5
	triesPause = time.Second
)

// Run makes the accounts and then the transfers, batch after batch, a few of
// them at a time. The order in which batches reach the books does not matter:
// each transfer's outcome is decided when it is invented. Memory is bounded by
// the number of accounts.
//
// An error is one of the database's that lasts, or ctx ended; the same call again
// then goes on where this one ended.
func Run(ctx context.Context, l *ledger.Ledger, o Options) (Summary, error) {
	if err := o.Validate(); err != nil {
		return Summary{}, err
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	r := &run{Options: o, ledger: l, world: newWorld(o), begun: clock.System()}
	r.summary = Summary{
		Seed: o.Seed, Prefix: r.world.prefix, Customers: o.Customers, Accounts: len(r.world.accounts), FailedBy: map[ledger.Code]int{},
	}
	elapsed := clock.Stopwatch()
	if err := r.openAccounts(ctx); err != nil {
		return r.summary, fmt.Errorf("open accounts: %w", err)
	}
	transferring := clock.Stopwatch()
	if err := r.transfer(ctx); err != nil {
		return r.summary, err
	}
	r.summary.TransfersPerSecond = float64(r.summary.Transfers) / transferring().Seconds()
	r.summary.Seconds = elapsed().Seconds()
	return r.summary, nil
}

// run is one call of Run.
type run struct {
	Options
	ledger *ledger.Ledger
	world  *world
	begun  time.Time

	mu      sync.Mutex
	summary Summary
}

func (r *run) openAccounts(ctx context.Context) error {
	opening, ctx := errgroup.WithContext(ctx)
	opening.SetLimit(opensAtOnce)
	for i := range r.world.accounts {
		opening.Go(func() error {
			opened, err := r.ledger.OpenAccount(ctx, r.world.request(i))
			if err == nil && i == 0 {
				// The day of the first run, so that a second asks for the same.
				r.summary.To = opened.CreatedAt.Truncate(24 * time.Hour)
			}
			return err
		})
		if i%1000 == 0 {
			r.Progress("accounts", i, len(r.world.accounts))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if err := opening.Wait(); err != nil {
		return err
	}
	r.summary.From = r.summary.To.AddDate(0, -r.Months, 0)
	r.Progress("accounts", len(r.world.accounts), len(r.world.accounts))
	return nil
}

// transfer invents batches in order and hands each in once all but the last few
// before it are done.
func (r *run) transfer(ctx context.Context) error {
	inFlight := min(batchesMax, inFlightMax/r.Batch)
	done := make([]chan struct{}, inFlight) // of the batches under way, a ring
	submitting, submitCtx := errgroup.WithContext(ctx)
	planner := newPlanner(r.world, r.Options, r.summary.From, r.summary.To)
	for number := 0; submitCtx.Err() == nil; number++ {
		if before := done[number%inFlight]; before != nil {
			select {
			case <-before:
			case <-submitCtx.Done():
			}
		}
		batch := planner.next(r.Batch)
		if len(batch.transfers) == 0 {
			break
		}
		finished := make(chan struct{})
		done[number%inFlight] = finished
		submitting.Go(func() error {
			defer close(finished)
			return r.submit(submitCtx, batch)
		})
	}
	if err := submitting.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

func (r *run) submit(ctx context.Context, b batch) error {
	var results []ledger.Result
	err := again(ctx, func() (err error) {
		results, err = r.ledger.TransferBatch(ctx, b.transfers, false)
		return err
	})
	if err != nil {
		return fmt.Errorf("transfers: %w", err)
	}
	r.count(results)
	events, ctx := errgroup.WithContext(ctx)
	for _, h := range b.holds {
		events.Go(func() error { return again(ctx, func() error { return r.hold(ctx, h) }) })
	}
	for _, reversal := range b.reversals {
		events.Go(func() error {
			return again(ctx, func() error {
				_, err := r.ledger.Reverse(ctx, reversal)
				return err
			})
		})
	}
	if err := events.Wait(); err != nil {
		return fmt.Errorf("holds and reversals: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.Reversals += len(b.reversals)
	for _, h := range b.holds {
		r.summary.Holds++
		switch h.end {
		case ledger.HoldCaptured:
			r.summary.Captures++
		case ledger.HoldVoided:
			r.summary.Voids++
		}
	}
	r.Progress("transfers", r.summary.Transfers, r.Transfers)
	return nil
}

func (r *run) count(results []ledger.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, result := range results {
		r.summary.Transfers++
		if refused, ok := errors.AsType[*ledger.Failure](result.Err); ok {
			r.summary.Failed++
			r.summary.FailedBy[refused.Code]++
		} else {
			r.summary.Completed++
		}
		if result.Transfer != nil && result.Transfer.CreatedAt.Before(r.begun) {
			r.summary.Replayed++
		}
	}
}

func (r *run) hold(ctx context.Context, h plannedHold) error {
	if _, err := r.ledger.PlaceHold(ctx, h.request); err != nil {
		return err
	}
	switch h.end {
	case ledger.HoldCaptured:
		_, err := r.ledger.CaptureHold(ctx, h.capture)
		return err
	case ledger.HoldVoided:
		_, err := r.ledger.VoidHold(ctx, h.request.ID)
		return err
	}
	return nil
}

// again repeats what failed by trouble of the database's that passes: each of
// these calls finds by its ids what was done.
func again(ctx context.Context, do func() error) error {
	var err error
	for range tries {
		err = do()
		passes := errors.Is(err, database.ErrConflict) || errors.Is(err, database.ErrUnavailable) ||
			errors.Is(err, database.ErrOutOfTime) || errors.Is(err, database.ErrCommitUnknown) || errors.Is(err, ledger.ErrOverloaded)
		if !passes {
			return err
		}
		select {
		case <-time.After(triesPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}
