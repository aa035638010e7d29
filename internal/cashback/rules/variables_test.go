package rules_test

import (
	"strings"
	"testing"
	"time"

	"florin/internal/cashback/rules"
)

// richPurchase is of a known customer, with three lines and a click.
func richPurchase() (*rules.Purchase, rules.Customer) {
	p := &rules.Purchase{
		ID: "pur_1", MerchantID: "mer_1", CustomerID: "cus_1", Currency: "USD", Country: "France", At: friday,
		Lines: []rules.Line{
			{Product: "85123A", Description: "WHITE HANGING HEART", Category: "home/lights", MCC: "5712", Quantity: 6, UnitPrice: dec("2.55")},
			{Product: "71053", Description: "WHITE METAL LANTERN", Category: "home", Quantity: 3, UnitPrice: dec("3.3333")},
			{Product: "POST", Quantity: 1, UnitPrice: dec("18")},
		},
		Click: &rules.Click{ID: "clk_1", CampaignID: "c1", At: friday.Add(-time.Hour)},
	}
	return p, rules.Customer{Country: "GB", Purchases: 3, Spend: dec("250.75"), Tier: "silver", Segments: []string{"staff", "vip"}}
}

var richProgram = rules.Program{Segments: map[string]string{
	"big":  `spend > 200 && purchases > 2`,
	"none": `tier == "gold"`,
	"vip":  `true`,
	"both": `"vip" in segments && !("big" in segments)`, // sees lists alone
}}

func TestConditionsSeeThePurchase(t *testing.T) {
	t.Parallel()
	p, c := richPurchase()
	for condition, want := range map[string]bool{
		`merchant == "mer_1" && customer == "cus_1"`:                       true,
		`currency == "USD" && country == "France"`:                         true,
		`amount == decimal("43.2999")`:                                     true, // exact
		`amount > decimal("43.2999")`:                                      false,
		`amount > 43 && amount < 44`:                                       true,
		`line_count == 3 && quantity == 10`:                                true,
		`products == ["85123A", "71053", "POST"]`:                          true,
		`"POST" in products`:                                               true,
		`products.exists(p, p.startsWith("85"))`:                           true,
		`categories.all(c, c.startsWith("home"))`:                          false,
		`categories == ["home/lights", "home", ""] && mccs[0] == "5712"`:   true,
		`tier == "silver" && customer_country == "GB"`:                     true,
		`purchases == 3 && !is_first_purchase`:                             true,
		`spend == decimal("250.75")`:                                       true,
		`spend + amount > 294`:                                             true,
		`"vip" in segments && "big" in segments && "both" in segments`:     true,
		`"none" in segments`:                                               false,
		`size(segments) == 4`:                                              true,
		`weekday == 5 && hour == 18 && day == "2026-11-20" && month == 11`: true,
		`weekday in [6, 7] || hour < 9`:                                    false,
		`day >= "2026-11-20" && day < "2026-11-27"`:                        true,
		`has_click`: true,
		`country in ["Germany", "France"] ? amount > 40 : amount > 100`:             true,
		`country.matches("^(Fr|Ger)") && mccs.exists(m, m.matches("^57"))`:          true,
		`quantity * 10 == 100 && decimal("0.1") + decimal("0.2") == decimal("0.3")`: true,
	} {
		terms := someTerms()
		terms.Condition = condition
		if err := terms.Validate(); err != nil {
			t.Errorf("%s: %v", condition, err)
		}
		f := newSet(t, richProgram, terms).Evaluate(p, &c, plenty)[0]
		if want != f.Reason.Applies() || !want && f.Reason != rules.ConditionFalse {
			t.Errorf("%s: %+v; want %t", condition, f, want)
		}
	}
}

func TestTimesAreInUTC(t *testing.T) {
	t.Parallel()
	terms := someTerms()
	terms.Condition = `weekday == 7 && hour == 23 && day == "2026-11-22" && month == 11`
	p := somePurchase("10")
	p.At = time.Date(2026, 11, 23, 8, 30, 0, 0, time.FixedZone("Tokyo", 9*3600))
	if f := evaluate(t, terms, p, rules.Customer{}, muchRoom); f.Reason != rules.Applied {
		t.Errorf("%+v", f)
	}
	if key := (rules.Caps{CustomerPeriod: rules.Day}).Key(p.At); key != "2026-11-22" {
		t.Error(key)
	}
}

func TestLineConditionsSeeLineAndPurchase(t *testing.T) {
	t.Parallel()
	p, c := richPurchase()
	for condition, base := range map[string]string{
		`product.startsWith("85")`:                             "15.3",
		`category.startsWith("home")`:                          "25.2999",
		`description.contains("WHITE") && mcc == ""`:           "9.9999",
		`line_quantity >= 3`:                                   "25.2999",
		`quantity == 10`:                                       "43.2999", // the purchase's
		`unit_price > decimal("3.3332")`:                       "27.9999",
		`line_amount == decimal("9.9999")`:                     "9.9999",
		`line_amount < amount - 25`:                            "43.2999",
		`line_amount < amount - 28`:                            "9.9999",
		`"big" in segments && product != "POST"`:               "25.2999",
		`line_count == 3 && has_click`:                         "43.2999",
		`product.matches("^[0-9]+")`:                           "25.2999",
		`mcc.matches("^57[0-9]{2}$") || product == "71053"`:    "25.2999",
		`"staff" in segments && "vip" in segments`:             "43.2999",
		`line_amount > unit_price && unit_price != decimal(0)`: "25.2999",
	} {
		terms := someTerms()
		terms.LineCondition = condition
		if err := terms.Validate(); err != nil {
			t.Errorf("%s: %v", condition, err)
		}
		if f := newSet(t, richProgram, terms).Evaluate(p, &c, plenty)[0]; !f.Base.Equal(dec(base)) || f.Reason != rules.Applied {
			t.Errorf("%s: %+v; want %s", condition, f, base)
		}
	}
}

func TestALineConditionIsAskedOnlyWhenTheRestHolds(t *testing.T) {
	t.Parallel()
	terms := someTerms()
	terms.Condition, terms.LineCondition = `country == "FR"`, `1 / (line_quantity - 1) > 0`
	if f := evaluate(t, terms, somePurchase("1"), rules.Customer{}, muchRoom); f.Reason != rules.ConditionFalse {
		t.Errorf("%+v", f)
	}
}

func TestASegmentThatFailsFailsOnlyWhatAsksForSegments(t *testing.T) {
	t.Parallel()
	asks, doesNot := someTerms(), someTerms()
	asks.Condition, asks.Group = `"vip" in segments`, "a"
	for name, rule := range map[string]string{"division by zero": `1 / purchases > 0`, "undeclared reference": `balance > 1`, "it has no rule": ``} {
		set := newSet(t, rules.Program{Segments: map[string]string{"odd": rule}}, asks, doesNot)
		c := &rules.Customer{Segments: []string{"vip"}}
		findings := set.Evaluate(somePurchase("1"), c, plenty)
		if f := findings[0]; f.Reason != rules.EvaluationFailed || !strings.Contains(f.Detail, "segment odd: ") || !strings.Contains(f.Detail, name) {
			t.Errorf("%s: %+v", name, f)
		}
		if findings[1].Reason != rules.Applied {
			t.Errorf("%s: %+v", name, findings[1])
		}
		if all := set.Segments(c); len(all) != 1 || all[0] != "vip" {
			t.Errorf("%s: %q", name, all)
		}
	}
}

func TestSegmentsByListAndByRule(t *testing.T) {
	t.Parallel()
	_, c := richPurchase()
	set := newSet(t, richProgram)
	if all := strings.Join(set.Segments(&c), " "); all != "staff vip big both" {
		t.Error(all)
	}
	if len(c.Segments) != 2 {
		t.Errorf("the customer's own list is now %q", c.Segments)
	}
	if all := newSet(t, rules.Program{}).Segments(&c); len(all) != 2 {
		t.Error(all)
	}
}

// A purchase of as many lines as there can be is evaluated, by a loop, within the
// cost that the rule was saved for.
func TestTheLargestPurchaseIsWithinTheCost(t *testing.T) {
	t.Parallel()
	p := somePurchase("1")
	for len(p.Lines) < 2000 {
		p.Lines = append(p.Lines, rules.Line{Product: strings.Repeat("x", 100), Quantity: 1, UnitPrice: dec("1")})
	}
	terms := someTerms()
	terms.Condition = `products.exists(p, p.startsWith("22") || p.contains("heart")) || line_count == 2000`
	terms.LineCondition = `product.matches("^x+$")`
	if err := terms.Validate(); err != nil {
		t.Fatal(err)
	}
	if f := evaluate(t, terms, p, rules.Customer{}, muchRoom); f.Reason != rules.Applied || !f.Base.Equal(dec("1999")) {
		t.Errorf("%s %s of %s", f.Reason, f.Detail, f.Base)
	}
	// The costliest conditions that lines may have take about 10 microseconds each, not
	// thousands, whatever the lines are.
	for i := range p.Lines {
		p.Lines[i].Product, p.Lines[i].Description, p.Lines[i].UnitPrice = strings.Repeat("é", 100), strings.Repeat("é", 500), dec("12345.6789")
	}
	for _, costly := range []string{
		loopOf(5), `product.matches("(x*)*b")`, `size(description) + size(description) + size(description) > 1501`,
		`description.contains("xx") || description.contains("yy") || description.contains("zz")`, strings.Repeat("unit_price + ", 20) + "unit_price < 0",
	} {
		terms.LineCondition = costly
		if err := terms.Validate(); err != nil {
			t.Errorf("%s: %v", costly, err)
		}
		start := time.Now()
		if f := evaluate(t, terms, p, rules.Customer{}, muchRoom); f.Reason != rules.NoLines {
			t.Errorf("%s: %s %s", costly, f.Reason, f.Detail)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: it took %s", costly, took)
		}
	}
	// One far beyond what is taken in is not evaluated for ever.
	for len(p.Lines) < 100_000 {
		p.Lines = append(p.Lines, p.Lines[1:]...)
	}
	if f := evaluate(t, terms, p, rules.Customer{}, muchRoom); f.Reason != rules.EvaluationFailed || !strings.Contains(f.Detail, "cost") {
		t.Errorf("%s %s", f.Reason, f.Detail)
	}
}
