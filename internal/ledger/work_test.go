package ledger_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// payout is a Work of another module: it moves an amount once under an id of its own,
// and counts what it moved in a row that all payouts share.
type payout struct {
	id, counter, from, to string
	amount                decimal.Decimal
	// again are movements that stand or fall with the first.
	again []ledger.Movement
	// saveErr is what Save returns after it has queued its statements.
	saveErr error
	note    *audit.Event

	loads   int
	isKnown bool
	count   int64
	refusal error
}

func (p *payout) Size() int { return 1 }

func (p *payout) Accounts() []string {
	ids := []string{p.from, p.to}
	for _, m := range p.again {
		ids = append(ids, m.SourceAccountID, m.DestinationAccountID)
	}
	return ids
}

func (p *payout) Load(batch *pgx.Batch) {
	p.loads++
	p.isKnown, p.count, p.refusal = false, 0, nil
	batch.Queue("SELECT counted FROM payout_counters WHERE counter = $1 FOR UPDATE", p.counter).QueryRow(func(row pgx.Row) error {
		return row.Scan(&p.count)
	})
	batch.Queue("SELECT count(*) > 0 FROM payouts WHERE payout_id = $1", p.id).QueryRow(func(row pgx.Row) error {
		return row.Scan(&p.isKnown)
	})
}

func (p *payout) Decide(m *ledger.Mover) {
	if p.isKnown {
		return
	}
	first := ledger.Movement{
		ID: "house:" + p.id, SourceAccountID: p.from, DestinationAccountID: p.to, Amount: p.amount, Currency: "USD", Description: "a payout",
	}
	if p.refusal = m.Move(append([]ledger.Movement{first}, p.again...)...); p.refusal == nil && p.note != nil {
		m.Note(*p.note)
	}
}

func (p *payout) Save(batch *pgx.Batch) error {
	if isDone := p.isKnown || p.refusal != nil; isDone {
		return nil
	}
	batch.Queue("INSERT INTO payouts (payout_id, amount) VALUES ($1, $2)", p.id, p.amount)
	batch.Queue("UPDATE payout_counters SET counted = $2 WHERE counter = $1", p.counter, p.count+1)
	return p.saveErr
}

// newCounter makes the tables of payouts, once a database, and a row to count in.
func newCounter(t *testing.T, url string) (db *database.DB, counter string) {
	t.Helper()
	db, counter = dbtest.Open(t, url, database.Options{MaxConns: 4}), id.New("counter")
	for _, sql := range []string{
		"CREATE TABLE IF NOT EXISTS payouts (payout_id TEXT NOT NULL, amount DECIMAL(19, 4) NOT NULL, CONSTRAINT payouts_pkey PRIMARY KEY (payout_id), CONSTRAINT payouts_small CHECK (amount < 1000))",
		"CREATE TABLE IF NOT EXISTS payout_counters (counter TEXT NOT NULL, counted BIGINT NOT NULL, CONSTRAINT payout_counters_pkey PRIMARY KEY (counter))",
		"INSERT INTO payout_counters (counter, counted) VALUES ('" + counter + "', 0)",
	} {
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return db, counter
}

func wantCounted(t *testing.T, db *database.DB, counter string, want int64) {
	t.Helper()
	var counted int64
	if err := db.QueryRow(t.Context(), "SELECT counted FROM payout_counters WHERE counter = $1", counter).Scan(&counted); err != nil || counted != want {
		t.Errorf("%d were counted, want %d; %v", counted, want, err)
	}
}

func wantPayout(t *testing.T, db *database.DB, payoutID string, want bool) {
	t.Helper()
	var isThere bool
	if err := db.QueryRow(t.Context(), "SELECT count(*) > 0 FROM payouts WHERE payout_id = $1", payoutID).Scan(&isThere); err != nil || isThere != want {
		t.Errorf("payout %s is there: %t, want %t; %v", payoutID, isThere, want, err)
	}
}

// openProgram opens an account that works alone move money of.
func openProgram(t *testing.T, l *ledger.Ledger) string {
	t.Helper()
	account, err := l.OpenHouse(t.Context(), ledger.ProgramPrefix+id.New("c")[:20], ledger.Expense, "USD")
	if err != nil {
		t.Fatal(err)
	}
	return account.ID
}

func TestAWorkAndItsTransfersAreOne(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		db, counter := newCounter(t, url)
		l := start(t, url, ledger.Options{})
		program, to := openProgram(t, l), openWith(t, l, "0")
		do := func(change func(*payout)) (*payout, error) {
			p := &payout{id: id.New("pay"), counter: counter, from: program, to: to.ID, amount: usd("10")}
			change(p)
			return p, l.Do(audit.With(t.Context(), audit.Origin{ActorKind: "user", ActorID: "usr_ann"}), p)
		}
		p, err := do(func(p *payout) {
			p.note = &audit.Event{Action: "payout.made", TargetKind: "payout", TargetID: p.id, Result: audit.OK}
		})
		if err != nil || p.refusal != nil {
			t.Fatal(err, p.refusal)
		}
		wantPayout(t, db, p.id, true)
		wantBalance(t, l, to.ID, "10", "0")
		wantBalance(t, l, program, "-10", "0")
		transfer, err := l.TransferByID(t.Context(), "house:"+p.id)
		if err != nil || transfer.Status != ledger.Completed || transfer.Kind != ledger.KindTransfer || !transfer.Amount.Equal(usd("10")) || transfer.Description != "a payout" {
			t.Errorf("%+v, %v", transfer, err)
		}
		events, err := audit.New(db, nil).Search(t.Context(), audit.Filter{TargetID: p.id}, audit.Position{}, 10)
		if err != nil || len(events.Records) != 1 || events.Records[0].Origin.ActorID != "usr_ann" {
			t.Errorf("%+v, %v", events, err)
		}

		// Done again it finds that it was done.
		if err := l.Do(t.Context(), p); err != nil || !p.isKnown {
			t.Errorf("again: %v, %+v", err, p)
		}

		// What a rule refuses, or the work itself, or a constraint of its rows, leaves nothing.
		broken := errors.New("it can't be saved")
		for name, c := range map[string]struct {
			change func(*payout)
			code   ledger.Code
			err    func(error) bool
		}{
			"refused":                         {func(p *payout) { p.from, p.to = to.ID, program; p.amount = usd("10.01") }, ledger.InsufficientFunds, nil},
			"more decimals than the currency": {func(p *payout) { p.amount = usd("0.001") }, ledger.InvalidAmount, nil},
			"Save says no":                    {func(p *payout) { p.saveErr = broken }, "", func(err error) bool { return errors.Is(err, broken) }},
			"a constraint of its rows":        {func(p *payout) { p.amount = usd("1000") }, "", func(err error) bool { return err != nil }},
			"the second movement is refused": {func(p *payout) {
				p.again = []ledger.Movement{{ID: "house:" + p.id + ":2", SourceAccountID: to.ID, DestinationAccountID: program, Amount: usd("20.01"), Currency: "USD"}}
			}, ledger.InsufficientFunds, nil},
		} {
			p, err := do(c.change)
			if c.err != nil && !c.err(err) || c.err == nil && err != nil || codeOf(p.refusal) != c.code {
				t.Errorf("%s: %v, %v", name, err, p.refusal)
			}
			wantPayout(t, db, p.id, false)
			for _, transferID := range []string{"house:" + p.id, "house:" + p.id + ":2"} {
				if _, err := l.TransferByID(t.Context(), transferID); codeOf(err) != ledger.TransactionNotFound {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		wantCounted(t, db, counter, 1)
		wantBalance(t, l, to.ID, "10", "0")
		wantBalance(t, l, program, "-10", "0")

		// Two movements, the second of what the first has brought.
		if _, err := do(func(p *payout) {
			p.again = []ledger.Movement{{ID: "house:" + p.id + ":2", SourceAccountID: to.ID, DestinationAccountID: program, Amount: usd("20"), Currency: "USD"}}
		}); err != nil {
			t.Error(err)
		}
		wantBalance(t, l, to.ID, "0", "0")
		wantSoundBooks(t, url)
	})
}

func TestProgramAccountsAndIDsAreNoCallers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		program, own := openProgram(t, l), openWith(t, l, "10")
		for _, way := range [][2]string{{own.ID, program}, {program, own.ID}} {
			request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: way[0], DestinationAccountID: way[1], Amount: usd("1")}
			_, err := l.Transfer(t.Context(), request)
			wantFailure(t, err, ledger.AccountReserved)
			request.ID = id.New("t")
			results, err := l.TransferBatch(t.Context(), []ledger.TransferRequest{request}, true)
			if err != nil {
				t.Fatal(err)
			}
			wantFailure(t, results[0].Err, ledger.AccountReserved)
			_, err = l.PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: way[0], DestinationAccountID: way[1], Amount: usd("1")})
			wantFailure(t, err, ledger.AccountReserved)
			request.ID = id.New("t")
			accepted, err := l.Accept(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the accepted transfer is final", func() bool {
				accepted, err = l.TransferByID(t.Context(), accepted.ID)
				return err == nil && accepted.Status.IsFinal()
			})
			if accepted.Failure == nil || accepted.Failure.Code != ledger.AccountReserved {
				t.Errorf("%+v", accepted)
			}
		}
		for _, change := range []func() error{
			func() error { _, err := l.CloseAccount(t.Context(), program); return err },
			func() error {
				frozen := ledger.Frozen
				_, err := l.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: program, Status: &frozen})
				return err
			},
		} {
			wantFailure(t, change(), ledger.AccountReserved)
		}
		other := openWith(t, l, "10")
		_, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: "house:" + id.New("t"), SourceAccountID: own.ID, DestinationAccountID: other.ID, Amount: usd("1")})
		if !errors.As(err, new(*ledger.InvalidInput)) {
			t.Errorf("a caller's id like a work's: %v", err)
		}
		wantBalance(t, l, own.ID, "10", "0")
		wantBalance(t, l, program, "0", "0")
	})
}

// What a work made can't be undone by a caller either: its module would not know.
func TestAWorksTransferIsReversedByNobodyElse(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		_, counter := newCounter(t, url)
		l := start(t, url, ledger.Options{})
		program, to := openProgram(t, l), openWith(t, l, "0")
		p := &payout{id: id.New("pay"), counter: counter, from: program, to: to.ID, amount: usd("10")}
		if err := l.Do(t.Context(), p); err != nil || p.refusal != nil {
			t.Fatal(err, p.refusal)
		}
		_, err := l.Reverse(t.Context(), ledger.Reversal{TargetID: "house:" + p.id})
		wantFailure(t, err, ledger.AccountReserved)
		wantBalance(t, l, to.ID, "10", "0")
	})
}

// What a work moves out of an account is not spent by its owner.
func TestAWorkCountsTowardsNoLimit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		_, counter := newCounter(t, url)
		l := start(t, url, ledger.Options{})
		program, from, to := openProgram(t, l), openWith(t, l, "100"), openWith(t, l, "0")
		limit := decimal.NewNullDecimal(usd("5"))
		if _, err := l.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: from.ID, DailyLimit: &limit}); err != nil {
			t.Fatal(err)
		}
		pay := func(amount string) error {
			_, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd(amount)})
			return err
		}
		if err := pay("4"); err != nil {
			t.Fatal(err)
		}
		p := &payout{id: id.New("pay"), counter: counter, from: from.ID, to: program, amount: usd("30")}
		if err := l.Do(t.Context(), p); err != nil || p.refusal != nil {
			t.Fatal(err, p.refusal)
		}
		wantFailure(t, pay("1.01"), ledger.DailyLimitExceeded)
		if err := pay("1"); err != nil {
			t.Error(err)
		}
		wantBalance(t, l, from.ID, "65", "0")
		wantSoundBooks(t, url)
	})
}

func TestManyWorksOnOneAccountAndOneRowAddUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		db, counter := newCounter(t, url)
		const n = 32
		for _, ledgers := range [][]*ledger.Ledger{replicas(t, url, 1, ledger.Options{}), replicas(t, url, 1, ledger.Options{Workers: 3}), replicas(t, url, 2, ledger.Options{})} {
			program, to := openProgram(t, ledgers[0]), openWith(t, ledgers[0], "0")
			other := openWith(t, ledgers[0], "100")
			var before int64
			if err := db.QueryRow(t.Context(), "SELECT counted FROM payout_counters WHERE counter = $1", counter).Scan(&before); err != nil {
				t.Fatal(err)
			}
			var transferred atomic.Int64
			together(2*n, func(i int) {
				l := ledgers[i%len(ledgers)]
				if i%2 == 0 { // callers' transfers share the transactions
					_, err := persistently(func() (ledger.Transfer, error) {
						return l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: other.ID, DestinationAccountID: to.ID, Amount: usd("1")})
					})
					if err == nil {
						transferred.Add(1)
					}
					return
				}
				l = ledgers[i/2%len(ledgers)]
				p := &payout{id: id.New("pay"), counter: counter, from: program, to: to.ID, amount: usd("0.25")}
				if _, err := persistently(func() (struct{}, error) { return struct{}{}, l.Do(t.Context(), p) }); err != nil || p.refusal != nil {
					t.Error(err, p.refusal)
				}
			})
			wantCounted(t, db, counter, before+n)
			wantBalance(t, ledgers[0], program, "-8", "0")
			wantBalance(t, ledgers[0], to.ID, decimal.NewFromInt(8+transferred.Load()).String(), "0")
			if transferred.Load() != n {
				t.Errorf("%d transfers were made, want %d", transferred.Load(), n)
			}
		}
		wantSoundBooks(t, url)
	})
}

// Two replicas do the same at once: the one whose row comes second meets the unique
// constraint, and sees the first one's.
func TestTheSameWorkOfTwoReplicasIsDoneOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		db, counter := newCounter(t, url)
		both := replicas(t, url, 2, ledger.Options{})
		const rounds = 8
		for range rounds {
			payoutID := id.New("pay")
			// Each with an account of its own, so that no lock but the counter's is shared.
			to := openWith(t, both[0], "0")
			payouts := make([]*payout, 2)
			for i := range payouts {
				payouts[i] = &payout{id: payoutID, counter: counter, from: openProgram(t, both[i]), to: to.ID, amount: usd("3")}
			}
			together(2, func(i int) {
				if _, err := persistently(func() (struct{}, error) { return struct{}{}, both[i].Do(t.Context(), payouts[i]) }); err != nil || payouts[i].refusal != nil {
					t.Error(err, payouts[i].refusal)
				}
			})
			wantBalance(t, both[0], to.ID, "3", "0")
		}
		wantCounted(t, db, counter, rounds)
	})
}

func TestAWorkWhoseCommitWasLostIsDoneOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		db, counter := newCounter(t, url)
		done := int64(0)
		for name, mode := range map[string]dbtest.Break{"the answer was lost": dbtest.CommitApplied, "the commit was lost": dbtest.CommitLost, "the answer was that time was up": dbtest.CommitAppliedYetTimedOut} {
			proxy := dbtest.NewProxy(t, url)
			l := startBehind(t, url, proxy, ledger.Options{})
			program, to := openProgram(t, l), openWith(t, l, "0")
			p := &payout{id: id.New("pay"), counter: counter, from: program, to: to.ID, amount: usd("3")}
			proxy.BreakCommits(2, mode)
			if err := l.Do(t.Context(), p); err != nil || p.refusal != nil || p.loads != 3 {
				t.Fatalf("%s: %v, %v after %d runs", name, err, p.refusal, p.loads)
			}
			done++
			wantBalance(t, l, to.ID, "3", "0")
			wantCounted(t, db, counter, done)

			// One that stays unknown is told so, and is done when it is asked for again.
			p = &payout{id: id.New("pay"), counter: counter, from: program, to: to.ID, amount: usd("3")}
			proxy.BreakCommits(5, mode)
			if err := l.Do(t.Context(), p); !errors.Is(err, database.ErrCommitUnknown) {
				t.Fatalf("%s five times: %v", name, err)
			}
			if err := l.Do(t.Context(), p); err != nil || p.refusal != nil {
				t.Fatal(err, p.refusal)
			}
			done++
			wantBalance(t, l, to.ID, "6", "0")
			wantCounted(t, db, counter, done)
		}
		wantSoundBooks(t, url)
	})
}

// glance is a Work that looks at what an account can pay.
type glance struct {
	accounts  []string
	available map[string]decimal.NullDecimal
	errs      map[string]error
}

func (g *glance) Size() int             { return 1 }
func (g *glance) Accounts() []string    { return g.accounts }
func (g *glance) Load(*pgx.Batch)       {}
func (g *glance) Save(*pgx.Batch) error { return nil }
func (g *glance) Decide(m *ledger.Mover) {
	g.available, g.errs = map[string]decimal.NullDecimal{}, map[string]error{}
	for _, accountID := range append(g.accounts, "not-named") {
		g.available[accountID], g.errs[accountID] = m.Available(accountID)
	}
}

func TestAWorkSeesWhatAccountsCanPay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		limit := decimal.NewNullDecimal(usd("5"))
		withLimit, err := l.OpenAccount(t.Context(), ledger.OpenAccount{Balance: usd("10"), OverdraftLimit: limit, Currency: money.Currency("USD")})
		if err != nil {
			t.Fatal(err)
		}
		frozen, program := openWith(t, l, "10"), openProgram(t, l)
		status := ledger.Frozen
		if _, err := l.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: frozen.ID, Status: &status}); err != nil {
			t.Fatal(err)
		}
		g := &glance{accounts: []string{withLimit.ID, frozen.ID, program, "no-such-account"}}
		if err := l.Do(t.Context(), g); err != nil {
			t.Fatal(err)
		}
		if got := g.available[withLimit.ID]; g.errs[withLimit.ID] != nil || !got.Valid || !got.Decimal.Equal(usd("15")) {
			t.Errorf("%v, %v", got, g.errs[withLimit.ID])
		}
		if got := g.available[program]; g.errs[program] != nil || got.Valid {
			t.Errorf("%v, %v", got, g.errs[program])
		}
		wantFailure(t, g.errs[frozen.ID], ledger.AccountFrozen)
		wantFailure(t, g.errs["no-such-account"], ledger.AccountNotFound)
		wantFailure(t, g.errs["not-named"], ledger.AccountNotFound)
	})
}
