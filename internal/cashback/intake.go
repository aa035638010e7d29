package cashback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/cashback/internal/cashbackdb"
	"florin/internal/cashback/rules"
	"florin/internal/ledger"
	"florin/internal/platform/database"
)

const (
	// workMax is how many purchases and returns one transaction takes, and linesMax
	// how many lines of them.
	workMax  = 1_000
	linesMax = 20_000
	// weightMax is how many times line conditions are asked in a transaction: of the
	// heaviest, for about a second. The locks are held meanwhile, and other transfers
	// wait for the same transaction. One item alone may weigh more.
	weightMax = 20_000
	// unreferencedMax is how many returns a transaction takes that name no purchase.
	unreferencedMax = 8
	// waitingMax is how many may wait before callers get ledger.ErrOverloaded. A
	// request is taken whole or not at all, and always when nothing waits.
	waitingMax      = 2 * MaxBatch
	waitingLinesMax = 1_000_000
	// prepareTimeout bounds what is read before a transaction.
	prepareTimeout = 20 * time.Second
	// againMax is how often an item may turn out under the locks to need more than
	// was locked: each time somebody else has changed its purchase in between.
	againMax = 20
	// conflictsMax is how often items are tried that met conflicts until the ledger's
	// tries were over, and slowMax how often, without one that came through in
	// between, some may take too long before it is the database that hangs.
	conflictsMax = 3
	slowMax      = 4
	// lookbackPage is how many purchases are read at once to find what came back.
	lookbackPage = 100
	// termsMax is how many versions of campaigns are remembered.
	termsMax = 10 * MaxCampaigns
	// releasePage is how many held purchases are handed to the intake at once.
	releasePage = 500
)

// intake is the one that takes purchases and returns in, in this process (group
// commit): it gathers what waits, up to a limit and without added delay, and runs it
// as one ledger.Work, one after the other. What a customer has bought before, and
// what is left of a budget, is so known without asking between two purchases.
type intake struct {
	c *Cashback

	mu           sync.Mutex
	waiting      []*item // in order of arrival
	waitingLines int
	closed       bool
	wake         chan struct{} // something waits, or it is closed

	terms map[campaignVersion]Campaign // versions of campaigns, which never change; the runner's alone
}

// itemKind says what is to be done.
type itemKind int

const (
	newPurchase  itemKind = iota
	heldPurchase          // to be evaluated: its customer was entered
	newReturn
	waitingReturn // that names no purchase: its customer was entered
)

// item is one purchase or return to take in, and what became of it.
type item struct {
	kind   itemKind
	id     string
	by     string        // who reports it
	origin *audit.Origin // the same for the audit trail; nil for the program itself
	hash   []byte        // of the request

	bought PurchaseRequest
	amount decimal.Decimal // of bought
	lines  string          // of bought, as stored

	returned ReturnRequest

	weight int // in questions of line conditions; 0 when it was not weighed yet
	tries  int // that found it to need more than was locked
	waiter *waiter

	isRecorded bool // by its work, as opposed to before

	purchase Purchase
	ret      Return
	refusal  error // a *Failure
	err      error // of the infrastructure
}

// size is how much of a transaction it takes, in lines.
func (it *item) size() int { return max(1, len(it.bought.Lines), len(it.returned.Lines)) }

// waiter wakes a caller when all its items are done.
type waiter struct {
	pending atomic.Int64
	done    chan struct{}
}

func (it *item) finish(err error) {
	it.err = err
	if it.waiter.pending.Add(-1) == 0 {
		close(it.waiter.done)
	}
}

func newIntake(c *Cashback) *intake {
	return &intake{c: c, wake: make(chan struct{}, 1), terms: map[campaignVersion]Campaign{}}
}

// do takes the items in and waits until all are done. It returns
// ledger.ErrOverloaded, without having taken any, when too many wait. When ctx ends
// first they are done all the same: the caller asks again by their ids.
func (in *intake) do(ctx context.Context, items []*item) error {
	if len(items) == 0 {
		return nil
	}
	w := &waiter{done: make(chan struct{})}
	w.pending.Store(int64(len(items)))
	lines := 0
	for _, it := range items {
		it.waiter = w
		lines += it.size()
	}
	if err := in.enqueue(items, lines); err != nil {
		return err
	}
	select {
	case <-w.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, it := range items {
		if it.err != nil && mustWait(it.err) {
			return it.err // as a whole: the same request again finishes the rest
		}
	}
	return nil
}

func (in *intake) enqueue(items []*item, lines int) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.closed:
		return ledger.ErrShuttingDown
	case len(in.waiting) > 0 && (len(in.waiting)+len(items) > waitingMax || in.waitingLines+lines > waitingLinesMax):
		return ledger.ErrOverloaded
	}
	in.waiting = append(in.waiting, items...)
	in.waitingLines += lines
	in.signal()
	return nil
}

func (in *intake) signal() {
	select {
	case in.wake <- struct{}{}:
	default: // it was told already
	}
}

// run takes in until ctx ends, then finishes what waits.
func (in *intake) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.closed = true
		in.signal()
	})
	defer stop()
	for {
		items, closed := in.next()
		if len(items) > 0 {
			in.execute(items)
			continue
		}
		if closed {
			return
		}
		<-in.wake
	}
}

// next takes what waits, as much as one transaction holds.
func (in *intake) next() (items []*item, closed bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n, lines := 0, 0
	for n < len(in.waiting) && n < workMax {
		size := in.waiting[n].size()
		if n > 0 && lines+size > linesMax {
			break
		}
		n, lines = n+1, lines+size
	}
	items = in.waiting[:n:n]
	in.waiting, in.waitingLines = in.waiting[n:], in.waitingLines-lines
	if len(in.waiting) == 0 {
		in.waiting = nil // and what was before
	}
	return items, in.closed
}

// execute brings items to their end, in order. Those that fail as a whole are halved,
// so that one item's trouble stays its own: not for want of a database, unless that
// may have been asked for too much at once.
func (in *intake) execute(items []*item) {
	most, conflicts, slow := len(items), 0, 0
	for len(items) > 0 {
		batch := items[:min(most, len(items))]
		w, err := in.prepare(batch)
		if err == nil {
			batch = w.items
			// Not the callers' contexts: a transaction belongs to many of them.
			err = in.c.books.Do(context.Background(), w)
		}
		isSlow := isLate(err) && slow < slowMax
		switch {
		case err == nil:
			items = in.finish(w, items)
			most, conflicts, slow = min(workMax, max(most, 2*len(batch))), 0, 0
			continue
		case isConflict(err) && conflicts < conflictsMax-1:
			conflicts++
			continue
		case mustWait(err) && !isSlow:
			for _, it := range items {
				it.finish(err)
			}
			return
		case len(batch) > 1:
			most = len(batch) / 2
		default:
			items[0].finish(err)
			items = items[1:]
		}
		conflicts = 0
		if isSlow {
			slow++
		}
	}
}

// finish ends the items that a work has decided, and returns those that are left.
func (in *intake) finish(w *work, items []*item) []*item {
	if w.isStale {
		in.c.set.Forget()
	}
	for _, it := range w.items[:w.decided] {
		it.finish(nil)
	}
	isAll := w.decided == len(w.items)
	if items = items[w.decided:]; isAll {
		return items
	}
	if items[0].tries++; items[0].tries == againMax {
		items[0].finish(fmt.Errorf("%s is changed by others all the time", items[0].id))
		items = items[1:]
	}
	return items
}

// prepare makes a work of the first of the items, as many as are not too heavy, and
// reads what has to be known before the transaction: which rows it is to lock.
func (in *intake) prepare(items []*item) (*work, error) {
	ctx, cancel := context.WithTimeout(context.Background(), prepareTimeout)
	defer cancel()
	w, err := in.prepareWithin(ctx, items)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", database.ErrOutOfTime, err)
	}
	return w, err
}

func (in *intake) prepareWithin(ctx context.Context, items []*item) (*work, error) {
	set, err := in.c.currentSet(ctx)
	if err != nil {
		return nil, err
	}
	if err := in.weigh(ctx, set, items); err != nil {
		return nil, err
	}
	w := newWork(set, items[:fitting(items)])
	if err := in.findReturnable(ctx, w); err != nil {
		return nil, err
	}
	if err := in.findReach(ctx, w); err != nil {
		return nil, err
	}
	return w, nil
}

// fitting is how many of the items, in their order, one transaction takes.
func fitting(items []*item) int {
	weight := 0
	for i, it := range items {
		if weight += it.weight; i > 0 && weight > weightMax {
			return i
		}
	}
	return len(items)
}

// weigh reckons what items cost to evaluate, once each.
func (in *intake) weigh(ctx context.Context, set *rules.Set, items []*item) error {
	var conditions, lineConditions int
	for _, campaign := range set.All() {
		if campaign.Terms.Condition != "" {
			conditions++
		}
		if campaign.Terms.LineCondition != "" {
			lineConditions++
		}
	}
	var named []*item
	var purchaseIDs []string
	for _, it := range items {
		switch {
		case it.weight > 0:
		case it.isUnreferenced():
			it.weight = weightMax / unreferencedMax
		case it.returned.PurchaseID != "":
			named = append(named, it)
			purchaseIDs = append(purchaseIDs, it.returned.PurchaseID)
		default:
			// A condition is asked once, but may cost more than that of a line.
			n := len(it.bought.Lines)
			it.weight = 1 + n*lineConditions + n*conditions*(rules.MaxCost/rules.MaxLineCost)/MaxLines
		}
	}
	if len(named) == 0 {
		return nil
	}
	rows, err := in.c.queries.LineCounts(ctx, purchaseIDs)
	if err != nil {
		return fmt.Errorf("count lines of purchases: %w", err)
	}
	lines := make(map[string]int, len(rows))
	for _, row := range rows {
		lines[row.PurchaseID] = int(row.Lines)
	}
	for _, it := range named {
		// Its rewards may be of campaigns that are over.
		it.weight = 1 + lines[it.returned.PurchaseID]*max(1, lineConditions)
	}
	return nil
}

// findReturnable finds the purchases that returns may be of that name none.
func (in *intake) findReturnable(ctx context.Context, w *work) error {
	searches := map[visitor]*search{}
	for _, it := range w.items {
		if !it.isUnreferenced() {
			continue
		}
		r := &it.returned
		who := visitor{r.CustomerID, r.MerchantID}
		s := searches[who]
		if s == nil {
			s = &search{wanted: map[string]int64{}, found: map[string]map[string]int64{}}
			searches[who] = s
		}
		s.want(it)
	}
	for who, s := range searches {
		if err := in.search(ctx, w, who, s); err != nil {
			return fmt.Errorf("find what may have been returned: %w", err)
		}
	}
	return nil
}

// search is what is looked for in a customer's purchases of a merchant.
type search struct {
	items     []*item
	before    time.Time
	wanted    map[string]int64            // by product
	found     map[string]map[string]int64 // by currency and product
	isThrough bool                        // whether it looks as far back as it may: enough was not
}

func (s *search) want(it *item) {
	s.items = append(s.items, it)
	s.isThrough = s.isThrough || it.tries > 0
	if at := it.returned.At.Add(time.Microsecond); at.After(s.before) {
		s.before = at
	}
	for _, line := range it.returned.Lines {
		s.wanted[line.Product] += line.Quantity
	}
}

// isEnough says that there is all that is wanted in one currency: nearly always no
// older purchase is needed then. If one is, as others have taken it meanwhile, that
// shows under the locks.
func (s *search) isEnough() bool {
	for _, found := range s.found {
		isAll := true
		for product, n := range s.wanted {
			isAll = isAll && found[product] >= n
		}
		if isAll {
			return true
		}
	}
	return false
}

// take notes what is left of a purchase, and says whether any of it is wanted.
func (s *search) take(currency string, lines []byte) (isWanted bool, err error) {
	var stored []struct {
		Product  string `json:"product"`
		Quantity int64  `json:"quantity"`
		Returned int64  `json:"returned"`
	}
	if err := json.Unmarshal(lines, &stored); err != nil {
		return false, err
	}
	for _, line := range stored {
		left := line.Quantity - line.Returned
		if _, isOne := s.wanted[line.Product]; !isOne || left <= 0 {
			continue
		}
		if s.found[currency] == nil {
			s.found[currency] = map[string]int64{}
		}
		s.found[currency][line.Product] += left
		isWanted = true
	}
	return isWanted, nil
}

// search reads a customer's purchases, the newest first, until there is enough.
func (in *intake) search(ctx context.Context, w *work, who visitor, s *search) error {
	page := cashbackdb.ReturnablePurchasesParams{CustomerID: who.customerID, MerchantID: who.merchantID, BeforeAt: s.before, MaxRows: lookbackPage}
	for seen := 0; seen < LookbackMax; seen += lookbackPage {
		rows, err := in.c.queries.ReturnablePurchases(ctx, page)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if page.BeforeAt, page.BeforeID = row.PurchasedAt, row.PurchaseID; row.Lines == nil {
				continue
			}
			isWanted, err := s.take(row.Currency, row.Lines)
			if err != nil {
				return fmt.Errorf("read lines of purchase %s: %w", row.PurchaseID, err)
			}
			if isWanted {
				w.reach.returned[row.PurchaseID] = true
			}
		}
		if len(rows) < lookbackPage {
			return nil
		}
		if !s.isThrough && s.isEnough() {
			for _, it := range s.items {
				w.reach.hasMore[it] = true
			}
			return nil
		}
	}
	return nil
}

// findReach finds who is concerned when purchases are returned.
func (in *intake) findReach(ctx context.Context, w *work) error {
	if len(w.reach.returned) == 0 {
		return nil
	}
	rows, err := in.c.queries.ReachOfPurchases(ctx, keysOf(w.reach.returned))
	if err != nil {
		return fmt.Errorf("find what returns concern: %w", err)
	}
	if len(in.terms) > termsMax {
		in.terms = map[campaignVersion]Campaign{}
	}
	missing := map[campaignVersion]bool{}
	for _, row := range rows {
		w.reach.customers[row.CustomerID] = true
		if row.CampaignID == nil {
			continue
		}
		version := campaignVersion{*row.CampaignID, *row.CampaignVersion}
		w.reach.campaigns[version.campaignID] = true
		r := rewardEntry{Reward: Reward{
			CampaignID: version.campaignID, MerchantAccount: orEmpty(row.MerchantAccount), PaidTo: orEmpty(row.PaidTo),
		}}
		for _, accountID := range r.accounts() {
			w.reach.accounts[accountID] = true
		}
		if _, isKnown := in.terms[version]; !isKnown {
			missing[version] = true
		}
	}
	found, err := in.c.campaignVersions(ctx, slices.Collect(maps.Keys(missing)))
	if err != nil {
		return err
	}
	for version, campaign := range found {
		in.terms[version] = campaign
	}
	w.reach.terms = in.terms
	return nil
}

// release evaluates what a customer bought before he was entered, in the order of the
// purchases' times, and then applies his returns that waited for it. A purchase that
// can't be evaluated keeps no other from it, and no return. A second call does the
// rest, or nothing. Returns errors of the infrastructure alone.
func (in *intake) release(ctx context.Context, customerID string) error {
	isThrough, err := in.releaseEach(ctx, func(after Position) ([]*item, error) { return in.heldPurchases(ctx, customerID, after) })
	if !isThrough {
		return err // nothing of what has to come after it is done before
	}
	_, returns := in.releaseEach(ctx, func(after Position) ([]*item, error) { return in.waitingReturns(ctx, customerID, after) })
	return errors.Join(err, returns)
}

// releaseEach takes in what waits, page by page, in its order. It says whether it came to the end:
// not when something must wait that others are to come after.
func (in *intake) releaseEach(ctx context.Context, page func(after Position) ([]*item, error)) (isThrough bool, err error) {
	var all error
	for after := (Position{}); ; {
		items, err := page(after)
		if err != nil {
			return false, errors.Join(all, err)
		}
		if err := in.doAll(ctx, items); err != nil {
			if all = errors.Join(all, err); passes(err) || ctx.Err() != nil {
				return false, all
			}
		}
		if len(items) < releasePage {
			return true, all
		}
		after = items[len(items)-1].position()
	}
}

// heldPurchases is a page of what a customer bought and that is not evaluated yet.
func (in *intake) heldPurchases(ctx context.Context, customerID string, after Position) ([]*item, error) {
	rows, err := in.c.queries.HeldPurchasesOfCustomer(ctx, cashbackdb.HeldPurchasesOfCustomerParams{
		CustomerID: customerID, AfterAt: after.At, AfterID: after.ID, MaxRows: releasePage,
	})
	if err != nil {
		return nil, fmt.Errorf("find held purchases: %w", err)
	}
	items := make([]*item, len(rows))
	for i, row := range rows {
		e, err := purchaseFromRow(row)
		if err != nil {
			return nil, err
		}
		items[i] = &item{kind: heldPurchase, id: e.ID, bought: e.PurchaseRequest}
	}
	return items, nil
}

// waitingReturns is a page of a customer's returns that name no purchase and wait.
func (in *intake) waitingReturns(ctx context.Context, customerID string, after Position) ([]*item, error) {
	rows, err := in.c.queries.WaitingReturnsOfCustomer(ctx, cashbackdb.WaitingReturnsOfCustomerParams{
		CustomerID: customerID, AfterAt: after.At, AfterID: after.ID, MaxRows: releasePage,
	})
	if err != nil {
		return nil, fmt.Errorf("find waiting returns: %w", err)
	}
	items := make([]*item, len(rows))
	for i, row := range rows {
		r, err := returnFromRow(row)
		if err != nil {
			return nil, err
		}
		items[i] = &item{kind: waitingReturn, id: r.ID, returned: r.ReturnRequest}
	}
	return items, nil
}

// position is where what waits stands in its list.
func (it *item) position() Position {
	if it.kind == waitingReturn {
		return Position{At: it.returned.At, ID: it.id}
	}
	return Position{At: it.bought.At, ID: it.id}
}

// doAll is do for items that nobody is told of one by one.
func (in *intake) doAll(ctx context.Context, items []*item) error {
	if err := in.do(ctx, items); err != nil {
		return err
	}
	var all error
	for _, it := range items {
		if it.err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", it.id, it.err))
		}
	}
	return all
}

func (it *item) isUnreferenced() bool {
	return (it.kind == newReturn || it.kind == waitingReturn) && it.returned.PurchaseID == ""
}

func keysOf[V any](set map[string]V) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
