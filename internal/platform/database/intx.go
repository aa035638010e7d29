package database

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"florin/internal/platform/clock"

	"github.com/jackc/pgx/v5"
)

const (
	triesMax        = 12
	backoffBase     = 2 * time.Millisecond
	backoffMax      = 400 * time.Millisecond
	unavailableBase = 50 * time.Millisecond
	// transactionMax bounds a call of InTx with all its tries, unless the
	// caller's context ends earlier.
	transactionMax = 20 * time.Second
)

// InTx runs fn in a SERIALIZABLE transaction and commits it. This is the only
// retry loop of the program: after a conflict, or a connection lost before the
// commit, the whole transaction is run again on either engine, with jittered
// backoff, a bounded number of times and for a bounded time. name labels the
// metrics, as in "payments.capture".
//
// fn can run more than once: it makes no call to the outside, starts no
// goroutine and keeps no state from an earlier run. It gives its statements the
// context that it is given, which ends when InTx's time is up. An error that fn
// returns is returned as it is, after a rollback. Otherwise the error is
// ErrConflict, ErrUnavailable (with ErrOutOfTime when InTx's time was up) or
// ErrCommitUnknown, wrapping the last cause.
func (db *DB) InTx(ctx context.Context, name string, fn func(ctx context.Context, tx pgx.Tx) error) error {
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, db.transactionMax)
	defer cancel()
	done := db.metrics.transaction(name)
	for try := 0; ; try++ {
		verdict, err := db.tryTx(ctx, fn)
		if err == nil {
			done("committed")
			return nil
		}
		reason := ""
		switch verdict {
		case final:
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil && caller.Err() == nil {
				done("exhausted") // our own deadline: the database hung
				return fmt.Errorf("%w: %w: %w", ErrUnavailable, ErrOutOfTime, err)
			}
			done("failed")
			return err
		case commitUnknown:
			done("unknown")
			return fmt.Errorf("%w: %w", ErrCommitUnknown, err)
		case conflict:
			reason, err = "conflict", fmt.Errorf("%w: %w", ErrConflict, err)
		case unavailable:
			reason, err = "unavailable", fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if try == triesMax-1 || !clock.Sleep(ctx, backoff(try, verdict)) {
			done("exhausted")
			return err
		}
		db.metrics.retries.WithLabelValues(name, reason).Inc()
	}
}

// tryTx is one run of the transaction.
func (db *DB) tryTx(ctx context.Context, fn func(context.Context, pgx.Tx) error) (class, error) {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
	if err != nil {
		return classify(err), err
	}
	// After a commit this does nothing; after an error or a panic it returns the
	// connection in a usable state, even when ctx has ended.
	defer func() {
		rollbackCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = tx.Rollback(rollbackCtx) // the connection is discarded when it fails
	}()
	if err := fn(ctx, tx); err != nil {
		return classify(err), err
	}
	// COMMIT would not be sent: nothing about it is unknown.
	if tx.Conn().IsClosed() {
		return unavailable, net.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return final, err
	}
	if err := tx.Commit(ctx); err != nil {
		if errors.Is(err, pgx.ErrTxCommitRollback) {
			return final, err // fn swallowed a failed statement's error
		}
		return classifyCommit(err), err
	}
	return final, nil
}

// backoff is "full jitter": uniform between nothing and an exponential bound,
// so that those who collided once don't collide again in step.
// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
func backoff(try int, verdict class) time.Duration {
	base := backoffBase
	if verdict == unavailable {
		base = unavailableBase
	}
	bound := min(base<<try, backoffMax)
	wait := rand.N(bound)
	if verdict == unavailable {
		wait += bound / 2 // a server that restarts is not helped by haste
	}
	return wait
}
