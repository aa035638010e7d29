// Package export hands the ledger out: to a folder's files, which hold every
// posting exactly once and prove it (run.go, check.go), or, on CockroachDB, by a
// job of the database that delivers to the outside (control.go). The catalog
// (catalog.go) is what exports there are and how far each has come.
//
// Files come from a feed of commits (feed.go), one implementation an engine, in
// closed parts (part.go, manifest.go) of a folder (folder.go), whose newest
// manifest is the truth of how far the export is. docs/adr/0009 says why.
//
// It reads the ledger's tables and writes none but its own.
package export

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

const (
	// PartRows is how many postings a part holds at most by default. A part of a
	// live feed may exceed it by one transaction of the database.
	PartRows = 100_000
	// statusPause is how soon an exporter obeys the catalog.
	statusPause = time.Second
	// outagePause is how long an exporter waits for a database that is away.
	outagePause = 2 * time.Second
)

// Options say what Run exports and where to. Zero values mean the defaults named.
type Options struct {
	Destination string        // file:///folder
	Format      Format        // default NDJSON
	Interval    time.Duration // a part is closed this often when there is something; default 10 s
	PartRows    int           // default PartRows
	Once        bool          // end when everything up to now is exported
	// PartWritten, if not nil, is told of each part.
	PartWritten func(Manifest)

	Clock    clock.Clock           // default clock.System
	Log      *slog.Logger          // default slog.Default()
	Registry prometheus.Registerer // default: metrics are kept to itself
}

// Summary is what a call of Run did.
type Summary struct {
	ExportID      string    `json:"exportId"`
	Rows          int64     `json:"rows"`  // written by this call
	Parts         int64     `json:"parts"` // written by this call
	TotalRows     int64     `json:"totalRows"`
	LastPart      int64     `json:"lastPart"`
	ResolvedAt    time.Time `json:"resolvedAt,omitzero"`
	Seconds       float64   `json:"seconds"`
	RowsPerSecond float64   `json:"rowsPerSecond"`
}

// Run exports every posting exactly once into the destination's folder: first
// history, then what is committed, until ctx ends (which is no error) or, with
// Once, up to the time of the call. A second call goes on where the first ended,
// however that was; a FAILED export is resumed by it, but not one that failed
// because the books did not add up: somebody has to look at it and resume it.
//
// Returns what Open returns; FolderInUse, FolderMismatch and FolderUnusable;
// Cancelled when the export is cancelled meanwhile; NotRunning when it is not to be
// resumed, and with Once when it is paused; FeedUnavailable and HistoryLost;
// LedgerInconsistent, before anything is written that does not add up. While the
// database is away it waits, unless Once is set or history is not written yet.
func Run(ctx context.Context, db *database.DB, o Options) (Summary, error) {
	o.Format = cmp.Or(o.Format, NDJSON)
	o.Interval = cmp.Or(o.Interval, 10*time.Second)
	o.PartRows = cmp.Or(o.PartRows, PartRows)
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if err := o.Format.validate(); err != nil {
		return Summary{}, err
	}
	destination, kind, err := ParseDestination(o.Destination)
	if err != nil {
		return Summary{}, err
	}
	if kind != Folder {
		return Summary{}, InvalidDestination.Failure("%s is no folder: a job of the database delivers there, not florin export run", destination)
	}
	dir, err := folderPath(destination)
	if err != nil {
		return Summary{}, err
	}
	held, err := openFolder(dir)
	if err != nil {
		return Summary{}, err
	}
	defer held.close()
	x := &exporter{
		options: o, db: db, catalog: NewCatalog(db, o.Clock), folder: held, log: o.Log,
		seen: sequences{}, metrics: newMetrics(o.Registry, o.Clock),
	}
	took := clock.Stopwatch()
	err = x.run(ctx, destination)
	if ctx.Err() != nil {
		err = nil // told to stop: the next call goes on
	}
	x.summary.ExportID, x.summary.Seconds = x.export.ID, took().Seconds()
	x.summary.RowsPerSecond = float64(x.summary.Rows) / max(x.summary.Seconds, 1e-9)
	x.summary.TotalRows, x.summary.LastPart, x.summary.ResolvedAt = x.progress.Rows, x.progress.Part, x.progress.ResolvedAt
	return x.summary, err
}

// exporter is one call of Run.
type exporter struct {
	options  Options
	db       *database.DB
	catalog  *Catalog
	folder   *folder
	feed     feed
	log      *slog.Logger
	metrics  *metrics
	seen     sequences
	export   Export
	progress Progress
	summary  Summary
}

func (x *exporter) run(ctx context.Context, destination string) error {
	if err := x.open(ctx, destination); err != nil {
		return err
	}
	if err := x.waitUntilRunning(ctx); err != nil {
		return err
	}
	err := x.follow(ctx)
	if reason := (*Failure)(nil); errors.As(err, &reason) && reason.isForPeople() && ctx.Err() == nil {
		_, failErr := x.catalog.Fail(ctx, x.export.ID, reason.Code, err.Error())
		if errors.Is(failErr, Cancelled.Failure("")) {
			return failErr // which is why the engine dropped what was to be read
		}
		if failErr != nil {
			x.log.Warn("the catalog could not be told of the failure", "error", failErr)
		}
	}
	return err
}

// isForPeople says that the export stands still until somebody does something.
func (f *Failure) isForPeople() bool {
	switch f.Code {
	case FolderUnusable, HistoryLost, FeedUnavailable, LedgerInconsistent:
		return true
	}
	return false
}

// open finds the export in the catalog and brings folder, catalog and engine to
// the same part, whatever a crash left: the folder leads.
func (x *exporter) open(ctx context.Context, destination string) error {
	var err error
	if x.export, err = x.catalog.Open(ctx, destination, x.options.Format); err != nil {
		return err
	}
	if err := x.folder.recover(x.export); err != nil {
		return err
	}
	if x.export.Status == Failed {
		if x.export.ErrorCode == LedgerInconsistent {
			return NotRunning.Failure("export %s failed: %s; when that is settled, florin export resume %s", x.export.ID, x.export.Error, x.export.ID)
		}
		if x.export, err = x.catalog.Resume(ctx, x.export.ID); err != nil {
			return err
		}
	}
	x.feed = newFeed(x.db, x.export.ID)
	x.progress = x.export.Progress
	x.metrics.resolved(x.progress.ResolvedAt)
	if x.folder.head.Part > x.export.Part {
		return x.save(ctx, x.folder.progress())
	}
	return nil
}

// follow writes history when there is none yet, and then what is committed.
func (x *exporter) follow(ctx context.Context) error {
	if x.folder.head.Part == 0 {
		if err := x.writeHistory(ctx); err != nil {
			return err
		}
	}
	if err := x.feed.Confirm(ctx, x.progress.Position); err != nil {
		return err
	}
	for {
		if err := x.waitUntilRunning(ctx); err != nil {
			return err
		}
		more, err := x.step(ctx)
		switch {
		case x.mayWait(ctx, err):
			x.log.Warn("the database is away; the export waits for it", "error", err)
			err = x.pause(ctx, outagePause)
		case err == nil && x.options.Once && !more:
			return nil
		case err == nil && !more:
			err = x.pause(ctx, x.options.Interval)
		}
		if err != nil {
			return err
		}
	}
}

// mayWait says that an error is of a database that is away. What has a code is a
// matter for people, whatever it wraps.
func (x *exporter) mayWait(ctx context.Context, err error) bool {
	_, isSaid := errors.AsType[*Failure](err)
	return err != nil && !isSaid && database.Unavailable(err) && !x.options.Once && ctx.Err() == nil
}

// step takes a batch to its end: part, catalog, engine, in this order, so that a
// crash between two of them is seen by the next run. What is published is
// progress, whether the catalog can be told or not. A batch without rows moves
// the resolved time alone; with Once it becomes a part, as proof of that time.
func (x *exporter) step(ctx context.Context) (more bool, err error) {
	b, err := x.feed.Next(ctx, x.progress.Position, x.options.PartRows)
	if err != nil {
		return false, err
	}
	next := x.progress
	next.Position = b.position
	next.ResolvedAt = later(next.ResolvedAt, b.resolvedAt)
	if len(b.transactions) > 0 || x.options.Once && !b.more {
		newest, err := x.seen.follow(b.transactions)
		if err != nil {
			return false, err
		}
		m, err := x.writePart(b, next)
		if err != nil {
			return false, err
		}
		if err := x.folder.publish(m); err != nil {
			return false, err
		}
		x.seen.record(newest)
		x.wrote(m)
		next = x.folder.progress()
		x.progress = next
	}
	if err := x.save(ctx, next); err != nil {
		return false, err
	}
	return b.more, x.feed.Confirm(ctx, next.Position)
}

// writePart writes a batch's data under a temporary name.
func (x *exporter) writePart(b batch, next Progress) (Manifest, error) {
	m := x.folder.follow(x.export)
	m.ResolvedAt, m.Position = microseconds(next.ResolvedAt), next.Position
	part, err := createPart(x.folder.dir, m.File, m.Format)
	if err != nil {
		return Manifest{}, err
	}
	for _, tx := range b.transactions {
		if err := part.add(tx); err != nil {
			return Manifest{}, errors.Join(err, part.abandon())
		}
	}
	err = part.close(&m)
	m.TotalRows = x.folder.head.TotalRows + m.Rows
	return m, err
}

// wrote counts a part.
func (x *exporter) wrote(m Manifest) {
	x.summary.Rows += m.Rows
	x.summary.Parts++
	x.metrics.rows.Add(float64(m.Rows))
	x.metrics.parts.Inc()
	if x.options.PartWritten != nil {
		x.options.PartWritten(m)
	}
}

// save tells the catalog.
func (x *exporter) save(ctx context.Context, p Progress) error {
	p.ResolvedAt = microseconds(p.ResolvedAt)
	if err := x.catalog.SaveProgress(ctx, x.export.ID, p); err != nil {
		return err
	}
	x.progress = p
	x.metrics.resolved(p.ResolvedAt)
	return nil
}

// waitUntilRunning obeys the catalog: it returns nil when the export is RUNNING,
// waits while it is PAUSED, and ends with Cancelled when it is.
func (x *exporter) waitUntilRunning(ctx context.Context) error {
	for told := false; ; {
		e, err := x.catalog.ByID(ctx, x.export.ID)
		switch {
		case x.mayWait(ctx, err):
			x.log.Warn("the database is away; the export waits for it", "error", err)
		case err != nil:
			return err
		case e.Status == Finished:
			return errors.Join(cancelled(e.ID), releaseFeed(ctx, x.db, e.ID))
		case e.Status == Paused && x.options.Once:
			return NotRunning.Failure("export %s is paused: resume it first", e.ID)
		case e.Status == Failed:
			return NotRunning.Failure("export %s was ended from elsewhere: %s", e.ID, e.Error)
		case e.Status == Running:
			return nil
		case !told:
			x.log.Info("the export is paused", "export", e.ID)
			told = true
		}
		if !clock.Sleep(ctx, statusPause) {
			return ctx.Err()
		}
	}
}

// pause waits, but no longer than the catalog lets it.
func (x *exporter) pause(ctx context.Context, d time.Duration) error {
	for passed := clock.Stopwatch(); passed() < d; {
		if !clock.Sleep(ctx, min(d-passed(), statusPause)) {
			return ctx.Err()
		}
		if err := x.waitUntilRunning(ctx); err != nil {
			return err
		}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
