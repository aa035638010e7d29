package export

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// ghost writes a transaction as the executor does, and leaves the commit to the
// caller.
func ghost(t *testing.T, tx pgx.Tx) {
	t.Helper()
	transfer, from, to := id.New("t"), id.New("a"), id.New("a")
	_, err := tx.Exec(t.Context(), `
		INSERT INTO transfers (transfer_id, kind, source_account_id, destination_account_id, amount, currency, status,
		    description, source_seq, destination_seq, request_hash, created_at, finished_at)
		VALUES ($1, 'TRANSFER', $2, $3, 5, 'USD', 'COMPLETED', '', 1, 1, '', now(), now())`, transfer, from, to)
	must(t, err)
	_, err = tx.Exec(t.Context(), `
		INSERT INTO postings (account_id, seq, transfer_id, amount, balance, currency, created_at)
		VALUES ($2, 1, $1, -5, -5, 'USD', now()), ($3, 1, $1, 5, 5, 'USD', now())`, transfer, from, to)
	must(t, err)
}

// What is open while a batch is read and committed later is in a later part.
func TestTransactionThatIsOpenWhileABatchIsRead(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b := newBooks(t, url)
		b.finish()
		tx, err := b.db.Begin(t.Context())
		must(t, err)
		defer func() { _ = tx.Rollback(context.Background()) }()
		ghost(t, tx)
		b.pay(2)
		if summary, err := Run(t.Context(), b.db, b.options()); err != nil || summary.Rows != 4 {
			t.Fatalf("%+v, %v; want the 4 postings that are committed", summary, err)
		}
		must(t, tx.Commit(t.Context()))
		if summary := b.finish(); summary.Rows != 2 {
			t.Fatalf("%+v; want the 2 postings committed since", summary)
		}
	})
}

// What was exported and is touched again, as by a migration, does not come twice.
func TestTouchedRowsDoNotComeAgain(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b := newBooks(t, url)
		b.pay(3)
		b.finish()
		b.pay(1)
		for _, table := range []string{"postings", "transfers"} {
			_, err := b.db.Exec(t.Context(), "UPDATE "+table+" SET created_at = created_at, transfer_id = transfer_id")
			must(t, err)
		}
		if summary := b.finish(); summary.Rows != 2 {
			t.Fatalf("%+v; want the 2 new postings", summary)
		}
	})
}

// A position that the engine no longer has is said before anything is written.
func TestLostHistoryIsSaid(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b := newBooks(t, url)
		b.finish()
		b.pay(1)
		x, kill := b.exporter()
		defer kill()
		position := x.progress.Position
		if b.db.Engine == database.Cockroach {
			position = "1000000000.0000000000" // in 1970
		} else {
			_, further, err := x.feed.(*postgresFeed).flushed(t.Context())
			must(t, err, x.feed.Confirm(t.Context(), further.String()))
		}
		_, err := x.feed.Next(t.Context(), position, 100)
		wantFailure(t, err, HistoryLost)
		must(t, releaseFeed(t.Context(), b.db, x.export.ID), releaseFeed(t.Context(), b.db, x.export.ID))
		if b.db.Engine == database.Postgres {
			_, err = x.feed.Next(t.Context(), position, 100)
			wantFailure(t, err, HistoryLost)
		}
	})
}

// A running exporter obeys the catalog, and cancelling leaves nothing on the server.
func TestExporterObeysTheCatalog(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b := newBooks(t, url)
		o := b.options()
		o.Once, o.Interval = false, 20*time.Millisecond
		parts := make(chan Manifest, 100)
		o.PartWritten = func(m Manifest) { parts <- m }
		ended := make(chan error, 1)
		go func() {
			_, err := Run(t.Context(), b.db, o)
			ended <- err
		}()
		e := (<-parts).ExportID
		catalog := NewCatalog(b.db, clock.System)
		_, err := catalog.Pause(t.Context(), e)
		must(t, err)
		time.Sleep(2 * statusPause) // by now it stands
		for len(parts) > 0 {
			<-parts
		}
		b.pay(1)
		select {
		case m := <-parts:
			t.Fatalf("part %d was written while paused", m.Part)
		case <-time.After(3 * statusPause):
		}
		_, err = catalog.Resume(t.Context(), e)
		must(t, err)
		if m := <-parts; m.Rows != 2 {
			t.Fatalf("%+v after the pause", m)
		}
		_, err = catalog.Cancel(t.Context(), e)
		must(t, err)
		wantFailure(t, <-ended, Cancelled)
		var left int
		if b.db.Engine == database.Postgres {
			must(t, b.db.QueryRow(t.Context(), `
				SELECT (SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1) + (SELECT count(*) FROM pg_publication WHERE pubname = $1)`, newPostgresFeed(b.db, e).slot).Scan(&left))
		}
		if left != 0 {
			t.Fatalf("%d slots and publications are left", left)
		}
	})
}

// Who still reads a slot is told of, when the export can't be cancelled for it.
func TestSlotThatIsReadCannotBeDropped(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		b := newBooks(t, url)
		if b.db.Engine == database.Cockroach {
			t.Skip("CockroachDB has no slots")
		}
		b.finish()
		x, kill := b.exporter()
		kill()
		f := newPostgresFeed(b.db, x.export.ID)
		f.inUseMax = time.Millisecond
		reader, err := f.replicationConnection(t.Context())
		must(t, err)
		at, err := pglogrepl.ParseLSN(x.progress.Position)
		must(t, err)
		must(t, pglogrepl.StartReplication(t.Context(), reader, f.slot, at, pglogrepl.StartReplicationOptions{
			PluginArgs: []string{"proto_version '1'", "publication_names '" + f.publication + "'"},
		}))
		wantFailure(t, f.release(t.Context()), FolderInUse)
		must(t, reader.Close(t.Context()))
		b.finish()
	})
}

// A posting that is missing, or comes twice, ends the run before it is written.
func TestSequencesNoticeGapsAndDoubles(t *testing.T) {
	numbered := func(seqs ...int64) (all []transaction) {
		for _, seq := range seqs {
			all = append(all, transaction{debit: Row{AccountID: "a", Seq: seq}, credit: Row{AccountID: "b", Seq: seq}})
		}
		return all
	}
	for name, c := range map[string]struct {
		batches [][]transaction
		isFine  bool
	}{
		"in order":                  {[][]transaction{numbered(7, 8), numbered(9)}, true},
		"out of order in one batch": {[][]transaction{numbered(8, 7), numbered(9)}, true},
		"gap between batches":       {[][]transaction{numbered(7), numbered(9)}, false},
		"gap in a batch":            {[][]transaction{numbered(7, 9)}, false},
		"double between batches":    {[][]transaction{numbered(7), numbered(7)}, false},
		"double in a batch":         {[][]transaction{numbered(7, 7)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := sequences{}
			var err error
			for _, batch := range c.batches {
				var newest sequences
				if err == nil {
					newest, err = s.follow(batch)
					s.record(newest)
				}
			}
			if c.isFine != (err == nil) {
				t.Fatal(err)
			}
			if err != nil {
				wantFailure(t, err, LedgerInconsistent)
			}
		})
	}
}
