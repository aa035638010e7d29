package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	// ErrSnapshotGone says that the database cannot read that far back: the
	// versions of that time are collected as garbage (gc.ttlseconds), or it is
	// before the tables had the shape that is asked for.
	ErrSnapshotGone = errors.New("the snapshot's time can no longer be read")
	// ErrSnapshotInFuture says that a snapshot's time has not come yet.
	ErrSnapshotInFuture = errors.New("the snapshot's time is in the future")
	// ErrNoPast says that the engine, PostgreSQL, reads the newest only.
	ErrNoPast = errors.New("PostgreSQL cannot read the past")
)

// SQLSTATE codes of a snapshot whose time cannot be read.
const (
	codeInvalidParameter  = "22023" // CockroachDB: "timestamp is in the future"
	codeUndefinedDatabase = "3D000"
	codeUndefinedTable    = "42P01"
	codeUndefinedColumn   = "42703"
	codeUncategorized     = "XXUUU" // CockroachDB: an error without a code
)

// Moment says which time a snapshot shows: Newest, which is the zero value,
// Follower, or At a Timestamp.
type Moment struct {
	asOf string // as an expression of CockroachDB; "" is Newest
}

var (
	// Newest shows whatever was acknowledged before; on a CockroachDB of several
	// nodes, by the clock of the node that is asked.
	Newest = Moment{}
	// Follower shows some seconds ago, which the nearest replica of the data
	// knows by itself; locks taken since cannot hold it up.
	// CockroachDB only.
	Follower = Moment{"follower_read_timestamp()"}
)

// At shows exactly the time of an earlier snapshot, or any other that the
// database still keeps. CockroachDB only.
func At(t Timestamp) Moment { return Moment{"'" + t.String() + "'"} }

// Snapshot is SnapshotAt the Newest time, with that time in microseconds or
// better.
func (db *DB) Snapshot(ctx context.Context, fn func(tx pgx.Tx, at time.Time) error) error {
	return db.SnapshotAt(ctx, Newest, func(tx pgx.Tx, at Timestamp) error { return fn(tx, at.Time()) })
}

// SnapshotAt runs fn in a read-only transaction that sees the database as it was
// at one moment, and tells which. It never holds up writes. On CockroachDB it
// reads AS OF SYSTEM TIME, exactly at the time told: a later SnapshotAt that time
// sees the same. It waits for nobody but a transaction that has locked what is read
// since before that time. On PostgreSQL it is one REPEATABLE READ snapshot, which
// waits for nobody; the time told is of just before, so that whatever was
// acknowledged by then is in it.
//
// Returns ErrSnapshotGone, ErrSnapshotInFuture and, on PostgreSQL for other
// moments than Newest, ErrNoPast; ErrUnavailable when the tables are younger than
// Follower. It is not retried and has no deadline of its own.
func (db *DB) SnapshotAt(ctx context.Context, moment Moment, fn func(tx pgx.Tx, at Timestamp) error) error {
	if db.Engine != Cockroach && moment != Newest {
		return ErrNoPast
	}
	tx, err := db.BeginTx(ctx, db.snapshotOptions(moment))
	if err != nil {
		if e := sqlError(err); e != nil && e.Code == codeInvalidParameter { // a Timestamp has no other fault
			return fmt.Errorf("%w: %w", ErrSnapshotInFuture, err)
		}
		return fmt.Errorf("begin snapshot: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing to keep
	at, err := db.timeOf(ctx, tx)
	if err == nil {
		err = fn(tx, at)
	}
	switch {
	case moment == Newest || !isOutOfReach(err):
		return err
	case moment == Follower:
		return fmt.Errorf("%w: the tables are younger than the snapshot: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", ErrSnapshotGone, err)
}

func (db *DB) snapshotOptions(moment Moment) pgx.TxOptions {
	if db.Engine == Cockroach {
		// The newest is a moment back: a long read at a fixed time never has to be
		// restarted because of writes.
		return pgx.TxOptions{BeginQuery: "BEGIN AS OF SYSTEM TIME " + cmp.Or(moment.asOf, "'-1us'")}
	}
	return pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
}

// timeOf reads the time that a snapshot's transaction shows, never through a
// float: a Timestamp has 29 digits.
func (db *DB) timeOf(ctx context.Context, tx pgx.Tx) (Timestamp, error) {
	if db.Engine == Cockroach {
		var text string
		if err := tx.QueryRow(ctx, "SELECT cluster_logical_timestamp()::text").Scan(&text); err != nil {
			return Timestamp{}, fmt.Errorf("read the snapshot's time: %w", err)
		}
		return ParseTimestamp(text)
	}
	var at time.Time
	if err := tx.QueryRow(ctx, "SELECT transaction_timestamp()").Scan(&at); err != nil {
		return Timestamp{}, fmt.Errorf("read the snapshot's time: %w", err)
	}
	return TimestampOf(at), nil
}

// isOutOfReach says whether an error of a read in the past is about its time:
// there was no such database, table or column yet, or no version of that time is
// kept. For the last CockroachDB has no code and no name but its message
// (kvpb.BatchTimestampBeforeGCError).
func isOutOfReach(err error) bool {
	e := sqlError(err)
	if e == nil {
		return false
	}
	switch e.Code {
	case codeUndefinedDatabase, codeUndefinedTable, codeUndefinedColumn:
		return true
	}
	return e.Code == codeUncategorized && strings.Contains(e.Message, "must be after replica GC threshold")
}
