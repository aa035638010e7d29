package rules

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// Evaluate says what each campaign makes of a purchase: of those that are enabled
// and have its time in their period, by id. room is asked, once each, for what
// those can still give that would give anything.
//
// The campaigns of a group stack by its policy, among those that give anything
// after caps and budgets. Groups take from a merchant's account in the order of
// their names. What a campaign can't evaluate is its EvaluationFailed, never an
// error. The same arguments give the same findings.
func (s *Set) Evaluate(p *Purchase, c *Customer, room func(campaignID string) Room) []Finding {
	v := newView(p, c, s.segments)
	on := 0
	for i := range s.campaigns {
		if s.campaigns[i].isOn(p.At) {
			on++
		}
	}
	findings := make([]Finding, 0, on)
	offers := make([]offer, 0, on)
	for i := range s.campaigns {
		campaign := &s.campaigns[i]
		if !campaign.isOn(p.At) {
			continue
		}
		finding, counting := campaign.judge(v)
		if finding.Reason.Applies() {
			offers = append(offers, offer{campaign: campaign, finding: len(findings), counting: counting})
		}
		findings = append(findings, finding)
	}
	s.stack(findings, offers, room)
	for _, o := range offers {
		if f := &findings[o.finding]; f.Reason.Applies() {
			f.Lines = v.amounts.share(f.Amount, o.counting, o.campaign.Terms.Currency.Decimals())
		}
	}
	return findings
}

// offer is a campaign that would give something.
type offer struct {
	campaign *campaign
	finding  int    // index of its finding
	counting []bool // the lines that count; nil for all
}

// judge says what the campaign would give for the purchase if nothing were used up:
// a finding that applies, capped per purchase alone, or the reason against it.
func (c *campaign) judge(v *view) (f Finding, counting []bool) {
	f = Finding{CampaignID: c.ID, Version: c.Version}
	t := &c.Terms
	click := v.purchase.Click
	switch {
	case !c.isOfMerchant(v.purchase.MerchantID):
		f.Reason = OtherMerchant
	case t.Currency != v.purchase.Currency:
		f.Reason = OtherCurrency
	case t.ClickHours > 0 && (click == nil || click.CampaignID != c.ID || !t.reaches(click, v.purchase.At)):
		f.Reason = NoClick
	case c.problem != nil:
		f.fail(c.problem)
	case v.problem != nil:
		f.fail(v.problem)
	case c.condition != nil:
		if holds, err := c.condition.Holds(v); err != nil {
			f.fail(err)
		} else if !holds {
			f.Reason = ConditionFalse
		}
	}
	if f.Reason != "" {
		return f, nil
	}
	counting, err := c.count(v, v.purchase.Lines)
	if err != nil {
		f.fail(err)
		return f, nil
	}
	if len(v.amounts.of) == 0 || counting != nil && !slices.Contains(counting, true) {
		f.Reason = NoLines
		return f, nil
	}
	f.Base = v.amounts.decimal(v.amounts.sum(counting))
	c.compute(&f, v.customer)
	return f, counting
}

// count says which lines count; nil for all.
func (c *campaign) count(v *view, lines []Line) (counting []bool, err error) {
	if c.lineCondition == nil {
		return nil, nil
	}
	counting = make([]bool, len(lines))
	for i := range lines {
		v.lookAt(&lines[i])
		if counting[i], err = c.lineCondition.Holds(v); err != nil {
			return nil, err
		}
	}
	return counting, nil
}

// compute is the reward for f.Base, before anything is used up.
func (c *campaign) compute(f *Finding, customer *Customer) {
	t := &c.Terms
	percent, fixed := t.Reward.at(f.Base)
	if !f.Base.IsPositive() || f.Base.LessThan(t.MinimumSpend) || percent.IsZero() && fixed.IsZero() {
		f.Reason = BelowMinimum
		return
	}
	f.Computed = fixed
	if !percent.IsZero() {
		f.Rate = percent
		f.Computed = f.Base.Mul(percent).Shift(-2)
	}
	f.Multiplier = one
	if multiplier, has := t.Reward.Multipliers[customer.Tier]; has {
		f.Multiplier = multiplier
		f.Computed = f.Computed.Mul(multiplier)
	}
	f.Amount = f.Computed.RoundBank(t.Currency.Decimals())
	if !f.Amount.IsPositive() {
		f.Reason = RoundsToZero
		return
	}
	if f.Amount.GreaterThan(maxReward) {
		f.Amount = decimal.Zero
		f.fail(errRewardTooLarge)
		return
	}
	f.Reason = Applied
	if most := t.Caps.PerPurchase; most.IsPositive() && most.LessThan(f.Amount) {
		f.Amount, f.Reason = most, CappedPurchase
	}
}

// at is what the reward is for this amount: a percent or a fixed amount; neither
// below the first step.
func (r *Reward) at(base decimal.Decimal) (percent, fixed decimal.Decimal) {
	switch r.Kind {
	case Percent:
		return r.Percent, decimal.Zero
	case Fixed:
		return decimal.Zero, r.Amount
	case Tiered:
		for _, step := range r.Steps {
			if base.LessThan(step.From) {
				break
			}
			percent, fixed = step.Percent, step.Amount
		}
	}
	return percent, fixed
}

// stack makes of offers what is given: it lets each group follow its policy, and
// gives no more than there is room for.
func (s *Set) stack(findings []Finding, offers []offer, room func(campaignID string) Room) {
	slices.SortStableFunc(offers, func(a, b offer) int { return cmp.Compare(a.campaign.group, b.campaign.group) })
	taken := map[string]decimal.Decimal{} // of merchants' accounts
	for len(offers) > 0 {
		group := offers[0].campaign.group
		n := 1
		for n < len(offers) && offers[n].campaign.group == group {
			n++
		}
		s.stackGroup(s.program.Groups[group], findings, offers[:n], room, taken)
		offers = offers[n:]
	}
}

func (s *Set) stackGroup(policy Policy, findings []Finding, offers []offer, room func(campaignID string) Room, taken map[string]decimal.Decimal) {
	first := -1 // of those that give anything
	for i, o := range offers {
		f, account := &findings[o.finding], o.campaign.Terms.Funding.AccountID
		f.limit(&o.campaign.Terms, room(o.campaign.ID), taken[account])
		if !f.Reason.Applies() {
			continue
		}
		if policy == Sum {
			taken[account] = taken[account].Add(f.MerchantPart)
		} else if first < 0 || comesBefore(policy, o, f, offers[first], &findings[offers[first].finding]) {
			first = i
		}
	}
	if first < 0 {
		return
	}
	winner := offers[first].campaign
	for i, o := range offers {
		f := &findings[o.finding]
		if i == first {
			taken[winner.Terms.Funding.AccountID] = taken[winner.Terms.Funding.AccountID].Add(f.MerchantPart)
		} else if f.Reason.Applies() {
			f.refuse(Stacked, winner.ID)
		}
	}
}

// comesBefore says that offer a outdoes b, whose id is lower.
func comesBefore(policy Policy, a offer, given *Finding, b offer, best *Finding) bool {
	byPriority := cmp.Compare(a.campaign.Terms.Priority, b.campaign.Terms.Priority)
	if policy == Priority {
		return byPriority > 0
	}
	return cmp.Or(given.Amount.Cmp(best.Amount), byPriority) > 0
}

// limit cuts an amount that applies to what there is room for.
func (f *Finding) limit(t *Terms, room Room, taken decimal.Decimal) {
	places := t.Currency.Decimals()
	if left := room.Customer.Decimal.Truncate(places); room.Customer.Valid && left.LessThan(f.Amount) {
		if !left.IsPositive() {
			f.refuse(CustomerCapFull, "")
			return
		}
		f.Amount, f.Reason = left, CappedCustomer
	}
	if left := room.Budget.Truncate(places); left.LessThan(f.Amount) {
		if !left.IsPositive() || t.BudgetEnd != PayRest {
			f.refuse(BudgetExhausted, "")
			return
		}
		f.Amount, f.Reason = left, CappedBudget
	}
	f.MerchantPart = MerchantPart(t.Funding, f.Amount, t.Currency)
	if room.Funds.Valid && room.Funds.Decimal.Sub(taken).LessThan(f.MerchantPart) {
		f.refuse(FundsMissing, "")
	}
}

func (f *Finding) refuse(reason Reason, detail string) {
	f.Reason, f.Detail = reason, detail
	f.Amount, f.MerchantPart = decimal.Zero, decimal.Zero
}

// fail notes why the campaign could not be evaluated, in one line.
func (f *Finding) fail(err error) {
	f.Reason, f.Detail = EvaluationFailed, plainLine(err.Error())
}

const maxDetailLength = 300 // characters

// plainLine makes text fit to be kept and shown: values of a purchase may stand in
// an error.
func plainLine(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r)
	}), " ")
	if utf8.RuneCountInString(text) > maxDetailLength {
		text = string([]rune(text)[:maxDetailLength-1]) + "…"
	}
	return text
}
