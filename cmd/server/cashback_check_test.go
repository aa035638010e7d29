package main_test

import (
	"cmp"
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What the campaigns of TestCashbackOnRealPurchases must come to, worked out straight
// from the file. It shares no code with the program: it counts in thousandths of a
// pound and in pence, in integers, and its rules are written out below, campaign by
// campaign. It is plain on purpose.

type checkLine struct {
	product, description string
	quantity, taken      int64
	mills                int64 // price of one, in thousandths of a pound
}

type checkReward struct{ granted, now, merchant int64 } // pence

type checkPurchase struct {
	id, customer, country string
	at                    time.Time
	lines                 []*checkLine
	tier                  string
	rewards               map[string]*checkReward
}

type checkReturn struct {
	id, customer string
	at           time.Time
	lines        []*checkLine // quantities above zero
}

type check struct {
	customers  map[string]bool
	purchases  map[string][]*checkPurchase // by customer, as they came
	spend      map[string]map[int64]int64  // mills by customer and day
	launchUsed map[string]int64            // pence by customer and month
	launchLeft int64
	rewards    map[string]int64 // how many, by campaign
	granted    map[string]int64
	reversed   map[string]int64
	rejected   map[string]int64 // lines by reason
	accepted   int64            // lines
	sold       int64            // purchases
	returned   int64            // returns that something was found for
	refused    int64            // lines of those that nothing was found for
}

const (
	checkBudget      = 5000_00
	checkTierDays    = 90
	checkLaunchMonth = 15_00
)

// checkFile works through the file's lines.
func checkFile(t *testing.T, text string) *check {
	t.Helper()
	c := &check{
		customers: map[string]bool{}, purchases: map[string][]*checkPurchase{}, spend: map[string]map[int64]int64{}, launchUsed: map[string]int64{},
		launchLeft: checkBudget, rewards: map[string]int64{}, granted: map[string]int64{}, reversed: map[string]int64{}, rejected: map[string]int64{},
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	// All that is of one invoice, wherever it stands, counts where its first line does.
	sales, backs := map[string]*checkPurchase{}, map[string]*checkReturn{}
	var inOrder []any
	for _, row := range rows[1:] {
		if row[6] == "" {
			c.rejected["customer_missing"]++
			continue
		}
		quantity, err := strconv.ParseInt(row[3], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, row[4])
		if err != nil {
			t.Fatal(err)
		}
		whole, fraction, _ := strings.Cut(row[5], ".")
		mills, err := strconv.ParseInt(whole+(fraction + "000")[:3], 10, 64)
		if err != nil || len(fraction) > 3 || mills < 0 {
			t.Fatal(row, err)
		}
		c.accepted++
		c.customers[row[6]] = true
		line := &checkLine{product: row[1], description: row[2], quantity: quantity, mills: mills}
		if quantity < 0 {
			line.quantity = -quantity
			back := backs[row[0]]
			if back == nil {
				back = &checkReturn{id: row[0], customer: row[6], at: at}
				backs[row[0]], inOrder = back, append(inOrder, back)
			}
			back.lines = append(back.lines, line)
			continue
		}
		sale := sales[row[0]]
		if sale == nil {
			sale = &checkPurchase{id: row[0], customer: row[6], country: row[7], at: at, rewards: map[string]*checkReward{}}
			sales[row[0]], inOrder = sale, append(inOrder, sale)
		}
		sale.lines = append(sale.lines, line)
	}
	for _, event := range inOrder {
		switch event := event.(type) {
		case *checkPurchase:
			c.sell(event)
		case *checkReturn:
			c.takeBack(event)
		}
	}
	return c
}

func dayOf(at time.Time) int64 { return at.Unix() / 86400 }

// halfEven divides and rounds half to even; both are not negative.
func halfEven(dividend, divisor int64) int64 {
	quotient, rest := dividend/divisor, dividend%divisor
	if 2*rest > divisor || 2*rest == divisor && quotient%2 == 1 {
		quotient++
	}
	return quotient
}

func (c *check) sell(p *checkPurchase) {
	c.sold++
	today := dayOf(p.at)
	var spent int64
	for day, mills := range c.spend[p.customer] {
		if day > today-checkTierDays && day <= today {
			spent += mills
		}
	}
	switch {
	case spent >= 10_000_000:
		p.tier = "platinum"
	case spent >= 2_000_000:
		p.tier = "gold"
	case spent >= 500_000:
		p.tier = "silver"
	}
	for name, computed := range worth(p) {
		c.grant(p, name, computed)
	}
	// Of ladder and launch the better one.
	ladder, launch := ladderWorth(p), launchWorth(p)
	month := p.customer + p.at.Format(" 2006-01")
	launch = min(launch, checkLaunchMonth-c.launchUsed[month], c.launchLeft)
	if launch >= ladder && launch > 0 { // launch has the higher priority
		c.grant(p, "launch", launch)
		c.launchUsed[month] += launch
		c.launchLeft -= launch
	} else {
		c.grant(p, "ladder", ladder)
	}
	if c.spend[p.customer] == nil {
		c.spend[p.customer] = map[int64]int64{}
	}
	for _, line := range p.lines {
		c.spend[p.customer][today] += line.quantity * line.mills
	}
	c.purchases[p.customer] = append(c.purchases[p.customer], p)
}

func (c *check) grant(p *checkPurchase, campaign string, pence int64) {
	if pence <= 0 {
		return
	}
	p.rewards[campaign] = &checkReward{granted: pence, now: pence, merchant: merchantPart(campaign, pence)}
	c.rewards[campaign]++
	c.granted[campaign] += pence
}

// merchantPart: half of europe is the shop's.
func merchantPart(campaign string, pence int64) int64 {
	if campaign == "europe" {
		return halfEven(pence*50, 100)
	}
	return 0
}

// worth is what tealights and europe give for what is kept of a purchase.
func worth(p *checkPurchase) map[string]int64 {
	var lights, all int64
	for _, line := range p.lines {
		mills := (line.quantity - line.taken) * line.mills
		all += mills
		if strings.Contains(line.description, "T-LIGHT") || strings.HasPrefix(line.product, "85123") {
			lights += mills
		}
	}
	rewards := map[string]int64{"tealights": min(halfEven(lights*5, 1000), 10_00)}
	if p.country != "United Kingdom" {
		rewards["europe"] = halfEven(all*2, 1000)
	}
	return rewards
}

func keptMills(p *checkPurchase) (mills int64) {
	for _, line := range p.lines {
		mills += (line.quantity - line.taken) * line.mills
	}
	return mills
}

func ladderWorth(p *checkPurchase) int64 {
	tenths := map[string]int64{"": 10, "silver": 15, "gold": 20, "platinum": 30}[p.tier]
	return halfEven(keptMills(p)*tenths, 10_000)
}

func launchWorth(p *checkPurchase) int64 {
	if keptMills(p) < 100_000 {
		return 0
	}
	return 3_00
}

// takeBack takes each line off what the customer bought last.
func (c *check) takeBack(r *checkReturn) {
	bought := slices.Clone(c.purchases[r.customer])
	bought = slices.DeleteFunc(bought, func(p *checkPurchase) bool { return p.at.After(r.at) })
	slices.SortFunc(bought, func(a, b *checkPurchase) int {
		return cmp.Or(b.at.Compare(a.at), strings.Compare(b.id, a.id))
	})
	touched := map[*checkPurchase]bool{}
	for _, line := range r.lines {
		wanted := line.quantity
		for _, p := range bought {
			for _, sold := range p.lines {
				if sold.product != line.product || wanted == 0 {
					continue
				}
				taken := min(wanted, sold.quantity-sold.taken)
				if taken == 0 {
					continue
				}
				sold.taken += taken
				wanted -= taken
				touched[p] = true
				c.spend[r.customer][dayOf(p.at)] -= taken * sold.mills
			}
		}
	}
	if len(touched) == 0 {
		c.refused += int64(len(r.lines))
		return
	}
	c.returned++
	for p := range touched {
		keeps := worth(p)
		keeps["ladder"], keeps["launch"] = ladderWorth(p), launchWorth(p)
		for campaign, reward := range p.rewards {
			keep := min(reward.now, keeps[campaign])
			c.reversed[campaign] += reward.now - keep
			if campaign == "launch" {
				c.launchUsed[p.customer+p.at.Format(" 2006-01")] -= reward.now - keep
				c.launchLeft += reward.now - keep
			}
			reward.now, reward.merchant = keep, merchantPart(campaign, keep)
		}
	}
}

// kept sums what customers keep: by campaign, the shop's part of it, by customer.
func (c *check) kept() (byCampaign, byMerchant, byCustomer map[string]int64) {
	byCampaign, byMerchant, byCustomer = map[string]int64{}, map[string]int64{}, map[string]int64{}
	for customer, purchases := range c.purchases {
		for _, p := range purchases {
			for campaign, reward := range p.rewards {
				byCampaign[campaign] += reward.now
				byMerchant[campaign] += reward.merchant
				byCustomer[customer] += reward.now
			}
		}
	}
	return byCampaign, byMerchant, byCustomer
}
