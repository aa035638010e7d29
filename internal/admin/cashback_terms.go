package admin

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"florin/internal/api"
)

// term is one of a campaign's terms in words: what it is about, and what it says.
// What is written in CEL stands apart, to be shown as it is.
type term struct{ about, says, code string }

// termsInWords are a campaign's terms as one would tell them.
func termsInWords(c *api.Campaign) []term {
	amount := func(m api.Money) string { return grouped(string(m)) + " " + c.Currency }
	terms := []term{{about: "Gives", says: giftInWords(c)}}
	if len(c.Reward.Multipliers) > 0 {
		var times []string
		for _, tier := range slices.Sorted(maps.Keys(c.Reward.Multipliers)) {
			times = append(times, fmt.Sprintf("%s times as much for the tier %s", c.Reward.Multipliers[tier], tier))
		}
		terms = append(terms, term{about: "Loyalty", says: strings.Join(times, ", ") + "."})
	}
	terms = append(terms,
		term{about: "Purchases", says: fmt.Sprintf("From %s to before %s, in UTC.", dayInWords(c.From), dayInWords(c.To))},
		term{about: "Merchants", says: merchantsInWords(c.Merchants)})
	if c.Condition != "" {
		terms = append(terms, term{about: "Counts when", code: c.Condition})
	}
	if c.LineCondition != "" {
		terms = append(terms, term{about: "Lines that count", code: c.LineCondition})
	}
	if c.MinimumSpend != nil {
		terms = append(terms, term{about: "Minimum", says: amount(*c.MinimumSpend) + " of lines that count."})
	}
	if c.ClickHours > 0 {
		terms = append(terms, term{about: "Click", says: fmt.Sprintf("Only within %s after a click through the campaign.", counted(int64(c.ClickHours), "hour", "hours"))})
	}
	return append(terms,
		term{about: "Caps", says: capsInWords(c.Caps, amount)},
		term{about: "Budget", says: budgetInWords(c, amount)},
		term{about: "Who pays", says: fundingInWords(&c.Funding)},
		term{about: "Is paid", says: paidInWords(c.ReturnDays)},
		term{about: "Beside others", says: fmt.Sprintf("In the group %s, with the priority %d.", c.Group, c.Priority)})
}

// giftInWords is what a campaign gives, in one line.
func giftInWords(c *api.Campaign) string {
	amount := func(m api.Money) string { return grouped(string(m)) + " " + c.Currency }
	switch r := &c.Reward; {
	case r.Kind == "PERCENT" && r.Percent != nil:
		return string(*r.Percent) + "% of the lines that count."
	case r.Kind == "FIXED" && r.Amount != nil:
		return amount(*r.Amount) + " once a purchase."
	}
	steps := make([]string, len(c.Reward.Steps))
	for i, step := range c.Reward.Steps {
		switch {
		case step.Percent != nil:
			steps[i] = fmt.Sprintf("from %s %s%%", amount(step.From), *step.Percent)
		case step.Amount != nil:
			steps[i] = fmt.Sprintf("from %s %s", amount(step.From), amount(*step.Amount))
		}
	}
	return "By the amount of the lines that count: " + strings.Join(steps, "; ") + "."
}

func merchantsInWords(merchants []string) string {
	if len(merchants) == 0 {
		return "All."
	}
	return strings.Join(merchants, ", ") + "."
}

func capsInWords(caps *api.CampaignCaps, amount func(api.Money) string) string {
	if caps == nil {
		return "None but the budget."
	}
	var bounds []string
	if caps.PerPurchase != nil {
		bounds = append(bounds, amount(*caps.PerPurchase)+" a purchase")
	}
	if caps.PerCustomer != nil {
		period := "a " + strings.ToLower(caps.CustomerPeriod)
		if caps.CustomerPeriod == "CAMPAIGN" {
			period = "from the campaign"
		}
		bounds = append(bounds, amount(*caps.PerCustomer)+" a customer "+period)
	}
	return "At most " + strings.Join(bounds, " and ") + "."
}

func budgetInWords(c *api.Campaign, amount func(api.Money) string) string {
	end := "a reward that is larger than what is left gets the rest"
	if c.BudgetEnd == "NOTHING" {
		end = "a reward that is larger than what is left gets nothing"
	}
	return amount(c.Budget) + "; " + end + "."
}

func fundingInWords(f *api.CampaignFunding) string {
	switch {
	case f.Kind == "MERCHANT":
		return fmt.Sprintf("The merchant, from the account %s.", f.AccountID)
	case f.Kind == "SHARED" && f.MerchantPercent != nil:
		return fmt.Sprintf("The merchant %s%%, from the account %s; the platform the rest.", *f.MerchantPercent, f.AccountID)
	}
	return "The platform."
}

func paidInWords(returnDays int) string {
	if returnDays == 0 {
		return "At once: there is no return window."
	}
	return fmt.Sprintf("After %s, when the return window is over.", counted(int64(returnDays), "day", "days"))
}

// changedTerms are what a version of a campaign says otherwise than the one before.
func changedTerms(now, before *api.Campaign) []string {
	var changes []string
	if now.Name != before.Name {
		changes = append(changes, "Name: "+now.Name)
	}
	switch {
	case now.Enabled && !before.Enabled:
		changes = append(changes, "Enabled.")
	case !now.Enabled && before.Enabled:
		changes = append(changes, "Paused.")
	}
	earlier := map[string]term{}
	for _, t := range termsInWords(before) {
		earlier[t.about] = t
	}
	for _, t := range termsInWords(now) {
		if earlier[t.about] != t {
			changes = append(changes, t.about+": "+t.says+t.code)
		}
		delete(earlier, t.about)
	}
	for _, about := range slices.Sorted(maps.Keys(earlier)) {
		changes = append(changes, about+": no more.")
	}
	return changes
}

// budgetPart is what became of a part of a budget, drawn as a piece of a bar.
type budgetPart struct {
	name, about, colour string
	amount              api.Money
	x, width            string // in percent of the budget
}

// budgetParts are what became of a campaign's budget, from left to right.
func budgetParts(f *api.CampaignFigures) []budgetPart {
	parts := []budgetPart{
		{name: "Paid", about: "to customers, and not taken back", colour: "var(--good)", amount: f.Paid},
		{name: "Confirmed", about: "owed to customers, and not paid yet", colour: "var(--accent)", amount: f.Confirmed},
		{name: "Accrued", about: "promised, and not confirmed yet", colour: "var(--wait)", amount: f.Accrued},
		{name: "Remaining", about: "still to be given", colour: "var(--line)", amount: f.Remaining},
	}
	whole, left := decimalOf(f.Budget), decimal.Zero
	for i := range parts {
		width := percentOf(decimalOf(parts[i].amount), whole)
		parts[i].x, parts[i].width = left.String(), width.String()
		left = left.Add(width)
	}
	return parts
}

// usedPercent is how much of the budget is given or promised.
func usedPercent(f *api.CampaignFigures) string {
	budget := decimalOf(f.Budget)
	return percentOf(budget.Sub(decimalOf(f.Remaining)), budget).Round(1).String()
}

// decimalOf reads what the API wrote, for a picture: what is no number is nothing.
func decimalOf(amount api.Money) decimal.Decimal {
	value, err := decimal.NewFromString(string(amount))
	if err != nil {
		return decimal.Zero
	}
	return value
}

var hundred = decimal.NewFromInt(100)

// percentOf is how many percent of a whole a part is, to a hundredth: for pictures.
func percentOf(part, whole decimal.Decimal) decimal.Decimal {
	if !whole.IsPositive() || part.IsNegative() {
		return decimal.Zero
	}
	return decimal.Min(part.Mul(hundred).DivRound(whole, 2), hundred)
}

// reasonsInWords are what campaigns made of purchases, as people say it.
var reasonsInWords = map[string]string{
	"applied": "Got the reward", "capped_per_purchase": "Cut to the cap of a purchase", "capped_per_customer": "Cut to the customer's cap",
	"capped_by_budget": "Cut to what was left of the budget", "other_merchant": "Another merchant", "other_currency": "Another currency",
	"no_click": "No click through the campaign", "condition_false": "The condition does not hold", "no_lines": "No line counts",
	"below_minimum": "Below the minimum", "rounds_to_zero": "Rounds to nothing", "customer_cap_reached": "The customer has all he can get",
	"budget_exhausted": "The budget is used up", "funding_insufficient": "The merchant could not pay", "outdone": "Another campaign came first",
	"evaluation_failed": "The rule could not be evaluated",
}

func reasonInWords(reason string) string {
	if words := reasonsInWords[reason]; words != "" {
		return words
	}
	return spoken(reason)
}

// reasonCount is how many purchases a reason was of.
type reasonCount struct {
	reason  string
	count   int64
	percent string
}

// reasonsOf are a forecast's, the most frequent first.
func reasonsOf(f *api.Forecast) []reasonCount {
	whole := int64(0)
	for _, count := range f.Reasons {
		whole += count
	}
	var counts []reasonCount
	for _, reason := range slices.Sorted(maps.Keys(f.Reasons)) {
		count := f.Reasons[reason]
		counts = append(counts, reasonCount{reason, count, percentOf(decimal.NewFromInt(count), decimal.NewFromInt(whole)).Round(1).String()})
	}
	slices.SortStableFunc(counts, func(a, b reasonCount) int { return cmp.Compare(b.count, a.count) })
	return counts
}
