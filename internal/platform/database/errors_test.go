package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestErrorsAreJudgedBeforeAndAtTheCommit(t *testing.T) {
	t.Parallel()
	sql := func(code string) error {
		return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code, Message: "x"})
	}
	for name, c := range map[string]struct {
		err            error
		before, commit class
	}{
		"serialization failure":       {sql("40001"), conflict, conflict},
		"deadlock":                    {sql("40P01"), conflict, conflict},
		"retry":                       {Retry(sql("23505")), conflict, conflict},
		"CockroachDB's ambiguity":     {sql("40003"), commitUnknown, commitUnknown},
		"unique violation":            {sql("23505"), final, final},
		"check violation":             {sql("23514"), final, final},
		"resolution unknown":          {sql("08007"), unavailable, commitUnknown},
		"connection failure":          {sql("08006"), unavailable, commitUnknown},
		"shut down by an admin":       {sql("57P01"), unavailable, commitUnknown},
		"another process crashed":     {sql("57P02"), unavailable, commitUnknown},
		"too many connections":        {sql("53300"), unavailable, commitUnknown},
		"statement timeout":           {sql("57014"), final, commitUnknown},
		"transaction timeout":         {sql("25P04"), final, commitUnknown},
		"idle in a transaction":       {sql("25P03"), unavailable, commitUnknown},
		"a range is unavailable":      {sql("58C00"), unavailable, commitUnknown},
		"a node is unreachable":       {sql("58C01"), unavailable, commitUnknown},
		"internal error":              {sql("XX000"), final, commitUnknown},
		"an error without a code":     {sql("XXUUU"), final, commitUnknown},
		"a table becomes GLOBAL":      {fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: "XXUUU", Message: "request timestamp too far in future (1769.1s vs. 1768.2s)"}), unavailable, commitUnknown},
		"another error that says so":  {fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: "22023", Message: "request timestamp too far in future"}), final, commitUnknown},
		"end of file":                 {fmt.Errorf("wrapped: %w", io.ErrUnexpectedEOF), unavailable, commitUnknown},
		"closed":                      {net.ErrClosed, unavailable, commitUnknown},
		"the network is gone":         {&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ENETDOWN)}, unavailable, commitUnknown},
		"reset by the peer":           {os.NewSyscallError("read", syscall.ECONNRESET), unavailable, commitUnknown},
		"a file's disk is full":       {&os.PathError{Op: "write", Path: "part", Err: syscall.ENOSPC}, final, commitUnknown},
		"a file's disk is broken":     {&os.PathError{Op: "sync", Path: "part", Err: syscall.EIO}, final, commitUnknown},
		"the caller gave up":          {context.Canceled, final, commitUnknown},
		"the caller's time is up":     {context.DeadlineExceeded, final, commitUnknown},
		"anything else":               {errors.New("x"), final, commitUnknown},
		"anything else, made a retry": {Retry(errors.New("x")), conflict, commitUnknown},
	} {
		if got := classify(c.err); got != c.before {
			t.Errorf("%s before the commit: %d; want %d", name, got, c.before)
		}
		if got := classifyCommit(c.err); got != c.commit {
			t.Errorf("%s at the commit: %d; want %d", name, got, c.commit)
		}
	}
}

// hang is a transaction that takes longer than InTx allows.
func hang(ctx context.Context, db *DB) error {
	return db.InTx(ctx, "hang", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SELECT pg_sleep(30)")
		return err
	})
}

// HangingDatabase is called by the tests of package database_test, which have one.
func HangingDatabase(t *testing.T, db *DB) {
	t.Helper()
	db.transactionMax = 200 * time.Millisecond
	if err := hang(t.Context(), db); !errors.Is(err, ErrUnavailable) || !errors.Is(err, ErrOutOfTime) {
		t.Errorf("a database that hangs: got %v; want ErrUnavailable and ErrOutOfTime", err)
	}
	caller, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := hang(caller, db); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnavailable) {
		t.Errorf("a caller whose time is up: got %v; want its own error", err)
	}
}
