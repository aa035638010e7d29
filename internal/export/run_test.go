package export_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"florin/internal/export"
	"florin/internal/platform/dbtest"
)

func wantCode(t *testing.T, err error, want export.Code) {
	t.Helper()
	if failure := (*export.Failure)(nil); !errors.As(err, &failure) || failure.Code != want {
		t.Fatalf("got %v; want %s", err, want)
	}
}

// History, what comes after it, and what comes after a pause, in every format.
func TestExportHasEveryPostingOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		w.acts(100)
		w.settle()
		exports := map[export.Format]export.Options{}
		for _, format := range []export.Format{export.NDJSON, export.CSV, export.Parquet} {
			o := w.options(format)
			o.PartRows = 60 // several parts of history, and of the feed
			exports[format] = o
			if summary := w.once(o); summary.Rows != w.postings() || summary.Parts < 4 {
				t.Fatalf("%s: %+v of %d postings", format, summary, w.postings())
			}
			w.wantWhole(o)
		}
		w.acts(100)
		w.settle()
		for _, o := range exports {
			w.once(o)
			w.wantWhole(o)
		}
	})
}

// A running exporter, its interruption and its successors lose and double nothing
// while money moves.
func TestExportUnderLoad(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		stop := w.load()
		o := w.options(export.NDJSON)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			var exporter sync.WaitGroup
			exporter.Go(func() {
				if _, err := export.Run(ctx, w.db, o); err != nil {
					t.Error(err)
				}
			})
			exporter.Wait()
			cancel()
		}
		stop()
		w.settle()
		w.once(o)
		w.wantWhole(o)
	})
}

// At rest each run adds an empty part: the proof that there was nothing up to then.
func TestExportAtRestProvesItsTime(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		o := w.options(export.CSV)
		first := w.once(o)
		second := w.once(o)
		if second.Rows != 0 || second.Parts != 1 || !second.ResolvedAt.After(first.ResolvedAt) {
			t.Fatalf("%+v after %+v", second, first)
		}
		w.wantWhole(o)
	})
}

func TestTwoExportersOfOneFolder(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		o := w.options(export.NDJSON)
		second := o
		second.Once = true
		met := false
		o.PartWritten = func(export.Manifest) {
			_, err := export.Run(t.Context(), w.db, second)
			wantCode(t, err, export.FolderInUse)
			met = true
		}
		w.once(o)
		if !met {
			t.Fatal("no part was written")
		}
		w.wantWhole(o)
	})
}

func TestFolderThatCannotBeIsSaid(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		o := w.options(export.NDJSON)
		o.Once = true
		if err := os.WriteFile(dirOf(o), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := export.Run(t.Context(), w.db, o)
		wantCode(t, err, export.FolderUnusable)
	})
}
