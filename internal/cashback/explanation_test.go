package cashback_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
)

// explains asks for the explanation of a purchase's reward by a campaign.
func (l *life) explains(p cashback.Purchase, campaignID string) cashback.Explanation {
	l.t.Helper()
	e, err := l.Explanation(l.t.Context(), cashback.RewardID(p.ID, campaignID))
	if err != nil {
		l.t.Fatal(err)
	}
	return e
}

func (l *life) wantSentences(p cashback.Purchase, want ...string) {
	l.t.Helper()
	if got := l.explains(p, l.campaign).Sentences; !slices.Equal(got, want) {
		l.t.Errorf("it says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnExplanationFollowsARewardThroughItsLife(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		l := newLife(w, sharedTerms(w))
		p := l.buys("10.10", 10)
		const granted = "5% of 101.00 USD is 5.05 USD. The merchant pays 1.68 USD of it, the platform 3.37 USD."
		l.wantSentences(p, granted, "It is confirmed and paid when the return window of 14 days is over, on 2026-12-04 12:00 UTC.")

		l.setStatus(l.customer.AccountID, ledger.Frozen)
		l.pass(returnWindow)
		l.settles()
		l.wantSentences(p, granted, "It is confirmed, as the return window of 14 days is over, but could not be paid (account_frozen); that is tried again.")

		l.setStatus(l.customer.AccountID, ledger.Active)
		l.pass(time.Hour)
		l.settles()
		l.wantSentences(p, granted, "It was paid to account "+l.customer.AccountID+".")

		l.spends("4.05")
		l.givesBack(p, 7)
		l.wantSentences(p, granted, "Because of returns 3.53 USD of it was taken back, which leaves 1.52 USD.",
			"Of that the customer still owes 2.53 USD: account "+l.customer.AccountID+" could not give it back (insufficient_funds); that is tried again.",
			"It was paid to account "+l.customer.AccountID+".")

		l.earns("10")
		l.pass(time.Hour)
		l.settles()
		l.givesBack(p, 3)
		l.wantSentences(p, granted, "Because of returns all of it was taken back.")

		e := l.explains(p, l.campaign)
		if e.Purchase.Status != cashback.Returned || e.Campaign.ID != l.campaign || e.Campaign.Version != 1 || e.Finding.Reason != rules.Applied || len(e.Others) != 0 {
			t.Errorf("%+v", e)
		}
	})
}

func TestAnExplanationNamesTheVersionThatGaveTheReward(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		p := l.buys("100", 1)
		changed := someTerms()
		changed.Reward.Percent = dec("1")
		if _, err := l.ChangeCampaign(t.Context(), l.campaign, 1, changed); err != nil {
			t.Fatal(err)
		}
		if e := l.explains(p, l.campaign); e.Campaign.Version != 1 || e.Sentences[0] != "5% of 100.00 USD is 5.00 USD." {
			t.Errorf("version %d: %q", e.Campaign.Version, e.Sentences)
		}
		later := l.buys("100", 1)
		if e := l.explains(later, l.campaign); e.Campaign.Version != 2 || e.Sentences[0] != "1% of 100.00 USD is 1.00 USD." {
			t.Errorf("version %d: %q", e.Campaign.Version, e.Sentences)
		}
	})
}

func TestAnExplanationNamesTheCampaignsThatDidNotApply(t *testing.T) {
	eachLong(t, func(t *testing.T, w *world) {
		capped := someTerms()
		capped.Caps.PerPurchase, capped.Group = dec("1.50"), "capped"
		l := newLife(w, capped)
		create := func(id string, change func(*rules.Terms)) {
			terms := someTerms()
			change(&terms)
			if _, err := l.CreateCampaign(t.Context(), id, terms); err != nil {
				t.Fatal(err)
			}
		}
		create("a-outdone", func(t *rules.Terms) { t.Reward.Percent = dec("2") })
		create("b-winner", func(t *rules.Terms) { t.Reward.Percent = dec("3") })
		create("c-abroad", func(t *rules.Terms) { t.Condition, t.Group = `country == "FR"`, "c" })
		create("d-used-up", func(t *rules.Terms) { t.Budget, t.Group = dec("0.50"), "d" })
		create("e-nothing", func(t *rules.Terms) {
			t.Budget, t.Group, t.BudgetEnd = dec("1"), "e", rules.PayNothing
		})
		create("f-paused", func(t *rules.Terms) { t.Enabled = false })
		create("g-dozens", func(t *rules.Terms) { t.LineCondition, t.Group = `quantity >= 12`, "g" })
		create("h-clicks", func(t *rules.Terms) { t.ClickHours, t.Group = 24, "h" })
		create("i-week", func(t *rules.Terms) {
			t.Caps.PerCustomer, t.Caps.CustomerPeriod, t.Group = dec("1"), rules.Week, "i"
		})
		p := l.records(l.customer.ID, rules.Line{Product: "A", Quantity: 3, UnitPrice: dec("10")}, rules.Line{Product: "B", Quantity: 1, UnitPrice: dec("0.33")})

		e := l.explains(p, l.campaign)
		if want := "5% of 30.33 USD is 1.5165 USD, capped at 1.50 USD a purchase."; e.Sentences[0] != want {
			t.Errorf("it says %q, want %q", e.Sentences[0], want)
		}
		var said []string
		for _, other := range e.Others {
			said = append(said, other.CampaignID+": "+string(other.Reason)+": "+other.Sentence)
		}
		want := []string{
			`a-outdone: outdone: 2% of 30.33 USD is 0.6066 USD, but in the group default only one campaign gives, and b-winner came first.`,
			`b-winner: applied: 3% of 30.33 USD is 0.9099 USD, rounded to 0.91 USD.`,
			`c-abroad: condition_false: The campaign's condition does not hold: country == "FR".`,
			`d-used-up: capped_by_budget: 5% of 30.33 USD is 1.5165 USD, cut to 0.50 USD: that was all that was left of the budget.`,
			`e-nothing: budget_exhausted: 5% of 30.33 USD is 1.5165 USD, which is more than was left of the campaign's budget.`,
			`g-dozens: no_lines: No line of the purchase counts; one does when: quantity >= 12.`,
			`h-clicks: no_click: The purchase did not follow a click through this campaign within 24 hours.`,
			`i-week: capped_per_customer: 5% of 30.33 USD is 1.5165 USD, cut to 1.00 USD: the customer gets at most 1.00 USD a week.`,
		}
		if !slices.Equal(said, want) {
			t.Errorf("the others:\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
		}

		// The parts of the lines add up to the reward.
		equal(t, "the first line's amount", e.Lines[0].Total, "30")
		if sum := e.Lines[0].Reward.Add(e.Lines[1].Reward); !sum.Equal(e.Reward.Amount) || !e.Lines[1].Reward.IsPositive() {
			t.Errorf("%s and %s of %s", e.Lines[0].Reward, e.Lines[1].Reward, e.Reward.Amount)
		}
		l.givesBack(p, 2)
		if e := l.explains(p, l.campaign); e.Lines[0].Returned != 2 || e.Lines[1].Returned != 0 {
			t.Errorf("%+v", e.Lines)
		}
	})
}
