package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	schema "florin/sql"
)

// loadBaseline makes the schema of an empty CockroachDB database in one
// transaction, in a third of a second: the migrations one by one take a single
// node twenty, and a cluster minutes, because there each index and each column of
// a table that exists is a job of several steps. Of replicas that try at once one
// does it, and the others wait.
//
// Returns the number of migrations that the baseline stands for; 0 when a migration
// has been applied, or this CockroachDB does not take the baseline, which the log
// says: the migrations then do the same.
func loadBaseline(ctx context.Context, db *DB, provider *goose.Provider, log *slog.Logger) (applied int, err error) {
	if _, err := provider.HasPending(ctx); err != nil { // makes the table of versions, if need be
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	if version, err := newestVersion(ctx, db); err != nil || version > 0 {
		return 0, err
	}
	locker, err := tableLock()
	if err != nil {
		return 0, fmt.Errorf("migration lock: %w", err)
	}
	pool := stdlib.OpenDBFromPool(db.Pool)
	defer pool.Close()
	if err := locker.Lock(ctx, pool); err != nil {
		return 0, fmt.Errorf("migration lock: %w", err)
	}
	defer func() { err = errors.Join(err, locker.Unlock(context.WithoutCancel(ctx), pool)) }()
	if version, err := newestVersion(ctx, db); err != nil || version > 0 {
		return 0, err
	}
	applied, err = createBaseline(ctx, db)
	switch {
	case err == nil:
		log.Info("schema made", "migrations", applied)
	case ctx.Err() == nil:
		log.Warn("the schema can't be made at once: migrating step by step", "error", err)
		return 0, nil
	}
	return applied, err
}

// newestVersion is that of the newest migration applied; 0 when there is none.
func newestVersion(ctx context.Context, db *DB) (version int64, err error) {
	if err := db.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version").Scan(&version); err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return version, nil
}

func createBaseline(ctx context.Context, db *DB) (applied int, err error) {
	pooled, err := db.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	conn := pooled.Hijack() // of its own: the setting is for nobody else
	defer conn.Close(context.WithoutCancel(ctx))
	// Newer versions commit before each schema change, unless told otherwise; older
	// ones don't know the setting.
	const undefinedObject = "42704"
	_, err = conn.Exec(ctx, "SET autocommit_before_ddl = off")
	if refused, ok := errors.AsType[*pgconn.PgError](err); err != nil && (!ok || refused.Code != undefinedObject) {
		return 0, err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, schema.CockroachBaseline, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT count(*) FROM goose_db_version WHERE version_id > 0").Scan(&applied)
	})
	return applied, err
}
