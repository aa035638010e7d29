package ledger

import "testing"

func TestAtomicGroupDoesAllOrNothing(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0", "c": "0"})
	before := map[string]accountEntry{"a": m.accounts["a"], "b": m.accounts["b"], "c": m.accounts["c"]}

	results := m.atomic(m.transfer("t1", "a", "b", "10"), m.transfer("t2", "b", "c", "10"), m.transfer("t3", "a", "c", "1"))
	m.wantCodes(results, BatchAborted, BatchAborted, InsufficientFunds)
	for id := range before {
		if m.accounts[id].Version != before[id].Version || !m.accounts[id].UpdatedAt.Equal(before[id].UpdatedAt) || len(m.postings[id]) != int(before[id].Postings) {
			t.Fatalf("account %s is %+v; want %+v", id, m.accounts[id], before[id])
		}
	}
	for _, r := range results {
		if stored := m.transfers[r.Transfer.ID]; r.Transfer.Status != Failed || stored.Status != Failed || stored.SourceSeq != 0 {
			t.Fatalf("got %+v, stored %+v", r.Transfer, stored)
		}
	}
	// The outcome is recorded: the same group again fails alike, though it could be paid now.
	m.wantCodes(m.do(m.transfer("fund", "a", "c", "5"), m.transfer("back", "c", "a", "5")), "", "")
	m.wantCodes(m.atomic(m.transfer("t1", "a", "b", "10"), m.transfer("t2", "b", "c", "10")), BatchAborted, BatchAborted)

	m.wantCodes(m.atomic(m.transfer("u1", "a", "b", "10"), m.transfer("u2", "b", "c", "10")), "", "")
	m.wantBalance("c", "10", "0")
}

func TestBrokenGroupLeavesItsNeighboursAlone(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0", "c": "0"})
	first, last := newUnit(m.transfer("first", "a", "b", "4")), newUnit(m.transfer("last", "b", "c", "4"))
	broken := newUnit(m.transfer("g1", "b", "c", "4"), m.transfer("g2", "a", "c", "6"), m.transfer("g3", "a", "c", "6"))
	good := newUnit(m.transfer("k1", "a", "c", "3"), m.transfer("k2", "c", "b", "1"))
	m.run(first, broken, good, last)
	m.wantCodes(broken.results, BatchAborted, BatchAborted, InsufficientFunds)
	m.wantCodes(good.results, "", "")
	m.wantCodes([]Result{first.results[0], last.results[0]}, "", "")
	m.wantBalance("a", "3", "0")
	m.wantBalance("b", "1", "0")
	m.wantBalance("c", "6", "0")
}

func TestGroupWithAnAcceptedTransfer(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	accepted := m.transfer("accepted", "a", "b", "4")
	m.one(acceptance{accepted})

	results := m.atomic(m.transfer("t1", "a", "b", "1"), m.transfer("accepted", "a", "b", "4"), m.transfer("t2", "a", "b", "100"))
	m.wantCodes(results, BatchAborted, BatchAborted, InsufficientFunds)
	if got := m.transfers["accepted"]; got.Status != Failed || results[1].Transfer == nil {
		t.Fatalf("answered as failed, it must not be executed later: %+v", got)
	}
	m.one(acceptance{m.transfer("poor", "a", "b", "50")})
	results = m.atomic(m.transfer("t3", "a", "b", "1"), m.transfer("poor", "a", "b", "50"))
	m.wantCodes(results, BatchAborted, InsufficientFunds)
	if got := m.transfers["poor"]; got.Status != Failed || got.Failure.Code != InsufficientFunds {
		t.Fatalf("%+v", got)
	}
	m.wantBalance("a", "10", "0")

	accepted = m.transfer("accepted-too", "a", "b", "4")
	m.one(acceptance{accepted})
	m.wantCodes(m.atomic(m.transfer("t4", "a", "b", "1"), accepted), "", "")
	m.wantCodes(m.do(accepted, acceptance{accepted}), "", "")
	m.wantBalance("b", "5", "0")
}

// Its rows are new and changed twice: undoing the group must not undo the
// acceptance, which then ends by the group's failure.
func TestGroupWithATransferAcceptedInTheSameBatch(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	broken := newUnit(m.transfer("t", "a", "b", "4"), m.transfer("t1", "a", "b", "100"))
	m.run(newUnit(acceptance{m.transfer("t", "a", "b", "4")}), broken)
	m.wantCodes(broken.results, BatchAborted, InsufficientFunds)
	if got := m.transfers["t"]; got.Status != Failed || got.Failure.Code != BatchAborted {
		t.Fatalf("the accepted transfer is %+v", got)
	}
	done := newUnit(m.transfer("u", "a", "b", "4"), m.transfer("u1", "a", "b", "1"))
	m.run(newUnit(acceptance{m.transfer("u", "a", "b", "4")}), done)
	m.wantCodes(done.results, "", "")
	m.wantBalance("b", "5", "0")
}

func TestGroupWithAReplay(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	m.one(m.transfer("done", "a", "b", "4"))
	m.one(m.transfer("refused", "a", "b", "100"))

	// What was done before stays done, whatever becomes of the group.
	results := m.atomic(m.transfer("t1", "a", "b", "1"), m.transfer("done", "a", "b", "4"), m.transfer("t2", "a", "b", "100"))
	m.wantCodes(results, BatchAborted, "", InsufficientFunds)
	m.wantBalance("b", "4", "0")
	m.wantCodes(m.atomic(m.transfer("t3", "a", "b", "1"), m.transfer("done", "a", "b", "4")), "", "")
	m.wantBalance("b", "5", "0")

	// What was refused before breaks the group, with its first reason.
	results = m.atomic(m.transfer("t4", "a", "b", "1"), m.transfer("refused", "a", "b", "100"))
	m.wantCodes(results, BatchAborted, InsufficientFunds)
	m.wantBalance("b", "5", "0")
}

func TestGroupWithOneIDTwice(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	m.wantCodes(m.atomic(m.transfer("t1", "a", "b", "1"), m.transfer("t1", "a", "b", "1")), "", "")
	m.wantBalance("b", "1", "0")
	m.wantCodes(m.atomic(m.transfer("t2", "a", "b", "1"), m.transfer("t2", "a", "b", "2")), BatchAborted, DuplicateTransaction)
	m.wantCodes(m.atomic(m.transfer("t3", "a", "b", "1"), m.transfer("t3", "a", "b", "1"), m.transfer("t4", "a", "b", "100")),
		BatchAborted, BatchAborted, InsufficientFunds)
	m.wantCodes(m.atomic(m.transfer("t5", "a", "b", "100"), m.transfer("t5", "a", "b", "100")), InsufficientFunds, InsufficientFunds)
	m.wantBalance("b", "1", "0")
}

func TestGroupWithAnIDOfAnotherRequest(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	m.one(m.transfer("taken", "a", "b", "2"))
	results := m.atomic(m.transfer("t1", "a", "b", "1"), m.transfer("taken", "a", "b", "3"))
	m.wantCodes(results, BatchAborted, DuplicateTransaction)
	if results[1].Transfer != nil || !m.transfers["taken"].Amount.Equal(amountOf("2")) {
		t.Fatalf("%+v, stored %+v", results[1].Transfer, m.transfers["taken"])
	}
	m.wantBalance("b", "2", "0")
}

func TestInvalidAmountBreaksAGroupByARule(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	m.wantCodes(m.atomic(m.transfer("t1", "a", "b", "1"), m.transfer("t2", "a", "b", "1.001")), BatchAborted, InvalidAmount)
	m.wantBalance("b", "0", "0")
}

func TestUndoneGroupGivesShortfallBack(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0", "c": "20"})
	m.one(m.transfer("t", "a", "b", "10"))
	m.one(m.transfer("gone", "b", "c", "10"))
	m.wantCodes(m.do(m.reversal("r", "t", true)), "")
	if got := m.accounts["b"].Shortfall; !got.Equal(amountOf("10")) {
		t.Fatal(got)
	}
	m.wantCodes(m.atomic(m.transfer("g1", "c", "b", "6"), m.transfer("g2", "c", "b", "100")), BatchAborted, InsufficientFunds)
	if got := m.accounts["b"].Shortfall; !got.Equal(amountOf("10")) {
		t.Fatalf("the shortfall is %s after the group was undone; want 10", got)
	}
}
