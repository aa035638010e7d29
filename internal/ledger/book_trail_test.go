package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"florin/internal/audit"
)

// from is a unit that somebody asks for.
func from(actor string, commands ...command) *unit {
	u := newUnit(commands...)
	u.origin = &audit.Origin{ActorKind: "user", ActorID: actor}
	return u
}

// wantTrail compares "action target result" of each event.
func (m *memory) wantTrail(b *book, want ...string) {
	m.t.Helper()
	var got []string
	for _, e := range b.events {
		got = append(got, fmt.Sprintf("%s %s %s", e.Action, e.TargetID, e.Result))
		for _, state := range []json.RawMessage{e.Before, e.After} {
			if state != nil && !json.Valid(state) {
				m.t.Fatalf("%s: %s is not JSON", e.Action, state)
			}
		}
		if !e.At.Equal(b.now) {
			m.t.Fatalf("%s is of %s; want %s", e.Action, e.At, b.now)
		}
	}
	if !slices.Equal(got, want) {
		m.t.Fatalf("got %q; want %q", got, want)
	}
}

func TestTheTrailNamesEveryChange(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "100", "b": "0"})
	m.wantTrail(m.run(from("ann", m.opening(OpenAccount{ID: "c", Balance: amountOf("5")}))),
		"account.opened c ok", "transaction.completed opening-of-c ok")
	m.wantTrail(m.run(from("ann", m.opening(OpenAccount{ID: "e", Currency: "EUR", Balance: amountOf("5")}))),
		"account.opened house:opening:EUR ok", "account.opened e ok", "transaction.completed opening-of-e ok")
	m.wantTrail(m.run(
		from("ann", m.transfer("t1", "a", "b", "10")),
		from("bob", m.transfer("t2", "b", "a", "500")),
		from("bob", acceptance{m.transfer("t3", "a", "b", "1")}),
		from("bob", m.hold("h1", "a", "b", "5", nil)),
		from("bob", m.hold("h2", "a", "b", "5", nil)),
		from("bob", m.hold("h3", "a", "b", "5000", nil)), // leaves nothing
	), "transaction.completed t1 ok", "transaction.failed t2 insufficient_funds", "transaction.accepted t3 ok", "hold.placed h1 ok", "hold.placed h2 ok")
	m.wantTrail(m.run(from("ann", m.capture("c1", "h1", "3")), from("ann", m.void("h2")), from("ann", m.reversal("r1", "t1", true))),
		"hold.captured h1 ok", "transaction.completed c1 ok", "hold.voided h2 ok", "transaction.completed r1 ok", "transaction.reversed t1 ok")
	empty := m.opening(OpenAccount{ID: "d"})
	m.wantTrail(m.run(from("ann", empty), from("ann", &CloseAccount{ID: "d"})), "account.opened d ok", "account.closed d ok")
}

func TestTheTrailSaysNothingOfRepeatsAndOfTheLedgersOwnWork(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "100", "b": "0"})
	open := m.opening(OpenAccount{ID: "c"})
	all := func() []*unit {
		return []*unit{
			from("ann", open), from("ann", m.transfer("t1", "a", "b", "10")), from("ann", m.transfer("t2", "b", "a", "500")),
			from("ann", acceptance{m.transfer("t3", "a", "b", "1")}), from("ann", m.hold("h", "a", "b", "5", nil)),
		}
	}
	if b := m.run(all()...); len(b.events) != 5 {
		t.Fatalf("%+v", b.events)
	}
	m.wantTrail(m.run(all()...))
	m.wantTrail(m.run(from("ann", m.void("h"))), "hold.voided h ok")
	m.wantTrail(m.run(from("ann", m.void("h")), from("ann", m.transfer("t1", "a", "b", "11")))) // a duplicate is no change
	m.wantTrail(m.run(newUnit(m.transfer("t3", "a", "b", "1")), newUnit(m.hold("h2", "a", "b", "1", nil)), newUnit(m.opening(OpenAccount{ID: "d"}))))
}

func TestTheTrailOfAGroupIsThatOfWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "100", "b": "0"})
	group := func(second string) []command {
		commands := []command{m.transfer("g1"+second, "a", "b", "10"), m.transfer("g2"+second, "b", "a", second)}
		for _, c := range commands {
			c.(*TransferRequest).isOneOfMany = true
		}
		return commands
	}
	m.wantTrail(m.run(from("ann", m.transfer("before", "a", "b", "1")), from("ann", group("500")...), from("ann", m.transfer("after", "a", "b", "1"))),
		"transaction.completed before ok", "transaction.failed g1500 batch_aborted", "transaction.failed g2500 insufficient_funds", "transaction.completed after ok")
	m.wantTrail(m.run(from("ann", group("5")...)), "transaction.completed g15 ok", "transaction.completed g25 ok")
}

func TestTheTrailShowsTermsBeforeAndAfter(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "100", "b": "0"})
	update := func(u UpdateAccount) []audit.Event { return m.run(from("ann", m.update(u))).events }
	frozen, limit, none := Frozen, amountOf("20"), nullAmount("")
	daily := nullAmount("50")
	for _, c := range []struct {
		update        UpdateAccount
		before, after string
	}{
		{UpdateAccount{ID: "a", OverdraftLimit: &limit}, `{"overdraftLimit":"0.00"}`, `{"overdraftLimit":"20.00"}`},
		{UpdateAccount{ID: "a", DailyLimit: &daily}, `{"dailyLimit":"none"}`, `{"dailyLimit":"50.00"}`},
		{UpdateAccount{ID: "a", DailyLimit: &none, TransferLimit: &daily}, `{"transferLimit":"none","dailyLimit":"50.00"}`, `{"transferLimit":"50.00","dailyLimit":"none"}`},
		{UpdateAccount{ID: "a", Status: &frozen}, `{"status":"ACTIVE"}`, `{"status":"FROZEN"}`},
		{UpdateAccount{ID: "a", Metadata: json.RawMessage(`{"name":"Ann Other"}`)}, `{}`, `{"changed":["metadata"]}`},
	} {
		events := update(c.update)
		if len(events) != 1 || string(events[0].Before) != c.before || string(events[0].After) != c.after || events[0].Action != "account.updated" {
			t.Fatalf("%+v; want %s to %s", events, c.before, c.after)
		}
		if events := update(c.update); len(events) != 0 {
			t.Fatalf("the same again: %+v", events)
		}
	}
	transfer := m.transfer("t", "b", "a", "1")
	transfer.Description, transfer.Metadata = "for Ann", json.RawMessage(`{"who":"Ann"}`)
	events := m.run(from("ann", transfer)).events
	if want := `{"amount":"1","currency":"","source":"b","destination":"a"}`; len(events) != 1 || string(events[0].After) != want ||
		events[0].Origin.ActorID != "ann" || events[0].Result != string(AccountFrozen) {
		t.Fatalf("%+v", events)
	}
}
