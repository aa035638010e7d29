package cashback_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// wants is a purchase of the customer's for 100.00, now.
func (l *life) wants(change func(*cashback.PurchaseRequest)) cashback.PurchaseRequest {
	r := cashback.PurchaseRequest{
		ID: id.New("p"), MerchantID: "shop", CustomerID: l.customer.ID, Currency: "USD", Country: "GB", At: l.time(), Source: "api",
		Lines: []rules.Line{{Product: "85123A", Description: "WHITE HANGING HEART", Category: "gifts", MCC: "5947", Quantity: 2, UnitPrice: dec("50.00")}},
	}
	if change != nil {
		change(&r)
	}
	return r
}

func (l *life) record(r cashback.PurchaseRequest) cashback.Purchase {
	l.t.Helper()
	p, err := l.Record(as(l.t, "key_shop"), r)
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

// rewarded is what a purchase brought, all in all.
func rewarded(p cashback.Purchase) decimal.Decimal {
	sum := decimal.Zero
	for _, r := range p.Rewards {
		sum = sum.Add(r.Amount.Sub(r.Reversed))
	}
	return sum
}

// reasonOf is what the campaign made of a purchase.
func (l *life) reasonOf(p cashback.Purchase) rules.Reason {
	l.t.Helper()
	if p.Evaluation == nil {
		l.t.Fatalf("purchase %s is %s and not evaluated", p.ID, p.Status)
	}
	for _, f := range p.Evaluation.Findings {
		if f.CampaignID == l.campaign {
			return f.Reason
		}
	}
	return ""
}

// changes makes a next version of the campaign.
func (l *life) changes(change func(*rules.Terms)) {
	l.t.Helper()
	current, err := l.Campaign(l.t.Context(), l.campaign)
	if err != nil {
		l.t.Fatal(err)
	}
	change(&current.Terms)
	if _, err := l.ChangeCampaign(l.t.Context(), l.campaign, current.Version, current.Terms); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) purchase(purchaseID string) cashback.Purchase {
	l.t.Helper()
	p, err := l.Purchase(l.t.Context(), purchaseID)
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

// atOnce runs f n times at once.
func atOnce(n int, f func(i int)) {
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

func TestAPurchaseIsRecordedOnce(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		r := l.wants(func(r *cashback.PurchaseRequest) { r.PaymentReference = "pi_1" })
		first := l.record(r)
		if first.Status != cashback.Accepted || !first.Amount.Equal(dec("100")) || first.RecordedBy != "key_shop" || !first.CreatedAt.Equal(noon) ||
			len(first.Rewards) != 1 || !first.Rewards[0].Amount.Equal(dec("5")) || first.Rewards[0].Status != cashback.Accrued ||
			first.Rewards[0].ID != cashback.RewardID(r.ID, l.campaign) || !first.Rewards[0].ConfirmAt.Equal(noon.Add(returnWindow)) {
			t.Errorf("%+v", first)
		}
		for what, change := range map[string]func(*cashback.PurchaseRequest){
			"the same":               func(*cashback.PurchaseRequest) {},
			"other zeros at the end": func(r *cashback.PurchaseRequest) { r.Lines[0].UnitPrice = dec("50") },
			"another way":            func(r *cashback.PurchaseRequest) { r.Source = "csv" },
			"another time zone":      func(r *cashback.PurchaseRequest) { r.At = r.At.In(time.FixedZone("", 3600)).Add(300 * time.Nanosecond) },
		} {
			again := r
			again.Lines = slices.Clone(r.Lines)
			change(&again)
			if p := l.record(again); p.ID != first.ID || len(p.Rewards) != 1 || p.Rewards[0].ID != first.Rewards[0].ID || !rewarded(p).Equal(dec("5")) || p.Source != "api" || !p.CreatedAt.Equal(first.CreatedAt) {
				t.Errorf("%s: %+v", what, p)
			}
		}
		for what, change := range map[string]func(*cashback.PurchaseRequest){
			"merchant": func(r *cashback.PurchaseRequest) { r.MerchantID = "other" },
			"customer": func(r *cashback.PurchaseRequest) { r.CustomerID = "other" },
			"currency": func(r *cashback.PurchaseRequest) { r.Currency = "EUR" },
			"country":  func(r *cashback.PurchaseRequest) { r.Country = "FR" },
			"time":     func(r *cashback.PurchaseRequest) { r.At = r.At.Add(time.Microsecond) },
			"click":    func(r *cashback.PurchaseRequest) { r.ClickID = "c" },
			"payment":  func(r *cashback.PurchaseRequest) { r.PaymentReference = "pi_2" },
			"product":  func(r *cashback.PurchaseRequest) { r.Lines[0].Product = "x" },
			"category": func(r *cashback.PurchaseRequest) { r.Lines[0].Category = "x" },
			"mcc":      func(r *cashback.PurchaseRequest) { r.Lines[0].MCC = "1" },
			"text":     func(r *cashback.PurchaseRequest) { r.Lines[0].Description = "x" },
			"quantity": func(r *cashback.PurchaseRequest) { r.Lines[0].Quantity = 3 },
			"price":    func(r *cashback.PurchaseRequest) { r.Lines[0].UnitPrice = dec("50.0001") },
			"lines":    func(r *cashback.PurchaseRequest) { r.Lines = append(r.Lines, r.Lines[0]) },
		} {
			other := r
			other.Lines = slices.Clone(r.Lines)
			change(&other)
			if _, err := l.Record(t.Context(), other); !errors.Is(err, cashback.DuplicatePurchase.Failure("")) {
				t.Errorf("another %s: %v", what, err)
			}
		}
		stored := l.purchase(r.ID)
		if stored.PaymentReference != "pi_1" || stored.Country != "GB" || len(stored.Lines) != 1 || stored.Lines[0].Description != "WHITE HANGING HEART" ||
			!stored.Lines[0].UnitPrice.Equal(dec("50")) || len(stored.Rewards) != 1 || stored.Evaluation.Customer.Country != "DE" {
			t.Errorf("%+v", stored)
		}
		l.wantFigures(figures{"5", "0", "0", "0", "0", "0"})
		if _, err := l.Purchase(t.Context(), "no-such"); !errors.Is(err, cashback.PurchaseNotFound.Failure("")) {
			t.Error(err)
		}
	})
}

func TestEachOfABatchHasItsOutcome(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		known := l.record(l.wants(nil))
		requests := []cashback.PurchaseRequest{
			l.wants(nil),
			known.PurchaseRequest,
			l.wants(func(r *cashback.PurchaseRequest) { r.ID = known.ID; r.Country = "" }),
			l.wants(func(r *cashback.PurchaseRequest) { r.CustomerID = "nobody-knows" }),
			l.wants(func(r *cashback.PurchaseRequest) { r.Currency = "EUR" }),
			l.wants(func(r *cashback.PurchaseRequest) { r.Lines[0].UnitPrice = decimal.Zero }),
			l.wants(nil),
		}
		requests = append(requests, requests[0], requests[6])
		requests[8].Country = "elsewhere"
		results, err := l.RecordBatch(as(t, "key_shop"), requests)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []struct {
			status cashback.PurchaseStatus
			reward string
			code   cashback.Code
		}{
			{cashback.Accepted, "5", ""}, {cashback.Accepted, "5", ""}, {"", "0", cashback.DuplicatePurchase}, {cashback.Held, "0", ""},
			{cashback.Accepted, "0", ""}, {cashback.Accepted, "0", ""}, {cashback.Accepted, "5", ""}, {cashback.Accepted, "5", ""},
			{"", "0", cashback.DuplicatePurchase},
		} {
			got := results[i]
			if (want.code == "") != (got.Err == nil) || want.code != "" && !errors.Is(got.Err, want.code.Failure("")) ||
				got.Purchase.Status != want.status || !rewarded(got.Purchase).Equal(dec(want.reward)) {
				t.Errorf("%d: %+v, %v", i, got.Purchase, got.Err)
			}
		}
		if reason := l.reasonOf(results[4].Purchase); reason != rules.OtherCurrency {
			t.Errorf("a currency without a campaign: %s", reason)
		}
		if p := results[3].Purchase; p.Evaluation != nil {
			t.Errorf("held and evaluated: %+v", p)
		}
		if customer, err := l.Customer(t.Context(), l.customer.ID); err != nil || customer.Purchases != 5 {
			t.Errorf("%+v, %v", customer, err)
		}
		l.wantFigures(figures{"15", "0", "0", "0", "0", "0"})

		// One that makes no sense: nothing is stored.
		requests = []cashback.PurchaseRequest{l.wants(nil), l.wants(func(r *cashback.PurchaseRequest) { r.Lines[0].UnitPrice = dec("1.00001") })}
		_, err = l.RecordBatch(t.Context(), requests)
		wantInvalid(t, err, "purchases[1].lines[0].unitPrice")
		if _, err := l.Purchase(t.Context(), requests[0].ID); !errors.Is(err, cashback.PurchaseNotFound.Failure("")) {
			t.Error(err)
		}
		_, err = l.RecordBatch(t.Context(), nil)
		wantInvalid(t, err, "purchases")
	})
}

// hammer has many callers record purchases at once, and returns all of them.
func hammer(t *testing.T, callers, each int, on func(caller int) *cashback.Cashback, request func(caller, n int) cashback.PurchaseRequest) []cashback.Purchase {
	t.Helper()
	var mu sync.Mutex
	var all []cashback.Purchase
	atOnce(callers, func(caller int) {
		for n := range each {
			r := request(caller, n)
			p, err := on(caller).Record(t.Context(), r)
			for errors.Is(err, database.ErrConflict) || errors.Is(err, ledger.ErrOverloaded) {
				p, err = on(caller).Record(t.Context(), r)
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			all = append(all, p)
			mu.Unlock()
		}
	})
	return all
}

func TestABudgetHoldsWhateverComesAtOnce(t *testing.T) {
	for _, end := range []rules.BudgetEnd{rules.PayRest, rules.PayNothing} {
		t.Run(string(end), func(t *testing.T) {
			eachFresh(t, func(t *testing.T, w *world) {
				terms := sharedTerms(w)
				terms.Budget, terms.BudgetEnd = dec("50.01"), end
				l := newLife(w, terms)
				other := newWorld(t, w.url) // another replica, with books of its own
				both := []*cashback.Cashback{w.Cashback, other.Cashback}
				customers := []string{l.customer.ID, w.customer().ID, w.customer().ID}
				purchases := hammer(t, 64, 2, func(caller int) *cashback.Cashback { return both[caller%2] }, func(caller, n int) cashback.PurchaseRequest {
					return l.wants(func(r *cashback.PurchaseRequest) {
						r.CustomerID = customers[(caller+n)%3]
						r.Lines[0].UnitPrice = dec("16.65") // 1.66 of each: 30 are 49.80, with 0.21 left
					})
				})
				sum, reasons := decimal.Zero, map[rules.Reason]int{}
				for _, p := range purchases {
					sum = sum.Add(rewarded(p))
					reasons[l.reasonOf(p)]++
				}
				want, capped := "50.01", 1
				if end == rules.PayNothing {
					want, capped = "49.80", 0
				}
				equal(t, "what was given", sum, want)
				if len(purchases) != 128 || reasons[rules.Applied] != 30 || reasons[rules.CappedBudget] != capped || reasons[rules.BudgetExhausted] != 98-capped {
					t.Errorf("%d purchases: %v", len(purchases), reasons)
				}
				got, err := l.Figures(t.Context(), l.campaign)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "accrued", got.Accrued, want)
				equal(t, "left", got.Remaining, dec("50.01").Sub(dec(want)).String())
				l.wantBalance("the accrued account", ledger.ProgramPrefix+l.campaign+":accrued", want)
				l.wantProven()

				// A budget that is raised counts at once.
				l.changes(func(terms *rules.Terms) { terms.Budget = dec("60.01") })
				p := l.record(l.wants(func(r *cashback.PurchaseRequest) { r.At = noon.Add(time.Second) }))
				equal(t, "what is given again", rewarded(p), "5")
				l.wantProven()
			})
		})
	}
}

func TestACustomersCapHoldsWhateverComesAtOnce(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		terms := someTerms()
		terms.Caps = rules.Caps{PerCustomer: dec("12"), CustomerPeriod: rules.Day}
		l := newLife(w, terms)
		other := newWorld(t, w.url)
		both := []*cashback.Cashback{w.Cashback, other.Cashback}
		customers := []string{l.customer.ID, w.customer().ID}
		days := []time.Time{noon, noon.AddDate(0, 0, -1)}
		purchases := hammer(t, 64, 1, func(caller int) *cashback.Cashback { return both[caller/4%2] }, func(caller, _ int) cashback.PurchaseRequest {
			return l.wants(func(r *cashback.PurchaseRequest) { r.CustomerID, r.At = customers[caller%2], days[caller/2%2] })
		})
		given := map[string]decimal.Decimal{}
		reasons := map[rules.Reason]int{}
		for _, p := range purchases {
			key := p.CustomerID + p.At.Format(time.DateOnly)
			given[key] = given[key].Add(rewarded(p))
			reasons[l.reasonOf(p)]++
		}
		if len(given) != 4 || reasons[rules.Applied] != 8 || reasons[rules.CappedCustomer] != 4 || reasons[rules.CustomerCapFull] != 52 {
			t.Errorf("%v, %v", given, reasons)
		}
		for key, sum := range given {
			equal(t, key, sum, "12")
		}
		l.wantProven()

		// What is taken back makes room again, in its own period.
		i := slices.IndexFunc(purchases, func(p cashback.Purchase) bool {
			return p.CustomerID == l.customer.ID && p.At.Equal(noon) && rewarded(p).Equal(dec("5"))
		})
		l.givesBack(purchases[i], 2)
		p := l.record(l.wants(func(r *cashback.PurchaseRequest) { r.Lines[0].Quantity = 4 }))
		equal(t, "given again", rewarded(p), "5")
		p = l.record(l.wants(func(r *cashback.PurchaseRequest) { r.At = days[1] }))
		equal(t, "given on the other day", rewarded(p), "0")
		l.wantProven()
	})
}

// Two replicas get the same purchases at once, as from a shop that asks again.
func TestTwoReplicasRecordAPurchaseOnce(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		other := newWorld(t, w.url)
		both := []*cashback.Cashback{w.Cashback, other.Cashback}
		const n = 12
		requests := make([]cashback.PurchaseRequest, n)
		returns := make([]cashback.ReturnRequest, n)
		for i := range requests {
			requests[i] = l.wants(nil)
			returns[i] = cashback.ReturnRequest{ID: id.New("r"), PurchaseID: requests[i].ID, At: noon, Lines: []cashback.ReturnedLine{{Product: "85123A", Quantity: 1}}}
		}
		var failed atomic.Int64
		atOnce(4*n, func(i int) {
			c := both[i%2]
			for {
				var err error
				if i/2%2 == 0 {
					_, err = c.Record(t.Context(), requests[i/4])
				} else {
					_, err = c.Return(t.Context(), returns[i/4])
				}
				if errors.Is(err, database.ErrConflict) {
					continue
				}
				if err != nil {
					failed.Add(1)
					t.Error(err)
				}
				return
			}
		})
		l.wantFigures(figures{"30", "0", "0", "30", "0", "0"})
		for _, r := range returns {
			if got, err := l.ReturnByID(t.Context(), r.ID); err != nil || got.Status != cashback.ReturnApplied || !got.Reversed.Equal(dec("2.5")) {
				t.Errorf("%+v, %v", got, err)
			}
		}
	})
}

func TestACommitWhoseOutcomeWasLostRecordsOnce(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		for _, mode := range []dbtest.Break{dbtest.CommitApplied, dbtest.CommitLost, dbtest.CommitAppliedYetTimedOut} {
			proxy := dbtest.NewProxy(t, w.url)
			books := ledger.New(w.db, dbtest.Open(t, proxy.URL, database.Options{Plans: database.PlansPinned, MaxConns: 4}), ledger.Options{Clock: w.time})
			w.run(books.Run)
			c := cashback.New(w.db, books, cashback.Options{Clock: w.time, Audit: audit.New(w.db, w.time), SweepInterval: time.Hour})
			w.run(c.Run)
			before, err := l.Figures(t.Context(), l.campaign)
			if err != nil {
				t.Fatal(err)
			}

			requests := []cashback.PurchaseRequest{l.wants(nil), l.wants(nil), l.wants(nil)}
			proxy.BreakCommits(2, mode)
			results, err := c.RecordBatch(t.Context(), requests)
			if err != nil || proxy.Broken() != 2 {
				t.Fatal(err, proxy.Broken())
			}
			for _, got := range results {
				if got.Err != nil || len(got.Purchase.Rewards) != 1 || got.Purchase.Rewards[0].Transfers != 1 {
					t.Errorf("mode %d: %+v", mode, got)
				}
			}
			proxy.BreakCommits(1, mode)
			r := cashback.ReturnRequest{ID: id.New("r"), PurchaseID: requests[0].ID, At: noon}
			if got, err := c.Return(t.Context(), r); err != nil || got.Status != cashback.ReturnApplied || !got.Reversed.Equal(dec("5")) {
				t.Errorf("mode %d: %+v, %v", mode, got, err)
			}

			// One that stays unknown is told so, and its caller asks again.
			proxy.BreakCommits(5, mode)
			last := l.wants(nil)
			if _, err := c.Record(t.Context(), last); !errors.Is(err, database.ErrCommitUnknown) {
				t.Fatalf("mode %d: %v", mode, err)
			}
			if p, err := c.Record(t.Context(), last); err != nil || len(p.Rewards) != 1 {
				t.Errorf("mode %d: %+v, %v", mode, p, err)
			}
			after, err := l.Figures(t.Context(), l.campaign)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, fmt.Sprintf("mode %d: accrued", mode), after.Accrued.Sub(before.Accrued), "15")
			l.wantProven()
		}
	})
}

func TestPurchasesOfAnUnknownCustomerWaitForHim(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		terms := someTerms()
		terms.Reward.Percent = dec("10")
		terms.Condition = "is_first_purchase"
		l := newLife(w, terms)
		newcomer := id.New("cus")
		of := func(change func(*cashback.PurchaseRequest)) cashback.PurchaseRequest {
			return l.wants(func(r *cashback.PurchaseRequest) {
				r.CustomerID = newcomer
				change(r)
			})
		}
		// The later one comes first; and returns of both, one of which names no purchase.
		later := l.record(of(func(r *cashback.PurchaseRequest) { r.Lines[0].Product = "later" }))
		earlier := l.record(of(func(r *cashback.PurchaseRequest) { r.At = noon.Add(-time.Hour) }))
		for _, p := range []cashback.Purchase{later, earlier} {
			if p.Status != cashback.Held || p.Evaluation != nil || len(p.Rewards) > 0 {
				t.Errorf("%+v", p)
			}
		}
		returns := make([]cashback.Return, 3)
		for i, r := range []cashback.ReturnRequest{
			{PurchaseID: earlier.ID, Lines: []cashback.ReturnedLine{{Product: "85123A", Quantity: 1}}},
			{CustomerID: newcomer, MerchantID: "shop", Lines: []cashback.ReturnedLine{{Product: "later", Quantity: 2}}},
			{PurchaseID: earlier.ID, Lines: []cashback.ReturnedLine{{Product: "85123A", Quantity: 2}}},
		} {
			r.ID, r.At = id.New("r"), noon.Add(time.Duration(i)*time.Second)
			var err error
			if returns[i], err = l.Return(t.Context(), r); err != nil || returns[i].Status != cashback.ReturnWaiting {
				t.Fatalf("%+v, %v", returns[i], err)
			}
		}
		l.wantProven()
		if _, err := l.PutCustomer(t.Context(), cashback.CustomerRequest{ID: newcomer, AccountID: w.account(ledger.Wallet, "USD", "0")}); err != nil {
			t.Fatal(err)
		}
		p := l.purchase(earlier.ID)
		if p.Status != cashback.Accepted || len(p.Rewards) != 1 || !rewarded(p).Equal(dec("5")) || !slices.Equal(p.Taken, []int64{1}) {
			t.Errorf("%+v", p)
		}
		if p := l.purchase(later.ID); p.Status != cashback.Returned || l.reasonOf(p) != rules.ConditionFalse {
			t.Errorf("%+v", p)
		}
		for i, want := range []struct {
			status   cashback.ReturnStatus
			reversed string
		}{{cashback.ReturnApplied, "5"}, {cashback.ReturnApplied, "0"}, {cashback.ReturnRefused, "0"}} {
			got, err := l.ReturnByID(t.Context(), returns[i].ID)
			if err != nil || got.Status != want.status || !got.Reversed.Equal(dec(want.reversed)) || (got.Failure != nil) != (want.status == cashback.ReturnRefused) {
				t.Errorf("%d: %+v, %v", i, got, err)
			}
		}
		// The same return again tells what became of it.
		again, err := l.Return(t.Context(), returns[2].ReturnRequest)
		if !errors.Is(err, cashback.ReturnExceedsPurchase.Failure("")) || again.Status != cashback.ReturnRefused {
			t.Errorf("%+v, %v", again, err)
		}
		l.wantFigures(figures{"5", "0", "0", "5", "0", "0"})
	})
}

func TestTiersFollowWhatWasSpent(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		terms := someTerms()
		terms.Reward.Multipliers = map[string]decimal.Decimal{"silver": dec("2"), "gold": dec("3")}
		l := newLife(w, terms)
		if _, err := l.ChangeProgram(t.Context(), 0, rules.Program{
			Tiers: []rules.Tier{{Name: "silver", MinSpend: dec("100")}, {Name: "gold", MinSpend: dec("300")}}, TierDays: 10, TierCurrency: "USD",
		}); err != nil {
			t.Fatal(err)
		}
		day := func(n int) time.Time { return noon.AddDate(0, 0, -20+n) }
		for i, step := range []struct {
			day      int
			quantity int64
			currency string
			tier     string // that it is evaluated under
			spend    string
			now      string // tier after it
		}{
			{1, 2, "USD", "", "0", "silver"},          // 100 on day 1
			{5, 4, "USD", "silver", "100", "gold"},    // 200 on day 5
			{5, 2, "EUR", "gold", "300", "gold"},      // another currency does not count
			{11, 1, "USD", "silver", "200", "silver"}, // days 2 to 11: the first day is out
			{3, 2, "USD", "silver", "100", "gold"},    // late: of its own day, and the newest day's spend is 350
			{20, 1, "USD", "", "50", "silver"},        // days 11 to 20 have 50 before it
		} {
			p := l.record(l.wants(func(r *cashback.PurchaseRequest) {
				r.At = day(step.day)
				r.Lines[0].Quantity = step.quantity
				if step.currency != "USD" {
					r.Currency = "EUR"
				}
			}))
			facts := p.Evaluation.Customer
			if facts.Tier != step.tier || !facts.Spend.Equal(dec(step.spend)) || facts.Purchases != int64(i) {
				t.Errorf("step %d: %+v", i, facts)
			}
			customer, err := l.Customer(t.Context(), l.customer.ID)
			if err != nil || customer.Tier != step.now || customer.Purchases != int64(i+1) {
				t.Errorf("step %d: %+v, %v", i, customer, err)
			}
		}
		changes, err := l.TierChanges(t.Context(), l.customer.ID, 10)
		if err != nil {
			t.Fatal(err)
		}
		var tiers []string
		for _, change := range changes {
			tiers = append(tiers, change.Tier+" "+change.Spend.String())
		}
		if want := []string{"silver 100", "gold 350", "silver 250", "gold 300", "silver 100"}; !slices.Equal(tiers, want) {
			t.Errorf("%q, want %q", tiers, want)
		}
		l.wantProven()
	})
}

func TestAPurchaseIsRecordedWhateverTheRulesMakeOfIt(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			name   string
			terms  func(*rules.Terms)
			after  func(l *life)
			reason rules.Reason
			reward string
		}{
			{"a condition that divides by zero", func(terms *rules.Terms) { terms.Condition = "10 / (quantity - 2) > 1" }, nil, rules.EvaluationFailed, "0"},
			{"a line condition that does", func(terms *rules.Terms) { terms.LineCondition = "10 / (quantity - 2) > 1" }, nil, rules.EvaluationFailed, "0"},
			{"the merchant's account is frozen", func(terms *rules.Terms) {
				terms.Funding = rules.Funding{Kind: rules.Merchant, AccountID: w.account(ledger.Merchant, "USD", "100")}
			}, func(l *life) { l.setStatus(l.merchant, ledger.Frozen) }, rules.FundsMissing, "0"},
			{"the merchant's account is closed", func(terms *rules.Terms) {
				terms.Funding = rules.Funding{Kind: rules.Shared, MerchantPercent: dec("50"), AccountID: w.account(ledger.Merchant, "USD", "0")}
			}, func(l *life) {
				if _, err := l.books.CloseAccount(t.Context(), l.merchant); err != nil {
					t.Fatal(err)
				}
			}, rules.FundsMissing, "0"},
			{"the merchant's account has too little", func(terms *rules.Terms) {
				terms.Funding = rules.Funding{Kind: rules.Shared, MerchantPercent: dec("50"), AccountID: w.account(ledger.Merchant, "USD", "2.49")}
			}, nil, rules.FundsMissing, "0"},
			{"the merchant's account has just enough", func(terms *rules.Terms) {
				terms.Funding = rules.Funding{Kind: rules.Shared, MerchantPercent: dec("50"), AccountID: w.account(ledger.Merchant, "USD", "2.50")}
			}, nil, rules.Applied, "5"},
			{"it is over", func(terms *rules.Terms) { terms.To = noon }, nil, "", "0"},
			{"the campaign is disabled", func(*rules.Terms) {}, func(l *life) { l.changes(func(terms *rules.Terms) { terms.Enabled = false }) }, "", "0"},
			{"it rounds to nothing", func(terms *rules.Terms) { terms.Reward.Percent = dec("0.0049") }, nil, rules.RoundsToZero, "0"},
		} {
			merchant := id.New("m")
			terms := someTerms()
			terms.Merchants = []string{merchant}
			c.terms(&terms)
			l := newLife(w, terms)
			if c.after != nil {
				c.after(l)
			}
			p := l.record(l.wants(func(r *cashback.PurchaseRequest) { r.MerchantID = merchant }))
			if p.Status != cashback.Accepted || l.reasonOf(p) != c.reason || !rewarded(p).Equal(dec(c.reward)) {
				t.Errorf("%s: %s, %s: %+v", c.name, p.Status, l.reasonOf(p), p.Evaluation)
			}
			stored := l.purchase(p.ID)
			if l.reasonOf(stored) != c.reason || len(stored.Rewards) != len(p.Rewards) {
				t.Errorf("%s: stored as %+v", c.name, stored)
			}
			l.wantProven()
		}
	})
}

// The merchant's account is that of two campaigns, and has enough for one of them.
func TestCampaignsShareAMerchantsFunds(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		account := w.account(ledger.Merchant, "USD", "8")
		terms := someTerms()
		terms.Funding = rules.Funding{Kind: rules.Merchant, AccountID: account}
		l := newLife(w, terms)
		second := newCampaignID()
		terms.Group = "extra"
		if _, err := w.CreateCampaign(t.Context(), second, terms); err != nil {
			t.Fatal(err)
		}
		p := l.record(l.wants(nil))
		equal(t, "given", rewarded(p), "5")
		equal(t, "given of what is left", rewarded(l.record(l.wants(func(r *cashback.PurchaseRequest) { r.Lines[0].Quantity = 1 }))), "2.5")
		l.wantBalance("the merchant's account", account, "0.5")
		l.wantProven()
	})
}

func TestTheIntakeTakesNoMoreThanItsQueueHolds(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		idle := cashback.New(w.db, w.books, cashback.Options{Clock: w.time, Audit: w.log}) // not running: nothing is taken out
		l := &life{world: w, customer: cashback.Customer{CustomerRequest: cashback.CustomerRequest{ID: "cus_x"}}}
		batch := make([]cashback.PurchaseRequest, cashback.MaxBatch)
		for i := range batch {
			batch[i] = l.wants(nil)
		}
		for n := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			_, err := idle.RecordBatch(ctx, batch)
			cancel()
			if n < 2 && !errors.Is(err, context.DeadlineExceeded) || n == 2 && !errors.Is(err, ledger.ErrOverloaded) {
				t.Errorf("batch %d: %v", n, err)
			}
		}
		// One that stops takes nothing, and ends at once when nothing waits.
		stopped := cashback.New(w.db, w.books, cashback.Options{Clock: w.time, Audit: w.log, SweepInterval: time.Hour})
		ctx, stop := context.WithCancel(t.Context())
		stop()
		stopped.Run(ctx)
		if _, err := stopped.Record(t.Context(), l.wants(nil)); !errors.Is(err, ledger.ErrShuttingDown) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// Whoever reports purchases and returns is in the audit trail: once a request, however
// many share a transaction, and only with what was new.
func TestTheAuditTrailTellsWhoReports(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		batches := make([][]cashback.PurchaseRequest, 4)
		for i := range batches {
			batches[i] = []cashback.PurchaseRequest{l.wants(nil), l.wants(nil), l.wants(func(r *cashback.PurchaseRequest) { r.Currency = "EUR" })}
		}
		recordAll := func() {
			atOnce(len(batches), func(i int) {
				if _, err := l.RecordBatch(as(t, fmt.Sprintf("key_%d", i)), batches[i]); err != nil {
					t.Error(err)
				}
			})
		}
		want := func(target, action, actor, after string) {
			t.Helper()
			events := w.events(target)
			if len(events) != 1 || events[0].Action != action || events[0].Origin.ActorID != actor || events[0].Origin.Address != "192.0.2.7" || events[0].Result != audit.OK {
				t.Fatalf("%+v", events)
			}
			if got := strings.ReplaceAll(string(events[0].After), " ", ""); got != after {
				t.Errorf("%s, want %s", got, after)
			}
		}
		recordAll()
		recordAll() // is the same again
		for i, batch := range batches {
			want(batch[0].ID, "purchases.recorded", fmt.Sprintf("key_%d", i), `{"count":3,"rewards":{"USD":"10.00"}}`)
		}
		// Of a request that was begun before, what is new.
		batches[0] = append(batches[0], l.wants(nil))
		recordAll()
		want(batches[0][3].ID, "purchases.recorded", "key_0", `{"count":1,"rewards":{"USD":"5.00"}}`)

		results, err := l.ReturnBatch(as(t, "usr_ann"), []cashback.ReturnRequest{
			{ID: "back-1", PurchaseID: batches[1][0].ID, At: noon, Amount: amountOf("50")}, {ID: "back-2", PurchaseID: batches[1][2].ID, At: noon},
		})
		if err != nil || results[0].Err != nil || results[1].Err != nil {
			t.Fatal(results, err)
		}
		want("back-1", "returns.recorded", "usr_ann", `{"count":2,"reversed":{"USD":"2.50"}}`)

		// What nobody asks for leaves no event.
		quiet := l.wants(nil)
		if _, err := l.Record(t.Context(), quiet); err != nil {
			t.Fatal(err)
		}
		if events := w.events(quiet.ID); len(events) != 0 {
			t.Errorf("%+v", events)
		}
	})
}

// One that the database refuses does not harm those that came with it.
func TestAPoisonousPurchaseFailsAlone(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		execute(t, w.db, "ALTER TABLE purchases ADD CONSTRAINT purchases_no_poison CHECK (country <> 'poison')")
		requests := make([]cashback.PurchaseRequest, 9)
		for i := range requests {
			requests[i] = l.wants(nil)
		}
		requests[3].Country, requests[7].Country = "poison", "poison"
		results, err := l.RecordBatch(t.Context(), requests)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range results {
			if isPoison := i == 3 || i == 7; isPoison != (got.Err != nil) || !isPoison && len(got.Purchase.Rewards) != 1 {
				t.Errorf("%d: %+v", i, got)
			}
		}
		l.wantFigures(figures{"35", "0", "0", "0", "0", "0"})
	})
}

// Nor does one that waits for what others keep locked.
func TestAPurchaseThatTakesTooLongFailsAlone(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, ofOneShop(sharedTerms(w)))
		c := w.hurried()
		requests := make([]cashback.PurchaseRequest, 3)
		for i := range requests {
			requests[i] = l.wants(nil)
		}
		requests[1].MerchantID = l.shop
		unlock := w.lockAccount(l.merchant)
		if _, err := c.RecordBatch(t.Context(), requests); !errors.Is(err, database.ErrOutOfTime) || errors.Is(err, database.ErrUnavailable) {
			t.Errorf("%v, want ErrOutOfTime, which is no outage", err)
		}
		for i, r := range requests {
			_, err := c.Purchase(t.Context(), r.ID)
			if isSlow := i == 1; isSlow != errors.Is(err, cashback.PurchaseNotFound.Failure("")) || !isSlow && err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
		unlock()
		results, err := c.RecordBatch(t.Context(), requests)
		if err != nil || results[1].Err != nil || len(results[1].Purchase.Rewards) != 1 {
			t.Fatalf("again: %+v, %v", results, err)
		}
		l.wantProven()
	})
}

func TestPurchasesAreListed(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		other := w.customer()
		for i := range 5 {
			l.record(l.wants(func(r *cashback.PurchaseRequest) {
				r.ID, r.At = fmt.Sprint("p", i), noon.Add(time.Duration(i/2)*time.Hour)
				r.CustomerID = []string{l.customer.ID, other.ID}[i%2]
				r.MerchantID = []string{"shop", "mall"}[i/4]
				r.PaymentReference = []string{"", "pi_1"}[i/3]
			}))
		}
		for _, c := range []struct {
			filter cashback.PurchaseFilter
			want   []string
		}{
			{cashback.PurchaseFilter{}, []string{"p4", "p3", "p2", "p1", "p0"}},
			{cashback.PurchaseFilter{CustomerID: l.customer.ID}, []string{"p4", "p2", "p0"}},
			{cashback.PurchaseFilter{CustomerID: l.customer.ID, MerchantID: "shop"}, []string{"p2", "p0"}},
			{cashback.PurchaseFilter{CustomerID: l.customer.ID, PaymentReference: "pi_1"}, []string{"p4"}},
			{cashback.PurchaseFilter{MerchantID: "shop"}, []string{"p3", "p2", "p1", "p0"}},
			{cashback.PurchaseFilter{PaymentReference: "pi_1"}, []string{"p4", "p3"}},
			{cashback.PurchaseFilter{PaymentReference: "pi_1", MerchantID: "mall"}, []string{"p4"}},
			{cashback.PurchaseFilter{From: noon.Add(time.Hour), To: noon.Add(2 * time.Hour)}, []string{"p3", "p2"}},
			{cashback.PurchaseFilter{MerchantID: "shop", To: noon.Add(time.Hour)}, []string{"p1", "p0"}},
			{cashback.PurchaseFilter{MerchantID: "nowhere"}, nil},
		} {
			var got []string
			for after := (*cashback.Position)(nil); ; {
				page, err := l.Purchases(t.Context(), c.filter, after, 2)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range page {
					got = append(got, p.ID)
				}
				if len(page) < 2 {
					break
				}
				at := page[1].Position()
				after = &at
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%+v: %v, want %v", c.filter, got, c.want)
			}
		}
		_, err := l.Purchases(t.Context(), cashback.PurchaseFilter{}, nil, 0)
		wantInvalid(t, err, "limit")
	})
}
