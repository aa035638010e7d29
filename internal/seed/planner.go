package seed

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/ledger"
	"florin/internal/money"
)

// skew of the choice of accounts (Zipf's law): the busiest of many accounts
// makes several percent of all transfers.
const (
	skewExponent = 1.1
	skewOffset   = 8
)

const (
	holdEvery     = 400
	reversalEvery = 1000
)

// batch is some transfers, and what follows once they are done.
type batch struct {
	transfers []ledger.TransferRequest
	holds     []plannedHold
	reversals []ledger.Reversal
}

// plannedHold is a hold and its end: captured, voided, or left PENDING.
type plannedHold struct {
	request ledger.HoldRequest
	end     ledger.HoldStatus
	capture ledger.Capture
}

// planner invents the transfers, one after the other. It knows of each account
// what it surely has, so that what it means to succeed does.
type planner struct {
	world    *world
	random   *rand.Rand
	crowds   []crowd
	failures float64
	made     int
	all      int
	from     time.Time
	span     time.Duration
	// maturing are the credits of the last transfers, a ring: they become
	// spendable when the transfers are surely done.
	maturing []credit
}

type credit struct {
	account int
	amount  int64
}

// crowd is a currency with its people and merchants, chosen by Zipf's law. The
// last of the people are broke: nobody pays them, so what they can't afford they
// can't afford at any time.
type crowd struct {
	*place
	broke            []int
	currency         money.Currency
	payer, payee, at *rand.Zipf
	share            float64 // cumulated
}

func newPlanner(w *world, o Options, from, to time.Time) *planner {
	p := &planner{
		world: w, random: rand.New(rand.NewPCG(o.Seed, 2)), failures: o.Failures,
		all: o.Transfers, from: from, span: to.Sub(from), maturing: make([]credit, inFlightMax),
	}
	people := 0
	for _, currency := range []money.Currency{"USD", "EUR", "JPY"} {
		place := w.places[currency]
		if len(place.people) < 3 || len(place.merchants) == 0 {
			continue
		}
		people += len(place.people)
		busy := len(place.people) - max(1, len(place.people)/20)
		zipf := func(n int) *rand.Zipf { return rand.NewZipf(p.random, skewExponent, skewOffset, uint64(n-1)) }
		p.crowds = append(p.crowds, crowd{
			place: place, broke: place.people[busy:], currency: currency, share: float64(people),
			payer: zipf(busy), payee: zipf(busy), at: zipf(len(place.merchants)),
		})
	}
	for i := range p.crowds {
		p.crowds[i].share /= float64(people)
	}
	return p
}

// next invents up to size transfers; none when all are made.
func (p *planner) next(size int) batch {
	size = min(size, p.all-p.made)
	b := batch{transfers: make([]ledger.TransferRequest, 0, max(0, size))}
	for range size {
		p.step(&b)
	}
	return b
}

// step invents the next transfer, and now and then what goes with it.
func (p *planner) step(b *batch) {
	p.mature()
	at := p.from.Add(time.Duration((float64(p.made) + p.random.Float64()) / float64(p.all) * float64(p.span))).Truncate(time.Millisecond)
	c := p.crowd()
	var m move
	if p.random.Float64() < p.failures {
		m = p.failing(c)
	} else {
		m = p.invent(c)
		p.book(m)
	}
	id := p.id("t")
	b.transfers = append(b.transfers, ledger.TransferRequest{
		ID: id, SourceAccountID: p.world.id(m.from), DestinationAccountID: m.toID,
		Amount: minorUnits(m.amount, c.currency), Currency: c.currency, EffectiveAt: &at,
		Description: m.description, Metadata: m.metadata,
	})
	if p.random.IntN(holdEvery) == 0 {
		p.hold(b, c)
	}
	if m.isPurchase && p.random.IntN(reversalEvery) == 0 {
		p.reverse(b, m, id)
	}
	p.made++
}

// move is one movement of money. toID is the account to's id, or another one
// that does not exist.
type move struct {
	from, to    int
	toID        string
	amount      int64
	description string
	metadata    json.RawMessage
	isPurchase  bool
}

func (p *planner) move(from, to int, amount int64, description string) move {
	return move{from: from, to: to, toID: p.world.id(to), amount: amount, description: description}
}

// invent makes a transfer that will succeed. Who can't pay is paid instead.
func (p *planner) invent(c *crowd) move {
	person := c.people[c.payer.Uint64()]
	merchant := c.merchants[c.at.Uint64()]
	trade := p.world.trade(merchant)
	var m move
	switch dice := p.random.IntN(100); {
	case dice < 66:
		m = p.move(person, merchant, p.amount(trade.least, trade.most), p.world.shopName(merchant))
		m.isPurchase = true
		if dice < 33 {
			m.metadata = json.RawMessage(fmt.Sprintf(`{"category":"%s","channel":"card","order":"%s"}`, trade.category, idText(p.random.Uint64(), 8)))
		}
	case dice < 78:
		other := c.people[c.payee.Uint64()]
		if other == person {
			return p.salary(c, person, 0)
		}
		m = p.move(person, other, p.amount(3_00, 120_00), "Shared costs")
	case dice < 83:
		return p.salary(c, person, 0)
	case dice < 88:
		savings := p.world.accounts[person].savings
		if savings == 0 {
			return p.salary(c, person, 0)
		}
		m = p.move(person, savings, p.amount(10_00, 200_00), "Savings plan")
	case dice < 94:
		m = p.move(merchant, c.fees, p.amount(20, 3_00), "Card fee")
	case dice < 96:
		m = p.move(merchant, c.bank, p.world.accounts[merchant].spendable/2, "Payout")
	case dice < 98:
		m = p.move(merchant, person, p.amount(trade.least, trade.most), "Refund")
	default:
		return p.move(c.cashback, person, p.amount(10, 5_00), "Cashback")
	}
	if p.world.accounts[m.from].spendable >= m.amount && m.amount > 0 {
		return m
	}
	if p.world.accounts[m.from].customer < 0 { // a merchant that has sold too little
		return p.salary(c, person, 0)
	}
	return p.salary(c, m.from, m.amount)
}

// salary pays somebody, at least what they could not pay.
func (p *planner) salary(c *crowd, person int, least int64) move {
	return p.move(c.bank, person, least+p.amount(1_200_00, 4_500_00), "Salary")
}

// failing makes a transfer that will be refused.
func (p *planner) failing(c *crowd) move {
	merchant := c.merchants[c.at.Uint64()]
	if p.random.IntN(4) == 0 {
		person := c.people[c.payer.Uint64()]
		m := p.move(person, merchant, p.amount(5_00, 90_00), p.world.shopName(merchant))
		m.toID = fmt.Sprintf("%s:gone-%d", p.world.prefix, p.random.IntN(50))
		return m
	}
	person := pick(p.random, c.broke)
	return p.move(person, merchant, p.world.accounts[person].opening+p.amount(10_00, 900_00), p.world.shopName(merchant))
}

// book notes what a move takes now, and what it brings later.
func (p *planner) book(m move) {
	p.world.accounts[m.from].spendable -= m.amount
	p.maturing[p.made%len(p.maturing)] = credit{m.to, m.amount}
}

func (p *planner) mature() {
	due := &p.maturing[p.made%len(p.maturing)]
	p.world.accounts[due.account].spendable += due.amount
	*due = credit{}
}

// hold reserves money of somebody who has it. What is captured is not counted on.
func (p *planner) hold(b *batch, c *crowd) {
	person, merchant := c.people[c.payer.Uint64()], c.merchants[c.at.Uint64()]
	amount := p.amount(20_00, 180_00)
	if p.world.accounts[person].spendable < amount {
		return
	}
	p.world.accounts[person].spendable -= amount
	h := plannedHold{
		request: ledger.HoldRequest{
			ID: p.id("h"), SourceAccountID: p.world.id(person), DestinationAccountID: p.world.id(merchant),
			Amount: minorUnits(amount, c.currency), Description: "Deposit, " + p.world.shopName(merchant),
		},
		end: ledger.HoldPending,
	}
	switch dice := p.random.IntN(10); {
	case dice < 6:
		h.end = ledger.HoldCaptured
		h.capture = ledger.Capture{
			ID: p.id("k"), HoldID: h.request.ID, Description: h.request.Description,
			Amount: decimal.NewNullDecimal(minorUnits(amount-p.random.Int64N(amount/2), c.currency)),
		}
	case dice < 8:
		h.end = ledger.HoldVoided
	}
	b.holds = append(b.holds, h)
}

// reverse undoes a purchase when the merchant surely still has the money.
func (p *planner) reverse(b *batch, m move, id string) {
	if p.world.accounts[m.to].spendable < m.amount {
		return
	}
	p.world.accounts[m.to].spendable -= m.amount
	b.reversals = append(b.reversals, ledger.Reversal{ID: p.id("r"), TargetID: id, Description: "Charged by mistake"})
}

func (p *planner) crowd() *crowd {
	dice := p.random.Float64()
	for i := range p.crowds {
		if dice < p.crowds[i].share {
			return &p.crowds[i]
		}
	}
	return &p.crowds[len(p.crowds)-1]
}

// amount is between least and most, small ones more often than large ones.
func (p *planner) amount(least, most int64) int64 {
	return least + int64(math.Pow(p.random.Float64(), 2.5)*float64(most-least))
}

// id is a random id, as a client's would be: at most 50 characters.
func (p *planner) id(kind string) string {
	return p.world.prefix + "-" + kind + idText(p.random.Uint64(), 12) + idText(p.random.Uint64(), 4)
}
