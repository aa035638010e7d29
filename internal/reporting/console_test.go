package reporting_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"florin/internal/audit"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/failure"
	"florin/internal/reporting"
)

func wantCode(t *testing.T, err error, want reporting.Code) {
	t.Helper()
	if refused, is := failure.In(err); !is || refused.Code != string(want) {
		t.Errorf("got %v; want %s", err, want)
	}
}

// sessions counts the console's connections.
func (w *world) sessions() (n int) {
	w.t.Helper()
	look := "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"
	if err := w.db.QueryRow(w.t.Context(), look, w.role).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestTheConsoleIsOffWithoutAHarmlessRole(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		off := reporting.NewConsole(w.db, reporting.ConsoleOptions{Clock: clock.System, Log: w.audit})
		_, err := off.Open(t.Context(), "usr_fin", reporting.Run, "SELECT 1", reporting.Limits{Bytes: 1000})
		wantCode(t, err, reporting.ConsoleOff)
		if why := off.WhyOff(); !strings.Contains(why, "florin reporting role") {
			t.Errorf("it says %q", why)
		}
		// The owner of everything is no role for a console.
		mighty := reporting.NewConsole(w.db, reporting.ConsoleOptions{URL: w.url, Clock: clock.System, Log: w.audit})
		_, err = mighty.Open(t.Context(), "usr_fin", reporting.Run, "SELECT 1", reporting.Limits{Bytes: 1000})
		wantCode(t, err, reporting.ConsoleOff)
		if err == nil || !strings.Contains(err.Error(), "must be able to use nothing but") {
			t.Errorf("it says %v", err)
		}
		w.refusesRightsOfOthers()
		// Nor is the program's own role made into one.
		for _, name := range []string{w.db.Config().ConnConfig.User, "x; DROP TABLE accounts", "", "Upper"} {
			if _, err := reporting.EnsureRole(t.Context(), w.db, name, "x"); err == nil {
				t.Errorf("a role %q was made", name)
			}
		}
	})
}

// refusesRightsOfOthers gives a role of the console's what it must not have, one after
// the other.
func (w *world) refusesRightsOfOthers() {
	w.t.Helper()
	r := w.makeRole()
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dbtest.Timeout)
		defer cancel()
		if err := dropRole(ctx, w.db, r.name); err != nil {
			w.t.Error(err)
		}
	})
	grants := map[string]string{"GRANT SELECT ON users TO ": "REVOKE SELECT ON users FROM "}
	if w.db.Engine == database.Postgres {
		grants["GRANT SELECT (email) ON users TO "] = "REVOKE SELECT (email) ON users FROM "
		grants["GRANT pg_monitor TO "] = "REVOKE pg_monitor FROM "
	} else {
		grants["GRANT admin TO "] = "REVOKE admin FROM "
	}
	for grant, revoke := range grants {
		if _, err := w.db.Exec(w.t.Context(), grant+r.name); err != nil {
			w.t.Fatal(err)
		}
		var err error
		// CockroachDB's followers know it some seconds later.
		for deadline := time.Now().Add(dbtest.Timeout); time.Now().Before(deadline) && !errors.Is(err, reporting.ConsoleOff.Failure("")); time.Sleep(200 * time.Millisecond) {
			c := reporting.NewConsole(w.db, reporting.ConsoleOptions{URL: r.url, Clock: clock.System, Log: w.audit})
			var result *reporting.Result
			if result, err = c.Open(w.t.Context(), "usr_fin", reporting.Run, "SELECT 1", reporting.Limits{Bytes: 1000}); err == nil {
				_ = result.Close()
			}
		}
		if !errors.Is(err, reporting.ConsoleOff.Failure("")) {
			w.t.Errorf("%s: %v", grant, err)
		}
		if _, err := w.db.Exec(w.t.Context(), revoke+r.name); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestEveryQueryIsOnTheAuditTrail(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := audit.With(t.Context(), audit.Origin{ActorKind: "user", ActorID: "usr_fin", Role: "finance", Address: "203.0.113.7", RequestID: "req_1"})
		trail := func(queryID string) (actions []string, last map[string]any) {
			found, err := w.audit.Search(t.Context(), audit.Filter{TargetID: queryID}, audit.Position{}, 10)
			if err != nil {
				t.Fatal(err)
			}
			for i := len(found.Records) - 1; i >= 0; i-- {
				record := found.Records[i]
				if record.Origin.ActorID != "usr_fin" || record.Origin.RequestID != "req_1" {
					t.Errorf("%s is by %+v", record.Action, record.Origin)
				}
				actions = append(actions, record.Action+" "+record.Result)
				last = map[string]any{}
				if err := json.Unmarshal(record.After, &last); err != nil {
					t.Fatal(err)
				}
				if record.Action != "query.ended" && last["query"] == nil {
					t.Errorf("%s has no text: %s", record.Action, record.After)
				}
			}
			return actions, last
		}
		r, err := w.console.Open(ctx, "usr_fin", reporting.Run, "SELECT generate_series(1, 3) AS n", reporting.Limits{Rows: 2, Bytes: 1000})
		if err != nil {
			t.Fatal(err)
		}
		// One at a time for each person; another's runs beside it, up to the replica's limit.
		_, err = w.console.Open(ctx, "usr_fin", reporting.Run, "SELECT 1", reporting.Limits{Bytes: 1000})
		wantCode(t, err, reporting.ConsoleBusy)
		other, err := w.console.Open(ctx, "usr_other", reporting.Run, "SELECT 1", reporting.Limits{Bytes: 1000})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.console.Open(ctx, "usr_third", reporting.Run, "SELECT 1", reporting.Limits{Bytes: 1000})
		wantCode(t, err, reporting.ConsoleBusy)
		if refused, _ := failure.In(err); refused.RetryAfter <= 0 {
			t.Error("it does not say when to try again")
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		for row := r.Next(); row != nil; row = r.Next() {
		}
		if err := r.Close(); err != nil || r.Rows() != 2 || !r.IsTruncated || r.ReadAt.IsZero() {
			t.Errorf("%d rows, truncated %t, %v", r.Rows(), r.IsTruncated, err)
		}
		actions, last := trail(r.ID)
		if got := strings.Join(actions, ", "); got != "query.started ok, query.ended ok" || last["rows"] != 2.0 || last["isTruncated"] != true || last["milliseconds"] == nil {
			t.Errorf("%s: %v", got, last)
		}
		// Those that failed or were refused, by what they were asked.
		_, err = w.console.Open(ctx, "usr_fin", reporting.Run, "SELECT * FROM public.users", reporting.Limits{Bytes: 1000})
		wantCode(t, err, reporting.QueryFailed)
		found, err := w.audit.Search(t.Context(), audit.Filter{ActorID: "usr_fin", ActorKind: "user"}, audit.Position{}, 50)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for _, record := range found.Records {
			seen[record.Action+" "+record.Result]++
		}
		if seen["query.refused console_busy"] != 2 || seen["query.ended query_failed"] != 1 {
			t.Errorf("%v", seen)
		}
	})
}

func TestAQueryThatNobodyWaitsForIsCancelledInTheDatabase(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, leave := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer leave()
		_, err := w.console.Open(ctx, "usr_fin", reporting.Run, "SELECT pg_sleep(60)", reporting.Limits{Bytes: 1000, Time: time.Minute})
		if err == nil {
			t.Fatal("it ended")
		}
		// A limit that the statement takes off holds all the same.
		started := time.Now()
		_, _, err = w.runAs("usr_fin", "SELECT set_config('statement_timeout', '0', false), pg_sleep(60)", reporting.Limits{Bytes: 1000, Time: time.Second})
		wantCode(t, err, reporting.QueryTimeout)
		if took := time.Since(started); took > 20*time.Second {
			t.Errorf("it took %s", took)
		}
		for deadline := time.Now().Add(dbtest.Timeout); w.sessions() > 0; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it runs on in the database")
			}
		}
		// Its place is free again, and nothing that it set or took is left.
		rows, _, err := w.run("SELECT current_setting('statement_timeout') || ' ' || current_setting('default_transaction_read_only')")
		if err != nil || !strings.HasSuffix(rows[0], " on") || strings.HasPrefix(rows[0], "0") {
			t.Errorf("%q, %v", rows, err)
		}
	})
}

// A result is passed on, and what is too much is never in memory.
func TestResultsOfAnySizeTakeLittleMemory(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r, err := w.console.Open(t.Context(), "usr_fin", reporting.Download, "SELECT g, repeat('x', 100) FROM generate_series(1, 300000) AS g", reporting.Limits{Bytes: 1 << 30, Time: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		most := highest()
		for row := r.Next(); row != nil; row = r.Next() {
			if r.Rows()%10_000 == 0 {
				most = max(most, highest())
			}
		}
		if err := r.Close(); err != nil || r.Err() != nil || r.Rows() != 300_000 || r.IsTruncated {
			t.Fatalf("%d rows, %v, %v", r.Rows(), r.Err(), err)
		}
		for query, limits := range map[string]reporting.Limits{
			"SELECT repeat('x', 60000000)":                             {Bytes: 1 << 30, Time: 30 * time.Second},
			"SELECT repeat('x', 100) FROM generate_series(1, 1000000)": {Bytes: 1 << 20, Time: 30 * time.Second},
		} {
			rows, result, err := w.runAs("usr_fin", query, limits)
			if limits.Bytes == 1<<20 {
				if err != nil || !result.IsTruncated || len(rows) > 12_000 || len(rows) < 5_000 {
					t.Errorf("%s: %d rows, %v", query, len(rows), err)
				}
			} else {
				wantCode(t, err, reporting.ResultTooLarge)
			}
			most = max(most, highest())
		}
		if most > 60<<20 {
			t.Errorf("%d MiB were in use", most>>20)
		}
	})
}

// highest is how much of the heap is in use, garbage taken off.
func highest() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

func TestSavedQueriesAreTheirOwners(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		saved, err := w.console.Save(ctx, reporting.SavedQuery{Name: "Mine", Query: "SELECT 1", OwnerID: "usr_a"})
		if err != nil || saved.Version != 1 {
			t.Fatal(saved, err)
		}
		list := func(owner string) string {
			queries, err := w.console.Saved(ctx, owner, "", 100)
			if err != nil {
				t.Fatal(err)
			}
			names := make([]string, len(queries))
			for i, q := range queries {
				names[i] = q.Name
			}
			return strings.Join(names, ",")
		}
		if list("usr_a") != "Mine" || list("usr_b") != "" {
			t.Errorf("%q and %q", list("usr_a"), list("usr_b"))
		}
		change := saved
		change.Name, change.IsShared = "Ours", true
		for range 2 { // again changes nothing
			changed, err := w.console.ChangeSaved(ctx, change)
			if err != nil || changed.Version != 2 || list("usr_b") != "Ours" || list("usr_a") != "Ours" {
				t.Errorf("%+v, %v", changed, err)
			}
		}
		stale := saved
		stale.Name = "Old"
		_, err = w.console.ChangeSaved(ctx, stale)
		wantCode(t, err, reporting.QueryChanged)
		others := change
		others.OwnerID, others.Version = "usr_b", 2
		_, err = w.console.ChangeSaved(ctx, others)
		wantCode(t, err, reporting.QueryNotFound)
		wantCode(t, w.console.DeleteSaved(ctx, "usr_b", saved.ID), reporting.QueryNotFound)
		if err := w.console.DeleteSaved(ctx, "usr_a", saved.ID); err != nil {
			t.Error(err)
		}
		wantCode(t, w.console.DeleteSaved(ctx, "usr_a", saved.ID), reporting.QueryNotFound)
		found, err := w.audit.Search(ctx, audit.Filter{TargetID: saved.ID}, audit.Position{}, 10)
		if err != nil || len(found.Records) != 3 || !strings.Contains(string(found.Records[1].Before), `"name": "Mine"`) && !strings.Contains(string(found.Records[1].Before), `"name":"Mine"`) {
			t.Errorf("%d events: %+v, %v", len(found.Records), found.Records, err)
		}
		for _, bad := range []reporting.SavedQuery{{Name: "", Query: "SELECT 1"}, {Name: "x", Query: " "}, {Name: strings.Repeat("x", 101), Query: "SELECT 1"}, {Name: "x", Query: strings.Repeat("x", 20_001)}} {
			if _, err := w.console.Save(ctx, bad); err == nil {
				t.Errorf("%.20q was saved", bad.Name)
			} else if invalid := (*failure.Invalid)(nil); !errors.As(err, &invalid) {
				t.Errorf("%v", err)
			}
		}
	})
}
