package gateway_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback"
	"florin/internal/cashback/gateway"
	"florin/internal/money"
)

func example(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestASucceededPaymentIsAPurchase(t *testing.T) {
	t.Parallel()
	event, err := gateway.ParseStripe("shop", []byte(example(t, "payment_intent.succeeded")))
	if err != nil || event.Purchase == nil || event.Return != nil || event.Ignored != "" {
		t.Fatalf("%+v, %v", event, err)
	}
	p := event.Purchase
	if p.ID != "pi_3PqN2eLkdIwHu7ix0TvX4LpQ" || p.PaymentReference != p.ID || p.MerchantID != "northwind" || p.CustomerID != "ada" ||
		p.Currency != "USD" || p.Country != "US" || p.ClickID != "click-77" || p.Source != "shop" || !p.At.Equal(time.Unix(1767261600, 0)) {
		t.Errorf("%+v", p)
	}
	if len(p.Lines) != 1 {
		t.Fatalf("%+v", p.Lines)
	}
	if l := p.Lines[0]; l.Product != "camera-x100" || l.Category != "electronics" || l.MCC != "5732" || l.Quantity != 1 || l.UnitPrice.String() != "1099.95" {
		t.Errorf("%+v", l)
	}
}

func TestWithoutACustomersIdItIsThePaymentsCustomer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ from, to, want string }{
		"none in the metadata": {`"customer_id": "ada",`, ``, "cus_QhB7xYz1aBcDeF"},
		"null in the metadata": {`"customer_id": "ada"`, `"customer_id": null`, "cus_QhB7xYz1aBcDeF"},
		"no metadata and no customer": {
			`"customer": "cus_QhB7xYz1aBcDeF"`, `"customer": null`, "ada",
		},
	} {
		event, err := gateway.ParseStripe("shop", []byte(strings.Replace(example(t, "payment_intent.succeeded"), c.from, c.to, 1)))
		if err != nil || event.Purchase.CustomerID != c.want {
			t.Errorf("%s: %+v, %v", name, event, err)
		}
	}
}

// A charge is refunded in steps; each event is about its own.
func TestARefundIsAReturnOfWhatItAdds(t *testing.T) {
	t.Parallel()
	event, err := gateway.ParseStripe("shop", []byte(example(t, "charge.refunded")))
	if err != nil || event.Return == nil || event.Purchase != nil || event.Ignored != "" {
		t.Fatalf("%+v, %v", event, err)
	}
	r := event.Return
	if r.ID != "evt_3PqN2eLkdIwHu7ix0z9y8x7w" || r.PurchaseID != "pi_3PqN2eLkdIwHu7ix0TvX4LpQ" || !r.Amount.Valid || r.Amount.Decimal.String() != "200" ||
		r.Source != "shop" || !r.At.Equal(time.Unix(1767348000, 0)) || r.Lines != nil {
		t.Errorf("%+v", r)
	}
}

func TestAmountsOfStripeAreInItsOwnMinorUnits(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"usd": "1099", "eur": "1099", "huf": "1099", "twd": "1099", "isk": "1099", "ugx": "1099", "cop": "1099",
		"jpy": "109900", "krw": "109900", "vnd": "109900", "clp": "109900", "mga": "109900", "xof": "109900", "bif": "109900", "pyg": "109900",
		"bhd": "109.9", "kwd": "109.9", "tnd": "109.9", "jod": "109.9", "omr": "109.9",
	} {
		payload := strings.NewReplacer(`"usd"`, `"`+code+`"`, "109995", "109900").Replace(example(t, "payment_intent.succeeded"))
		event, err := gateway.ParseStripe("shop", []byte(payload))
		if err != nil || event.Purchase.Lines[0].UnitPrice.String() != want || string(event.Purchase.Currency) != strings.ToUpper(code) {
			t.Errorf("%s: %+v, %v; want %s", code, event.Purchase, err, want)
			continue
		}
		if err := money.Check(event.Purchase.Lines[0].UnitPrice, event.Purchase.Currency); err != nil {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// What a purchase can be at most is said where it is recorded.
func TestALargePaymentIsOneOfItsPrice(t *testing.T) {
	t.Parallel()
	event, err := gateway.ParseStripe("shop", []byte(strings.Replace(example(t, "payment_intent.succeeded"), `"amount_received": 109995`, `"amount_received": 99999999999999`, 1)))
	if err != nil || event.Purchase == nil {
		t.Fatalf("%+v, %v", event, err)
	}
	if l := event.Purchase.Lines[0]; l.Quantity != 1 || l.UnitPrice.String() != "999999999999.99" {
		t.Errorf("%+v", l)
	}
}

func TestOtherEventsAreIgnoredWithAReason(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]string{
		"another type":               `{"id":"evt_1","type":"customer.created","created":1,"data":{"object":{"id":"cus_1"}}}`,
		"another type without data":  `{"type":"ping"}`,
		"another type of other data": `{"type":"ping","data":{"object":7}}`,
		"a guest's payment":          strings.NewReplacer(`"customer_id": "ada",`, ``, `"customer": "cus_QhB7xYz1aBcDeF"`, `"customer": null`).Replace(example(t, "payment_intent.succeeded")),
		"a guest's of nothing else":  strings.NewReplacer(`"customer_id": "ada",`, ``, `"customer": "cus_QhB7xYz1aBcDeF"`, `"customer": null`, `"metadata"`, `"was"`).Replace(example(t, "payment_intent.succeeded")),
		"no merchant":                strings.Replace(example(t, "payment_intent.succeeded"), `"merchant_id": "northwind",`, ``, 1),
		"a merchant of no name":      strings.Replace(example(t, "payment_intent.succeeded"), `"northwind"`, `""`, 1),
		"no metadata":                strings.Replace(example(t, "payment_intent.succeeded"), `"metadata"`, `"was"`, 1),
		"no payment intent":          strings.Replace(example(t, "charge.refunded"), `"payment_intent": "pi_3PqN2eLkdIwHu7ix0TvX4LpQ"`, `"payment_intent": null`, 1),
	} {
		event, err := gateway.ParseStripe("shop", []byte(payload))
		if err != nil || event.Ignored == "" || event.Purchase != nil || event.Return != nil {
			t.Errorf("%s: %+v, %v", name, event, err)
		}
	}
}

func TestWhatCanNotBeUnderstoodIsNamed(t *testing.T) {
	t.Parallel()
	const payment, refund = "payment_intent.succeeded", "charge.refunded"
	for field, c := range map[string]struct{ of, from, to string }{
		"body":                                                 {to: "no JSON"},
		"body of nothing":                                      {to: ""},
		"body of a list":                                       {to: "[]"},
		"body cut":                                             {to: `{"type":"payment_intent.succeeded"`},
		"body and more":                                        {to: `{"type":"x"} {}`},
		"type":                                                 {to: `{}`},
		"type of another kind":                                 {to: `{"type":7}`},
		"data.object":                                          {to: `{"type":"payment_intent.succeeded","data":{}}`},
		"data.object of another kind":                          {to: `{"type":"payment_intent.succeeded","data":{"object":"pi_1"}}`},
		"data of another kind":                                 {to: `{"type":"payment_intent.succeeded","data":"pi_1"}`},
		"created":                                              {payment, `"created": 1767261600`, `"created": 0`},
		"created in milliseconds":                              {payment, `"created": 1767261600`, `"created": 1767261600000`},
		"created of another kind":                              {payment, `"created": 1767261600`, `"created": "2026-01-01"`},
		"data.object.amount_received":                          {payment, `"amount_received": 109995`, `"amount_received": 0`},
		"data.object.amount_received missing":                  {payment, `"amount_received": 109995,`, ``},
		"data.object.amount_received negative":                 {payment, `"amount_received": 109995`, `"amount_received": -1`},
		"data.object.amount_received in parts":                 {payment, `"amount_received": 109995`, `"amount_received": 1099.95`},
		"data.object.amount_received far above":                {payment, `"amount_received": 109995`, `"amount_received": 1e30`},
		"data.object.currency":                                 {payment, `"usd"`, `"xxx"`},
		"data.object.currency in capitals":                     {payment, `"usd"`, `"USD"`},
		"data.object.currency missing":                         {payment, `"currency": "usd",`, ``},
		"data.object.metadata.product":                         {payment, `"camera-x100"`, `{"id": 7}`},
		"data.object.metadata":                                 {payment, `"metadata": {`, `"metadata": [], "more": {`},
		"data.object.amount_refunded":                          {refund, `"amount_refunded": 30000`, `"amount_refunded": 10000`},
		"data.previous_attributes.amount_refunded":             {refund, `"amount_refunded": 10000`, `"refunded": false`},
		"data.previous_attributes.amount_refunded negative":    {refund, `"amount_refunded": 10000`, `"amount_refunded": -9223372036854775808`},
		"data.previous_attributes.amount_refunded of its kind": {refund, `"amount_refunded": 10000`, `"amount_refunded": "10"`},
		"data.previous_attributes":                             {refund, `"previous_attributes": {`, `"previous_attributes": 7, "more": {`},
		"data.previous_attributes.amount_refunded of none":     {refund, `"previous_attributes": {`, `"previous": {`},
	} {
		payload := c.to
		if c.of != "" {
			if payload = strings.Replace(example(t, c.of), c.from, c.to, 1); payload == example(t, c.of) {
				t.Fatalf("%s: the example is another", field)
			}
		}
		name, _, _ := strings.Cut(field, " ")
		event, err := gateway.ParseStripe("shop", []byte(payload))
		var input *cashback.InvalidInput
		if !errors.As(err, &input) || len(input.Fields) != 1 || input.Fields[0].Field != name || input.Fields[0].Problem == "" {
			t.Errorf("%s: %+v, %v", field, event, err)
		}
	}
	for _, code := range []string{"isk", "ugx"} {
		payload := strings.Replace(example(t, payment), `"usd"`, `"`+code+`"`, 1)
		if event, err := gateway.ParseStripe("shop", []byte(payload)); err == nil || !strings.Contains(err.Error(), "multiple of 100") {
			t.Errorf("%s: %+v, %v", code, event, err)
		}
	}
}

func TestFieldsAreCalledAsInTheEvent(t *testing.T) {
	t.Parallel()
	purchase, refund := gateway.Event{Purchase: &cashback.PurchaseRequest{}}, gateway.Event{Return: &cashback.ReturnRequest{}}
	for api, want := range map[string]string{
		"merchantId": "data.object.metadata.merchant_id", "lines[0].product": "data.object.metadata.product",
		"lines[0].unitPrice": "data.object.amount_received", "timestamp": "created", "another": "another",
	} {
		if got := purchase.StripeField(api); got != want {
			t.Errorf("%s is called %s", api, got)
		}
	}
	for api, want := range map[string]string{"returnId": "id", "purchaseId": "data.object.payment_intent", "amount": "data.object.amount_refunded"} {
		if got := refund.StripeField(api); got != want {
			t.Errorf("%s of a refund is called %s", api, got)
		}
	}
}

func FuzzParseStripe(f *testing.F) {
	f.Add([]byte(example(f, "payment_intent.succeeded")))
	f.Add([]byte(example(f, "charge.refunded")))
	f.Add([]byte(`{"type":"charge.refunded","data":{"object":{"payment_intent":"a","amount_refunded":5,"currency":"jpy"},"previous_attributes":{"amount_refunded":1}},"created":1}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		event, err := gateway.ParseStripe("shop", payload)
		if err != nil {
			if input := (*cashback.InvalidInput)(nil); !errors.As(err, &input) || len(input.Fields) == 0 {
				t.Errorf("%v", err)
			}
			return
		}
		found := 0
		if p := event.Purchase; p != nil {
			found++
			if len(p.Lines) != 1 || !p.Lines[0].UnitPrice.IsPositive() || p.Lines[0].UnitPrice.Exponent() < -money.MaxDecimals {
				t.Errorf("%+v", p)
			}
		}
		if r := event.Return; r != nil {
			found++
			if !r.Amount.Decimal.GreaterThan(decimal.Zero) || r.PurchaseID == "" {
				t.Errorf("%+v", r)
			}
		}
		if event.Ignored != "" {
			found++
		}
		if found != 1 {
			t.Errorf("%+v", event)
		}
	})
}
