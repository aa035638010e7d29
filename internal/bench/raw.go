package bench

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/platform/clock"
)

// raw writes what the ledger would, and nothing else: it knows the balances
// beforehand, so it reads none; it is alone, so it locks none; its ids are new,
// so it looks for none; and all is one round trip, an implicit transaction of
// READ COMMITTED on PostgreSQL. The next batch's rows are made ready while one
// is written. What it leaves is the time the engine takes for these rows by
// multi-row statements on one connection.
type raw struct {
	*scratch
	workload *workload
	ready    chan *rawBatch
	stop     context.CancelFunc
}

// The three statements of a batch. They are the ledger's own inserts and update
// (sql/queries/ledger/executor.sql) without what only failures, holds and
// reversals need.
const (
	rawTransfers = `
		INSERT INTO transfers (
		    transfer_id, kind, source_account_id, destination_account_id, amount, currency, status,
		    description, source_seq, destination_seq, request_hash, created_at, finished_at
		)
		SELECT u.transfer_id, 'TRANSFER', u.source, u.destination, u.amount, $8::text, 'COMPLETED',
		       $9::text, u.source_seq, u.destination_seq, u.request_hash, $10::timestamptz, $10::timestamptz
		FROM unnest($1::text[], $2::text[], $3::text[], $4::decimal[], $5::bigint[], $6::bigint[], $7::bytea[])
		     AS u (transfer_id, source, destination, amount, source_seq, destination_seq, request_hash)`
	rawPostings = `
		INSERT INTO postings (account_id, seq, transfer_id, amount, balance, currency, created_at)
		SELECT u.account_id, u.seq, u.transfer_id, u.amount, u.balance, $6::text, $7::timestamptz
		FROM unnest($1::text[], $2::bigint[], $3::text[], $4::decimal[], $5::decimal[])
		     AS u (account_id, seq, transfer_id, amount, balance)`
	rawAccounts = `
		UPDATE accounts AS a
		SET posted = u.posted, held = 0, shortfall = 0, last_seq = u.last_seq, version = u.version, updated_at = $5::timestamptz
		FROM (
		    SELECT unnest($1::text[]) AS account_id, unnest($2::decimal[]) AS posted,
		           unnest($3::bigint[]) AS last_seq, unnest($4::bigint[]) AS version
		) AS u
		WHERE a.account_id = u.account_id`
)

// rawBatch is the columns of one batch's rows.
type rawBatch struct {
	at        time.Time
	transfers struct {
		ids, sources, destinations []string
		amounts                    []decimal.Decimal
		sourceSeqs                 []int64
		destinationSeqs            []int64
		hashes                     [][]byte
	}
	postings struct {
		accounts, transfers []string
		seqs                []int64
		amounts, balances   []decimal.Decimal
	}
	accounts struct {
		ids      []string
		posted   []decimal.Decimal
		seqs     []int64
		versions []int64
	}
}

func newRaw(ctx context.Context, b *bench, p plan, w *workload) (load, error) {
	s, err := newScratch(ctx, b, w, 1)
	if err != nil {
		return nil, err
	}
	making, stop := context.WithCancel(context.Background())
	r := &raw{scratch: s, workload: w, ready: make(chan *rawBatch, 2), stop: stop}
	go r.makeReady(making, p.batch)
	return r, nil
}

// makeReady keeps the books in memory and writes down each batch's rows.
func (r *raw) makeReady(ctx context.Context, size int) {
	type balance struct {
		posted decimal.Decimal
		seq    int64
		batch  int // the last that touched it
	}
	random := newCaller().random
	balances := make([]balance, len(r.workload.accounts))
	for i := range balances {
		balances[i].posted = r.workload.opening(i)
	}
	for number := 1; ; number++ {
		b := &rawBatch{at: clock.System()}
		touched := make([]int, 0, 2*size)
		leg := func(account int, transferID string, amount decimal.Decimal) int64 {
			a := &balances[account]
			a.posted = a.posted.Add(amount)
			a.seq++
			if a.batch != number {
				a.batch = number
				touched = append(touched, account)
			}
			b.postings.accounts = append(b.postings.accounts, r.workload.accounts[account])
			b.postings.transfers = append(b.postings.transfers, transferID)
			b.postings.seqs = append(b.postings.seqs, a.seq)
			b.postings.amounts = append(b.postings.amounts, amount)
			b.postings.balances = append(b.postings.balances, a.posted)
			return a.seq
		}
		for range size {
			c := r.workload.next(random)
			b.transfers.ids = append(b.transfers.ids, c.id)
			b.transfers.sources = append(b.transfers.sources, r.workload.accounts[c.from])
			b.transfers.destinations = append(b.transfers.destinations, r.workload.accounts[c.to])
			b.transfers.amounts = append(b.transfers.amounts, c.amount)
			b.transfers.sourceSeqs = append(b.transfers.sourceSeqs, leg(c.from, c.id, c.amount.Neg()))
			b.transfers.destinationSeqs = append(b.transfers.destinationSeqs, leg(c.to, c.id, c.amount))
			b.transfers.hashes = append(b.transfers.hashes, randomHash(random))
		}
		for _, account := range touched {
			b.accounts.ids = append(b.accounts.ids, r.workload.accounts[account])
			b.accounts.posted = append(b.accounts.posted, balances[account].posted)
			b.accounts.seqs = append(b.accounts.seqs, balances[account].seq)
			b.accounts.versions = append(b.accounts.versions, 1+balances[account].seq)
		}
		select {
		case r.ready <- b:
		case <-ctx.Done():
			return
		}
	}
}

// randomHash is as long as the ledger's request hash.
func randomHash(random *rand.Rand) []byte {
	hash := make([]byte, 0, 16)
	for range 2 {
		for bits, i := random.Uint64(), 0; i < 8; i++ {
			hash = append(hash, byte(bits))
			bits >>= 8
		}
	}
	return hash
}

func (r *raw) submit(ctx context.Context, _ *caller) (done, refused int, err error) {
	b := <-r.ready
	var batch pgx.Batch
	batch.Queue(rawAccounts, b.accounts.ids, b.accounts.posted, b.accounts.seqs, b.accounts.versions, b.at)
	batch.Queue(rawTransfers, b.transfers.ids, b.transfers.sources, b.transfers.destinations, b.transfers.amounts,
		b.transfers.sourceSeqs, b.transfers.destinationSeqs, b.transfers.hashes,
		string(benchCurrency), benchDescription, b.at)
	batch.Queue(rawPostings, b.postings.accounts, b.postings.seqs, b.postings.transfers, b.postings.amounts,
		b.postings.balances, string(benchCurrency), b.at)
	if err := r.db.SendBatch(ctx, &batch).Close(); err != nil {
		return 0, 0, err
	}
	return len(b.transfers.ids), 0, nil
}

func (r *raw) conflicts() (int64, bool) { return 0, true }

func (r *raw) stored(ctx context.Context) (int64, error) { return r.scratch.stored(ctx, r.workload) }

func (r *raw) close() {
	r.stop()
	r.scratch.close()
}

// decimalOf is a whole number.
func decimalOf(n int) decimal.Decimal { return decimal.NewFromInt(int64(n)) }
