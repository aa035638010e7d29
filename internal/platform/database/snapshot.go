package database

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Snapshot runs fn in a read-only transaction that sees the database as it was
// at one time, and tells that time. It neither waits for writes nor holds them
// up: on CockroachDB it reads the recent past (AS OF SYSTEM TIME), on PostgreSQL
// one REPEATABLE READ snapshot. It is not retried and has no deadline of its own.
func (db *DB) Snapshot(ctx context.Context, fn func(tx pgx.Tx, at time.Time) error) error {
	tx, err := db.BeginTx(ctx, db.snapshotOptions())
	if err != nil {
		return fmt.Errorf("begin snapshot: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing to keep
	var at time.Time
	if err := tx.QueryRow(ctx, db.snapshotTime()).Scan(&at); err != nil {
		return fmt.Errorf("begin snapshot: %w", err)
	}
	return fn(tx, at.UTC())
}

func (db *DB) snapshotOptions() pgx.TxOptions {
	if db.Engine == Cockroach {
		// A moment back: whatever was acknowledged before is in it, and a long
		// read at a fixed time never has to be restarted because of writes.
		return pgx.TxOptions{BeginQuery: "BEGIN AS OF SYSTEM TIME '-1us'"}
	}
	return pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
}

func (db *DB) snapshotTime() string {
	if db.Engine == Cockroach {
		// The transaction's own timestamp, in nanoseconds before the point.
		return "SELECT to_timestamp((cluster_logical_timestamp() / 1e9)::float8)"
	}
	return "SELECT transaction_timestamp()"
}
