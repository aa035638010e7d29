package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"florin/internal/audit/internal/auditdb"
)

// MaxPage is the most events of one page of a search.
const MaxPage = 500

// Filter selects events; empty fields select all.
type Filter struct {
	ActorKind, ActorID   string
	Action               string
	TargetKind, TargetID string
	RequestID            string
	Result               string
	From, To             time.Time // of Event.At; To is exclusive
}

// Position is a place between two events. The zero value is before the newest.
type Position struct {
	At      time.Time `json:"at"`
	Journal string    `json:"journal"`
	Seq     int64     `json:"seq"`
}

// Record is an event as it was recorded, and where.
type Record struct {
	Event
	Day     string // "2026-01-31"
	Journal string
	Seq     int64
}

// Page is a part of what a search finds.
type Page struct {
	Records []Record
	// Next is where the search goes on; nil at its end.
	Next *Position
}

// Search finds events, the newest first, beginning after a position and at most
// limit of them (1 to MaxPage). Within a second or so the order of events of
// different replicas is by their clocks.
//
// A search by target, by a person, or by an action that is not of transactions or
// holds follows an index. Any other goes through the trail from Filter.To down to
// Filter.From, and looks at a bounded number of events for each page: one may so
// have fewer events than limit, even none, and a Next all the same.
//
// It opens no transaction and never holds up writes. What is being recorded while a
// search goes on is in it or not.
func (l *Log) Search(ctx context.Context, f Filter, after Position, limit int) (Page, error) {
	limit = min(max(limit, 1), MaxPage)
	if !f.isPossible() {
		return Page{}, nil
	}
	f.From, f.To = within(f.From), within(f.To)
	find, err := l.index(ctx, f)
	if err != nil {
		return Page{}, err
	}
	if find == nil {
		return l.walk(ctx, f, f.start(after), limit)
	}
	// One more, to know whether it goes on.
	rows, err := find(ctx, f, f.start(after), limit+1)
	if err != nil {
		return Page{}, fmt.Errorf("search the audit trail: %w", err)
	}
	var page Page
	for i, r := range rows {
		if i == limit {
			page.Next = page.Records[limit-1].position()
			break
		}
		page.Records = append(page.Records, recordOf(r))
	}
	return page, nil
}

// isPossible says whether the filter's texts are such as a database can hold.
func (f Filter) isPossible() bool {
	for _, text := range []string{f.ActorKind, f.ActorID, f.Action, f.TargetKind, f.TargetID, f.RequestID, f.Result} {
		if storable(text) != text {
			return false
		}
	}
	return f.To.IsZero() || f.To.After(f.From)
}

// endOfTime is after every event.
var endOfTime = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// within is a caller's time as a database can hold it; no event is beyond.
func within(t time.Time) time.Time {
	if t.Year() < 1 {
		return time.Time{}
	}
	if t.After(endOfTime) {
		return endOfTime
	}
	return t.UTC()
}

// start is where a search begins: after a position, or below To. What comes back
// from a caller is made such as a database can hold.
func (f Filter) start(after Position) Position {
	start := Position{At: endOfTime}
	if !f.To.IsZero() {
		// Nothing of that very moment: no journal's name is before the empty one.
		start.At = f.To
	}
	after.At, after.Journal = within(after.At), storable(after.Journal)
	if !after.At.IsZero() && after.At.Before(start.At) {
		return after
	}
	return start
}

func (r Record) position() *Position { return &Position{r.At, r.Journal, r.Seq} }

// matches applies the filter to one event.
func (f Filter) matches(r auditdb.AuditEvent) bool {
	is := func(want, text string) bool { return want == "" || want == text }
	return is(f.ActorKind, r.ActorKind) && is(f.ActorID, r.ActorID) && is(f.Action, r.Action) &&
		is(f.TargetKind, r.TargetKind) && is(f.TargetID, r.TargetID) && is(f.RequestID, r.RequestID) && is(f.Result, r.Result)
}

type find func(context.Context, Filter, Position, int) ([]auditdb.AuditEvent, error)

// index is the search by the index that fits the filter; nil when there is none.
func (l *Log) index(ctx context.Context, f Filter) (find, error) {
	if f.TargetID != "" {
		return l.byTarget, nil
	}
	if f.ActorID != "" && f.ActorKind != "key" {
		if f.ActorKind != "" {
			return l.byPerson, nil
		}
		// Ids of people and of keys are never the same.
		isPerson, err := auditdb.New(l.db).IsPerson(ctx, f.ActorID)
		if err != nil {
			return nil, fmt.Errorf("search the audit trail: %w", err)
		}
		if isPerson {
			return l.byPerson, nil
		}
	}
	if f.Action != "" && !strings.HasPrefix(f.Action, "transaction.") && !strings.HasPrefix(f.Action, "hold.") {
		return l.byAction, nil
	}
	return nil, nil
}

func (l *Log) byTarget(ctx context.Context, f Filter, before Position, limit int) ([]auditdb.AuditEvent, error) {
	return auditdb.New(l.db).SearchByTarget(ctx, auditdb.SearchByTargetParams{
		TargetID: f.TargetID, BeforeAt: before.At, BeforeJournal: before.Journal, BeforeSeq: before.Seq, Since: f.From,
		TargetKind: optional(f.TargetKind), Action: optional(f.Action), ActorKind: optional(f.ActorKind), ActorID: optional(f.ActorID),
		RequestID: optional(f.RequestID), Result: optional(f.Result), MaxRows: int32(limit),
	})
}

func (l *Log) byPerson(ctx context.Context, f Filter, before Position, limit int) ([]auditdb.AuditEvent, error) {
	return auditdb.New(l.db).SearchByPerson(ctx, auditdb.SearchByPersonParams{
		ActorID: f.ActorID, BeforeAt: before.At, BeforeJournal: before.Journal, BeforeSeq: before.Seq, Since: f.From,
		TargetKind: optional(f.TargetKind), Action: optional(f.Action), ActorKind: optional(f.ActorKind),
		RequestID: optional(f.RequestID), Result: optional(f.Result), MaxRows: int32(limit),
	})
}

func (l *Log) byAction(ctx context.Context, f Filter, before Position, limit int) ([]auditdb.AuditEvent, error) {
	return auditdb.New(l.db).SearchByAction(ctx, auditdb.SearchByActionParams{
		Action: f.Action, BeforeAt: before.At, BeforeJournal: before.Journal, BeforeSeq: before.Seq, Since: f.From,
		TargetKind: optional(f.TargetKind), ActorKind: optional(f.ActorKind), ActorID: optional(f.ActorID),
		RequestID: optional(f.RequestID), Result: optional(f.Result), MaxRows: int32(limit),
	})
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func recordOf(r auditdb.AuditEvent) Record {
	return Record{
		Event: Event{
			Action: r.Action, TargetKind: r.TargetKind, TargetID: r.TargetID,
			Before: shown(r.Before), After: shown(r.After), Result: r.Result,
			Origin: Origin{ActorKind: r.ActorKind, ActorID: r.ActorID, Role: r.Role, Address: r.Address, RequestID: r.RequestID},
			At:     r.RecordedAt.UTC(),
		},
		Day: r.Day.Time.Format(dayFormat), Journal: r.Journal, Seq: r.Seq,
	}
}

// shown is the JSON of a column; one that is none is shown as a text, lest it
// spoil the answer that it stands in.
func shown(text *string) json.RawMessage {
	if text == nil {
		return nil
	}
	if data := []byte(*text); json.Valid(data) {
		return data
	}
	quoted, _ := json.Marshal(*text) // a string always has a JSON
	return quoted
}
