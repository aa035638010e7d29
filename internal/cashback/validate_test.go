package cashback_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
)

func TestPurchasesThatMakeNoSenseAreRefused(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		l := &life{world: w, customer: cashback.Customer{CustomerRequest: cashback.CustomerRequest{ID: "cus_x"}}}
		line := func(change func(*rules.Line)) func(*cashback.PurchaseRequest) {
			return func(r *cashback.PurchaseRequest) { change(&r.Lines[0]) }
		}
		for _, c := range []struct {
			field  string
			change func(*cashback.PurchaseRequest)
		}{
			{"purchaseId", func(r *cashback.PurchaseRequest) { r.ID = "" }},
			{"purchaseId", func(r *cashback.PurchaseRequest) { r.ID = strings.Repeat("x", 51) }},
			{"merchantId", func(r *cashback.PurchaseRequest) { r.MerchantID = "a b" }},
			{"customerId", func(r *cashback.PurchaseRequest) { r.CustomerID = "" }},
			{"clickId", func(r *cashback.PurchaseRequest) { r.ClickID = "é" }},
			{"currency", func(r *cashback.PurchaseRequest) { r.Currency = "XXX" }},
			{"currency", func(r *cashback.PurchaseRequest) { r.Currency = "" }},
			{"country", func(r *cashback.PurchaseRequest) { r.Country = strings.Repeat("x", 61) }},
			{"country", func(r *cashback.PurchaseRequest) { r.Country = "a\x00b" }},
			{"paymentReference", func(r *cashback.PurchaseRequest) { r.PaymentReference = "\xff" }},
			{"timestamp", func(r *cashback.PurchaseRequest) { r.At = time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC) }},
			{"timestamp", func(r *cashback.PurchaseRequest) { r.At = noon.Add(24*time.Hour + time.Second) }},
			{"timestamp", func(r *cashback.PurchaseRequest) { r.At = time.Time{} }},
			{"lines", func(r *cashback.PurchaseRequest) { r.Lines = nil }},
			{"lines", func(r *cashback.PurchaseRequest) { r.Lines = make([]rules.Line, cashback.MaxLines+1) }},
			{"lines", func(r *cashback.PurchaseRequest) {
				r.Lines = []rules.Line{{Product: "x", Quantity: 1_000_000, UnitPrice: dec("1000000")}}
			}},
			{"lines[0].quantity", line(func(l *rules.Line) { l.Quantity = 0 })},
			{"lines[0].quantity", line(func(l *rules.Line) { l.Quantity = 1_000_001 })},
			{"lines[0].unitPrice", line(func(l *rules.Line) { l.UnitPrice = dec("-0.01") })},
			{"lines[0].unitPrice", line(func(l *rules.Line) { l.UnitPrice = dec("999999999999.01") })},
			{"lines[0].unitPrice", line(func(l *rules.Line) { l.UnitPrice = dec("0.00001") })},
			{"lines[0].product", line(func(l *rules.Line) { l.Product = strings.Repeat("x", 101) })},
			{"lines[0].category", line(func(l *rules.Line) { l.Category = "a\nb" })},
			{"lines[0].description", line(func(l *rules.Line) { l.Description = strings.Repeat("é", 501) })},
			{"lines[0].mcc", line(func(l *rules.Line) { l.MCC = "12345" })},
		} {
			_, err := w.Record(t.Context(), l.wants(c.change))
			wantInvalid(t, err, c.field)
		}
		// The largest of all that is allowed.
		p, err := w.Record(t.Context(), l.wants(func(r *cashback.PurchaseRequest) {
			r.At, r.Country = noon.Add(24*time.Hour), strings.Repeat("é", 60)
			r.Lines = []rules.Line{
				{Product: strings.Repeat("é", 100), Description: strings.Repeat("é", 500), Category: strings.Repeat("é", 100), MCC: "5947", Quantity: 1_000_000, UnitPrice: dec("999999.9999")},
				{Quantity: 99, UnitPrice: dec("1")}, {Quantity: 1, UnitPrice: decimal.Zero}, {Quantity: 1, UnitPrice: dec("0.999900000000000000")},
			}
		}))
		if err != nil || !p.Amount.Equal(dec("999999999999.9999")) {
			t.Errorf("%s, %v", p.Amount, err)
		}
		if exponent := p.Lines[3].UnitPrice.Exponent(); exponent < -4 {
			t.Errorf("the price has %d decimals", -exponent)
		}
		again, err := w.Record(t.Context(), p.PurchaseRequest)
		if err != nil || !again.Amount.Equal(p.Amount) || again.Lines[0].Description != p.Lines[0].Description || !again.Lines[3].UnitPrice.Equal(dec("0.9999")) {
			t.Errorf("%+v, %v", again, err)
		}
	})
}

func TestReturnsThatMakeNoSenseAreRefused(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		one := []cashback.ReturnedLine{{Product: "a", Quantity: 1}}
		for _, c := range []struct {
			field   string
			request cashback.ReturnRequest
		}{
			{"returnId", cashback.ReturnRequest{PurchaseID: "p", At: noon}},
			{"purchaseId", cashback.ReturnRequest{ID: "r", PurchaseID: "p p", At: noon}},
			{"timestamp", cashback.ReturnRequest{ID: "r", PurchaseID: "p"}},
			{"customerId", cashback.ReturnRequest{ID: "r", MerchantID: "m", At: noon, Lines: one}},
			{"merchantId", cashback.ReturnRequest{ID: "r", CustomerID: "c", At: noon, Lines: one}},
			{"lines", cashback.ReturnRequest{ID: "r", CustomerID: "c", MerchantID: "m", At: noon}},
			{"amount", cashback.ReturnRequest{ID: "r", CustomerID: "c", MerchantID: "m", At: noon, Lines: one, Amount: amountOf("1")}},
			{"amount", cashback.ReturnRequest{ID: "r", PurchaseID: "p", At: noon, Lines: one, Amount: amountOf("1")}},
			{"amount", cashback.ReturnRequest{ID: "r", PurchaseID: "p", At: noon, Amount: amountOf("0")}},
			{"amount", cashback.ReturnRequest{ID: "r", PurchaseID: "p", At: noon, Amount: amountOf("0.00001")}},
			{"amount", cashback.ReturnRequest{ID: "r", PurchaseID: "p", At: noon, Amount: amountOf("1000000000000")}},
			{"lines", cashback.ReturnRequest{ID: "r", PurchaseID: "p", At: noon, Lines: make([]cashback.ReturnedLine, cashback.MaxLines+1)}},
			{"lines[0].quantity", cashback.ReturnRequest{ID: "r", PurchaseID: "p", At: noon, Lines: []cashback.ReturnedLine{{Product: "a"}}}},
			{"lines[0].product", cashback.ReturnRequest{ID: "r", PurchaseID: "p", At: noon, Lines: []cashback.ReturnedLine{{Quantity: 1}}}},
			{"lines[0].line", cashback.ReturnRequest{ID: "r", PurchaseID: "p", At: noon, Lines: []cashback.ReturnedLine{{Product: "a", Line: lineOf(0), Quantity: 1}}}},
			{"lines[0].line", cashback.ReturnRequest{ID: "r", PurchaseID: "p", At: noon, Lines: []cashback.ReturnedLine{{Line: lineOf(-1), Quantity: 1}}}},
			{"lines[0].line", cashback.ReturnRequest{ID: "r", CustomerID: "c", MerchantID: "m", At: noon, Lines: []cashback.ReturnedLine{{Line: lineOf(0), Quantity: 1}}}},
		} {
			_, err := w.Return(t.Context(), c.request)
			wantInvalid(t, err, c.field)
		}
		_, err := w.ReturnBatch(t.Context(), []cashback.ReturnRequest{{ID: "r1", PurchaseID: "p", At: noon}, {ID: "r 2", PurchaseID: "p", At: noon}})
		wantInvalid(t, err, "returns[1].returnId")
		_, err = w.ReturnBatch(t.Context(), nil)
		wantInvalid(t, err, "returns")
	})
}

// One answer tells of many problems, but not of all of ten thousand.
func TestProblemsAreToldTogetherUpToAReadableNumber(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		requests := make([]cashback.PurchaseRequest, 100)
		_, err := w.RecordBatch(t.Context(), requests)
		var invalid *cashback.InvalidInput
		if !errors.As(err, &invalid) || len(invalid.Fields) < 20 || len(invalid.Fields) > 30 ||
			!slices.ContainsFunc(invalid.Fields, func(f cashback.FieldError) bool { return f.Field == "purchases[1].customerId" }) {
			t.Errorf("%v", err)
		}
		// So it is within one of them.
		for name, ask := range map[string]func() error{
			"a purchase": func() error {
				_, err := w.Record(t.Context(), cashback.PurchaseRequest{ID: "p", MerchantID: "m", CustomerID: "c", Currency: "USD", At: noon, Lines: make([]rules.Line, cashback.MaxLines)})
				return err
			},
			"a return": func() error {
				_, err := w.Return(t.Context(), cashback.ReturnRequest{ID: "r", PurchaseID: "p", At: noon, Lines: make([]cashback.ReturnedLine, cashback.MaxLines)})
				return err
			},
		} {
			if err := ask(); !errors.As(err, &invalid) || len(invalid.Fields) < 20 || len(invalid.Fields) > 30 {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A price is the same purchase, and earns the same, with however many zeros it comes.
func TestZerosAtAPricesEndLoseNoReward(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		l := newLife(w, someTerms())
		p := l.records(l.customer.ID, rules.Line{Product: "a", Quantity: 1, UnitPrice: dec("10.000000000000000000000")})
		if len(p.Rewards) != 1 || !p.Rewards[0].Amount.Equal(dec("0.50")) {
			t.Errorf("%+v", p)
		}
	})
}
