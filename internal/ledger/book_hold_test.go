package ledger

import (
	"testing"
	"time"
)

func TestHoldReservesForItsDestination(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	request := m.hold("h", "a", "b", "6", nil)
	result := m.one(request)
	if h := result.Hold; h == nil || h.Status != HoldPending || h.Currency != "USD" || !h.CapturedAmount.IsZero() {
		t.Fatalf("%+v, %v", h, result.Err)
	}
	m.wantBalance("a", "10", "6")
	m.wantBalance("b", "0", "0")
	// Again it is the same hold, as it is now; another one under the id is none.
	m.one(m.capture("c", "h", "2"))
	again := m.one(request)
	if again.Hold.Status != HoldCaptured || again.Hold.CaptureID != "c" {
		t.Fatalf("%+v", again.Hold)
	}
	m.wantCodes(m.do(m.hold("h", "a", "b", "5", nil)), DuplicateHold)
}

func TestHoldRefusesWhatATransferWouldAndLeavesNothing(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0", "frozen": "1"})
	m.one(m.opening(OpenAccount{ID: "euro", Currency: "EUR"}))
	m.one(m.opening(OpenAccount{ID: "closed"}))
	m.setStatus("frozen", Frozen)
	m.setStatus("closed", Closed)
	past := m.now
	for _, c := range []struct {
		from, to, amount string
		expires          *time.Time
		want             Code
	}{
		{"a", "a", "1", nil, SameAccount},
		{"nobody", "b", "1", nil, AccountNotFound},
		{"a", "nobody", "1", nil, AccountNotFound},
		{"frozen", "b", "1", nil, AccountFrozen},
		{"a", "frozen", "1", nil, AccountFrozen},
		{"closed", "b", "1", nil, AccountClosed},
		{"a", "closed", "1", nil, AccountClosed},
		{"a", "euro", "1", nil, CurrencyMismatch},
		{"a", "b", "0.001", nil, "invalid_input"},
		{"a", "b", "1", &past, "invalid_input"},
		{"a", "b", "10.01", nil, InsufficientFunds},
	} {
		before := m.state()
		m.wantCodes(m.do(m.hold("h", c.from, c.to, c.amount, c.expires)), c.want)
		if after := m.state(); after != before {
			t.Fatalf("%+v left %s; before: %s", c, after, before)
		}
	}
	m.wantCodes(m.do(m.hold("h", "a", "b", "10", nil)), "") // its id is still free
}

func TestCaptureMovesItsPartAndReleasesTheRest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ amount, left string }{{"", "4"}, {"6", "4"}, {"2.5", "7.5"}, {"0.01", "9.99"}} {
		m := newMemory(t)
		m.open(map[string]string{"a": "10", "b": "0"})
		m.one(m.hold("h", "a", "b", "6", nil))
		capture := m.capture("c", "h", c.amount)
		result := m.one(capture)
		if result.Err != nil || result.Transfer.Kind != KindCapture || result.Transfer.HoldID != "h" || result.Transfer.Status != Completed {
			t.Fatalf("%+v, %v", result.Transfer, result.Err)
		}
		m.wantBalance("a", c.left, "0")
		h := m.holds["h"]
		if h.Status != HoldCaptured || h.CaptureID != "c" || !h.CapturedAmount.Equal(result.Transfer.Amount) {
			t.Fatalf("%+v", h)
		}
		m.wantCodes(m.do(capture, m.capture("c2", "h", c.amount), m.void("h")), "", HoldNotPending, HoldNotPending)
		m.wantBalance("a", c.left, "0")
	}
}

func TestCaptureRefusalsAreRecordedAndKeepTheHold(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0", "full": "0"})
	m.wantCodes(m.do(m.opening(OpenAccount{ID: "house", Type: Asset}), m.transfer("taken", "a", "b", "1"), m.transfer("fill", "house", "full", "999999999999999.99")), "", "", "")
	m.wantCodes(m.do(m.hold("h", "a", "b", "6", nil), m.hold("h2", "a", "full", "1", nil)), "", "")
	m.wantCodes(m.do(m.capture("c1", "h", "6.01"), m.capture("taken", "h", "1"), m.capture("c2", "h2", "")),
		AmountExceedsHold, DuplicateTransaction, BalanceLimitExceeded)
	if got := m.transfers["c1"]; got.Status != Failed || got.HoldID != "h" {
		t.Fatalf("%+v", got)
	}
	m.setStatus("b", Frozen)
	m.wantCodes(m.do(m.capture("c3", "h", "1")), AccountFrozen)
	m.setStatus("b", Active)
	m.wantBalance("a", "9", "7")
	m.wantCodes(m.do(m.capture("c1", "h", "6.01")), AmountExceedsHold) // for ever
	m.wantCodes(m.do(m.capture("c4", "h", "1")), "")
	m.wantCodes(m.do(&Capture{ID: "c5", HoldID: "nothing", hash: []byte("x")}, &release{holdID: "nothing", to: HoldVoided}), HoldNotFound, HoldNotFound)
}

func TestVoidReleasesAll(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	m.wantCodes(m.do(m.hold("h", "a", "b", "6", nil)), "")
	m.setStatus("a", Frozen) // what is frozen may still be released
	results := m.do(m.void("h"), m.void("h"), m.capture("c", "h", ""))
	m.wantCodes(results, "", "", HoldNotPending)
	if results[1].Hold.Status != HoldVoided {
		t.Fatalf("%+v", results[1].Hold)
	}
	m.wantBalance("a", "10", "0")
}

func TestHoldEndsAtItsTime(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	at := m.now.Add(time.Second)
	request := m.hold("h", "a", "b", "6", &at)
	m.wantCodes(m.do(request, m.hold("h2", "a", "b", "1", &at)), "", "")

	m.now = at.Add(-2 * time.Millisecond)
	m.wantCodes(m.do(m.expiry("h")), "") // too early: nothing happens
	m.wantBalance("a", "10", "7")

	// From its time on it is neither captured nor voided, whether released yet or not.
	m.wantCodes(m.do(m.capture("c", "h", ""), m.void("h")), HoldExpired, HoldExpired)
	m.wantBalance("a", "10", "7")
	results := m.do(m.expiry("h"), m.expiry("h"), m.expiry("h2"))
	m.wantCodes(results, "", "", "")
	if m.holds["h"].Status != HoldLapsed || results[1].Hold.Status != HoldLapsed {
		t.Fatalf("%+v", m.holds["h"])
	}
	m.wantBalance("a", "10", "0")
	m.wantCodes(m.do(m.capture("c2", "h", ""), m.void("h")), HoldExpired, HoldExpired)
	// The request again is answered with what became of it, though its time is past.
	if again := m.one(request); again.Err != nil || again.Hold.Status != HoldLapsed {
		t.Fatalf("%+v, %v", again.Hold, again.Err)
	}
}

func TestExpiryComesTooLateForWhatHasEnded(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	at := m.now.Add(time.Second)
	m.wantCodes(m.do(m.hold("h1", "a", "b", "1", &at), m.hold("h2", "a", "b", "2", &at)), "", "")
	m.wantCodes(m.do(m.capture("c", "h1", ""), m.void("h2")), "", "")
	m.now = at
	m.wantCodes(m.do(m.expiry("h1"), m.expiry("h2")), "", "")
	if m.holds["h1"].Status != HoldCaptured || m.holds["h2"].Status != HoldVoided {
		t.Fatalf("%+v %+v", m.holds["h1"], m.holds["h2"])
	}
	m.wantBalance("a", "9", "0")
}

func TestHoldPlacedAndCapturedInOneBatch(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	capture := m.capture("c", "h", "4")
	capture.hold = Hold{ID: "h", SourceAccountID: "a", DestinationAccountID: "b"}
	m.wantCodes(m.do(m.hold("h", "a", "b", "6", nil), capture), "", "")
	m.wantBalance("a", "6", "0")
}
