package cashback

import (
	"cmp"
	"slices"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
	"florin/internal/ledger"
)

// evaluate asks the rules, accrues what they give, and counts the purchase.
func (w *work) evaluate(e *purchaseEntry, customer *customerEntry) {
	asked := e.asked()
	asked.Click = w.visits.attribute(w.set, asked, e.ClickID)
	day := dayOf(e.At)
	facts := rules.Customer{Country: customer.country, Purchases: customer.purchases, Segments: customer.segments}
	facts.Spend = customer.spent(day, int64(w.program.TierDays))
	facts.Tier = w.set.Tier(facts.Spend)
	findings := w.set.Evaluate(asked, &facts, func(campaignID string) rules.Room { return w.room(e, campaignID) })
	for i := range findings {
		if findings[i].Reason.Applies() {
			w.grant(e, &findings[i])
		}
	}
	if findings == nil {
		findings = []rules.Finding{} // no campaign of its time, as opposed to nobody knows
	}
	if len(w.program.Segments) > 0 {
		facts.Segments = w.set.Segments(&facts)
	}
	e.Evaluation = &Evaluation{Program: w.program.Version, Customer: facts, Findings: findings}
	if asked.Click != nil {
		e.Evaluation.ClickID = asked.Click.ID
	}
	e.Status, e.evaluation, e.isRewarded = Accepted, "", true
	e.touch(w.now)

	customer.purchases++
	customer.changed = true
	w.addSpend(customer, &e.Purchase, e.Amount)
	w.changeTier(e, customer)
}

// room is what a campaign can still give for a purchase.
func (w *work) room(e *purchaseEntry, campaignID string) rules.Room {
	totals, campaign := w.totals[campaignID], w.candidates[campaignID]
	if totals == nil || campaign == nil {
		return rules.Room{} // it was made, and not all of it is there yet
	}
	room := rules.Room{Budget: totals.left()}
	if most := campaign.Terms.Caps.PerCustomer; most.IsPositive() {
		left := most
		if got := w.caps[capKey{campaignID, e.CustomerID, campaign.Terms.Caps.Key(e.At)}]; got != nil {
			left = decimal.Max(decimal.Zero, most.Sub(got.amount))
		}
		room.Customer = decimal.NewNullDecimal(left)
	}
	if account := campaign.Terms.Funding.AccountID; account != "" {
		var err error
		if room.Funds, err = w.mover.Available(account); err != nil {
			room.Funds = decimal.NewNullDecimal(decimal.Zero)
		}
	}
	return room
}

// grant accrues a reward: the platform's part and the merchant's, both or none. When
// the books refuse it, the finding says so instead.
func (w *work) grant(e *purchaseEntry, f *rules.Finding) {
	terms := &w.candidates[f.CampaignID].Terms
	confirmAt := e.At.AddDate(0, 0, terms.ReturnDays)
	r := &rewardEntry{
		Reward: Reward{
			ID: RewardID(e.ID, f.CampaignID), PurchaseID: e.ID, CampaignID: f.CampaignID, CampaignVersion: f.Version,
			CustomerID: e.CustomerID, Currency: e.Currency, Amount: f.Amount, MerchantAmount: f.MerchantPart,
			Status: Accrued, ConfirmAt: confirmAt, CreatedAt: w.now, UpdatedAt: w.now,
		},
		next: &confirmAt,
	}
	var movements [2]ledger.Movement
	n := 0
	pay := func(from string, amount decimal.Decimal) {
		if amount.IsPositive() {
			movements[n] = ledger.Movement{
				ID: TransferID(r.ID, int64(n)+1), SourceAccountID: from, DestinationAccountID: accruedAccountID(f.CampaignID),
				Amount: amount, Currency: e.Currency, Description: "cashback accrued for purchase " + e.ID,
			}
			n++
		}
	}
	pay(costAccountID(f.CampaignID), f.Amount.Sub(f.MerchantPart))
	pay(terms.Funding.AccountID, f.MerchantPart)
	if err := w.mover.Move(movements[:n]...); err != nil {
		f.Reason, f.Detail = rules.FundsMissing, err.Error()
		f.Amount, f.MerchantPart, f.Lines = decimal.Zero, decimal.Zero, nil
		return
	}
	r.Transfers = int64(n)
	r.MerchantAccount = terms.Funding.AccountID
	e.rewards = append(e.rewards, r)
	w.granted = append(w.granted, r)
	totals := w.totals[f.CampaignID]
	totals.accrued, totals.merchants = totals.accrued.Add(f.Amount), totals.merchants.Add(f.MerchantPart)
	totals.rewards++
	totals.changed = true
	if terms.Caps.PerCustomer.IsPositive() {
		w.addToCap(capKey{f.CampaignID, e.CustomerID, terms.Caps.Key(e.At)}, f.Amount)
	}
}

func (w *work) addToCap(key capKey, amount decimal.Decimal) {
	got := w.caps[key]
	if got == nil {
		got = &capEntry{}
		w.caps[key] = got
	}
	got.amount, got.added = got.amount.Add(amount), got.added.Add(amount)
}

// addSpend counts what a customer spent with a purchase, or took back of it.
func (w *work) addSpend(customer *customerEntry, p *Purchase, amount decimal.Decimal) {
	key := spendKey{p.CustomerID, string(p.Currency), dayOf(p.At)}
	w.spend[key] = w.spend[key].Add(amount)
	if customer == nil || w.program.TierDays == 0 || p.Currency != w.program.TierCurrency {
		return
	}
	customer.addDay(key.day, amount)
}

func (c *customerEntry) addDay(day int64, amount decimal.Decimal) {
	i, isThere := slices.BinarySearchFunc(c.days, day, func(d daySpend, day int64) int { return cmp.Compare(d.day, day) })
	if !isThere {
		c.days = slices.Insert(c.days, i, daySpend{day: day})
	}
	c.days[i].amount = c.days[i].amount.Add(amount)
}

// spent is what the customer spent in so many days up to one.
func (c *customerEntry) spent(day, days int64) decimal.Decimal {
	sum := decimal.Zero
	for i := len(c.days) - 1; i >= 0 && c.days[i].day > day-days; i-- {
		if c.days[i].day <= day {
			sum = sum.Add(c.days[i].amount)
		}
	}
	return sum
}

// changeTier notes the tier that the customer has by his newest purchase, which may be
// newer than this one.
func (w *work) changeTier(e *purchaseEntry, customer *customerEntry) {
	if w.program.TierDays == 0 {
		return
	}
	newest := dayOf(e.At)
	if n := len(customer.days); n > 0 {
		newest = max(newest, customer.days[n-1].day)
	}
	spend := customer.spent(newest, int64(w.program.TierDays))
	tier := w.set.Tier(spend)
	if tier == customer.tier {
		return
	}
	customer.tier = tier
	w.changes = append(w.changes, tierChange{customerID: customer.id, tier: tier, seq: customer.purchases, at: e.At, spend: spend})
}
