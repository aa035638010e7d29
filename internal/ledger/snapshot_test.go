package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

var noTime time.Time

// latestTime begins a snapshot.
var latestTime database.Timestamp

// snapshotPage reads one page of an account's postings in a snapshot.
func snapshotPage(t *testing.T, l *ledger.Ledger, at database.Timestamp, accountID string, before int64, limit int) ([]ledger.Posting, database.Timestamp, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return l.PostingsSnapshot(ctx, at, accountID, noTime, noTime, before, limit)
}

// awaitSnapshot waits until a new snapshot shows so many postings of an account: on
// CockroachDB it is some seconds behind.
func awaitSnapshot(t *testing.T, l *ledger.Ledger, accountID string, postings int) (at database.Timestamp) {
	t.Helper()
	eventually(t, "a snapshot shows the account", func() bool {
		rows, shown, err := snapshotPage(t, l, latestTime, accountID, 0, ledger.MaxPage)
		at = shown
		if err != nil && codeOf(err) != ledger.AccountNotFound && !errors.Is(err, database.ErrUnavailable) {
			t.Fatal(err)
		}
		return err == nil && len(rows) >= postings
	})
	return at
}

// transferUntilStopped moves money between the accounts in turn. Its end must be
// deferred.
func transferUntilStopped(t *testing.T, l *ledger.Ledger, accounts []ledger.Account) (stop func()) {
	t.Helper()
	var stopped atomic.Bool
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; !stopped.Load(); i++ {
			_, err := persistently(func() (ledger.Transfer, error) {
				return l.Transfer(t.Context(), ledger.TransferRequest{
					ID: id.New("t"), SourceAccountID: accounts[i%len(accounts)].ID, DestinationAccountID: accounts[(i+1)%len(accounts)].ID, Amount: usd("0.01"),
				})
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	return func() {
		stopped.Store(true)
		writing.Wait()
	}
}

func TestASnapshotIsNotHeldUpByATransactionThatChangesTheAccount(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		a := openWith(t, l, "10")
		awaitSnapshot(t, l, a.ID, 1)
		writer := dbtest.Open(t, url, database.Options{MaxConns: 1})

		// Beginning a snapshot must be answered while the row is locked; on a busy
		// machine the lock may be older by then than the snapshot, so try again.
		eventually(t, "a snapshot is answered while the account is being changed", func() bool {
			unlock := changeAccount(t, writer, a.ID)
			defer unlock()
			rows, at, err := snapshotPage(t, l, latestTime, a.ID, 0, 10)
			if err == nil {
				rows, _, err = snapshotPage(t, l, at, a.ID, rows[0].Seq+1, 10) // the next page, at the same time
			}
			return err == nil && len(rows) == 1
		})

		// The lock is one: on CockroachDB whoever reads the newest waits for it.
		unlock := changeAccount(t, writer, a.ID)
		latest := make(chan error, 1)
		go func() {
			_, err := l.Account(t.Context(), a.ID)
			latest <- err
		}()
		if writer.Engine == database.Cockroach {
			select {
			case err := <-latest:
				t.Errorf("the newest is answered while the account is being changed, %v", err)
				return
			case <-time.After(300 * time.Millisecond):
				unlock()
			}
		}
		if err := <-latest; err != nil {
			t.Error(err)
		}
	})
}

// changeAccount writes an account's row in a transaction that stays open until
// undo.
func changeAccount(t *testing.T, db *database.DB, accountID string) (undo func()) {
	t.Helper()
	tx, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	undo = sync.OnceFunc(func() { _ = tx.Rollback(context.Background()) })
	t.Cleanup(undo)
	if _, err := tx.Exec(t.Context(), "UPDATE accounts SET version = version + 1 WHERE account_id = $1", accountID); err != nil {
		t.Fatal(err)
	}
	return undo
}

func TestAStatementOfManyPagesIsOneSnapshotWhileMoreIsBooked(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		a, b := openWith(t, l, "10"), openWith(t, l, "10")
		defer transferUntilStopped(t, l, []ledger.Account{a, b})()
		awaitSnapshot(t, l, a.ID, 15)

		all, first, err := snapshotPage(t, l, latestTime, a.ID, 0, ledger.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		newest := all[0].Seq
		chain := all[0].Balance
		before, at := newest+1, first
		for want := newest; want > 0; {
			var page []ledger.Posting
			// Something more is booked between any two pages.
			booked := postings(t, l, a.ID)
			eventually(t, "more is booked", func() bool { return postings(t, l, a.ID) > booked })
			page, at, err = snapshotPage(t, l, at, a.ID, before, 4)
			if err != nil || at != first || len(page) != int(min(want, 4)) {
				t.Fatalf("%d postings at %s, %v; the first page was of %s", len(page), at, err, first)
			}
			for _, p := range page {
				if p.Seq != want || !p.Balance.Equal(chain) {
					t.Fatalf("posting %+v; want number %d with balance %s", p, want, chain)
				}
				want, chain, before = want-1, p.Balance.Sub(p.Amount), p.Seq
			}
		}
		if !chain.IsZero() {
			t.Errorf("the first posting began with %s", chain)
		}
	})
}

func postings(t *testing.T, l *ledger.Ledger, accountID string) int64 {
	t.Helper()
	account, err := l.Account(t.Context(), accountID)
	if err != nil {
		t.Fatal(err)
	}
	return account.Postings
}

// Money that moves between two pages is counted once in a snapshot.
func TestBalancesOfManyPagesAddUpInASnapshot(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		if dbtest.Open(t, url, database.Options{MaxConns: 1}).Engine == database.Postgres {
			err := l.Snapshot(t.Context(), latestTime, func(ledger.View, database.Timestamp) error { return nil })
			if !errors.Is(err, database.ErrNoPast) {
				t.Fatalf("got %v; want ErrNoPast", err)
			}
			return
		}
		const n, each = 6, "7"
		mark := fmt.Appendf(nil, `{"mark":%q}`, id.New("mark"))
		accounts := make([]ledger.Account, n)
		for i := range accounts {
			var err error
			if accounts[i], err = l.OpenAccount(t.Context(), ledger.OpenAccount{Balance: usd(each), Metadata: mark}); err != nil {
				t.Fatal(err)
			}
		}
		defer transferUntilStopped(t, l, accounts)()
		awaitSnapshot(t, l, accounts[n-1].ID, 3)

		for range 3 {
			sum, rows, at, after := decimal.Zero, 0, latestTime, ""
			for page := 0; page == 0 || after != ""; page++ {
				booked := postings(t, l, accounts[0].ID)
				eventually(t, "more is booked", func() bool { return postings(t, l, accounts[0].ID) > booked })
				err := l.Snapshot(t.Context(), at, func(books ledger.View, shown database.Timestamp) error {
					if page > 0 && shown != at {
						t.Errorf("page %d is of %s; the one before of %s", page, shown, at)
					}
					at = shown
					found, err := books.Accounts(t.Context(), ledger.AccountFilter{Metadata: json.RawMessage(mark)}, after, 2)
					after = ""
					for _, account := range found {
						sum, rows, after = sum.Add(account.Posted), rows+1, account.ID
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if rows != n || !sum.Equal(usd(each).Mul(decimal.NewFromInt(n))) {
				t.Errorf("%d accounts have %s together at %s", rows, sum, at)
			}
		}
	})
}

func TestAStatementsTimeMustBeOneThatWasSeen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		a := openWith(t, l, "10")
		awaitSnapshot(t, l, a.ID, 1)
		for at, want := range map[time.Time]error{
			clock.System().Add(time.Hour): database.ErrSnapshotInFuture,
			time.Unix(1_000_000_000, 0):   database.ErrSnapshotGone,
			{}:                            database.ErrSnapshotGone,
		} {
			if _, _, err := snapshotPage(t, l, database.TimestampOf(at), a.ID, 2, 10); !errors.Is(err, want) {
				t.Errorf("at %s: got %v; want %v", at, err, want)
			}
		}
	})
}

func TestVerifyProvesTheBooksOfThePast(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		url = fresh(t, url)
		l := start(t, url, ledger.Options{})
		a, b := openWith(t, l, "10"), openWith(t, l, "0")
		db := dbtest.Open(t, url, database.Options{MaxConns: 2})
		then := wantSoundBooks(t, url)
		if _, err := l.Transfer(t.Context(), ledger.TransferRequest{ID: id.New("t"), SourceAccountID: a.ID, DestinationAccountID: b.ID, Amount: usd("1")}); err != nil {
			t.Fatal(err)
		}
		again, err := ledger.VerifyAt(t.Context(), db, database.At(database.TimestampOf(then.At)), nil)
		if db.Engine == database.Postgres {
			if !errors.Is(err, database.ErrNoPast) {
				t.Fatalf("got %v; want ErrNoPast", err)
			}
			return
		}
		if err != nil || !again.At.Equal(then.At) || again.Postings != then.Postings || again.Transfers != then.Transfers || len(again.Offences) > 0 {
			t.Fatalf("%+v, %v; was %+v", again, err, then)
		}
		if now := wantSoundBooks(t, url); now.Postings != then.Postings+2 {
			t.Fatalf("now %+v; was %+v", now, then)
		}
	})
}
