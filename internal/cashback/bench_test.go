package cashback_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// BenchmarkRecordBatch measures how many purchases of five lines a second are taken in
// under three campaigns, in batches of 500, and in turns with it, on the same database,
// how many plain transfers in batches of 500. Reported are both rates and their ratio.
func BenchmarkRecordBatch(b *testing.B) {
	for _, policy := range []rules.Policy{rules.Best, rules.Sum} {
		b.Run(string(policy), func(b *testing.B) {
			dbtest.Bench(b, func(b *testing.B, url string) { benchmarkRecordBatch(b, dbtest.Fresh(b, url), policy) })
		})
	}
}

func benchmarkRecordBatch(b *testing.B, url string, policy rules.Policy) {
	const size, accounts = 500, 1000
	dbtest.Migrate(b, url)
	db := dbtest.Open(b, url, database.Options{MaxConns: 8})
	books := ledger.New(db, dbtest.Open(b, url, database.Options{Plans: database.PlansPinned, MaxConns: 1}), ledger.Options{})
	c := cashback.New(db, books, cashback.Options{SweepInterval: time.Hour})
	runUntilTheEnd(b, books.Run, c.Run)
	customers := openCampaigns(b, c, books, policy, accounts)

	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same purchases each time
	now := clock.System()
	var recording, transferring time.Duration
	rewards := 0
	round := func() {
		purchases, transfers := make([]cashback.PurchaseRequest, size), make([]ledger.TransferRequest, size)
		for i := range size {
			purchases[i] = somePurchase(random, customers[random.IntN(accounts)].ID, now)
			from := random.IntN(accounts)
			transfers[i] = ledger.TransferRequest{
				ID: id.New("t"), SourceAccountID: customers[from].AccountID, DestinationAccountID: customers[(from+1+random.IntN(accounts-1))%accounts].AccountID,
				Amount: dec("0.01"),
			}
		}
		began := time.Now()
		recorded, err := c.RecordBatch(b.Context(), purchases)
		if err != nil {
			b.Fatal(err)
		}
		recording += time.Since(began)
		began = time.Now()
		moved, err := books.TransferBatch(b.Context(), transfers, false)
		if err != nil {
			b.Fatal(err)
		}
		transferring += time.Since(began)
		for i := range size {
			if recorded[i].Err != nil || moved[i].Err != nil {
				b.Fatal(recorded[i].Err, moved[i].Err)
			}
			rewards += len(recorded[i].Purchase.Rewards)
		}
	}
	for range 3 { // plans and caches
		round()
	}
	recording, transferring, rewards = 0, 0, 0
	rounds := 0
	for b.Loop() {
		round()
		rounds++
	}
	done := float64(size * rounds)
	b.ReportMetric(done/recording.Seconds(), "purchases/s")
	b.ReportMetric(done/transferring.Seconds(), "transfers/s")
	b.ReportMetric(transferring.Seconds()/recording.Seconds(), "ratio")
	b.ReportMetric(float64(rewards)/done, "rewards/purchase")
}

func runUntilTheEnd(b *testing.B, parts ...func(context.Context)) {
	b.Helper()
	for _, part := range parts {
		ctx, stop := context.WithCancel(context.WithoutCancel(b.Context()))
		done := make(chan struct{})
		go func() {
			defer close(done)
			part(ctx)
		}()
		b.Cleanup(func() {
			stop()
			<-done
		})
	}
}

// openCampaigns makes three campaigns, by a category of lines, by country, and by tier,
// and customers for them.
func openCampaigns(b *testing.B, c *cashback.Cashback, books *ledger.Ledger, policy rules.Policy, n int) []cashback.Customer {
	b.Helper()
	if _, err := c.ChangeProgram(b.Context(), 0, rules.Program{
		Groups: map[string]rules.Policy{"default": policy},
		Tiers:  []rules.Tier{{Name: "silver", MinSpend: dec("100")}, {Name: "gold", MinSpend: dec("1000")}}, TierDays: 90, TierCurrency: "USD",
	}); err != nil {
		b.Fatal(err)
	}
	for campaignID, change := range map[string]func(*rules.Terms){
		"category": func(t *rules.Terms) {
			t.LineCondition = `product.startsWith("2")`
			t.Caps = rules.Caps{PerCustomer: dec("500"), CustomerPeriod: rules.Month}
		},
		"country": func(t *rules.Terms) { t.Condition = `country == "DE" || country == "FR"` },
		"tiers": func(t *rules.Terms) {
			t.Reward.Multipliers = map[string]decimal.Decimal{"silver": dec("1.5"), "gold": dec("2")}
		},
	} {
		terms := someTerms()
		terms.From, terms.To, terms.Budget = clock.System().AddDate(-1, 0, 0), clock.System().AddDate(1, 0, 0), dec("1000000000")
		change(&terms)
		if _, err := c.CreateCampaign(b.Context(), campaignID, terms); err != nil {
			b.Fatal(err)
		}
	}
	customers := make([]cashback.Customer, n)
	for i := range customers {
		account, err := books.OpenAccount(b.Context(), ledger.OpenAccount{Type: ledger.Wallet, Balance: dec("1000000")})
		if err != nil {
			b.Fatal(err)
		}
		if customers[i], err = c.PutCustomer(b.Context(), cashback.CustomerRequest{ID: id.New("cus"), AccountID: account.ID}); err != nil {
			b.Fatal(err)
		}
	}
	return customers
}

// somePurchase has five lines, of the last hour.
func somePurchase(random *rand.Rand, customerID string, now time.Time) cashback.PurchaseRequest {
	r := cashback.PurchaseRequest{
		ID: id.New("p"), MerchantID: "shop", CustomerID: customerID, Currency: "USD", Country: []string{"DE", "FR", "GB", "US"}[random.IntN(4)],
		At: now.Add(-time.Duration(random.IntN(3600)) * time.Second), Lines: make([]rules.Line, 5), Source: "api",
	}
	for i := range r.Lines {
		r.Lines[i] = rules.Line{
			Product: fmt.Sprintf("%d5123%c", 1+random.IntN(9), 'A'+rune(i)), Description: "WHITE HANGING HEART T-LIGHT HOLDER", Category: "gifts",
			Quantity: 1 + random.Int64N(12), UnitPrice: decimal.New(1+random.Int64N(2000), -2),
		}
	}
	return r
}
