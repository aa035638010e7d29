package ledger_test

import (
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// The books behave as if every transfer and every look at a balance happened at
// one moment between its call and its answer, whichever replica was asked.
// Porcupine looks for such moments in what clients saw.

const worldSize = 3

// world is the balances of the few accounts of a round, in whole units.
type world [worldSize]int64

const opening = 10 // of each account

// move is a transfer's input. Its output is an outcome.
type move struct {
	from, to int
	amount   int64
}

// look is a read's input. Its output is the balance.
type look struct{ account int }

type outcome string

const (
	done    outcome = "done"
	refused outcome = "refused" // insufficient funds
	// unknown was or will be executed, or not: its answer never came.
	unknown outcome = "unknown"
)

// never is when an unknown move ends: it may happen after all else, where nobody
// sees it, which is as good as not at all.
const never = math.MaxInt64

var bank = porcupine.Model{
	Init: func() any { return world{opening, opening, opening} },
	Step: func(state, input, output any) (bool, any) {
		now := state.(world)
		if asked, isLook := input.(look); isLook {
			return output.(int64) == now[asked.account], now
		}
		asked, got := input.(move), output.(outcome)
		if now[asked.from] < asked.amount {
			return got != done, now
		}
		next := now
		next[asked.from] -= asked.amount
		next[asked.to] += asked.amount
		return got != refused, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %v", input, output) },
}

func TestTheModelRefusesHistoriesThatCantBe(t *testing.T) {
	t.Parallel()
	op := func(call, end int64, input, output any) porcupine.Operation {
		return porcupine.Operation{Input: input, Call: call, Output: output, Return: end}
	}
	pay := move{from: 0, to: 1, amount: 6}
	for name, c := range map[string]struct {
		history []porcupine.Operation
		isRight bool
	}{
		"a look during a move sees before":    {[]porcupine.Operation{op(0, 9, pay, done), op(1, 2, look{0}, int64(10))}, true},
		"a look during a move sees after":     {[]porcupine.Operation{op(0, 9, pay, done), op(1, 2, look{0}, int64(4))}, true},
		"moves at once, one refused":          {[]porcupine.Operation{op(0, 9, pay, refused), op(1, 8, pay, done)}, true},
		"an unknown move never happened":      {[]porcupine.Operation{op(0, never, pay, unknown), op(5, 6, look{1}, int64(10))}, true},
		"an unknown move happened late":       {[]porcupine.Operation{op(0, never, pay, unknown), op(5, 6, look{1}, int64(10)), op(7, 8, look{1}, int64(16))}, true},
		"an unknown move had no funds":        {[]porcupine.Operation{op(0, never, move{0, 1, 11}, unknown), op(5, 6, look{1}, int64(10))}, true},
		"a stale read":                        {[]porcupine.Operation{op(0, 1, pay, done), op(2, 3, look{0}, int64(10))}, false},
		"a lost update":                       {[]porcupine.Operation{op(0, 9, move{0, 1, 2}, done), op(0, 9, move{0, 1, 3}, done), op(10, 11, look{1}, int64(13))}, false},
		"a move applied twice":                {[]porcupine.Operation{op(0, 1, move{0, 1, 2}, done), op(2, 3, look{1}, int64(14))}, false},
		"half a move":                         {[]porcupine.Operation{op(0, 9, pay, done), op(1, 2, look{0}, int64(4)), op(3, 4, look{1}, int64(10))}, false},
		"a refused move applied":              {[]porcupine.Operation{op(0, 1, move{0, 1, 11}, refused), op(2, 3, look{1}, int64(21))}, false},
		"refused with funds":                  {[]porcupine.Operation{op(0, 1, pay, refused)}, false},
		"done without funds":                  {[]porcupine.Operation{op(0, 1, pay, done), op(2, 3, pay, done)}, false},
		"both of two that exclude another":    {[]porcupine.Operation{op(0, 9, pay, done), op(1, 8, pay, done)}, false},
		"an unknown move that was taken back": {[]porcupine.Operation{op(0, never, pay, unknown), op(5, 6, look{1}, int64(16)), op(7, 8, look{1}, int64(10))}, false},
		"an unknown move applied twice":       {[]porcupine.Operation{op(0, never, move{0, 1, 2}, unknown), op(5, 6, look{1}, int64(14))}, false},
	} {
		if got := porcupine.CheckOperations(bank, c.history); got != c.isRight {
			t.Errorf("%s: linearizable %t; want %t", name, got, c.isRight)
		}
	}
}

// history records what clients saw.
type history struct {
	begin time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
	unknown    int
}

func (h *history) now() int64 { return int64(time.Since(h.begin)) }

func (h *history) add(client int, call int64, input, output any) {
	o := porcupine.Operation{ClientId: client, Input: input, Call: call, Output: output, Return: h.now()}
	h.mu.Lock()
	defer h.mu.Unlock()
	if output == unknown {
		o.Return = never
		h.unknown++
	}
	h.operations = append(h.operations, o)
}

func (h *history) check(t *testing.T) {
	t.Helper()
	const limit = time.Minute
	if result := porcupine.CheckOperationsTimeout(bank, h.operations, limit); result != porcupine.Ok {
		for _, o := range h.operations {
			t.Logf("client %d, %12d to %12d: %s", o.ClientId, o.Call, o.Return, bank.DescribeOperation(o.Input, o.Output))
		}
		t.Fatalf("linearizable: %s", result)
	}
	// The same history would not have passed with one balance another.
	forged := slices.Clone(h.operations)
	last := slices.IndexFunc(forged, func(o porcupine.Operation) bool { _, isLook := o.Input.(look); return isLook })
	forged[last].Output = forged[last].Output.(int64) + worldSize*opening + 1
	if porcupine.CheckOperationsTimeout(bank, forged, limit) != porcupine.Illegal {
		t.Fatal("a forged balance was not noticed")
	}
}

// round is clients that move money and look at it, at any replica, and then a
// look at every account by every replica.
type round struct {
	history
	t        *testing.T
	ledgers  []*ledger.Ledger
	accounts [worldSize]ledger.Account
}

func (r *round) any() *ledger.Ledger { return r.ledgers[rand.IntN(len(r.ledgers))] }

func (r *round) look(client int, l *ledger.Ledger, account int) {
	for range 100 {
		call := r.now()
		got, err := l.Account(r.t.Context(), r.accounts[account].ID)
		if err == nil {
			r.add(client, call, look{account}, got.Posted.IntPart())
			return
		}
		time.Sleep(5 * time.Millisecond) // a look that failed saw nothing
	}
	r.t.Error("an account could not be read")
}

// move asks again under its id when no answer came, or leaves it at that.
func (r *round) move(client int, asked move) {
	request := ledger.TransferRequest{
		ID: id.New("t"), SourceAccountID: r.accounts[asked.from].ID, DestinationAccountID: r.accounts[asked.to].ID,
		Amount: decimal.New(asked.amount, 0),
	}
	call := r.now()
	for {
		_, err := r.any().Transfer(r.t.Context(), request)
		switch code := codeOf(err); {
		case err == nil:
			r.add(client, call, asked, done)
			return
		case code == ledger.InsufficientFunds:
			r.add(client, call, asked, refused)
			return
		case !isPassing(err):
			r.t.Errorf("neither done nor refused: %v", err)
			return
		case rand.IntN(2) == 0:
			r.add(client, call, asked, unknown)
			return
		}
	}
}

// newRound opens the accounts through a ledger with which nothing is wrong.
func newRound(t *testing.T, healthy *ledger.Ledger, ledgers []*ledger.Ledger) *round {
	t.Helper()
	r := &round{t: t, ledgers: ledgers, history: history{begin: time.Now()}}
	for i := range r.accounts {
		r.accounts[i] = openWith(t, healthy, fmt.Sprint(opening))
	}
	return r
}

func (r *round) run(clients, operations int) {
	together(clients, func(client int) {
		for range operations {
			account := rand.IntN(worldSize)
			if rand.IntN(3) == 0 {
				r.look(client, r.any(), account)
			} else {
				other := (account + 1 + rand.IntN(worldSize-1)) % worldSize
				r.move(client, move{from: account, to: other, amount: int64(1 + rand.IntN(opening))})
			}
		}
	})
	for _, l := range r.ledgers {
		for account := range worldSize {
			r.look(clients, l, account)
		}
	}
	r.check(r.t)
}

func TestReplicasAreLinearizable(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		ledgers := replicas(t, url, 3, ledger.Options{})
		for range 4 {
			r := newRound(t, ledgers[0], ledgers)
			r.run(8, 8)
			if r.unknown > 0 {
				t.Errorf("%d outcomes were unknown though nothing broke", r.unknown)
			}
		}
	})
}

// Connections break, and COMMITs with and without effect lose their answers.
func TestReplicasAreLinearizableWhileConnectionsBreak(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		healthy := start(t, url, ledger.Options{})
		var ledgers []*ledger.Ledger
		var proxies []*dbtest.Proxy
		for range 2 {
			proxy := dbtest.NewProxy(t, url)
			l := ledger.New(dbtest.Open(t, proxy.URL, database.Options{MaxConns: 4}),
				dbtest.Open(t, proxy.URL, database.Options{Plans: database.PlansPinned, MaxConns: 1}), ledger.Options{Log: slog.New(slog.DiscardHandler)})
			run(t, l)
			ledgers, proxies = append(ledgers, l), append(proxies, proxy)
		}
		broken, unknown := 0, 0
		for range 4 {
			r := newRound(t, healthy, ledgers)
			stop := breakNow(proxies)
			r.run(8, 6)
			stop()
			unknown += r.unknown
		}
		for _, proxy := range proxies {
			broken += proxy.Broken()
		}
		t.Logf("%d commits broken, %d outcomes unknown", broken, unknown)
		if broken == 0 {
			t.Error("no commit was broken")
		}
	})
}

// breakNow breaks connections and commits of all proxies, until stop is called or
// there were enough: on a slow machine too some have to get through. Six commits
// in a row leave an outcome unknown to the executor too.
func breakNow(proxies []*dbtest.Proxy) (stop func()) {
	ended := make(chan struct{})
	var breaking sync.WaitGroup
	for _, proxy := range proxies {
		breaking.Go(func() {
			modes := []dbtest.Break{dbtest.CommitApplied, dbtest.CommitLost, dbtest.CommitAppliedYetTimedOut}
			for range 30 {
				proxy.BreakCommits([]int{1, 1, 6}[rand.IntN(3)], modes[rand.IntN(len(modes))])
				select {
				case <-ended:
					return
				case <-time.After(time.Duration(5+rand.IntN(60)) * time.Millisecond):
				}
				if rand.IntN(3) == 0 {
					proxy.Cut()
				}
			}
		})
	}
	return func() {
		close(ended)
		breaking.Wait()
		for _, proxy := range proxies {
			proxy.BreakCommits(0, 0)
		}
	}
}
