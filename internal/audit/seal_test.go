package audit

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

func sealedDays(t *testing.T, db *database.DB) (n int) {
	t.Helper()
	if err := db.QueryRow(t.Context(), "SELECT count(*) FROM audit_days").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestADayIsSealedOnceByManyReplicas(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		writeDays(t, db, 4)
		var replicas sync.WaitGroup
		for range 4 {
			replicas.Go(func() {
				if _, err := New(db, clock.System).sealAll(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		replicas.Wait()
		report := prove(t, db)
		if sealedDays(t, db) != 4 || report.SealedDays != 4 || report.Days != 4 || report.Journals != 8 || report.Events != 48 {
			t.Errorf("%+v", report)
		}
		newest, err := New(db, clock.System).sealAll(t.Context())
		if err != nil || dayText(newest.Day) != report.SealedTo {
			t.Errorf("%+v, %v", newest, err)
		}
	})
}

func TestADayIsSealedWhenItHasBeenOverForAnHourByBothClocks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		first := writeDays(t, db, 1)
		end := first.AddDate(0, 0, 1)
		for _, c := range []struct {
			now  time.Time
			want int
		}{{first, 0}, {end.Add(time.Hour - time.Microsecond), 0}, {end.Add(time.Hour), 1}} {
			log := New(db, func() time.Time { return c.now })
			if _, err := log.sealAll(t.Context()); err != nil || sealedDays(t, db) != c.want {
				t.Errorf("at %s %d days are sealed, %v; want %d", c.now, sealedDays(t, db), err, c.want)
			}
		}
		// A replica whose clock is days ahead doesn't end a day that others write.
		if err := New(db, clock.System).Append(t.Context(), event("made", "today")); err != nil {
			t.Fatal(err)
		}
		ahead := New(db, func() time.Time { return clock.System().AddDate(0, 0, 3) })
		if _, err := ahead.sealAll(t.Context()); err != nil || sealedDays(t, db) != 1 {
			t.Errorf("%d days are sealed, %v", sealedDays(t, db), err)
		}
		prove(t, db)
	})
}

// lines is a log that can be read while it is written.
type lines struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

func TestRunSealsAndTellsTheRoot(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		writeDays(t, db, 2)
		ctx, cancel := context.WithCancel(t.Context())
		var told lines
		done := make(chan struct{})
		go func() {
			defer close(done)
			New(db, clock.System).Run(ctx, slog.New(slog.NewTextHandler(&told, nil)))
		}()
		for range 2000 {
			if strings.Contains(told.String(), "audit day sealed") {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
		<-done
		report := prove(t, db)
		if !strings.Contains(told.String(), "day="+report.SealedTo+" root="+report.Root) || report.SealedDays != 2 {
			t.Errorf("the log says %s of %+v", told.String(), report)
		}
	})
}

func TestEventsOfADayBeforeTheLastSealAreNotSealed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, _ := trail(t, url)
		first := writeDays(t, db, 1)
		sealAll(t, db)
		var batch pgx.Batch
		NewJournal().Queue(&batch, first.AddDate(0, 0, -1), []Event{event("late", "x")})
		send(t, db, &batch)
		sealAll(t, db)
		if found := offences(t, db, first, nil); len(found) != 1 || found[0] != "unsealed_day -1" {
			t.Error(found)
		}
	})
}
