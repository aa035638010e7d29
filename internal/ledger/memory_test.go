package ledger

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// memory stands in for the database under the pure rules: it loads for a batch
// what its commands ask for and no more, and stores what the book says has
// changed and no more, as store.go does. It refuses what the schema's
// constraints refuse.
type memory struct {
	t         failer
	now       time.Time
	accounts  map[string]accountEntry
	transfers map[string]transferEntry
	holds     map[string]holdEntry
	postings  map[string][]Posting
}

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

var epoch = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func newMemory(t failer) *memory {
	return &memory{
		t: t, now: epoch,
		accounts: map[string]accountEntry{}, transfers: map[string]transferEntry{},
		holds: map[string]holdEntry{}, postings: map[string][]Posting{},
	}
}

// run is a batch of the executor, a millisecond after the one before. Like the
// executor it first takes the ids of new transfers for new.
func (m *memory) run(units ...*unit) *book {
	m.t.Helper()
	m.now = m.now.Add(time.Millisecond)
	b := m.try(units, false)
	if b.isUnsure || m.knowsOneOf(b.changedTransfers) {
		b = m.try(units, true)
	}
	m.save(b)
	m.wantSound()
	return b
}

func (m *memory) try(units []*unit, lookUpIDs bool) *book {
	b := m.load(keysOf(units, lookUpIDs))
	b.now, b.knowsIDs = m.now, lookUpIDs
	for _, u := range units {
		b.apply(u)
	}
	return b
}

// knowsOneOf says that an id taken for new is not: the primary key's word.
func (m *memory) knowsOneOf(changed []*transferEntry) bool {
	for _, e := range changed {
		if _, exists := m.transfers[e.ID]; exists && e.isNew {
			return true
		}
	}
	return false
}

// do runs each command as a unit of its own, all in one batch.
func (m *memory) do(commands ...command) []Result {
	m.t.Helper()
	units := make([]*unit, len(commands))
	for i, c := range commands {
		units[i] = newUnit(c)
	}
	m.run(units...)
	results := make([]Result, len(commands))
	for i, u := range units {
		results[i] = u.results[0]
	}
	return results
}

func (m *memory) one(c command) Result {
	m.t.Helper()
	return m.do(c)[0]
}

// atomic runs commands that stand or fall together.
func (m *memory) atomic(commands ...command) []Result {
	m.t.Helper()
	for _, c := range commands {
		c.(*TransferRequest).isOneOfMany = true
	}
	u := newUnit(commands...)
	m.run(u)
	return u.results
}

func (m *memory) load(k *keys) *book {
	b := &book{
		accounts: map[string]*accountEntry{}, transfers: map[string]*transferEntry{},
		holds: map[string]*holdEntry{}, reversals: map[string]string{},
	}
	for id := range k.accounts {
		if stored, found := m.accounts[id]; found {
			b.accounts[id] = &stored
		}
	}
	for id := range k.transfers {
		if stored, found := m.transfers[id]; found {
			b.transfers[id] = &stored
		}
	}
	for id := range k.holds {
		if stored, found := m.holds[id]; found {
			b.holds[id] = &stored
		}
	}
	for _, target := range k.reversals {
		for id, stored := range m.transfers {
			if stored.ReversesID == target && stored.Status == Completed {
				b.reversals[target] = id
			}
		}
	}
	return b
}

func (m *memory) save(b *book) {
	m.t.Helper()
	for _, a := range b.changedAccounts {
		row, exists := m.accounts[a.ID]
		if exists == a.isNew {
			m.t.Fatalf("account %s: new is %t, exists is %t", a.ID, a.isNew, exists)
		}
		switch {
		case a.isNew:
			row = accountEntry{Account: a.Account, openingHash: a.openingHash}
		case a.hasNewTerms:
			row.Status, row.OverdraftLimit, row.Metadata = a.Status, a.OverdraftLimit, a.Metadata
			row.TransferLimit, row.DailyLimit = a.TransferLimit, a.DailyLimit
			fallthrough
		default:
			row.Posted, row.Held, row.Shortfall = a.Posted, a.Held, a.Shortfall
			row.SpentSince, row.Spent = a.SpentSince, a.Spent
			row.Postings, row.Version, row.UpdatedAt = a.Postings, a.Version, a.UpdatedAt
		}
		m.accounts[a.ID] = row
	}
	finished := map[string]bool{}
	for _, e := range b.changedTransfers {
		row, exists := m.transfers[e.ID]
		if exists == e.isNew || finished[e.ID] {
			m.t.Fatalf("transfer %s is written twice, or new is %t and exists is %t", e.ID, e.isNew, exists)
		}
		finished[e.ID] = true
		if e.isNew {
			row = transferEntry{Transfer: e.Transfer, hash: e.hash}
		} else {
			row.Status, row.Currency, row.Failure = e.Status, e.Currency, e.Failure
			row.SourceSeq, row.DestinationSeq, row.FinishedAt = e.SourceSeq, e.DestinationSeq, e.FinishedAt
		}
		m.transfers[e.ID] = row
	}
	for _, p := range b.postings {
		m.postings[p.AccountID] = append(m.postings[p.AccountID], p)
	}
	for _, h := range b.changedHolds {
		row, exists := m.holds[h.ID]
		if exists == h.isNew {
			m.t.Fatalf("hold %s: new is %t, exists is %t", h.ID, h.isNew, exists)
		}
		if h.isNew {
			row = holdEntry{Hold: h.Hold, hash: h.hash}
		} else {
			row.Status, row.CapturedAmount, row.CaptureID, row.UpdatedAt = h.Status, h.CapturedAmount, h.CaptureID, h.UpdatedAt
		}
		m.holds[h.ID] = row
	}
}

// wantSound checks every invariant of the books, and what the columns hold.
func (m *memory) wantSound() {
	m.t.Helper()
	held := map[string]decimal.Decimal{}
	for _, h := range m.holds {
		if h.Status == HoldPending {
			held[h.SourceAccountID] = held[h.SourceAccountID].Add(h.Amount)
		}
	}
	total := map[money.Currency]decimal.Decimal{}
	legs := map[string]int{}
	for id, postings := range m.postings {
		if _, exists := m.accounts[id]; !exists {
			m.t.Fatalf("postings without account %s", id)
		}
		for _, p := range postings {
			legs[p.TransferID]++
		}
	}
	for id, a := range m.accounts {
		m.wantChain(a.Account)
		total[a.Currency] = total[a.Currency].Add(a.Posted)
		if !a.Held.Equal(held[id]) {
			m.t.Fatalf("account %s has %s held, its pending holds %s", id, a.Held, held[id])
		}
		available := a.Available()
		if available.Valid && available.Decimal.Add(a.Shortfall).IsNegative() {
			m.t.Fatalf("account %s has %s available, shortfall %s", id, available.Decimal, a.Shortfall)
		}
		if a.Shortfall.IsPositive() && (!available.Valid || !available.Decimal.Neg().Equal(a.Shortfall)) {
			m.t.Fatalf("account %s has shortfall %s, %s available", id, a.Shortfall, available.Decimal)
		}
		if a.Status == Closed && (!a.Posted.IsZero() || !a.Held.IsZero()) {
			m.t.Fatalf("closed account %s has %s posted and %s held", id, a.Posted, a.Held)
		}
		m.wantSpent(a.Account)
		for _, amount := range []decimal.Decimal{a.Posted, a.Held, a.Shortfall} {
			if amount.Abs().GreaterThanOrEqual(money.Limit) {
				m.t.Fatalf("account %s: %s is more than DECIMAL(19,4) holds", id, amount)
			}
		}
	}
	for currency, sum := range total {
		if !sum.IsZero() {
			m.t.Fatalf("the books in %s sum to %s", currency, sum)
		}
	}
	for id, e := range m.transfers {
		m.wantLegs(e.Transfer)
		if want := map[bool]int{true: 2}[e.Status == Completed]; legs[id] != want {
			m.t.Fatalf("transfer %s is %s and has %d postings", id, e.Status, legs[id])
		}
		delete(legs, id)
	}
	if len(legs) > 0 {
		m.t.Fatalf("postings of unknown transfers: %v", legs)
	}
}

// wantChain checks that an account's postings lead to its balance.
func (m *memory) wantChain(a Account) {
	m.t.Helper()
	balance, at := decimal.Zero, time.Time{}
	for i, p := range m.postings[a.ID] {
		balance = balance.Add(p.Amount)
		if p.Seq != int64(i+1) || !p.Balance.Equal(balance) || p.CreatedAt.Before(at) || p.Currency != a.Currency {
			m.t.Fatalf("account %s: posting %+v after %d others that sum to %s at %s", a.ID, p, i, balance.Sub(p.Amount), at)
		}
		at = p.CreatedAt
	}
	if !a.Posted.Equal(balance) || a.Postings != int64(len(m.postings[a.ID])) || a.UpdatedAt.Before(at) {
		m.t.Fatalf("account %+v has %d postings that sum to %s, the last of %s", a, len(m.postings[a.ID]), balance, at)
	}
}

// wantSpent checks what counts towards an account's daily limit, from the
// transfers and holds that there are.
func (m *memory) wantSpent(a Account) {
	m.t.Helper()
	spent := decimal.Zero
	counts := func(at time.Time) bool { return at.Format(time.DateOnly) == a.SpentSince.Format(time.DateOnly) }
	for _, e := range m.transfers {
		if e.SourceAccountID == a.ID && e.Kind == KindTransfer && e.Status == Completed && counts(*e.FinishedAt) {
			spent = spent.Add(e.Amount)
		}
	}
	for _, h := range m.holds {
		if h.SourceAccountID != a.ID || !counts(h.CreatedAt) {
			continue
		}
		switch h.Status {
		case HoldPending:
			spent = spent.Add(h.Amount)
		case HoldCaptured:
			spent = spent.Add(h.CapturedAmount)
		case HoldVoided, HoldLapsed:
		}
	}
	if a.Type.IsHouse() {
		spent = decimal.Zero
	}
	if !a.Spent.Equal(spent) {
		m.t.Fatalf("account %s has %s spent since %s; it paid and holds %s", a.ID, a.Spent, a.SpentSince, spent)
	}
}

// wantLegs checks that a transfer names its two postings, which mirror each other.
func (m *memory) wantLegs(t Transfer) {
	m.t.Helper()
	if (t.Status == Failed) != (t.Failure != nil) || t.Status.IsFinal() != (t.FinishedAt != nil) {
		m.t.Fatalf("transfer %+v: its status is at odds with its end", t)
	}
	if t.Status != Completed {
		return
	}
	debit, credit := m.postings[t.SourceAccountID][t.SourceSeq-1], m.postings[t.DestinationAccountID][t.DestinationSeq-1]
	for _, leg := range []Posting{debit, credit} {
		if leg.TransferID != t.ID || !leg.CreatedAt.Equal(*t.FinishedAt) || leg.Currency != t.Currency {
			m.t.Fatalf("transfer %+v names posting %+v", t, leg)
		}
	}
	if !debit.Amount.Equal(t.Amount.Neg()) || !credit.Amount.Equal(t.Amount) {
		m.t.Fatalf("transfer %+v has legs of %s and %s", t, debit.Amount, credit.Amount)
	}
}

// state is all that is stored, in a form to compare.
func (m *memory) state() string {
	var lines []string
	for _, a := range m.accounts {
		lines = append(lines, fmt.Sprintf("%+v", a))
	}
	for _, e := range m.transfers {
		lines = append(lines, fmt.Sprintf("%+v %v", e, e.Failure))
	}
	for _, h := range m.holds {
		lines = append(lines, fmt.Sprintf("%+v", h))
	}
	for _, p := range m.postings {
		lines = append(lines, fmt.Sprintf("%+v", p))
	}
	slices.Sort(lines)
	return fmt.Sprint(lines)
}

// The commands as the Ledger's methods hand them in.

func amountOf(text string) decimal.Decimal { return decimal.RequireFromString(text) }

func (m *memory) valid(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("%v", err)
	}
}

func (m *memory) opening(o OpenAccount) *OpenAccount {
	m.t.Helper()
	m.valid(o.validate())
	o.openingTransferID, o.openingHash = "opening-of-"+o.ID, requestHash("open", o.ID, o.IdempotencyKey)
	return &o
}

// open opens accounts in USD, each with its balance.
func (m *memory) open(balances map[string]string) {
	m.t.Helper()
	for id, balance := range balances {
		if r := m.one(m.opening(OpenAccount{ID: id, Balance: amountOf(balance)})); r.Err != nil {
			m.t.Fatalf("%v", r.Err)
		}
	}
}

func (m *memory) update(u UpdateAccount) *UpdateAccount {
	m.t.Helper()
	m.valid(u.validate())
	return &u
}

func (m *memory) setStatus(id string, s AccountStatus) {
	m.t.Helper()
	var c command = &CloseAccount{ID: id}
	if s != Closed {
		c = m.update(UpdateAccount{ID: id, Status: &s})
	}
	if r := m.one(c); r.Err != nil {
		m.t.Fatalf("%v", r.Err)
	}
}

func (m *memory) setLimit(id, limit string) Result {
	m.t.Helper()
	amount := amountOf(limit)
	return m.one(m.update(UpdateAccount{ID: id, OverdraftLimit: &amount}))
}

func (m *memory) transfer(id, from, to, amount string) *TransferRequest {
	m.t.Helper()
	return m.request(TransferRequest{ID: id, SourceAccountID: from, DestinationAccountID: to, Amount: amountOf(amount)})
}

func (m *memory) request(r TransferRequest) *TransferRequest {
	m.t.Helper()
	m.valid(r.validate(""))
	return &r
}

func (m *memory) reversal(id, target string, force bool) *Reversal {
	m.t.Helper()
	r := &Reversal{ID: id, TargetID: target, Force: force, target: m.transfers[target].Transfer}
	m.valid(r.validate())
	return r
}

func (m *memory) hold(id, from, to, amount string, expires *time.Time) *HoldRequest {
	m.t.Helper()
	r := &HoldRequest{ID: id, SourceAccountID: from, DestinationAccountID: to, Amount: amountOf(amount), ExpiresAt: expires}
	m.valid(r.validate())
	return r
}

func (m *memory) capture(id, hold, amount string) *Capture {
	m.t.Helper()
	c := &Capture{ID: id, HoldID: hold, hold: m.holds[hold].Hold}
	if amount != "" {
		c.Amount = decimal.NewNullDecimal(amountOf(amount))
	}
	m.valid(c.validate())
	return c
}

func (m *memory) void(hold string) *release {
	return &release{holdID: hold, sourceAccountID: m.holds[hold].SourceAccountID, to: HoldVoided}
}

func (m *memory) expiry(hold string) *release {
	return &release{holdID: hold, sourceAccountID: m.holds[hold].SourceAccountID, to: HoldLapsed}
}

// codeOf is a result's failure code: "" when done, "invalid_input" when the
// request made no sense.
func codeOf(r Result) Code {
	if failure := (*Failure)(nil); errors.As(r.Err, &failure) {
		return failure.Code
	}
	if errors.As(r.Err, new(*InvalidInput)) {
		return "invalid_input"
	}
	if r.Err != nil {
		return Code(r.Err.Error())
	}
	return ""
}

func (m *memory) wantCodes(results []Result, want ...Code) {
	m.t.Helper()
	got := make([]Code, len(results))
	for i, r := range results {
		got[i] = codeOf(r)
	}
	if !slices.Equal(got, want) {
		m.t.Fatalf("got %q; want %q", got, want)
	}
}

func (m *memory) wantBalance(id, posted, held string) {
	m.t.Helper()
	a, exists := m.accounts[id]
	if !exists || !a.Posted.Equal(amountOf(posted)) || !a.Held.Equal(amountOf(held)) {
		m.t.Fatalf("account %s has %s posted and %s held; want %s and %s", id, a.Posted, a.Held, posted, held)
	}
}
