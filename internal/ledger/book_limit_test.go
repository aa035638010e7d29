package ledger

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// limits of whoever asks; "" for none.
func roleLimits(perTransfer, daily string) *Limits {
	return &Limits{PerTransfer: nullAmount(perTransfer), Daily: nullAmount(daily)}
}

func nullAmount(text string) decimal.NullDecimal {
	if text == "" {
		return decimal.NullDecimal{}
	}
	return decimal.NewNullDecimal(amountOf(text))
}

func (m *memory) limited(r *TransferRequest, l *Limits) *TransferRequest {
	r.Limits = l
	return r
}

func (m *memory) limitedHold(r *HoldRequest, l *Limits) *HoldRequest {
	r.Limits = l
	return r
}

func (m *memory) ownLimits(id, perTransfer, daily string) Result {
	m.t.Helper()
	single, whole := nullAmount(perTransfer), nullAmount(daily)
	return m.one(m.update(UpdateAccount{ID: id, TransferLimit: &single, DailyLimit: &whole}))
}

func (m *memory) wantSpentToday(id, want string) {
	m.t.Helper()
	account := m.accounts[id].Account
	if got := account.SpentOn(m.now); !got.Equal(amountOf(want)) {
		m.t.Fatalf("account %s has spent %s; want %s", id, got, want)
	}
}

func TestLimitsBoundWhatIsPaid(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "1000", "b": "0"})
	l := roleLimits("50", "80")
	m.wantCodes(m.do(
		m.limited(m.transfer("t1", "a", "b", "50.01"), l),
		m.limited(m.transfer("t2", "a", "b", "50"), l), // exactly
		m.limited(m.transfer("t3", "a", "b", "30.01"), l),
		m.limited(m.transfer("t4", "a", "b", "30"), l), // all of the day
		m.limited(m.transfer("t5", "a", "b", "0.01"), l),
		m.transfer("t6", "a", "b", "500"), // nobody's limit
	), TransferLimitExceeded, "", DailyLimitExceeded, "", DailyLimitExceeded, "")
	m.wantBalance("a", "420", "0")
	m.wantSpentToday("a", "580")
	// A refusal is recorded, and is the answer for ever.
	if stored := m.transfers["t3"]; stored.Status != Failed || stored.Failure.Code != DailyLimitExceeded {
		t.Fatalf("recorded %+v", stored)
	}
	m.now = m.now.Add(24 * time.Hour)
	m.wantCodes(m.do(m.limited(m.transfer("t3", "a", "b", "30.01"), l)), DailyLimitExceeded)
	// The other account has paid nothing.
	m.wantCodes(m.do(m.limited(m.transfer("t7", "b", "a", "50"), l)), "")
}

func TestEachDayOfUTCBeginsAnew(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "1000", "b": "0"})
	l := roleLimits("", "10")
	m.now = time.Date(2026, 3, 1, 23, 59, 59, 997_000_000, time.UTC)
	m.wantCodes(m.do(m.limited(m.transfer("t1", "a", "b", "10"), l)), "") // .998
	m.wantCodes(m.do(m.limited(m.transfer("t2", "a", "b", "1"), l)), DailyLimitExceeded)
	m.wantCodes(m.do(m.limited(m.transfer("t3", "a", "b", "10"), l)), "") // midnight
	m.wantCodes(m.do(m.limited(m.transfer("t4", "a", "b", "1"), l)), DailyLimitExceeded)
	// A replica whose clock is behind does not get yesterday's limit.
	m.now = m.now.Add(-time.Second)
	m.wantCodes(m.do(m.limited(m.transfer("t5", "a", "b", "1"), l)), DailyLimitExceeded)
}

func TestAnAccountsOwnLimitReplacesTheRoles(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "1000", "b": "0"})
	role := roleLimits("10", "20")
	m.wantCodes([]Result{m.ownLimits("a", "100", "")}, "") // more than the role's, and none a day
	m.wantCodes(m.do(
		m.limited(m.transfer("t1", "a", "b", "20"), role),
		m.limited(m.transfer("t2", "a", "b", "0.01"), role),
		m.transfer("t3", "a", "b", "100.01"), // whoever asks
	), "", DailyLimitExceeded, TransferLimitExceeded)
	m.wantCodes([]Result{m.ownLimits("a", "", "21")}, "")
	m.wantCodes(m.do(
		m.limited(m.transfer("t4", "a", "b", "10.01"), role), // the role's again
		m.limited(m.transfer("t5", "a", "b", "1"), role),
		m.transfer("t6", "a", "b", "0.01"),
	), TransferLimitExceeded, "", DailyLimitExceeded)
	// Zero is a limit.
	m.wantCodes([]Result{m.ownLimits("a", "", "0")}, "")
	m.now = m.now.Add(24 * time.Hour)
	m.wantCodes(m.do(m.transfer("t7", "a", "b", "0.01")), DailyLimitExceeded)
	// Nil leaves them as they are.
	m.setLimit("a", "5")
	if a := m.accounts["a"]; !a.DailyLimit.Valid || a.TransferLimit.Valid {
		t.Fatalf("%+v", a)
	}
}

func TestALimitSetOnTheDayCountsWhatWasPaidBefore(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "1000", "b": "0"})
	m.wantCodes(m.do(m.transfer("t1", "a", "b", "70"), m.hold("h", "a", "b", "20", nil)), "", "")
	m.ownLimits("a", "", "100")
	m.wantCodes(m.do(m.transfer("t2", "a", "b", "10.01"), m.transfer("t3", "a", "b", "10")), DailyLimitExceeded, "")
	// Set below what was paid, nothing more goes today.
	m.ownLimits("a", "", "50")
	m.wantCodes(m.do(m.transfer("t4", "a", "b", "0.01")), DailyLimitExceeded)
}

func TestHoldsCountWhenTheyArePlaced(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "1000", "b": "0"})
	l := roleLimits("60", "100")
	before := m.state()
	m.wantCodes(m.do(m.limitedHold(m.hold("h0", "a", "b", "60.01", nil), l)), TransferLimitExceeded)
	if m.state() != before {
		t.Fatal("a refused hold left something behind")
	}
	m.wantCodes(m.do(
		m.limitedHold(m.hold("h1", "a", "b", "60", nil), l),
		m.limitedHold(m.hold("h2", "a", "b", "40.01", nil), l),
		m.limitedHold(m.hold("h2", "a", "b", "40", nil), l),
		m.limited(m.transfer("t1", "a", "b", "0.01"), l),
	), "", DailyLimitExceeded, "", DailyLimitExceeded)
	// Captured in part it gives back the rest, voided all; captured whole nothing.
	m.wantCodes(m.do(m.capture("c1", "h1", "45")), "")
	m.wantSpentToday("a", "85")
	m.wantCodes(m.do(m.void("h2"), m.void("h2")), "", "")
	m.wantSpentToday("a", "45")
	m.wantCodes(m.do(m.limitedHold(m.hold("h3", "a", "b", "55", nil), l), m.capture("c3", "h3", "")), "", "")
	m.wantSpentToday("a", "100")
	// A reversal gives nothing back: the money was paid.
	m.wantCodes(m.do(m.reversal("r1", "c1", false)), "")
	m.wantSpentToday("a", "100")
}

func TestAHoldThatEndsOnALaterDayGivesNothingBack(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "1000", "b": "0"})
	tomorrow := m.now.Add(24 * time.Hour)
	m.wantCodes(m.do(
		m.hold("void", "a", "b", "100", nil), m.hold("capture", "a", "b", "100", nil), m.hold("lapse", "a", "b", "100", &tomorrow),
	), "", "", "")
	m.now = tomorrow
	l := roleLimits("", "10")
	m.wantCodes(m.do(m.limited(m.transfer("t1", "a", "b", "10"), l)), "")
	m.wantCodes(m.do(m.void("void"), m.capture("c", "capture", "1"), m.expiry("lapse")), "", "", "")
	m.wantSpentToday("a", "10")
	m.wantCodes(m.do(m.limited(m.transfer("t2", "a", "b", "0.01"), l)), DailyLimitExceeded)
}

func TestTheHouseHasNoLimits(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10"})
	m.one(m.opening(OpenAccount{ID: "fees", Type: Revenue}))
	m.wantCodes(m.do(m.limited(m.transfer("t", "fees", "a", "5"), roleLimits("1", "1"))), "")
	if fees := m.accounts["fees"]; !fees.Spent.IsZero() || !fees.SpentSince.IsZero() {
		t.Fatalf("%+v", fees)
	}
	m.wantCodes([]Result{m.ownLimits("fees", "1", ""), m.ownLimits("fees", "", "1"), m.ownLimits("fees", "", "")}, "invalid_input", "invalid_input", "")
}

func TestOpeningsAndReversalsDoNotCount(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "100", "b": "0"})
	m.ownLimits("b", "0", "0")
	m.wantCodes(m.do(m.transfer("t", "a", "b", "40")), "")
	m.wantCodes(m.do(m.reversal("r", "t", false)), "") // out of b, whose limits are 0
	m.wantSpentToday("b", "0")
	m.wantSpentToday("a", "40")
}

func TestAGroupTakenBackGivesBackWhatItCounted(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "100", "b": "0"})
	l := roleLimits("", "50")
	m.wantCodes(m.atomic(
		m.limited(m.transfer("g1", "a", "b", "30"), l), m.limited(m.transfer("g2", "a", "b", "20.01"), l),
	), BatchAborted, DailyLimitExceeded)
	m.wantSpentToday("a", "0")
	m.wantCodes(m.atomic(
		m.limited(m.transfer("g3", "a", "b", "30"), l), m.limited(m.transfer("g4", "a", "b", "20"), l),
	), "", "")
	m.wantSpentToday("a", "50")
}

func TestLimitsAreCheckedForWhatTheyAre(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.one(m.opening(OpenAccount{ID: "yen", Currency: "JPY"}))
	m.wantCodes([]Result{m.ownLimits("yen", "0.5", ""), m.ownLimits("yen", "", "0.5"), m.ownLimits("yen", "5", "5.0")}, InvalidAmount, InvalidAmount, "")
	for _, limit := range []decimal.Decimal{amountOf("-0.01"), amountOf("1000000000000000"), amountOf("0.00001")} {
		null := decimal.NewNullDecimal(limit)
		for _, u := range []UpdateAccount{{ID: "yen", TransferLimit: &null}, {ID: "yen", DailyLimit: &null}} {
			if err := u.validate(); err == nil {
				t.Errorf("a limit of %s is accepted", limit)
			}
		}
	}
}

// Money can come and go many times a day: what was spent may be more than any
// balance holds.
func TestSpentMayExceedAnyBalance(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "999999999999999.99", "b": "0"})
	for _, i := range []string{"1", "2", "3"} {
		m.wantCodes(m.do(
			m.transfer("there"+i, "a", "b", "999999999999999.99"), m.transfer("back"+i, "b", "a", "999999999999999.99"),
		), "", "")
	}
	m.wantSpentToday("a", "2999999999999999.97")
}

// A hold placed by a version that did not count is given back all the same, when its
// time is not before what was counted: it must not make room for more.
func TestWhatIsGivenBackLeavesNoLessThanNothing(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a := Account{ID: "a", Type: Wallet, Currency: "USD", SpentSince: at, Spent: amountOf("5")}
	a.giveBack(amountOf("8"), at)
	if got := a.SpentOn(at); !got.IsZero() {
		t.Errorf("spent %s; want 0", got)
	}
	if refused := a.overLimit(amountOf("10.01"), roleLimits("", "10"), at); refused == nil {
		t.Error("more than the limit is left")
	}
}
