package audit

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/audit/internal/auditdb"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// scatter writes events of several journals over three days, many at the same
// time, and returns them as a search should answer them: the newest first.
func scatter(t *testing.T, db *database.DB, random *rand.Rand) (events []Record) {
	t.Helper()
	first := time.Date(2026, 1, 30, 22, 0, 0, 0, time.UTC)
	pick := func(prefix string, n int) string { return fmt.Sprint(prefix, random.IntN(n)) }
	for range 5 {
		j := NewJournal()
		at := first
		for range 40 {
			at = at.Add(time.Duration(random.IntN(4)) * 20 * time.Minute)
			batch, made := pgx.Batch{}, []Event{}
			for range 1 + random.IntN(4) {
				kind := []string{"user", "key", "system"}[random.IntN(3)]
				made = append(made, Event{
					Action: pick([]string{"account.opened", "transaction.completed", "hold.placed", "session.created"}[random.IntN(4)], 2), TargetKind: pick("kind", 2), TargetID: pick("target", 8),
					Result: pick("result", 2), Origin: Origin{ActorKind: kind, ActorID: pick(kind, 3), RequestID: pick("request", 5)},
				})
			}
			pending := j.Queue(&batch, at, made)
			send(t, db, &batch)
			pending.Committed()
			for i := range made {
				made[i].At = at
				events = append(events, Record{Event: made[i], Day: at.Format(dayFormat), Journal: j.name, Seq: pending.next.seq - int64(len(made)-1-i)})
			}
		}
	}
	slices.SortFunc(events, func(a, b Record) int { return -compare(*a.position(), *b.position()) })
	return events
}

func (f Filter) selects(r Record) bool {
	return f.matches(auditdb.AuditEvent{
		ActorKind: r.Origin.ActorKind, ActorID: r.Origin.ActorID, Action: r.Action, TargetKind: r.TargetKind, TargetID: r.TargetID,
		RequestID: r.Origin.RequestID, Result: r.Result,
	}) && !r.At.Before(f.From) && (f.To.IsZero() || r.At.Before(f.To))
}

func TestASearchFindsWhatMatchesNewestFirst(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 1))
		t.Log("seed", seed)
		events := scatter(t, db, random)
		log := New(db, clock.System)
		maybe := func(p float64, value string) string {
			if random.Float64() < p {
				return value
			}
			return ""
		}
		rounds := 120
		if db.Engine == database.Cockroach {
			rounds = 8 // a page takes many times as long there
		}
		for range rounds {
			like := events[random.IntN(len(events))]
			f := Filter{
				ActorKind: maybe(0.2, like.Origin.ActorKind), ActorID: maybe(0.4, like.Origin.ActorID), Action: maybe(0.4, like.Action),
				TargetKind: maybe(0.2, like.TargetKind), TargetID: maybe(0.3, like.TargetID), RequestID: maybe(0.2, like.Origin.RequestID), Result: maybe(0.2, like.Result),
			}
			if random.IntN(3) == 0 {
				f.From = like.At.Add(-time.Duration(random.IntN(10)) * time.Hour)
			}
			if random.IntN(3) == 0 {
				f.To = like.At.Add(time.Duration(random.IntN(10)) * time.Hour)
			}
			log.walkMax = 1 + random.IntN(100)
			want := []Record{}
			for _, e := range events {
				if f.selects(e) {
					want = append(want, e)
				}
			}
			got, after, limit := []Record{}, Position{}, 1+random.IntN(40)
			for pages := 0; ; pages++ {
				page, err := log.Search(t.Context(), f, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				if len(page.Records) > limit || pages > 2*len(events) {
					t.Fatalf("%+v: %d events on page %d of %d", f, len(page.Records), pages, limit)
				}
				got = append(got, page.Records...)
				if page.Next == nil {
					break
				}
				after = *page.Next
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%+v, %d a page, %d looked at: got %d, want %d\n%v\n%v", f, limit, log.walkMax, len(got), len(want), got, want)
			}
		}
	})
}

func TestASearchOfRowsTamperedWithAnswers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		events := scatter(t, db, rand.New(rand.NewPCG(1, 2)))
		execute(t, db, "DELETE FROM audit_events WHERE seq % 7 < 3")
		execute(t, db, "UPDATE audit_events SET before = '{', after = 'x' || chr(10) WHERE seq % 7 = 4")
		log := New(db, clock.System)
		want := 0
		before := Filter{To: events[len(events)/2].At}
		for _, e := range events {
			if e.Seq%7 >= 3 && before.selects(e) {
				want++
			}
		}
		if got := all(t, log, before); len(got) != want {
			t.Errorf("%d events; want %d", len(got), want)
		}
	})
}

func TestASearchLooksAtABoundedNumberOfEvents(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		scatter(t, db, rand.New(rand.NewPCG(3, 4)))
		log := New(db, clock.System)
		log.walkMax = 50
		page, err := log.Search(t.Context(), Filter{RequestID: "none such"}, Position{}, 10)
		if err != nil || len(page.Records) > 0 || page.Next == nil {
			t.Fatalf("%+v, %v", page, err)
		}
		if all := all(t, log, Filter{RequestID: "none such"}); len(all) > 0 {
			t.Errorf("%v", all)
		}
		for _, limit := range []int{-1, 0, 1} {
			if page, err := log.Search(t.Context(), Filter{}, Position{}, limit); err != nil || len(page.Records) != 1 {
				t.Errorf("limit %d: %d events, %v", limit, len(page.Records), err)
			}
		}
		// No time of a caller's is too early or too late.
		for _, at := range []time.Time{{}, time.Unix(0, 0), time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(300000, 1, 1, 0, 0, 0, 0, time.UTC)} {
			for _, f := range []Filter{{From: at}, {To: at}, {From: at, TargetID: "target1"}, {To: at, TargetID: "target1"}} {
				if _, err := log.Search(t.Context(), f, Position{At: at, Seq: -1}, 10); err != nil {
					t.Errorf("at %s: %v", at, err)
				}
			}
		}
	})
}

// No statement reads all of the trail, whatever the planner thinks of its size.
func TestStatementsFollowTheirIndexes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		scatter(t, db, rand.New(rand.NewPCG(5, 6)))
		if db.Engine == database.Postgres {
			// On so few rows it would read them all, and rightly.
			db = dbtest.Open(t, dbtest.With(t, db.Config().ConnString(), "enable_seqscan", "off"), database.Options{MaxConns: 1})
		}
		execute(t, db, "ANALYZE audit_events")
		now, day := clock.System(), date(clock.System())
		search := []any{now, "", int64(1), now}
		for name, c := range map[string]struct {
			sql, index string
			args       []any
		}{
			"by target":  {auditdb.SearchByTarget, "audit_events_by_target", append([]any{"target1"}, append(search, nil, nil, nil, nil, nil, nil, 10)...)},
			"by person":  {auditdb.SearchByPerson, "audit_events_by_person", append([]any{"user1"}, append(search, nil, nil, nil, nil, nil, 10)...)},
			"by action":  {auditdb.SearchByAction, "audit_events_by_action", append([]any{"account.opened1"}, append(search, nil, nil, nil, nil, nil, 10)...)},
			"is person":  {auditdb.IsPerson, "audit_events_by_person", []any{"user1"}},
			"day before": {auditdb.DayNotAfter, "audit_events_pkey", []any{day}},
			"next day":   {auditdb.NextDay, "audit_events_pkey", []any{day}},
			"read down":  {auditdb.ReadDown, "audit_events_pkey", []any{day, "j", int64(5), 10}},
			"time at":    {auditdb.TimeAt, "audit_events_pkey", []any{day, "j", int64(5)}},
			"last row":   {auditdb.LastRow, "audit_events_pkey", []any{day, "j"}},
			"number":     {auditdb.LastNumber, "audit_events_pkey", []any{day, "j"}},
			"journals":   {auditdb.JournalsOf, "audit_events_pkey", []any{day}},
		} {
			rows, err := db.Query(t.Context(), "EXPLAIN "+c.sql, append([]any{pgx.QueryExecModeExec}, c.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			plan := strings.Join(lines, "\n")
			if err != nil || !strings.Contains(plan, c.index) || wholeTable.MatchString(plan) {
				t.Errorf("%s, %v:\n%s", name, err, plan)
			}
		}
	})
}

var wholeTable = regexp.MustCompile(`Seq Scan on audit_events|FULL SCAN`)
