package rules_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
)

func dec(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func limit(text string) decimal.NullDecimal { return decimal.NewNullDecimal(dec(text)) }

// friday is the time of all purchases here: Friday, 2026-11-20, 18:30 UTC.
var friday = time.Date(2026, 11, 20, 18, 30, 0, 0, time.UTC)

// someTerms give 5% of whatever is bought in dollars in November 2026.
func someTerms() rules.Terms {
	return rules.Terms{
		Name: "Five percent", Currency: "USD", Enabled: true,
		From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
		Reward:    rules.Reward{Kind: rules.Percent, Percent: dec("5")},
		Budget:    dec("1000"),
		BudgetEnd: rules.PayRest,
		Funding:   rules.Funding{Kind: rules.Platform},
	}
}

// somePurchase has a line for each price, of the products p0, p1, ...
func somePurchase(prices ...string) *rules.Purchase {
	p := &rules.Purchase{ID: "pur_1", MerchantID: "mer_1", CustomerID: "cus_1", Currency: "USD", Country: "US", At: friday}
	for i, price := range prices {
		p.Lines = append(p.Lines, rules.Line{Product: fmt.Sprintf("p%d", i), Quantity: 1, UnitPrice: dec(price)})
	}
	return p
}

// newSet has the campaigns c1, c2, ... in their version 7.
func newSet(t testing.TB, program rules.Program, terms ...rules.Terms) *rules.Set {
	t.Helper()
	var campaigns []rules.Versioned
	for i, of := range terms {
		campaigns = append(campaigns, rules.Versioned{ID: fmt.Sprintf("c%d", i+1), Version: 7, Terms: of})
	}
	set, err := rules.NewSet(program, campaigns)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

var muchRoom = rules.Room{Budget: dec("1000000000000")}

// plenty is room for everything.
func plenty(string) rules.Room { return muchRoom }

// only is room for so much, whichever campaign asks.
func only(room rules.Room) func(string) rules.Room {
	return func(string) rules.Room { return room }
}

// evaluate is what c1, alone, makes of the purchase.
func evaluate(t testing.TB, terms rules.Terms, p *rules.Purchase, c rules.Customer, room rules.Room) rules.Finding {
	t.Helper()
	findings := newSet(t, rules.Program{}, terms).Evaluate(p, &c, only(room))
	if len(findings) != 1 {
		t.Fatalf("%d findings: %+v", len(findings), findings)
	}
	return findings[0]
}
