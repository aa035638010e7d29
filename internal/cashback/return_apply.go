package cashback

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"florin/internal/cashback/rules"
	"florin/internal/money"
)

// taking is what a return takes off one purchase: quantities of its lines, or an
// amount where those are nil.
type taking struct {
	of         *purchaseEntry
	quantities []int64
	amount     decimal.Decimal
}

// returnEntry is a return as a Work changes it.
type returnEntry struct {
	Return
	hash  []byte
	isNew bool
}

func (r *returnEntry) refuse(why *Failure) {
	r.Status, r.Failure = ReturnRefused, why
}

// refuseStranger refuses a return that says of the purchase that it names what is not
// so. It does not tell whose the purchase is.
func (e *purchaseEntry) refuseStranger(r *ReturnRequest) *Failure {
	isHis := r.CustomerID == "" || r.CustomerID == e.CustomerID
	isThere := r.MerchantID == "" || r.MerchantID == e.MerchantID
	if isHis && isThere {
		return nil
	}
	return PurchaseNotFound.Failure("there is no purchase %q of that customer and merchant", e.ID)
}

// resolve says what a return takes off the purchase that it names.
func (e *purchaseEntry) resolve(r *ReturnRequest) (taking, *Failure) {
	t := taking{of: e}
	switch {
	case e.Status == Returned:
		return t, NothingToReturn.Failure("all of purchase %s was returned before", e.ID)
	case r.Amount.Valid && r.Amount.Decimal.GreaterThan(e.left()):
		return t, ReturnExceedsPurchase.Failure("%s is left of purchase %s, less than %s",
			money.Format(e.left(), e.Currency), e.ID, money.Format(r.Amount.Decimal, e.Currency))
	case r.Amount.Valid:
		t.amount = r.Amount.Decimal
		return t, nil
	}
	t.quantities = make([]int64, len(e.Lines))
	if len(r.Lines) == 0 {
		for i := range e.Lines {
			t.quantities[i] = e.leftOf(i)
		}
		return t, nil
	}
	for _, line := range r.Lines {
		if line.Line == nil {
			if wanted := t.takeProduct(line.Product, line.Quantity); wanted > 0 {
				return t, ReturnExceedsPurchase.Failure("of product %q of purchase %s %d less are left than %d",
					line.Product, e.ID, wanted, line.Quantity)
			}
			continue
		}
		i := *line.Line
		if i >= len(e.Lines) {
			return t, ReturnExceedsPurchase.Failure("purchase %s has no line %d, the last is %d", e.ID, i, len(e.Lines)-1)
		}
		if left := e.leftOf(i) - t.quantities[i]; line.Quantity > left {
			return t, ReturnExceedsPurchase.Failure("%d are left of line %d of purchase %s, less than %d", left, i, e.ID, line.Quantity)
		}
		t.quantities[i] += line.Quantity
	}
	return t, nil
}

// takeProduct takes up to wanted of a product off the purchase's lines, and returns
// how many it did not find.
func (t *taking) takeProduct(product string, wanted int64) int64 {
	for i := range t.of.Lines {
		if wanted == 0 {
			break
		}
		if t.of.Lines[i].Product != product {
			continue
		}
		n := min(wanted, t.of.leftOf(i)-t.quantities[i])
		t.quantities[i] += n
		wanted -= n
	}
	return wanted
}

// match finds what a return that names no purchase takes: of what the customer bought
// of the merchant until then the newest first, in the currency of the first found. It
// says whether it found all.
func (w *work) match(r *ReturnRequest) (found []*taking, isAll bool) {
	var candidates []*purchaseEntry
	for _, e := range w.bought[visitor{r.CustomerID, r.MerchantID}] {
		if e.Status == Accepted && !e.At.After(r.At) {
			candidates = append(candidates, e)
		}
	}
	slices.SortFunc(candidates, func(a, b *purchaseEntry) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID))
	})
	takings := make([]taking, len(candidates))
	for i, e := range candidates {
		takings[i] = taking{of: e, quantities: make([]int64, len(e.Lines))}
	}
	var currency money.Currency
	isAll = true
	for _, line := range r.Lines {
		wanted := line.Quantity
		for i := range takings {
			t := &takings[i]
			if wanted == 0 {
				break
			}
			if currency != "" && t.of.Currency != currency {
				continue
			}
			left := t.takeProduct(line.Product, wanted)
			if left < wanted {
				currency = t.of.Currency
			}
			wanted = left
		}
		isAll = isAll && wanted == 0
	}
	for i := range takings {
		if slices.ContainsFunc(takings[i].quantities, func(n int64) bool { return n > 0 }) {
			found = append(found, &takings[i])
		}
	}
	return found, isAll
}

// value is what a taking is worth, exact, and its parts, which add up to that. Of a
// purchase of which an amount was returned before, a line is worth so much less.
func (t *taking) value() (decimal.Decimal, []ReturnedPart) {
	e := t.of
	if t.quantities == nil {
		return t.amount, []ReturnedPart{{PurchaseID: e.ID, Line: -1, Amount: t.amount.String()}}
	}
	scale := e.scale()
	var parts []ReturnedPart
	total := decimal.Zero
	for i, n := range t.quantities {
		if n == 0 {
			continue
		}
		value := scale.next(e.Lines[i].UnitPrice.Mul(decimal.NewFromInt(n)))
		parts = append(parts, ReturnedPart{PurchaseID: e.ID, Line: i, Quantity: n, Amount: value.String()})
		total = total.Add(value)
	}
	return total, parts
}

// scale brings amounts of lines to what is left of their purchase after amounts of it
// were returned. The results of all that is left add up to that, whatever they are
// rounded to.
type scale struct {
	left, rest decimal.Decimal // of the purchase, of its lines
	before     decimal.Decimal // sum of what was scaled
	scaled     decimal.Decimal // sum of the results
}

func (e *purchaseEntry) scale() scale {
	rest := decimal.Zero
	for i := range e.Lines {
		rest = rest.Add(e.Lines[i].UnitPrice.Mul(decimal.NewFromInt(e.leftOf(i))))
	}
	return scale{left: e.left(), rest: rest}
}

func (s *scale) isOne() bool { return s.left.Equal(s.rest) }

func (s *scale) next(amount decimal.Decimal) decimal.Decimal {
	if s.isOne() {
		return amount
	}
	s.before = s.before.Add(amount)
	scaled := s.before.Mul(s.left).DivRound(s.rest, money.MaxDecimals)
	result := scaled.Sub(s.scaled)
	s.scaled = scaled
	return result
}

// kept are the lines that are left of a purchase, at its prices, and the share of
// their value that is left: less than all after amounts were returned.
func (e *purchaseEntry) kept() ([]rules.Line, rules.Share) {
	lines := make([]rules.Line, 0, len(e.Lines))
	for i, line := range e.Lines {
		if line.Quantity = e.leftOf(i); line.Quantity > 0 {
			lines = append(lines, line)
		}
	}
	scale := e.scale()
	return lines, rules.Share{Part: scale.left, Whole: scale.rest}
}

// reaches says that all that a return of the purchase moves and changes is locked.
func (w *work) reaches(e *purchaseEntry) bool {
	if !w.reach.customers[e.CustomerID] {
		return false
	}
	for _, r := range e.rewards {
		if w.totals[r.CampaignID] == nil || w.termsOf(r) == nil {
			return false
		}
		for _, accountID := range r.accounts() {
			if !w.reach.accounts[accountID] {
				return false
			}
		}
	}
	return true
}

// termsOf are those that a reward came of; nil when they were not read.
func (w *work) termsOf(r *rewardEntry) *rules.Terms {
	if newest, isThere := w.candidates[r.CampaignID]; isThere && newest.Version == r.CampaignVersion {
		return &newest.Terms
	}
	if campaign, isThere := w.reach.terms[campaignVersion{r.CampaignID, r.CampaignVersion}]; isThere {
		return &campaign.Terms
	}
	return nil
}

// decideReturn applies a return, refuses it, or lets it wait. It changes nothing, and
// says false, when more must be locked for it.
func (w *work) decideReturn(r *returnEntry, it *item) bool {
	if r.PurchaseID != "" {
		e := w.purchases[r.PurchaseID]
		if e == nil || e.Status == Held {
			w.letWait(r)
			return true
		}
		if !w.reaches(e) {
			return false
		}
		w.applyTo(e, r)
		return true
	}
	// What he bought before he was entered is being evaluated: his return comes after.
	if w.customers[r.CustomerID] == nil || it.kind == newReturn && w.hasHeld[r.CustomerID] {
		w.letWait(r)
		return true
	}
	found, isAll := w.match(&r.ReturnRequest)
	if !isAll && w.reach.hasMore[it] {
		return false
	}
	for _, t := range found {
		if !w.reaches(t.of) {
			return false
		}
	}
	if len(found) == 0 {
		r.refuse(NothingToReturn.Failure("customer %s has nothing of it left that he bought of %s until then", r.CustomerID, r.MerchantID))
		return true
	}
	for _, t := range found {
		w.takeOff(r, t)
	}
	r.Status = ReturnApplied
	return true
}

func (w *work) letWait(r *returnEntry) {
	r.Status = ReturnWaiting
	if r.isNew && r.PurchaseID != "" {
		w.waiting[r.PurchaseID] = append(w.waiting[r.PurchaseID], r)
	}
}

// applyTo applies a return to the purchase that it names.
func (w *work) applyTo(e *purchaseEntry, r *returnEntry) {
	var t taking
	failure := e.refuseStranger(&r.ReturnRequest)
	if failure == nil {
		t, failure = e.resolve(&r.ReturnRequest)
	}
	if failure != nil {
		r.refuse(failure)
		return
	}
	w.takeOff(r, &t)
	r.Status = ReturnApplied
}

// takeOff takes what was returned off a purchase, and off its rewards what is not
// deserved any more.
func (w *work) takeOff(r *returnEntry, t *taking) {
	e := t.of
	value, parts := t.value()
	r.Parts, r.Currency = append(r.Parts, parts...), e.Currency
	e.Returned = e.Returned.Add(value)
	if t.quantities != nil {
		taken := make([]int64, len(e.Lines))
		for i := range taken {
			taken[i] = e.Lines[i].Quantity - e.leftOf(i) + t.quantities[i]
		}
		e.Taken = taken
	}
	if e.isReturned(t) {
		e.Status = Returned
	}
	e.touch(w.now)
	w.addSpend(w.customers[e.CustomerID], &e.Purchase, value.Neg())
	for _, reward := range e.rewards {
		if err := w.takeBack(r, e, reward); err != nil {
			w.fail(fmt.Errorf("return %s, reward %s: %w", r.ID, reward.ID, err))
			return
		}
	}
}

// isReturned says that nothing is left after a taking: of quantities, or of money
// where an amount was returned.
func (e *purchaseEntry) isReturned(t *taking) bool {
	if t.quantities == nil {
		return e.left().IsZero()
	}
	for i := range e.Lines {
		if e.leftOf(i) > 0 {
			return false
		}
	}
	return true
}

// takeBack takes a reward back down to what is deserved for what was kept.
func (w *work) takeBack(r *returnEntry, e *purchaseEntry, reward *rewardEntry) error {
	terms := w.termsOf(reward)
	deserved := decimal.Zero
	if e.left().IsPositive() {
		i := slices.IndexFunc(e.Evaluation.Findings, func(f rules.Finding) bool { return f.CampaignID == reward.CampaignID })
		if i < 0 {
			return fmt.Errorf("purchase %s does not say why it has it", e.ID)
		}
		p := e.asked()
		if e.Evaluation.ClickID != "" {
			p.Click = &rules.Click{ID: e.Evaluation.ClickID, CampaignID: reward.CampaignID, At: e.At}
		}
		lines, share := e.kept()
		var err error
		if deserved, err = rules.Keep(*terms, e.Evaluation.Findings[i], p, lines, share, &e.Evaluation.Customer); err != nil {
			return err
		}
	}
	moved, owed, err := reward.reverse(w.mover, w.totals[reward.CampaignID], decimal.Min(deserved, reward.kept()), terms.Funding)
	if err != nil {
		return err
	}
	taken := moved.Add(owed)
	r.Reversed = r.Reversed.Add(taken)
	if terms.Caps.PerCustomer.IsPositive() {
		w.addToCap(capKey{reward.CampaignID, e.CustomerID, terms.Caps.Key(e.At)}, taken.Neg())
	}
	return nil
}
