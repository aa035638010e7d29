package ledger_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// start runs a ledger on a database until the test ends.
func start(t *testing.T, url string, o ledger.Options) *ledger.Ledger {
	t.Helper()
	l := ledger.New(
		dbtest.Open(t, url, database.Options{}),
		dbtest.Open(t, url, database.Options{Plans: database.PlansPinned, MaxConns: 4}),
		o,
	)
	run(t, l)
	return l
}

func run(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		l.Run(ctx)
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

func usd(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// openWith opens a customer's account in USD with a balance.
func openWith(t *testing.T, l *ledger.Ledger, balance string) ledger.Account {
	t.Helper()
	account, err := l.OpenAccount(t.Context(), ledger.OpenAccount{ID: id.New("a"), Balance: usd(balance)})
	if err != nil {
		t.Fatal(err)
	}
	return account
}

func wantFailure(t *testing.T, err error, want ledger.Code) {
	t.Helper()
	if failure := (*ledger.Failure)(nil); !errors.As(err, &failure) || failure.Code != want {
		t.Fatalf("got %v; want %s", err, want)
	}
}

func wantBalance(t *testing.T, l *ledger.Ledger, accountID, posted, held string) {
	t.Helper()
	account, err := l.Account(t.Context(), accountID)
	if err != nil {
		t.Fatal(err)
	}
	if !account.Posted.Equal(usd(posted)) || !account.Held.Equal(usd(held)) {
		t.Fatalf("account %s has %s posted and %s held; want %s and %s", accountID, account.Posted, account.Held, posted, held)
	}
}

func TestTransferMovesMoneyOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		l := start(t, url, ledger.Options{})
		from, to := openWith(t, l, "100"), openWith(t, l, "0")
		request := ledger.TransferRequest{
			ID: id.New("t"), SourceAccountID: from.ID, DestinationAccountID: to.ID, Amount: usd("30.25"),
			Description: "rent", Metadata: []byte(`{"b": 1, "a": {"x": [1.50, "y"]}}`),
		}
		first, err := l.Transfer(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		again, err := l.Transfer(t.Context(), request)
		if err != nil || again.Status != ledger.Completed || !again.FinishedAt.Equal(*first.FinishedAt) || string(again.Metadata) != string(first.Metadata) {
			t.Fatalf("the same request again: %+v, %v; want %+v", again, err, first)
		}
		wantBalance(t, l, from.ID, "69.75", "0")
		wantBalance(t, l, to.ID, "30.25", "0")

		request.Amount = usd("30.26")
		_, err = l.Transfer(t.Context(), request)
		wantFailure(t, err, ledger.DuplicateTransaction)
	})
}
