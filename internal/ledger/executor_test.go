package ledger_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// running is a ledger that the test stops itself.
type running struct {
	*ledger.Ledger
	stop func() // ends Run's context
	done chan struct{}
}

func startStoppable(t *testing.T, url string, o ledger.Options) *running {
	t.Helper()
	l := ledger.New(dbtest.Open(t, url, database.Options{MaxConns: 4}), dbtest.Open(t, url, database.Options{Plans: database.PlansPinned, MaxConns: 4}), o)
	ctx, stop := context.WithCancel(t.Context())
	r := &running{l, stop, make(chan struct{})}
	go func() {
		defer close(r.done)
		l.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-r.done
	})
	return r
}

// lockAccount keeps the account locked, so that the executor waits at it, until
// the returned function is called.
func lockAccount(t *testing.T, url, accountID string) (unlock func()) {
	t.Helper()
	db := dbtest.Open(t, url, database.Options{MaxConns: 1})
	tx, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT account_id FROM accounts WHERE account_id = $1 FOR UPDATE", accountID); err != nil {
		t.Fatal(err)
	}
	unlock = sync.OnceFunc(func() { _ = tx.Rollback(context.Background()) })
	t.Cleanup(unlock)
	return unlock
}

// busy fills the executor's worker with a transfer from a locked account, so
// that what is handed in next waits in the queue and becomes one batch.
func busy(t *testing.T, url string, l *ledger.Ledger) (proceed func()) {
	t.Helper()
	from, to := openWith(t, l, "1"), openWith(t, l, "0")
	unlock := lockAccount(t, url, from.ID)
	var first sync.WaitGroup
	first.Go(func() {
		if _, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")}); err != nil {
			t.Errorf("the transfer that waited for its account: %v", err)
		}
	})
	time.Sleep(100 * time.Millisecond) // until the worker has taken it
	return func() {
		unlock()
		first.Wait()
	}
}

func TestShutdownFinishesWhatWasTaken(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := startStoppable(t, url, ledger.Options{})
		from, to := openWith(t, l.Ledger, "100"), openWith(t, l.Ledger, "0")
		proceed := busy(t, url, l.Ledger)
		var waiting sync.WaitGroup
		for range 40 {
			waiting.Go(func() {
				transfer, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")})
				if err != nil || transfer.Status != ledger.Completed {
					t.Errorf("%+v, %v", transfer, err)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		l.stop()
		eventually(t, "what comes after the stop is refused", func() bool {
			impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := l.Transfer(impatient, ledger.TransferRequest{ID: id.New("t"), SourceAccountID: to.ID, DestinationAccountID: "absent", Amount: usd("1")})
			return errors.Is(err, ledger.ErrShuttingDown)
		})
		select {
		case <-l.done:
			t.Fatal("Run returned while callers wait")
		default:
		}
		proceed()
		waiting.Wait()
		<-l.done
		if _, err := l.Accept(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")}); !errors.Is(err, ledger.ErrShuttingDown) {
			t.Fatalf("got %v; want ErrShuttingDown", err)
		}
		wantBalance(t, l.Ledger, to.ID, "40", "0")
	})
}

func TestFullQueueRefusesAtOnceAndLosesNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{QueueMax: 10})
		from, to := openWith(t, l, "100"), openWith(t, l, "0")
		proceed := busy(t, url, l)
		requests := make([]ledger.TransferRequest, 30)
		refused := make(chan ledger.TransferRequest, len(requests))
		var waiting sync.WaitGroup
		for i := range requests {
			requests[i] = ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")}
			waiting.Go(func() {
				begun := time.Now()
				if _, err := l.Transfer(t.Context(), requests[i]); errors.Is(err, ledger.ErrOverloaded) {
					refused <- requests[i]
					if took := time.Since(begun); took > 3*time.Second {
						t.Errorf("refused after %s", took)
					}
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		eventually(t, "20 of 30 are refused", func() bool { return len(refused) == 20 })
		// A batch is taken whole or not at all.
		if _, err := l.TransferBatch(t.Context(), requests[:1], false); !errors.Is(err, ledger.ErrOverloaded) {
			t.Fatalf("got %v; want ErrOverloaded", err)
		}
		proceed()
		waiting.Wait()
		wantBalance(t, l, to.ID, "10", "0")
		close(refused)
		for request := range refused {
			if _, err := l.Transfer(t.Context(), request); err != nil {
				t.Fatalf("tried again: %v", err)
			}
		}
		wantBalance(t, l, to.ID, "30", "0")
		// All of it is free again; more than all never fits.
		eleven := make([]ledger.TransferRequest, 11)
		for i := range eleven {
			eleven[i] = requests[i]
			eleven[i].ID = id.New("t")
		}
		if results, err := l.TransferBatch(t.Context(), eleven[:10], true); err != nil || results[9].Err != nil {
			t.Fatalf("%+v, %v", results, err)
		}
		if _, err := l.TransferBatch(t.Context(), eleven, false); !errors.Is(err, ledger.ErrOverloaded) {
			t.Fatalf("got %v; want ErrOverloaded", err)
		}
	})
}

func execute(t *testing.T, url, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// spoil makes the books of an account unreadable, until the test ends or repair
// is called.
func spoil(t *testing.T, url string, l *ledger.Ledger) (accountID string, repair func()) {
	t.Helper()
	account, err := l.OpenAccount(t.Context(), ledger.OpenAccount{Type: ledger.Asset})
	if err != nil {
		t.Fatal(err)
	}
	execute(t, url, "UPDATE accounts SET posted = 'NaN' WHERE account_id = $1", account.ID)
	db := dbtest.Open(t, url, database.Options{MaxConns: 1})
	repair = sync.OnceFunc(func() {
		if _, err := db.Exec(context.Background(), "UPDATE accounts SET posted = 0 WHERE account_id = $1", account.ID); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(repair)
	return account.ID, repair
}

func TestWhatTheDatabaseRefusesDoesNotSpoilItsBatch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		from, to := openWith(t, l, "1000"), openWith(t, l, "0")
		request := func(source string) ledger.TransferRequest {
			return ledger.TransferRequest{ID: id.New("t"), SourceAccountID: source, DestinationAccountID: to.ID, Amount: usd("1")}
		}
		unreadable, _ := spoil(t, url, l)
		// Voiding this hold takes held below zero, which a CHECK refuses.
		forged := openWith(t, l, "5")
		hold, err := l.PlaceHold(t.Context(), ledger.HoldRequest{SourceAccountID: forged.ID, DestinationAccountID: to.ID, Amount: usd("5")})
		if err != nil {
			t.Fatal(err)
		}
		execute(t, url, "UPDATE accounts SET held = 0 WHERE account_id = $1", forged.ID)

		proceed := busy(t, url, l)
		var waiting sync.WaitGroup
		for i := range 20 {
			waiting.Go(func() {
				switch i % 7 {
				case 3:
					_, err := l.Transfer(t.Context(), request(unreadable))
					if failure := (*ledger.Failure)(nil); err == nil || errors.As(err, &failure) {
						t.Errorf("got %v; want an error of the infrastructure", err)
					}
				case 5:
					_, err := l.VoidHold(t.Context(), hold.ID)
					if e := (*pgconn.PgError)(nil); !errors.As(err, &e) || e.Code != "23514" {
						t.Errorf("got %v; want the database's refusal", err)
					}
				default:
					if _, err := l.Transfer(t.Context(), request(from.ID)); err != nil {
						t.Errorf("a neighbour: %v", err)
					}
				}
			})
		}
		waiting.Go(func() { // a group stays whole
			if results, err := l.TransferBatch(t.Context(), []ledger.TransferRequest{request(from.ID), request(unreadable), request(from.ID)}, true); err == nil {
				t.Errorf("%+v", results)
			}
		})
		waiting.Go(func() {
			results, err := l.TransferBatch(t.Context(), []ledger.TransferRequest{request(from.ID), request(from.ID)}, true)
			if err != nil || results[0].Err != nil {
				t.Errorf("a neighbouring group: %+v, %v", results, err)
			}
		})
		time.Sleep(100 * time.Millisecond)
		proceed()
		waiting.Wait()
		wantBalance(t, l, to.ID, "16", "0")
		wantBalance(t, l, from.ID, "984", "0")
	})
}

// Terms and balances are written by two statements; between them a CHECK may
// not hold. Halving tells the units apart.
func TestLimitAndTransferOfOneBatch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		other := openWith(t, l, "100")
		limit, none := usd("50"), usd("0")
		for range 3 {
			account, err := l.OpenAccount(t.Context(), ledger.OpenAccount{ID: id.New("a")})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: account.ID, OverdraftLimit: &limit}); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: account.ID, DestinationAccountID: other.ID, Amount: usd("50")}); err != nil {
				t.Fatal(err)
			}
			proceed := busy(t, url, l)
			var waiting sync.WaitGroup
			waiting.Go(func() {
				if _, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: other.ID, DestinationAccountID: account.ID, Amount: usd("50")}); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(20 * time.Millisecond)
			waiting.Go(func() {
				if _, err := l.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: account.ID, OverdraftLimit: &none}); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(20 * time.Millisecond)
			proceed()
			waiting.Wait()
			wantBalance(t, l, account.ID, "0", "0")
		}
	})
}

func TestAtomicBatchLargerThanATransactionIsStillOne(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{BatchMax: 10})
		from, to := openWith(t, l, "100"), openWith(t, l, "0")
		requests := make([]ledger.TransferRequest, 101)
		for i := range requests {
			requests[i] = ledger.TransferRequest{ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("1")}
		}
		results, err := l.TransferBatch(t.Context(), requests, true)
		if err != nil || codeOf(results[100].Err) != ledger.InsufficientFunds || codeOf(results[0].Err) != ledger.BatchAborted {
			t.Fatalf("%+v, %v", results[0], err)
		}
		wantBalance(t, l, to.ID, "0", "0")
		for i := range requests {
			requests[i].ID = id.New("t")
		}
		if results, err = l.TransferBatch(t.Context(), requests, false); err != nil || codeOf(results[100].Err) != ledger.InsufficientFunds || results[99].Err != nil {
			t.Fatalf("%+v, %v", results, err)
		}
		wantBalance(t, l, to.ID, "100", "0")
	})
}
