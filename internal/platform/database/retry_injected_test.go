package database_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
)

// CockroachDB's own means to try a client's retry loop: session variables that
// make the first statement, or the COMMIT, of a transaction fail with 40001.
var injections = []string{"inject_retry_errors_enabled", "inject_retry_errors_on_commit_enabled"}

// eachInjection opens a pool, of which each connection injects, for each kind.
func eachInjection(t *testing.T, test func(t *testing.T, direct, injecting *database.DB, variable string, registry *prometheus.Registry)) {
	dbtest.Each(t, func(t *testing.T, url string) {
		direct := dbtest.Open(t, url, database.Options{MaxConns: 1})
		if direct.Engine != database.Cockroach {
			t.Skip("only CockroachDB injects errors")
		}
		for _, variable := range injections {
			registry := prometheus.NewRegistry()
			injecting := dbtest.Open(t, dbtest.With(t, url, variable, "true"), database.Options{MaxConns: 2, Metrics: database.NewMetrics(registry)})
			test(t, direct, injecting, variable, registry)
		}
	})
}

// The engine gives in after three errors of one transaction, but counts them from
// 0 again at each BEGIN: only a retry by savepoint gets through by itself. Who runs
// the whole transaction again meets an error every time.
func TestInTxEndsWhenEveryRunIsRefused(t *testing.T) {
	t.Parallel()
	eachInjection(t, func(t *testing.T, direct, injecting *database.DB, variable string, registry *prometheus.Registry) {
		name := table(t, direct)
		runs := 0
		err := injecting.InTx(t.Context(), "refused", func(ctx context.Context, tx pgx.Tx) error {
			runs++
			_, err := tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1)")
			return err
		})
		if !errors.Is(err, database.ErrConflict) || runs != 12 || count(t, direct, name) != 0 {
			t.Fatalf("%s: %v after %d runs, %d rows; want ErrConflict after 12 and none", variable, err, runs, count(t, direct, name))
		}
		if n := retries(t, registry, "refused", "conflict"); n != 11 {
			t.Fatalf("%s: %v retries were counted; want 11", variable, n)
		}
	})
}

func TestInTxGetsThroughOnceTheRefusalsEnd(t *testing.T) {
	t.Parallel()
	eachInjection(t, func(t *testing.T, direct, injecting *database.DB, variable string, registry *prometheus.Registry) {
		name := table(t, direct)
		runs := 0
		err := injecting.InTx(t.Context(), "injected", func(ctx context.Context, tx pgx.Tx) error {
			if runs++; runs == 6 {
				if _, err := tx.Exec(ctx, "SET LOCAL "+variable+" = false"); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1)")
			return err
		})
		if err != nil || runs != 6 || count(t, direct, name) != 1 || retries(t, registry, "injected", "conflict") != 5 {
			t.Fatalf("%s: %v after %d runs, %d rows, %v retries counted", variable, err, runs, count(t, direct, name), retries(t, registry, "injected", "conflict"))
		}
	})
}

func TestAClosureThatSwallowsAConflictCommitsNothing(t *testing.T) {
	t.Parallel()
	eachInjection(t, func(t *testing.T, direct, injecting *database.DB, _ string, _ *prometheus.Registry) {
		name := table(t, direct)
		err := injecting.InTx(t.Context(), "swallowed", func(ctx context.Context, tx pgx.Tx) error {
			_, _ = tx.Exec(ctx, "INSERT INTO "+name+" VALUES ('x', 1)")
			return nil
		})
		if err == nil || errors.Is(err, database.ErrCommitUnknown) || count(t, direct, name) != 0 {
			t.Fatalf("%v, %d rows", err, count(t, direct, name))
		}
	})
}
