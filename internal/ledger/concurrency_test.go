package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// replicas runs several ledgers on one database.
func replicas(t *testing.T, url string, n int, o ledger.Options) []*ledger.Ledger {
	t.Helper()
	all := make([]*ledger.Ledger, n)
	for i := range all {
		all[i] = start(t, url, o)
	}
	return all
}

// fresh is a migrated database of the test's own, for what looks at all of it.
func fresh(t *testing.T, url string) string {
	t.Helper()
	own := dbtest.Fresh(t, url)
	dbtest.Migrate(t, own)
	return own
}

func wantSoundBooks(t *testing.T, url string) ledger.Proof {
	t.Helper()
	proof, err := ledger.Verify(t.Context(), dbtest.Open(t, url, database.Options{MaxConns: 2}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range proof.Offences {
		t.Errorf("%s: %s: %s", o.Rule, o.Subject, o.Detail)
	}
	return proof
}

// together calls each function in a goroutine of its own, begun at once.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			f(i)
		})
	}
	close(begin)
	all.Wait()
}

// persistently calls f until it gets an answer: a conflict says to try again.
func persistently[T any](f func() (T, error)) (T, error) {
	for {
		result, err := f()
		if !errors.Is(err, database.ErrConflict) && !errors.Is(err, ledger.ErrOverloaded) {
			return result, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func codeOf(err error) ledger.Code {
	if failure := (*ledger.Failure)(nil); errors.As(err, &failure) {
		return failure.Code
	}
	if err != nil {
		return ledger.Code(err.Error())
	}
	return ""
}

// tally counts outcomes by failure code; "" is success.
type tally struct {
	mu     sync.Mutex
	counts map[ledger.Code]int
}

func (c *tally) add(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[ledger.Code]int{}
	}
	c.counts[codeOf(err)]++
}

func (c *tally) want(t *testing.T, want map[ledger.Code]int) {
	t.Helper()
	if fmt.Sprint(c.counts) != fmt.Sprint(want) {
		t.Fatalf("outcomes %v; want %v", c.counts, want)
	}
}

func TestHotAccountPaysExactlyWhatItHas(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		for _, n := range []int{1, 3} {
			t.Run(fmt.Sprintf("%d replicas", n), func(t *testing.T) {
				t.Parallel()
				ledgers := replicas(t, url, n, ledger.Options{})
				hot := openWith(t, ledgers[0], "100")
				payees := []ledger.Account{openWith(t, ledgers[0], "0"), openWith(t, ledgers[0], "0"), openWith(t, ledgers[0], "0")}
				var outcomes tally
				together(64, func(i int) {
					for j := range 5 {
						request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: hot.ID, DestinationAccountID: payees[(i+j)%3].ID, Amount: usd("1")}
						_, err := persistently(func() (ledger.Transfer, error) { return ledgers[i%n].Transfer(t.Context(), request) })
						outcomes.add(err)
					}
				})
				outcomes.want(t, map[ledger.Code]int{"": 100, ledger.InsufficientFunds: 220})
				wantBalance(t, ledgers[0], hot.ID, "0", "0")
				wantStatementAddsUp(t, ledgers[0], hot.ID)
			})
		}
	})
}

// wantStatementAddsUp checks every posting of an account against the one before
// it, and that no balance was ever below zero.
func wantStatementAddsUp(t *testing.T, l *ledger.Ledger, accountID string) {
	t.Helper()
	var below int64
	var later *ledger.Posting
	for {
		page, err := l.Postings(t.Context(), accountID, time.Time{}, time.Time{}, below, 50)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range page {
			if later != nil && (p.Seq != later.Seq-1 || !later.Balance.Sub(later.Amount).Equal(p.Balance) || p.CreatedAt.After(later.CreatedAt)) {
				t.Fatalf("posting %+v before %+v", p, *later)
			}
			if p.Balance.IsNegative() {
				t.Fatalf("the balance was below zero: %+v", p)
			}
			later, below = &page[i], p.Seq
		}
		if len(page) == 0 {
			break
		}
	}
	if later == nil || later.Seq != 1 || !later.Balance.Equal(later.Amount) {
		t.Fatalf("the first posting is %+v", later)
	}
}

func TestMoneyIsNeitherMadeNorLostAmongReplicas(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		ledgers := replicas(t, url, 3, ledger.Options{Workers: 2, BatchMax: 20})
		accounts := make([]ledger.Account, 8)
		for i := range accounts {
			accounts[i] = openWith(t, ledgers[0], "50")
		}
		var mu sync.Mutex
		var done []ledger.Transfer
		var holds []ledger.Hold
		together(24, func(i int) {
			l := ledgers[i%3]
			for range 12 {
				from := rand.IntN(len(accounts))
				to := (from + 1 + rand.IntN(len(accounts)-1)) % len(accounts)
				request := ledger.TransferRequest{
					ID: id.New("t"), SourceAccountID: accounts[from].ID, DestinationAccountID: accounts[to].ID,
					Amount: decimal.New(int64(1+rand.IntN(4000)), -2),
				}
				switch rand.IntN(6) {
				case 0:
					back := request
					back.ID, back.SourceAccountID, back.DestinationAccountID = id.New("t"), request.DestinationAccountID, request.SourceAccountID
					_, err := persistently(func() ([]ledger.Result, error) {
						return l.TransferBatch(t.Context(), []ledger.TransferRequest{request, back}, true)
					})
					wantRuleOrNil(t, err)
				case 1:
					hold, err := persistently(func() (ledger.Hold, error) {
						return l.PlaceHold(t.Context(), ledger.HoldRequest{ID: request.ID, SourceAccountID: request.SourceAccountID, DestinationAccountID: request.DestinationAccountID, Amount: request.Amount})
					})
					wantRuleOrNil(t, err)
					mu.Lock()
					if err == nil {
						holds = append(holds, hold)
					}
					mu.Unlock()
				case 2:
					mu.Lock()
					var hold ledger.Hold
					if len(holds) > 0 {
						hold = holds[rand.IntN(len(holds))]
					}
					mu.Unlock()
					if hold.ID != "" {
						_, err := persistently(func() (ledger.Transfer, error) {
							return l.CaptureHold(t.Context(), ledger.Capture{ID: request.ID, HoldID: hold.ID})
						})
						wantRuleOrNil(t, err)
					}
				case 3:
					mu.Lock()
					var target ledger.Transfer
					if len(done) > 0 {
						target = done[rand.IntN(len(done))]
					}
					mu.Unlock()
					if target.ID != "" {
						_, err := persistently(func() (ledger.Transfer, error) {
							return l.Reverse(t.Context(), ledger.Reversal{ID: request.ID, TargetID: target.ID, Force: rand.IntN(2) == 0})
						})
						wantRuleOrNil(t, err)
					}
				case 4:
					_, err := persistently(func() (ledger.Transfer, error) { return l.Accept(t.Context(), request) })
					wantRuleOrNil(t, err)
				default:
					transfer, err := persistently(func() (ledger.Transfer, error) { return l.Transfer(t.Context(), request) })
					wantRuleOrNil(t, err)
					mu.Lock()
					if err == nil {
						done = append(done, transfer)
					}
					mu.Unlock()
				}
			}
		})
		wantNothingUnfinished(t, url)
		wantSoundBooks(t, url)
		total := decimal.Zero
		for _, a := range accounts {
			now, err := ledgers[1].Account(t.Context(), a.ID)
			if err != nil {
				t.Fatal(err)
			}
			total = total.Add(now.Posted)
		}
		if !total.Equal(usd("400")) {
			t.Fatalf("the accounts have %s together; want 400", total)
		}
	})
}

func wantRuleOrNil(t *testing.T, err error) {
	t.Helper()
	if failure := (*ledger.Failure)(nil); err != nil && !errors.As(err, &failure) {
		t.Errorf("neither done nor refused: %v", err)
	}
}

// wantNothingUnfinished waits until every accepted transfer has its end.
func wantNothingUnfinished(t *testing.T, url string) {
	t.Helper()
	db := dbtest.Open(t, url, database.Options{MaxConns: 1})
	eventually(t, "accepted transfers end", func() bool {
		var left int
		err := db.QueryRow(t.Context(), "SELECT count(*) FROM transfers WHERE status IN ('PENDING', 'IN_PROGRESS')").Scan(&left)
		return err == nil && left == 0
	})
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after 30 s: %s", what)
		}
	}
}

func TestOneIDHasOneOutcomeWhoeverIsAsked(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		ledgers := replicas(t, url, 3, ledger.Options{})
		from, to, poor := openWith(t, ledgers[0], "100"), openWith(t, ledgers[0], "0"), openWith(t, ledgers[0], "1")
		for _, c := range []struct {
			source string
			want   ledger.Code
		}{{from.ID, ""}, {poor.ID, ledger.InsufficientFunds}, {"absent", ledger.AccountNotFound}} {
			request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: c.source, DestinationAccountID: to.ID, Amount: usd("7")}
			answers := make([]ledger.Transfer, 30)
			var outcomes tally
			together(len(answers), func(i int) {
				transfer, err := persistently(func() (ledger.Transfer, error) { return ledgers[i%3].Transfer(t.Context(), request) })
				answers[i] = transfer
				outcomes.add(err)
			})
			outcomes.want(t, map[ledger.Code]int{c.want: len(answers)})
			for _, answer := range answers {
				if answer.Status != answers[0].Status || !answer.FinishedAt.Equal(*answers[0].FinishedAt) || answer.SourceSeq != answers[0].SourceSeq {
					t.Fatalf("answers %+v and %+v", answers[0], answer)
				}
			}
		}
		wantBalance(t, ledgers[0], to.ID, "7", "0")
		// Two requests under one id: whichever is first, the other is a duplicate.
		shared := id.New("t")
		var outcomes tally
		together(10, func(i int) {
			_, err := persistently(func() (ledger.Transfer, error) {
				return ledgers[i%3].Transfer(t.Context(), ledger.TransferRequest{ID: shared, SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: decimal.New(int64(1+i%2), 0)})
			})
			outcomes.add(err)
		})
		outcomes.want(t, map[ledger.Code]int{"": 5, ledger.DuplicateTransaction: 5})
	})
}

func TestOneOfManyOpensAnAccount(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		ledgers := replicas(t, url, 3, ledger.Options{})
		var outcomes tally
		accountID := id.New("a")
		together(12, func(i int) {
			_, err := persistently(func() (ledger.Account, error) {
				return ledgers[i%3].OpenAccount(t.Context(), ledger.OpenAccount{ID: accountID, Balance: usd("5")})
			})
			outcomes.add(err)
		})
		outcomes.want(t, map[ledger.Code]int{"": 1, ledger.AccountExists: 11})
		wantBalance(t, ledgers[0], accountID, "5", "0")

		keyed := ledger.OpenAccount{ID: id.New("a"), Balance: usd("5"), IdempotencyKey: "k"}
		outcomes = tally{}
		together(12, func(i int) {
			_, err := persistently(func() (ledger.Account, error) { return ledgers[i%3].OpenAccount(t.Context(), keyed) })
			outcomes.add(err)
		})
		outcomes.want(t, map[ledger.Code]int{"": 12})
		wantBalance(t, ledgers[0], keyed.ID, "5", "0")
	})
}

func TestOneOfManyReversesATransfer(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		ledgers := replicas(t, url, 3, ledger.Options{})
		from, to := openWith(t, ledgers[0], "10"), openWith(t, ledgers[0], "100")
		target, err := ledgers[0].Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("10")})
		if err != nil {
			t.Fatal(err)
		}
		var outcomes tally
		together(12, func(i int) {
			_, err := persistently(func() (ledger.Transfer, error) {
				return ledgers[i%3].Reverse(t.Context(), ledger.Reversal{TargetID: target.ID, Force: i%2 == 0})
			})
			outcomes.add(err)
		})
		outcomes.want(t, map[ledger.Code]int{"": 1, ledger.AlreadyReversed: 11})
		wantBalance(t, ledgers[0], from.ID, "10", "0")
		if got, err := ledgers[0].TransferByID(t.Context(), target.ID); err != nil || got.ReversedByID == "" {
			t.Fatalf("%+v, %v", got, err)
		}
		if got, err := ledgers[0].TransferByID(t.Context(), "opening"); codeOf(err) != ledger.TransactionNotFound {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

func TestAHoldEndsOnceWhoeverRacesForIt(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		ledgers := replicas(t, url, 3, ledger.Options{ExpiryInterval: 20 * time.Millisecond})
		from, to := openWith(t, ledgers[0], "100"), openWith(t, ledgers[0], "0")
		captured := 0
		for round := range 8 {
			expires := time.Now().Add(time.Duration(60+40*(round%4)) * time.Millisecond)
			hold, err := ledgers[0].PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("5"), ExpiresAt: &expires})
			if err != nil {
				if errors.As(err, new(*ledger.InvalidInput)) {
					continue // this machine took longer than the hold was to last
				}
				t.Fatal(err)
			}
			var outcomes tally
			together(6, func(i int) {
				time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond)
				var err error
				if i%2 == 0 {
					_, err = persistently(func() (ledger.Transfer, error) {
						return ledgers[i%3].CaptureHold(t.Context(), ledger.Capture{HoldID: hold.ID})
					})
				} else {
					_, err = persistently(func() (ledger.Hold, error) { return ledgers[i%3].VoidHold(t.Context(), hold.ID) })
				}
				if code := codeOf(err); code != "" && code != ledger.HoldNotPending && code != ledger.HoldExpired {
					t.Errorf("round %d: %v", round, err)
				}
				outcomes.add(err)
			})
			eventually(t, "the hold ends", func() bool {
				got, err := ledgers[0].HoldByID(t.Context(), hold.ID)
				if err != nil {
					t.Fatal(err)
				}
				hold = got
				return got.Status != ledger.HoldPending
			})
			if hold.Status == ledger.HoldCaptured {
				captured++
				if outcomes.counts[""] != 1 {
					t.Fatalf("captured, but the answers are %v", outcomes.counts)
				}
			}
			wantBalance(t, ledgers[0], from.ID, fmt.Sprint(100-5*captured), "0")
			wantBalance(t, ledgers[0], to.ID, fmt.Sprint(5*captured), "0")
		}
	})
}

func TestACallerThatGaveUpFindsItDone(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		from, to := openWith(t, l, "10"), openWith(t, l, "0")
		request := ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("4")}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := l.Transfer(gone, request); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if got, err := l.Transfer(t.Context(), request); err != nil || got.Status != ledger.Completed {
			t.Fatalf("%+v, %v", got, err)
		}
		wantBalance(t, l, to.ID, "4", "0")
	})
}

// The same slice again while the first call is under way, as after a timeout.
func TestABatchOfRequestsMayBeSharedByCalls(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		from, to := openWith(t, l, "10"), openWith(t, l, "0")
		requests := make([]ledger.TransferRequest, 5)
		for i := range requests {
			requests[i] = ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1"), Metadata: []byte(`{"a": 1}`)}
		}
		together(4, func(i int) {
			results, err := persistently(func() ([]ledger.Result, error) { return l.TransferBatch(t.Context(), requests, i%2 == 0) })
			if err != nil || len(results) != 5 || results[4].Err != nil {
				t.Errorf("%+v, %v", results, err)
			}
		})
		wantBalance(t, l, to.ID, "5", "0")
	})
}
