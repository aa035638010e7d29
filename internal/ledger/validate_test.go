package ledger

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestMetadataHasOneForm(t *testing.T) {
	t.Parallel()
	nested := func(n int) string {
		return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	for given, want := range map[string]string{
		``:                          ``,
		`null`:                      ``,
		` { } `:                     `{}`,
		`{"b":1,"a":{"d":1,"c":2}}`: `{"a":{"c":2,"d":1},"b":1}`,
		`{"a":1.50}`:                `{"a":1.50}`,
		`{"a":1e2}`:                 `{"a":100}`,
		`{"a":-1.5E+3}`:             `{"a":-1500}`,
		`{"a":1.50e-3}`:             `{"a":0.00150}`,
		`{"a":[-0,-0.0,0e5]}`:       `{"a":[0,0.0,0]}`,
		`{"a":"<&>"}`:               `{"a":"<&>"}`,
		`{"a":1,"a":2}`:             `{"a":2}`,
		nested(4000):                nested(4000),
	} {
		var f fields
		if got := f.metadata(json.RawMessage(given)); f.err() != nil || string(got) != want {
			t.Errorf("%s: got %s, %v; want %s", given, got, f.err(), want)
		}
	}
	for _, given := range []string{
		`[]`, `1`, `"a"`, `{`, `{}{}`, `{} x`, `{"a":NaN}`, `{"a":1e401}`, `{"a":1e-500}`, `{"a":1e-20000}`, `{"a":1e99999999999}`,
		`{"a":1e-99999999999}`, `{"a":"\u0000"}`, `{"\u0000":1}`, `{"a":["x",{"b":"\u0000"}]}`, `{"a":"` + strings.Repeat("x", MaxMetadataBytes) + `"}`,
		`{"a":1` + strings.Repeat("0", MaxMetadataBytes) + `}`,
	} {
		var f fields
		if got := f.metadata(json.RawMessage(given)); f.err() == nil {
			t.Errorf("%.40s is taken as %.40s", given, got)
		}
	}
}

func TestRequestNamesEachFieldThatMakesNoSense(t *testing.T) {
	t.Parallel()
	good := TransferRequest{ID: "t", SourceAccountID: "a", DestinationAccountID: "b", Amount: amountOf("1")}
	year10000 := time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))
	year0 := time.Date(1, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))
	var zero time.Time
	if err := good.validate(""); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*TransferRequest)
		field  string
	}{
		"no id":                {func(r *TransferRequest) { r.ID = "" }, "transactionId"},
		"long id":              {func(r *TransferRequest) { r.ID = strings.Repeat("x", 51) }, "transactionId"},
		"id with a blank":      {func(r *TransferRequest) { r.ID = "a b" }, "transactionId"},
		"id with a line end":   {func(r *TransferRequest) { r.ID = "a\n" }, "transactionId"},
		"no source":            {func(r *TransferRequest) { r.SourceAccountID = "" }, "sourceAccountId"},
		"letters":              {func(r *TransferRequest) { r.DestinationAccountID = "é" }, "destinationAccountId"},
		"zero":                 {func(r *TransferRequest) { r.Amount = amountOf("0") }, "amount"},
		"negative":             {func(r *TransferRequest) { r.Amount = amountOf("-1") }, "amount"},
		"five decimals":        {func(r *TransferRequest) { r.Amount = amountOf("0.00001") }, "amount"},
		"too large":            {func(r *TransferRequest) { r.Amount = amountOf("1000000000000000") }, "amount"},
		"decimals of currency": {func(r *TransferRequest) { r.Amount, r.Currency = amountOf("0.5"), "JPY" }, "amount"},
		"unknown currency":     {func(r *TransferRequest) { r.Currency = "usd" }, "currency"},
		"long description":     {func(r *TransferRequest) { r.Description = strings.Repeat("é", 501) }, "description"},
		"NUL":                  {func(r *TransferRequest) { r.Description = "\x00" }, "description"},
		"no UTF-8":             {func(r *TransferRequest) { r.Description = "\xff" }, "description"},
		"metadata":             {func(r *TransferRequest) { r.Metadata = []byte("1") }, "metadata"},
		"year 10000 in UTC":    {func(r *TransferRequest) { r.EffectiveAt = &year10000 }, "timestamp"},
		"year 0 in UTC":        {func(r *TransferRequest) { r.EffectiveAt = &year0 }, "timestamp"},
		"the zero time":        {func(r *TransferRequest) { r.EffectiveAt = &zero }, "timestamp"},
	} {
		r := good
		c.change(&r)
		var invalid *InvalidInput
		if err := r.validate("transfers[3]."); !errors.As(err, &invalid) || invalid.Fields[0].Field != "transfers[3]."+c.field {
			t.Errorf("%s: got %v; want it to name %s", name, err, c.field)
		}
	}
	bad := TransferRequest{Amount: amountOf("-0.00001"), Description: "\x00"}
	var invalid *InvalidInput
	if err := bad.validate(""); !errors.As(err, &invalid) || len(invalid.Fields) != 6 {
		t.Errorf("got %v; want all six problems", err)
	}
}

func TestAccountRequestsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	closed, limit := Closed, amountOf("-1")
	for field, err := range map[string]error{
		"accountId":      (&OpenAccount{ID: "house:mine"}).validate(),
		"accountType":    (&OpenAccount{ID: "a", Type: "GOLD"}).validate(),
		"currency":       (&OpenAccount{ID: "a", Currency: "XXX"}).validate(),
		"balance":        (&OpenAccount{ID: "a", Balance: amountOf("-1")}).validate(),
		"status":         (&UpdateAccount{ID: "a", Status: &closed}).validate(),
		"overdraftLimit": (&UpdateAccount{ID: "a", OverdraftLimit: &limit}).validate(),
		"metadata":       (&UpdateAccount{ID: "a", Metadata: []byte("[]")}).validate(),
	} {
		var invalid *InvalidInput
		if !errors.As(err, &invalid) || invalid.Fields[0].Field != field {
			t.Errorf("got %v; want it to name %s", err, field)
		}
	}
}
