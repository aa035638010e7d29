package audit

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"florin/internal/audit/internal/auditdb"
)

const (
	// nameLength is how many characters of a-z and 2-7 a journal's name has: 80
	// random bits, so that no two writers ever share one.
	nameLength = 16
	// clockBackMax is how far a clock may go back before a journal is ended;
	// until then its time stands still.
	clockBackMax = time.Minute
)

// Journal chains and numbers the events of one writer. Each writer having its own,
// no row is contended for. A Journal is used by one goroutine at a time.
type Journal struct {
	name       string
	homeRegion string
	head       head
	buf        []byte
}

// head is the last row of a journal. The next is chained to it.
type head struct {
	day  string
	seq  int64
	hash hash
	at   time.Time // of the last row; zero before the first
}

// NewJournal begins a journal with a random name. Nothing is written before the
// first event.
func NewJournal() *Journal {
	j := &Journal{}
	j.restart()
	return j
}

// restart goes on under another name, with a chain of its own.
func (j *Journal) restart() {
	j.name = strings.ToLower(rand.Text()[:nameLength])
	j.head = head{}
}

// SetHomeRegion says where rows live from now on, in a database of several
// regions; "" is the primary one.
func (j *Journal) SetHomeRegion(region string) {
	if region != j.homeRegion {
		j.homeRegion = region
		j.restart() // a number is unique within its region alone
	}
}

// Pending is what Queue has chained, and whose transaction has not ended yet. The
// zero value is of no events.
type Pending struct {
	journal *Journal
	next    head
}

// Queue chains the events and adds one statement to batch that inserts them,
// whatever their number; none without events. now becomes their time, in
// microseconds; it never goes back within a journal. An event without an ActorKind
// is the system's. Texts above 512 bytes are cut, what no text column takes is
// replaced, and a Before or After above 64 KiB is left out: an event is no reason
// for its transaction to fail.
//
// The journal goes on from these events only when Pending.Committed is called.
// When the transaction is known to have failed, nothing need be called: the next
// Queue, of the same events or of others, takes their place. When it may have been
// committed, call Pending.Unknown.
func (j *Journal) Queue(batch *pgx.Batch, now time.Time, events []Event) Pending {
	if len(events) == 0 {
		return Pending{}
	}
	now = now.UTC().Truncate(time.Microsecond)
	if j.head.at.Sub(now) > clockBackMax {
		j.restart()
	}
	if now.Before(j.head.at) {
		now = j.head.at
	}
	insert := j.chain(now, events)
	last := len(events) - 1
	// The statement is taken down as sqlc sends it, so that it has its arguments
	// in order.
	_ = auditdb.New(taken{batch}).InsertEvents(context.Background(), insert)
	return Pending{j, head{
		day: now.Format(dayFormat), seq: insert.Seqs[last], hash: hash(insert.Hashes[last]), at: now,
	}}
}

func (j *Journal) chain(now time.Time, events []Event) auditdb.InsertEventsParams {
	n := len(events)
	p := auditdb.InsertEventsParams{
		Day: date(now), Journal: j.name, RecordedAt: now, HomeRegion: j.homeRegion,
		Seqs: make([]int64, n), Hashes: make([][]byte, n),
	}
	// One piece of memory for the many columns.
	columns := make([]string, 11*n)
	for i, column := range []*[]string{
		&p.Actions, &p.TargetKinds, &p.TargetIds, &p.Befores, &p.Afters, &p.Results,
		&p.ActorKinds, &p.ActorIds, &p.Roles, &p.Addresses, &p.RequestIds,
	} {
		*column = columns[i*n : (i+1)*n : (i+1)*n]
	}
	r := row{day: now.Format(dayFormat), journal: j.name, recordedAt: now.UnixMicro()}
	at := j.head
	if at.day != r.day {
		at = head{hash: genesis(r.day, j.name)}
	}
	links := make([]hash, n)
	for i := range events {
		e := &events[i]
		r.seq = at.seq + int64(i) + 1
		r.fill(e)
		previous := at.hash
		if i > 0 {
			previous = links[i-1]
		}
		links[i], j.buf = r.link(previous, j.buf)
		p.Seqs[i], p.Hashes[i] = r.seq, links[i][:]
		p.Actions[i], p.TargetKinds[i], p.TargetIds[i] = r.action, r.targetKind, r.targetID
		p.Befores[i], p.Afters[i] = orEmpty(r.before), orEmpty(r.after)
		p.Results[i] = r.result
		p.ActorKinds[i], p.ActorIds[i], p.Roles[i] = r.actorKind, r.actorID, r.role
		p.Addresses[i], p.RequestIds[i] = r.address, r.requestID
	}
	return p
}

// fill takes an event's own columns.
func (r *row) fill(e *Event) {
	r.action, r.targetKind, r.targetID = storable(e.Action), storable(e.TargetKind), storable(e.TargetID)
	r.before, r.after = nil, nil
	if len(e.Before) > 0 {
		text := state(e.Before)
		r.before = &text
	}
	if len(e.After) > 0 {
		text := state(e.After)
		r.after = &text
	}
	r.result = storable(e.Result)
	if r.result == "" {
		r.result = OK
	}
	r.actorKind = storable(e.Origin.ActorKind)
	if r.actorKind == "" {
		r.actorKind = SystemActor
	}
	r.actorID, r.role = storable(e.Origin.ActorID), storable(e.Origin.Role)
	r.address, r.requestID = storable(e.Origin.Address), storable(e.Origin.RequestID)
}

// Committed says that the events are in the database.
func (p Pending) Committed() {
	if p.journal != nil {
		p.journal.head = p.next
	}
}

// Unknown says that the events may be in the database or not, or may come to be in
// it later, as when a connection breaks during COMMIT. The journal goes on under
// another name: whatever became of the events, both chains are whole. It does no
// harm after other errors.
func (p Pending) Unknown() {
	if p.journal != nil {
		p.journal.restart()
	}
}

// taken queues a statement of sqlc in a batch instead of sending it.
type taken struct{ batch *pgx.Batch }

func (t taken) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	t.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

func (taken) Query(context.Context, string, ...any) (pgx.Rows, error) {
	panic("audit: no queries here")
}
func (taken) QueryRow(context.Context, string, ...any) pgx.Row       { panic("audit: no queries here") }
func (taken) SendBatch(context.Context, *pgx.Batch) pgx.BatchResults { panic("audit: no queries here") }

func date(t time.Time) pgtype.Date {
	year, month, day := t.UTC().Date()
	return pgtype.Date{Time: time.Date(year, month, day, 0, 0, 0, 0, time.UTC), Valid: true}
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
