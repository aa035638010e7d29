package export_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"florin/internal/export"
	"florin/internal/platform/database"
)

// A database that is spread over regions gets another primary key while money
// moves. An exporter that runs meanwhile, and one that reads all of it in one
// window afterwards, lose nothing: CockroachDB ends a changefeed there as if all
// had been read.
func TestExportWhileTheDatabaseIsSpread(t *testing.T) {
	onCockroach(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		absent, present := w.options(export.NDJSON), w.options(export.NDJSON)
		w.once(absent)
		ctx, cancel := context.WithCancel(t.Context())
		var exporter sync.WaitGroup
		exporter.Go(func() {
			if _, err := export.Run(ctx, w.db, present); err != nil {
				t.Error(err)
			}
		})
		stop := w.load()
		if err := database.Localize(t.Context(), w.db, database.Regions{Names: []string{"here"}}, slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
		w.acts(20)
		stop()
		cancel()
		exporter.Wait()
		w.settle()
		for _, o := range []export.Options{absent, present} {
			w.once(o)
			w.wantWhole(o)
		}
	})
}
