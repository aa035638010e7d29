package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

// Control is what people do with exports, whoever delivers them: files by
// `florin export run`, all else by jobs of CockroachDB. It makes jobs and tells
// what they say of themselves; a job is the truth about its export, the catalog
// records what was wanted. Safe for concurrent use.
type Control struct {
	db      *database.DB
	catalog *Catalog
	jobs    jobs
	allowed Allowed
	clock   clock.Clock
}

// NewControl makes a Control that creates exports to the allowed places only.
func NewControl(db *database.DB, allowed Allowed, now clock.Clock) *Control {
	return &Control{db: db, catalog: NewCatalog(db, now), jobs: jobs{db}, allowed: allowed, clock: now}
}

const codeInsufficientPrivilege = "42501" // SQLSTATE

// recordMax bounds how long a job that was made may take to be recorded.
const recordMax = 10 * time.Second

// Create has a job of the database deliver every posting and transfer to a
// destination, from the first to those yet to come, each at least once. The
// credentials in the destination go to the database alone.
//
// Creating it again, also after a crash or an error, returns the live export of
// that destination and makes its job when there is none. Of several jobs made at
// once all but the first end.
// Returns InvalidDestination, InvalidFormat, NeedsRunner for a folder,
// UnknownScheme, FormatNotPossible, NeedsCockroach, DestinationNotAllowed,
// FeedUnavailable, FormatDiffers, ParametersDiffer and JobRefused, which the export
// keeps as its error.
func (c *Control) Create(ctx context.Context, destination string, format Format) (Export, error) {
	if err := format.validate(); err != nil {
		return Export{}, err
	}
	asked, err := parseSinkURL(destination)
	if err != nil {
		return Export{}, err
	}
	if err := sinks[asked.Scheme].check(format, asked.Scheme); err != nil {
		return Export{}, err
	}
	if c.db.Engine != database.Cockroach {
		return Export{}, NeedsCockroach.Failure("only CockroachDB delivers to %s by itself, and this is %s: export to a folder with florin export run", asked.Scheme, c.db.Version)
	}
	target, err := c.allowed.resolve(asked)
	if err != nil {
		return Export{}, err
	}
	// A user who may not see the setting learns of it from the job's refusal.
	if err := (&cockroachFeed{db: c.db}).checkServer(ctx); err != nil && sqlState(err) != codeInsufficientPrivilege {
		return Export{}, err
	}
	place := *target
	place.RawQuery = ""
	e, err := c.catalog.openWith(ctx, place.String(), format, parametersHash(target))
	if err != nil {
		return Export{}, err
	}
	if e, err = c.adopt(ctx, e); err != nil {
		return Export{}, err
	}
	if e.JobID == 0 {
		jobID, err := c.jobs.create(ctx, e.ID, target, format)
		if err != nil {
			return Export{}, c.failed(ctx, e, err)
		}
		if err := c.record(ctx, e.ID, jobID); err != nil {
			return Export{}, err
		}
	}
	return c.ByID(ctx, e.ID)
}

// adopt records the job of an export whose maker died before it could.
func (c *Control) adopt(ctx context.Context, e Export) (Export, error) {
	if e.JobID != 0 || e.Kind != Changefeed || e.Status == Finished {
		return e, nil
	}
	all, err := c.jobs.all(ctx)
	if err != nil {
		return Export{}, err
	}
	for _, j := range all {
		if j.label == e.ID && !j.hasEnded() {
			if err := c.record(ctx, e.ID, j.id); err != nil {
				return Export{}, err
			}
			break
		}
	}
	return c.catalog.ByID(ctx, e.ID)
}

// failed keeps why the database refused, and returns it. Somebody else's job,
// made meanwhile, is no failure.
func (c *Control) failed(ctx context.Context, e Export, refused error) error {
	said, isSaid := errors.AsType[*Failure](refused)
	if !isSaid {
		return refused
	}
	now, err := c.catalog.ByID(ctx, e.ID)
	if err == nil && now.JobID == 0 {
		_, err = c.catalog.Fail(ctx, e.ID, said.Code, refused.Error())
	}
	return cmp.Or(err, refused)
}

// record notes an export's job, and ends the job when the export has another one
// or was cancelled meanwhile. It goes on when the caller has gone.
func (c *Control) record(ctx context.Context, exportID string, jobID int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordMax)
	defer cancel()
	if err := c.catalog.SetJob(ctx, exportID, jobID); err != nil {
		return err
	}
	e, err := c.catalog.ByID(ctx, exportID)
	if err != nil {
		return err
	}
	if e.Status == Finished {
		return errors.Join(cancelled(exportID), c.jobs.command(ctx, exportID, jobID, cancelJob))
	}
	if e.JobID != jobID {
		return c.jobs.command(ctx, exportID, jobID, cancelJob)
	}
	if e.Status == Failed { // an earlier refusal
		_, err = c.catalog.Resume(ctx, exportID)
	}
	return err
}

// ByID returns an export as it is now, or NotFound.
func (c *Control) ByID(ctx context.Context, exportID string) (Export, error) {
	e, err := c.catalog.ByID(ctx, exportID)
	if err != nil {
		return Export{}, err
	}
	exports, err := c.asTheyAre(ctx, []Export{e})
	if err != nil {
		return Export{}, err
	}
	return exports[0], nil
}

// List returns up to limit exports as they are now, in the order of their ids,
// after the id given ("" for the first page).
func (c *Control) List(ctx context.Context, after string, limit int) ([]Export, error) {
	exports, err := c.catalog.List(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	return c.asTheyAre(ctx, exports)
}

// asTheyAre brings in what the database says of the jobs, in one query.
func (c *Control) asTheyAre(ctx context.Context, exports []Export) ([]Export, error) {
	var found map[int64]job
	for i, e := range exports {
		if e.Kind != Changefeed || e.Status == Finished || c.db.Engine != database.Cockroach {
			continue
		}
		if found == nil {
			all, err := c.jobs.all(ctx)
			if err != nil {
				return nil, err
			}
			found = byID(all)
		}
		exports[i] = e.asDelivered(found[e.JobID], c.clock())
	}
	return exports, nil
}

func byID(all []job) map[int64]job {
	found := make(map[int64]job, len(all))
	for _, j := range all {
		found[j.id] = j
	}
	return found
}

// startMax is how long a job may take to be made before its absence is told.
const startMax = time.Minute

// asDelivered is a live export by a job, as the job tells it; the zero job means
// that there is none.
func (e Export) asDelivered(j job, now time.Time) Export {
	if !j.resolved.IsZero() {
		e.ResolvedAt, e.Position = microseconds(j.resolved.Time()), j.resolved.String()
	}
	switch {
	case e.JobID == 0 && e.Status != Failed && now.Sub(e.CreatedAt) < startMax:
	case e.JobID == 0:
		e.Status, e.Error = Failed, cmp.Or(e.Error, "its job was never made: create the export again, with its credentials")
	case j.id == 0:
		e.Status, e.Error = Failed, cmp.Or(e.Error, fmt.Sprintf("the database does not know its job %d any more: cancel the export and create it again", e.JobID))
	case j.hasEnded():
		e.Status, e.Error = Failed, fmt.Sprintf("the database ended its job (%s): %s; cancel the export and create it again", j.status, cmp.Or(j.error, "no reason given"))
	case !j.isPaused():
		e.Status, e.Error = Running, j.error
	case e.Status != Paused: // by the database, or by somebody there
		e.Status, e.Error = Failed, cmp.Or(j.error, "its job was paused in the database")
	}
	return e
}

// Pause has an export deliver nothing until Resume. Pausing again changes
// nothing. Returns NotFound, NotRunning when it FAILED, Cancelled and JobRefused.
func (c *Control) Pause(ctx context.Context, exportID string) (Export, error) {
	e, err := c.ByID(ctx, exportID)
	if err != nil {
		return Export{}, err
	}
	if e.Status == Failed {
		return Export{}, NotRunning.Failure("export %s failed: resume or cancel it", exportID)
	}
	// First the catalog: a job that is paused against it has failed.
	if e, err = c.catalog.Pause(ctx, exportID); err != nil || e.Kind != Changefeed {
		return e, err
	}
	if err := c.jobs.command(ctx, e.ID, e.JobID, pauseJob); err != nil {
		return Export{}, err
	}
	return c.ByID(ctx, exportID)
}

// Resume has an export that is PAUSED or FAILED go on where it was. Resuming a
// RUNNING one changes nothing. Returns NotFound, Cancelled, JobRefused, and
// JobEnded when the database has ended its job for good or never had one.
func (c *Control) Resume(ctx context.Context, exportID string) (Export, error) {
	e, err := c.catalog.ByID(ctx, exportID)
	if err != nil {
		return Export{}, err
	}
	if e.Kind == Changefeed && e.Status != Finished {
		if err := c.jobs.command(ctx, e.ID, e.JobID, resumeJob); err != nil {
			return Export{}, err
		}
	}
	if _, err := c.catalog.Resume(ctx, exportID); err != nil {
		return Export{}, err
	}
	return c.ByID(ctx, exportID)
}

// Cancel ends an export for good, and what it keeps in the database: its job or
// its replication slot. What was delivered stays, and so does the record.
// Cancelling again changes nothing, but drops what could not be dropped the first
// time. Returns NotFound, JobRefused, and FolderInUse when an exporter reads so
// long that its slot could not be dropped.
func (c *Control) Cancel(ctx context.Context, exportID string) (Export, error) {
	e, err := c.catalog.ByID(ctx, exportID)
	if err != nil {
		return Export{}, err
	}
	// First the job: an export that is cancelled delivers nothing.
	if e.Kind == Changefeed {
		if err := c.cancelJob(ctx, e); err != nil {
			return Export{}, err
		}
	}
	return c.catalog.Cancel(ctx, exportID)
}

func (c *Control) cancelJob(ctx context.Context, e Export) error {
	e, err := c.adopt(ctx, e)
	if err != nil || e.JobID == 0 {
		return err
	}
	if err := c.jobs.command(ctx, e.ID, e.JobID, cancelJob); err != nil || e.Status == Finished {
		return err
	}
	last, err := c.ByID(ctx, e.ID)
	if err != nil {
		return err
	}
	return c.keep(ctx, last)
}

// keep records how far a job came: the database forgets jobs that ended.
func (c *Control) keep(ctx context.Context, e Export) error {
	if e.ResolvedAt.IsZero() {
		return nil
	}
	return c.catalog.SaveProgress(ctx, e.ID, e.Progress)
}

// Lag is how far a live export is behind: the age of its resolved time, or of
// the export itself before it has one. Zero for a cancelled export.
func (e Export) Lag(now time.Time) time.Duration {
	since := e.ResolvedAt
	if since.IsZero() {
		since = e.CreatedAt
	}
	if e.Status == Finished {
		return 0
	}
	return max(0, now.Sub(since))
}
