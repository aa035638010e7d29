package ledger

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// BenchmarkActivity is what it costs the executor to count: the time that counting a
// batch of 1,000 transfers takes (three currencies, each tenth transfer failed, for
// one of four reasons), beside that of executing such a batch on a real database, in
// turns. share is the part of a batch's time that counting is.
//
//	go test ./internal/ledger -run '^$' -bench Activity -benchtime 20x
func BenchmarkActivity(b *testing.B) {
	dbtest.Bench(b, func(b *testing.B, url string) {
		url = dbtest.Fresh(b, url)
		dbtest.Migrate(b, url)
		l := New(dbtest.Open(b, url, database.Options{}), dbtest.Open(b, url, database.Options{Plans: database.PlansPinned, MaxConns: 2}), Options{})
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Run(ctx)
		}()
		b.Cleanup(func() {
			stop()
			<-done
		})
		const size = 1000
		accounts := make([]string, 100)
		for i := range accounts {
			account, err := l.OpenAccount(b.Context(), OpenAccount{ID: id.New("a"), Balance: decimal.NewFromInt(1000)})
			if err != nil {
				b.Fatal(err)
			}
			accounts[i] = account.ID
		}
		ended := someEnded(size)
		apart := newActivity(clock.System, "bench")
		var executing, counting time.Duration
		for b.Loop() {
			requests := make([]TransferRequest, size)
			for i := range requests {
				requests[i] = TransferRequest{
					ID: id.New("t"), SourceAccountID: accounts[i%100], DestinationAccountID: accounts[(i+1)%100], Amount: decimal.New(1, -2),
				}
			}
			elapsed := clock.Stopwatch()
			if _, err := l.TransferBatch(b.Context(), requests, false); err != nil {
				b.Fatal(err)
			}
			executing += elapsed()
			elapsed = clock.Stopwatch()
			apart.count(ended.tally())
			counting += elapsed()
		}
		b.ReportMetric(float64(counting.Nanoseconds())/float64(b.N)/size, "ns/transfer")
		b.ReportMetric(100*float64(counting)/float64(executing), "share-%")
	})
}

// someEnded is a batch that has brought so many transfers to their end.
func someEnded(n int) *book {
	ended := &book{}
	for i := range n {
		entry := &transferEntry{Transfer: Transfer{
			ID: fmt.Sprint(i), Amount: decimal.New(int64(1_000+i), -2), Currency: []money.Currency{"USD", "EUR", "JPY"}[i%3], Status: Completed,
		}}
		if i%10 == 0 {
			entry.Status = Failed
			entry.Failure = []Code{InsufficientFunds, AccountFrozen, DailyLimitExceeded, AccountNotFound}[i/10%4].Failure("no")
		}
		ended.changedTransfers = append(ended.changedTransfers, entry)
	}
	return ended
}
