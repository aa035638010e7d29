package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// trail is a database of a test's own: what is proved is all of it.
func trail(t *testing.T, url string) (*database.DB, string) {
	t.Helper()
	url = dbtest.Fresh(t, url)
	dbtest.Migrate(t, url)
	return dbtest.Open(t, url, database.Options{MaxConns: 8}), url
}

func prove(t *testing.T, db *database.DB) Report {
	t.Helper()
	report, err := Verify(t.Context(), db, VerifyOptions{})
	if err != nil || len(report.Offences) > 0 || report.Truncated {
		t.Fatalf("%+v, %v", report, err)
	}
	return report
}

func event(action, target string) Event {
	return Event{Action: action, TargetKind: "account", TargetID: target, After: json.RawMessage(`{"n":1}`)}
}

// all are all events, the newest first.
func all(t *testing.T, log *Log, f Filter) (records []Record) {
	t.Helper()
	var after Position
	for {
		page, err := log.Search(t.Context(), f, after, MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, page.Records...)
		if page.Next == nil {
			return records
		}
		after = *page.Next
	}
}

// written waits until the ends of all transactions have been looked up.
func (l *Log) written(t *testing.T) []*Journal {
	t.Helper()
	for range 1000 {
		l.mu.Lock()
		busy, idle := len(l.busy), append([]*Journal(nil), l.idle...)
		l.mu.Unlock()
		if busy == 0 && len(idle) > 0 {
			return idle
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("a transaction's end was not noticed")
	return nil
}

func TestAnEventIsRecordedAsItIs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		at := time.Date(2026, 1, 31, 9, 30, 0, 123456789, time.FixedZone("", 3600))
		log := New(db, func() time.Time { return at })
		own := Origin{ActorKind: "user", ActorID: "user_1", Role: "admin", Address: "2001:db8::1", RequestID: "req_1"}
		acting := Origin{ActorKind: "key", ActorID: "key_1", Role: "operator"}
		ctx := With(t.Context(), acting)
		given := Event{Action: "account.updated", TargetKind: "account", TargetID: "acc_1", Before: json.RawMessage(`{"b":1, "a":"ä"}`), After: json.RawMessage(`{}`), Result: "refused", Origin: own, At: time.Unix(1, 0)}
		if err := log.Append(ctx, given, event("account.opened", "acc_2")); err != nil {
			t.Fatal(err)
		}
		if err := log.Append(t.Context(), event("account.closed", "acc_3")); err != nil {
			t.Fatal(err)
		}
		if err := log.Append(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []Event{given, event("account.opened", "acc_2"), event("account.closed", "acc_3")}
		want[1].Origin, want[2].Origin = acting, Origin{ActorKind: SystemActor}
		want[1].Result, want[2].Result = OK, OK
		for _, w := range want {
			w.At = time.Date(2026, 1, 31, 8, 30, 0, 123456000, time.UTC)
			got := all(t, log, Filter{TargetID: w.TargetID})
			if len(got) != 1 || fmt.Sprintf("%+v", got[0].Event) != fmt.Sprintf("%+v", w) || got[0].Day != "2026-01-31" {
				t.Errorf("got %+v; want %+v", got, w)
			}
		}
		if report := prove(t, db); report.Events != 3 || report.Days != 1 || report.SealedDays != 0 {
			t.Errorf("%+v", report)
		}
	})
}

func TestNothingThatAnEventSaysStopsIt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		log := New(db, clock.System)
		texts := []string{"", "\x00", "a\xffb\xc3", strings.Repeat("€", 5000), "'; DROP TABLE audit_events; --", "\u202e{}\\u0000", "%_\\", "\r\n\t\x7f"}
		for _, text := range texts {
			state := json.RawMessage(text)
			origin := Origin{ActorKind: text, ActorID: text, Role: text, Address: text, RequestID: text}
			if err := log.Append(t.Context(), Event{Action: text, TargetKind: text, TargetID: text, Before: state, After: state, Result: text, Origin: origin}); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
		large := json.RawMessage(`"` + strings.Repeat("x", stateMax) + `"`)
		if err := log.Append(t.Context(), Event{Action: "large", After: large}); err != nil {
			t.Error(err)
		}
		records := all(t, log, Filter{})
		if len(records) != len(texts)+1 || int(prove(t, db).Events) != len(records) {
			t.Fatalf("%d events", len(records))
		}
		if _, err := json.Marshal(records); err != nil {
			t.Errorf("they can't be answered: %v", err)
		}
		if string(records[0].After) != leftOut {
			t.Errorf("a large state became %.80s", records[0].After)
		}
		for _, text := range texts { // as a filter, too
			if _, err := log.Search(t.Context(), Filter{ActorID: text, Action: text, TargetID: text, RequestID: text, Result: text}, Position{At: clock.System(), Journal: text}, 10); err != nil {
				t.Errorf("searching %q: %v", text, err)
			}
		}
	})
}

func TestAClosureThatIsRunAgainRecordsOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		log := New(db, clock.System)
		for i := range 5 {
			runs := 0
			err := db.InTx(t.Context(), "again", func(ctx context.Context, tx pgx.Tx) error {
				runs++
				// Several calls of one transaction are one chain.
				for part := range 3 {
					if err := log.AppendTx(ctx, tx, event(fmt.Sprintf("run.%d", runs), fmt.Sprintf("x%d_%d", i, part)), event("second", "y")); err != nil {
						return err
					}
				}
				if runs < 3 {
					return database.Retry(errors.New("once more"))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			log.written(t)
			own := errors.New("no")
			if err := db.InTx(t.Context(), "fails", func(ctx context.Context, tx pgx.Tx) error {
				if err := log.AppendTx(ctx, tx, event("never", "z")); err != nil {
					return err
				}
				return own
			}); !errors.Is(err, own) {
				t.Fatal(err)
			}
			log.written(t)
		}
		if got := all(t, log, Filter{Action: "run.3"}); len(got) != 15 {
			t.Errorf("%d events", len(got))
		}
		if got := all(t, log, Filter{Action: "never"}); len(got) != 0 {
			t.Errorf("%d events of a transaction that failed", len(got))
		}
		if report := prove(t, db); report.Events != 30 || report.Journals > 3 {
			t.Errorf("%d events in %d journals", report.Events, report.Journals)
		}
	})
}

func TestTransactionsAtOnceDoNotConflict(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, second := trail(t, url)
		logs := []*Log{New(db, clock.System), New(dbtest.Open(t, second, database.Options{MaxConns: 8}), clock.System)}
		const workers, each = 8, 15
		var group sync.WaitGroup
		var mu sync.Mutex
		runs := 0
		for w := range workers {
			log := logs[w%len(logs)]
			group.Go(func() {
				for i := range each {
					err := log.db.InTx(t.Context(), "at once", func(ctx context.Context, tx pgx.Tx) error {
						mu.Lock()
						runs++
						mu.Unlock()
						if err := log.AppendTx(ctx, tx, event("first", fmt.Sprintf("t%d_%d", w, i))); err != nil {
							return err
						}
						time.Sleep(time.Millisecond) // so that they overlap
						return log.AppendTx(ctx, tx, event("second", fmt.Sprintf("t%d_%d", w, i)))
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		report := prove(t, db)
		if report.Events != 2*workers*each || report.Journals > 2*workers*2 {
			t.Errorf("%d events in %d journals", report.Events, report.Journals)
		}
		if runs > workers*each*11/10 {
			t.Errorf("%d runs of %d transactions", runs, workers*each)
		}
	})
}

func TestACommitOfUnknownOutcomeBreaksNoChain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, direct := trail(t, url)
		proxy := dbtest.NewProxy(t, direct)
		log := New(dbtest.Open(t, proxy.URL, database.Options{MaxConns: 4}), clock.System)
		certain := 0
		for i := range 12 {
			mode := []dbtest.Break{dbtest.CommitApplied, dbtest.CommitLost}[i%2]
			if i%3 > 0 {
				proxy.BreakCommits(1, mode)
			}
			err := log.Append(t.Context(), event("maybe", fmt.Sprint(i)), event("maybe", fmt.Sprint(i)))
			applied := i%3 == 0 || mode == dbtest.CommitApplied
			if applied {
				certain += 2
			}
			if i%3 == 0 && err != nil || i%3 > 0 && !errors.Is(err, database.ErrCommitUnknown) {
				t.Fatal(err)
			}
		}
		if report := prove(t, db); report.Events != int64(certain) {
			t.Errorf("%d events; want %d", report.Events, certain)
		}
	})
}

// The context's end is only a hint: whoever goes on from a transaction that has
// not ended meets it at the primary key, and waits.
func TestAJournalGivenBackTooEarlyIsFoundOut(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		if db.Engine == database.Cockroach {
			t.Skip("there the look at the journal waits for the transaction's end")
		}
		log := New(db, clock.System)
		if err := log.Append(t.Context(), event("before", "x")); err != nil {
			t.Fatal(err)
		}
		before := log.written(t)
		open, err := db.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.Serializable})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = open.Rollback(context.WithoutCancel(t.Context())) }()
		short, cancel := context.WithCancel(t.Context())
		if err := log.AppendTx(short, open, event("open", "x")); err != nil {
			t.Fatal(err)
		}
		cancel()
		if after := log.written(t); len(after) != 1 || after[0] != before[0] {
			t.Fatalf("%d journals", len(after))
		}
		second := make(chan error)
		go func() { second <- log.Append(t.Context(), event("second", "x")) }()
		time.Sleep(50 * time.Millisecond) // it meets the one that is open
		if err := log.AppendTx(t.Context(), open, event("open again", "x")); err != nil {
			t.Fatal(err)
		}
		if err := open.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-second; err != nil {
			t.Fatal(err)
		}
		if report := prove(t, db); report.Events != 4 {
			t.Errorf("%d events; want 4", report.Events)
		}
	})
}

func TestAContextWithoutEndIsNoTrouble(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		log := New(db, clock.System)
		endless := context.WithoutCancel(t.Context())
		for range 3 {
			tx, err := db.Begin(endless)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := log.AppendTx(endless, tx, event("endless", "x")); err != nil {
					t.Fatal(err)
				}
			}
			if err := tx.Commit(endless); err != nil {
				t.Fatal(err)
			}
		}
		if report := prove(t, db); report.Events != 6 || len(log.busy) > 0 {
			t.Errorf("%d events, %d transactions remembered", report.Events, len(log.busy))
		}
	})
}

// send commits a batch of a journal's events.
func send(t *testing.T, db *database.DB, batch *pgx.Batch) {
	t.Helper()
	err := db.InTx(t.Context(), "journal", func(ctx context.Context, tx pgx.Tx) error {
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAJournalGoesOnFromWhatWasCommitted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		at := time.Date(2026, 1, 31, 23, 59, 58, 0, time.UTC)
		j := NewJournal()
		var left *pgx.Batch // that of a commit whose outcome isn't known
		committed := int64(0)
		for i := range 20 {
			var batch pgx.Batch
			if pending := j.Queue(&batch, at, nil); batch.Len() != 0 || pending != (Pending{}) {
				t.Fatal("no events are something")
			}
			pending := j.Queue(&batch, at, []Event{event("a", "x"), event("b", "y"), event("c", "z")})
			if batch.Len() != 1 {
				t.Fatalf("%d statements", batch.Len())
			}
			switch i % 4 {
			case 0, 1: // at 23:59:58 the first time, on the next day later
				send(t, db, &batch)
				pending.Committed()
				committed += 3
			case 2: // failed, and nobody says so
			case 3:
				left = &batch
				pending.Unknown()
			}
			if left != nil && i%4 == 1 { // it comes late
				send(t, db, left)
				left, committed = nil, committed+3
			}
			at = at.Add(300 * time.Millisecond)
		}
		Pending{}.Committed()
		Pending{}.Unknown()
		report := prove(t, db)
		if report.Events != committed || report.Days != 2 || report.Journals < 6 {
			t.Errorf("%+v; want %d events", report, committed)
		}
	})
}

func TestTimeDoesNotGoBackInAJournal(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		midnight := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
		j := NewJournal()
		for i, at := range []time.Time{midnight, midnight.Add(-time.Second), midnight.Add(-time.Minute), midnight.Add(-time.Hour), midnight.Add(time.Second)} {
			var batch pgx.Batch
			pending := j.Queue(&batch, at, []Event{event("back", fmt.Sprint(i))})
			send(t, db, &batch)
			pending.Committed()
		}
		prove(t, db)
		var days, journals []string
		records := all(t, New(db, clock.System), Filter{Action: "back"})
		for _, r := range records {
			days, journals = append(days, r.TargetID+" "+r.Day), append(journals, r.Journal)
		}
		// The newest first; an hour back is another journal's.
		if fmt.Sprint(days) != "[4 2026-02-01 2 2026-02-01 1 2026-02-01 0 2026-02-01 3 2026-01-31]" {
			t.Errorf("%v", days)
		}
		if journals[1] != journals[3] || journals[0] != journals[4] || journals[0] == journals[1] {
			t.Errorf("%v", journals)
		}
	})
}
