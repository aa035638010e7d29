package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/ledger/internal/ledgerdb"
	"florin/internal/money"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

// ProofKind is what was proved.
type ProofKind string

// The kinds.
const (
	// ProofOfBalances says that the accounts of each currency sum to zero. Replicas
	// take turns at it.
	ProofOfBalances ProofKind = "BALANCES"
	// ProofInFull is what `florin verify` proves.
	ProofInFull ProofKind = "FULL"
)

const (
	// proofLooks is how often in an interval a replica looks whether it is its turn.
	proofLooks = 10
	// proofMax bounds the sums of all accounts; much more than a read of a request
	// may take.
	proofMax = 5 * time.Minute
	// proofKept is how long a proof of balances is kept. A full one is kept for good.
	proofKept = 30 * 24 * time.Hour
)

// CurrencySum is a currency's accounts and the sum of their balances, which is zero
// in books that balance.
type CurrencySum struct {
	Currency money.Currency  `json:"currency"`
	Accounts int64           `json:"accounts"`
	Sum      decimal.Decimal `json:"sum"`
}

// ProofRecord is a proof as operators see it.
type ProofRecord struct {
	Kind       ProofKind
	ReadAt     time.Time // the one time that all was read at
	RecordedAt time.Time
	RecordedBy string // the replica, or the command and its host
	// IsBalanced says of ProofOfBalances that all sums are zero, of ProofInFull that
	// every invariant of the books holds.
	IsBalanced bool
	// Offences may be more than those of the books: what else was proved in full.
	Offences int64
	Sums     []CurrencySum
}

// RecordProof keeps a proof for operators to see. A second call with the same kind,
// time and author changes nothing.
func RecordProof(ctx context.Context, db *database.DB, r ProofRecord) error {
	sums, err := json.Marshal(r.Sums)
	if err != nil {
		return fmt.Errorf("write the proof's sums: %w", err)
	}
	p := ledgerdb.InsertProofParams{
		Kind: string(r.Kind), ReadAt: r.ReadAt, RecordedAt: r.RecordedAt, RecordedBy: r.RecordedBy,
		IsBalanced: r.IsBalanced, Offences: r.Offences, Sums: sums,
	}
	if r.Kind == ProofOfBalances {
		until := r.RecordedAt.Add(proofKept)
		p.ExpiresAt = &until
	}
	if err := ledgerdb.New(db).InsertProof(ctx, p); err != nil {
		return fmt.Errorf("record the proof: %w", err)
	}
	return nil
}

// NewestProofs are the newest proof of each kind that there is one of, by the time
// that it read.
func (l *Ledger) NewestProofs(ctx context.Context) ([]ProofRecord, error) {
	var proofs []ProofRecord
	for _, kind := range []ProofKind{ProofOfBalances, ProofInFull} {
		row, err := l.queries.NewestProof(ctx, string(kind))
		if database.NotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the newest proof: %w", err)
		}
		r := ProofRecord{
			Kind: kind, ReadAt: row.ReadAt, RecordedAt: row.RecordedAt, RecordedBy: row.RecordedBy,
			IsBalanced: row.IsBalanced, Offences: row.Offences,
		}
		if err := json.Unmarshal(row.Sums, &r.Sums); err != nil {
			return nil, fmt.Errorf("read the sums of a proof: %w", err)
		}
		proofs = append(proofs, r)
	}
	return proofs, nil
}

// ProveBalances sums all accounts at one time, which costs a pass over them and none
// over postings, and records whether they balance. It holds up no writes; on
// CockroachDB it reads some seconds back, where no lock holds it up either.
func (l *Ledger) ProveBalances(ctx context.Context) (ProofRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, proofMax)
	defer cancel()
	moment := database.Newest
	if l.reads.Engine == database.Cockroach {
		moment = database.Follower
	}
	r := ProofRecord{Kind: ProofOfBalances, RecordedBy: l.replica, IsBalanced: true}
	err := l.reads.SnapshotAt(ctx, moment, func(tx pgx.Tx, at database.Timestamp) (err error) {
		// The pool's own is for reads that somebody waits for.
		if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", proofMax.Milliseconds())); err != nil {
			return fmt.Errorf("allow the sums their time: %w", err)
		}
		r.ReadAt = at.Time()
		r.Sums, err = sumAccounts(ctx, tx)
		return err
	})
	if err != nil {
		return ProofRecord{}, err
	}
	for _, sum := range r.Sums {
		if !sum.Sum.IsZero() {
			r.IsBalanced = false
			r.Offences++
			l.log.Error("the books do not balance: run florin verify", "currency", sum.Currency, "sum", sum.Sum, "read_at", r.ReadAt)
		}
	}
	r.RecordedAt = l.clock()
	return r, RecordProof(ctx, l.reads, r)
}

func sumAccounts(ctx context.Context, tx pgx.Tx) ([]CurrencySum, error) {
	rows, err := ledgerdb.New(tx).SumAccounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("sum the accounts: %w", err)
	}
	sums := make([]CurrencySum, len(rows))
	for i, row := range rows {
		sums[i] = CurrencySum{Currency: money.Currency(row.Currency), Accounts: row.Accounts, Sum: row.Total}
	}
	return sums, nil
}

// takeTurns proves the balances once an interval, by one replica of many, until ctx
// ends.
func (l *Ledger) takeTurns(ctx context.Context) {
	for clock.Sleep(ctx, l.proofInterval/proofLooks) {
		if _, err := l.takeTurn(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("the balances could not be proved; it is tried again", "error", err)
		}
	}
}

// takeTurn proves the balances and sweeps, if it is time and no other replica does.
// There is no leader: whoever changes the row has the turn, and one that dies with it
// is followed by another an interval later.
func (l *Ledger) takeTurn(ctx context.Context) (isTaken bool, err error) {
	now := l.clock()
	taken, err := l.queries.TakeProofTurn(ctx, ledgerdb.TakeProofTurnParams{
		Kind: string(ProofOfBalances), TakenBy: l.replica, Now: now, NextAt: now.Add(l.proofInterval),
	})
	if err != nil || taken == 0 {
		return false, err
	}
	if _, err := l.ProveBalances(ctx); err != nil {
		retry := ledgerdb.RetryProofTurnParams{Kind: string(ProofOfBalances), TakenBy: l.replica, NextAt: now.Add(l.proofInterval / proofLooks)}
		if again := l.queries.RetryProofTurn(ctx, retry); again != nil {
			err = fmt.Errorf("%w (and the turn could not be given back: %w)", err, again)
		}
		return true, err
	}
	return true, l.sweepActivity(ctx)
}
