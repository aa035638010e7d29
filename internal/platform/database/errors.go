package database

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// ErrConflict says that other transactions came in the way until the tries
	// were used up. Nothing was applied; the same call may succeed later.
	ErrConflict = errors.New("too many conflicting transactions")
	// ErrUnavailable says that the database could not be reached until the
	// tries were used up. Nothing was applied.
	ErrUnavailable = errors.New("the database is unavailable")
	// ErrOutOfTime says that a transaction did not end in the time that it was given:
	// the database hung, or it was asked for too much. From InTx it comes with
	// ErrUnavailable.
	ErrOutOfTime = errors.New("the transaction took too long")
	// ErrCommitUnknown says that the connection was lost while the commit was
	// under way: all of the transaction was applied or nothing. The caller must
	// read again by its idempotent key; InTx never guesses.
	ErrCommitUnknown = errors.New("the outcome of the commit is unknown")
)

// SQLSTATE codes, from appendix A of PostgreSQL's manual; CockroachDB uses the
// same ones.
const (
	codeSerializationFailure = "40001"
	codeDeadlockDetected     = "40P01"
	codeCompletionUnknown    = "40003" // CockroachDB: "result is ambiguous"
	codeUniqueViolation      = "23505"
	codeIdleInTransaction    = "25P03" // the server ended the connection
	codeQueryCanceled        = "57014" // statement_timeout
	codeTooManyConnections   = "53300"
	classConnection          = "08"
	classConstraintViolation = "23"
	classOperatorIntervened  = "57P" // shutdown, crash, starting up
	classNodeTrouble         = "58C" // CockroachDB: a range or a node can't be reached
)

// tooFarAhead is what CockroachDB says of a request that is dated further ahead than a
// lease goes, as may be for a moment while tables become GLOBAL, whose writes are dated
// ahead. The request was not carried out, and may be later. The error has no name but
// this message, and no code.
const tooFarAhead = "request timestamp too far in future"

// UniqueViolation returns the name of the unique constraint that err is about,
// or "".
func UniqueViolation(err error) string {
	if e := sqlError(err); e != nil && e.Code == codeUniqueViolation {
		return e.ConstraintName
	}
	return ""
}

// Unavailable says whether err, of InTx or of a single statement, means that the
// database could not be reached, as opposed to what was asked of it.
func Unavailable(err error) bool {
	return errors.Is(err, ErrUnavailable) || classify(err) == unavailable
}

// TimedOut says whether err means that a statement took too long, by the
// database's limit or by its context's deadline.
func TimedOut(err error) bool {
	e := sqlError(err)
	return e != nil && e.Code == codeQueryCanceled || errors.Is(err, context.DeadlineExceeded)
}

func sqlError(err error) *pgconn.PgError {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// class is what the retry loop makes of an error.
type class int

const (
	final class = iota
	conflict
	unavailable
	commitUnknown
)

// classify judges an error of a transaction whose COMMIT was not sent yet: a
// lost connection then means that nothing was applied.
func classify(err error) class {
	if again := (*retry)(nil); errors.As(err, &again) {
		return conflict
	}
	if e := sqlError(err); e != nil {
		switch {
		case e.Code == codeSerializationFailure, e.Code == codeDeadlockDetected:
			return conflict
		case e.Code == codeCompletionUnknown:
			return commitUnknown
		case e.Code == codeTooManyConnections, e.Code == codeIdleInTransaction,
			strings.HasPrefix(e.Code, classConnection),
			strings.HasPrefix(e.Code, classOperatorIntervened),
			strings.HasPrefix(e.Code, classNodeTrouble),
			e.Code == codeUncategorized && strings.Contains(e.Message, tooFarAhead):
			return unavailable
		}
		return final
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || pgconn.SafeToRetry(err) || isConnectionLoss(err) {
		return unavailable
	}
	return final
}

// classifyCommit judges an error of COMMIT itself: only the server's word that the
// transaction lost a conflict or broke a constraint says that it did not happen.
// No other word does. Those of a server that goes down or lost its way (08007,
// 57P02) may come after the commit was made, and so may "the statement took too
// long" (57014), which CockroachDB puts in the place of whatever COMMIT would have
// answered. Nor is pgconn.SafeToRetry any proof: when the connection breaks while
// COMMIT's answer is awaited, pgx 5.12 calls that "conn closed" and safe.
func classifyCommit(err error) class {
	if e := sqlError(err); e != nil {
		if classify(err) == conflict {
			return conflict
		}
		if strings.HasPrefix(e.Code, classConstraintViolation) {
			return final
		}
	}
	return commitUnknown
}

func isConnectionLoss(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	return isNetworkError(err)
}

// retry marks an error after which the transaction should be run again.
type retry struct{ cause error }

func (r *retry) Error() string { return r.cause.Error() }
func (r *retry) Unwrap() error { return r.cause }

// Retry is returned from a transaction's closure to have it run again from the
// start, as after a serialization failure: for what only the closure can
// recognise as a lost race.
func Retry(cause error) error { return &retry{cause} }
