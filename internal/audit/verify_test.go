package audit

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// writeDays writes three events of two journals, named a and b, on each of n days
// that end with the one before yesterday, and returns the first.
func writeDays(t *testing.T, db *database.DB, n int) time.Time {
	t.Helper()
	first := clock.System().Truncate(24*time.Hour).AddDate(0, 0, -n-1)
	for _, name := range []string{"a", "b"} {
		j := NewJournal()
		j.name = name
		for day := range n {
			for i := range 3 {
				var batch pgx.Batch
				at := first.AddDate(0, 0, day).Add(time.Duration(i+1) * time.Hour)
				pending := j.Queue(&batch, at, []Event{event("made", fmt.Sprint(name, day, i)), event("paid", fmt.Sprint(name, day, i))})
				send(t, db, &batch)
				pending.Committed()
			}
		}
	}
	return first
}

func sealAll(t *testing.T, db *database.DB) {
	t.Helper()
	if _, err := New(db, clock.System).sealAll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func execute(t *testing.T, db *database.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// offences are what Verify finds, each as "rule day journal seq", the day as a
// number from the first.
func offences(t *testing.T, db *database.DB, first time.Time, anchors map[string]string) []string {
	t.Helper()
	report, err := Verify(t.Context(), db, VerifyOptions{Anchors: anchors})
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, o := range report.Offences {
		if o.Detail == "" {
			t.Errorf("%+v says nothing", o)
		}
		name := o.Day
		if day, err := time.Parse(dayFormat, o.Day); err == nil {
			name = fmt.Sprint(int(day.Sub(first).Hours() / 24))
		}
		text := o.Rule + " " + name
		if o.Journal != "" {
			text += fmt.Sprintf(" %s %d", o.Journal, o.Seq)
		}
		found = append(found, text)
	}
	return found
}

func all6(offence string) (offences []string) {
	for seq := range 6 {
		offences = append(offences, fmt.Sprint(offence, " ", seq+1))
	}
	return offences
}

// Days 0, 1 and 2 are sealed, day 3 is not. Each has rows 1 to 6 of the journals a
// and b.
func TestVerifyFindsEveryTampering(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		first := writeDays(t, db, 3)
		sealAll(t, db)
		// A day that is not over has no seal yet.
		j := NewJournal()
		j.name = "a"
		for range 3 {
			var batch pgx.Batch
			pending := j.Queue(&batch, clock.System(), []Event{event("made", "today"), event("paid", "today")})
			send(t, db, &batch)
			pending.Committed()
		}
		if found := offences(t, db, first, nil); len(found) > 0 {
			t.Fatal(found)
		}
		// All but the one that the database makes.
		const columns = "day, journal, seq, recorded_at, action, target_kind, target_id, before, after, result, actor_kind, actor_id, role, address, request_id, hash, home_region"
		execute(t, db, "CREATE TABLE kept_events AS SELECT "+columns+" FROM audit_events")
		execute(t, db, "CREATE TABLE kept_days AS SELECT * FROM audit_days")
		restore := func() {
			execute(t, db, "DELETE FROM audit_events")
			execute(t, db, "DELETE FROM audit_days")
			execute(t, db, "INSERT INTO audit_events ("+columns+") SELECT "+columns+" FROM kept_events")
			execute(t, db, "INSERT INTO audit_days SELECT * FROM kept_days")
		}
		day := func(n int) string { return "'" + first.AddDate(0, 0, n).Format(dayFormat) + "'::date" }
		today := "'" + clock.System().Format(dayFormat) + "'::date"
		row := func(n int, journal string, seq int) string {
			return fmt.Sprintf(" WHERE day = %s AND journal = '%s' AND seq = %d", day(n), journal, seq)
		}
		number := int(clock.System().Truncate(24*time.Hour).Sub(first).Hours() / 24)
		type tampering struct {
			name string
			sql  []string
			want []string
		}
		cases := []tampering{
			{"a row's hash", []string{"UPDATE audit_events SET hash = decode(repeat('0f', 32), 'hex')" + row(1, "a", 3)}, []string{"changed_row 1 a 3"}},
			{"the last row's hash", []string{"UPDATE audit_events SET hash = decode(repeat('0f', 32), 'hex')" + row(1, "a", 6)}, []string{"changed_row 1 a 6"}},
			{"two rows", []string{"UPDATE audit_events SET result = 'x'" + row(1, "a", 3), "UPDATE audit_events SET result = 'x'" + row(1, "a", 4)}, []string{"changed_row 1 a 3", "changed_row 1 a 4"}},
			{"rows exchanged", []string{
				"UPDATE audit_events SET seq = 100" + row(0, "b", 2), "UPDATE audit_events SET seq = 2" + row(0, "b", 3), "UPDATE audit_events SET seq = 3" + row(0, "b", 100),
			}, []string{"changed_row 0 b 2", "changed_row 0 b 3", "changed_row 0 b 4"}},
			{"a row taken out", []string{"DELETE FROM audit_events" + row(1, "b", 3)}, []string{"missing_row 1 b 3"}},
			{"rows taken out", []string{"DELETE FROM audit_events WHERE day = " + day(1) + " AND journal = 'b' AND seq IN (3, 4)"}, []string{"missing_row 1 b 3"}},
			{"the first row", []string{"DELETE FROM audit_events" + row(2, "a", 1)}, []string{"missing_row 2 a 1"}},
			{"the last row", []string{"DELETE FROM audit_events" + row(2, "a", 6)}, []string{"missing_row 2 a 6"}},
			{"a row taken out and the rest moved up", []string{"DELETE FROM audit_events" + row(2, "a", 5), "UPDATE audit_events SET seq = 5" + row(2, "a", 6)}, []string{"changed_row 2 a 5", "missing_row 2 a 6"}},
			{"a journal", []string{"DELETE FROM audit_events WHERE journal = 'b' AND day = " + day(1)}, []string{"missing_journal 1 b 1"}},
			{"a day's journals", []string{"DELETE FROM audit_events WHERE day = " + day(1)}, []string{"missing_journal 1 a 1", "missing_journal 1 b 1"}},
			{"a day with its seal", []string{"DELETE FROM audit_events WHERE day = " + day(1), "DELETE FROM audit_days WHERE day = " + day(1)}, []string{"broken_day_chain 2"}},
			{"the first day with its seal", []string{"DELETE FROM audit_events WHERE day = " + day(0), "DELETE FROM audit_days WHERE day = " + day(0)}, []string{"broken_day_chain 1"}},
			{"a seal", []string{"DELETE FROM audit_days WHERE day = " + day(1)}, []string{"broken_day_chain 2", "unsealed_day 1"}},
			{"a journal named otherwise", []string{"UPDATE audit_events SET journal = 'c' WHERE journal = 'b' AND day = " + day(1)}, append(all6("changed_row 1 c"), "missing_journal 1 b 1", "added_journal 1 c 1")},
			{"a journal on another day", []string{"UPDATE audit_events SET day = " + day(-5) + " WHERE journal = 'b' AND day = " + day(0)}, append(all6("changed_row -5 b"), "missing_journal 0 b 1", "unsealed_day -5")},
			{"a seal's root", []string{"UPDATE audit_days SET root = decode(repeat('0f', 32), 'hex') WHERE day = " + day(1)}, []string{"broken_day_chain 2", "changed_seal 1"}},
			{"a seal's previous root", []string{"UPDATE audit_days SET previous_root = decode(repeat('0f', 32), 'hex') WHERE day = " + day(1)}, []string{"broken_day_chain 1", "changed_seal 1"}},
			{"a seal's count of rows", []string{"UPDATE audit_days SET row_count = 7 WHERE day = " + day(1)}, []string{"changed_seal 1"}},
			{"a seal's count of journals", []string{"UPDATE audit_days SET journal_count = 7 WHERE day = " + day(1)}, []string{"changed_seal 1"}},
			{"a seal's list", []string{"UPDATE audit_days SET heads = replace(heads, 'b 6', 'b 5') WHERE day = " + day(1)}, []string{"changed_seal 1", "added_row 1 b 6"}},
			{"a seal's list that is none", []string{"UPDATE audit_days SET heads = 'x' WHERE day = " + day(1)}, []string{"changed_seal 1", "changed_seal 1"}},
			{"a seal put in", []string{"INSERT INTO audit_days SELECT " + day(-3) + ", row_count, journal_count, heads, root, decode(repeat('1f', 32), 'hex'), sealed_at FROM kept_days WHERE day = " + day(0)},
				[]string{"broken_day_chain -3", "broken_day_chain 0", "changed_seal -3", "missing_journal -3 a 1", "missing_journal -3 b 1"}},
			{"today's row", []string{"UPDATE audit_events SET result = 'x' WHERE journal = 'a' AND seq = 4 AND day = " + today}, []string{fmt.Sprintf("changed_row %d a 4", number)}},
			{"one of today's rows", []string{"DELETE FROM audit_events WHERE journal = 'a' AND seq = 4 AND day = " + today}, []string{fmt.Sprintf("missing_row %d a 4", number)}},
			{"a time without end", []string{"UPDATE audit_events SET recorded_at = 'infinity'" + row(1, "a", 2)}, []string{"changed_row 1 a 2"}},
		}
		for _, column := range []string{"action", "target_kind", "target_id", "result", "actor_kind", "actor_id", "role", "address", "request_id", "after", "before"} {
			cases = append(cases, tampering{"a row's " + column, []string{"UPDATE audit_events SET " + column + " = coalesce(" + column + ", '') || 'x'" + row(1, "a", 3)}, []string{"changed_row 1 a 3"}})
		}
		cases = append(cases,
			tampering{"a row's before made empty", []string{"UPDATE audit_events SET before = ''" + row(0, "a", 1)}, []string{"changed_row 0 a 1"}},
			tampering{"a row's after made NULL", []string{"UPDATE audit_events SET after = NULL" + row(0, "a", 1)}, []string{"changed_row 0 a 1"}},
			tampering{"a row's JSON written otherwise", []string{`UPDATE audit_events SET after = '{"n": 1}'` + row(0, "a", 1)}, []string{"changed_row 0 a 1"}},
			tampering{"a row's time", []string{"UPDATE audit_events SET recorded_at = recorded_at + INTERVAL '1 microsecond'" + row(0, "a", 1)}, []string{"changed_row 0 a 1"}})
		for _, c := range cases {
			for _, sql := range c.sql {
				execute(t, db, sql)
			}
			slices.Sort(c.want)
			found := offences(t, db, first, nil)
			if slices.Sort(found); !slices.Equal(found, c.want) {
				t.Errorf("%s: found %q; want %q", c.name, found, c.want)
			}
			restore()
		}
		// Where a row lives says nothing of what it is.
		execute(t, db, "UPDATE audit_events SET home_region = 'elsewhere'")
		if found := offences(t, db, first, nil); len(found) > 0 {
			t.Error(found)
		}
	})
}

// Whoever can write the database can compute hashes, too.
func TestVerifyFindsWhatWasChainedAnew(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		first := writeDays(t, db, 2)
		sealAll(t, db)
		var day, heads string
		var root []byte
		if err := db.QueryRow(t.Context(), "SELECT day::text, root, heads FROM audit_days ORDER BY day DESC LIMIT 1").Scan(&day, &root, &heads); err != nil {
			t.Fatal(err)
		}
		anchors := map[string]string{day: hex.EncodeToString(root)}
		if found := offences(t, db, first, anchors); len(found) > 0 {
			t.Fatal(found)
		}
		again := func(name string, day time.Time, n int) {
			execute(t, db, "DELETE FROM audit_events WHERE journal = $1 AND day = $2", name, date(day))
			j := NewJournal()
			j.name = name
			for range n {
				var batch pgx.Batch
				pending := j.Queue(&batch, day, []Event{event("made", "up")})
				send(t, db, &batch)
				pending.Committed()
			}
		}
		again("b", first, 6)
		if found := offences(t, db, first, nil); !slices.Equal(found, []string{"rewritten_journal 0 b 1"}) {
			t.Error(found)
		}
		again("b", first, 5)
		if found := offences(t, db, first, nil); !slices.Equal(found, []string{"missing_row 0 b 6"}) {
			t.Error(found)
		}
		again("b", first, 7)
		if found := offences(t, db, first, nil); !slices.Equal(found, []string{"added_row 0 b 7"}) {
			t.Error(found)
		}
		again("b", first, 6)
		again("c", first, 1)
		if found := offences(t, db, first, nil); !slices.Equal(found, []string{"rewritten_journal 0 b 1", "added_journal 0 c 1"}) {
			t.Error(found)
		}
		// All of it, with the seals: what a log elsewhere kept tells.
		execute(t, db, "DELETE FROM audit_days")
		if found := offences(t, db, first, anchors); !slices.Equal(found, []string{"other_root 1"}) {
			t.Error(found)
		}
		sealAll(t, db)
		if found := offences(t, db, first, nil); len(found) > 0 {
			t.Error(found)
		}
		if found := offences(t, db, first, anchors); !slices.Equal(found, []string{"other_root 1"}) {
			t.Error(found)
		}
	})
}

func TestVerifyReadsLongJournalsAndListsSoMuch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		j := NewJournal()
		events := slices.Repeat([]Event{event("made", "x")}, 1000)
		for range 2*readMax/len(events) + 1 {
			var batch pgx.Batch
			pending := j.Queue(&batch, clock.System(), events)
			send(t, db, &batch)
			pending.Committed()
		}
		if report := prove(t, db); report.Events != 2*readMax+1000 || report.Journals != report.Days {
			t.Errorf("%+v", report)
		}
		execute(t, db, "UPDATE audit_events SET role = 'x' WHERE seq % 10 = 0")
		report, err := Verify(t.Context(), db, VerifyOptions{})
		if err != nil || !report.Truncated || len(report.Offences) != offencesMax || report.Events != 2*readMax+1000 {
			t.Errorf("%d offences, truncated %t, %v", len(report.Offences), report.Truncated, err)
		}
	})
}

func TestVerifyOfAnEmptyTrailAndOfThePast(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		if report := prove(t, db); report.Events+report.Journals+report.Days+report.SealedDays != 0 || report.At.IsZero() {
			t.Errorf("%+v", report)
		}
		past := database.At(database.TimestampOf(clock.System().Add(-time.Second)))
		_, err := Verify(t.Context(), db, VerifyOptions{Moment: past})
		if db.Engine == database.Postgres && !errors.Is(err, database.ErrNoPast) || db.Engine == database.Cockroach && err != nil && !errors.Is(err, database.ErrSnapshotGone) {
			t.Error(err)
		}
	})
}
