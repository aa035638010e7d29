package export_test

import (
	"testing"

	"florin/internal/export"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// A copy of a database on the same server has the original's exports in its
// catalog. What is done with them there does nothing to the original's.
func TestCopyOfADatabaseLeavesTheOriginalsExportsAlone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		copied := &world{t: t, url: dbtest.Second(t, url)}
		copied.db = dbtest.Open(t, copied.url, database.Options{MaxConns: 6})
		test := copyOfAFolder
		if w.db.Engine == database.Cockroach {
			test = copyOfAJob
		}
		test(t, w, copied)
	})
}

// record copies an export's record.
func (w *world) record(from *world, exportID string) {
	w.t.Helper()
	var row string
	if err := from.db.QueryRow(w.t.Context(), "SELECT row_to_json(e)::text FROM exports AS e WHERE export_id = $1", exportID).Scan(&row); err != nil {
		w.t.Fatal(err)
	}
	w.exec("INSERT INTO exports SELECT * FROM json_populate_record(NULL::exports, $1::json)", row)
}

func copyOfAFolder(t *testing.T, w, copied *world) {
	o := w.options(export.NDJSON)
	id := w.once(o).ExportID
	copied.record(w, id)
	copied.must(copied.control().Cancel(t.Context(), id))
	w.acts(5)
	w.settle()
	w.once(o)
	w.wantWhole(o)
}

func copyOfAJob(t *testing.T, w, copied *world) {
	h := newHook(t)
	c, there := w.control(h.place()), copied.control(h.place())
	e := w.must(c.Create(t.Context(), "webhook-https://"+h.addr+"/books", export.NDJSON))
	copied.record(w, e.ID)
	_, err := there.Resume(t.Context(), e.ID)
	wantCode(t, err, export.JobEnded)
	if seen := copied.must(there.ByID(t.Context(), e.ID)); seen.Status != export.Failed {
		t.Errorf("the copy takes the job for its own: %+v", seen)
	}
	copied.must(there.Cancel(t.Context(), e.ID))
	if seen := w.must(c.ByID(t.Context(), e.ID)); seen.Status != export.Running || len(w.liveJobs(e)) != 1 {
		t.Errorf("%+v, jobs %v", seen, w.liveJobs(e))
	}
	w.must(c.Cancel(t.Context(), e.ID))
}
