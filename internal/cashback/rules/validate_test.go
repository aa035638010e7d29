package rules_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
)

// fieldsOf are the fields that a refusal names, in order.
func fieldsOf(t testing.TB, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	invalid, isInvalid := errors.AsType[*rules.InvalidInput](err)
	if !isInvalid || len(invalid.Fields) == 0 {
		t.Fatal(err)
	}
	var fields []string
	for _, f := range invalid.Fields {
		if f.Problem == "" || !strings.Contains(err.Error(), f.Field+": "+f.Problem) {
			t.Errorf("%+v is not in %q", f, err)
		}
		fields = append(fields, f.Field)
	}
	return fields
}

// fullTerms use everything there is.
func fullTerms() rules.Terms {
	terms := someTerms()
	terms.Merchants = []string{"mer_1", "mer:2"}
	terms.Condition, terms.LineCondition = "amount > 5 &&\n\tcountry == \"FR\"", `category.startsWith("home")`
	terms.MinimumSpend = dec("10.50")
	terms.Reward = rules.Reward{
		Kind:        rules.Tiered,
		Steps:       []rules.Step{{From: dec("0"), Percent: dec("0.0001")}, {From: dec("100"), Amount: dec("5")}, {From: dec("200.01"), Percent: dec("100")}},
		Multipliers: map[string]decimal.Decimal{"gold": dec("2"), "silver": dec("0.5")},
	}
	terms.Caps = rules.Caps{PerPurchase: dec("50"), PerCustomer: dec("100"), CustomerPeriod: rules.Month}
	terms.BudgetEnd = rules.PayNothing
	terms.Funding = rules.Funding{Kind: rules.Shared, AccountID: "acc_m", MerchantPercent: dec("99.9999")}
	terms.Group, terms.Priority, terms.ClickHours, terms.ReturnDays = "g-1", 1000, 8760, 730
	return terms
}

func TestTermsAreRefusedByField(t *testing.T) {
	t.Parallel()
	for _, fine := range []rules.Terms{someTerms(), fullTerms()} {
		if err := fine.Validate(); err != nil {
			t.Error(err)
		}
	}
	nested := "true"
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		nested = "[1,2,3,4,5,6,7,8,9,10].all(" + name + ", " + nested + ")"
	}
	steps := func(steps ...rules.Step) func(*rules.Terms) {
		return func(t *rules.Terms) { t.Reward = rules.Reward{Kind: rules.Tiered, Steps: steps} }
	}
	for name, c := range map[string]struct {
		field  string // several with blanks between
		change func(*rules.Terms)
	}{
		"no name":                   {"name", func(t *rules.Terms) { t.Name = "" }},
		"a long name":               {"name", func(t *rules.Terms) { t.Name = strings.Repeat("ä", 101) }},
		"NUL in the name":           {"name", func(t *rules.Terms) { t.Name = "a\x00" }},
		"no currency":               {"currency", func(t *rules.Terms) { t.Currency = "" }},
		"small currency":            {"currency", func(t *rules.Terms) { t.Currency = "usd" }},
		"no from":                   {"from", func(t *rules.Terms) { t.From = time.Time{} }},
		"to before from":            {"to", func(t *rules.Terms) { t.To = t.From.Add(-1) }},
		"an empty period":           {"to", func(t *rules.Terms) { t.To = t.From }},
		"to for ever":               {"to", func(t *rules.Terms) { t.To = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }},
		"a merchant without id":     {"merchants[1]", func(t *rules.Terms) { t.Merchants = []string{"a", ""} }},
		"too many merchants":        {"merchants", func(t *rules.Terms) { t.Merchants = slices.Repeat([]string{"a"}, 1001) }},
		"unknown variable":          {"condition", func(t *rules.Terms) { t.Condition = "balance > 1" }},
		"no condition":              {"condition", func(t *rules.Terms) { t.Condition = "amount" }},
		"a line's variable":         {"condition", func(t *rules.Terms) { t.Condition = `product == "a"` }},
		"a costly condition":        {"condition", func(t *rules.Terms) { t.Condition = nested }},
		"all lines by all lines":    {"condition", func(t *rules.Terms) { t.Condition = `products.exists(p, p in categories)` }},
		"a long condition":          {"condition", func(t *rules.Terms) { t.Condition = "true" + strings.Repeat(" ", 2000) }},
		"NUL in the condition":      {"condition", func(t *rules.Terms) { t.Condition = "country == 'a\x00'" }},
		"floating point":            {"condition", func(t *rules.Terms) { t.Condition = "amount > 1.5" }},
		"no amount":                 {"condition", func(t *rules.Terms) { t.Condition = `amount > decimal("1,5")` }},
		"unknown line variable":     {"lineCondition", func(t *rules.Terms) { t.LineCondition = "lines > 1" }},
		"a costly line condition":   {"lineCondition", func(t *rules.Terms) { t.LineCondition = "product in products" }},
		"a regex by value":          {"lineCondition", func(t *rules.Terms) { t.LineCondition = `product.matches(category)` }},
		"a huge regex":              {"lineCondition", func(t *rules.Terms) { t.LineCondition = `description.matches("(.?){1000}")` }},
		"a costly regex":            {"lineCondition", func(t *rules.Terms) { t.LineCondition = `description.matches("(.?){9}x")` }},
		"a regex for each line":     {"condition", func(t *rules.Terms) { t.Condition = `products.exists(p, p.matches("(x*)*(y*)*z"))` }},
		"a long loop for a line":    {"lineCondition", func(t *rules.Terms) { t.LineCondition = loopOf(101) }},
		"lists of lists":            {"lineCondition", func(t *rules.Terms) { t.LineCondition = "[products, products] == [products, mccs]" }},
		"a negative minimum":        {"minimumSpend", func(t *rules.Terms) { t.MinimumSpend = dec("-1") }},
		"a minimum of mills":        {"minimumSpend", func(t *rules.Terms) { t.MinimumSpend = dec("0.001") }},
		"no budget":                 {"budget", func(t *rules.Terms) { t.Budget = decimal.Zero }},
		"a budget beyond all":       {"budget", func(t *rules.Terms) { t.Budget = dec("1000000000000000") }},
		"a budget far beyond":       {"budget", func(t *rules.Terms) { t.Budget = decimal.New(1, 2_000_000_000) }},
		"a budget of mills":         {"budget", func(t *rules.Terms) { t.Budget = dec("100.001") }},
		"budget end":                {"budgetEnd", func(t *rules.Terms) { t.BudgetEnd = "" }},
		"no kind":                   {"reward.kind", func(t *rules.Terms) { t.Reward.Kind = "" }},
		"no percent":                {"reward.percent", func(t *rules.Terms) { t.Reward.Percent = decimal.Zero }},
		"101 percent":               {"reward.percent", func(t *rules.Terms) { t.Reward.Percent = dec("100.0001") }},
		"percents of five decimals": {"reward.percent", func(t *rules.Terms) { t.Reward.Percent = dec("1.00001") }},
		"a percent without end":     {"reward.percent", func(t *rules.Terms) { t.Reward.Percent = decimal.New(1, -2_000_000_000) }},
		"percent and amount":        {"reward.amount", func(t *rules.Terms) { t.Reward.Amount = dec("1") }},
		"percent and steps":         {"reward.steps", func(t *rules.Terms) { t.Reward.Steps = []rules.Step{{Percent: dec("1")}} }},
		"fixed without amount":      {"reward.amount", func(t *rules.Terms) { t.Reward = rules.Reward{Kind: rules.Fixed} }},
		"fixed of mills":            {"reward.amount", func(t *rules.Terms) { t.Reward = rules.Reward{Kind: rules.Fixed, Amount: dec("1.001")} }},
		"fixed and percent":         {"reward.percent", func(t *rules.Terms) { t.Reward = rules.Reward{Kind: rules.Fixed, Amount: dec("1"), Percent: dec("1")} }},
		"no steps":                  {"reward.steps", steps()},
		"too many steps":            {"reward.steps", steps(slices.Repeat([]rules.Step{{Percent: dec("1")}}, 21)...)},
		"a step of both":            {"reward.steps[0]", steps(rules.Step{Percent: dec("1"), Amount: dec("1")})},
		"a step of neither":         {"reward.steps[1]", steps(rules.Step{Percent: dec("1")}, rules.Step{From: dec("1")})},
		"steps in no order":         {"reward.steps[1].from", steps(rules.Step{From: dec("5"), Percent: dec("1")}, rules.Step{From: dec("5"), Percent: dec("1")})},
		"a negative step":           {"reward.steps[0].from", steps(rules.Step{From: dec("-5"), Percent: dec("1")})},
		"a step far beyond": {"reward.steps[0].from", steps(rules.Step{From: decimal.New(1, 2_000_000_000), Percent: dec("1")},
			rules.Step{From: dec("5"), Percent: dec("1")})},
		"a step's percent":       {"reward.steps[0].percent", steps(rules.Step{Percent: dec("-1")})},
		"a step's amount":        {"reward.steps[0].amount", steps(rules.Step{Amount: dec("0.001")})},
		"a multiplier of zero":   {`reward.multipliers["gold"]`, func(t *rules.Terms) { t.Reward.Multipliers = map[string]decimal.Decimal{"gold": {}} }},
		"a multiplier of 101":    {`reward.multipliers["gold"]`, func(t *rules.Terms) { t.Reward.Multipliers = map[string]decimal.Decimal{"gold": dec("101")} }},
		"a tier without name":    {"reward.multipliers", func(t *rules.Terms) { t.Reward.Multipliers = map[string]decimal.Decimal{"": dec("1")} }},
		"a negative cap":         {"caps.perPurchase", func(t *rules.Terms) { t.Caps.PerPurchase = dec("-1") }},
		"a cap of mills":         {"caps.perPurchase", func(t *rules.Terms) { t.Caps.PerPurchase = dec("0.001") }},
		"a cap without period":   {"caps.customerPeriod", func(t *rules.Terms) { t.Caps.PerCustomer = dec("1") }},
		"a period without cap":   {"caps.customerPeriod", func(t *rules.Terms) { t.Caps.CustomerPeriod = rules.Day }},
		"an unknown period":      {"caps.customerPeriod", func(t *rules.Terms) { t.Caps = rules.Caps{PerCustomer: dec("1"), CustomerPeriod: "YEAR"} }},
		"no funding":             {"funding.kind", func(t *rules.Terms) { t.Funding.Kind = "" }},
		"the platform's account": {"funding.accountId", func(t *rules.Terms) { t.Funding.AccountID = "acc" }},
		"a merchant's without":   {"funding.accountId", func(t *rules.Terms) { t.Funding.Kind = rules.Merchant }},
		"a part of all": {"funding.merchantPercent", func(t *rules.Terms) {
			t.Funding = rules.Funding{Kind: rules.Merchant, AccountID: "a", MerchantPercent: dec("50")}
		}},
		"shared without part": {"funding.merchantPercent", func(t *rules.Terms) { t.Funding = rules.Funding{Kind: rules.Shared, AccountID: "a"} }},
		"shared, all of it": {"funding.merchantPercent", func(t *rules.Terms) {
			t.Funding = rules.Funding{Kind: rules.Shared, AccountID: "a", MerchantPercent: dec("100")}
		}},
		"a group's name":         {"group", func(t *rules.Terms) { t.Group = "a b" }},
		"priority":               {"priority", func(t *rules.Terms) { t.Priority = 1001 }},
		"clickHours":             {"clickHours", func(t *rules.Terms) { t.ClickHours = -1 }},
		"returnDays":             {"returnDays", func(t *rules.Terms) { t.ReturnDays = 731 }},
		"several, all are named": {"name condition budget", func(t *rules.Terms) { t.Name, t.Condition, t.Budget = "", "no", dec("-1") }},
	} {
		terms := someTerms()
		c.change(&terms)
		if fields := strings.Join(fieldsOf(t, terms.Validate()), " "); fields != c.field {
			t.Errorf("%s: %q; want %q: %v", name, fields, c.field, terms.Validate())
		}
	}
}

// loopOf is a line condition with a loop of so many items.
func loopOf(items int) string {
	quoted := make([]string, items)
	for i := range quoted {
		quoted[i] = fmt.Sprintf("%q", fmt.Sprint(i))
	}
	return "[" + strings.Join(quoted, ",") + "].exists(x, x == product)"
}

// Whatever is wrong with a thousand merchants, an answer can be read.
func TestProblemsOfALongListAreCutShort(t *testing.T) {
	t.Parallel()
	terms := someTerms()
	terms.Merchants = slices.Repeat([]string{"a b"}, 1000)
	if fields := fieldsOf(t, terms.Validate()); len(fields) < 20 || len(fields) > 30 {
		t.Errorf("%d fields", len(fields))
	}
}

func TestProgramsAreRefusedByField(t *testing.T) {
	t.Parallel()
	full := func() rules.Program {
		return rules.Program{
			Groups: map[string]rules.Policy{"a": rules.Best, "b": rules.Sum, "default": rules.Priority},
			Tiers:  []rules.Tier{{Name: "silver", MinSpend: dec("0")}, {Name: "gold", MinSpend: dec("100.50")}}, TierDays: 365, TierCurrency: "USD",
			Segments: map[string]string{"big": `spend > 100 && tier in ["gold"] && customer_country == "GB" && "vip" in segments`},
		}
	}
	withoutTiers := full()
	withoutTiers.Tiers = nil
	for _, fine := range []rules.Program{{}, full(), withoutTiers} {
		if err := fine.Validate(); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		field  string
		change func(*rules.Program)
	}{
		"an unknown policy":      {`groups["a"]`, func(p *rules.Program) { p.Groups["a"] = "WORST" }},
		"a group without name":   {`groups[""]`, func(p *rules.Program) { p.Groups[""] = rules.Best }},
		"no days":                {"tierDays", func(p *rules.Program) { p.TierDays = 0 }},
		"too many days":          {"tierDays", func(p *rules.Program) { p.TierDays = 3651 }},
		"no currency":            {"tierCurrency", func(p *rules.Program) { p.TierCurrency = "" }},
		"a tier without name":    {"tiers[0].name", func(p *rules.Program) { p.Tiers[0].Name = "" }},
		"two of one name":        {"tiers[1].name", func(p *rules.Program) { p.Tiers[1].Name = "silver" }},
		"tiers in no order":      {"tiers[1].minSpend", func(p *rules.Program) { p.Tiers[1].MinSpend = dec("0") }},
		"a negative tier":        {"tiers[0].minSpend", func(p *rules.Program) { p.Tiers[0].MinSpend = dec("-1") }},
		"a tier beyond all":      {"tiers[1].minSpend", func(p *rules.Program) { p.Tiers[1].MinSpend = decimal.New(1, 2_000_000_000) }},
		"too many tiers":         {"tiers", func(p *rules.Program) { p.Tiers = manyTiers(21) }},
		"a segment without rule": {`segments["big"]`, func(p *rules.Program) { p.Segments["big"] = "" }},
		"a segment that is none": {`segments["big"]`, func(p *rules.Program) { p.Segments["big"] = "amount > 1" }},
		"a segment without name": {`segments[""]`, func(p *rules.Program) { p.Segments[""] = "true" }},
		"too many segments":      {"segments", func(p *rules.Program) { p.Segments = manySegments(51) }},
		"several, all are named": {`groups["a"] tierDays segments["big"]`, func(p *rules.Program) { p.Groups["a"], p.TierDays, p.Segments["big"] = "", -1, "no" }},
	} {
		program := full()
		c.change(&program)
		if fields := strings.Join(fieldsOf(t, program.Validate()), " "); fields != c.field {
			t.Errorf("%s: %q; want %q", name, fields, c.field)
		}
	}
}

func manyTiers(n int) []rules.Tier {
	tiers := make([]rules.Tier, n)
	for i := range tiers {
		tiers[i] = rules.Tier{Name: fmt.Sprintf("t%d", i), MinSpend: decimal.NewFromInt(int64(i))}
	}
	return tiers
}

func manySegments(n int) map[string]string {
	segments := map[string]string{}
	for i := range n {
		segments[fmt.Sprintf("s%d", i)] = "true"
	}
	return segments
}

// Whatever is sent as terms is refused or taken, quickly; and what is taken
// evaluates a purchase.
func FuzzTerms(f *testing.F) {
	for _, terms := range []rules.Terms{someTerms(), fullTerms()} {
		text, err := json.Marshal(terms)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add([]byte(strings.ReplaceAll(string(text), `"budget":"1000"`, `"budget":"1e999999999"`)))
		f.Add([]byte(strings.ReplaceAll(string(text), `"percent":"5"`, `"percent":"1e-999999999"`)))
	}
	f.Add([]byte(`{"currency":"JPY","reward":{"kind":"TIERED","steps":[{"from":1e20},{"from":-0.5,"percent":1e2}],"multipliers":{"":0}}}`))
	f.Add([]byte(`{"condition":"[[[[","lineCondition":"products.map(p, products.map(q, p + q)).size() > 1"}`))
	p, c := richPurchase()
	f.Fuzz(func(t *testing.T, text []byte) {
		var terms rules.Terms
		if json.Unmarshal(text, &terms) != nil {
			return
		}
		if err := terms.Validate(); err != nil {
			fieldsOf(t, err)
			return
		}
		terms.Enabled, terms.From, terms.To = true, friday, friday.Add(time.Hour)
		bought := *p
		bought.Currency = terms.Currency
		finding := newSet(t, richProgram, terms).Evaluate(&bought, &c, plenty)[0]
		if sum := decimal.Sum(decimal.Zero, finding.Lines...); !sum.Equal(finding.Amount) || finding.Sentence(terms) == "" {
			t.Fatalf("%+v", finding)
		}
		if finding.Reason.Applies() {
			if kept, err := rules.Keep(terms, finding, &bought, bought.Lines, rules.Share{}, &c); err != nil || kept.GreaterThan(finding.Amount) {
				t.Fatalf("keeps %s of %+v, %v", kept, finding, err)
			}
		}
	})
}
