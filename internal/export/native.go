package export

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"florin/internal/platform/database"
)

// protection is how long the database keeps what a job has not delivered yet,
// beyond the GC window. It costs little, because postings are never updated;
// without an end a forgotten export would keep garbage for ever. The database
// cancels a job that falls behind by more.
const protection = 7 * 24 * time.Hour

// job is a changefeed of the database, as its table of jobs tells it.
type job struct {
	id     int64
	label  string // the export's id
	status string // running, paused, failed, ...
	error  string // why it failed or was paused, or what it tries again; redacted
	// resolved is the time up to which all is delivered; zero before the first.
	resolved database.Timestamp
}

// hasEnded says that the job will never run again.
func (j job) hasEnded() bool {
	switch j.status {
	case "failed", "canceled", "cancel-requested", "succeeded", "reverting", "revert-failed":
		return true
	}
	return false
}

func (j job) isPaused() bool { return strings.HasPrefix(j.status, "pause") }

// jobs are the changefeeds into the outside that the database runs for exports.
// Each carries its export's id as its label for metrics: by that a job is found
// that was made a moment before this program died.
type jobs struct{ db *database.DB }

// create starts a job and returns its id. Returns JobRefused with the database's
// reason. Its errors hold no parameter of the destination.
func (s jobs) create(ctx context.Context, exportID string, destination *url.URL, format Format) (int64, error) {
	var id int64
	err := s.db.QueryRow(ctx, createStatement(exportID, format), destination.String()).Scan(&id)
	return id, refusal(err, destination)
}

// createStatement is the SQL that starts a job; the destination is its one
// placeholder, so that it is in no log of statements.
//
// on_error: a job that failed could not go on where it was, a paused one can.
// resolved and min_checkpoint_frequency: the smaller, the more small files.
func createStatement(exportID string, format Format) string {
	names := map[Format]string{NDJSON: "json", Parquet: "parquet"}
	return fmt.Sprintf(`
		CREATE CHANGEFEED FOR TABLE postings, transfers INTO $1
		WITH format = '%s', updated, mvcc_timestamp, resolved = '10s', min_checkpoint_frequency = '10s',
		     initial_scan = 'yes', schema_change_policy = 'nobackfill', on_error = 'pause',
		     gc_protect_expires_after = '%s', metrics_label = '%s'`,
		names[format], protection, exportID)
}

// refusal turns the database's error about a job into one that may be shown.
func refusal(err error, destination *url.URL) error {
	var said *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case database.TimedOut(err):
		// Not the error itself: it may name the destination in full.
		return fmt.Errorf("the database did not reach the destination in time: %w", context.DeadlineExceeded)
	case database.Unavailable(err):
		return database.ErrUnavailable
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &said):
		return JobRefused.Failure("the database refuses: %s", redact(said.Message, destination))
	}
	return errors.New(redact(err.Error(), destination))
}

// all returns the jobs made for exports that the database still lists. What a
// job says while all is well ("running: resolved=...") is no error.
func (s jobs) all(ctx context.Context) ([]job, error) {
	rows, err := s.db.Query(ctx, `
		SELECT job_id, substring(description, $1::text), status,
		       coalesce(nullif(error, ''), CASE WHEN running_status LIKE 'running: %' THEN '' ELSE running_status END, ''),
		       coalesce(nullif(high_water_timestamp, 0)::text, '')
		FROM [SHOW CHANGEFEED JOBS]
		WHERE description ~ $1::text AND `+isOurs+`
		ORDER BY job_id`, labelPattern)
	if err != nil {
		return nil, fmt.Errorf("read the exports' jobs: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (job, error) {
		var j job
		var resolved string
		if err := row.Scan(&j.id, &j.label, &j.status, &j.error, &resolved); err != nil {
			return job{}, err
		}
		j.error = redact(j.error, nil)
		var err error
		if resolved != "" {
			j.resolved, err = database.ParseTimestamp(resolved)
		}
		return j, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the exports' jobs: %w", err)
	}
	return found, nil
}

// labelPattern finds an export's id in the description of its job. A quote
// within the destination would be escaped there, so nothing else looks like it.
const labelPattern = `metrics_label = '(exp_[a-z0-9]+)'`

// isOurs is the condition that a job delivers this database's books: a copy of it
// on the same cluster has the same exports in its catalog.
const isOurs = `concat(current_database(), '.', current_schema(), '.postings') = ANY(full_table_names)`

// verb is what a job can be told to do.
type verb string

const (
	pauseJob  verb = "PAUSE"
	resumeJob verb = "RESUME"
	cancelJob verb = "CANCEL"
)

// command tells an export's job to do something, unless it does so already. A job
// that is not this export's, or another database's, is as good as none. Returns
// JobEnded and JobRefused.
func (s jobs) command(ctx context.Context, exportID string, id int64, do verb) error {
	if id == 0 && do != cancelJob {
		return JobEnded.Failure("the export's job was never made: create the export again, with its credentials")
	}
	j, err := s.settled(ctx, exportID, id)
	if err != nil {
		return err
	}
	isThere := j.id != 0 && !j.hasEnded()
	switch {
	case do == cancelJob && !isThere, isThere && do == pauseJob && j.isPaused(), isThere && do == resumeJob && !j.isPaused():
		return nil
	case j.id == 0:
		return JobEnded.Failure("the database does not know job %d any more: cancel the export and create it again", id)
	case !isThere:
		return JobEnded.Failure("the database ended job %d (%s): cancel the export and create it again", id, j.status)
	}
	if do == resumeJob && j.status == pauseRequested {
		return JobRefused.Failure("job %d is still about to pause: resume it again in a while", id)
	}
	_, err = s.db.Exec(ctx, fmt.Sprintf("%s JOB %d", do, id))
	return refusal(err, nil)
}

// pauseRequested is the status of a job that was told to pause and has not yet.
const pauseRequested = "pause-requested"

// settledMax bounds the wait for a job that is about to pause: the database sees
// to that each 10 s, and each 30 s to a job that no node has taken yet.
const settledMax = 35 * time.Second

// settled waits until a job has done what it was told last. Its id is 0 when
// there is no such job.
func (s jobs) settled(ctx context.Context, exportID string, id int64) (job, error) {
	for deadline := time.After(settledMax); ; {
		j := job{id: id}
		err := s.db.QueryRow(ctx, fmt.Sprintf(`
			SELECT status
			FROM [SHOW CHANGEFEED JOB %d]
			WHERE substring(description, $1::text) = $2::text AND `, id)+isOurs, labelPattern, exportID).Scan(&j.status)
		if database.NotFound(err) {
			return job{}, nil
		}
		if err != nil {
			return job{}, fmt.Errorf("read the export's job: %w", err)
		}
		if j.status != pauseRequested {
			return j, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-deadline:
			return j, nil
		case <-ctx.Done():
			return job{}, ctx.Err()
		}
	}
}
