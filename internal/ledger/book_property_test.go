package ledger

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"florin/internal/money"
)

// Whatever is asked of the books, in whatever batches and groups and by whatever
// clock, they stay sound (memory.wantSound) and agree with the naive model.
func TestBookAgreesWithTheModelWhateverIsAsked(t *testing.T) {
	t.Parallel()
	for range 15 { // times rapid's 100: some meetings are rare
		rapid.Check(t, func(t *rapid.T) {
			w := &world{t: t, memory: newMemory(t), model: newModel()}
			w.begin()
			for range rapid.IntRange(1, 25).Draw(t, "batches") {
				w.batch()
				w.compare()
			}
		})
		if t.Failed() {
			return
		}
	}
}

// world is the book over its memory and the model, told the same things.
type world struct {
	t      *rapid.T
	memory *memory
	model  *model
}

// The ids are few, so that requests meet each other.
var (
	accountIDs  = []string{"a", "b", "c", "d", "yen", "yen2", "dinar", "house", "absent"}
	transferIDs = []string{"t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "opening-of-a"}
	holdIDs     = []string{"h0", "h1", "h2", "h3", "h4"}
	// Thousandths: small ones, some not whole cents, some at the limits.
	amounts = []int64{10, 1000, 2000, 5000, 10_000, 12_340, 20_000, 5, 1001, 100_000, modelLimit - 10, modelLimit / 2}
)

func amountOfThousandths(n int64) decimal.Decimal { return decimal.New(n, -3) }

func (w *world) pick(label string, from []string) string {
	return rapid.SampledFrom(from).Draw(w.t, label)
}

func (w *world) amount() int64 {
	// Mostly the small ones.
	if rapid.IntRange(0, 19).Draw(w.t, "large") == 0 {
		return rapid.SampledFrom(amounts).Draw(w.t, "amount")
	}
	return rapid.SampledFrom(amounts[:9]).Draw(w.t, "amount")
}

// expectation is one unit handed to the book, and the model's answers.
type expectation struct {
	unit  *unit
	codes []string
}

func (w *world) begin() {
	w.model.now = w.now()
	var all []expectation
	for _, id := range []string{"a", "b", "c"} {
		all = append(all, w.open(id, "USD", false, 20_000, "first"))
	}
	all = append(all, w.open("yen", "JPY", false, 50_000, "first"), w.open("dinar", "BHD", true, 0, "first"))
	w.run(all)
}

// batch draws some units, applies them to both, and compares their results.
func (w *world) batch() {
	// The clock of a batch may be behind that of the one before.
	w.memory.now = w.memory.now.Add(time.Duration(rapid.IntRange(-3, 20).Draw(w.t, "clock")) * time.Second)
	if h, exists := w.model.holds[w.pick("hold", holdIDs)]; exists && !h.expires.IsZero() && rapid.Bool().Draw(w.t, "sharp") {
		w.memory.now = h.expires.Add(-time.Millisecond) // the batch runs a millisecond later, on the dot
	}
	if rapid.IntRange(0, 9).Draw(w.t, "late") == 0 { // another day is soon there
		w.memory.now = w.memory.now.Add(7 * time.Hour)
	}
	// The model decides while the units are drawn: what they see is in order.
	var all []expectation
	for range rapid.IntRange(1, 12).Draw(w.t, "units") {
		all = append(all, w.draw())
	}
	w.run(all)
}

func (w *world) run(all []expectation) {
	units := make([]*unit, len(all))
	for i, e := range all {
		units[i] = e.unit
	}
	w.memory.run(units...)
	for i, e := range all {
		for j, r := range e.unit.results {
			if got := string(codeOf(r)); got != e.codes[j] {
				w.t.Fatalf("unit %d, command %d (%+v): got %q (%v); the model says %q", i, j, e.unit.commands[j], got, r.Err, e.codes[j])
			}
		}
	}
}

// now is the time that the next batch will have.
func (w *world) now() time.Time { return w.memory.now.Add(time.Millisecond) }

func (w *world) draw() expectation {
	one := func(c command, code string) expectation { return expectation{newUnit(c), []string{code}} }
	m, now := w.memory, w.now()
	w.model.now = now
	switch rapid.IntRange(0, 19).Draw(w.t, "command") {
	case 0:
		return w.open(w.pick("account", accountIDs), w.pick("currency", []string{"USD", "USD", "JPY", "BHD"}),
			rapid.Bool().Draw(w.t, "house"), rapid.SampledFrom([]int64{0, 10_000, modelLimit - 1000}).Draw(w.t, "balance"), w.pick("key", []string{"k1", "k2"}))
	case 1:
		id := w.pick("account", append(accountIDs, "house:opening:USD"))
		u := UpdateAccount{ID: id}
		status := w.pick("status", []string{"", "ACTIVE", "ACTIVE", "FROZEN"})
		if status != "" {
			s := AccountStatus(status)
			u.Status = &s
		}
		limit := rapid.SampledFrom([]int64{-1, 0, 0, 5000, 10_005}).Draw(w.t, "limit")
		if limit >= 0 {
			l := amountOfThousandths(limit)
			u.OverdraftLimit = &l
		}
		var own *modelLimits
		if rapid.Bool().Draw(w.t, "own limits") {
			limits := w.limits()
			u.TransferLimit, u.DailyLimit = nullOf(limits.single), nullOf(limits.daily)
			own = &limits
		}
		return one(m.update(u), w.model.update(id, status, limit, own))
	case 2:
		id := w.pick("account", accountIDs)
		return one(&CloseAccount{ID: id}, w.model.close(id))
	case 3, 4:
		id, r := w.request()
		return one(acceptance{w.transfer(id, r)}, w.model.accept(id, r))
	case 5, 6, 7:
		return w.place()
	case 8, 9:
		return w.capture()
	case 10:
		id := w.pick("hold", holdIDs)
		return one(&release{holdID: id, sourceAccountID: w.model.holds[id].from, to: HoldVoided}, w.model.release(id, "VOIDED", now))
	case 11:
		id := w.pick("hold", holdIDs)
		return one(&release{holdID: id, sourceAccountID: w.model.holds[id].from, to: HoldLapsed}, w.model.release(id, "EXPIRED", now))
	case 12, 13:
		return w.reversal()
	case 14, 15, 16:
		return w.group()
	default:
		id, r := w.request()
		c, role := w.transfer(id, r), w.limits()
		c.Limits = limitsOf(role)
		return one(c, w.model.transfer(id, r, true, role))
	}
}

// limits draws some; mostly none.
func (w *world) limits() modelLimits {
	if rapid.Bool().Draw(w.t, "unlimited") {
		return noModelLimits
	}
	return modelLimits{
		rapid.SampledFrom([]int64{-1, 10_000, 12_345, 0}).Draw(w.t, "transfer limit"),
		rapid.SampledFrom([]int64{-1, 10_000, 22_000, 0}).Draw(w.t, "daily limit"),
	}
}

// limitsOf is nil for none, or not, which is to be the same.
func limitsOf(l modelLimits) *Limits {
	if l == noModelLimits {
		return nil
	}
	return &Limits{PerTransfer: *nullOf(l.single), Daily: *nullOf(l.daily)}
}

func nullOf(limit int64) *decimal.NullDecimal {
	if limit < 0 {
		return &decimal.NullDecimal{}
	}
	null := decimal.NewNullDecimal(amountOfThousandths(limit))
	return &null
}

func (w *world) open(id, currency string, house bool, balance int64, key string) expectation {
	o := OpenAccount{ID: id, Currency: money.Currency(currency), Balance: amountOfThousandths(balance), IdempotencyKey: key}
	if house {
		o.Type = Liability
	}
	key = fmt.Sprint(key, id) // what memory.opening identifies a request by
	return expectation{newUnit(w.memory.opening(o)), []string{w.model.open(id, currency, house, balance, key)}}
}

// request draws a transfer: a new one, or one that is known already.
func (w *world) request() (string, modelRequest) {
	id := w.pick("transfer", transferIDs)
	if known, exists := w.model.transfers[id]; exists && known.request.kind == "transfer" && rapid.IntRange(0, 2).Draw(w.t, "again") > 0 {
		return id, known.request
	}
	return id, modelRequest{kind: "transfer", from: w.pick("from", accountIDs), to: w.pick("to", accountIDs), amount: w.amount()}
}

func (w *world) transfer(id string, r modelRequest) *TransferRequest {
	return w.memory.transfer(id, r.from, r.to, amountOfThousandths(r.amount).String())
}

func (w *world) group() expectation {
	var ids []string
	var requests []modelRequest
	var commands []command
	role := w.limits()
	for range rapid.IntRange(1, 5).Draw(w.t, "group") {
		id, r := w.request()
		c := w.transfer(id, r)
		c.isOneOfMany = true
		c.Limits = limitsOf(role)
		ids, requests, commands = append(ids, id), append(requests, r), append(commands, c)
	}
	return expectation{newUnit(commands...), w.model.atomic(ids, requests, role)}
}

func (w *world) place() expectation {
	id, from, to, amount := w.pick("hold", holdIDs), w.pick("from", accountIDs), w.pick("to", accountIDs), w.amount()
	var expires time.Time
	if seconds := rapid.IntRange(-1, 20).Draw(w.t, "expires"); seconds != 0 {
		expires = w.now().Add(time.Duration(seconds) * time.Second)
	}
	if h, exists := w.model.holds[id]; exists && rapid.Bool().Draw(w.t, "again") {
		from, to, amount, expires = h.from, h.to, h.amount, h.expires
	}
	at := &expires
	if expires.IsZero() {
		at = nil
	}
	c, role := w.memory.hold(id, from, to, amountOfThousandths(amount).String(), at), w.limits()
	c.Limits = limitsOf(role)
	return expectation{newUnit(c), []string{w.model.reserve(id, from, to, amount, expires, w.now(), role)}}
}

// capture and reversal name the accounts that a read before would have found.
func (w *world) capture() expectation {
	id, hold, amount := w.pick("transfer", transferIDs), w.pick("hold", holdIDs), int64(-1)
	h := w.model.holds[hold]
	c := &Capture{ID: id, HoldID: hold, hold: Hold{SourceAccountID: h.from, DestinationAccountID: h.to}}
	if rapid.Bool().Draw(w.t, "partial") {
		amount = w.amount()
		c.Amount = decimal.NewNullDecimal(amountOfThousandths(amount))
	}
	w.memory.valid(c.validate())
	return expectation{newUnit(c), []string{w.model.capture(id, hold, amount, w.now())}}
}

func (w *world) reversal() expectation {
	id, target := w.pick("transfer", transferIDs), w.pick("target", transferIDs)
	if completed := w.completed(); len(completed) > 0 && rapid.IntRange(0, 3).Draw(w.t, "sensible") > 0 {
		target = w.pick("target", completed)
	}
	force := rapid.Bool().Draw(w.t, "force")
	r := &Reversal{ID: id, TargetID: target, Force: force}
	from, to, _ := w.model.legsOf(target)
	r.target = Transfer{SourceAccountID: from, DestinationAccountID: to}
	w.memory.valid(r.validate())
	return expectation{newUnit(r), []string{w.model.reverse(id, target, force)}}
}

func (w *world) completed() []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(w.model.transfers)) {
		if w.model.transfers[id].status == "COMPLETED" {
			ids = append(ids, id)
		}
	}
	return ids
}

// compare looks for a difference between what the book stored and the model.
func (w *world) compare() {
	m := w.memory
	if got, want := slices.Sorted(maps.Keys(m.accounts)), slices.Sorted(maps.Keys(w.model.accounts)); !slices.Equal(got, want) {
		w.t.Fatalf("the accounts are %q; the model's %q", got, want)
	}
	for id, want := range w.model.accounts {
		got := m.accounts[id]
		limit := int64(-1)
		if got.OverdraftLimit.Valid {
			limit = got.OverdraftLimit.Decimal.Mul(decimal.New(1000, 0)).IntPart()
		}
		if !got.Posted.Equal(amountOfThousandths(want.posted)) || !got.Held.Equal(amountOfThousandths(want.held)) ||
			!got.Shortfall.Equal(amountOfThousandths(want.short)) || limit != want.limit ||
			string(got.Status) != want.status || got.Version != want.version {
			w.t.Fatalf("account %s is %+v; the model's %+v", id, got, want)
		}
	}
	for id, want := range w.model.transfers {
		got, exists := m.transfers[id]
		code := ""
		if got.Failure != nil {
			code = string(got.Failure.Code)
		}
		if !exists || string(got.Status) != want.status || code != want.code {
			w.t.Fatalf("transfer %s is %+v %v; the model's %+v", id, got, got.Failure, want)
		}
	}
	if len(m.transfers) != len(w.model.transfers) || len(m.holds) != len(w.model.holds) {
		w.t.Fatalf("%d transfers and %d holds; the model's %d and %d", len(m.transfers), len(m.holds), len(w.model.transfers), len(w.model.holds))
	}
	for id, want := range w.model.holds {
		if got := m.holds[id]; string(got.Status) != want.status || !got.CapturedAmount.Equal(amountOfThousandths(want.captured)) {
			w.t.Fatalf("hold %s is %+v; the model's %+v", id, got, want)
		}
	}
}
