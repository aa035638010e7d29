package rules_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"florin/internal/cashback/rules"
	"florin/internal/money"
)

func drawDecimal(rt *rapid.T, label string, from, to int64, places int32) decimal.Decimal {
	return decimal.New(rapid.Int64Range(from, to).Draw(rt, label), -places)
}

func drawPurchase(rt *rapid.T, currency money.Currency) *rules.Purchase {
	p := &rules.Purchase{
		ID: "pur_1", MerchantID: rapid.SampledFrom([]string{"mer_1", "mer_2"}).Draw(rt, "merchant"), CustomerID: "cus_1", Currency: currency,
		Country: rapid.SampledFrom([]string{"", "FR", "GB"}).Draw(rt, "country"), At: friday,
	}
	for range rapid.IntRange(1, 12).Draw(rt, "lines") {
		p.Lines = append(p.Lines, rules.Line{
			Product:   rapid.SampledFrom([]string{"a1", "a2", "b1", "b2"}).Draw(rt, "product"),
			Category:  rapid.SampledFrom([]string{"", "home", "home/x"}).Draw(rt, "category"),
			Quantity:  rapid.Int64Range(1, 30).Draw(rt, "quantity"),
			UnitPrice: drawDecimal(rt, "price", 0, 999_999, rapid.Int32Range(0, 4).Draw(rt, "decimals")),
		})
	}
	return p
}

func drawTerms(rt *rapid.T, currency money.Currency) rules.Terms {
	places := currency.Decimals()
	terms := someTerms()
	terms.Currency = currency
	terms.Condition = rapid.SampledFrom([]string{"", "", `country == "FR"`, `amount > 500`, `1 / (quantity - 10) < 100`}).Draw(rt, "condition")
	terms.LineCondition = rapid.SampledFrom([]string{"", "", `category.startsWith("home")`, `product != "b2"`, `line_quantity > 3`}).Draw(rt, "lineCondition")
	terms.MinimumSpend = drawDecimal(rt, "minimum", 0, 2000, min(places, 1))
	percent := func() decimal.Decimal { return drawDecimal(rt, "percent", 1, 1_000_000, 4) }
	amount := func() decimal.Decimal { return drawDecimal(rt, "amount", 1, 100_000, places) }
	switch kind := rapid.SampledFrom([]rules.RewardKind{rules.Percent, rules.Percent, rules.Fixed, rules.Tiered}).Draw(rt, "kind"); kind {
	case rules.Percent:
		terms.Reward = rules.Reward{Kind: kind, Percent: percent()}
	case rules.Fixed:
		terms.Reward = rules.Reward{Kind: kind, Amount: amount()}
	case rules.Tiered:
		terms.Reward = rules.Reward{Kind: kind, Steps: []rules.Step{{From: decimal.NewFromInt(10), Percent: percent()}, {From: decimal.NewFromInt(1000), Amount: amount()}}}
	}
	if rapid.Bool().Draw(rt, "multiplies") {
		terms.Reward.Multipliers = map[string]decimal.Decimal{"gold": drawDecimal(rt, "multiplier", 1, 50_000, 4)}
	}
	if rapid.Bool().Draw(rt, "caps") {
		terms.Caps.PerPurchase = amount()
	}
	terms.BudgetEnd = rapid.SampledFrom([]rules.BudgetEnd{rules.PayRest, rules.PayNothing}).Draw(rt, "end")
	switch kind := rapid.SampledFrom([]rules.FundingKind{rules.Platform, rules.Merchant, rules.Shared}).Draw(rt, "funding"); kind {
	case rules.Merchant:
		terms.Funding = rules.Funding{Kind: kind, AccountID: "acc_m"}
	case rules.Shared:
		terms.Funding = rules.Funding{Kind: kind, AccountID: "acc_m", MerchantPercent: drawDecimal(rt, "part", 1, 999_999, 4)}
	}
	terms.Group = rapid.SampledFrom([]string{"", "a", "b"}).Draw(rt, "group")
	terms.Priority = rapid.IntRange(0, 2).Draw(rt, "priority")
	return terms
}

func drawCurrency(rt *rapid.T) money.Currency {
	return rapid.SampledFrom([]money.Currency{"JPY", "USD", "BHD", "CLF"}).Draw(rt, "currency")
}

func drawCustomer(rt *rapid.T) rules.Customer {
	return rules.Customer{Tier: rapid.SampledFrom([]string{"", "gold"}).Draw(rt, "tier")}
}

// Whatever the campaigns and the purchase are: no more is given than there is room
// for, what is given can be paid in the currency, its parts add up, only lines that
// count have a part, each group follows its policy, and it is the same again.
func TestNoMoreIsGivenThanMayBe(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		currency := drawCurrency(rt)
		places := currency.Decimals()
		p, customer := drawPurchase(rt, currency), drawCustomer(rt)
		program := rules.Program{Groups: map[string]rules.Policy{
			"a": rapid.SampledFrom([]rules.Policy{rules.Best, rules.Sum, rules.Priority}).Draw(rt, "policyA"),
			"b": rapid.SampledFrom([]rules.Policy{rules.Best, rules.Sum, rules.Priority}).Draw(rt, "policyB"),
		}}
		funds := decimal.NullDecimal{Decimal: drawDecimal(rt, "funds", 0, 30_000, places), Valid: rapid.Bool().Draw(rt, "fundsAreLimited")}
		var terms []rules.Terms
		rooms := map[string]rules.Room{}
		for i := range rapid.IntRange(1, 6).Draw(rt, "campaigns") {
			terms = append(terms, drawTerms(rt, currency))
			rooms[fmt.Sprintf("c%d", i+1)] = rules.Room{
				Budget:   drawDecimal(rt, "budget", -100, 60_000, places),
				Customer: decimal.NullDecimal{Decimal: drawDecimal(rt, "customer", 0, 30_000, places), Valid: rapid.Bool().Draw(rt, "customerIsLimited")},
				Funds:    funds,
			}
			if err := terms[i].Validate(); err != nil {
				rt.Fatal(err)
			}
		}
		set := newSet(t, program, terms...)
		asked := map[string]int{}
		findings := set.Evaluate(p, &customer, func(id string) rules.Room { asked[id]++; return rooms[id] })

		given := map[string]int{}
		merchant := decimal.Zero
		for i, f := range findings {
			room := rooms[f.CampaignID]
			if asked[f.CampaignID] > 1 {
				rt.Fatalf("%s was asked for %d times", f.CampaignID, asked[f.CampaignID])
			}
			if !f.Reason.Applies() {
				if !f.Amount.IsZero() || !f.MerchantPart.IsZero() || f.Lines != nil {
					rt.Fatalf("%+v gives something", f)
				}
				continue
			}
			given[terms[i].Group]++
			merchant = merchant.Add(f.MerchantPart)
			rate := f.Rate.Mul(f.Multiplier)
			switch {
			case !f.Amount.IsPositive() || money.Check(f.Amount, currency) != nil:
				rt.Fatalf("%s of %+v is no amount of %s", f.Amount, f, currency)
			case f.Amount.GreaterThan(room.Budget), room.Customer.Valid && f.Amount.GreaterThan(room.Customer.Decimal),
				terms[i].Caps.PerPurchase.IsPositive() && f.Amount.GreaterThan(terms[i].Caps.PerPurchase):
				rt.Fatalf("%+v is above %+v", f, room)
			case terms[i].BudgetEnd == rules.PayNothing && f.Reason == rules.CappedBudget:
				rt.Fatalf("%+v gives a rest", f)
			case rate.IsPositive() && rate.LessThanOrEqual(decimal.NewFromInt(100)) && f.Amount.GreaterThan(f.Base.RoundUp(places)):
				rt.Fatalf("%+v is more than was paid", f)
			case f.Amount.Sub(f.Computed).Abs().GreaterThan(decimal.New(5, -places-1)) && f.Reason == rules.Applied:
				rt.Fatalf("%+v is rounded by more than half a unit", f)
			case f.MerchantPart.IsNegative() || f.MerchantPart.GreaterThan(f.Amount):
				rt.Fatalf("%+v: the merchant's part", f)
			case !decimal.Sum(decimal.Zero, f.Lines...).Equal(f.Amount) || len(f.Lines) != len(p.Lines):
				rt.Fatalf("%+v: the parts don't add up", f)
			}
			for l, part := range f.Lines {
				exact := f.Amount.Mul(p.Lines[l].Amount()).Div(f.Base)
				if part.IsNegative() || part.IsPositive() && part.Sub(exact).Abs().GreaterThan(decimal.New(1, -places)) {
					rt.Fatalf("%+v: line %d has %s, not about %s", f, l, part, exact)
				}
			}
		}
		if funds.Valid && merchant.GreaterThan(funds.Decimal) {
			rt.Fatalf("the merchant pays %s of %s: %+v", merchant, funds.Decimal, findings)
		}
		for group, n := range given {
			if n > 1 && program.Groups[group] != rules.Sum {
				rt.Fatalf("%d of group %q give: %+v", n, group, findings)
			}
		}
		for i, f := range findings {
			if f.Reason == rules.Stacked && given[terms[i].Group] != 1 {
				rt.Fatalf("%+v is outdone by none", f)
			}
		}
		again := newSet(t, program, terms...).Evaluate(p, &customer, func(id string) rules.Room { return rooms[id] })
		if first, second := toJSON(t, findings), toJSON(t, again); first != second {
			rt.Fatalf("%s, then %s", first, second)
		}
	})
}

func toJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// All kept is all that was granted, nothing kept is nothing; and what is kept of a
// percentage never grows when line after line goes back.
func TestWhatIsKeptGoesDownWithTheLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		currency := drawCurrency(rt)
		p, customer := drawPurchase(rt, currency), drawCustomer(rt)
		terms := drawTerms(rt, currency)
		room := rules.Room{Budget: drawDecimal(rt, "budget", 1, 10_000_000, currency.Decimals())}
		f := evaluate(t, terms, p, customer, room)
		if !f.Reason.Applies() {
			return
		}
		keep := func(kept []rules.Line) decimal.Decimal {
			left, err := rules.Keep(terms, f, p, kept, rules.Share{}, &customer)
			if err != nil || left.IsNegative() || left.GreaterThan(f.Amount) || !left.IsZero() && money.Check(left, currency) != nil {
				rt.Fatalf("%s is kept of %+v, %v", left, f, err)
			}
			return left
		}
		if all := keep(p.Lines); !all.Equal(f.Amount) {
			rt.Fatalf("all is kept, and %s of %s", all, f.Amount)
		}
		if none := keep(nil); !none.IsZero() {
			rt.Fatalf("nothing is kept, and %s", none)
		}
		kept, before := slices.Clone(p.Lines), f.Amount
		for _, i := range rapid.Permutation(indexes(len(kept))).Draw(rt, "order") {
			kept[i].Quantity = 0
			left := keep(kept)
			if terms.Reward.Kind == rules.Percent && left.GreaterThan(before) {
				rt.Fatalf("without line %d it is %s, was %s", i, left, before)
			}
			before = left
		}
		if !before.IsZero() {
			rt.Fatalf("every line is gone, and %s stays", before)
		}
	})
}

func indexes(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// Of percentages that are not capped, what a purchase of one line gives is the
// percentage rounded half-even, reckoned here in whole numbers.
func TestPercentagesAreHalfEven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		currency := drawCurrency(rt)
		price := rapid.Int64Range(1, 1_000_000_000).Draw(rt, "price") // of 1/10,000
		percent := rapid.Int64Range(1, 1_000_000).Draw(rt, "percent") // of 1/10,000 %
		terms, p := someTerms(), somePurchase("1")
		terms.Currency, p.Currency = currency, currency
		p.Lines[0].UnitPrice, terms.Reward.Percent = decimal.New(price, -4), decimal.New(percent, -4)
		divisor := int64(1_000_000_000_0) // 4 decimals of the price, 4 of the percent, 2 of a percent
		for range currency.Decimals() {
			divisor /= 10
		}
		want, rest := price*percent/divisor, price*percent%divisor
		if rest*2 > divisor || rest*2 == divisor && want%2 == 1 {
			want++
		}
		f := evaluate(t, terms, p, rules.Customer{}, muchRoom)
		if !f.Amount.Equal(decimal.New(want, -currency.Decimals())) {
			rt.Fatalf("%s%% of %s %s: %s", terms.Reward.Percent, f.Base, currency, f.Amount)
		}
	})
}

// A customer's cap of a period takes each time into exactly one period.
func TestPeriodsFollowOneAnother(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		at := time.Unix(rapid.Int64Range(946684800, 4102444800).Draw(rt, "at"), 0)
		caps := rules.Caps{CustomerPeriod: rapid.SampledFrom([]rules.Period{rules.Day, rules.Week, rules.Month}).Draw(rt, "period")}
		midnight := at.UTC().Truncate(24 * time.Hour)
		if caps.Key(at) != caps.Key(midnight) || caps.Key(at) > caps.Key(at.AddDate(0, 0, 1)) {
			rt.Fatalf("%s, then %s", caps.Key(at), caps.Key(at.AddDate(0, 0, 1)))
		}
	})
}
