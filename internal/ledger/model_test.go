package ledger

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// model is the rules of the ledger a second time, as plainly as they can be
// written, in whole thousandths and with nothing of the book's code: what the
// property test compares the book with.
type model struct {
	now       time.Time // of the batch at hand
	accounts  map[string]modelAccount
	transfers map[string]modelTransfer
	holds     map[string]modelHold
}

type modelAccount struct {
	currency string
	house    bool
	status   string // ACTIVE, FROZEN, CLOSED
	posted   int64
	held     int64
	limit    int64 // -1: none
	short    int64
	version  int64
	updated  time.Time
	own      modelLimits
	payments []modelPayment // what counts towards the daily limit, one by one
	key      string         // of the request that opened it
}

// modelLimits are amounts; -1 stands for none.
type modelLimits struct{ single, daily int64 }

var noModelLimits = modelLimits{-1, -1}

type modelPayment struct {
	at     time.Time
	amount int64
	hold   string // that it is for
}

// refuses is the code by which limits refuse a payment out of a customer's account.
func (a modelAccount) refuses(amount int64, role modelLimits, at time.Time) string {
	if a.house {
		return ""
	}
	limits := a.own
	if limits.single < 0 {
		limits.single = role.single
	}
	if limits.daily < 0 {
		limits.daily = role.daily
	}
	if limits.single >= 0 && amount > limits.single {
		return "transfer_limit_exceeded"
	}
	for _, p := range a.payments {
		if p.at.Format(time.DateOnly) == at.Format(time.DateOnly) {
			amount += p.amount
		}
	}
	if limits.daily >= 0 && amount > limits.daily {
		return "daily_limit_exceeded"
	}
	return ""
}

// end is the end of a hold that took some of its money.
func (a modelAccount) end(hold string, taken int64) modelAccount {
	a.payments = slices.Clone(a.payments) // a copy of the model may have the others
	for i, p := range a.payments {
		if p.hold == hold {
			a.payments[i].amount = taken
		}
	}
	return a
}

func (m *model) timeFor(accounts ...modelAccount) time.Time {
	at := m.now
	for _, a := range accounts {
		if a.updated.After(at) {
			at = a.updated
		}
	}
	return at
}

type modelTransfer struct {
	request  modelRequest
	status   string // PENDING, COMPLETED, FAILED
	code     string
	reverses string
}

// modelRequest is all that makes a request the same or another one.
type modelRequest struct {
	kind     string // transfer, capture, reversal, opening
	from, to string
	amount   int64 // -1: all that is held
	subject  string
	force    bool
}

type modelHold struct {
	from, to string
	amount   int64
	expires  time.Time // zero: never
	status   string
	captured int64
}

const modelLimit = int64(1_000_000_000_000_000_000) // 10^15 in thousandths

func newModel() *model {
	return &model{accounts: map[string]modelAccount{}, transfers: map[string]modelTransfer{}, holds: map[string]modelHold{}}
}

func (m *model) clone() *model {
	return &model{now: m.now, accounts: maps.Clone(m.accounts), transfers: maps.Clone(m.transfers), holds: maps.Clone(m.holds)}
}

// smallest is the smallest amount of a currency.
func smallest(currency string) int64 {
	return map[string]int64{"JPY": 1000, "USD": 10, "BHD": 1}[currency]
}

func (m *model) pair(from, to string) string {
	if from == to {
		return "same_account"
	}
	source, ok := m.accounts[from]
	if !ok {
		return "account_not_found"
	}
	destination, ok := m.accounts[to]
	if !ok {
		return "account_not_found"
	}
	for _, a := range []modelAccount{source, destination} {
		if a.status == "FROZEN" {
			return "account_frozen"
		}
		if a.status == "CLOSED" {
			return "account_closed"
		}
	}
	if source.currency != destination.currency {
		return "currency_mismatch"
	}
	return ""
}

func (a modelAccount) available() int64 { return a.posted - a.held + a.limit }

// move moves money if it may: out of what is available, or by force.
func (m *model) move(from, to string, amount int64, force bool) string {
	return m.pay(from, to, amount, force, nil)
}

// pay is move for a payment that counts, under limits, unless they are nil.
func (m *model) pay(from, to string, amount int64, force bool, role *modelLimits) string {
	if code := m.pair(from, to); code != "" {
		return code
	}
	source, destination := m.accounts[from], m.accounts[to]
	if amount%smallest(source.currency) != 0 {
		return "invalid_amount"
	}
	if !force && source.limit >= 0 && source.available() < amount {
		return "insufficient_funds"
	}
	if role != nil {
		at := m.timeFor(source, destination)
		if code := source.refuses(amount, *role, at); code != "" {
			return code
		}
		source.payments = append(slices.Clone(source.payments), modelPayment{at: at, amount: amount})
	}
	return m.book(from, to, amount, 0, source, destination)
}

func (m *model) book(from, to string, amount, release int64, source, destination modelAccount) string {
	source.updated = m.timeFor(source, destination)
	destination.updated = source.updated
	source.posted -= amount
	source.held -= release
	destination.posted += amount
	if source.posted <= -modelLimit || destination.posted >= modelLimit || source.limit >= 0 && -source.available() >= modelLimit {
		return "balance_limit_exceeded"
	}
	m.put(from, source)
	m.put(to, destination)
	return ""
}

// put stores a changed account: what is missing to its promises is its shortfall.
func (m *model) put(id string, a modelAccount) {
	a.short = 0
	if a.limit >= 0 {
		a.short = max(0, -a.available())
	}
	a.version++
	a.updated = m.timeFor(a)
	m.accounts[id] = a
}

// replay is what is known under a transfer's id.
func (m *model) replay(id string, r modelRequest) (code string, known bool) {
	t, exists := m.transfers[id]
	switch {
	case !exists:
		return "", false
	case t.request != r:
		return "duplicate_transaction", true
	case t.status == "PENDING":
		return "", false
	}
	return t.code, true
}

func (m *model) finish(id string, r modelRequest, code, reverses string) string {
	t := modelTransfer{request: r, status: "COMPLETED", code: code, reverses: reverses}
	if code != "" {
		t.status = "FAILED"
	}
	m.transfers[id] = t
	return code
}

func (m *model) transfer(id string, r modelRequest, alone bool, role modelLimits) string {
	if code, known := m.replay(id, r); known {
		return code
	}
	code := m.pay(r.from, r.to, r.amount, false, &role)
	if _, accepted := m.transfers[id]; code == "invalid_amount" && alone && !accepted {
		return "invalid_input"
	}
	return m.finish(id, r, code, "")
}

func (m *model) accept(id string, r modelRequest) string {
	if t, exists := m.transfers[id]; exists {
		if t.request != r {
			return "duplicate_transaction"
		}
		return ""
	}
	m.transfers[id] = modelTransfer{request: r, status: "PENDING"}
	return ""
}

// atomic is all or nothing: on a failure the state is what it was, and each
// transfer without an outcome is noted as failed.
func (m *model) atomic(ids []string, requests []modelRequest, role modelLimits) []string {
	if len(ids) == 1 {
		return []string{m.transfer(ids[0], requests[0], false, role)}
	}
	before := m.clone()
	codes := make([]string, len(ids))
	broken := -1
	for i := range ids {
		if codes[i] = m.transfer(ids[i], requests[i], false, role); codes[i] != "" {
			broken = i
			break
		}
	}
	if broken < 0 {
		return codes
	}
	why := codes[broken]
	*m = *before
	for i := range ids {
		reason := "batch_aborted"
		if i == broken {
			reason = why
		}
		if code, known := m.replay(ids[i], requests[i]); known {
			codes[i] = code
		} else {
			codes[i] = m.finish(ids[i], requests[i], reason, "")
		}
	}
	return codes
}

func (m *model) open(id, currency string, house bool, balance int64, key string) string {
	if a, exists := m.accounts[id]; exists {
		if a.key == key {
			return ""
		}
		return "account_exists"
	}
	limit := int64(0)
	if house {
		limit = -1
	}
	opening := "house:opening:" + currency
	if balance > 0 {
		if a, exists := m.accounts[opening]; exists && (a.status == "FROZEN" || a.posted-balance <= -modelLimit) {
			if a.status == "FROZEN" {
				return "account_frozen"
			}
			return "balance_limit_exceeded"
		} else if !exists {
			m.accounts[opening] = modelAccount{currency: currency, house: true, status: "ACTIVE", limit: -1, version: 1, updated: m.now, own: noModelLimits}
		}
	}
	m.accounts[id] = modelAccount{currency: currency, house: house, status: "ACTIVE", limit: limit, version: 1, updated: m.now, own: noModelLimits, key: key}
	if balance > 0 {
		if code := m.move(opening, id, balance, true); code != "" {
			panic(code)
		}
		m.finish("opening-of-"+id, modelRequest{kind: "opening", from: opening, to: id, amount: balance}, "", "")
	}
	return ""
}

func (m *model) update(id, status string, limit int64, own *modelLimits) string {
	if strings.HasPrefix(id, "house:") {
		return "account_reserved"
	}
	a, exists := m.accounts[id]
	if !exists {
		return "account_not_found"
	}
	if a.status == "CLOSED" {
		return "account_closed"
	}
	if limit >= 0 {
		if limit%smallest(a.currency) != 0 {
			return "invalid_amount"
		}
		a.limit = limit
		if a.available()+a.short < 0 {
			return "overdraft_in_use"
		}
	}
	if own != nil {
		if a.house && *own != noModelLimits {
			return "invalid_input"
		}
		if max(own.single, 0)%smallest(a.currency) != 0 || max(own.daily, 0)%smallest(a.currency) != 0 {
			return "invalid_amount"
		}
		a.own = *own
	}
	if status != "" {
		a.status = status
	}
	m.put(id, a)
	return ""
}

func (m *model) close(id string) string {
	a, exists := m.accounts[id]
	switch {
	case strings.HasPrefix(id, "house:"):
		return "account_reserved"
	case !exists:
		return "account_not_found"
	case a.status == "CLOSED":
		return ""
	case a.posted != 0 || a.held != 0:
		return "account_not_empty"
	}
	a.status = "CLOSED"
	m.put(id, a)
	return ""
}

func (m *model) reserve(id, from, to string, amount int64, expires, now time.Time, role modelLimits) string {
	if h, exists := m.holds[id]; exists {
		if h.from != from || h.to != to || h.amount != amount || !h.expires.Equal(expires) {
			return "duplicate_hold"
		}
		return ""
	}
	if !expires.IsZero() && !expires.After(now) {
		return "invalid_input"
	}
	if code := m.pair(from, to); code != "" {
		return code
	}
	a := m.accounts[from]
	if amount%smallest(a.currency) != 0 {
		return "invalid_input"
	}
	if a.limit >= 0 && a.available() < amount {
		return "insufficient_funds"
	}
	at := m.timeFor(a)
	if code := a.refuses(amount, role, at); code != "" {
		return code
	}
	if a.held+amount >= modelLimit {
		return "balance_limit_exceeded"
	}
	a.held += amount
	a.payments = append(slices.Clone(a.payments), modelPayment{at, amount, id})
	m.put(from, a)
	m.holds[id] = modelHold{from: from, to: to, amount: amount, expires: expires, status: "PENDING"}
	return ""
}

func (h modelHold) isOver(now time.Time) bool { return !h.expires.IsZero() && !now.Before(h.expires) }

func (m *model) capture(id, hold string, amount int64, now time.Time) string {
	r := modelRequest{kind: "capture", subject: hold, amount: amount}
	if t, exists := m.transfers[id]; exists {
		if t.request != r {
			return "duplicate_transaction"
		}
		return t.code
	}
	h, exists := m.holds[hold]
	if !exists {
		return "hold_not_found"
	}
	if amount < 0 {
		amount = h.amount
	}
	switch {
	case h.status == "EXPIRED" || h.status == "PENDING" && h.isOver(now):
		return m.finish(id, r, "hold_expired", "")
	case h.status != "PENDING":
		return m.finish(id, r, "hold_not_pending", "")
	case amount > h.amount:
		return m.finish(id, r, "amount_exceeds_hold", "")
	case amount%smallest(m.accounts[h.from].currency) != 0:
		return "invalid_input"
	}
	if code := m.pair(h.from, h.to); code != "" {
		return m.finish(id, r, code, "")
	}
	if code := m.book(h.from, h.to, amount, h.amount, m.accounts[h.from], m.accounts[h.to]); code != "" {
		return m.finish(id, r, code, "")
	}
	m.accounts[h.from] = m.accounts[h.from].end(hold, amount)
	h.status, h.captured = "CAPTURED", amount
	m.holds[hold] = h
	return m.finish(id, r, "", "")
}

func (m *model) release(hold, to string, now time.Time) string {
	h, exists := m.holds[hold]
	switch {
	case !exists:
		return "hold_not_found"
	case h.status == to:
		return ""
	case to == "VOIDED" && (h.status == "EXPIRED" || h.status == "PENDING" && h.isOver(now)):
		return "hold_expired"
	case to == "VOIDED" && h.status != "PENDING":
		return "hold_not_pending"
	case to == "EXPIRED" && (h.status != "PENDING" || !h.isOver(now)):
		return ""
	}
	a := m.accounts[h.from]
	a.held -= h.amount
	m.put(h.from, a.end(hold, 0))
	h.status = to
	m.holds[hold] = h
	return ""
}

func (m *model) reverse(id, target string, force bool) string {
	r := modelRequest{kind: "reversal", subject: target, force: force}
	if t, exists := m.transfers[id]; exists {
		if t.request != r {
			return "duplicate_transaction"
		}
		return t.code
	}
	t, exists := m.transfers[target]
	if !exists {
		return "transaction_not_found"
	}
	if t.status != "COMPLETED" {
		return m.finish(id, r, "transaction_not_completed", "")
	}
	for _, other := range m.transfers {
		if other.reverses == target && other.status == "COMPLETED" {
			return m.finish(id, r, "already_reversed", "")
		}
	}
	from, to, amount := m.legsOf(target)
	return m.finish(id, r, m.move(to, from, amount, force), target)
}

// legsOf finds what a completed transfer moved.
func (m *model) legsOf(id string) (from, to string, amount int64) {
	switch r := m.transfers[id].request; r.kind {
	case "capture":
		h := m.holds[r.subject]
		return h.from, h.to, h.captured
	case "reversal":
		from, to, amount = m.legsOf(r.subject)
		return to, from, amount
	default:
		return r.from, r.to, r.amount
	}
}
