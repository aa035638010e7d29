package export_test

import (
	"encoding/json"
	"testing"
	"time"

	"florin/internal/export"
	"florin/internal/platform/dbtest"
)

// What the database no longer keeps of either table is lost to the export, and to
// the exact check.
func TestPastThatIsCollected(t *testing.T) {
	t.Parallel()
	onCockroach(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		w.acts(5)
		w.settle()
		o := w.options(export.NDJSON)
		w.once(o)
		if report := w.check(o); report.Database != export.Exact || len(report.Problems) > 0 {
			t.Fatalf("%+v", report)
		}
		w.exec("ALTER TABLE transfers CONFIGURE ZONE USING gc.ttlseconds = 1")
		for deadline := time.Now().Add(dbtest.Timeout); ; time.Sleep(200 * time.Millisecond) {
			w.exec("SELECT crdb_internal.kv_enqueue_replica(range_id, 'mvccGC', true) FROM [SHOW RANGES FROM TABLE transfers]")
			report := w.check(o)
			if len(report.Problems) > 0 || time.Now().After(deadline) {
				t.Fatalf("%+v", report)
			}
			if report.Database == export.Settled {
				break
			}
		}
		o.Once = true
		_, err := export.Run(t.Context(), w.db, o)
		wantCode(t, err, export.HistoryLost)
	})
}

// An export that has postings from after its position is wrong, though the
// database has them too by now.
func TestCheckFindsPostingsFromAfterThePosition(t *testing.T) {
	t.Parallel()
	onCockroach(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		o := w.options(export.NDJSON)
		w.once(o)
		f := forge{t, dirOf(o)}
		var first export.Manifest
		if err := json.Unmarshal(f.read(f.path(f.newest(), "manifest.json")), &first); err != nil {
			t.Fatal(err)
		}
		w.acts(6)
		w.settle()
		w.once(o)
		w.wantWhole(o)
		f.manifest(f.newest(), func(m *export.Manifest) { m.Position = first.Position })
		if report := w.check(o); report.Database != export.Exact || !says(report, "differs from the database at") {
			t.Fatalf("%+v", report)
		}
	})
}
