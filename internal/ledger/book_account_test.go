package ledger

import (
	"errors"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

func TestOpenAccountBooksItsBalanceFromTheHouse(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	result := m.one(m.opening(OpenAccount{ID: "a", Balance: amountOf("12.5")}))
	a := result.Account
	if a == nil || a.Type != Checking || a.Currency != "USD" || a.Status != Active || !a.Posted.Equal(amountOf("12.5")) ||
		!a.OverdraftLimit.Valid || !a.OverdraftLimit.Decimal.IsZero() || string(a.Metadata) != "{}" || a.Version != 2 {
		t.Fatalf("%+v, %v", a, result.Err)
	}
	m.wantBalance("house:opening:USD", "-12.5", "0")
	opening := m.transfers["opening-of-a"]
	if opening.Kind != KindOpening || opening.Status != Completed || opening.SourceAccountID != "house:opening:USD" {
		t.Fatalf("%+v", opening)
	}
	// Without a balance nothing is booked, and a house account has no limit.
	result = m.one(m.opening(OpenAccount{ID: "fees", Type: Revenue, Currency: "EUR"}))
	if a := result.Account; a.OverdraftLimit.Valid || a.Version != 1 || a.Postings != 0 {
		t.Fatalf("%+v", a)
	}
	if _, opened := m.accounts["house:opening:EUR"]; opened {
		t.Fatal("an opening account was opened for nothing")
	}
}

func TestOpeningAccountIsOpenedOnceInABatch(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.wantCodes(m.do(
		m.opening(OpenAccount{ID: "a", Balance: amountOf("1")}),
		m.opening(OpenAccount{ID: "b", Balance: amountOf("2")}),
		m.transfer("t", "a", "b", "1"), // an account is usable in the batch that opens it
		m.opening(OpenAccount{ID: "c", Currency: "EUR", Balance: amountOf("3")}),
	), "", "", "", "")
	m.wantBalance("house:opening:USD", "-3", "0")
	m.wantBalance("house:opening:EUR", "-3", "0")
	m.wantBalance("b", "3", "0")
}

func TestOpenAccountTwiceIsRefusedUnlessItIsTheSameCall(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	first := m.opening(OpenAccount{ID: "a", IdempotencyKey: "k", Balance: amountOf("5")})
	other := m.opening(OpenAccount{ID: "a", IdempotencyKey: "other", Balance: amountOf("5")})
	results := m.do(first, other, first)
	m.wantCodes(results, "", AccountExists, "")
	m.wantCodes(m.do(first, other), "", AccountExists)
	m.wantBalance("a", "5", "0")
	// A closed account's id stays taken.
	m.wantCodes(m.do(m.opening(OpenAccount{ID: "b"}), &CloseAccount{ID: "b"}, m.opening(OpenAccount{ID: "b", IdempotencyKey: "x"})), "", "", AccountExists)
}

func TestFailedOpeningLeavesNoAccount(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"big": "999999999999999.99"})
	before := m.accounts["house:opening:USD"]
	units := []*unit{
		newUnit(m.opening(OpenAccount{ID: "a", Balance: amountOf("0.01")})),
		newUnit(m.transfer("t", "big", "a", "1")), // finds it gone
		newUnit(m.opening(OpenAccount{ID: "a", Balance: amountOf("0")})),
	}
	b := m.run(units...)
	m.wantCodes([]Result{units[0].results[0], units[1].results[0], units[2].results[0]}, BalanceLimitExceeded, AccountNotFound, "")
	after := m.accounts["house:opening:USD"]
	if after.Version != before.Version || after.Postings != before.Postings || !after.Posted.Equal(before.Posted) {
		t.Fatalf("the opening account is %+v; want %+v", after, before)
	}
	if len(b.changedAccounts) != 1 || b.changedAccounts[0].ID != "a" {
		t.Fatalf("to be written: %v", b.changedAccounts)
	}
	if _, recorded := m.transfers["opening-of-a"]; recorded {
		t.Fatal("the failed opening was recorded")
	}

	// Nobody can freeze it, but somebody may have, by hand in the database.
	house := m.accounts["house:opening:USD"]
	house.Status = Frozen
	m.accounts["house:opening:USD"] = house
	m.wantCodes(m.do(m.opening(OpenAccount{ID: "b", Balance: amountOf("1")})), AccountFrozen)
	if _, exists := m.accounts["b"]; exists {
		t.Fatal("account b stayed")
	}
}

func TestUpdateAccountChangesOnlyWhatIsNamed(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.one(m.opening(OpenAccount{ID: "a", Balance: amountOf("5"), Metadata: []byte(`{"keep":1,"drop":{"x":1},"deep":{"x":1,"y":2}}`)}))
	frozen, limit := Frozen, amountOf("7.5")
	for _, c := range []struct {
		name     string
		update   UpdateAccount
		status   AccountStatus
		limit    string
		metadata string
	}{
		{"nothing", UpdateAccount{}, Active, "0", `{"deep":{"x":1,"y":2},"drop":{"x":1},"keep":1}`},
		{"status", UpdateAccount{Status: &frozen}, Frozen, "0", `{"deep":{"x":1,"y":2},"drop":{"x":1},"keep":1}`},
		{"limit", UpdateAccount{OverdraftLimit: &limit}, Frozen, "7.5", `{"deep":{"x":1,"y":2},"drop":{"x":1},"keep":1}`},
		{"metadata", UpdateAccount{Metadata: []byte(`{"new":"<&>","drop":null,"deep":{"y":null,"z":{"gone":null,"in":[null]}},"absent":null,"keep":{"a":null}}`)},
			Frozen, "7.5", `{"deep":{"x":1,"z":{"in":[null]}},"keep":{},"new":"<&>"}`},
		{"null is no change", UpdateAccount{Metadata: []byte(`null`)}, Frozen, "7.5", `{"deep":{"x":1,"z":{"in":[null]}},"keep":{},"new":"<&>"}`},
	} {
		version := m.accounts["a"].Version
		c.update.ID = "a"
		result := m.one(m.update(c.update))
		m.wantCodes([]Result{result}, "")
		a := m.accounts["a"]
		if a.Status != c.status || !a.OverdraftLimit.Decimal.Equal(amountOf(c.limit)) || string(a.Metadata) != c.metadata || a.Version != version+1 {
			t.Fatalf("%s: %+v, metadata %s", c.name, a, a.Metadata)
		}
		m.wantBalance("a", "5", "0")
	}
}

func TestUpdateAccountRefusals(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0", "closed": "0"})
	m.wantCodes(m.do(m.opening(OpenAccount{ID: "yen", Currency: "JPY"})), "")
	m.setStatus("closed", Closed)
	m.setLimit("a", "20")
	m.wantCodes(m.do(m.transfer("t", "a", "b", "15"), m.hold("h", "a", "b", "5", nil)), "", "")
	m.wantCodes([]Result{m.setLimit("nobody", "1"), m.setLimit("closed", "1"), m.setLimit("a", "9.99"), m.setLimit("yen", "0.5"), m.setLimit("a", "10")},
		AccountNotFound, AccountClosed, OverdraftInUse, InvalidAmount, "")

	// A limit can be given to an account that has none, if it covers what is used.
	m.wantCodes(m.do(m.opening(OpenAccount{ID: "house", Type: Expense}), m.transfer("t2", "house", "b", "30")), "", "")
	m.wantCodes([]Result{m.setLimit("house", "29"), m.setLimit("house", "30")}, OverdraftInUse, "")
	m.wantCodes(m.do(m.transfer("t3", "house", "b", "0.01")), InsufficientFunds)

	for _, key := range []string{"b", "c", "d"} {
		patch := []byte(`{"` + key + `":"` + strings.Repeat("x", 4000) + `"}`)
		want := Code("")
		if key == "d" {
			want = "invalid_input"
		}
		m.wantCodes(m.do(m.update(UpdateAccount{ID: "b", Metadata: patch})), want)
	}
}

func TestFrozenAccountThawsAndReceivesAgain(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "10", "b": "0"})
	active, frozen := Active, Frozen
	m.wantCodes(m.do(
		m.update(UpdateAccount{ID: "b", Status: &frozen}), m.transfer("t1", "a", "b", "1"),
		m.update(UpdateAccount{ID: "b", Status: &active}), m.transfer("t2", "a", "b", "1"),
	), "", AccountFrozen, "", "")
}

func TestCloseAccountOnlyWhenEmpty(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.open(map[string]string{"a": "1", "b": "0", "c": "0"})
	m.wantCodes(m.do(&CloseAccount{ID: "a"}, &CloseAccount{ID: "nobody"}), AccountNotEmpty, AccountNotFound)
	m.setLimit("b", "5")
	m.wantCodes(m.do(m.hold("h", "b", "a", "5", nil)), "")
	m.wantCodes(m.do(&CloseAccount{ID: "b"}), AccountNotEmpty) // held, though nothing is posted
	m.wantCodes(m.do(m.void("h"), &CloseAccount{ID: "b"}), "", "")
	m.wantCodes(m.do(m.transfer("t", "a", "c", "1"), &CloseAccount{ID: "a"}), "", "")
	version := m.accounts["a"].Version
	result := m.one(&CloseAccount{ID: "a"})
	if result.Err != nil || result.Account.Status != Closed || m.accounts["a"].Version != version {
		t.Fatalf("closing again: %+v, %v", result.Account, result.Err)
	}
	m.setStatus("c", Frozen)
	m.wantCodes(m.do(&CloseAccount{ID: "c"}), AccountNotEmpty)
}

func TestLimitOfABalanceHoldsForEveryAmountKept(t *testing.T) {
	t.Parallel()
	const most = "999999999999999.99"
	m := newMemory(t)
	m.open(map[string]string{"a": "0", "b": "0"})
	m.wantCodes(m.do(m.opening(OpenAccount{ID: "house", Type: Asset})), "")
	m.setLimit("a", most)
	// DECIMAL(19,4) has no room for two of these, held or short.
	m.wantCodes(m.do(m.hold("h1", "house", "a", most, nil), m.hold("h2", "house", "a", most, nil)), "", BalanceLimitExceeded)
	m.wantCodes(m.do(m.transfer("in", "house", "a", most), m.hold("h3", "a", "b", most, nil), m.hold("h4", "a", "b", most, nil)), "", "", BalanceLimitExceeded)

	m.wantCodes(m.do(m.opening(OpenAccount{ID: "c"}), m.opening(OpenAccount{ID: "d", Type: Asset})), "", "")
	m.wantCodes(m.do(m.transfer("c1", "d", "c", most), m.transfer("c2", "c", "d", most), m.transfer("c3", "d", "c", most), m.hold("h5", "c", "d", most, nil)), "", "", "", "")
	m.wantCodes([]Result{m.one(m.reversal("r1", "c1", true)), m.one(m.reversal("r3", "c3", true))}, "", BalanceLimitExceeded)
	m.wantBalance("c", "0", most)
}

func TestEveryCurrencyKeepsItsDecimals(t *testing.T) {
	t.Parallel()
	for currency, decimals := range map[money.Currency]int32{"JPY": 0, "USD": 2, "BHD": 3, "CLF": 4} {
		m := newMemory(t)
		least := decimal.New(1, -decimals)
		m.wantCodes(m.do(m.opening(OpenAccount{ID: "a", Currency: currency, Balance: decimal.New(3, 0)}), m.opening(OpenAccount{ID: "b", Currency: currency})), "", "")
		m.wantCodes(m.do(m.transfer("t", "a", "b", least.String()), m.hold("h", "a", "b", least.String(), nil)), "", "")
		m.wantCodes(m.do(m.capture("c", "h", least.String())), "")
		m.wantBalance("b", least.Add(least).String(), "0")
		if decimals == money.MaxDecimals {
			continue
		}
		small := decimal.New(1, -decimals-1).String()
		m.wantCodes(m.do(m.transfer("u", "a", "b", small), m.hold("h2", "a", "b", small, nil), m.hold("h3", "a", "b", "1", nil)), "invalid_input", "invalid_input", "")
		m.wantCodes(m.do(m.capture("c2", "h3", small)), "invalid_input")
	}
}

// Without its opening account no account of a currency could be opened any more.
func TestTheLedgersOwnAccountsAreNotChanged(t *testing.T) {
	t.Parallel()
	m := newMemory(t)
	m.one(m.opening(OpenAccount{ID: "a", Balance: amountOf("5")}))
	frozen := Frozen
	before := m.state()
	m.wantCodes(m.do(
		m.update(UpdateAccount{ID: "house:opening:USD", Status: &frozen}),
		&CloseAccount{ID: "house:opening:USD"},
		&CloseAccount{ID: "house:none"},
	), AccountReserved, AccountReserved, AccountReserved)
	if after := m.state(); after != before {
		t.Fatalf("%s\nbecame\n%s", before, after)
	}
}

func TestALowerLimitIsNoRaise(t *testing.T) {
	t.Parallel()
	limit := func(text string) *decimal.NullDecimal {
		if text == "none" {
			return &decimal.NullDecimal{}
		}
		value := decimal.NewNullDecimal(decimal.RequireFromString(text))
		return &value
	}
	overdraft := func(text string) *decimal.Decimal { return &limit(text).Decimal }
	own := Account{OverdraftLimit: *limit("5"), DailyLimit: *limit("10")}
	for name, c := range map[string]struct {
		update UpdateAccount
		want   bool
	}{
		"nothing":                {UpdateAccount{}, false},
		"less credit":            {UpdateAccount{OverdraftLimit: overdraft("4.99")}, false},
		"the same credit":        {UpdateAccount{OverdraftLimit: overdraft("5")}, false},
		"more credit":            {UpdateAccount{OverdraftLimit: overdraft("5.01")}, true},
		"less a day":             {UpdateAccount{DailyLimit: limit("9")}, false},
		"more a day":             {UpdateAccount{DailyLimit: limit("11")}, true},
		"no limit a day":         {UpdateAccount{DailyLimit: limit("none")}, true},
		"no limit as before":     {UpdateAccount{TransferLimit: limit("none")}, false},
		"one in place of payers": {UpdateAccount{TransferLimit: limit("1")}, true},
		"one less, one more":     {UpdateAccount{OverdraftLimit: overdraft("6"), DailyLimit: limit("9")}, true},
	} {
		if got := c.update.raises(&own); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	m := newMemory(t)
	m.open(map[string]string{"a": "0"})
	result := m.one(m.update(UpdateAccount{ID: "a", OverdraftLimit: overdraft("1"), LowersOnly: true}))
	if !errors.Is(result.Err, ErrLimitRaised) || !m.accounts["a"].OverdraftLimit.Decimal.IsZero() {
		t.Errorf("%v", result.Err)
	}
}
