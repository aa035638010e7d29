package rules

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// Sentence says in words and numbers why the campaign, whose terms t are, gave what
// it gave. It is for people; its wording may change.
func (f Finding) Sentence(t Terms) string {
	switch f.Reason {
	case Applied:
		return f.reckoning(t) + f.rounding(t) + "." + f.payers(t)
	case CappedPurchase:
		return fmt.Sprintf("%s, capped at %s a purchase.%s", f.reckoning(t), t.money(f.Amount), f.payers(t))
	case CappedCustomer:
		return fmt.Sprintf("%s, cut to %s: the customer gets at most %s %s.%s",
			f.reckoning(t), t.money(f.Amount), t.money(t.Caps.PerCustomer), t.Caps.inWords(), f.payers(t))
	case CappedBudget:
		return fmt.Sprintf("%s, cut to %s: that was all that was left of the budget.%s", f.reckoning(t), t.money(f.Amount), f.payers(t))
	case OtherMerchant:
		return "The campaign is not for purchases from this merchant."
	case OtherCurrency:
		return fmt.Sprintf("The campaign is for purchases in %s.", t.Currency)
	case NoClick:
		return fmt.Sprintf("The purchase did not follow a click through this campaign within %d hours.", t.ClickHours)
	case ConditionFalse:
		return fmt.Sprintf("The campaign's condition does not hold: %s.", plainLine(t.Condition))
	case NoLines:
		if t.LineCondition == "" {
			return "The purchase has no lines."
		}
		return fmt.Sprintf("No line of the purchase counts; one does when: %s.", plainLine(t.LineCondition))
	case BelowMinimum:
		return fmt.Sprintf("The lines that count come to %s; a reward needs %s.", t.money(f.Base), t.least())
	case RoundsToZero:
		return f.reckoning(t) + ", which rounds to nothing."
	case CustomerCapFull:
		return fmt.Sprintf("%s, but the customer has all of the %s that he can get %s.", f.reckoning(t), t.money(t.Caps.PerCustomer), t.Caps.inWords())
	case BudgetExhausted:
		return fmt.Sprintf("%s, which is more than was left of the campaign's budget.", f.reckoning(t))
	case FundsMissing:
		return fmt.Sprintf("%s, but the merchant's account %s could not pay for it.", f.reckoning(t), t.Funding.AccountID)
	case Stacked:
		return fmt.Sprintf("%s, but in the group %s only one campaign gives, and %s came first.", f.reckoning(t), cmp.Or(t.Group, DefaultGroup), f.Detail)
	case EvaluationFailed:
		return fmt.Sprintf("The campaign's rule could not be evaluated: %s.", f.Detail)
	}
	return string(f.Reason)
}

// reckoning is how the reward was computed: "5% of 100.00 USD, times 2 for the
// customer's tier, is 10.00 USD".
func (f Finding) reckoning(t Terms) string {
	var text strings.Builder
	if f.Rate.IsPositive() {
		fmt.Fprintf(&text, "%s%% of %s", f.Rate, t.money(f.Base))
	} else {
		_, fixed := t.Reward.at(f.Base)
		fmt.Fprintf(&text, "%s for a purchase of %s", t.money(fixed), t.money(f.Base))
	}
	isMultiplied := f.Multiplier.IsPositive() && !f.Multiplier.Equal(one)
	if isMultiplied {
		fmt.Fprintf(&text, ", times %s for the customer's tier,", f.Multiplier)
	}
	if isMultiplied || f.Rate.IsPositive() {
		fmt.Fprintf(&text, " is %s", t.money(f.Computed))
	}
	return text.String()
}

func (f Finding) rounding(t Terms) string {
	if f.Amount.Equal(f.Computed) {
		return ""
	}
	return ", rounded to " + t.money(f.Amount)
}

func (f Finding) payers(t Terms) string {
	switch {
	case !f.MerchantPart.IsPositive():
		return ""
	case f.MerchantPart.Equal(f.Amount):
		return " The merchant pays it."
	}
	return fmt.Sprintf(" The merchant pays %s of it, the platform %s.", t.money(f.MerchantPart), t.money(f.Amount.Sub(f.MerchantPart)))
}

// least is the amount below which there is no reward.
func (t *Terms) least() string {
	least := t.MinimumSpend
	if t.Reward.Kind == Tiered && len(t.Reward.Steps) > 0 {
		least = decimal.Max(least, t.Reward.Steps[0].From)
	}
	if !least.IsPositive() {
		return "more than nothing"
	}
	return "at least " + t.money(least)
}

func (t *Terms) money(amount decimal.Decimal) string {
	return money.Format(amount, t.Currency) + " " + string(t.Currency)
}

func (c Caps) inWords() string {
	switch c.CustomerPeriod {
	case Day:
		return "a day"
	case Week:
		return "a week"
	case Month:
		return "a month"
	}
	return "from the campaign"
}
