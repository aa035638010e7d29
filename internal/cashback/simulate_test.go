package cashback_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

// allOf is the simulation of the time of someTerms.
func allOf(terms *rules.Terms) cashback.Simulation {
	return cashback.Simulation{From: noon.AddDate(0, -1, 0), To: noon.AddDate(0, 1, 0), Terms: terms}
}

func (l *life) simulates(s cashback.Simulation) cashback.Forecast {
	l.t.Helper()
	f, err := l.Simulate(l.t.Context(), l.campaign, s)
	if err != nil {
		l.t.Fatal(err)
	}
	return f
}

func TestASimulationTellsWhatACampaignWouldHaveCost(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		terms := someTerms()
		terms.From, terms.To, terms.Enabled = noon.AddDate(1, 0, 0), noon.AddDate(1, 1, 0), false // not now
		l := newLife(w, terms)
		thrifty := l.customer
		l.customer = w.customer()
		spender := l.customer
		l.buys("100", 1)
		l.pass(time.Minute)
		second := l.buys("200", 1)
		l.customer = thrifty
		l.pass(time.Minute)
		l.buys("50", 1)
		l.pass(time.Minute)
		l.buys("0.05", 1)
		l.records(id.New("unknown"), rules.Line{Product: "A", Quantity: 1, UnitPrice: dec("1000")})

		got := l.simulates(allOf(nil))
		equal(t, "the cost", got.Cost, "17.5")
		if got.Purchases != 4 || got.Rewarded != 3 || got.Customers != 2 || got.BudgetExhaustedAt != nil || got.Currency != "USD" ||
			!maps.Equal(got.Reasons, map[rules.Reason]int64{rules.Applied: 3, rules.RoundsToZero: 1}) {
			t.Errorf("%+v", got)
		}
		if len(got.Top) != 2 || got.Top[0].CustomerID != spender.ID || got.Top[0].Rewards != 2 || !got.Top[0].Amount.Equal(dec("15")) ||
			got.Top[1].CustomerID != thrifty.ID || !got.Top[1].Amount.Equal(dec("2.5")) {
			t.Errorf("%+v", got.Top)
		}

		// With other terms: twice as much for half of it, and a budget that ends.
		other := terms
		other.Reward.Percent, other.Budget, other.MinimumSpend = dec("10"), dec("25"), dec("60")
		other.Funding = rules.Funding{Kind: rules.Shared, AccountID: w.account(ledger.Merchant, "USD", "0"), MerchantPercent: dec("50")}
		got = l.simulates(allOf(&other))
		equal(t, "the cost", got.Cost, "25")
		equal(t, "the merchant's part", got.MerchantPart, "12.5")
		if got.Customers != 1 || got.BudgetExhaustedAt == nil || !got.BudgetExhaustedAt.Equal(second.At) ||
			!maps.Equal(got.Reasons, map[rules.Reason]int64{rules.Applied: 1, rules.CappedBudget: 1, rules.BelowMinimum: 2}) {
			t.Errorf("%+v", got)
		}

		// Of a part of the period.
		if got = l.simulates(cashback.Simulation{From: second.At, To: second.At.Add(time.Minute)}); got.Purchases != 1 || !got.Cost.Equal(dec("10")) {
			t.Errorf("%+v", got)
		}
		l.wantFigures(figures{"0", "0", "0", "0", "0", "0"})
	})
}

// What came back is taken off as it is of real rewards: here it comes back after all
// was bought, as a simulation takes it.
func TestASimulationTakesOffWhatCameBack(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // test data
		var takenBack decimal.Decimal
		for round := range 6 {
			from := noon.AddDate(-1, round, 0)
			s := cashback.Simulation{From: from, To: from.AddDate(0, 1, 0)}
			lives := make([]*life, 1+random.IntN(3))
			for i := range lives {
				lives[i] = newLife(w, randomTerms(w, random, s))
			}
			results, err := w.RecordBatch(t.Context(), randomPurchases(lives, random, from))
			if err != nil {
				t.Fatal(err)
			}
			var returns []cashback.ReturnRequest
			for _, result := range results {
				p := result.Purchase
				back := cashback.ReturnRequest{ID: id.New("r"), PurchaseID: p.ID, At: w.time(), Source: "api"}
				switch random.IntN(4) { // all of it comes back at 3
				case 0:
					continue
				case 1:
					back.Lines = []cashback.ReturnedLine{{Line: lineOf(0), Quantity: 1 + random.Int64N(p.Lines[0].Quantity)}}
				case 2:
					if !p.Amount.IsPositive() {
						continue
					}
					back.Amount = decimal.NewNullDecimal(decimal.Min(p.Amount, decimal.New(1+random.Int64N(300000), -4)))
				}
				returns = append(returns, back)
			}
			for i, returned := range must(w.ReturnBatch(t.Context(), returns))(t) {
				if returned.Err != nil {
					t.Fatalf("%+v: %v", returns[i], returned.Err)
				}
			}
			for _, l := range lives {
				got, figures := l.simulates(s), must(l.Figures(t.Context(), l.campaign))(t)
				if !got.Cost.Sub(got.TakenBack).Equal(figures.Accrued) || !got.TakenBack.Equal(figures.Reversed) {
					t.Errorf("round %d: simulated %s less %s, recorded %s less %s", round, got.Cost, got.TakenBack, figures.Accrued.Add(figures.Reversed), figures.Reversed)
				}
				takenBack = takenBack.Add(got.TakenBack)
			}
		}
		if !takenBack.IsPositive() {
			t.Error("nothing was taken back in any round")
		}
	})
}

func TestASimulationKnowsTheClicksAndTheOtherCampaigns(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		terms := someTerms()
		terms.ClickHours = 24
		l := newLife(w, terms)
		click := cashback.ClickRequest{ID: id.New("k"), CustomerID: l.customer.ID, MerchantID: "shop", CampaignID: l.campaign, At: l.time()}
		if _, err := l.RecordClicks(t.Context(), []cashback.ClickRequest{click}); err != nil {
			t.Fatal(err)
		}
		l.pass(time.Hour)
		l.buys("10", 1)
		l.pass(time.Hour)
		l.buys("20", 1) // by no click
		if got := l.simulates(allOf(nil)); !maps.Equal(got.Reasons, map[rules.Reason]int64{rules.Applied: 1, rules.NoClick: 1}) || !got.Cost.Equal(dec("0.5")) {
			t.Errorf("%+v", got)
		}
		newLife(w, func() rules.Terms {
			better := someTerms()
			better.Reward.Percent = dec("6")
			return better
		}())
		if got := l.simulates(allOf(nil)); !maps.Equal(got.Reasons, map[rules.Reason]int64{rules.Stacked: 1, rules.NoClick: 1}) || !got.Cost.IsZero() {
			t.Errorf("%+v", got)
		}
	})
}

// TestASimulationGivesWhatRecordingGave is about random campaigns and purchases, each
// round in a month of its own.
func TestASimulationGivesWhatRecordingGave(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // test data
		var given decimal.Decimal
		for round := range 8 {
			from := noon.AddDate(-1, round, 0)
			s := cashback.Simulation{From: from, To: from.AddDate(0, 1, 0)}
			lives := make([]*life, 1+random.IntN(5))
			for i := range lives {
				lives[i] = newLife(w, randomTerms(w, random, s))
			}
			results, err := w.RecordBatch(t.Context(), randomPurchases(lives, random, from))
			if err != nil {
				t.Fatal(err)
			}
			reasons := map[string]map[rules.Reason]int64{}
			for _, result := range results {
				if result.Err != nil {
					t.Fatal(result.Err)
				}
				for _, f := range result.Purchase.Evaluation.Findings {
					if reasons[f.CampaignID] == nil {
						reasons[f.CampaignID] = map[rules.Reason]int64{}
					}
					reasons[f.CampaignID][f.Reason]++
				}
			}
			before := countOf(w, "transfers")
			for _, l := range lives {
				got := l.simulates(s)
				figures, err := l.Figures(t.Context(), l.campaign)
				if err != nil {
					t.Fatal(err)
				}
				var top decimal.Decimal
				for _, customer := range got.Top {
					top = top.Add(customer.Amount)
				}
				if !got.Cost.Equal(figures.Accrued) || !got.MerchantPart.Equal(figures.Merchants) || got.Rewarded != figures.Rewards ||
					got.Purchases != int64(len(results)) || !maps.Equal(got.Reasons, reasons[l.campaign]) || !top.Equal(got.Cost) {
					t.Errorf("round %d: simulated %+v, recorded %+v, %v", round, got, figures, reasons[l.campaign])
				}
				given = given.Add(got.Cost)
			}
			if after := countOf(w, "transfers"); after != before {
				t.Errorf("%d transfers before, %d after", before, after)
			}
		}
		if !given.IsPositive() {
			t.Error("nothing was given in any round")
		}
	})
}

// randomTerms are of any kind of reward, with tight budgets and caps.
func randomTerms(w *world, random *rand.Rand, s cashback.Simulation) rules.Terms {
	terms := someTerms()
	terms.From, terms.To = s.From, s.To
	terms.Budget = decimal.New(int64(1+random.IntN(5000)), -2)
	terms.BudgetEnd = []rules.BudgetEnd{rules.PayRest, rules.PayNothing}[random.IntN(2)]
	terms.Group = []string{"", "a", "b"}[random.IntN(3)]
	terms.Priority = random.IntN(3)
	terms.Condition = []string{"", `quantity > 3`, `is_first_purchase`, `hour < 12`}[random.IntN(4)]
	terms.LineCondition = []string{"", `product.startsWith("A")`}[random.IntN(2)]
	switch random.IntN(3) {
	case 0:
		terms.Reward = rules.Reward{Kind: rules.Fixed, Amount: decimal.New(int64(1+random.IntN(300)), -2)}
	case 1:
		terms.Reward = rules.Reward{Kind: rules.Tiered, Steps: []rules.Step{{From: dec("5"), Percent: dec("1.5")}, {From: dec("50"), Amount: dec("2.22")}}}
	}
	if random.IntN(2) == 0 {
		terms.Caps = rules.Caps{
			PerPurchase: decimal.New(int64(random.IntN(300)), -2), PerCustomer: decimal.New(int64(1+random.IntN(900)), -2),
			CustomerPeriod: []rules.Period{rules.Day, rules.Week, rules.Month, rules.Campaign}[random.IntN(4)],
		}
	}
	if random.IntN(2) == 0 {
		terms.Funding = rules.Funding{Kind: rules.Shared, AccountID: w.account(ledger.Merchant, "USD", "1000"), MerchantPercent: dec("37.5")}
	}
	return terms
}

// randomPurchases are of the customers of all lives, each later than the one before.
func randomPurchases(lives []*life, random *rand.Rand, at time.Time) []cashback.PurchaseRequest {
	requests := make([]cashback.PurchaseRequest, 80)
	for i := range requests {
		at = at.Add(time.Duration(1+random.IntN(8*60*60)) * time.Second)
		lines := make([]rules.Line, 1+random.IntN(4))
		for j := range lines {
			lines[j] = rules.Line{
				Product: fmt.Sprintf("%c%d", 'A'+rune(random.IntN(3)), j), Quantity: int64(1 + random.IntN(6)),
				UnitPrice: decimal.New(int64(random.IntN(200000)), -4),
			}
		}
		requests[i] = cashback.PurchaseRequest{
			ID: id.New("p"), MerchantID: "shop", CustomerID: lives[random.IntN(len(lives))].customer.ID, Currency: "USD", At: at, Lines: lines, Source: "api",
		}
	}
	return requests
}

func countOf(w *world, table string) (n int) {
	w.t.Helper()
	if err := w.db.QueryRow(w.t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestASimulationIsRefusedThatMakesNoSense(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		euro, broken := someTerms(), someTerms()
		euro.Currency, broken.Condition = "EUR", "amount >"
		for name, s := range map[string]cashback.Simulation{
			"no period":        {},
			"a period from to": {From: noon, To: noon},
			"another currency": allOf(&euro),
			"a broken rule":    allOf(&broken),
		} {
			if _, err := l.Simulate(t.Context(), l.campaign, s); !isInvalid(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := l.Simulate(t.Context(), "nobody", allOf(nil)); !errors.Is(err, cashback.CampaignNotFound.Failure("")) {
			t.Errorf("an unknown campaign: %v", err)
		}
	})
}

func TestASimulationTakesSoManyPurchasesAndNoMore(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		if w.db.Engine == database.Cockroach {
			t.Skip("the bound is this program's, and as many rows take minutes there")
		}
		l := newLife(w, someTerms())
		for part := range 4 {
			execute(t, l.db, `INSERT INTO purchases (purchase_id, merchant_id, customer_id, currency, amount, returned, country, purchased_at, lines,
					status, request_hash, source, recorded_by, created_at, updated_at)
				SELECT 'p' || i::text, 'shop', 'somebody', 'USD', 1, 0, '', $1::timestamptz, '[]', 'HELD', '', 'api', 'test', $1, $1
				FROM generate_series($2::bigint + 1, $2::bigint + $3::bigint) AS i`, noon, part*cashback.MaxSimulated/4, cashback.MaxSimulated/4)
		}
		if got := l.simulates(allOf(nil)); got.Purchases != 0 {
			t.Errorf("%+v", got)
		}
		l.buys("1", 1)
		if _, err := l.Simulate(t.Context(), l.campaign, allOf(nil)); !errors.Is(err, cashback.PeriodTooLarge.Failure("")) {
			t.Errorf("one more: %v", err)
		}
	})
}
