package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

var (
	one     = decimal.NewFromInt(1)
	hundred = decimal.NewFromInt(100)
)

// Key names the period of PerCustomer that at lies in, in UTC: such as 2026-11-20,
// 2026-W47, 2026-11 or ALL; empty when there is no such cap.
func (c Caps) Key(at time.Time) string {
	at = at.UTC()
	switch c.CustomerPeriod {
	case Day:
		return at.Format(time.DateOnly)
	case Week:
		year, week := at.ISOWeek()
		return fmt.Sprintf("%04d-W%02d", year, week)
	case Month:
		return at.Format("2006-01")
	case Campaign:
		return "ALL"
	}
	return ""
}

// MerchantPart is what the merchant pays of an amount of the currency: nothing of
// it, all of it, or his percent rounded half-even to the currency's decimals. The
// platform pays the rest, so that the two add up.
func MerchantPart(f Funding, amount decimal.Decimal, c money.Currency) decimal.Decimal {
	switch f.Kind {
	case Merchant:
		return amount
	case Shared:
		return amount.Mul(f.MerchantPercent).Shift(-2).RoundBank(c.Decimals())
	}
	return decimal.Zero
}

// Share is a part of a whole, exact where its quotient has no end. The zero Share is
// all of it.
type Share struct{ Part, Whole decimal.Decimal }

// shareDecimals is how exact a share of an amount is, and far more than any currency
// has decimals.
const shareDecimals = 16

func (s Share) of(amount decimal.Decimal) decimal.Decimal {
	if amount.IsZero() || s.Part.Equal(s.Whole) {
		return amount
	}
	return amount.Mul(s.Part).DivRound(s.Whole, shareDecimals)
}

// Keep is what stays of a reward when kept is all that is left of the purchase: the
// reward for those lines by the terms that f came of, at most f.Amount. Lines may be
// left out or have a quantity of zero; they are at the prices of the purchase. share
// is what of their value is left where money was paid back and no lines came: it
// lessens what counts, and the line condition knows nothing of it.
//
// The minimum spend, the steps, the line condition and the cap per purchase are
// asked of what was kept. The line condition still sees the purchase as it was, and
// the customer c as he was: c must be what Evaluate had, with Set.Segments. The
// condition, the budget, the customer's cap and the stacking are not asked again.
// A line condition that can't be evaluated on what was kept earns nothing, as at
// the beginning. Returns an error when the line condition does not compile.
func Keep(t Terms, f Finding, p *Purchase, kept []Line, share Share, c *Customer) (decimal.Decimal, error) {
	campaign := campaign{Versioned: Versioned{ID: f.CampaignID, Version: f.Version, Terms: t}}
	var err error
	if campaign.lineCondition, err = lineLanguage.compile(t.LineCondition); err != nil {
		return decimal.Zero, fmt.Errorf("line condition of campaign %s, version %d: %w", f.CampaignID, f.Version, err)
	}
	lines := slices.DeleteFunc(slices.Clone(kept), func(l Line) bool { return l.Quantity <= 0 })
	counting, err := campaign.count(newView(p, c, nil), lines)
	if err != nil {
		return decimal.Zero, nil //nolint:nilerr // a reward that nothing speaks for any more
	}
	var again Finding
	for i := range lines {
		if counting == nil || counting[i] {
			again.Base = again.Base.Add(lines[i].Amount())
		}
	}
	again.Base = share.of(again.Base)
	campaign.compute(&again, c)
	if !again.Reason.Applies() {
		return decimal.Zero, nil
	}
	return decimal.Min(again.Amount, f.Amount), nil
}
