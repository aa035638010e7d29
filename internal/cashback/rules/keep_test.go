package rules_test

import (
	"slices"
	"testing"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
	"florin/internal/money"
)

func TestKeepIsTheRewardForWhatWasKept(t *testing.T) {
	t.Parallel()
	fixed := rules.Reward{Kind: rules.Fixed, Amount: dec("7")}
	steps := rules.Reward{Kind: rules.Tiered, Steps: []rules.Step{{From: dec("20"), Percent: dec("5")}, {From: dec("50"), Percent: dec("10")}}}
	// Four lines of 10.00, 20.00, 30.00 and 40.00, each of ten pieces.
	for name, c := range map[string]struct {
		change func(*rules.Terms)
		room   rules.Room
		kept   []int64 // quantities
		want   string
	}{
		"all":                                   {nil, muchRoom, []int64{10, 10, 10, 10}, "5"},
		"nothing":                               {nil, muchRoom, []int64{0, 0, 0, 0}, "0"},
		"no lines":                              {nil, muchRoom, nil, "0"},
		"half of a line":                        {nil, muchRoom, []int64{10, 10, 10, 5}, "4"},
		"rounded once":                          {func(t *rules.Terms) { t.Reward.Percent = dec("5.03") }, muchRoom, []int64{3, 10, 10, 5}, "3.67"}, // 3.6719
		"fixed":                                 {func(t *rules.Terms) { t.Reward = fixed }, muchRoom, []int64{1, 0, 0, 0}, "7"},
		"fixed, nothing":                        {func(t *rules.Terms) { t.Reward = fixed }, muchRoom, []int64{0, 0, 0, 0}, "0"},
		"fixed, at the minimum":                 {func(t *rules.Terms) { t.Reward, t.MinimumSpend = fixed, dec("50") }, muchRoom, []int64{10, 0, 0, 10}, "7"},
		"fixed, below the minimum":              {func(t *rules.Terms) { t.Reward, t.MinimumSpend = fixed, dec("50") }, muchRoom, []int64{10, 9, 7, 0}, "0"},
		"percent, below the minimum":            {func(t *rules.Terms) { t.MinimumSpend = dec("50") }, muchRoom, []int64{9, 0, 0, 10}, "0"},
		"of lines that don't count":             {func(t *rules.Terms) { t.LineCondition = `product == "p3"` }, muchRoom, []int64{0, 0, 0, 10}, "2"},
		"the line that counted":                 {func(t *rules.Terms) { t.LineCondition = `product == "p3"` }, muchRoom, []int64{10, 10, 10, 0}, "0"},
		"a line that counts no more":            {func(t *rules.Terms) { t.LineCondition = `line_quantity >= 10` }, muchRoom, []int64{10, 10, 10, 9}, "3"},
		"a line that looks at the purchase":     {func(t *rules.Terms) { t.LineCondition = `amount == decimal(100) && quantity == 40` }, muchRoom, []int64{10, 0, 0, 0}, "0.5"},
		"a line that asks for segments":         {func(t *rules.Terms) { t.LineCondition = `"big" in segments` }, muchRoom, []int64{10, 0, 0, 0}, "0.5"},
		"a condition that is not asked again":   {func(t *rules.Terms) { t.Condition = `amount > 99` }, muchRoom, []int64{10, 0, 0, 0}, "0.5"},
		"a line that can't be told any more":    {func(t *rules.Terms) { t.LineCondition = `10 / (line_quantity - 5) > 0` }, muchRoom, []int64{10, 5, 0, 0}, "0"},
		"a line that is gone is not asked":      {func(t *rules.Terms) { t.LineCondition = `10 / line_quantity > 0` }, muchRoom, []int64{10, 0, 0, 0}, "0.5"},
		"a lower step":                          {func(t *rules.Terms) { t.Reward = steps }, muchRoom, []int64{0, 10, 0, 7}, "2.4"},
		"below the first step":                  {func(t *rules.Terms) { t.Reward = steps }, muchRoom, []int64{1, 9, 0, 0}, "0"},
		"times the multiplier":                  {func(t *rules.Terms) { t.Reward.Multipliers = map[string]decimal.Decimal{"silver": dec("3")} }, muchRoom, []int64{10, 0, 0, 0}, "1.5"},
		"capped per purchase, still":            {func(t *rules.Terms) { t.Caps.PerPurchase = dec("2") }, muchRoom, []int64{0, 10, 0, 10}, "2"},
		"capped per purchase, no more":          {func(t *rules.Terms) { t.Caps.PerPurchase = dec("2") }, muchRoom, []int64{10, 10, 0, 0}, "1.5"},
		"the budget was short, all":             {nil, rules.Room{Budget: dec("3")}, []int64{10, 10, 10, 10}, "3"},
		"the budget was short, more than given": {nil, rules.Room{Budget: dec("3")}, []int64{10, 10, 0, 10}, "3"},
		"the budget was short, less than given": {nil, rules.Room{Budget: dec("3")}, []int64{10, 10, 0, 0}, "1.5"},
	} {
		terms := someTerms()
		if c.change != nil {
			c.change(&terms)
		}
		p := somePurchase("1", "2", "3", "4")
		for i := range p.Lines {
			p.Lines[i].Quantity = 10
		}
		_, customer := richPurchase()
		set := newSet(t, richProgram, terms)
		f := set.Evaluate(p, &customer, only(c.room))[0]
		if !f.Reason.Applies() {
			t.Errorf("%s: %+v", name, f)
		}
		customer.Segments = set.Segments(&customer)
		kept := slices.Clone(p.Lines[:len(c.kept)])
		for i, quantity := range c.kept {
			kept[i].Quantity = quantity
		}
		got, err := rules.Keep(terms, f, p, kept, rules.Share{}, &customer)
		if err != nil || !got.Equal(dec(c.want)) {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
}

// A return with an amount leaves a share of what counts, which may have no end; the
// lines themselves stay what they were.
func TestKeepScalesWhatCountsAndNotTheLines(t *testing.T) {
	t.Parallel()
	share := func(part, whole string) rules.Share { return rules.Share{Part: dec(part), Whole: dec(whole)} }
	for name, c := range map[string]struct {
		quantity int64
		price    string
		change   func(*rules.Terms)
		share    rules.Share
		want     string
	}{
		"all of it":                   {1, "100", nil, share("100", "100"), "5"},
		"a third":                     {1, "100", nil, share("1", "3"), "1.67"},
		"a quantity that is no other": {12, "10", func(t *rules.Terms) { t.LineCondition, t.Reward.Percent = `line_quantity >= 12`, dec("12.5") }, share("119", "120"), "14.88"}, // 14.875
		"a price that is no other":    {1, "100", func(t *rules.Terms) { t.LineCondition, t.Reward.Percent = `unit_price >= 100`, dec("10") }, share("99", "100"), "9.9"},
		"exactly the minimum":         {12, "10", func(t *rules.Terms) { t.MinimumSpend = dec("119") }, share("119", "120"), "5.95"},
		"below the minimum":           {12, "10", func(t *rules.Terms) { t.MinimumSpend = dec("119.0001") }, share("119", "120"), "0"},
	} {
		terms, p := someTerms(), somePurchase(c.price)
		if c.change != nil {
			c.change(&terms)
		}
		p.Lines[0].Quantity = c.quantity
		f := evaluate(t, terms, p, rules.Customer{}, muchRoom)
		if got, err := rules.Keep(terms, f, p, p.Lines, c.share, &rules.Customer{}); err != nil || !got.Equal(dec(c.want)) {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
}

func TestKeepOfTermsThatAreNoneAnyMore(t *testing.T) {
	t.Parallel()
	terms, p := someTerms(), somePurchase("90", "10")
	f := evaluate(t, terms, p, rules.Customer{}, muchRoom)
	terms.LineCondition = "balance > 1"
	if got, err := rules.Keep(terms, f, p, p.Lines, rules.Share{}, &rules.Customer{}); err == nil {
		t.Error(got)
	}
}

func TestMerchantPart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind     rules.FundingKind
		percent  string
		amount   string
		currency money.Currency
		want     string
	}{
		{rules.Platform, "0", "5", "USD", "0"},
		{rules.Merchant, "0", "5", "USD", "5"},
		{rules.Shared, "50", "0.01", "USD", "0"},
		{rules.Shared, "50", "0.03", "USD", "0.02"},
		{rules.Shared, "50", "0.05", "USD", "0.02"},
		{rules.Shared, "99.9999", "0.01", "USD", "0.01"},
		{rules.Shared, "33.3333", "1", "JPY", "0"},
		{rules.Shared, "50", "3", "JPY", "2"},
		{rules.Shared, "10", "0.025", "BHD", "0.002"},
	} {
		got := rules.MerchantPart(rules.Funding{Kind: c.kind, MerchantPercent: dec(c.percent)}, dec(c.amount), c.currency)
		if !got.Equal(dec(c.want)) {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
