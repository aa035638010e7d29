package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

var (
	// ErrOverloaded says that the queue is full: nothing was taken, try again
	// in a second.
	ErrOverloaded = errors.New("too many transfers are waiting")
	// ErrShuttingDown says that this replica takes nothing more.
	ErrShuttingDown = errors.New("the server is shutting down")
)

// commitTries is how often a batch is run again whose commit was left unknown.
const commitTries = 5

// homeTimeout bounds how long a batch waits to learn where its events are to live;
// a later one asks again.
const homeTimeout = time.Second

// batchTimeout bounds a transaction with all its tries. It ends before the time of
// database.InTx does, which is told as an outage: that of a batch was spent on what
// was asked of it, or on waiting for others' locks.
const batchTimeout = 18 * time.Second

// executor is the one writer of balances in this process (group commit). Callers
// hand in units and wait; workers take whatever is waiting, up to a limit and
// without added delay, and run it as one transaction. An idle system so commits
// a single transfer at once, a busy one forms large batches by itself.
type executor struct {
	db       *database.DB
	clock    clock.Clock
	workers  int
	batchMax int // commands a transaction; an atomic unit may be larger
	queueMax int // commands waiting
	timeout  time.Duration
	metrics  *metrics
	activity *activity
	retried  atomic.Int64 // tries that InTx had to repeat
	// homeRegion is this replica's, as configured.
	homeRegion string

	crowd crowd // on CockroachDB

	queue   chan *unit
	waiting atomic.Int64 // commands in the queue

	closing sync.RWMutex // held while queue is written to, so that it can end
	closed  bool
}

// unit is what stands or falls together: one command, or an atomic group.
type unit struct {
	commands []command
	// reach is the owner whose accounts alone are moved and changed; "" for all.
	reach string
	// origin is who the unit is from, for the audit trail; nil for the program itself.
	origin  *audit.Origin
	results []Result
	size    int   // transfers, or about as much work
	err     error // infrastructure, database.ErrOutOfTime too: nothing of the unit was applied, or ErrCommitUnknown
	waiter  *waiter
}

// isWork says that the unit is another module's.
func (u *unit) isWork() bool {
	_, isWork := u.commands[0].(joined)
	return isWork
}

func sizeOf(c command) int {
	if j, isWork := c.(joined); isWork {
		return j.size()
	}
	return 1
}

// waiter wakes a caller when all its units are done.
type waiter struct {
	pending atomic.Int64
	done    chan struct{}
}

func (u *unit) finish(err error) {
	u.err = err
	if u.waiter.pending.Add(-1) == 0 {
		close(u.waiter.done)
	}
}

func newExecutor(db *database.DB, now clock.Clock, o Options, m *metrics, a *activity) *executor {
	return &executor{
		db: db, clock: now, workers: o.Workers, batchMax: o.BatchMax, queueMax: o.QueueMax, timeout: batchTimeout, metrics: m, activity: a,
		homeRegion: o.HomeRegion,
		queue:      make(chan *unit, o.QueueMax),
	}
}

// do runs the units and waits for their results. It returns ErrOverloaded,
// without having taken any, when the queue has no room for all. When ctx ends
// first the units are executed all the same: the caller asks again by its ids.
func (e *executor) do(ctx context.Context, units ...*unit) error {
	w := &waiter{done: make(chan struct{})}
	w.pending.Store(int64(len(units)))
	size := 0
	for _, u := range units {
		u.waiter = w
		for _, c := range u.commands {
			u.size += sizeOf(c)
		}
		size += u.size
	}
	if size == 0 {
		return nil
	}
	if err := e.enqueue(units, int64(size)); err != nil {
		return err
	}
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *executor) enqueue(units []*unit, size int64) error {
	e.closing.RLock()
	defer e.closing.RUnlock()
	if e.closed {
		return ErrShuttingDown
	}
	if e.waiting.Add(size) > int64(e.queueMax) {
		e.waiting.Add(-size)
		e.metrics.rejected.Add(float64(size))
		return ErrOverloaded
	}
	for _, u := range units {
		e.queue <- u // has room: it holds queueMax units of at least one command
	}
	return nil
}

// run executes until ctx ends, then finishes what was taken.
func (e *executor) run(ctx context.Context) {
	var workers sync.WaitGroup
	for range e.workers {
		workers.Go((&worker{executor: e, journal: audit.NewJournal()}).work)
	}
	<-ctx.Done()
	e.closing.Lock()
	e.closed = true
	close(e.queue)
	e.closing.Unlock()
	workers.Wait()
}

// worker runs one batch after the other. It has a journal of the audit trail to
// itself, so that no row of that is wanted by two.
type worker struct {
	*executor
	journal *audit.Journal
	isHome  bool // the journal's region is known
	// isStuck says that a unit of the batch ran out of time alone, and nothing of it
	// has ended in time since.
	isStuck bool
	// tally is what the last try has committed, or may have.
	tally tally
}

func (w *worker) work() {
	var next *unit // taken, but too large for the batch before
	for {
		if next == nil {
			var open bool
			if next, open = <-w.queue; !open {
				return
			}
		}
		var batch []*unit
		batch, next = w.collect(next)
		w.isStuck = false
		w.execute(batch)
	}
}

// collect takes what is waiting, in order of arrival, and returns the first unit
// that did not fit.
func (e *executor) collect(first *unit) (batch []*unit, next *unit) {
	batch = append(batch, first)
	size := first.size
	hasWork := first.isWork()
	defer func() { e.took(size) }()
	for size < e.batchMax {
		select {
		case u, open := <-e.queue:
			if !open {
				return batch, nil
			}
			// A second work would read its rows before the first has changed them.
			if size+u.size > e.batchMax || hasWork && u.isWork() {
				return batch, u
			}
			batch = append(batch, u)
			size += u.size
			hasWork = hasWork || u.isWork()
		default:
			return batch, nil
		}
	}
	return batch, nil
}

func (e *executor) took(size int) {
	e.waiting.Add(-int64(size))
	e.metrics.batchSize.Observe(float64(size))
}

// execute runs a batch to its end. One that keeps meeting conflicts, or that
// holds something the database refuses or a row that can't be read, is halved,
// so that a unit's trouble stays its own. So is one that runs out of time, until one
// unit alone does: it may be the database that hangs, for which halves would wait one
// after the other.
func (w *worker) execute(batch []*unit) {
	err := w.transact(batch)
	isLate := errors.Is(err, database.ErrOutOfTime) && !isOutage(err)
	w.isStuck = isLate && (w.isStuck || len(batch) == 1)
	if len(batch) > 1 && err != nil && !isOutage(err) && !w.isStuck {
		w.metrics.halved.Inc()
		half := len(batch) / 2
		w.execute(batch[:half])
		w.execute(batch[half:])
		return
	}
	for _, u := range batch {
		if err == nil {
			w.metrics.count(u.results)
		}
		u.finish(err)
	}
}

// isOutage says that the database was the trouble, not what was asked of it. It is
// none when the executor's own time was up.
func isOutage(err error) bool {
	return errors.Is(err, database.ErrUnavailable) || errors.Is(err, database.ErrCommitUnknown)
}

// transact is one transaction. It first takes the ids of new transfers for new,
// as nearly all are: their insert finds out, for less than a lookup costs. If one
// is not, the batch is run again with its ids looked up.
//
// A commit whose outcome is unknown is resolved in the same way: what was applied
// is found and answered, and what was not is applied.
func (w *worker) transact(batch []*unit) error {
	err := w.try(batch, false)
	done := w.tally
	if errors.Is(err, errNotNew) {
		w.metrics.repeated.Inc()
		err = w.try(batch, true)
		done = w.tally
	}
	unknown := err
	for try := 1; errors.Is(err, database.ErrCommitUnknown) && try < commitTries; try++ {
		w.metrics.unknown.Inc()
		unknown = err
		err = w.try(batch, true)
		if len(w.tally) > 0 { // else the try before has done it
			done = w.tally
		}
	}
	if err != nil && errors.Is(unknown, database.ErrCommitUnknown) {
		// Whatever stopped the second look, "nothing was applied" would be a guess.
		return fmt.Errorf("%w (looking again: %w)", unknown, err)
	}
	if err == nil {
		w.activity.count(done)
	}
	return err
}

func (w *worker) try(batch []*unit, lookUpIDs bool) error {
	// Not the callers' contexts: a batch belongs to many of them.
	ctx, cancel := context.WithTimeout(context.Background(), w.timeout)
	defer cancel()
	needed := keysOf(batch, lookUpIDs)
	if w.db.Engine == database.Cockroach {
		needed.first = w.crowd.first(needed)
	}
	w.findHome(ctx, batch)
	var b *book
	var events audit.Pending
	runs := int64(0)
	err := w.db.InTx(ctx, "ledger.execute", func(ctx context.Context, tx pgx.Tx) (err error) {
		runs++
		if b, err = load(ctx, tx, needed); err != nil {
			return err
		}
		// Taken under the locks: a posting's time is not before that of any
		// posting of its accounts, nor before a reader's who waited for them.
		b.now = w.clock()
		for _, u := range batch {
			b.apply(u)
		}
		if b.isUnsure {
			return errNotNew
		}
		// A statement that is not sent any more would be told as a lost connection.
		if err := ctx.Err(); err != nil {
			return err
		}
		events, err = b.save(ctx, tx, w.journal)
		return err
	})
	w.retried.Add(max(0, runs-1))
	w.tally = nil
	switch {
	case err == nil:
		events.Committed()
		w.tally = b.tally()
	case errors.Is(err, database.ErrCommitUnknown):
		events.Unknown()
		w.tally = b.tally()
	case database.TimedOut(err) && !isOutage(err):
		err = fmt.Errorf("%w: %w", database.ErrOutOfTime, err) // COMMIT was not sent
	}
	if err == nil && w.db.Engine == database.Cockroach {
		w.crowd.learn(needed, b)
	}
	return err
}

// findHome has the events of the batch, if there are any, stored in this replica's
// region, which may be far from the primary one.
func (w *worker) findHome(ctx context.Context, batch []*unit) {
	if w.isHome || !slices.ContainsFunc(batch, func(u *unit) bool { return u.origin != nil || u.isWork() }) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, homeTimeout)
	defer cancel()
	regions, here, err := w.db.Regions(ctx)
	if err != nil {
		return // the batch will meet the database's trouble itself
	}
	w.isHome = true
	if home := cmp.Or(w.homeRegion, here); slices.Contains(regions, home) {
		w.journal.SetHomeRegion(home)
	}
}
