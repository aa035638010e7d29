package cashback

import (
	"context"

	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/money"
)

// originOf is who asks under ctx; nil for the program itself.
func originOf(ctx context.Context) *audit.Origin {
	if origin, found := audit.From(ctx); found {
		return &origin
	}
	return nil
}

// report is what the audit trail is told of a request.
type report struct {
	kind   itemKind
	first  *item
	count  int
	totals map[money.Currency]decimal.Decimal // of rewards, granted or taken back
}

// note tells the audit trail what was recorded: one event a request, as a file of
// purchases would bury all else.
func (w *work) note() {
	reports := map[*waiter]*report{}
	var ordered []*report
	for _, it := range w.items[:w.decided] {
		if !it.isRecorded || it.origin == nil {
			continue
		}
		r := reports[it.waiter]
		if r == nil {
			r = &report{kind: it.kind, first: it, totals: map[money.Currency]decimal.Decimal{}}
			reports[it.waiter] = r
			ordered = append(ordered, r)
		}
		r.count++
		if it.kind == newReturn {
			r.add(it.ret.Currency, it.ret.Reversed)
			continue
		}
		for i := range it.purchase.Rewards {
			r.add(it.purchase.Currency, it.purchase.Rewards[i].Amount)
		}
	}
	for _, r := range ordered {
		w.mover.NoteAs(*r.first.origin, r.event())
	}
}

func (r *report) add(currency money.Currency, amount decimal.Decimal) {
	if amount.IsPositive() {
		r.totals[currency] = r.totals[currency].Add(amount)
	}
}

func (r *report) event() audit.Event {
	totals := make(map[money.Currency]string, len(r.totals))
	for currency, amount := range r.totals {
		totals[currency] = money.Format(amount, currency)
	}
	after := struct {
		Count    int                       `json:"count"`
		Rewards  map[money.Currency]string `json:"rewards,omitempty"`
		Reversed map[money.Currency]string `json:"reversed,omitempty"`
	}{Count: r.count}
	e := audit.Event{Action: "purchases.recorded", TargetKind: "purchase", TargetID: r.first.id, Result: audit.OK}
	if r.kind == newReturn {
		e.Action, e.TargetKind, after.Reversed = "returns.recorded", "return", totals
	} else {
		after.Rewards = totals
	}
	e.After = object(after)
	return e
}
