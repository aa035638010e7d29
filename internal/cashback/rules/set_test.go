package rules_test

import (
	"sync"
	"testing"
	"time"

	"florin/internal/cashback/rules"
)

func TestTwoCampaignsOfOneIDAreNoSet(t *testing.T) {
	t.Parallel()
	if _, err := rules.NewSet(rules.Program{}, []rules.Versioned{{ID: "a"}, {ID: "b"}, {ID: "a"}}); err == nil {
		t.Error("it was made")
	}
}

func TestCandidatesCouldGiveAnything(t *testing.T) {
	t.Parallel()
	terms := make([]rules.Terms, 6)
	for i := range terms {
		terms[i] = someTerms()
	}
	terms[1].Merchants = []string{"mer_2"}
	terms[2].Currency = "EUR"
	terms[3].Enabled = false
	terms[4].To = friday
	terms[5].Condition = "balance > 1" // fails, and is there all the same
	set := newSet(t, rules.Program{Version: 3}, terms...)
	var ids string
	for _, c := range set.Candidates("mer_1", "USD", friday) {
		ids += c.ID + " "
	}
	if ids != "c1 c6 " {
		t.Error(ids)
	}
	if of := set.Candidates("mer_2", "USD", friday); len(of) != 3 || of[1].ID != "c2" || of[1].Version != 7 || of[1].Terms.Merchants[0] != "mer_2" {
		t.Errorf("%+v", of)
	}
	if len(set.All()) != 6 || set.Program().Version != 3 {
		t.Errorf("%+v", set.All())
	}
	if c, isThere := set.Campaign("c4"); !isThere || c.ID != "c4" || c.Terms.Enabled {
		t.Errorf("%+v %t", c, isThere)
	}
	if _, isThere := set.Campaign("c7"); isThere {
		t.Error("c7 is there")
	}
}

func TestAClickIsAttributed(t *testing.T) {
	t.Parallel()
	day, week, none, other, over, euros := someTerms(), someTerms(), someTerms(), someTerms(), someTerms(), someTerms()
	day.ClickHours, week.ClickHours, other.ClickHours, over.ClickHours, euros.ClickHours = 24, 7*24, 24, 24, 24
	other.Merchants, over.To, euros.Currency = []string{"mer_2"}, friday, "EUR"
	set := newSet(t, rules.Program{}, day, week, none, other, over, euros)
	if w := set.ClickWindow(); w != 7*24*time.Hour {
		t.Error(w)
	}
	click := func(id, campaign string, hoursBefore float64) rules.Click {
		return rules.Click{ID: id, CampaignID: campaign, At: friday.Add(-time.Duration(hoursBefore * float64(time.Hour)))}
	}
	for name, c := range map[string]struct {
		named string
		free  []rules.Click
		want  string
	}{
		"none":                          {"", nil, ""},
		"one":                           {"", []rules.Click{click("a", "c1", 1)}, "a"},
		"at the purchase's time":        {"", []rules.Click{click("a", "c1", 0)}, "a"},
		"at the window's end":           {"", []rules.Click{click("a", "c1", 24)}, "a"},
		"beyond the window":             {"", []rules.Click{click("a", "c1", 24.001)}, ""},
		"after the purchase":            {"", []rules.Click{click("a", "c1", -0.001)}, ""},
		"the latest":                    {"", []rules.Click{click("a", "c1", 3), click("b", "c2", 1), click("c", "c1", 2)}, "b"},
		"the latest that fits":          {"", []rules.Click{click("a", "c2", 100), click("b", "c1", 25), click("c", "c2", 101)}, "a"},
		"of two at once the lower id":   {"", []rules.Click{click("b", "c1", 1), click("a", "c2", 1)}, "a"},
		"the named one":                 {"a", []rules.Click{click("b", "c1", 1), click("a", "c1", 3)}, "a"},
		"the named one does not fit":    {"a", []rules.Click{click("b", "c1", 1), click("a", "c1", 30)}, "b"},
		"the named one is not there":    {"z", []rules.Click{click("b", "c1", 1)}, "b"},
		"a campaign without clicks":     {"", []rules.Click{click("a", "c3", 1)}, ""},
		"of another merchant":           {"", []rules.Click{click("a", "c4", 1)}, ""},
		"a campaign that is over":       {"", []rules.Click{click("a", "c5", 1)}, ""},
		"a campaign in other money":     {"", []rules.Click{click("a", "c6", 1)}, ""},
		"an unknown campaign":           {"a", []rules.Click{click("a", "c9", 1)}, ""},
		"an unknown one hides no other": {"a", []rules.Click{click("a", "c9", 1), click("b", "c2", 50)}, "b"},
	} {
		got := set.Attribute(somePurchase("1"), c.named, c.free)
		if got == nil && c.want != "" || got != nil && got.ID != c.want {
			t.Errorf("%s: %+v; want %q", name, got, c.want)
		}
	}
}

func TestTiersBySpend(t *testing.T) {
	t.Parallel()
	set := newSet(t, rules.Program{Tiers: []rules.Tier{{"bronze", dec("50")}, {"silver", dec("100")}, {"gold", dec("1000.5")}}})
	for spend, want := range map[string]string{
		"0": "", "-5": "", "49.9999": "", "50": "bronze", "99.99": "bronze", "100": "silver", "1000.49": "silver", "1000.50": "gold", "99999": "gold",
	} {
		if got := set.Tier(dec(spend)); got != want {
			t.Errorf("%s: %q; want %q", spend, got, want)
		}
	}
	if got := newSet(t, rules.Program{}).Tier(dec("5")); got != "" {
		t.Error(got)
	}
}

func TestPeriodsOfCaps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		period rules.Period
		at     string
		want   string
	}{
		{rules.Day, "2026-11-20T23:59:59Z", "2026-11-20"},
		{rules.Day, "2026-11-21T00:30:00+01:00", "2026-11-20"},
		{rules.Week, "2026-11-22T23:59:59Z", "2026-W47"},
		{rules.Week, "2026-11-23T00:00:00Z", "2026-W48"},
		{rules.Week, "2027-01-03T12:00:00Z", "2026-W53"}, // a week belongs to the year of its Thursday
		{rules.Week, "2024-12-30T00:00:00Z", "2025-W01"},
		{rules.Month, "2026-11-30T23:59:59Z", "2026-11"},
		{rules.Campaign, "2026-11-20T00:00:00Z", "ALL"},
		{"", "2026-11-20T00:00:00Z", ""},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := (rules.Caps{CustomerPeriod: c.period}).Key(at); got != c.want {
			t.Errorf("%s of %s is %q; want %q", c.period, c.at, got, c.want)
		}
	}
}

// A set is asked by many at once; the race detector looks on.
func TestASetIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	p, c := richPurchase()
	terms := someTerms()
	terms.Condition, terms.LineCondition = `products.exists(p, p == "POST") && "big" in segments`, `product != "POST"`
	set := newSet(t, richProgram, terms)
	var asked sync.WaitGroup
	for range 8 {
		asked.Go(func() {
			for range 200 {
				if f := set.Evaluate(p, &c, plenty)[0]; !f.Base.Equal(dec("25.2999")) {
					t.Errorf("%+v", f)
				}
			}
		})
	}
	asked.Wait()
}
