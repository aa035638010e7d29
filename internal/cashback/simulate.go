package cashback

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/cashback/rules"
	"florin/internal/money"
)

const (
	// MaxSimulated is how many purchases a simulation takes. It is part of the API.
	MaxSimulated = 200_000
	// topCustomers is how many customers a forecast names.
	topCustomers = 20
)

// Simulation asks what a campaign would have given over a past period.
type Simulation struct {
	From, To time.Time    // of purchases; To exclusive
	Terms    *rules.Terms // nil for the campaign's newest version
}

// Forecast is what a campaign would have given.
type Forecast struct {
	Purchases    int64 // of the period, evaluated ones
	Rewarded     int64 // of those
	Customers    int64 // rewarded ones
	Currency     money.Currency
	Cost         decimal.Decimal // of all rewards
	MerchantPart decimal.Decimal // of Cost
	// TakenBack is what returns would have taken back of Cost. It is not given again.
	TakenBack decimal.Decimal
	// BudgetExhaustedAt is when the first purchase was made that the budget had not
	// enough for, or that took the last of it; nil when there was none.
	BudgetExhaustedAt *time.Time
	Reasons           map[rules.Reason]int64 // how many purchases each befell
	Top               []CustomerCost         // the customers who got most, at most 20
}

// CustomerCost is what one customer got.
type CustomerCost struct {
	CustomerID string
	Rewards    int64
	Amount     decimal.Decimal
}

// Simulate tells what a campaign would have given over a past period, and books
// nothing. The purchases on record are evaluated again, in the order of their times
// and all as of one moment, with what was known of their customers then and with the
// clicks that they were attributed to. The campaign runs over the whole period, from
// a full budget, whatever its own period is and whether it is enabled; so do, in
// their own periods, the other enabled campaigns, as they are now: it may be outdone.
// Purchases of unknown customers are left out, and merchants' accounts have enough.
// What came back of a purchase until now counts as if it had come back at once, after
// the period: it frees no budget and no cap.
//
// Returns CampaignNotFound; PeriodTooLarge for more than MaxSimulated purchases; and
// InvalidInput.
func (c *Cashback) Simulate(ctx context.Context, id string, s Simulation) (Forecast, error) {
	if !s.From.Before(s.To) {
		return Forecast{}, invalid("to", "must be after from")
	}
	campaign, err := c.Campaign(ctx, id)
	if err != nil {
		return Forecast{}, err
	}
	terms := campaign.Terms
	if s.Terms != nil {
		terms = *s.Terms
	}
	terms.From, terms.To, terms.Enabled = s.From, s.To, true
	if err := terms.Validate(); err != nil {
		return Forecast{}, err
	}
	if terms.Currency != campaign.Currency {
		return Forecast{}, invalid("terms.currency", "must stay %s, the campaign's", campaign.Currency)
	}
	set, err := c.setWith(ctx, rules.Versioned{ID: id, Version: campaign.Version, Terms: terms})
	if err != nil {
		return Forecast{}, err
	}
	d := newDryRun(set, id)
	err = c.db.Snapshot(ctx, func(tx pgx.Tx, _ time.Time) error { return simulate(ctx, tx, s, d) })
	if err != nil {
		return Forecast{}, err
	}
	return d.forecast(terms.Currency), nil
}

// setWith is the set that purchases are evaluated with now, but for one campaign.
func (c *Cashback) setWith(ctx context.Context, campaign rules.Versioned) (*rules.Set, error) {
	current, err := c.currentSet(ctx)
	if err != nil {
		return nil, err
	}
	campaigns := slices.DeleteFunc(current.All(), func(v rules.Versioned) bool { return v.ID == campaign.ID })
	set, err := rules.NewSet(current.Program(), append(campaigns, campaign))
	if err != nil {
		return nil, fmt.Errorf("compile campaigns: %w", err)
	}
	return set, nil
}

// simulate runs through the purchases of a period as they come from the database,
// and keeps none.
func simulate(ctx context.Context, tx pgx.Tx, s Simulation, d *dryRun) error {
	n, err := cashbackdb.New(tx).CountPurchasesToSimulate(ctx, cashbackdb.CountPurchasesToSimulateParams{FromAt: s.From, ToAt: s.To, MaxRows: MaxSimulated + 1})
	if err != nil {
		return fmt.Errorf("count purchases: %w", err)
	}
	if n > MaxSimulated {
		return PeriodTooLarge.Failure("the period has more than %d purchases: ask for a shorter one", MaxSimulated)
	}
	rows, err := tx.Query(ctx, cashbackdb.PurchasesToSimulate, s.From, s.To)
	if err != nil {
		return fmt.Errorf("read purchases: %w", err)
	}
	var row, blank cashbackdb.PurchasesToSimulateRow
	columns := []any{
		&row.PurchaseID, &row.MerchantID, &row.CustomerID, &row.Currency, &row.Country, &row.PurchasedAt, &row.Lines, &row.Amount, &row.Returned,
		&row.Customer, &row.ClickID, &row.ClickCampaignID, &row.ClickedAt,
	}
	_, err = pgx.ForEachRow(rows, columns, func() error {
		purchase, err := purchaseToSimulate(&row)
		if err == nil {
			err = d.take(purchase)
		}
		if err != nil {
			return fmt.Errorf("purchase %s: %w", row.PurchaseID, err)
		}
		row = blank
		return nil
	})
	if err != nil {
		return fmt.Errorf("read purchases: %w", err)
	}
	return nil
}

// pastPurchase is a purchase on record that is evaluated again.
type pastPurchase struct {
	purchaseEntry
	question *rules.Purchase // with the click that it was attributed to
	customer rules.Customer  // as he was
}

func purchaseToSimulate(row *cashbackdb.PurchasesToSimulateRow) (*pastPurchase, error) {
	lines, taken, err := linesFromJSON(row.Lines)
	if err != nil {
		return nil, fmt.Errorf("read lines: %w", err)
	}
	p := &pastPurchase{purchaseEntry: purchaseEntry{Purchase: Purchase{
		PurchaseRequest: PurchaseRequest{
			ID: row.PurchaseID, MerchantID: row.MerchantID, CustomerID: row.CustomerID, Currency: money.Currency(row.Currency),
			Country: row.Country, At: row.PurchasedAt.UTC(), Lines: lines,
		},
		Amount: row.Amount, Returned: row.Returned, Taken: taken,
	}}}
	if err = json.Unmarshal(row.Customer, &p.customer); err != nil {
		return nil, fmt.Errorf("read what was known of the customer: %w", err)
	}
	p.question = p.asked()
	if row.ClickID != nil {
		p.question.Click = &rules.Click{ID: *row.ClickID, CampaignID: orEmpty(row.ClickCampaignID), At: row.ClickedAt.UTC()}
	}
	return p, nil
}

// stays is what is left of a reward after what came back of the purchase.
func (p *pastPurchase) stays(set *rules.Set, t rules.Terms, f rules.Finding) (decimal.Decimal, error) {
	if p.Taken == nil && p.Returned.IsZero() {
		return f.Amount, nil
	}
	if !p.left().IsPositive() {
		return decimal.Zero, nil
	}
	customer := p.customer
	customer.Segments = set.Segments(&p.customer)
	lines, share := p.kept()
	return rules.Keep(t, f, p.question, lines, share, &customer)
}

// dryRun evaluates purchases one after the other and counts in memory what is
// counted in the database otherwise. Pure.
type dryRun struct {
	set  *rules.Set
	id   string // of the campaign that is asked about
	left map[string]decimal.Decimal
	caps map[capKey]decimal.Decimal // what was given in the period of a cap

	purchases, rewarded int64
	cost, merchantPart  decimal.Decimal
	takenBack           decimal.Decimal // of cost
	exhaustedAt         *time.Time
	reasons             map[rules.Reason]int64
	customers           map[string]*CustomerCost
}

// capKey names what counts towards a customer's cap.
type capKey struct{ campaignID, customerID, period string }

func newDryRun(set *rules.Set, id string) *dryRun {
	d := &dryRun{
		set: set, id: id, left: map[string]decimal.Decimal{}, caps: map[capKey]decimal.Decimal{},
		reasons: map[rules.Reason]int64{}, customers: map[string]*CustomerCost{},
	}
	for _, campaign := range set.All() {
		d.left[campaign.ID] = campaign.Terms.Budget
	}
	return d
}

// take evaluates a purchase and counts what it gives.
func (d *dryRun) take(p *pastPurchase) error {
	d.purchases++
	room := func(campaignID string) rules.Room {
		room := rules.Room{Budget: d.left[campaignID]}
		if key, most := d.capOf(campaignID, p.question); most.IsPositive() {
			room.Customer = decimal.NewNullDecimal(most.Sub(d.caps[key]))
		}
		return room
	}
	for _, f := range d.set.Evaluate(p.question, &p.customer, room) {
		if f.Reason.Applies() {
			d.left[f.CampaignID] = d.left[f.CampaignID].Sub(f.Amount)
			if key, most := d.capOf(f.CampaignID, p.question); most.IsPositive() {
				d.caps[key] = d.caps[key].Add(f.Amount)
			}
		}
		if f.CampaignID == d.id {
			if err := d.count(p, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// capOf is what a customer may get of a campaign in the purchase's period, zero for
// no cap, and under which key that is counted.
func (d *dryRun) capOf(campaignID string, p *rules.Purchase) (capKey, decimal.Decimal) {
	campaign, isThere := d.set.Campaign(campaignID)
	if !isThere || !campaign.Terms.Caps.PerCustomer.IsPositive() {
		return capKey{}, decimal.Zero
	}
	return capKey{campaignID, p.CustomerID, campaign.Terms.Caps.Key(p.At)}, campaign.Terms.Caps.PerCustomer
}

// count adds what the campaign that is asked about made of a purchase.
func (d *dryRun) count(p *pastPurchase, f rules.Finding) error {
	d.reasons[f.Reason]++
	isShort := f.Reason == rules.CappedBudget || f.Reason == rules.BudgetExhausted
	if d.exhaustedAt == nil && (isShort || !d.left[d.id].IsPositive()) {
		at := p.At
		d.exhaustedAt = &at
	}
	if !f.Reason.Applies() {
		return nil
	}
	campaign, _ := d.set.Campaign(d.id)
	stays, err := p.stays(d.set, campaign.Terms, f)
	if err != nil {
		return err
	}
	d.takenBack = d.takenBack.Add(f.Amount.Sub(stays))
	d.rewarded++
	d.cost, d.merchantPart = d.cost.Add(f.Amount), d.merchantPart.Add(f.MerchantPart)
	customer := d.customers[p.CustomerID]
	if customer == nil {
		customer = &CustomerCost{CustomerID: p.CustomerID}
		d.customers[p.CustomerID] = customer
	}
	customer.Rewards++
	customer.Amount = customer.Amount.Add(f.Amount)
	return nil
}

func (d *dryRun) forecast(currency money.Currency) Forecast {
	top := make([]CustomerCost, 0, len(d.customers))
	for _, customer := range d.customers {
		top = append(top, *customer)
	}
	slices.SortFunc(top, func(a, b CustomerCost) int {
		return cmp.Or(b.Amount.Cmp(a.Amount), strings.Compare(a.CustomerID, b.CustomerID))
	})
	return Forecast{
		Purchases: d.purchases, Rewarded: d.rewarded, Customers: int64(len(d.customers)), Currency: currency,
		Cost: d.cost, MerchantPart: d.merchantPart, TakenBack: d.takenBack, BudgetExhaustedAt: d.exhaustedAt,
		Reasons: d.reasons, Top: top[:min(len(top), topCustomers)],
	}
}
