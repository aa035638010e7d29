package cashback

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
	"florin/internal/ledger"
)

// work takes a batch of purchases and returns in, as the ledger's Work: it loads what
// is known of their customers and campaigns, decides on one item after the other in
// memory, each on what the ones before have changed, and writes what came of it. It is
// the intake's, which runs one at a time.
type work struct {
	set     *rules.Set
	program rules.Program
	items   []*item
	reach   reach
	// candidates are the campaigns that may give anything, and those of the set that
	// rewards came of.
	candidates map[string]*rules.Versioned

	// runs counts the calls of Load. The first takes the ids of new purchases and
	// returns for new, as nearly all are: their insert finds out, for less than a lookup
	// costs. If one is not, the transaction is run again, with the ids looked up.
	runs int

	// What Load finds and Decide changes; all of it anew in each run.
	mover     *ledger.Mover
	now       time.Time
	totals    map[string]*totalsEntry
	customers map[string]*customerEntry // none of those not known
	hasHeld   map[string]bool           // customers with purchases that wait to be evaluated
	purchases map[string]*purchaseEntry
	bought    map[visitor][]*purchaseEntry
	returns   map[string]*returnEntry
	waiting   map[string][]*returnEntry // by the purchase that they wait for
	visits    visits
	caps      map[capKey]*capEntry
	spend     map[spendKey]decimal.Decimal // what is added to it
	changes   []tierChange
	recorded  []*purchaseEntry // new ones, in order
	reported  []*returnEntry
	finished  []*returnEntry // that waited
	granted   []*rewardEntry

	// isStale says that a campaign has a newer version than the set; nothing is decided.
	isStale bool
	// decided is how many items were; what the next one needs is not locked, and it and
	// those after it are for another work.
	decided int
	err     error // why the work must fail as a whole
}

// reach is what a work locks and looks at: what was found out before its transaction.
type reach struct {
	campaigns, accounts, customers map[string]bool
	newPurchases, newReturns       []string
	evaluated                      []string        // purchases that are, new ones included
	held                           []string        // of them, those on record
	returned                       map[string]bool // purchases that returns may be taken off
	waitingReturns                 []string
	returners                      []string // customers whose returns name no purchase
	hasMore                        map[*item]bool
	caps                           map[capKey]bool
	spenders                       []string // customers whose spend counts
	spendFrom                      int64    // the first day of it
	terms                          map[campaignVersion]Campaign
}

// capEntry is what a customer got of a campaign in a period.
type capEntry struct{ amount, added decimal.Decimal }

type spendKey struct {
	customerID, currency string
	day                  int64
}

type tierChange struct {
	customerID, tier string
	seq              int64
	at               time.Time
	spend            decimal.Decimal
}

// customerEntry is a customer as a Work changes him.
type customerEntry struct {
	id, country, tier string
	purchases         int64
	segments          []string   // by list
	days              []daySpend // in the tiers' currency, ascending
	changed           bool
}

type daySpend struct {
	day    int64
	amount decimal.Decimal
}

// purchaseEntry is a purchase as a Work changes it.
type purchaseEntry struct {
	Purchase
	hash       []byte
	lines      string // as stored; empty when they have to be written anew
	evaluation string // as stored; empty when it has to be written anew
	rewards    []*rewardEntry
	isNew      bool
	isRewarded bool // by this Work: all its rewards are new
	changed    bool
}

func (e *purchaseEntry) left() decimal.Decimal { return e.Amount.Sub(e.Returned) }

// leftOf is the quantity that is left of a line.
func (e *purchaseEntry) leftOf(line int) int64 {
	if e.Taken == nil {
		return e.Lines[line].Quantity
	}
	return e.Lines[line].Quantity - e.Taken[line]
}

func (e *purchaseEntry) touch(now time.Time) { e.changed, e.UpdatedAt = true, now }

// asked is the purchase as rules see it.
func (e *purchaseEntry) asked() *rules.Purchase {
	return &rules.Purchase{
		ID: e.ID, MerchantID: e.MerchantID, CustomerID: e.CustomerID, Currency: e.Currency, Country: e.Country, At: e.At, Lines: e.Lines,
	}
}

// result is the purchase with its rewards.
func (e *purchaseEntry) result() Purchase {
	p := e.Purchase
	if len(e.rewards) > 0 {
		p.Rewards = make([]Reward, len(e.rewards))
		for i, r := range e.rewards {
			p.Rewards[i] = r.Reward
		}
		slices.SortFunc(p.Rewards, byCampaign)
	}
	return p
}

func byCampaign(a, b Reward) int { return cmp.Compare(a.CampaignID, b.CampaignID) }

// dayOf counts days from 1970-01-01, in UTC.
func dayOf(at time.Time) int64 {
	const secondsPerDay = 24 * 60 * 60
	seconds := at.Unix()
	if seconds < 0 {
		seconds -= secondsPerDay - 1
	}
	return seconds / secondsPerDay
}

func dateOf(day int64) string { return time.Unix(day*24*60*60, 0).UTC().Format(time.DateOnly) }

func newWork(set *rules.Set, items []*item) *work {
	w := &work{
		set: set, program: set.Program(), items: items, candidates: map[string]*rules.Versioned{},
		reach: reach{
			campaigns: map[string]bool{}, accounts: map[string]bool{}, customers: map[string]bool{}, returned: map[string]bool{},
			hasMore: map[*item]bool{}, caps: map[capKey]bool{},
		},
	}
	for _, it := range items {
		switch it.kind {
		case newPurchase:
			w.reach.newPurchases = append(w.reach.newPurchases, it.id)
			w.expect(&it.bought)
		case heldPurchase:
			w.reach.held = append(w.reach.held, it.id)
			w.expect(&it.bought)
		case newReturn, waitingReturn:
			if it.kind == newReturn {
				w.reach.newReturns = append(w.reach.newReturns, it.id)
			} else {
				w.reach.waitingReturns = append(w.reach.waitingReturns, it.id)
			}
			if it.isUnreferenced() {
				w.reach.customers[it.returned.CustomerID] = true
				w.reach.returners = append(w.reach.returners, it.returned.CustomerID)
			} else {
				w.reach.returned[it.returned.PurchaseID] = true
			}
		}
	}
	return w
}

// expect notes what is needed to evaluate a purchase.
func (w *work) expect(r *PurchaseRequest) {
	w.reach.evaluated = append(w.reach.evaluated, r.ID)
	w.reach.customers[r.CustomerID] = true
	for _, campaign := range w.set.Candidates(r.MerchantID, r.Currency, r.At) {
		if w.candidates[campaign.ID] == nil {
			w.candidates[campaign.ID] = &campaign
			w.reach.campaigns[campaign.ID] = true
			// All three: a return of it that waits may be applied at once.
			entry := rewardEntry{Reward: Reward{CampaignID: campaign.ID, MerchantAccount: campaign.Terms.Funding.AccountID}}
			for _, accountID := range entry.accounts() {
				w.reach.accounts[accountID] = true
			}
		}
		if campaign.Terms.Caps.PerCustomer.IsPositive() {
			w.reach.caps[capKey{campaign.ID, r.CustomerID, campaign.Terms.Caps.Key(r.At)}] = true
		}
	}
	w.visits.want(r, w.set.ClickWindow())
	if w.program.TierDays > 0 {
		from := dayOf(r.At) - int64(w.program.TierDays) + 1
		if len(w.reach.spenders) == 0 || from < w.reach.spendFrom {
			w.reach.spendFrom = from
		}
		w.reach.spenders = append(w.reach.spenders, r.CustomerID)
	}
}

// Size is about one transfer an item.
func (w *work) Size() int { return len(w.items) }

// Accounts are those of the campaigns that may give anything, or have, and of
// whoever pays for them or was paid.
func (w *work) Accounts() []string { return keysOf(w.reach.accounts) }

// Decide takes one item in after the other, until one needs more than is locked.
func (w *work) Decide(m *ledger.Mover) {
	w.mover, w.now = m, m.Now().UTC().Truncate(time.Microsecond)
	if w.isStale = !w.isCurrent(); w.isStale {
		return
	}
	for i, it := range w.items {
		it.refusal, it.isRecorded = nil, false
		if !w.decide(it) {
			break
		}
		if w.err != nil {
			return
		}
		w.decided = i + 1
	}
	// What became of an item may have been changed by one after it.
	for _, it := range w.items[:w.decided] {
		if it.refusal != nil {
			continue
		}
		switch it.kind {
		case newPurchase:
			it.purchase = w.purchases[it.id].result()
		case newReturn:
			it.ret = w.returns[it.id].Return
		}
	}
	w.note()
}

// isCurrent says that no campaign that may give anything was changed since the set
// was read: it was paused, maybe, and whoever did it was told so.
func (w *work) isCurrent() bool {
	for id, campaign := range w.candidates {
		if totals := w.totals[id]; totals != nil && totals.version != campaign.Version {
			return false
		}
	}
	return true
}

func (w *work) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// decide takes an item in. It changes nothing, and says false, when more must be
// locked for it.
func (w *work) decide(it *item) bool {
	switch it.kind {
	case newPurchase:
		if known := w.purchases[it.id]; known != nil {
			if !bytes.Equal(known.hash, it.hash) {
				it.refusal = DuplicatePurchase.Failure("purchase %s is on record with another content", it.id)
			}
			return true
		}
		e := &purchaseEntry{
			Purchase: Purchase{
				PurchaseRequest: it.bought, Amount: it.amount, Status: Held, RecordedBy: it.by, CreatedAt: w.now, UpdatedAt: w.now,
			},
			hash: it.hash, lines: it.lines, isNew: true,
		}
		w.know(e)
		w.recorded = append(w.recorded, e)
		it.isRecorded = true
		w.take(e)
	case heldPurchase:
		if e := w.purchases[it.id]; e != nil && e.Status == Held {
			w.take(e)
		}
	case newReturn:
		if known := w.returns[it.id]; known != nil {
			if !bytes.Equal(known.hash, it.hash) {
				it.refusal = DuplicateReturn.Failure("return %s is on record with another content", it.id)
			}
			return true
		}
		r := &returnEntry{
			Return: Return{ReturnRequest: it.returned, RecordedBy: it.by, CreatedAt: w.now, UpdatedAt: w.now},
			hash:   it.hash, isNew: true,
		}
		if !w.decideReturn(r, it) {
			return false
		}
		w.returns[it.id] = r
		w.reported = append(w.reported, r)
		it.isRecorded = true
	case waitingReturn:
		if r := w.returns[it.id]; r != nil && r.Status == ReturnWaiting {
			if !w.decideReturn(r, it) {
				return false
			}
			w.finish(r)
		}
	}
	return true
}

// finish notes that a return has waited to its end.
func (w *work) finish(r *returnEntry) {
	if !r.isNew && r.Status != ReturnWaiting {
		r.UpdatedAt = w.now
		w.finished = append(w.finished, r)
	}
}

// take evaluates a purchase if its customer is known, and then applies the returns
// that have come before it.
func (w *work) take(e *purchaseEntry) {
	customer := w.customers[e.CustomerID]
	if customer == nil {
		return
	}
	w.evaluate(e, customer)
	waiting := w.waiting[e.ID]
	slices.SortFunc(waiting, func(a, b *returnEntry) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	for _, r := range waiting {
		w.applyTo(e, r)
		w.finish(r)
	}
	delete(w.waiting, e.ID)
}

var _ ledger.Work = (*work)(nil)
