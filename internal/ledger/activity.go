package ledger

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger/internal/ledgerdb"
	"florin/internal/money"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

const (
	// Done is the code of transfers that were done, among those of why others failed.
	Done Code = "ok"

	// activityFlushMax bounds the last flush of a replica that ends.
	activityFlushMax = 5 * time.Second
)

// activitySpan is a length of time that outcomes are counted by. Each outcome is in
// one row of every span, so that a period is read as few rows, however long it is.
type activitySpan struct {
	length time.Duration
	most   time.Duration // the longest period that is shown by it
}

var activitySpans = [...]activitySpan{
	{10 * time.Second, time.Hour},
	{time.Minute, 24 * time.Hour},
	{10 * time.Minute, ActivityMax},
}

// kept is how long after its beginning a row is shown: in the longest period to the end.
func (s activitySpan) kept() time.Duration { return s.most + s.length }

// outcome is what became of transfers: Done, or why they failed.
type outcome struct {
	currency money.Currency
	code     Code
}

// counted is how many transfers had an outcome.
type counted struct {
	outcome
	transfers int64
	volume    decimal.Decimal
}

// tally counts the transfers that came to their end in one batch. It has few
// outcomes, most often one.
type tally []counted

func (t *tally) add(o outcome, amount decimal.Decimal) {
	for i := range *t {
		if c := &(*t)[i]; c.outcome == o {
			c.transfers++
			c.volume = c.volume.Add(amount)
			return
		}
	}
	*t = append(*t, counted{o, 1, amount})
}

// tally counts what the batch has brought to an end. Transfers that were known
// before are no part of it.
func (b *book) tally() (t tally) {
	for _, entry := range b.changedTransfers {
		switch {
		case entry.Status == Completed:
			t.add(outcome{entry.Currency, Done}, entry.Amount)
		case entry.Failure != nil:
			t.add(outcome{entry.Currency, entry.Failure.Code}, entry.Amount)
		}
	}
	return t
}

// activity sums this replica's outcomes in memory until they are flushed. Its rows of
// ledger_activity are nobody else's: a flush writes the sums in full, and one that is
// repeated changes nothing. A crash loses what was counted since the last.
type activity struct {
	clock   clock.Clock
	replica string

	mu sync.Mutex
	// latest never goes back, whatever the machine's clock does: a row that was
	// flushed and forgotten must not be begun again.
	latest time.Time
	sums   map[activityRow]*activitySum
}

type activityRow struct {
	span     activitySpan
	beginsAt int64 // Unix time
	outcome
}

type activitySum struct {
	transfers int64
	volume    decimal.Decimal
	isChanged bool // since the last flush
}

func newActivity(now clock.Clock, replica string) *activity {
	return &activity{clock: now, replica: replica, sums: map[activityRow]*activitySum{}}
}

// count adds a committed batch.
func (a *activity) count(t tally) {
	if len(t) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proceed()
	for _, span := range activitySpans {
		beginsAt := a.latest.Truncate(span.length).Unix()
		for _, c := range t {
			row := activityRow{span, beginsAt, c.outcome}
			sum := a.sums[row]
			if sum == nil {
				sum = &activitySum{}
				a.sums[row] = sum
			}
			sum.transfers += c.transfers
			sum.volume = sum.volume.Add(c.volume)
			sum.isChanged = true
		}
	}
}

func (a *activity) proceed() {
	if now := a.clock(); now.After(a.latest) {
		a.latest = now
	}
}

// flush writes what has changed, in one statement. What could not be written is
// written by the next.
func (a *activity) flush(ctx context.Context, queries *ledgerdb.Queries, region string) error {
	rows, p := a.changed()
	if len(rows) == 0 {
		return nil
	}
	p.Replica, p.Region = a.replica, region
	err := queries.SaveActivity(ctx, p)
	a.flushed(rows, err == nil)
	return err
}

func (a *activity) changed() (rows []activityRow, p ledgerdb.SaveActivityParams) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for row, sum := range a.sums {
		if !sum.isChanged {
			continue
		}
		sum.isChanged = false
		rows = append(rows, row)
		beginsAt := time.Unix(row.beginsAt, 0).UTC()
		p.SpansSeconds = append(p.SpansSeconds, int64(row.span.length/time.Second))
		p.BeginsAt = append(p.BeginsAt, beginsAt)
		p.Currencies = append(p.Currencies, string(row.currency))
		p.Codes = append(p.Codes, string(row.code))
		p.Transfers = append(p.Transfers, sum.transfers)
		p.Volumes = append(p.Volumes, sum.volume)
		p.ExpiresAt = append(p.ExpiresAt, beginsAt.Add(row.span.kept()))
	}
	return rows, p
}

// flushed forgets the sums that are written and can't grow any more.
func (a *activity) flushed(rows []activityRow, isWritten bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !isWritten {
		for _, row := range rows {
			a.sums[row].isChanged = true
		}
		return
	}
	a.proceed()
	for row, sum := range a.sums {
		if !sum.isChanged && row.beginsAt < a.latest.Truncate(row.span.length).Unix() {
			delete(a.sums, row)
		}
	}
}

// keepActivity flushes what was counted from time to time, and once more when ctx has
// ended.
func (l *Ledger) keepActivity(ctx context.Context) {
	for clock.Sleep(ctx, l.activityInterval) {
		if err := l.flushActivity(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("the activity could not be recorded; it is tried again", "error", err)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), activityFlushMax)
	defer cancel()
	if err := l.flushActivity(last); err != nil {
		l.log.Warn("the last activity is not recorded", "error", err)
	}
}

func (l *Ledger) flushActivity(ctx context.Context) error {
	region, err := l.region(ctx)
	if err != nil {
		return err
	}
	return l.executor.activity.flush(ctx, l.queries, region)
}

// region is where this replica is; "" in a database without regions, unless it is
// configured.
func (l *Ledger) region(ctx context.Context) (string, error) {
	_, here, err := l.reads.Regions(ctx)
	return cmp.Or(l.homeRegion, here), err
}

// sweepRows is how many rows one statement deletes at most.
const sweepRows = 1000

// sweepActivity deletes activity and proofs that have expired, in small statements.
// On CockroachDB it does nothing: the database deletes them itself.
func (l *Ledger) sweepActivity(ctx context.Context) error {
	if l.reads.Engine == database.Cockroach {
		return nil
	}
	now := l.clock()
	for n := int64(sweepRows); n == sweepRows; {
		var err error
		if n, err = l.queries.DeleteExpiredActivity(ctx, ledgerdb.DeleteExpiredActivityParams{Now: now, RowLimit: sweepRows}); err != nil {
			return fmt.Errorf("sweep expired activity: %w", err)
		}
	}
	for n := int64(sweepRows); n == sweepRows; {
		var err error
		if n, err = l.queries.DeleteExpiredProofs(ctx, ledgerdb.DeleteExpiredProofsParams{Now: &now, RowLimit: sweepRows}); err != nil {
			return fmt.Errorf("sweep expired proofs: %w", err)
		}
	}
	return nil
}
