package audit

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit/internal/auditdb"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

const (
	// idleMax is how many journals are kept for later transactions.
	idleMax = 64
	// settleMax bounds how long the end of a transaction is looked up.
	settleMax = 5 * time.Second
	// eventsKey is the constraint that no two writers of a journal get past.
	eventsKey = "audit_events_pkey"
)

// Log records events in the transactions of others, finds them again and seals
// the days that are over. Its methods are safe for concurrent use.
//
// Each transaction has a journal to itself, until it has ended.
type Log struct {
	db      *database.DB
	clock   clock.Clock
	walkMax int

	mu         sync.Mutex
	homeRegion string
	idle       []*Journal
	busy       map[pgx.Tx]*use
}

// use is a journal's use by one transaction, and where it stood before.
type use struct {
	journal *Journal
	before  head
	isOver  bool // the transaction has ended, as far as is known
}

// New returns the audit trail of a database. Nothing runs until Run.
func New(db *database.DB, now clock.Clock) *Log {
	return &Log{db: db, clock: now, walkMax: walkMax, busy: map[pgx.Tx]*use{}}
}

// Append records events in a transaction of its own. Events without an Origin are
// of whoever acts under ctx (From), or the system's. It returns what
// database.DB.InTx does; after database.ErrCommitUnknown the events may be recorded
// or not, and recording them again may record them twice.
func (l *Log) Append(ctx context.Context, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	return l.db.InTx(ctx, "audit.append", func(ctx context.Context, tx pgx.Tx) error {
		return l.AppendTx(ctx, tx, events...)
	})
}

// AppendTx records events in the caller's transaction, which is one of
// database.DB.InTx, with the context that InTx gave its closure: its end says that
// the transaction has ended. It takes one round trip. It may be called several
// times in a transaction, and the closure may be run again. An error means that
// the transaction can't be committed; the closure returns it.
func (l *Log) AppendTx(ctx context.Context, tx pgx.Tx, events ...Event) error {
	if len(events) == 0 {
		return nil
	}
	events = originated(ctx, events)
	var batch pgx.Batch
	l.mu.Lock()
	journal := l.journalFor(ctx, tx)
	// What comes next in this transaction is chained to it. Whether it was
	// committed is looked up in the end.
	journal.Queue(&batch, l.clock(), events).Committed()
	l.mu.Unlock()

	err := tx.SendBatch(ctx, &batch).Close()
	switch {
	case err == nil:
		return nil
	case database.UniqueViolation(err) == eventsKey:
		// A transaction whose end was not known in time was committed after all.
		l.forget(tx)
		return database.Retry(fmt.Errorf("record audit events: %w", err))
	}
	return fmt.Errorf("record audit events: %w", err)
}

// originated says who acts for events that don't say so. The caller's are left as
// they are.
func originated(ctx context.Context, events []Event) []Event {
	origin, _ := From(ctx)
	whole := make([]Event, len(events))
	copy(whole, events)
	for i := range whole {
		if whole[i].Origin == (Origin{}) {
			whole[i].Origin = origin
		}
	}
	return whole
}

// journalFor is the transaction's journal. A transaction that is run again is
// another one.
func (l *Log) journalFor(ctx context.Context, tx pgx.Tx) *Journal {
	if use, found := l.busy[tx]; found && !use.isOver {
		return use.journal
	}
	journal := l.takeIdle()
	if ctx.Done() == nil {
		return journal // nobody will say when it has ended
	}
	use := &use{journal: journal, before: journal.head}
	l.busy[tx] = use
	context.AfterFunc(ctx, func() { l.settle(context.WithoutCancel(ctx), tx, use) })
	return journal
}

func (l *Log) takeIdle() *Journal {
	last := len(l.idle) - 1
	if last < 0 {
		journal := NewJournal()
		journal.SetHomeRegion(l.homeRegion)
		return journal
	}
	journal := l.idle[last]
	l.idle = l.idle[:last]
	journal.SetHomeRegion(l.homeRegion)
	return journal
}

func (l *Log) forget(tx pgx.Tx) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, tx)
}

// settle finds out how far a journal has got now that its transaction has ended,
// and keeps it for another one. Should the transaction not have ended yet, the
// primary key stops whoever goes on from here: AppendTx then begins another
// journal.
func (l *Log) settle(ctx context.Context, tx pgx.Tx, use *use) {
	l.mu.Lock()
	isForgotten := l.busy[tx] != use
	use.isOver = true
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, settleMax)
	defer cancel()
	// It is nobody else's now. Without an answer there is a journal more.
	isSettled := !isForgotten && use.settle(ctx, auditdb.New(l.db))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[tx] == use {
		delete(l.busy, tx)
	}
	if isSettled && len(l.idle) < idleMax {
		l.idle = append(l.idle, use.journal)
	}
}

// settle sets the head to the last row that is committed: as it was written, not
// as it is found. It returns false when that is neither the one before the
// transaction nor the one after.
func (u *use) settle(ctx context.Context, queries *auditdb.Queries) bool {
	after := u.journal.head
	day, err := time.Parse(dayFormat, after.day)
	if err != nil {
		return false
	}
	seq, err := queries.LastNumber(ctx, auditdb.LastNumberParams{Day: date(day), Journal: u.journal.name})
	switch {
	case err != nil:
		return false
	case seq == after.seq:
		return true
	case seq == u.before.seq && u.before.day == after.day, seq == 0 && u.before.day != after.day:
		u.journal.head = u.before
		return true
	}
	return false
}
