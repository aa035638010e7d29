package export

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/export/internal/exportdb"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// Status is where an export is in its life.
type Status string

// The statuses. RUNNING is what is wanted, not that a process is alive: an
// exporter that was killed leaves it, and the next one goes on.
const (
	Running  Status = "RUNNING"
	Paused   Status = "PAUSED"    // nothing is handed out until Resume
	Failed   Status = "FAILED"    // Error says why; Resume tries again
	Finished Status = "CANCELLED" // for good
)

// Export is one row of the catalog: what goes where, and how far it has come.
type Export struct {
	ID          string
	Destination string // a URL without secrets
	Kind        Kind
	Format      Format
	Status      Status
	Progress
	JobID     int64  // of a CHANGEFEED; 0 when there is none
	Error     string // why it FAILED
	ErrorCode Code   // of Error; "" when there is none
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Progress is how far an export has come.
type Progress struct {
	Part         int64     // the newest whole part; 0 before the first
	ManifestHash string    // SHA-256 of its manifest, in hex
	Rows         int64     // postings handed out in all
	ResolvedAt   time.Time // all that was committed before is handed out; zero before the first
	Position     string    // where the engine goes on, in its own terms
}

// Catalog is the exports that a database knows. Safe for concurrent use. Its
// methods open transactions of their own.
type Catalog struct {
	db      *database.DB
	queries *exportdb.Queries
	clock   clock.Clock
}

// NewCatalog makes a Catalog.
func NewCatalog(db *database.DB, now clock.Clock) *Catalog {
	return &Catalog{db: db, queries: exportdb.New(db), clock: now}
}

// Open returns the live export to a destination, or records a new one, RUNNING.
// Calling it again returns the same export, whatever its status. Returns
// InvalidDestination, InvalidFormat, and FormatDiffers when the live export has
// another format.
func (c *Catalog) Open(ctx context.Context, destination string, format Format) (Export, error) {
	return c.openWith(ctx, destination, format, "")
}

// openWith is Open for a destination whose parameters, of which this is the hash,
// say where it is. Returns ParametersDiffer when the live export has others.
func (c *Catalog) openWith(ctx context.Context, destination string, format Format, parametersHash string) (Export, error) {
	place, kind, err := ParseDestination(destination)
	if err != nil {
		return Export{}, err
	}
	if err := format.validate(); err != nil {
		return Export{}, err
	}
	var row exportdb.Export
	newID := id.New("exp")
	err = c.db.InTx(ctx, "export.open", func(ctx context.Context, tx pgx.Tx) error {
		queries := exportdb.New(tx)
		err := queries.InsertExport(ctx, exportdb.InsertExportParams{
			ExportID: newID, Destination: place, Kind: string(kind), Format: string(format), ParametersHash: parametersHash,
			Now: c.clock(),
		})
		if err != nil {
			return err
		}
		row, err = queries.GetLiveExport(ctx, place)
		return err
	})
	if err != nil {
		return Export{}, fmt.Errorf("open export: %w", err)
	}
	if Format(row.Format) != format {
		return Export{}, FormatDiffers.Failure("export %s to %s has the format %s: go on with that, or cancel it and choose another destination",
			row.ExportID, row.Destination, row.Format)
	}
	if parametersHash != "" && row.ParametersHash != "" && row.ParametersHash != parametersHash {
		return Export{}, ParametersDiffer.Failure("export %s to %s was created with other parameters, which may lead elsewhere: cancel it first, or choose another destination",
			row.ExportID, row.Destination)
	}
	return exportFromRow(row), nil
}

// ByID returns an export, or NotFound.
func (c *Catalog) ByID(ctx context.Context, exportID string) (Export, error) {
	row, err := c.queries.GetExport(ctx, exportID)
	if database.NotFound(err) {
		return Export{}, notFound(exportID)
	}
	if err != nil {
		return Export{}, fmt.Errorf("read export: %w", err)
	}
	return exportFromRow(row), nil
}

// List returns up to limit exports, in the order of their ids, after the id
// given ("" for the first page).
func (c *Catalog) List(ctx context.Context, after string, limit int) ([]Export, error) {
	rows, err := c.queries.ListExports(ctx, exportdb.ListExportsParams{AfterExportID: after, MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("list exports: %w", err)
	}
	exports := make([]Export, len(rows))
	for i, row := range rows {
		exports[i] = exportFromRow(row)
	}
	return exports, nil
}

// Pause has a RUNNING export hand out nothing until Resume; the engine keeps
// what comes next meanwhile. Pausing again changes nothing. Returns NotFound,
// NotRunning when it FAILED, and Cancelled.
func (c *Catalog) Pause(ctx context.Context, exportID string) (Export, error) {
	return c.change(ctx, "export.pause", exportID, func(e *Export) error {
		switch e.Status {
		case Finished:
			return cancelled(exportID)
		case Failed:
			return NotRunning.Failure("export %s failed: resume or cancel it", exportID)
		}
		e.Status = Paused
		return nil
	})
}

// Resume has a PAUSED or FAILED export go on and forgets its error. Resuming a
// RUNNING one changes nothing. Returns NotFound and Cancelled.
func (c *Catalog) Resume(ctx context.Context, exportID string) (Export, error) {
	return c.change(ctx, "export.resume", exportID, func(e *Export) error {
		if e.Status == Finished {
			return cancelled(exportID)
		}
		e.Status, e.Error, e.ErrorCode = Running, "", ""
		return nil
	})
}

// Cancel ends an export for good and drops what a FOLDER export keeps on the
// database's server (its replication slot holds up WAL). Files stay, and so does
// the row. Cancelling again changes nothing, but drops what could not be dropped
// the first time. Returns NotFound, and FolderInUse when an exporter reads so long
// that its slot could not be dropped: the export is cancelled then.
func (c *Catalog) Cancel(ctx context.Context, exportID string) (Export, error) {
	e, err := c.change(ctx, "export.cancel", exportID, func(e *Export) error {
		e.Status, e.Error, e.ErrorCode = Finished, "", ""
		return nil
	})
	if err != nil {
		return Export{}, err
	}
	if e.Kind == Folder {
		err = releaseFeed(ctx, c.db, exportID)
	}
	return e, err
}

// Fail records why a live export can't go on, as a code ("" for none) and in words.
// Failing again keeps the newer error. Returns NotFound and Cancelled.
func (c *Catalog) Fail(ctx context.Context, exportID string, code Code, reason string) (Export, error) {
	return c.change(ctx, "export.fail", exportID, func(e *Export) error {
		if e.Status == Finished {
			return cancelled(exportID)
		}
		e.Status, e.Error, e.ErrorCode = Failed, reason, code
		return nil
	})
}

// SetJob records the engine's job of a live CHANGEFEED. The first one recorded
// stays: whoever made another one reads so by ByID, and ends it.
func (c *Catalog) SetJob(ctx context.Context, exportID string, jobID int64) error {
	err := c.queries.SetExportJob(ctx, exportdb.SetExportJobParams{ExportID: exportID, JobID: &jobID, Now: c.clock()})
	if err != nil {
		return fmt.Errorf("record the export's job: %w", err)
	}
	return nil
}

// watched returns the live exports, and the cancelled ones of which a job may
// still be about to be made.
func (c *Catalog) watched(ctx context.Context, cancelledSince time.Time) ([]Export, error) {
	rows, err := c.queries.ListWatchedExports(ctx, cancelledSince)
	if err != nil {
		return nil, fmt.Errorf("list exports to watch: %w", err)
	}
	exports := make([]Export, len(rows))
	for i, row := range rows {
		exports[i] = exportFromRow(row)
	}
	return exports, nil
}

// SaveProgress records how far an export has come. The same progress again
// changes nothing. Returns ProgressConflict when the catalog knows of more than
// that, of another part with that number, or of no such export: then another
// exporter is at work.
func (c *Catalog) SaveProgress(ctx context.Context, exportID string, p Progress) error {
	changed, err := c.queries.SaveExportProgress(ctx, exportdb.SaveExportProgressParams{
		ExportID: exportID, Part: p.Part, ManifestHash: p.ManifestHash, Rows: p.Rows,
		ResolvedAt: orNil(p.ResolvedAt), Position: p.Position, Now: c.clock(),
	})
	if err != nil {
		return fmt.Errorf("save the export's progress: %w", err)
	}
	if changed == 0 {
		return ProgressConflict.Failure("the catalog knows export %s to be further than part %d, or another part of that number: another exporter is at work on it", exportID, p.Part)
	}
	return nil
}

// change reads an export under its row's lock and writes what decide makes of
// its status.
func (c *Catalog) change(ctx context.Context, name, exportID string, decide func(*Export) error) (Export, error) {
	var changed Export
	err := c.db.InTx(ctx, name, func(ctx context.Context, tx pgx.Tx) error {
		queries := exportdb.New(tx)
		row, err := queries.LockExport(ctx, exportID)
		if database.NotFound(err) {
			return notFound(exportID)
		}
		if err != nil {
			return err
		}
		changed = exportFromRow(row)
		before := changed
		if err := decide(&changed); err != nil || changed == before {
			return err
		}
		changed.UpdatedAt = c.clock()
		return queries.SetExportStatus(ctx, exportdb.SetExportStatusParams{
			ExportID: exportID, Status: string(changed.Status), Error: orNil(changed.Error), ErrorCode: orNil(string(changed.ErrorCode)),
			Now: changed.UpdatedAt,
		})
	})
	if err != nil {
		return Export{}, err
	}
	return changed, nil
}

func notFound(exportID string) error {
	return NotFound.Failure("there is no export %q", exportID)
}

func cancelled(exportID string) error {
	return Cancelled.Failure("export %s was cancelled; a new one begins when its destination is exported to again", exportID)
}

func exportFromRow(row exportdb.Export) Export {
	return Export{
		ID: row.ExportID, Destination: row.Destination, Kind: Kind(row.Kind), Format: Format(row.Format),
		Status: Status(row.Status), JobID: orZero(row.JobID), Error: orZero(row.Error), ErrorCode: Code(orZero(row.ErrorCode)),
		Progress: Progress{
			Part: row.Part, ManifestHash: row.ManifestHash, Rows: row.Rows,
			ResolvedAt: orZero(row.ResolvedAt).UTC(), Position: row.Position,
		},
		CreatedAt: row.CreatedAt.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
	}
}

func orNil[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

func orZero[T any](value *T) T {
	if value == nil {
		var zero T
		return zero
	}
	return *value
}
