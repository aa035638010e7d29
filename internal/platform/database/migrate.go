package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	schema "florin/sql"
)

// Migrate brings the database's schema up to date. It may be called at any time
// and by several replicas at once: one migrates, the others wait and find
// nothing left to do. Returns the number of migrations applied.
func Migrate(ctx context.Context, db *DB, log *slog.Logger) (int, error) {
	provider, err := newProvider(db)
	if err != nil {
		return 0, err
	}
	defer provider.Close()
	made := 0
	if db.Engine == Cockroach {
		if made, err = loadBaseline(ctx, db, provider, log); err != nil {
			return made, fmt.Errorf("make the schema: %w", err)
		}
	}
	applied, err := migrateStepByStep(ctx, provider, log)
	return made + applied, err
}

// migrateStepByStep runs the migrations that the database has not seen.
func migrateStepByStep(ctx context.Context, provider *goose.Provider, log *slog.Logger) (int, error) {
	// Looked up without the lock: the usual start has nothing to do.
	pending, err := provider.HasPending(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	if !pending {
		return 0, nil
	}
	results, err := provider.Up(ctx)
	for _, r := range results {
		log.Info("migrated", "migration", r.Source.Path, "duration", r.Duration)
	}
	if err != nil {
		return len(results), fmt.Errorf("migrate: %w", err)
	}
	return len(results), nil
}

// Migrated says whether the schema is the one that this program needs, or newer.
func Migrated(ctx context.Context, db *DB) (bool, error) {
	provider, err := newProvider(db)
	if err != nil {
		return false, err
	}
	defer provider.Close()
	pending, err := provider.HasPending(ctx)
	if err != nil {
		return false, fmt.Errorf("read the schema's version: %w", err)
	}
	return !pending, nil
}

func newProvider(db *DB) (*goose.Provider, error) {
	locker, err := migrationLock(db.Engine)
	if err != nil {
		return nil, fmt.Errorf("migration lock: %w", err)
	}
	files, err := migrationsFor(db.Engine)
	if err != nil {
		return nil, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDBFromPool(db.Pool), files, locker)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}

// migrationLock excludes a second migrator: an advisory lock on PostgreSQL,
// which its holder's death releases; a row with a lease on CockroachDB, where
// advisory locks exclude nobody.
func migrationLock(engine Engine) (goose.ProviderOption, error) {
	if engine == Cockroach {
		locker, err := tableLock()
		return goose.WithLocker(locker), err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, lockTries))
	return goose.WithSessionLocker(locker), err
}

// lockTries is how often, each second, a migrator that waits looks again: for an
// hour, because spreading a large database over regions takes long.
const lockTries = 3600

func tableLock() (lock.Locker, error) {
	return lock.NewPostgresTableLocker(lock.WithTableLockTimeout(time.Second, lockTries))
}

// migrationsFor is the history that the engine runs: the common files and its own.
func migrationsFor(engine Engine) (fs.FS, error) {
	common, err := fs.Sub(schema.Schema, "schema")
	if err != nil {
		return nil, err
	}
	own, err := fs.Sub(common, string(engine))
	if err != nil {
		return nil, err
	}
	return overlay{common, own}, nil
}

// overlay shows the .sql files of several folders as one.
type overlay []fs.FS

func (o overlay) Open(name string) (fs.File, error) {
	for _, layer := range o {
		file, err := layer.Open(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	var all []fs.DirEntry
	for _, layer := range o {
		entries, err := fs.ReadDir(layer, name)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if !entry.IsDir() {
				all = append(all, entry)
			}
		}
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all, nil
}
