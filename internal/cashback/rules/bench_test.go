package rules_test

import (
	"testing"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
)

// BenchmarkEvaluate evaluates a purchase of five lines under three campaigns: one
// by category with a line condition, one by country, one with steps and
// multipliers. The target is 10 microseconds for a purchase and rule.
func BenchmarkEvaluate(b *testing.B) {
	category := someTerms()
	category.LineCondition = `category.startsWith("home/")`
	country := someTerms()
	country.Condition, country.Group = `country == "France"`, "country"
	ladder := someTerms()
	ladder.Group, ladder.Reward = "ladder", rules.Reward{
		Kind: rules.Tiered,
		Steps: []rules.Step{
			{From: dec("10"), Percent: dec("1")}, {From: dec("50"), Percent: dec("2.5")}, {From: dec("500"), Percent: dec("4")},
		},
		Multipliers: map[string]decimal.Decimal{"gold": dec("2")},
	}
	set := newSet(b, rules.Program{}, category, country, ladder)
	p, c := somePurchase("2.55", "3.39", "2.75", "11.3333", "7.65"), &rules.Customer{Tier: "gold"}
	p.Country = "France"
	for i := range p.Lines {
		p.Lines[i].Quantity, p.Lines[i].Category = int64(6+i), "home/lighting"
	}
	p.Lines[4].Category = "garden"
	for _, f := range set.Evaluate(p, c, plenty) {
		if f.Reason != rules.Applied {
			b.Fatalf("%+v", f)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		set.Evaluate(p, c, plenty)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(set.All())), "ns/rule")
}
