package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger/internal/ledgerdb"
	"florin/internal/money"
)

const (
	// ActivityMax is the longest period of Activity.
	ActivityMax = 7 * 24 * time.Hour
	// WaitingMax is the most that Waiting counts of each kind: its work is bounded,
	// however much there is.
	WaitingMax = 1000
)

// Activity is what all replicas have executed in a period, as far as they have
// flushed it: some seconds late, and without what a crash has lost. The books are the
// truth; this is for looking at.
type Activity struct {
	From, To time.Time
	// Span is what each Point is about. The newest is not over.
	Span   time.Duration
	Points []ActivityPoint
	Totals []ActivityTotal
}

// ActivityPoint is a currency's transfers that ended in one span. There is none where
// there were none.
type ActivityPoint struct {
	At       time.Time // when the span begins
	Currency money.Currency
	// Completed and Failed are numbers of transfers.
	Completed, Failed int64
	Volume            decimal.Decimal // of the completed ones
}

// ActivityTotal is how many transfers of the whole period had an outcome at one
// replica.
type ActivityTotal struct {
	Region, Replica string
	Currency        money.Currency
	Code            Code // Done, or why they failed
	Transfers       int64
	Volume          decimal.Decimal // of failed ones what was asked for
	LastAt          time.Time       // when the last span with any begins
}

// Activity reads the period until now, at most ActivityMax. Its points are in the
// order of time and currency, its totals in that of region, replica, currency and code.
func (l *Ledger) Activity(ctx context.Context, period time.Duration) (Activity, error) {
	span := spanFor(period)
	now := l.clock()
	a := Activity{From: now.Add(-period).Truncate(span.length), To: now, Span: span.length}
	seconds := int64(span.length / time.Second)
	series, err := l.queries.ActivitySeries(ctx, ledgerdb.ActivitySeriesParams{SpanSeconds: seconds, FromTime: a.From, Now: now})
	if err != nil {
		return Activity{}, fmt.Errorf("read activity: %w", err)
	}
	for _, row := range series {
		currency := money.Currency(row.Currency)
		if n := len(a.Points); n == 0 || !a.Points[n-1].At.Equal(row.BeginsAt) || a.Points[n-1].Currency != currency {
			a.Points = append(a.Points, ActivityPoint{At: row.BeginsAt, Currency: currency})
		}
		point := &a.Points[len(a.Points)-1]
		if row.IsCompleted {
			point.Completed, point.Volume = row.Transfers, row.Volume
		} else {
			point.Failed = row.Transfers
		}
	}
	totals, err := l.queries.ActivityTotals(ctx, ledgerdb.ActivityTotalsParams{SpanSeconds: seconds, FromTime: a.From, Now: now})
	if err != nil {
		return Activity{}, fmt.Errorf("read activity: %w", err)
	}
	for _, row := range totals {
		a.Totals = append(a.Totals, ActivityTotal{
			Region: row.Region, Replica: row.Replica, Currency: money.Currency(row.Currency), Code: Code(row.Code),
			Transfers: row.Transfers, Volume: row.Volume, LastAt: row.LastAt,
		})
	}
	return a, nil
}

// spanFor is the shortest span that shows a period.
func spanFor(period time.Duration) activitySpan {
	for _, span := range activitySpans {
		if period <= span.most {
			return span
		}
	}
	return activitySpans[len(activitySpans)-1]
}

// Waiting is what the database has waiting, counted up to WaitingMax each.
type Waiting struct {
	// Transfers are accepted and not done; the oldest was accepted at OldestAt, which
	// is zero when there is none.
	Transfers int64
	OldestAt  time.Time
	// HoldsExpiring are pending holds whose time comes soon, the next at NextExpiry,
	// which is zero when there is none.
	HoldsExpiring int64
	NextExpiry    time.Time
}

// Waiting reads what is waiting; soon is how far ahead holds are looked for.
func (l *Ledger) Waiting(ctx context.Context, soon time.Duration) (Waiting, error) {
	now := l.clock()
	transfers, err := l.queries.WaitingTransfers(ctx, ledgerdb.WaitingTransfersParams{Now: now, MaxRows: WaitingMax})
	if err != nil {
		return Waiting{}, fmt.Errorf("read waiting transfers: %w", err)
	}
	holds, err := l.queries.ExpiringHolds(ctx, ledgerdb.ExpiringHoldsParams{Until: now.Add(soon), MaxRows: WaitingMax})
	if err != nil {
		return Waiting{}, fmt.Errorf("read expiring holds: %w", err)
	}
	w := Waiting{Transfers: transfers.Transfers, HoldsExpiring: holds.Holds}
	if w.Transfers > 0 {
		w.OldestAt = transfers.OldestAt
	}
	if w.HoldsExpiring > 0 {
		w.NextExpiry = holds.NextAt
	}
	return w, nil
}

// Replica is this process and its executor. Counts are since it began.
type Replica struct {
	ID     string
	Region string // "" in a database without regions
	Since  time.Time
	Engine string // the database's, in its own words

	Waiting  int64 // commands in the queue
	QueueMax int64
	Rejected int64 // commands that found the queue full
	Retried  int64 // batches run again after a conflict or an outage
	Halved   int64 // batches cut in two after conflicts
	Repeated int64 // batches run again because an id was known
	Unknown  int64 // commits whose outcome had to be looked up
}

// Replica tells how this process is doing.
func (l *Ledger) Replica(ctx context.Context) (Replica, error) {
	region, err := l.region(ctx)
	if err != nil {
		return Replica{}, err
	}
	e := l.executor
	counts := l.metrics.counts()
	return Replica{
		ID: l.replica, Region: region, Since: l.since, Engine: l.reads.Version,
		Waiting: e.waiting.Load(), QueueMax: int64(e.queueMax), Retried: e.retried.Load(),
		Rejected: counts[rejectedMetric], Halved: counts[halvedMetric], Repeated: counts[repeatedMetric], Unknown: counts[unknownMetric],
	}, nil
}
