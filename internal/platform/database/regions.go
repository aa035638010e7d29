package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"florin/internal/platform/clock"
	schema "florin/sql"
)

// Regions say how a CockroachDB database is spread.
type Regions struct {
	// Names of regions that the cluster's nodes have as their locality, the
	// primary first. None leaves the database as it is.
	Names []string
	// Survival is what the database outlives: "zone" or "region", which takes
	// three regions. "" leaves it as it is, which is "zone" at first.
	Survival string
}

// Survival goals.
const (
	SurviveZone   = "zone"
	SurviveRegion = "region"
)

// survivalRegionsMin is how many regions it takes to lose one.
const survivalRegionsMin = 3

// ErrBadRegions says that the regions asked for contradict themselves or the
// database.
var ErrBadRegions = errors.New("bad regions")

// ErrRegionsMissing says that some of the regions asked for are not there yet.
var ErrRegionsMissing = errors.New("regions are missing")

// Localize spreads a migrated database over its regions: the database's regions
// and survival goal, and every table's locality (sql.Localities). It may be
// called at any time, also while the program runs, and by several replicas at
// once; a second call finds nothing left to do. A region that was not there
// before is added; one that is no longer named stays.
//
// In a cluster whose nodes name none of the regions the database keeps its
// single-region form, as on PostgreSQL, and that is said. Where only some are
// missing Localize does what it can and returns ErrRegionsMissing: accounts that
// are opened meanwhile stay where they are. Returns ErrBadRegions too.
func Localize(ctx context.Context, db *DB, r Regions, log *slog.Logger) error {
	if err := r.validate(); err != nil || len(r.Names) == 0 {
		return err
	}
	if db.Engine != Cockroach {
		log.Warn("no regions: only CockroachDB spreads a database over regions", "regions", r.Names)
		return nil
	}
	return whileLocked(ctx, db, func() error {
		there, err := column(ctx, db, "SELECT region FROM [SHOW REGIONS FROM CLUSTER]")
		if err != nil {
			return fmt.Errorf("read the cluster's regions: %w", err)
		}
		var names, missing []string
		for _, name := range r.Names {
			if slices.Contains(there, name) {
				names = append(names, name)
			} else {
				missing = append(missing, name)
			}
		}
		if len(names) == 0 {
			log.Warn("the database is not spread: no node of the cluster has one of the regions as its locality", "regions", missing, "there", there)
			return nil
		}
		if names[0] == r.Names[0] {
			err = localizer{db: db, log: log}.run(ctx, names, r.Survival)
		}
		if len(missing) > 0 {
			err = errors.Join(err, fmt.Errorf("%w: no node has %s as its locality, there are %s: start them and migrate again",
				ErrRegionsMissing, strings.Join(missing, ", "), strings.Join(there, ", ")))
		}
		return err
	})
}

func (r Regions) validate() error {
	seen := map[string]bool{}
	for _, name := range r.Names {
		if name == "" || seen[name] {
			return fmt.Errorf("%w: %q is empty or named twice in %s", ErrBadRegions, name, strings.Join(r.Names, ","))
		}
		seen[name] = true
	}
	if r.Survival != "" && len(r.Names) == 0 {
		return fmt.Errorf("%w: a survival goal is set together with the regions", ErrBadRegions)
	}
	switch r.Survival {
	case "", SurviveZone:
	case SurviveRegion:
		if len(r.Names) < survivalRegionsMin {
			return fmt.Errorf("%w: to outlive a region takes %d regions, %d are named", ErrBadRegions, survivalRegionsMin, len(r.Names))
		}
	default:
		return fmt.Errorf("%w: the survival goal is %q, must be %s or %s", ErrBadRegions, r.Survival, SurviveZone, SurviveRegion)
	}
	return nil
}

// whileLocked runs fn while no other migrator works on the database.
func whileLocked(ctx context.Context, db *DB, fn func() error) (err error) {
	locker, err := tableLock()
	if err != nil {
		return fmt.Errorf("migration lock: %w", err)
	}
	pool := stdlib.OpenDBFromPool(db.Pool)
	defer pool.Close()
	if err := locker.Lock(ctx, pool); err != nil {
		return fmt.Errorf("migration lock: %w", err)
	}
	defer func() { err = errors.Join(err, locker.Unlock(context.WithoutCancel(ctx), pool)) }()
	return fn()
}

// localizer brings a database from wherever it is to its localities, each step
// only when it is still to be done.
type localizer struct {
	db  *DB
	log *slog.Logger
}

func (l localizer) run(ctx context.Context, names []string, survival string) error {
	var name string
	if err := l.db.QueryRow(ctx, "SELECT current_database()").Scan(&name); err != nil {
		return err
	}
	database := "ALTER DATABASE " + QuoteIdentifier(name)
	has, _, err := l.db.readRegions(ctx)
	if err != nil {
		return err
	}
	primary := names[0]
	if len(has) == 0 {
		if err := l.do(ctx, database+" SET PRIMARY REGION "+QuoteIdentifier(primary)); err != nil {
			return err
		}
	} else if has[0] != primary {
		return fmt.Errorf("%w: the database's primary region is %s, not %s: name it first, or change it by hand", ErrBadRegions, has[0], primary)
	}
	for _, region := range names[1:] {
		if slices.Contains(has, region) {
			continue
		}
		if err := l.do(ctx, database+" ADD REGION "+QuoteIdentifier(region)); err != nil {
			return err
		}
	}
	for _, locality := range schema.Localities {
		if err := l.table(ctx, locality, primary); err != nil {
			return fmt.Errorf("locality of table %s: %w", locality.Table, err)
		}
	}
	return l.survive(ctx, database, survival)
}

func (l localizer) survive(ctx context.Context, database, goal string) error {
	if goal == "" {
		return nil
	}
	now, err := column(ctx, l.db, "SELECT survival_goal FROM [SHOW SURVIVAL GOAL FROM DATABASE]")
	if err != nil || slices.Contains(now, goal) {
		return err
	}
	has, _, err := l.db.readRegions(ctx)
	if err != nil {
		return err
	}
	if goal == SurviveRegion && len(has) < survivalRegionsMin {
		return fmt.Errorf("%w: to outlive a region takes %d, the database has %s", ErrRegionsMissing, survivalRegionsMin, strings.Join(has, ", "))
	}
	return l.do(ctx, database+" SURVIVE "+strings.ToUpper(goal)+" FAILURE")
}

// table gives a table its locality.
func (l localizer) table(ctx context.Context, to schema.Locality, primary string) error {
	locality := "GLOBAL"
	if to.IsByRow {
		locality = "REGIONAL BY ROW AS crdb_region"
	}
	alter := "ALTER TABLE " + to.Table
	// Tables are locked against changes of their schema, which change feeds like.
	unlock, lock := alter+" SET (schema_locked = false)", alter+" SET (schema_locked = true)"
	now, err := column(ctx, l.db, "SELECT create_statement FROM [SHOW CREATE TABLE "+to.Table+"]")
	switch {
	case err != nil:
		return err
	case strings.Contains(now[0], "LOCALITY "+locality) && strings.Contains(now[0], "schema_locked = true"):
		return nil
	case strings.Contains(now[0], "LOCALITY "+locality):
		return l.do(ctx, lock)
	}
	steps := []string{unlock}
	if to.IsByRow {
		if err := l.checkRegionColumn(ctx, to.Table); err != nil {
			return err
		}
		// Rows from before the database had regions live in the primary one.
		steps = append(steps, alter+` ADD COLUMN IF NOT EXISTS crdb_region crdb_internal_region NOT VISIBLE NOT NULL
			AS ((CASE WHEN home_region = '' THEN '`+strings.ReplaceAll(primary, "'", "''")+`' ELSE home_region END)::crdb_internal_region) STORED`)
	}
	leading, err := l.leadingColumns(ctx, to.Table)
	if err != nil {
		return err
	}
	if to.PrimaryKey != "" && leading[to.Table+"_pkey"] != "crdb_region" {
		steps = append(steps, alter+" ALTER PRIMARY KEY USING COLUMNS ("+to.PrimaryKey+")")
	}
	if to.OldKey != "" {
		steps = append(steps, "DROP INDEX IF EXISTS "+to.Table+"@"+to.OldKey+" CASCADE")
	}
	for _, index := range to.Unique {
		if leading[index.Name] != "crdb_region" {
			next := index.Name + "_by_region"
			steps = append(steps,
				"CREATE UNIQUE INDEX IF NOT EXISTS "+next+" ON "+to.Table+" ("+index.Columns+") WHERE "+index.Where,
				"DROP INDEX IF EXISTS "+to.Table+"@"+index.Name+" CASCADE",
				"ALTER INDEX "+to.Table+"@"+next+" RENAME TO "+index.Name)
		}
	}
	// After the others, because it says that they are done.
	steps = append(steps, alter+" SET LOCALITY "+locality, lock)
	for _, step := range steps {
		if err := l.do(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// checkRegionColumn returns ErrBadRegions for a table that somebody else has spread,
// by the region that a row was written from.
func (l localizer) checkRegionColumn(ctx context.Context, table string) error {
	others, err := column(ctx, l.db, `
		SELECT column_name
		FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = $1 AND column_name = 'crdb_region'
		  AND is_generated <> 'ALWAYS'`, table)
	if err == nil && len(others) > 0 {
		err = fmt.Errorf("%w: table %s has a column crdb_region already, which does not follow home_region: set the table's locality to REGIONAL BY TABLE and drop that column", ErrBadRegions, table)
	}
	return err
}

// leadingColumns are the first columns of a table's indexes.
func (l localizer) leadingColumns(ctx context.Context, table string) (map[string]string, error) {
	rows, err := l.db.Query(ctx, `
		SELECT index_name, column_name
		FROM information_schema.statistics
		WHERE table_schema = current_schema() AND table_name = $1 AND seq_in_index = 1`, table)
	if err != nil {
		return nil, err
	}
	leading := map[string]string{}
	var index, first string
	_, err = pgx.ForEachRow(rows, []any{&index, &first}, func() error {
		leading[index] = first
		return nil
	})
	return leading, err
}

func (l localizer) do(ctx context.Context, statement string) error {
	elapsed := clock.Stopwatch()
	if _, err := l.db.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(strings.Fields(statement), " "), err)
	}
	l.log.Info("localized", "statement", strings.Join(strings.Fields(statement), " "), "duration", elapsed())
	return nil
}

func column(ctx context.Context, db *DB, sql string, args ...any) ([]string, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// regionsKept is how long what is known of the database's regions is good.
const regionsKept = 10 * time.Second

// regions is what a DB knows of its database's regions.
type regions struct {
	mu    sync.Mutex
	names []string
	here  string
	known func() time.Duration // since when
}

// Regions are the regions of the database, its primary first, and the one that
// this program's connections lead to ("" when that is none of them). There are
// none on PostgreSQL and in a database without regions. A region that is added
// shows within ten seconds.
func (db *DB) Regions(ctx context.Context) (names []string, here string, err error) {
	if db.Engine != Cockroach {
		return nil, "", nil
	}
	r := &db.regions
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known != nil && r.known() <= regionsKept {
		return r.names, r.here, nil
	}
	if r.names, r.here, err = db.readRegions(ctx); err != nil {
		r.known = nil
		return nil, "", err
	}
	r.known = clock.Stopwatch()
	return r.names, r.here, nil
}

func (db *DB) readRegions(ctx context.Context) (names []string, here string, err error) {
	rows, err := db.Query(ctx, `
		SELECT region, coalesce(region::text = crdb_internal.locality_value('region'), false)
		FROM [SHOW REGIONS FROM DATABASE]
		ORDER BY "primary" DESC, region`)
	if err != nil {
		return nil, "", fmt.Errorf("read the database's regions: %w", err)
	}
	var name string
	var isHere bool
	_, err = pgx.ForEachRow(rows, []any{&name, &isHere}, func() error {
		names = append(names, name)
		if isHere {
			here = name
		}
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("read the database's regions: %w", err)
	}
	return names, here, nil
}
