package export_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/export"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// lines is a log that is read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// watch watches until the function that it returns is called.
func (w *world) watch(c *export.Control, o export.WatchOptions) (stop func()) {
	o.Interval = 100 * time.Millisecond
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { export.NewWatch(c, o).Run(ctx) })
	return func() {
		cancel()
		watching.Wait()
	}
}

func (w *world) exec(sql string, arguments ...any) {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), sql, arguments...); err != nil {
		w.t.Fatal(err)
	}
}

// metric is a gauge's value, of the series with a label's value when one is
// named; 0 when there is none.
func metric(t *testing.T, registry *prometheus.Registry, name string, label ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			values := []string{}
			for _, pair := range m.GetLabel() {
				values = append(values, pair.GetValue())
			}
			if family.GetName() == name && (len(label) == 0 || slices.Contains(values, label[0])) {
				return m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// An export that stands still is warned of once, before it is too late, and again
// when it does so again.
func TestWatchWarnsOfAnExportThatStandsStill(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		c := w.control()
		o := w.options(export.NDJSON)
		w.once(o)
		const retainedMax = 1 << 20
		var ahead atomic.Int64
		registry, log := prometheus.NewRegistry(), &lines{}
		defer w.watch(c, export.WatchOptions{
			Clock: func() time.Time { return clock.System().Add(time.Duration(ahead.Load())) },
			Log:   log.logger(), Registry: registry, WALRetainedMax: retainedMax,
		})()
		w.until("a healthy export is shown", func() bool {
			return metric(t, registry, "florin_export_lag_seconds") > 0 && metric(t, registry, "florin_export_gc_window_used_ratio") < 0.1
		})

		trouble, share := "trouble=gc_window", "florin_export_gc_window_used_ratio"
		standStill := func() { ahead.Store(int64(3 * time.Hour)) } // of the four that CockroachDB keeps
		goOn := func() { ahead.Store(0) }
		if w.db.Engine == database.Postgres {
			trouble, share = "trouble=wal_retained", "florin_export_wal_retained_bytes"
			standStill = func() {
				for metric(t, registry, share) <= retainedMax {
					w.exec("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 100000))")
				}
			}
			goOn = func() {
				w.exec("CHECKPOINT") // after which a confirmed slot gives its WAL free
				w.once(o)
			}
		}
		for round := 1; round <= 2; round++ {
			standStill()
			w.until("it is warned of", func() bool { return log.count(trouble) == round })
			if used := metric(t, registry, share); w.db.Engine == database.Cockroach && (used < 0.7 || used > 0.9) {
				t.Fatalf("3 of 4 hours are %f of the GC window", used)
			}
			e := w.only(c)
			w.must(c.Pause(t.Context(), e.ID))
			w.until("it is looked at again", func() bool { return metric(t, registry, "florin_export_status", "PAUSED") == 1 })
			if log.count(trouble) != round {
				t.Fatalf("warned of %d times: %s", log.count(trouble), log.text.String())
			}
			w.must(c.Resume(t.Context(), e.ID))
			w.until("it is well again", func() bool {
				goOn()
				return log.count("well again") == round
			})
		}
	})
}

func TestWatchWarnsOfAnExportThatFailed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		w := bareWorld(t, url)
		catalog := export.NewCatalog(w.db, clock.System)
		e := open(t, catalog, destination())
		// It has a part, so on PostgreSQL it had a slot.
		if err := catalog.SaveProgress(t.Context(), e.ID, export.Progress{Part: 1, ResolvedAt: clock.System()}); err != nil {
			t.Fatal(err)
		}
		w.must(catalog.Fail(t.Context(), e.ID, export.FolderUnusable, "the disk is full"))
		want := map[database.Engine]int{database.Postgres: 2, database.Cockroach: 1}[w.db.Engine]
		log := &lines{}
		defer w.watch(w.control(), export.WatchOptions{Log: log.logger()})()
		w.until("the failure is warned of", func() bool { return log.count(e.ID+" ") == want && log.count("the disk is full") == 1 })
		if missing := log.count("trouble=slot_missing"); want == 2 && missing == 0 {
			t.Fatal(log.text.String())
		}
	})
}

// A slot that no live export has holds up WAL, and nobody else would tell.
func TestWatchWarnsOfASlotThatIsNobodys(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		w := bareWorld(t, url)
		if w.db.Engine == database.Cockroach {
			t.Skip("CockroachDB has no slots")
		}
		slot := "florin_" + id.New("exp")
		w.exec("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", slot)
		defer w.exec("SELECT pg_drop_replication_slot($1)", slot)
		log := &lines{}
		defer w.watch(w.control(), export.WatchOptions{Log: log.logger()})()
		w.until("it is warned of", func() bool { return log.count("slot="+slot) == 1 })
		time.Sleep(500 * time.Millisecond) // some looks more
		if log.count("slot="+slot) != 1 {
			t.Fatal("it is warned of again and again")
		}
	})
}

// only is the one export there is.
func (w *world) only(c *export.Control) export.Export {
	w.t.Helper()
	all, err := c.List(w.t.Context(), "", 10)
	if err != nil || len(all) != 1 {
		w.t.Fatalf("%d exports, %v", len(all), err)
	}
	return all[0]
}
