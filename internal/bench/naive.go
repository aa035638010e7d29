package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/shopspring/decimal"

	"florin/internal/platform/clock"
)

// naive is the transfer as most would write it, done with care: one SERIALIZABLE
// transaction, both accounts locked in the order of their ids so that nobody
// deadlocks, prepared statements, and all of it run again at once after a
// conflict. Five statements one after the other, with BEGIN and COMMIT seven
// round trips.
type naive struct {
	*scratch
	workload *workload
	retries  atomic.Int64
}

const (
	naiveLock = `
		SELECT account_id, posted, last_seq, version, posted - held + overdraft_limit AS available
		FROM accounts
		WHERE account_id IN ($1, $2)
		ORDER BY account_id
		FOR UPDATE`
	naiveTransfer = `
		INSERT INTO transfers (
		    transfer_id, kind, source_account_id, destination_account_id, amount, currency, status,
		    description, source_seq, destination_seq, request_hash, created_at, finished_at
		)
		VALUES ($1, 'TRANSFER', $2, $3, $4, $5, 'COMPLETED', $6, $7, $8, $9, $10, $10)`
	naivePostings = `
		INSERT INTO postings (account_id, seq, transfer_id, amount, balance, currency, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7), ($8, $9, $3, $10, $11, $6, $7)`
	naiveAccount = `
		UPDATE accounts
		SET posted = $2, last_seq = $3, version = $4, updated_at = $5
		WHERE account_id = $1`
)

func newNaive(ctx context.Context, b *bench, p plan, w *workload) (load, error) {
	s, err := newScratch(ctx, b, w, p.concurrency)
	if err != nil {
		return nil, err
	}
	return &naive{scratch: s, workload: w}, nil
}

func (n *naive) submit(ctx context.Context, c *caller) (done, refused int, err error) {
	choice := n.workload.next(c.random)
	hash := randomHash(c.random)
	serializable := pgx.TxOptions{IsoLevel: pgx.Serializable}
	for {
		err = pgx.BeginTxFunc(ctx, n.db, serializable, func(tx pgx.Tx) error { return n.transfer(ctx, tx, choice, hash) })
		if !isConflict(err) {
			break
		}
		n.retries.Add(1)
	}
	if errors.Is(err, errNoFunds) {
		return 0, 1, nil
	}
	if err != nil {
		return 0, 0, err
	}
	return 1, 0, nil
}

// isConflict knows serialization failures and deadlocks.
func isConflict(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (refused.Code == "40001" || refused.Code == "40P01")
}

var errNoFunds = errors.New("not enough funds")

type naiveRow struct {
	ID        string
	Posted    decimal.Decimal
	Seq       int64
	Version   int64
	Available decimal.Decimal
}

func (n *naive) transfer(ctx context.Context, tx pgx.Tx, c choice, hash []byte) error {
	from, to := n.workload.accounts[c.from], n.workload.accounts[c.to]
	rows, err := tx.Query(ctx, naiveLock, from, to)
	if err != nil {
		return err
	}
	accounts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[naiveRow])
	if err != nil {
		return err
	}
	if len(accounts) != 2 {
		return fmt.Errorf("%d accounts found of %s and %s", len(accounts), from, to)
	}
	source, destination := accounts[0], accounts[1]
	if source.ID != from {
		source, destination = destination, source
	}
	if source.Available.LessThan(c.amount) {
		return errNoFunds
	}
	now := clock.System()
	source.Posted, destination.Posted = source.Posted.Sub(c.amount), destination.Posted.Add(c.amount)
	source.Seq, destination.Seq = source.Seq+1, destination.Seq+1
	_, err = tx.Exec(ctx, naiveTransfer, c.id, from, to, c.amount, string(benchCurrency), benchDescription,
		source.Seq, destination.Seq, hash, now)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, naivePostings, from, source.Seq, c.id, c.amount.Neg(), source.Posted, string(benchCurrency), now,
		to, destination.Seq, c.amount, destination.Posted)
	if err != nil {
		return err
	}
	for _, a := range []naiveRow{source, destination} {
		if _, err := tx.Exec(ctx, naiveAccount, a.ID, a.Posted, a.Seq, a.Version+1, now); err != nil {
			return err
		}
	}
	return nil
}

func (n *naive) conflicts() (int64, bool) { return n.retries.Load(), true }

func (n *naive) stored(ctx context.Context) (int64, error) { return n.scratch.stored(ctx, n.workload) }
