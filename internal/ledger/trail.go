package ledger

import (
	"encoding/json"

	"github.com/shopspring/decimal"

	"florin/internal/audit"
	"florin/internal/money"
)

// What the audit trail says of a batch. An event is noted where the books change,
// and so neither for an answer that repeats an earlier one nor for a refusal that
// leaves nothing; and only for commands that come from somebody. Amounts and ids
// are all it holds: descriptions and metadata are for people to write, and may be
// about people.

func (b *book) note(action, kind, id string, before, after json.RawMessage, result string) {
	b.events = append(b.events, audit.Event{
		Action: action, TargetKind: kind, TargetID: id, Before: before, After: after,
		Result: result, Origin: *b.origin, At: b.now,
	})
}

// noteTransfer notes a transfer's new state.
func (b *book) noteTransfer(t *Transfer) {
	if b.origin == nil {
		return
	}
	action, result := "transaction.accepted", audit.OK
	switch t.Status {
	case Completed:
		action = "transaction.completed"
	case Failed:
		action, result = "transaction.failed", string(t.Failure.Code)
	case Pending, InProgress:
	}
	b.note(action, "transaction", t.ID, nil, movement(t.Amount, t.Currency, t.SourceAccountID, t.DestinationAccountID), result)
}

// noteReversed notes on the transfer that was undone by whom.
func (b *book) noteReversed(reversal *Transfer, isForced bool) {
	if b.origin == nil {
		return
	}
	b.note("transaction.reversed", "transaction", reversal.ReversesID, nil, object(struct {
		ReversedBy string `json:"reversedBy"`
		Forced     bool   `json:"forced"`
	}{reversal.ID, isForced}), audit.OK)
}

// noteHold notes a hold's new state.
func (b *book) noteHold(h *Hold) {
	if b.origin == nil {
		return
	}
	action, amount := "hold.placed", h.Amount
	switch h.Status {
	case HoldCaptured:
		action, amount = "hold.captured", h.CapturedAmount
	case HoldVoided:
		action = "hold.voided"
	case HoldLapsed:
		action = "hold.expired"
	case HoldPending:
	}
	b.note(action, "hold", h.ID, nil, movement(amount, h.Currency, h.SourceAccountID, h.DestinationAccountID), audit.OK)
}

// movement is a JSON object, written by hand because there is one for each
// transfer. Ids, currencies and amounts need no escaping.
func movement(amount decimal.Decimal, currency money.Currency, source, destination string) json.RawMessage {
	shown := amount.String() // of a transfer that failed before its currency was known
	if currency != "" {
		shown = money.Format(amount, currency)
	}
	text := make([]byte, 0, 160)
	text = append(text, `{"amount":"`...)
	text = append(text, shown...)
	text = append(text, `","currency":"`...)
	text = append(text, currency...)
	text = append(text, `","source":"`...)
	text = append(text, source...)
	text = append(text, `","destination":"`...)
	text = append(text, destination...)
	return append(text, `"}`...)
}

// terms are what the trail shows of an account; nil for what is not concerned.
type terms struct {
	Type           AccountType    `json:"type,omitempty"`
	Currency       money.Currency `json:"currency,omitempty"`
	OwnerID        string         `json:"ownerId,omitempty"`
	Status         AccountStatus  `json:"status,omitempty"`
	OverdraftLimit *string        `json:"overdraftLimit,omitempty"`
	TransferLimit  *string        `json:"transferLimit,omitempty"`
	DailyLimit     *string        `json:"dailyLimit,omitempty"`
	// Changed names what is not shown.
	Changed []string `json:"changed,omitempty"`
}

func (b *book) noteOpened(account *accountEntry) {
	if b.origin == nil {
		return
	}
	limit := limitText(account.OverdraftLimit, account.Currency)
	b.note("account.opened", "account", account.ID, nil, object(terms{
		Type: account.Type, Currency: account.Currency, OwnerID: account.OwnerID, OverdraftLimit: &limit,
	}), audit.OK)
}

// noteUpdated notes the terms that are others than before; nothing if none is.
func (b *book) noteUpdated(before *Account, account *accountEntry) {
	if b.origin == nil {
		return
	}
	was, is, changed := terms{}, terms{}, false
	if account.Status != before.Status {
		was.Status, is.Status, changed = before.Status, account.Status, true
	}
	for _, limit := range []struct {
		before, after      decimal.NullDecimal
		shownWas, shownNow **string
	}{
		{before.OverdraftLimit, account.OverdraftLimit, &was.OverdraftLimit, &is.OverdraftLimit},
		{before.TransferLimit, account.TransferLimit, &was.TransferLimit, &is.TransferLimit},
		{before.DailyLimit, account.DailyLimit, &was.DailyLimit, &is.DailyLimit},
	} {
		old, now := limitText(limit.before, account.Currency), limitText(limit.after, account.Currency)
		if old != now {
			*limit.shownWas, *limit.shownNow, changed = &old, &now, true
		}
	}
	if string(fromJSONB(account.Metadata)) != string(fromJSONB(before.Metadata)) {
		is.Changed, changed = []string{"metadata"}, true
	}
	if changed {
		b.note("account.updated", "account", account.ID, object(was), object(is), audit.OK)
	}
}

func (b *book) noteClosed(before *Account, account *accountEntry) {
	if b.origin == nil {
		return
	}
	b.note("account.closed", "account", account.ID, object(terms{Status: before.Status}), object(terms{Status: account.Status}), audit.OK)
}

// limitText is a limit in its currency; "none" without one.
func limitText(limit decimal.NullDecimal, currency money.Currency) string {
	if !limit.Valid {
		return "none"
	}
	return money.Format(limit.Decimal, currency)
}

func object(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // cannot be: the types above are plain
	}
	return text
}
