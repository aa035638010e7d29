package rules_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
	"florin/internal/money"
)

// TestEveryReason has a case for each reason that Evaluate gives: what leads to it,
// what is given, and what is said of it.
func TestEveryReason(t *testing.T) {
	t.Parallel()
	type world struct {
		terms    rules.Terms
		purchase *rules.Purchase
		customer rules.Customer
		room     rules.Room
	}
	// Two lines, of 60.00 and 40.00 dollars: 5% are 5.00.
	for name, c := range map[string]struct {
		change func(w *world)
		reason rules.Reason
		amount string
		says   string
	}{
		"applied": {func(*world) {}, rules.Applied, "5", "5% of 100.00 USD is 5.00 USD."},
		"applied, rounded": {func(w *world) { w.terms.Reward.Percent = dec("2.1255") }, rules.Applied, "2.13",
			"2.1255% of 100.00 USD is 2.1255 USD, rounded to 2.13 USD."},
		"applied, fixed": {func(w *world) { w.terms.Reward = rules.Reward{Kind: rules.Fixed, Amount: dec("7.5")} }, rules.Applied, "7.5",
			"7.50 USD for a purchase of 100.00 USD."},
		"applied, times the tier's multiplier": {func(w *world) {
			w.terms.Reward.Multipliers, w.customer.Tier = map[string]decimal.Decimal{"gold": dec("1.5")}, "gold"
		}, rules.Applied, "7.5", "5% of 100.00 USD, times 1.5 for the customer's tier, is 7.50 USD."},
		"applied, fixed times the multiplier": {func(w *world) {
			w.terms.Reward = rules.Reward{Kind: rules.Fixed, Amount: dec("2"), Multipliers: map[string]decimal.Decimal{"gold": dec("2")}}
			w.customer.Tier = "gold"
		}, rules.Applied, "4", "2.00 USD for a purchase of 100.00 USD, times 2 for the customer's tier, is 4.00 USD."},
		"applied, for another tier": {func(w *world) {
			w.terms.Reward.Multipliers, w.customer.Tier = map[string]decimal.Decimal{"gold": dec("2")}, "silver"
		}, rules.Applied, "5", ""},
		"applied, by the merchant": {func(w *world) {
			w.terms.Funding = rules.Funding{Kind: rules.Merchant, AccountID: "acc_m"}
			w.room.Funds = limit("5")
		}, rules.Applied, "5", "The merchant pays it."},
		"applied, shared": {func(w *world) {
			w.terms.Funding = rules.Funding{Kind: rules.Shared, AccountID: "acc_m", MerchantPercent: dec("30.5")}
			w.room.Funds = limit("1.52")
		}, rules.Applied, "5", "The merchant pays 1.52 USD of it, the platform 3.48 USD."}, // 1.525 half-even
		"applied by the last step reached": {func(w *world) {
			w.terms.Reward = rules.Reward{Kind: rules.Tiered, Steps: []rules.Step{
				{From: dec("0"), Percent: dec("1")}, {From: dec("100"), Amount: dec("3")}, {From: dec("100.01"), Percent: dec("50")}}}
		}, rules.Applied, "3", "3.00 USD for a purchase of 100.00 USD."},
		"applied after a click": {func(w *world) {
			w.terms.ClickHours = 24
			w.purchase.Click = &rules.Click{ID: "clk_1", CampaignID: "c1", At: friday.Add(-24 * time.Hour)}
		}, rules.Applied, "5", ""},
		"applied to lines": {func(w *world) { w.terms.LineCondition = `line_amount < 50` }, rules.Applied, "2", "5% of 40.00 USD is 2.00 USD."},

		"capped per purchase": {func(w *world) { w.terms.Caps.PerPurchase = dec("4.99") }, rules.CappedPurchase, "4.99",
			"5% of 100.00 USD is 5.00 USD, capped at 4.99 USD a purchase."},
		"just at the cap per purchase": {func(w *world) { w.terms.Caps.PerPurchase = dec("5.00") }, rules.Applied, "5", ""},
		"capped per customer": {func(w *world) {
			w.terms.Caps = rules.Caps{PerCustomer: dec("20"), CustomerPeriod: rules.Week}
			w.room.Customer = limit("0.01")
		}, rules.CappedCustomer, "0.01", "cut to 0.01 USD: the customer gets at most 20.00 USD a week."},
		"capped by both, the customer's being less": {func(w *world) {
			w.terms.Caps = rules.Caps{PerPurchase: dec("4"), PerCustomer: dec("20"), CustomerPeriod: rules.Day}
			w.room.Customer = limit("3")
		}, rules.CappedCustomer, "3", "a day"},
		"capped by both, the purchase's being less": {func(w *world) {
			w.terms.Caps = rules.Caps{PerPurchase: dec("4"), PerCustomer: dec("20"), CustomerPeriod: rules.Day}
			w.room.Customer = limit("4.5")
		}, rules.CappedPurchase, "4", ""},
		"capped by the budget": {func(w *world) { w.room.Budget = dec("1.23") }, rules.CappedBudget, "1.23",
			"cut to 1.23 USD: that was all that was left of the budget."},
		"the budget's last cent": {func(w *world) { w.room.Budget = dec("5") }, rules.Applied, "5", ""},

		"another merchant":     {func(w *world) { w.terms.Merchants = []string{"mer_2", "mer_3"} }, rules.OtherMerchant, "0", "not for purchases from this merchant"},
		"one of the merchants": {func(w *world) { w.terms.Merchants = []string{"mer_2", "mer_1"} }, rules.Applied, "5", ""},
		"another currency":     {func(w *world) { w.purchase.Currency = "EUR" }, rules.OtherCurrency, "0", "purchases in USD"},
		"no click":             {func(w *world) { w.terms.ClickHours = 24 }, rules.NoClick, "0", "within 24 hours"},
		"a click elsewhere": {func(w *world) {
			w.terms.ClickHours = 24
			w.purchase.Click = &rules.Click{ID: "clk_1", CampaignID: "c2", At: friday}
		}, rules.NoClick, "0", ""},
		"a click too early": {func(w *world) {
			w.terms.ClickHours = 24
			w.purchase.Click = &rules.Click{ID: "clk_1", CampaignID: "c1", At: friday.Add(-24*time.Hour - time.Nanosecond)}
		}, rules.NoClick, "0", ""},
		"condition false": {func(w *world) { w.terms.Condition = "country ==\n\t'FR'" }, rules.ConditionFalse, "0", "does not hold: country == 'FR'."},
		"no lines count":  {func(w *world) { w.terms.LineCondition = `product == "x"` }, rules.NoLines, "0", `one does when: product == "x".`},
		"no lines":        {func(w *world) { w.purchase.Lines = nil }, rules.NoLines, "0", "has no lines"},
		"below the minimum": {func(w *world) { w.terms.MinimumSpend = dec("100.01") }, rules.BelowMinimum, "0",
			"come to 100.00 USD; a reward needs at least 100.01 USD."},
		"at the minimum":                     {func(w *world) { w.terms.MinimumSpend = dec("100.00") }, rules.Applied, "5", ""},
		"below the minimum with what counts": {func(w *world) { w.terms.MinimumSpend, w.terms.LineCondition = dec("50"), `line_amount < 50` }, rules.BelowMinimum, "0", "come to 40.00 USD"},
		"below the first step": {func(w *world) {
			w.terms.Reward = rules.Reward{Kind: rules.Tiered, Steps: []rules.Step{{From: dec("100.01"), Percent: dec("1")}}}
		}, rules.BelowMinimum, "0", "needs at least 100.01 USD"},
		"for nothing": {func(w *world) {
			w.terms.Reward = rules.Reward{Kind: rules.Fixed, Amount: dec("7.5")}
			w.purchase = somePurchase("0", "0.00")
		}, rules.BelowMinimum, "0", "come to 0.00 USD; a reward needs more than nothing."},
		"rounds to zero": {func(w *world) { w.terms.Reward.Percent = dec("0.005") }, rules.RoundsToZero, "0", "0.005% of 100.00 USD is 0.005 USD, which rounds to nothing."},
		"customer's cap reached": {func(w *world) {
			w.terms.Caps = rules.Caps{PerCustomer: dec("20"), CustomerPeriod: rules.Campaign}
			w.room.Customer = limit("0")
		}, rules.CustomerCapFull, "0", "all of the 20.00 USD that he can get from the campaign."},
		"the budget is exhausted":         {func(w *world) { w.room.Budget = dec("0") }, rules.BudgetExhausted, "0", "more than was left"},
		"the budget was lowered below it": {func(w *world) { w.room.Budget = dec("-3") }, rules.BudgetExhausted, "0", ""},
		"nothing rather than the rest":    {func(w *world) { w.room.Budget, w.terms.BudgetEnd = dec("4.99"), rules.PayNothing }, rules.BudgetExhausted, "0", ""},
		"all of it, for nothing else":     {func(w *world) { w.room.Budget, w.terms.BudgetEnd = dec("5"), rules.PayNothing }, rules.Applied, "5", ""},
		"the merchant can't pay": {func(w *world) {
			w.terms.Funding = rules.Funding{Kind: rules.Merchant, AccountID: "acc_m"}
			w.room.Funds = limit("4.99")
		}, rules.FundsMissing, "0", "account acc_m could not pay"},
		"the merchant can't pay his part": {func(w *world) {
			w.terms.Funding = rules.Funding{Kind: rules.Shared, AccountID: "acc_m", MerchantPercent: dec("50")}
			w.room.Funds = limit("2.49")
		}, rules.FundsMissing, "0", ""},
		"the merchant can pay the rest of the budget": {func(w *world) {
			w.terms.Funding = rules.Funding{Kind: rules.Merchant, AccountID: "acc_m"}
			w.room.Funds, w.room.Budget = limit("4.99"), dec("4.50")
		}, rules.CappedBudget, "4.5", ""},
		"division by zero":           {func(w *world) { w.terms.Condition = `100 / purchases > 1` }, rules.EvaluationFailed, "0", "division by zero"},
		"division by zero, a line":   {func(w *world) { w.terms.LineCondition = `100 / (line_quantity - 1) > 1` }, rules.EvaluationFailed, "0", "division by zero"},
		"a missing value":            {func(w *world) { w.terms.Condition = `{"FR": 1}[country] == 1` }, rules.EvaluationFailed, "0", "no such key: US"},
		"a rule that is none":        {func(w *world) { w.terms.Condition = `balance > 1` }, rules.EvaluationFailed, "0", "undeclared reference to 'balance'"},
		"a line's rule that is none": {func(w *world) { w.terms.LineCondition = `amount` }, rules.EvaluationFailed, "0", "must be true or false"},
		"more than can be reckoned":  {func(w *world) { w.purchase.Lines[0].UnitPrice = dec("1e18") }, rules.EvaluationFailed, "0", "too many digits"},
		"more decimals than can be reckoned": {func(w *world) { w.purchase.Lines[0].UnitPrice = decimal.New(1, -1_000_000) }, rules.EvaluationFailed, "0",
			"too many digits"},
		"more together than can be reckoned": {func(w *world) {
			w.purchase.Lines[0].UnitPrice, w.purchase.Lines[0].Quantity = dec("999999999999999999"), 9
			w.purchase.Lines[1] = w.purchase.Lines[0]
		}, rules.EvaluationFailed, "0", "too many digits"},
		"a negative price": {func(w *world) { w.purchase.Lines[0].UnitPrice = dec("-1") }, rules.EvaluationFailed, "0", "negative"},
		"a reward beyond all": {func(w *world) {
			w.terms.Reward = rules.Reward{Kind: rules.Fixed, Amount: dec("900000000000000"), Multipliers: map[string]decimal.Decimal{"gold": dec("2")}}
			w.customer.Tier = "gold"
		}, rules.EvaluationFailed, "0", "the reward has too many digits"},
	} {
		w := world{terms: someTerms(), purchase: somePurchase("60", "40"), room: muchRoom}
		c.change(&w)
		f := evaluate(t, w.terms, w.purchase, w.customer, w.room)
		if f.Reason != c.reason || !f.Amount.Equal(dec(c.amount)) || f.CampaignID != "c1" || f.Version != 7 {
			t.Errorf("%s: %+v; want %s of %s", name, f, c.reason, c.amount)
		}
		if sum := decimal.Sum(decimal.Zero, f.Lines...); !sum.Equal(f.Amount) || f.Reason.Applies() != (f.Lines != nil) {
			t.Errorf("%s: parts %s of %s", name, f.Lines, f.Amount)
		}
		if says := f.Sentence(w.terms); !strings.Contains(says, c.says) || !strings.HasSuffix(says, ".") || strings.ContainsAny(says, "\n\t") {
			t.Errorf("%s: says %q; want %q", name, says, c.says)
		}
	}
}

// Zeros at the end of a price mean nothing, however many there are.
func TestPricesAreTheSameWithMoreZeros(t *testing.T) {
	t.Parallel()
	for price, want := range map[string]rules.Reason{
		"10.0000": rules.Applied, "10.000000000000000000": rules.Applied, "10.00000000000000000000": rules.Applied,
		"10.000000000001": rules.Applied, "10.000000000000000001": rules.EvaluationFailed,
	} {
		p := somePurchase("10", "12345.6789")
		p.Lines[0].UnitPrice = dec(price)
		f := evaluate(t, someTerms(), p, rules.Customer{}, muchRoom)
		if f.Reason != want || want == rules.Applied && !f.Amount.Equal(dec("617.78")) {
			t.Errorf("%s: %+v", price, f)
		}
	}
}

func TestCampaignsThatAreOffOrOverSayNothing(t *testing.T) {
	t.Parallel()
	off, before, after, ends, begins := someTerms(), someTerms(), someTerms(), someTerms(), someTerms()
	off.Enabled = false
	before.From, before.To = friday.Add(time.Nanosecond), friday.Add(time.Hour)
	after.From, after.To = friday.Add(-2*time.Hour), friday.Add(-time.Hour)
	ends.To = friday // exclusive
	begins.From = friday
	findings := newSet(t, rules.Program{}, off, before, after, ends, begins).Evaluate(somePurchase("1"), &rules.Customer{}, plenty)
	if len(findings) != 1 || findings[0].CampaignID != "c5" {
		t.Errorf("%+v", findings)
	}
}

func TestStacking(t *testing.T) {
	t.Parallel()
	campaign := func(percent, group string, priority int) rules.Terms {
		terms := someTerms()
		terms.Reward.Percent, terms.Group, terms.Priority = dec(percent), group, priority
		return terms
	}
	funded := func(percent, group string, priority int) rules.Terms {
		terms := campaign(percent, group, priority)
		terms.Funding = rules.Funding{Kind: rules.Merchant, AccountID: "acc_m"}
		return terms
	}
	exhausted := rules.Room{}
	for name, c := range map[string]struct {
		policies map[string]rules.Policy
		terms    []rules.Terms
		room     map[string]rules.Room // of campaigns that have not plenty
		given    []string              // of 100.00, by campaign; empty when outdone
		by       string                // of those outdone
	}{
		"the best one":                   {nil, []rules.Terms{campaign("3", "", 9), campaign("5", "", 0), campaign("4", "default", 5)}, nil, []string{"", "5", ""}, "c2"},
		"of equals the higher priority":  {nil, []rules.Terms{campaign("5", "", 1), campaign("5", "", 2), campaign("5", "", 1)}, nil, []string{"", "5", ""}, "c2"},
		"of equals in all the lower id":  {nil, []rules.Terms{campaign("5", "", 1), campaign("5", "", 1)}, nil, []string{"5", ""}, "c1"},
		"the best of what is left":       {nil, []rules.Terms{campaign("9", "", 0), campaign("5", "", 0)}, map[string]rules.Room{"c1": {Budget: dec("4.99")}}, []string{"", "5"}, "c2"},
		"the next when one is exhausted": {nil, []rules.Terms{campaign("9", "", 0), campaign("5", "", 0)}, map[string]rules.Room{"c1": exhausted}, []string{"0", "5"}, ""},
		"all of them":                    {map[string]rules.Policy{"g": rules.Sum}, []rules.Terms{campaign("3", "g", 0), campaign("5", "g", 0)}, nil, []string{"3", "5"}, ""},
		"the highest priority":           {map[string]rules.Policy{"g": rules.Priority}, []rules.Terms{campaign("9", "g", 1), campaign("1", "g", 2), campaign("5", "g", 0)}, nil, []string{"", "1", ""}, "c2"},
		"of equal priority the lower id": {map[string]rules.Policy{"g": rules.Priority}, []rules.Terms{campaign("1", "g", 2), campaign("9", "g", 2)}, nil, []string{"1", ""}, "c1"},
		"the highest that gives anything": {map[string]rules.Policy{"g": rules.Priority}, []rules.Terms{campaign("9", "g", 1), campaign("1", "g", 2)},
			map[string]rules.Room{"c2": exhausted}, []string{"9", "0"}, ""},
		"groups add up": {map[string]rules.Policy{"default": rules.Priority}, []rules.Terms{campaign("3", "", 0), campaign("5", "a", 0), campaign("7", "", 1)}, nil,
			[]string{"", "5", "7"}, "c3"},
		"an account pays once": {map[string]rules.Policy{"g": rules.Sum}, []rules.Terms{funded("3", "g", 0), funded("5", "g", 0), funded("2", "g", 0)},
			map[string]rules.Room{"c1": {Budget: dec("99"), Funds: limit("7")}, "c2": {Budget: dec("99"), Funds: limit("7")}, "c3": {Budget: dec("99"), Funds: limit("7")}},
			[]string{"3", "0", "2"}, ""},
		"an account pays once, over groups": {nil, []rules.Terms{funded("5", "b", 0), funded("3", "a", 0)},
			map[string]rules.Room{"c1": {Budget: dec("99"), Funds: limit("7")}, "c2": {Budget: dec("99"), Funds: limit("7")}},
			[]string{"0", "3"}, ""},
	} {
		room := func(id string) rules.Room {
			if r, has := c.room[id]; has {
				return r
			}
			return muchRoom
		}
		findings := newSet(t, rules.Program{Groups: c.policies}, c.terms...).Evaluate(somePurchase("100"), &rules.Customer{}, room)
		for i, f := range findings {
			switch given := c.given[i]; {
			case given == "" && (f.Reason != rules.Stacked || f.Detail != c.by || !f.Amount.IsZero() || f.Lines != nil || !f.Computed.IsPositive()):
				t.Errorf("%s: %+v is not outdone by %s", name, f, c.by)
			case given != "" && (f.Reason == rules.Stacked || !f.Amount.Equal(dec(given))):
				t.Errorf("%s: %+v; want %s", name, f, given)
			}
			if f.Reason == rules.Stacked && !strings.Contains(f.Sentence(c.terms[i]), f.Detail+" came first") {
				t.Errorf("%s: says %q", name, f.Sentence(c.terms[i]))
			}
		}
	}
}

func TestRewardsAreRoundedHalfEvenToTheCurrency(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		currency      money.Currency
		price, amount string // 10% of price
	}{
		{"JPY", "5", "0"}, {"JPY", "5.0001", "1"}, {"JPY", "15", "2"}, {"JPY", "25", "2"}, {"JPY", "25.0001", "3"}, {"JPY", "35", "4"}, {"JPY", "34.9999", "3"},
		{"USD", "0.05", "0"}, {"USD", "0.0501", "0.01"}, {"USD", "0.15", "0.02"}, {"USD", "0.25", "0.02"}, {"USD", "0.2501", "0.03"}, {"USD", "10.05", "1"},
		{"USD", "10.15", "1.02"},
		{"BHD", "0.005", "0"}, {"BHD", "0.015", "0.002"}, {"BHD", "0.025", "0.002"}, {"BHD", "0.0251", "0.003"}, {"BHD", "1.235", "0.124"}, {"BHD", "1.245", "0.124"},
		{"CLF", "0.0015", "0.0002"}, {"CLF", "0.0025", "0.0002"},
	} {
		terms, p := someTerms(), somePurchase(c.price)
		terms.Currency, p.Currency, terms.Reward.Percent = c.currency, c.currency, dec("10")
		f := evaluate(t, terms, p, rules.Customer{}, muchRoom)
		if !f.Amount.Equal(dec(c.amount)) || f.Amount.IsZero() != (f.Reason == rules.RoundsToZero) {
			t.Errorf("10%% of %s %s: %+v; want %s", c.price, c.currency, f, c.amount)
		}
		// It is the sum that is rounded, not the lines: ten of them lose nothing.
		p = somePurchase(slices.Repeat([]string{c.price}, 10)...)
		p.Currency = c.currency
		if f := evaluate(t, terms, p, rules.Customer{}, muchRoom); !f.Amount.Equal(dec(c.price).RoundBank(c.currency.Decimals())) {
			t.Errorf("10%% of ten times %s %s: %s", c.price, c.currency, f.Amount)
		}
	}
}

func TestPartsFallToLinesByLargestRemainder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prices  []string
		percent string
		change  func(*rules.Terms)
		parts   []string
	}{
		"one line":                {[]string{"10"}, "5", nil, []string{"0.5"}},
		"even":                    {[]string{"10", "20"}, "10", nil, []string{"1", "2"}},
		"thirds":                  {[]string{"1", "1", "1"}, "33.3334", nil, []string{"0.34", "0.33", "0.33"}}, // 1.00; ties: the lower index
		"two cents over three":    {[]string{"0.07", "0.07", "0.06"}, "10", nil, []string{"0.01", "0.01", "0"}},
		"the largest remainder":   {[]string{"0.01", "0.02", "0.97"}, "30", nil, []string{"0", "0.01", "0.29"}}, // 0.003, 0.006, 0.291
		"a line for nothing":      {[]string{"0", "10", "0"}, "5", nil, []string{"0", "0.5", "0"}},
		"lines that don't count":  {[]string{"10", "20", "30"}, "10", func(t *rules.Terms) { t.LineCondition = `product != "p1"` }, []string{"1", "0", "3"}},
		"a cap is split, too":     {[]string{"10", "20"}, "10", func(t *rules.Terms) { t.Caps.PerPurchase = dec("1") }, []string{"0.33", "0.67"}},
		"prices of four decimals": {[]string{"0.3333", "0.6667"}, "100", nil, []string{"0.33", "0.67"}},
		"prices of many a scale":  {[]string{"1e2", "0.0001"}, "1", nil, []string{"1", "0"}},
	} {
		terms := someTerms()
		terms.Reward.Percent = dec(c.percent)
		if c.change != nil {
			c.change(&terms)
		}
		f := evaluate(t, terms, somePurchase(c.prices...), rules.Customer{}, muchRoom)
		for i, want := range c.parts {
			if len(f.Lines) != len(c.parts) || !f.Lines[i].Equal(dec(want)) {
				t.Errorf("%s: %s; want %s", name, f.Lines, c.parts)
				break
			}
		}
	}
}

func TestFindingsComeBackFromJSONAsTheyWere(t *testing.T) {
	t.Parallel()
	terms := someTerms()
	terms.Funding = rules.Funding{Kind: rules.Shared, AccountID: "acc_m", MerchantPercent: dec("50")}
	for _, room := range []rules.Room{muchRoom, {}} {
		f := evaluate(t, terms, somePurchase("12.34", "5"), rules.Customer{}, room)
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var back rules.Finding
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(back)
		if err != nil || string(again) != string(text) {
			t.Errorf("%s came back as %s, %v", text, again, err)
		}
	}
}
