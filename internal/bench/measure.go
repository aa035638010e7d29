package bench

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"florin/internal/platform/clock"
)

// tally is what one caller counts.
type tally struct {
	done, refused int64 // all of the run
	timed         int64 // done while the time was taken
	timedRefused  int64
	latencies     []uint32 // of the submissions that ended in that time, in microseconds
	_             [64]byte // callers' tallies on cache lines of their own
}

// measure is one run: set up, warm up, take the time, count in the database.
func (b *bench) measure(ctx context.Context, p plan) (Result, error) {
	w := newWorkload(b.Accounts, p.hot)
	b.tell(p, fmt.Sprintf("opening %d accounts", b.Accounts), 0, 0, 0)
	l, err := b.prepare(ctx, p, w)
	if err != nil {
		return Result{}, err
	}
	defer l.close()
	b.settle(ctx)

	warmUp := min(warmUpMax, b.Duration/4)
	result, err := b.drive(ctx, p, l, warmUp)
	if err != nil {
		return Result{}, err
	}
	if result.Stored, err = l.stored(ctx); err != nil {
		return Result{}, fmt.Errorf("count the transfers in the database: %w", err)
	}
	if b.db != nil {
		result.Engine, result.EngineVersion = string(b.db.Engine), b.db.Version
	}
	result.Mode, result.Accounts, result.Hot = p.mode, b.Accounts, p.hot
	result.Batch, result.Concurrency = p.batch, p.concurrency
	return result, nil
}

// settle gets earlier runs' unwritten pages out of the way, so that this run
// does not pay for them. Where it can't be asked for, it is left.
func (b *bench) settle(ctx context.Context) {
	if b.db != nil {
		_, _ = b.db.Exec(ctx, "CHECKPOINT")
	}
}

// drive has the callers submit one thing after the other. What ends while the
// time is taken counts; what is under way when it ends is seen through.
func (b *bench) drive(ctx context.Context, p plan, l load, warmUp time.Duration) (Result, error) {
	const (
		warming int32 = iota
		timing
		ended
	)
	var phase atomic.Int32
	var transfers atomic.Int64
	tallies := make([]tally, p.concurrency)
	callers, callersCtx := errgroup.WithContext(ctx)
	for i := range p.concurrency {
		t := &tallies[i]
		callers.Go(func() error {
			c := newCaller()
			defer c.close()
			for phase.Load() != ended && callersCtx.Err() == nil {
				elapsed := clock.Stopwatch()
				// Seen through: what is acknowledged must be known.
				done, refused, err := l.submit(context.WithoutCancel(callersCtx), c)
				took := elapsed()
				t.done += int64(done)
				t.refused += int64(refused)
				transfers.Add(int64(done))
				if err != nil {
					return err
				}
				if phase.Load() != timing {
					continue
				}
				t.timed += int64(done)
				t.timedRefused += int64(refused)
				t.latencies = append(t.latencies, uint32(min(took.Microseconds(), 1<<32-1)))
			}
			return callersCtx.Err()
		})
	}

	b.wait(callersCtx, p, "warming up", warmUp, &transfers)
	before := b.readCPU(p.mode)
	conflictsBefore, known := l.conflicts()
	elapsed := clock.Stopwatch()
	phase.Store(timing)
	b.wait(callersCtx, p, "measuring", b.Duration, &transfers)
	phase.Store(ended)
	seconds := elapsed().Seconds()
	after := b.readCPU(p.mode)
	conflictsAfter, stillKnown := l.conflicts()
	if err := callers.Wait(); err != nil {
		return Result{}, err
	}

	result := Result{Seconds: seconds}
	if known && stillKnown {
		conflicts := conflictsAfter - conflictsBefore
		result.Conflicts = &conflicts
	}
	var timed int64
	var latencies []uint32
	for i := range tallies {
		timed += tallies[i].timed
		result.Failures += tallies[i].timedRefused
		result.Acknowledged += tallies[i].done
		latencies = append(latencies, tallies[i].latencies...)
	}
	result.TransfersPerSecond = float64(timed) / seconds
	slices.Sort(latencies)
	result.P50Ms, result.P95Ms, result.P99Ms = quantile(latencies, 0.50), quantile(latencies, 0.95), quantile(latencies, 0.99)
	result.chargeCPU(p.mode, before, after, timed)
	return result, nil
}

// wait tells the progress until the duration is over or ctx ends.
func (b *bench) wait(ctx context.Context, p plan, step string, duration time.Duration, transfers *atomic.Int64) {
	elapsed := clock.Stopwatch()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(duration)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			b.tell(p, step, duration, duration, transfers.Load())
			return
		case <-tick.C:
			b.tell(p, step, min(elapsed(), duration), duration, transfers.Load())
		}
	}
}

// quantile of sorted microseconds, in milliseconds: the smallest value that at
// least the share q of all does not exceed.
func quantile(sorted []uint32, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(q*float64(len(sorted))+0.999999) - 1
	return float64(sorted[max(0, min(rank, len(sorted)-1))]) / 1000
}

// inParallel calls do for 0 to n-1, some of them at a time.
func inParallel(ctx context.Context, n, atOnce int, do func(ctx context.Context, worker, i int) error) error {
	var next atomic.Int64
	workers, ctx := errgroup.WithContext(ctx)
	for worker := range atOnce {
		workers.Go(func() error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := do(ctx, worker, i); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return workers.Wait()
}
