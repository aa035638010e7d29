package ledger

import (
	"strings"
	"testing"
	"time"

	"florin/internal/money"
)

func TestTransferRefusesWhatARuleForbids(t *testing.T) {
	t.Parallel()
	// rich and poor are in USD; euro, yen in their currencies; full is at the limit.
	world := func(t *testing.T) *memory {
		m := newMemory(t)
		m.open(map[string]string{"rich": "100", "poor": "0", "frozen": "50", "full": "0"})
		m.one(m.opening(OpenAccount{ID: "closed"}))
		m.one(m.opening(OpenAccount{ID: "euro", Currency: "EUR", Balance: amountOf("50")}))
		m.one(m.opening(OpenAccount{ID: "yen", Currency: "JPY", Balance: amountOf("50")}))
		m.one(m.opening(OpenAccount{ID: "yen2", Currency: "JPY"}))
		m.one(m.opening(OpenAccount{ID: "dinar", Currency: "BHD", Balance: amountOf("1.234")}))
		m.one(m.opening(OpenAccount{ID: "dinar2", Currency: "BHD"}))
		m.one(m.opening(OpenAccount{ID: "house", Type: Asset}))
		m.one(m.opening(OpenAccount{ID: "debt", Type: Asset}))
		m.one(m.transfer("borrowed", "debt", "house", "999999999999999.99"))
		m.wantCodes(m.do(m.transfer("filled", "house", "full", "999999999999999.99"), m.transfer("more", "rich", "house", "1"), m.transfer("back", "house", "rich", "1")), "", "", "")
		m.setStatus("frozen", Frozen)
		m.setStatus("closed", Closed)
		return m
	}
	for _, c := range []struct {
		name, from, to, amount string
		currency               money.Currency
		want                   Code
	}{
		{"all that is available", "rich", "poor", "100", "", ""},
		{"one cent too much", "rich", "poor", "100.01", "", InsufficientFunds},
		{"currency named", "rich", "poor", "1", "USD", ""},
		{"currency of neither", "rich", "poor", "1", "EUR", CurrencyMismatch},
		{"accounts of two currencies", "rich", "euro", "1", "", CurrencyMismatch},
		{"accounts of two currencies, the source's named", "rich", "euro", "1", "USD", CurrencyMismatch},
		{"one account", "rich", "rich", "1", "", SameAccount},
		{"no source", "nobody", "rich", "1", "", AccountNotFound},
		{"no destination", "rich", "nobody", "1", "", AccountNotFound},
		{"source frozen", "frozen", "rich", "1", "", AccountFrozen},
		{"destination frozen", "rich", "frozen", "1", "", AccountFrozen},
		{"source closed", "closed", "rich", "1", "", AccountClosed},
		{"destination closed", "rich", "closed", "1", "", AccountClosed},
		{"destination full", "rich", "full", "0.01", "", BalanceLimitExceeded},
		{"source at its lowest", "debt", "rich", "0.01", "", BalanceLimitExceeded},
		{"house goes below zero without limit", "house", "poor", "999999999999999.99", "", ""},
		{"house pays nobody who is full", "house", "full", "1", "", BalanceLimitExceeded},
		{"no decimals in yen", "yen", "yen2", "1", "", ""},
		{"decimals that yen does not have", "yen", "yen2", "1.5", "", "invalid_input"},
		{"zeros at the end are no decimals", "yen", "yen2", "1.0000", "", ""},
		{"three decimals in dinar", "dinar", "dinar2", "1.234", "", ""},
		{"four decimals in dinar", "dinar", "dinar2", "0.0001", "", "invalid_input"},
		// Several reasons at once: the first of this order is told.
		{"one account before not found", "nobody", "nobody", "1", "", SameAccount},
		{"not found before frozen", "frozen", "nobody", "1", "", AccountNotFound},
		{"source before destination", "frozen", "closed", "1", "", AccountFrozen},
		{"frozen before currency", "frozen", "euro", "1", "", AccountFrozen},
		{"currency before decimals", "rich", "yen", "1.001", "", CurrencyMismatch},
		{"decimals before funds", "poor", "rich", "1.001", "", "invalid_input"},
		{"funds before limit", "poor", "full", "1", "", InsufficientFunds},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := world(t)
			before := [2]accountEntry{m.accounts[c.from], m.accounts[c.to]}
			request := m.request(TransferRequest{ID: "t", SourceAccountID: c.from, DestinationAccountID: c.to, Amount: amountOf(c.amount), Currency: c.currency})
			result := m.one(request)
			m.wantCodes([]Result{result}, c.want)
			stored, recorded := m.transfers["t"]
			switch c.want {
			case "":
				if result.Transfer.Status != Completed || stored.Status != Completed || result.Transfer.Currency != before[0].Currency {
					t.Fatalf("got %+v, stored %+v", result.Transfer, stored)
				}
			case "invalid_input":
				if recorded {
					t.Fatalf("%+v was recorded", stored)
				}
			default:
				if stored.Status != Failed || stored.Failure.Code != c.want || result.Transfer.Status != Failed {
					t.Fatalf("recorded %+v, got %+v", stored, result.Transfer)
				}
			}
			if after := [2]accountEntry{m.accounts[c.from], m.accounts[c.to]}; c.want != "" && (after[0].Version != before[0].Version || after[1].Version != before[1].Version) {
				t.Fatalf("a refused transfer changed %+v to %+v", before, after)
			}
			again := m.one(request)
			if codeOf(again) != c.want || c.want != "invalid_input" && !again.Transfer.FinishedAt.Equal(*result.Transfer.FinishedAt) {
				t.Fatalf("again: %+v; want %+v", again, result)
			}
		})
	}
}

func TestHeldMoneyIsNotAvailable(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "100", "b": "0"})
	m.wantCodes(m.do(
		m.hold("h", "a", "b", "60", nil),
		m.transfer("t1", "a", "b", "40.01"),
		m.transfer("t2", "a", "b", "40"),
		m.hold("h2", "a", "b", "0.01", nil),
	), "", InsufficientFunds, "", InsufficientFunds)
	m.wantBalance("a", "60", "60")
}

func TestOverdraftLimitIsAvailable(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	m.setLimit("a", "5")
	m.wantCodes(m.do(m.transfer("t1", "a", "b", "15.01"), m.transfer("t2", "a", "b", "15")), InsufficientFunds, "")
	m.wantBalance("a", "-5", "0")
}

func TestTransfersOfABatchSeeEachOther(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0", "c": "0"})
	m.wantCodes(m.do(
		m.transfer("t1", "b", "c", "10"), // not yet
		m.transfer("t2", "a", "b", "10"),
		m.transfer("t3", "b", "c", "10"),
		m.transfer("t4", "a", "b", "10"), // no more
	), InsufficientFunds, "", "", InsufficientFunds)
	m.wantBalance("c", "10", "0")
}

func TestSameIDWithOtherContentIsADuplicate(t *testing.T) {
	t.Parallel()
	at := epoch
	for name, change := range map[string]func(*TransferRequest){
		"source":      func(r *TransferRequest) { r.SourceAccountID = "c" },
		"destination": func(r *TransferRequest) { r.DestinationAccountID = "c" },
		"amount":      func(r *TransferRequest) { r.Amount = amountOf("1.01") },
		"currency":    func(r *TransferRequest) { r.Currency = "USD" },
		"time":        func(r *TransferRequest) { r.EffectiveAt = &at },
		"description": func(r *TransferRequest) { r.Description = "x" },
		"metadata":    func(r *TransferRequest) { r.Metadata = []byte(`{"a":1}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMemory(t)
			m.open(map[string]string{"a": "10", "b": "0", "c": "10"})
			first := TransferRequest{ID: "t", SourceAccountID: "a", DestinationAccountID: "b", Amount: amountOf("1")}
			other := first
			change(&other)
			// Within one batch, against the stored one, and on the way to being accepted.
			results := m.do(m.request(first), m.request(other), m.request(first), acceptance{m.request(other)})
			m.wantCodes(results, "", DuplicateTransaction, "", DuplicateTransaction)
			if results[1].Transfer != nil {
				t.Fatalf("a duplicate was recorded as %+v", results[1].Transfer)
			}
			m.wantCodes(m.do(m.request(other)), DuplicateTransaction)
			m.wantBalance("b", "1", "0")
		})
	}
}

func TestSameRequestWrittenOtherwiseIsNoDuplicate(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	at, sameAt := epoch.Add(123*time.Nanosecond), epoch.In(time.FixedZone("", 3600))
	m.wantCodes(m.do(
		m.request(TransferRequest{ID: "t", SourceAccountID: "a", DestinationAccountID: "b", Amount: amountOf("1"), EffectiveAt: &at, Metadata: []byte(`{"x": 1, "y": null}`)}),
		m.request(TransferRequest{ID: "t", SourceAccountID: "a", DestinationAccountID: "b", Amount: amountOf("1.00"), EffectiveAt: &sameAt, Metadata: []byte(`{"y":null,"x":1}`)}),
	), "", "")
	m.wantBalance("b", "1", "0")
}

func TestAFailureIsTheOutcomeForEver(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "0", "b": "10"})
	m.wantCodes(m.do(m.transfer("t", "a", "b", "1")), InsufficientFunds)
	m.wantCodes(m.do(m.transfer("fund", "b", "a", "10")), "")
	m.wantCodes(m.do(m.transfer("t", "a", "b", "1")), InsufficientFunds)
	m.wantBalance("a", "10", "0")
}

func TestAcceptedTransferIsExecutedLater(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	ok, poor, yen := m.transfer("ok", "a", "b", "10"), m.transfer("poor", "a", "b", "10"), m.transfer("yen", "a", "b", "0.001")
	accepted := m.one(acceptance{ok})
	if accepted.Transfer.Status != Pending || accepted.Transfer.FinishedAt != nil {
		t.Fatalf("%+v", accepted.Transfer)
	}
	m.wantCodes(m.do(acceptance{poor}, acceptance{yen}, acceptance{m.transfer("nobody", "x", "y", "1")}), "", "", "")
	m.wantBalance("a", "10", "0")
	m.wantCodes(m.do(ok, poor, yen, m.transfer("nobody", "x", "y", "1")), "", InsufficientFunds, InvalidAmount, AccountNotFound)
	if got := m.transfers["ok"]; got.Status != Completed || !got.CreatedAt.Equal(accepted.Transfer.CreatedAt) || !got.FinishedAt.After(got.CreatedAt) {
		t.Fatalf("%+v", got)
	}
	// Accepting and executing again find it done.
	again := m.do(acceptance{ok}, ok, acceptance{poor})
	m.wantCodes(again, "", "", "")
	if again[0].Transfer.Status != Completed || again[2].Transfer.Status != Failed {
		t.Fatalf("%+v %+v", again[0].Transfer, again[2].Transfer)
	}
	m.wantBalance("b", "10", "0")
}

// The database refuses one id twice in one statement, so the book must not ask
// for it.
func TestAcceptedAndExecutedInOneBatchIsWrittenOnce(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	r := m.transfer("t", "a", "b", "10")
	results := m.do(acceptance{r}, acceptance{r}, r, r, acceptance{r})
	m.wantCodes(results, "", "", "", "", "")
	m.wantBalance("b", "10", "0")
	if m.transfers["t"].Status != Completed {
		t.Fatalf("%+v", m.transfers["t"])
	}
}

func TestPostingTimesNeverGoBack(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	m.one(m.transfer("t1", "a", "b", "1"))
	last := m.accounts["b"].UpdatedAt
	m.now = m.now.Add(-time.Hour) // another replica's clock
	result := m.one(m.transfer("t2", "a", "b", "1"))
	if !result.Transfer.FinishedAt.Equal(last) || !result.Transfer.CreatedAt.Before(last) {
		t.Fatalf("created %s, finished %s; the posting before it is of %s", result.Transfer.CreatedAt, result.Transfer.FinishedAt, last)
	}
	// Both legs bear the later of their accounts' times.
	m.one(m.opening(OpenAccount{ID: "c"}))
	result = m.one(m.transfer("t3", "c", "b", "1"))
	m.wantCodes([]Result{result}, InsufficientFunds)
	result = m.one(m.transfer("t4", "b", "c", "1"))
	if !result.Transfer.FinishedAt.Equal(last) || !m.accounts["c"].UpdatedAt.Equal(last) {
		t.Fatalf("%+v; want %s", result.Transfer, last)
	}
	m.wantCodes(m.do(m.hold("h", "b", "c", "1", nil)), "")
	if got := m.accounts["b"].UpdatedAt; got.Before(last) {
		t.Fatalf("a hold took the account's time back to %s", got)
	}
}

func TestFailureSaysWhatPeopleNeedToKnow(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "1.5", "b": "0"})
	err := m.one(m.transfer("t", "a", "b", "2")).Err
	if !strings.Contains(err.Error(), "account a has 1.50 available, less than 2.00") {
		t.Fatal(err)
	}
}
