package cashback_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/id"
)

func lineOf(i int) *int { return &i }

func amountOf(text string) decimal.NullDecimal { return decimal.NewNullDecimal(dec(text)) }

// returns reports a return, of now.
func (l *life) returns(r cashback.ReturnRequest) (cashback.Return, error) {
	l.t.Helper()
	if r.ID == "" {
		r.ID = id.New("r")
	}
	if r.At.IsZero() {
		r.At = l.time()
	}
	r.Source = "api"
	return l.Return(as(l.t, "key_shop"), r)
}

// basket has three lines of two products: 30 + 20 + 10.
func basket(r *cashback.PurchaseRequest) {
	r.Lines = []rules.Line{
		{Product: "a", Quantity: 3, UnitPrice: dec("10")}, {Product: "b", Quantity: 1, UnitPrice: dec("20")},
		{Product: "a", Quantity: 4, UnitPrice: dec("2.50")},
	}
}

func TestAReturnTakesOffWhatItNames(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		terms := someTerms()
		terms.Reward.Percent = dec("10")
		l := newLife(w, terms)
		for _, c := range []struct {
			name     string
			request  cashback.ReturnRequest
			code     cashback.Code
			parts    []cashback.ReturnedPart
			reversed string
			taken    []int64
			status   cashback.PurchaseStatus
		}{
			{
				"a line", cashback.ReturnRequest{Lines: []cashback.ReturnedLine{{Line: lineOf(1), Quantity: 1}}}, "",
				[]cashback.ReturnedPart{{Line: 1, Quantity: 1, Amount: "20"}}, "2", []int64{0, 1, 0}, cashback.Accepted,
			},
			{
				"a product of two lines", cashback.ReturnRequest{Lines: []cashback.ReturnedLine{{Product: "a", Quantity: 5}}}, "",
				[]cashback.ReturnedPart{{Line: 0, Quantity: 3, Amount: "30"}, {Line: 2, Quantity: 2, Amount: "5"}}, "3.5", []int64{3, 0, 2}, cashback.Accepted,
			},
			{
				"a line by its place and again by its product", cashback.ReturnRequest{Lines: []cashback.ReturnedLine{{Line: lineOf(0), Quantity: 2}, {Product: "a", Quantity: 2}}}, "",
				[]cashback.ReturnedPart{{Line: 0, Quantity: 3, Amount: "30"}, {Line: 2, Quantity: 1, Amount: "2.5"}}, "3.25", []int64{3, 0, 1}, cashback.Accepted,
			},
			{
				"all of it", cashback.ReturnRequest{}, "",
				[]cashback.ReturnedPart{{Line: 0, Quantity: 3, Amount: "30"}, {Line: 1, Quantity: 1, Amount: "20"}, {Line: 2, Quantity: 4, Amount: "10"}},
				"6", []int64{3, 1, 4}, cashback.Returned,
			},
			{
				"an amount", cashback.ReturnRequest{Amount: amountOf("12.50")}, "",
				[]cashback.ReturnedPart{{Line: -1, Amount: "12.5"}}, "1.25", nil, cashback.Accepted,
			},
			{
				"the whole amount", cashback.ReturnRequest{Amount: amountOf("60")}, "",
				[]cashback.ReturnedPart{{Line: -1, Amount: "60"}}, "6", nil, cashback.Returned,
			},
			{"too many of a line", cashback.ReturnRequest{Lines: []cashback.ReturnedLine{{Line: lineOf(1), Quantity: 2}}}, cashback.ReturnExceedsPurchase, nil, "0", nil, cashback.Accepted},
			{
				"too many of a line, in two", cashback.ReturnRequest{Lines: []cashback.ReturnedLine{{Line: lineOf(0), Quantity: 2}, {Line: lineOf(0), Quantity: 2}}},
				cashback.ReturnExceedsPurchase, nil, "0", nil, cashback.Accepted,
			},
			{"too many of a product", cashback.ReturnRequest{Lines: []cashback.ReturnedLine{{Product: "a", Quantity: 8}}}, cashback.ReturnExceedsPurchase, nil, "0", nil, cashback.Accepted},
			{"a line that is not there", cashback.ReturnRequest{Lines: []cashback.ReturnedLine{{Line: lineOf(3), Quantity: 1}}}, cashback.ReturnExceedsPurchase, nil, "0", nil, cashback.Accepted},
			{"a product that is not there", cashback.ReturnRequest{Lines: []cashback.ReturnedLine{{Product: "c", Quantity: 1}}}, cashback.ReturnExceedsPurchase, nil, "0", nil, cashback.Accepted},
			{"too large an amount", cashback.ReturnRequest{Amount: amountOf("60.0001")}, cashback.ReturnExceedsPurchase, nil, "0", nil, cashback.Accepted},
		} {
			p := l.record(l.wants(basket))
			c.request.PurchaseID = p.ID
			got, err := l.returns(c.request)
			for i := range c.parts {
				c.parts[i].PurchaseID = p.ID
			}
			status := cashback.ReturnApplied
			if c.code != "" {
				status = cashback.ReturnRefused
			}
			if (c.code == "") != (err == nil) || c.code != "" && !errors.Is(err, c.code.Failure("")) || got.Status != status ||
				!slices.Equal(got.Parts, c.parts) || !got.Reversed.Equal(dec(c.reversed)) || got.RecordedBy != "key_shop" {
				t.Errorf("%s: %+v, %v", c.name, got, err)
			}
			stored, err := l.ReturnByID(t.Context(), got.ID)
			if err != nil || stored.Status != status || (stored.Currency == "USD") != (c.code == "") || stored.Currency != got.Currency || !slices.Equal(stored.Parts, c.parts) || !stored.Reversed.Equal(dec(c.reversed)) || (stored.Failure == nil) != (c.code == "") {
				t.Errorf("%s is stored as %+v, %v", c.name, stored, err)
			}
			after := l.purchase(p.ID)
			if after.Status != c.status || !slices.Equal(after.Taken, c.taken) || !rewarded(after).Equal(dec("6").Sub(dec(c.reversed))) {
				t.Errorf("%s leaves %+v", c.name, after)
			}
			again, err := l.Return(t.Context(), got.ReturnRequest)
			if (c.code == "") != (err == nil) || again.Status != status || !slices.Equal(again.Parts, c.parts) {
				t.Errorf("%s again: %+v, %v", c.name, again, err)
			}
			other := got.ReturnRequest
			other.At = other.At.Add(time.Second)
			if _, err := l.Return(t.Context(), other); !errors.Is(err, cashback.DuplicateReturn.Failure("")) {
				t.Errorf("another under the id of %s: %v", c.name, err)
			}
		}
		if _, err := l.ReturnByID(t.Context(), "no-such"); !errors.Is(err, cashback.ReturnNotFound.Failure("")) {
			t.Error(err)
		}
		l.wantProven()
	})
}

func TestReturnsOfOnePurchaseFollowOneAnother(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		terms := someTerms()
		terms.Reward.Percent = dec("10")
		terms.Funding = rules.Funding{Kind: rules.Shared, AccountID: w.account(ledger.Merchant, "USD", "100"), MerchantPercent: dec("33")}
		l := newLife(w, terms)
		p := l.record(l.wants(basket)) // 60, of which 6.00, of which the merchant pays 1.98
		for _, step := range []struct {
			request  cashback.ReturnRequest
			code     cashback.Code
			returned string // of the purchase, in the end
			kept     string // of the reward
			merchant string // what he has then
		}{
			{cashback.ReturnRequest{Lines: []cashback.ReturnedLine{{Product: "b", Quantity: 1}}}, "", "20", "4", "98.68"},
			// A quarter of the 40 that are left: lines are worth three quarters from now on.
			{cashback.ReturnRequest{Amount: amountOf("10")}, "", "30", "3", "99.01"},
			{cashback.ReturnRequest{Lines: []cashback.ReturnedLine{{Line: lineOf(0), Quantity: 1}}}, "", "37.5", "2.25", "99.26"},
			{cashback.ReturnRequest{Lines: []cashback.ReturnedLine{{Line: lineOf(0), Quantity: 3}}}, cashback.ReturnExceedsPurchase, "37.5", "2.25", "99.26"},
			{cashback.ReturnRequest{Amount: amountOf("22.51")}, cashback.ReturnExceedsPurchase, "37.5", "2.25", "99.26"},
			{cashback.ReturnRequest{}, "", "60", "0", "100"},
			{cashback.ReturnRequest{}, cashback.NothingToReturn, "60", "0", "100"},
			{cashback.ReturnRequest{Amount: amountOf("0.01")}, cashback.NothingToReturn, "60", "0", "100"},
		} {
			step.request.PurchaseID = p.ID
			_, err := l.returns(step.request)
			if (step.code == "") != (err == nil) || step.code != "" && !errors.Is(err, step.code.Failure("")) {
				t.Errorf("%+v: %v", step.request, err)
			}
			after := l.purchase(p.ID)
			equal(t, "returned", after.Returned, step.returned)
			equal(t, "kept", rewarded(after), step.kept)
			l.wantBalance("the merchant's account", terms.Funding.AccountID, step.merchant)
			l.wantProven()
		}
	})
}

// What is kept is what counts: a minimum spend that is not reached any more, a fixed
// reward, a reward that was capped.
func TestARewardIsReckonedAnewForWhatIsKept(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			name  string
			terms func(*rules.Terms)
			line  string // product of which all comes back; empty for 1.00 of 60.00
			kept  string
		}{
			{"half of it", func(*rules.Terms) {}, "b", "2"},
			{"the minimum spend is missed", func(terms *rules.Terms) { terms.MinimumSpend = dec("41") }, "b", "0"},
			{"the minimum spend is kept", func(terms *rules.Terms) { terms.MinimumSpend = dec("40") }, "b", "2"},
			{"a fixed reward stays", func(terms *rules.Terms) { terms.Reward = rules.Reward{Kind: rules.Fixed, Amount: dec("4")} }, "b", "4"},
			{"a fixed reward goes with its lines", func(terms *rules.Terms) {
				terms.Reward = rules.Reward{Kind: rules.Fixed, Amount: dec("4")}
				terms.LineCondition = `product == "b"`
			}, "b", "0"},
			{"a capped reward stays capped", func(terms *rules.Terms) { terms.Caps.PerPurchase = dec("1") }, "b", "1"},
			{"an amount leaves the quantity", func(terms *rules.Terms) { terms.LineCondition = `line_quantity >= 4` }, "", "0.49"},
			{"an amount leaves the price", func(terms *rules.Terms) { terms.LineCondition = `unit_price >= 20` }, "", "0.98"},
			{"lines that do not count", func(terms *rules.Terms) { terms.LineCondition = `product == "b"` }, "a", "1"},
		} {
			merchant := id.New("m")
			terms := someTerms()
			terms.Merchants, terms.Reward.Percent = []string{merchant}, dec("5")
			c.terms(&terms)
			l := newLife(w, terms)
			p := l.record(l.wants(func(r *cashback.PurchaseRequest) {
				basket(r)
				r.MerchantID = merchant
			}))
			// Terms that are changed later are not asked.
			l.changes(func(terms *rules.Terms) {
				terms.MinimumSpend, terms.Reward = dec("1000"), rules.Reward{Kind: rules.Fixed, Amount: dec("1")}
			})
			request := cashback.ReturnRequest{PurchaseID: p.ID, Amount: amountOf("1")}
			if c.line != "" {
				quantity := map[string]int64{"a": 7, "b": 1}[c.line]
				request = cashback.ReturnRequest{PurchaseID: p.ID, Lines: []cashback.ReturnedLine{{Product: c.line, Quantity: quantity}}}
			}
			if _, err := l.returns(request); err != nil {
				t.Fatal(err)
			}
			equal(t, c.name, rewarded(l.purchase(p.ID)), c.kept)
		}
		(&life{world: w}).wantProven()
	})
}

func TestARefundMayComeBeforeItsPurchase(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		request := l.wants(nil)
		var ids []string
		for i, amount := range []string{"20", "30", "60"} { // reported in another order than they happened
			r, err := l.returns(cashback.ReturnRequest{PurchaseID: request.ID, Amount: amountOf(amount), At: noon.Add(-time.Duration(i) * time.Second)})
			if err != nil || r.Status != cashback.ReturnWaiting {
				t.Fatalf("%+v, %v", r, err)
			}
			ids = append(ids, r.ID)
		}
		p := l.record(request)
		equal(t, "returned", p.Returned, "90") // the 60 and the 30, and then not the 20
		equal(t, "kept", rewarded(p), "0.5")
		for i, want := range []cashback.ReturnStatus{cashback.ReturnRefused, cashback.ReturnApplied, cashback.ReturnApplied} {
			if r, err := l.ReturnByID(t.Context(), ids[i]); err != nil || r.Status != want {
				t.Errorf("%d: %+v, %v", i, r, err)
			}
		}
		l.wantFigures(figures{"0.5", "0", "0", "4.5", "0", "0"})

		// In one batch, before and after the purchase.
		second := l.wants(nil)
		atOnce(2, func(i int) {
			if i == 0 {
				_, _ = l.Record(t.Context(), second)
				return
			}
			_, err := l.ReturnBatch(t.Context(), []cashback.ReturnRequest{
				{ID: id.New("r"), PurchaseID: second.ID, Amount: amountOf("10"), At: noon}, {ID: id.New("r"), PurchaseID: second.ID, Amount: amountOf("10"), At: noon},
			})
			if err != nil {
				t.Error(err)
			}
		})
		equal(t, "returned", l.purchase(second.ID).Returned, "20")
		l.wantProven()
	})
}

func TestAReturnWithoutAPurchaseTakesTheNewestFirst(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		terms := someTerms()
		terms.Reward.Percent = dec("10")
		l := newLife(w, terms)
		buy := func(purchaseID string, hours int, change func(*cashback.PurchaseRequest)) {
			l.record(l.wants(func(r *cashback.PurchaseRequest) {
				basket(r)
				r.ID, r.At = purchaseID, noon.Add(time.Duration(hours)*time.Hour)
				change(r)
			}))
		}
		plain := func(*cashback.PurchaseRequest) {}
		buy("p1", -5, plain)
		buy("p2", -3, plain)
		buy("p3", -3, plain)
		buy("elsewhere", -2, func(r *cashback.PurchaseRequest) { r.MerchantID = "mall" })
		buy("in-euros", -6, func(r *cashback.PurchaseRequest) { r.Currency = "EUR" })
		other := w.customer()
		buy("of-another", -2, func(r *cashback.PurchaseRequest) { r.CustomerID = other.ID })
		buy("later", 1, plain)

		unreferenced := func(lines ...cashback.ReturnedLine) (cashback.Return, error) {
			return l.returns(cashback.ReturnRequest{CustomerID: l.customer.ID, MerchantID: "shop", Lines: lines})
		}
		for _, c := range []struct {
			lines    []cashback.ReturnedLine
			code     cashback.Code
			parts    []string
			reversed string
		}{
			// The newest of its time by the id; lines by their place.
			{[]cashback.ReturnedLine{{Product: "a", Quantity: 4}}, "", []string{"p3 0 3 30", "p3 2 1 2.5"}, "3.25"},
			{[]cashback.ReturnedLine{{Product: "a", Quantity: 5}, {Product: "b", Quantity: 2}}, "", []string{"p3 1 1 20", "p3 2 3 7.5", "p2 0 2 20", "p2 1 1 20"}, "6.75"},
			// What was not bought is left out; other currencies are left alone.
			{[]cashback.ReturnedLine{{Product: "b", Quantity: 9}, {Product: "c", Quantity: 1}, {Product: "a", Quantity: 1}}, "", []string{"p2 0 1 10", "p1 1 1 20"}, "3"},
			{[]cashback.ReturnedLine{{Product: "c", Quantity: 1}}, cashback.NothingToReturn, nil, "0"},
			{[]cashback.ReturnedLine{{Product: "a", Quantity: 1000}}, "", []string{"p2 2 4 10", "p1 0 3 30", "p1 2 4 10"}, "5"},
			{[]cashback.ReturnedLine{{Product: "a", Quantity: 1000}}, "", []string{"in-euros 0 3 30", "in-euros 2 4 10"}, "0"},
			{[]cashback.ReturnedLine{{Product: "a", Quantity: 1}}, cashback.NothingToReturn, nil, "0"},
		} {
			r, err := unreferenced(c.lines...)
			var parts []string
			for _, part := range r.Parts {
				parts = append(parts, fmt.Sprintf("%s %d %d %s", part.PurchaseID, part.Line, part.Quantity, part.Amount))
			}
			if (c.code == "") != (err == nil) || c.code != "" && !errors.Is(err, c.code.Failure("")) || !slices.Equal(parts, c.parts) || !r.Reversed.Equal(dec(c.reversed)) {
				t.Errorf("%+v: %q, %s, %v", c.lines, parts, r.Reversed, err)
			}
		}
		for purchaseID, want := range map[string]cashback.PurchaseStatus{
			"p1": cashback.Returned, "p2": cashback.Returned, "p3": cashback.Returned, "elsewhere": cashback.Accepted, "in-euros": cashback.Accepted,
			"of-another": cashback.Accepted, "later": cashback.Accepted,
		} {
			if p := l.purchase(purchaseID); p.Status != want {
				t.Errorf("%s is %s, want %s", purchaseID, p.Status, want)
			}
		}
		l.wantProven()
	})
}

// More purchases than are looked at at first, some of which others return meanwhile.
func TestAReturnWithoutAPurchaseLooksAsFarBackAsItMust(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		requests := make([]cashback.PurchaseRequest, 100)
		for i := range requests {
			requests[i] = l.wants(func(r *cashback.PurchaseRequest) { r.At = noon.Add(-time.Duration(i) * time.Minute) })
		}
		if _, err := l.RecordBatch(t.Context(), requests); err != nil {
			t.Fatal(err)
		}
		r, err := l.returns(cashback.ReturnRequest{CustomerID: l.customer.ID, MerchantID: "shop", Lines: []cashback.ReturnedLine{{Product: "85123A", Quantity: 160}}})
		if err != nil || len(r.Parts) != 80 || !r.Reversed.Equal(dec("400")) {
			t.Errorf("%d parts, %s, %v", len(r.Parts), r.Reversed, err)
		}
		if p := l.purchase(requests[80].ID); p.Taken != nil {
			t.Errorf("%+v", p)
		}
		l.wantFigures(figures{"100", "0", "0", "400", "0", "0"})
	})
}

// So far and no further. What is wanted may have been bought in a currency of which
// the rest is far back.
func TestAReturnWithoutAPurchaseLooksSoFarBack(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		requests := make([]cashback.PurchaseRequest, cashback.LookbackMax+2)
		for i := range requests {
			requests[i] = l.wants(func(r *cashback.PurchaseRequest) {
				r.At = noon.Add(-time.Duration(i) * time.Minute)
				switch i {
				case 0, 500:
					r.Currency = "EUR"
				case cashback.LookbackMax - 1, cashback.LookbackMax:
					r.Lines[0].Product = "old"
				case cashback.LookbackMax + 1:
					r.Lines[0].Product, r.MerchantID = "old", "mall"
				}
			})
		}
		if _, err := l.RecordBatch(t.Context(), requests); err != nil {
			t.Fatal(err)
		}
		find := func(merchantID, product string, quantity int64) (found []int, err error) {
			t.Helper()
			r, err := l.returns(cashback.ReturnRequest{CustomerID: l.customer.ID, MerchantID: merchantID, Lines: []cashback.ReturnedLine{{Product: product, Quantity: quantity}}})
			for _, part := range r.Parts {
				found = append(found, slices.IndexFunc(requests, func(p cashback.PurchaseRequest) bool { return p.ID == part.PurchaseID }))
			}
			return found, err
		}
		if found, err := find("shop", "old", 4); err != nil || !slices.Equal(found, []int{cashback.LookbackMax - 1}) {
			t.Errorf("%v, %v", found, err)
		}
		if found, err := find("mall", "old", 1); !errors.Is(err, cashback.NothingToReturn.Failure("")) {
			t.Errorf("%v, %v", found, err)
		}
		if found, err := find("shop", "85123A", 3); err != nil || !slices.Equal(found, []int{0, 500}) {
			t.Errorf("%v, %v", found, err)
		}

		// What returns concern is found out by a server that has just begun, too.
		returns := make([]cashback.ReturnRequest, 0, len(requests))
		for _, r := range requests {
			returns = append(returns, cashback.ReturnRequest{ID: id.New("r"), PurchaseID: r.ID, At: noon})
		}
		results, err := w.replica().ReturnBatch(t.Context(), returns)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			// Two are returned whole already.
			if isGone := i == 0 || i == cashback.LookbackMax-1; isGone != (r.Err != nil) {
				t.Errorf("%d: %+v", i, r)
			}
		}
		l.wantProven()
	})
}

func TestSeveralReturnsOfOneBatchShareWhatWasBought(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		terms := someTerms()
		terms.Budget = dec("2000")
		l := newLife(w, terms)
		var requests []cashback.PurchaseRequest
		for i := range 250 {
			requests = append(requests, l.wants(func(r *cashback.PurchaseRequest) { r.At = noon.Add(-time.Duration(i) * time.Minute) }))
		}
		if _, err := l.RecordBatch(t.Context(), requests); err != nil {
			t.Fatal(err)
		}
		var returns []cashback.ReturnRequest
		for range 6 {
			returns = append(returns, cashback.ReturnRequest{
				ID: id.New("r"), CustomerID: l.customer.ID, MerchantID: "shop", At: noon, Lines: []cashback.ReturnedLine{{Product: "85123A", Quantity: 90}},
			})
		}
		results, err := l.ReturnBatch(t.Context(), returns)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results { // five times 45 of 250 purchases, and the rest
			if want := []int{45, 45, 45, 45, 45, 25}[i]; r.Err != nil || len(r.Return.Parts) != want {
				t.Errorf("%d: %d parts, %v", i, len(r.Return.Parts), r.Err)
			}
		}
		l.wantFigures(figures{"0", "0", "0", "1250", "0", "0"})
	})
}

func TestAReturnThatNamesAnothersPurchaseIsRefused(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		request := l.wants(nil)
		early, err := l.returns(cashback.ReturnRequest{PurchaseID: request.ID, CustomerID: "another"})
		if err != nil || early.Status != cashback.ReturnWaiting {
			t.Fatalf("%+v, %v", early, err)
		}
		p := l.record(request)
		if r, err := l.ReturnByID(t.Context(), early.ID); err != nil || r.Status != cashback.ReturnRefused || r.Failure.Code != cashback.PurchaseNotFound {
			t.Errorf("%+v, %v", r, err)
		}
		for _, c := range []struct {
			customerID, merchantID string
			isRefused              bool
		}{
			{"another", "", true}, {"", "mall", true}, {l.customer.ID, "mall", true}, {"another", "shop", true},
			{l.customer.ID, "", false}, {"", "shop", false}, {l.customer.ID, "shop", false},
		} {
			r, err := l.returns(cashback.ReturnRequest{PurchaseID: p.ID, CustomerID: c.customerID, MerchantID: c.merchantID, Amount: amountOf("10")})
			if c.isRefused != errors.Is(err, cashback.PurchaseNotFound.Failure("")) || c.isRefused != (r.Status == cashback.ReturnRefused) || !c.isRefused && err != nil {
				t.Errorf("%+v: %+v, %v", c, r, err)
			}
		}
		equal(t, "returned", l.purchase(p.ID).Returned, "30")
		l.wantProven()
	})
}

// Purchases, returns of all kinds, sweeps and two replicas, in any order: nothing is
// made or lost. What is left is reckoned by Verify.
func TestWhateverHappensTheBooksAgree(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		terms := sharedTerms(w)
		terms.Budget, terms.Caps = dec("80"), rules.Caps{PerCustomer: dec("20"), CustomerPeriod: rules.Week, PerPurchase: dec("7")}
		terms.ReturnDays = 1
		l := newLife(w, terms)
		second := someTerms()
		second.Group, second.Reward = "extra", rules.Reward{Kind: rules.Fixed, Amount: dec("0.37")}
		second.LineCondition = `product == "a"`
		if _, err := w.CreateCampaign(t.Context(), newCampaignID(), second); err != nil {
			t.Fatal(err)
		}
		other := newWorld(t, w.url)
		both := []*cashback.Cashback{w.Cashback, other.Cashback}
		customers := []cashback.Customer{l.customer, w.customer(), {CustomerRequest: cashback.CustomerRequest{ID: "late", AccountID: w.account(ledger.Wallet, "USD", "0")}}}
		const callers, steps = 6, 40
		var mu sync.Mutex
		var purchases []cashback.PurchaseRequest
		atOnce(callers, func(caller int) {
			random := rand.New(rand.NewPCG(uint64(caller), 7)) //nolint:gosec // the same run each time
			c := both[caller%2]
			persist := func(f func() error) {
				for {
					err := f()
					if failure := (*cashback.Failure)(nil); err == nil || errors.As(err, &failure) {
						return
					}
					if !errors.Is(err, database.ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
			for step := range steps {
				var r cashback.ReturnRequest
				mu.Lock()
				if len(purchases) > 0 {
					r.PurchaseID = purchases[random.IntN(len(purchases))].ID
				}
				mu.Unlock()
				r.ID, r.At = id.New("r"), noon
				switch what := random.IntN(10); {
				case what < 5 || r.PurchaseID == "":
					request := l.wants(basket)
					request.CustomerID = customers[random.IntN(3)].ID
					request.At = noon.AddDate(0, 0, -random.IntN(9))
					request.Lines[0].UnitPrice = decimal.New(random.Int64N(500_000), -4)
					mu.Lock()
					purchases = append(purchases, request) // its returns may be first
					mu.Unlock()
					persist(func() error { _, err := c.Record(t.Context(), request); return err })
				case what == 5:
					r.Lines = []cashback.ReturnedLine{{Product: "a", Quantity: 1 + random.Int64N(5)}}
					persist(func() error { _, err := c.Return(t.Context(), r); return err })
				case what == 6:
					r.Amount = decimal.NewNullDecimal(decimal.New(1+random.Int64N(300_000), -4))
					persist(func() error { _, err := c.Return(t.Context(), r); return err })
				case what == 7:
					persist(func() error { _, err := c.Return(t.Context(), r); return err })
				case what == 8:
					r.PurchaseID, r.CustomerID, r.MerchantID = "", customers[random.IntN(3)].ID, "shop"
					r.Lines = []cashback.ReturnedLine{{Product: "b", Quantity: 1 + random.Int64N(2)}, {Product: "a", Quantity: 1}}
					persist(func() error { _, err := c.Return(t.Context(), r); return err })
				default:
					persist(func() error { return c.SettleDue(t.Context()) })
				}
				if caller == 0 && step == steps/2 {
					persist(func() error { _, err := c.PutCustomer(t.Context(), customers[2].CustomerRequest); return err })
				}
			}
		})
		// What was under way while its customer was entered waits for a sweep, or for
		// somebody who enters him again.
		if _, err := w.PutCustomer(t.Context(), customers[2].CustomerRequest); err != nil {
			t.Fatal(err)
		}
		l.wantProven()
		count := func(sql string) (n int) {
			if err := w.db.QueryRow(t.Context(), sql).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if recorded := count("SELECT count(*) FROM purchases"); recorded != len(purchases) {
			t.Errorf("%d of %d purchases are on record", recorded, len(purchases))
		}
		if n := count("SELECT count(*) FROM purchases WHERE status = 'HELD'"); n != 0 {
			t.Errorf("%d purchases are held, though their customer is known", n)
		}
		if n := count("SELECT count(*) FROM purchase_returns WHERE status = 'WAITING'"); n != 0 {
			t.Errorf("%d returns wait, though all purchases are there", n)
		}
	})
}
