package bench

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// dropLimit bounds the removal of a scratch database.
const dropLimit = time.Minute

// scratch is a database of the run's own on the same server: the same migrations, then
// the accounts.
type scratch struct {
	owner *database.DB
	db    *database.DB
	name  string
}

// newScratch makes the database and opens the workload's accounts in it. Its
// connections plan as the ledger's do, so that no mode pays for planning alone.
func newScratch(ctx context.Context, b *bench, w *workload, maxConns int) (*scratch, error) {
	// 63 characters at most, as PostgreSQL has it.
	s := &scratch{owner: b.db, name: fmt.Sprintf("%.30s_%s", b.db.Config().ConnConfig.Database, id.New("bench"))}
	ready := false
	defer func() {
		if !ready {
			s.close()
		}
	}()
	if _, err := s.owner.Exec(ctx, "CREATE DATABASE "+database.QuoteIdentifier(s.name)); err != nil {
		return nil, fmt.Errorf("create the scratch database: %w", err)
	}
	// The migrations' own tables are looked up by scans.
	migrating, err := database.Open(ctx, b.DatabaseURL, database.Options{
		ApplicationName: "florin bench", Database: s.name, MaxConns: 2,
	})
	if err != nil {
		return nil, err
	}
	_, err = database.Migrate(ctx, migrating, slog.New(slog.DiscardHandler))
	migrating.Close()
	if err != nil {
		return nil, err
	}
	s.db, err = database.Open(ctx, b.DatabaseURL, database.Options{
		ApplicationName: "florin bench", Database: s.name, Plans: database.PlansPinned,
		MaxConns: int32(maxConns),
	})
	if err != nil {
		return nil, err
	}
	if err := s.openAccounts(ctx, w); err != nil {
		return nil, fmt.Errorf("open accounts: %w", err)
	}
	ready = true
	return s, nil
}

func (s *scratch) openAccounts(ctx context.Context, w *workload) error {
	const atOnce = 1000
	for first := 0; first < len(w.accounts); first += atOnce {
		ids := w.accounts[first:min(first+atOnce, len(w.accounts))]
		balances := make([]int64, len(ids))
		for i := range ids {
			balances[i] = w.opening(first + i).IntPart()
		}
		_, err := s.db.Exec(ctx, `
			INSERT INTO accounts (
			    account_id, account_type, currency, status, posted, held, overdraft_limit,
			    shortfall, last_seq, version, metadata, opening_hash, created_at, updated_at
			)
			SELECT u.account_id, 'CHECKING', $3::text, 'ACTIVE', u.balance::decimal, 0, 0,
			       0, 0, 1, '{}'::jsonb, ''::bytea, now(), now()
			FROM unnest($1::text[], $2::bigint[]) AS u (account_id, balance)`,
			ids, balances, string(benchCurrency))
		if err != nil {
			return err
		}
	}
	return nil
}

// stored counts the completed transfers, and sees that each has its two postings
// and that no money was made or lost.
func (s *scratch) stored(ctx context.Context, w *workload) (int64, error) {
	var transfers, postings int64
	var balanced bool
	expected := w.opening(0).Add(w.opening(1).Mul(decimalOf(len(w.accounts) - 1)))
	err := pgx.BeginTxFunc(ctx, s.db, pgx.TxOptions{}, func(tx pgx.Tx) error {
		// Whole tables are read here, which the connections are told to avoid.
		if s.db.Engine == database.Postgres {
			if _, err := tx.Exec(ctx, "SET LOCAL enable_seqscan = on"); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `
			SELECT (SELECT count(*) FROM transfers WHERE status = $1),
			       (SELECT count(*) FROM postings),
			       (SELECT sum(posted) FROM accounts) = $2::decimal`,
			string(ledger.Completed), expected,
		).Scan(&transfers, &postings, &balanced)
	})
	if err != nil {
		return 0, err
	}
	if postings != 2*transfers || !balanced {
		return 0, fmt.Errorf("%d transfers have %d postings; the balances sum up: %t", transfers, postings, balanced)
	}
	return transfers, nil
}

func (s *scratch) close() {
	if s.db != nil {
		s.db.Close()
	}
	// Also when the run was interrupted.
	ctx, cancel := context.WithTimeout(context.Background(), dropLimit)
	defer cancel()
	how := " WITH (FORCE)" // also when a session has not ended yet
	if s.owner.Engine == database.Cockroach {
		how = " CASCADE"
	}
	if _, err := s.owner.Exec(ctx, "DROP DATABASE IF EXISTS "+database.QuoteIdentifier(s.name)+how); err != nil {
		slog.Warn("the scratch database is left behind: drop it by hand", "database", s.name, "error", err)
	}
}
