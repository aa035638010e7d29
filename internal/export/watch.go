package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

// WatchOptions configure NewWatch. Zero values mean the defaults named.
type WatchOptions struct {
	Interval time.Duration // between two looks; default 15 s
	// WALRetainedMax is how many bytes of WAL a replication slot may hold up before
	// it is warned of; default 2 GiB.
	WALRetainedMax int64

	Clock    clock.Clock           // default clock.System
	Log      *slog.Logger          // default slog.Default()
	Registry prometheus.Registerer // default: metrics are kept to itself
}

// Watch looks at all live exports from time to time and says, in metrics and
// warnings, which of them is about to lose what it has not delivered yet: one
// that stands still costs the database disk, until the database gives it up.
// Each replica has one. It changes nothing but the records of jobs, and ends those
// that belong to no live export.
type Watch struct {
	control *Control
	options WatchOptions
	metrics *watchMetrics
	// told is which troubles of which export were warned of and still hold.
	told map[string]map[string]bool
	// strays counts the looks at slots that no live export has.
	strays map[string]int
}

// NewWatch makes a Watch. Nothing runs yet.
func NewWatch(control *Control, o WatchOptions) *Watch {
	o.Interval = cmp.Or(o.Interval, 15*time.Second)
	o.WALRetainedMax = cmp.Or(o.WALRetainedMax, 2<<30)
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	return &Watch{control: control, options: o, metrics: newWatchMetrics(o.Registry, o.Clock), told: map[string]map[string]bool{}, strays: map[string]int{}}
}

// Run watches until ctx ends. A database that does not answer is no reason to
// stop; the metrics go on from what was seen last.
func (w *Watch) Run(ctx context.Context) {
	for {
		if seen, err := w.look(ctx); err == nil {
			w.metrics.show(seen)
			w.warn(seen)
		} else if ctx.Err() == nil {
			w.options.Log.Warn("the exports could not be looked at", "error", err)
		}
		if !clock.Sleep(ctx, w.options.Interval) {
			return
		}
	}
}

// sighting is a live export at a time.
type sighting struct {
	Export
	lag time.Duration
	// keeps is how long the database keeps what is not delivered; CockroachDB.
	keeps time.Duration
	// slot is where PostgreSQL keeps it; nil when there is none.
	slot *slot
	// needsSlot says that there should be one.
	needsSlot bool
}

// slot is a replication slot's state.
type slot struct {
	walStatus string // reserved, extended, unreserved or lost
	retained  int64  // bytes of WAL that it holds up
}

// used is the share of what the database keeps that the lag is.
func (s sighting) used() float64 {
	if s.keeps == 0 {
		return 0
	}
	return float64(s.lag) / float64(s.keeps)
}

// look costs one query when there are no exports, on PostgreSQL two.
func (w *Watch) look(ctx context.Context) ([]sighting, error) {
	now := w.options.Clock()
	// For as long as a job may be about to be made, with much to spare.
	exports, err := w.control.catalog.watched(ctx, now.Add(-time.Hour))
	switch {
	case err != nil:
		return nil, err
	case w.control.db.Engine == database.Postgres:
		return w.lookAtPostgres(ctx, exports, now)
	case len(exports) == 0:
		return nil, nil
	}
	return w.lookAtCockroach(ctx, exports, now)
}

func (w *Watch) lookAtCockroach(ctx context.Context, exports []Export, now time.Time) ([]sighting, error) {
	all, err := w.control.jobs.all(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.tidy(ctx, exports, all); err != nil {
		return nil, err
	}
	window, err := gcWindow(ctx, w.control.db)
	if err != nil {
		return nil, err
	}
	found := byID(all)
	var seen []sighting
	for _, e := range exports {
		s := sighting{Export: e, keeps: window}
		switch {
		case e.Status == Finished:
			continue
		case e.Kind == Changefeed:
			s.Export, s.keeps = e.asDelivered(found[e.JobID], now), protection
			if e.Status != Failed && found[e.JobID].hasEnded() {
				if err := w.keepEnd(ctx, s.Export); err != nil {
					return nil, err
				}
			}
		}
		s.lag = s.Lag(now)
		seen = append(seen, s)
	}
	return seen, nil
}

// tidy sees to the jobs whose maker died before they were recorded: the first
// becomes the export's, any other one ends.
func (w *Watch) tidy(ctx context.Context, exports []Export, all []job) error {
	known := make(map[string]Export, len(exports))
	for _, e := range exports {
		known[e.ID] = e
	}
	for _, j := range all {
		e, isKnown := known[j.label]
		if !isKnown || j.hasEnded() || j.id == e.JobID && e.Status != Finished {
			continue
		}
		err := w.control.record(ctx, e.ID, j.id)
		if _, isSaid := errors.AsType[*Failure](err); err != nil && !isSaid {
			return err
		}
		w.options.Log.Warn("a job of the database was not on record for its export", "export", e.ID, "job", j.id)
	}
	return nil
}

// keepEnd records why a job ended before the database forgets it.
func (w *Watch) keepEnd(ctx context.Context, e Export) error {
	if err := w.control.keep(ctx, e); err != nil {
		return err
	}
	_, err := w.control.catalog.Fail(ctx, e.ID, JobEnded, e.Error)
	return err
}

var ttlPattern = regexp.MustCompile(`gc\.ttlseconds = ([0-9]+)`)

// gcWindow is how long CockroachDB keeps what was committed to the exported
// tables, for those whom it does not keep it for longer.
func gcWindow(ctx context.Context, db *database.DB) (time.Duration, error) {
	var window time.Duration
	for _, table := range []string{"postings", "transfers"} {
		var config string
		err := db.QueryRow(ctx, "SELECT raw_config_sql FROM [SHOW ZONE CONFIGURATION FROM TABLE "+table+"]").Scan(&config)
		if err != nil {
			return 0, fmt.Errorf("read gc.ttlseconds of %s: %w", table, err)
		}
		match := ttlPattern.FindStringSubmatch(config)
		if match == nil {
			return 0, fmt.Errorf("the zone of %s has no gc.ttlseconds", table)
		}
		seconds, err := strconv.ParseInt(match[1], 10, 32)
		if err != nil {
			return 0, fmt.Errorf("read gc.ttlseconds of %s: %w", table, err)
		}
		if ttl := time.Duration(seconds) * time.Second; window == 0 || ttl < window {
			window = ttl
		}
	}
	return window, nil
}

func (w *Watch) lookAtPostgres(ctx context.Context, exports []Export, now time.Time) ([]sighting, error) {
	rows, err := w.control.db.Query(ctx, `
		SELECT slot_name, coalesce(wal_status, 'lost'), coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint
		FROM pg_replication_slots
		WHERE database = current_database()`)
	if err != nil {
		return nil, fmt.Errorf("look at the replication slots: %w", err)
	}
	slots := map[string]*slot{}
	var name string
	var found slot
	_, err = pgx.ForEachRow(rows, []any{&name, &found.walStatus, &found.retained}, func() error {
		kept := found
		slots[name] = &kept
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look at the replication slots: %w", err)
	}
	var seen []sighting
	for _, e := range exports {
		if e.Status == Finished {
			continue
		}
		name := slotName(e.ID)
		// Before the first part the slot may not be made yet.
		seen = append(seen, sighting{Export: e, lag: e.Lag(now), slot: slots[name], needsSlot: e.Kind == Folder && e.Part > 0})
		delete(slots, name)
	}
	w.warnOfStrays(slots)
	return seen, nil
}
