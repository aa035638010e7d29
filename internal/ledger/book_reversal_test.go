package ledger

import "testing"

func TestReversalMovesTheAmountBackOnce(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	m.one(m.transfer("t", "a", "b", "4"))
	reversal := m.reversal("r", "t", false)
	results := m.do(reversal, reversal, m.reversal("r2", "t", false), m.reversal("r3", "t", true))
	m.wantCodes(results, "", "", AlreadyReversed, AlreadyReversed)
	r := results[0].Transfer
	if r.Kind != KindReversal || r.ReversesID != "t" || r.SourceAccountID != "b" || r.DestinationAccountID != "a" || !r.Amount.Equal(amountOf("4")) {
		t.Fatalf("%+v", r)
	}
	m.wantBalance("a", "10", "0")
	m.wantCodes(m.do(reversal, m.reversal("r4", "t", false)), "", AlreadyReversed)
	if got := m.transfers["r2"]; got.Status != Failed || got.ReversesID != "t" {
		t.Fatalf("%+v", got)
	}
}

func TestReversalRefusals(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0", "c": "0"})
	m.wantCodes(m.do(m.transfer("t", "a", "b", "4"), m.transfer("failed", "b", "a", "100"), acceptance{m.transfer("pending", "a", "b", "1")}, m.transfer("spent", "b", "c", "1")),
		"", InsufficientFunds, "", "")
	m.wantCodes(m.do(
		m.reversal("r1", "nothing", false),
		m.reversal("r2", "failed", true),
		m.reversal("r3", "pending", false),
		m.reversal("r4", "t", false), // the money is gone
		m.reversal("t", "t", false),
		m.reversal("spent", "t", false),
	), TransactionNotFound, TransactionNotCompleted, TransactionNotCompleted, InsufficientFunds, DuplicateTransaction, DuplicateTransaction)
	if _, recorded := m.transfers["r1"]; recorded {
		t.Fatal("a reversal of nothing was recorded")
	}
	// A refused reversal does not stand in the way of another one.
	m.one(m.transfer("back", "c", "b", "1"))
	m.wantCodes(m.do(m.reversal("r4", "t", false), m.reversal("r5", "t", false)), InsufficientFunds, "")
}

func TestReversalOfAReversalRestoresTheTransfer(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	m.one(m.transfer("t", "a", "b", "4"))
	m.wantCodes(m.do(m.reversal("r", "t", false)), "")
	m.wantCodes(m.do(m.reversal("rr", "r", false), m.reversal("r2", "t", false)), "", AlreadyReversed)
	m.wantBalance("b", "4", "0")
}

func TestReversalOfACaptureAndOfAnOpening(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	m.one(m.hold("h", "a", "b", "4", nil))
	m.one(m.capture("c", "h", ""))
	m.wantCodes(m.do(m.reversal("r", "c", false), m.reversal("r2", "opening-of-a", false)), "", "")
	m.wantBalance("a", "0", "0")
	m.wantBalance("house:opening:USD", "0", "0")
}

func TestForcedReversalGoesBelowZeroAndTheShortfallShrinks(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0", "c": "0"})
	wantShortfall := func(want string) {
		t.Helper()
		if got := m.accounts["b"].Shortfall; !got.Equal(amountOf(want)) {
			t.Fatalf("the shortfall is %s; want %s", got, want)
		}
	}
	m.wantCodes(m.do(m.transfer("t", "a", "b", "10"), m.transfer("spent", "b", "c", "8")), "", "")
	m.wantCodes(m.do(m.reversal("r0", "t", false), m.reversal("r", "t", true)), InsufficientFunds, "")
	m.wantBalance("b", "-8", "0")
	wantShortfall("8")
	m.wantCodes(m.do(m.transfer("x", "b", "a", "0.01"), m.hold("h", "b", "a", "0.01", nil)), InsufficientFunds, InsufficientFunds)

	m.wantCodes(m.do(m.transfer("in1", "a", "b", "3")), "")
	wantShortfall("5")
	m.wantCodes([]Result{m.setLimit("b", "2")}, "") // a limit covers a part
	wantShortfall("3")
	m.wantCodes([]Result{m.setLimit("b", "1"), m.setLimit("b", "2")}, OverdraftInUse, "")
	m.wantCodes(m.do(m.transfer("in2", "a", "b", "4")), "") // now 1 is available
	wantShortfall("0")
	m.wantCodes(m.do(m.transfer("y", "b", "a", "1.01"), m.transfer("z", "b", "a", "1")), InsufficientFunds, "")
	m.wantBalance("b", "-2", "0")
	wantShortfall("0")
}

func TestForcedReversalKeepsWhatIsHeld(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	m.wantCodes(m.do(m.transfer("t", "a", "b", "10"), m.hold("h", "b", "a", "7", nil)), "", "")
	m.wantCodes(m.do(m.reversal("r", "t", true)), "")
	m.wantBalance("b", "0", "7")
	if got := m.accounts["b"].Shortfall; !got.Equal(amountOf("7")) {
		t.Fatal(got)
	}
	// A capture draws on its hold, promised before; a part of it shrinks the shortfall.
	m.wantCodes(m.do(m.capture("c", "h", "5")), "")
	m.wantBalance("b", "-5", "0")
	if got := m.accounts["b"].Shortfall; !got.Equal(amountOf("5")) {
		t.Fatal(got)
	}
}

func TestForcedReversalStillObeysStatusAndLimit(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	m.one(m.transfer("t", "a", "b", "10"))
	m.setStatus("b", Frozen)
	m.wantCodes(m.do(m.reversal("r", "t", true)), AccountFrozen)
	m.setStatus("b", Active)
	m.setStatus("a", Closed)
	m.wantCodes(m.do(m.reversal("r2", "t", true)), AccountClosed)
}
