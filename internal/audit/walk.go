package audit

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"florin/internal/audit/internal/auditdb"
	"florin/internal/platform/database"
)

const (
	// walkMax is how many events a search without an index looks at for a page.
	walkMax = 20_000
	// windowMax is how many rows are read at once of all journals together, and
	// windowMin of each.
	windowMax, windowMin = 2_000, 8
)

// walk searches without an index: day by day, down the journals of each, merged
// by time.
func (l *Log) walk(ctx context.Context, f Filter, before Position, limit int) (Page, error) {
	w := walker{queries: auditdb.New(l.db), filter: f, limit: limit, left: l.walkMax}
	day := date(before.At)
	for {
		found, err := w.queries.DayNotAfter(ctx, day)
		if database.NotFound(err) {
			return w.page, nil
		}
		if err == nil && found.Time.AddDate(0, 0, 1).After(f.From) {
			err = w.day(ctx, found.Time, before)
		} else if err == nil {
			return w.page, nil
		}
		if err != nil {
			return Page{}, fmt.Errorf("go through the audit trail: %w", err)
		}
		if w.page.Next != nil {
			return w.page, nil
		}
		day = date(found.Time.AddDate(0, 0, -1))
	}
}

// walker gathers a page.
type walker struct {
	queries *auditdb.Queries
	filter  Filter
	limit   int
	left    int // events still to be looked at
	page    Page
}

// reader goes down one journal of a day.
type reader struct {
	journal string
	next    int64 // number of the next row to read, or the first before it
	rows    []auditdb.AuditEvent
}

// day goes through a day's events before a position, until the page is full.
func (w *walker) day(ctx context.Context, day time.Time, before Position) error {
	readers, err := w.readers(ctx, day, before)
	if err != nil {
		return err
	}
	for {
		if readers, err = w.refill(ctx, day, readers); err != nil || len(readers) == 0 {
			return err
		}
		r := newest(readers)
		row := r.rows[0]
		r.rows = r.rows[1:]
		if !isBefore(row, before) {
			continue
		}
		if row.RecordedAt.Before(w.filter.From) {
			return nil // and so is the rest
		}
		w.left--
		record := recordOf(row)
		if w.filter.matches(row) {
			w.page.Records = append(w.page.Records, record)
		}
		if len(w.page.Records) == w.limit || w.left == 0 {
			w.page.Next = record.position()
			return nil
		}
	}
}

// readers are of all journals of a day, each at its last row before the position.
func (w *walker) readers(ctx context.Context, day time.Time, before Position) ([]*reader, error) {
	heads, err := headsOf(ctx, w.queries, date(day))
	if err != nil {
		return nil, err
	}
	readers := make([]*reader, 0, len(heads))
	for _, h := range heads {
		readers = append(readers, &reader{journal: h.journal, next: h.seq})
	}
	if before.At.Before(day.AddDate(0, 0, 1)) {
		err = w.rewind(ctx, day, readers, before)
	}
	return readers, err
}

// rewind halves the distance to the position in all journals at once: time never
// goes back within one. A day of a thousand million events takes thirty steps.
func (w *walker) rewind(ctx context.Context, day time.Time, readers []*reader, before Position) error {
	low := make([]int64, len(readers)) // rows up to here are before the position
	for {
		var asked []int
		var p []auditdb.TimeAtParams
		for i, r := range readers {
			if low[i] < r.next {
				asked = append(asked, i)
				p = append(p, auditdb.TimeAtParams{Day: date(day), Journal: r.journal, Seq: middle(low[i], r.next)})
			}
		}
		if len(asked) == 0 {
			return nil
		}
		var failed error
		w.queries.TimeAt(ctx, p).Query(func(n int, found []auditdb.TimeAtRow, err error) {
			i, half := asked[n], p[n].Seq
			switch {
			case err != nil:
				failed = err
			case len(found) == 0 || compare(Position{found[0].RecordedAt, p[n].Journal, found[0].Seq}, before) < 0:
				low[i] = half
			default:
				readers[i].next = min(found[0].Seq, half) - 1
			}
		})
		if failed != nil {
			return failed
		}
	}
}

// middle is above low and not above high.
func middle(low, high int64) int64 { return low + (high-low+1)/2 }

// refill reads on in the journals that have nothing left, and drops those that
// are at their end.
func (w *walker) refill(ctx context.Context, day time.Time, readers []*reader) ([]*reader, error) {
	var empty []*reader
	var p []auditdb.ReadDownParams
	window := int32(max(windowMax/max(len(readers), 1), windowMin))
	for _, r := range readers {
		if len(r.rows) == 0 {
			empty = append(empty, r)
			p = append(p, auditdb.ReadDownParams{Day: date(day), Journal: r.journal, Seq: r.next, MaxRows: window})
		}
	}
	if len(empty) == 0 {
		return readers, nil
	}
	var failed error
	w.queries.ReadDown(ctx, p).Query(func(n int, rows []auditdb.AuditEvent, err error) {
		if err != nil {
			failed = err
		} else if len(rows) > 0 {
			empty[n].rows, empty[n].next = rows, rows[len(rows)-1].Seq-1
		}
	})
	rest := readers[:0]
	for _, r := range readers {
		if len(r.rows) > 0 {
			rest = append(rest, r)
		}
	}
	return rest, failed
}

// newest is the reader whose next event is the newest.
func newest(readers []*reader) *reader {
	first := readers[0]
	for _, r := range readers[1:] {
		if compare(positionOf(r.rows[0]), positionOf(first.rows[0])) > 0 {
			first = r
		}
	}
	return first
}

func positionOf(r auditdb.AuditEvent) Position { return Position{r.RecordedAt, r.Journal, r.Seq} }

func isBefore(r auditdb.AuditEvent, p Position) bool { return compare(positionOf(r), p) < 0 }

func compare(a, b Position) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Journal, b.Journal), cmp.Compare(a.Seq, b.Seq))
}
