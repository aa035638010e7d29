package gateway

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/money"
)

// Event is what a payload reports: one of Purchase and Return, or neither, and then
// Ignored says why.
type Event struct {
	Purchase *cashback.PurchaseRequest
	Return   *cashback.ReturnRequest
	Ignored  string
}

// The events of Stripe that mean something here.
const (
	paymentSucceeded = "payment_intent.succeeded"
	chargeRefunded   = "charge.refunded"
)

type stripeEvent struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Created int64  `json:"created"` // seconds since 1970
	Data    struct {
		Object             json.RawMessage `json:"object"`
		PreviousAttributes json.RawMessage `json:"previous_attributes"`
	} `json:"data"`
}

type stripePayment struct {
	ID             string `json:"id"`
	AmountReceived int64  `json:"amount_received"`
	Currency       string `json:"currency"`
	Customer       string `json:"customer"`
	Metadata       struct {
		MerchantID string `json:"merchant_id"`
		CustomerID string `json:"customer_id"`
		Product    string `json:"product"`
		Category   string `json:"category"`
		MCC        string `json:"mcc"`
		ClickID    string `json:"click_id"`
		Country    string `json:"country"`
	} `json:"metadata"`
}

type stripeCharge struct {
	PaymentIntent  string `json:"payment_intent"`
	AmountRefunded int64  `json:"amount_refunded"`
	Currency       string `json:"currency"`
}

type stripeChargeBefore struct {
	AmountRefunded *int64 `json:"amount_refunded"`
}

// ParseStripe reads an event of Stripe, from a source that has this name.
//
// payment_intent.succeeded is a purchase of one line. Its id is the payment
// intent's, its time the event's, its amount amount_received; merchant_id,
// customer_id, product, category, mcc, click_id and country are metadata of the
// payment intent, and without a customer_id its customer is taken. One of nobody's (a
// guest's), or of no merchant's, is no purchase here and is ignored: Stripe takes
// payments for much else.
//
// charge.refunded is a return by amount: of what amount_refunded has grown by. Its
// id is the event's: a charge can be refunded in several steps. One without a
// payment intent belongs to no purchase and is ignored, like events of other types.
//
// It returns *cashback.InvalidInput for a payload that is no event, and for one that
// can't be understood; the purchase's own fields are checked where it is recorded,
// and StripeField says what they are called here.
func ParseStripe(source string, payload []byte) (Event, error) {
	var event stripeEvent
	if err := read(payload, "", &event); err != nil {
		return Event{}, err
	}
	switch event.Type {
	case paymentSucceeded:
		return event.purchase(source)
	case chargeRefunded:
		return event.refund(source)
	case "":
		return Event{}, invalid("type", "is required")
	}
	return Event{Ignored: "only events " + paymentSucceeded + " and " + chargeRefunded + " are taken in"}, nil
}

func (e *stripeEvent) purchase(source string) (Event, error) {
	var payment stripePayment
	if err := read(e.Data.Object, "data.object", &payment); err != nil {
		return Event{}, err
	}
	m := &payment.Metadata
	if m.CustomerID == "" {
		m.CustomerID = payment.Customer
	}
	switch {
	case m.CustomerID == "":
		return Event{Ignored: "the payment has neither a customer nor customer_id in its metadata, and so is nobody's purchase"}, nil
	case m.MerchantID == "":
		return Event{Ignored: "the payment has no merchant_id in its metadata, and so is no merchant's purchase"}, nil
	}
	at, err := e.time()
	if err != nil {
		return Event{}, err
	}
	currency, amount, err := fromMinorUnits(payment.AmountReceived, payment.Currency, "data.object.amount_received")
	if err != nil {
		return Event{}, err
	}
	return Event{Purchase: &cashback.PurchaseRequest{
		ID: payment.ID, MerchantID: m.MerchantID, CustomerID: m.CustomerID, Currency: currency, Country: m.Country, At: at,
		Lines:   []rules.Line{{Product: m.Product, Category: m.Category, MCC: m.MCC, Quantity: 1, UnitPrice: amount}},
		ClickID: m.ClickID, PaymentReference: payment.ID, Source: source,
	}}, nil
}

func (e *stripeEvent) refund(source string) (Event, error) {
	var charge stripeCharge
	if err := read(e.Data.Object, "data.object", &charge); err != nil {
		return Event{}, err
	}
	if charge.PaymentIntent == "" {
		return Event{Ignored: "the charge has no payment intent, and so belongs to no purchase"}, nil
	}
	var before stripeChargeBefore
	if len(e.Data.PreviousAttributes) > 0 {
		if err := read(e.Data.PreviousAttributes, "data.previous_attributes", &before); err != nil {
			return Event{}, err
		}
	}
	// Without it, what was refunded before would be taken off once more.
	if before.AmountRefunded == nil {
		return Event{}, invalid("data.previous_attributes.amount_refunded", "is required")
	}
	if *before.AmountRefunded < 0 {
		return Event{}, invalid("data.previous_attributes.amount_refunded", "must not be negative")
	}
	if charge.AmountRefunded <= *before.AmountRefunded {
		return Event{}, invalid("data.object.amount_refunded", "must be more than in data.previous_attributes")
	}
	at, err := e.time()
	if err != nil {
		return Event{}, err
	}
	_, amount, err := fromMinorUnits(charge.AmountRefunded-*before.AmountRefunded, charge.Currency, "data.object.amount_refunded")
	if err != nil {
		return Event{}, err
	}
	return Event{Return: &cashback.ReturnRequest{
		ID: e.ID, PurchaseID: charge.PaymentIntent, Amount: decimal.NewNullDecimal(amount), At: at, Source: source,
	}}, nil
}

func (e *stripeEvent) time() (time.Time, error) {
	const last = 253402300799 // of the year 9999
	if e.Created <= 0 || e.Created > last {
		return time.Time{}, invalid("created", "must be seconds since 1970, up to the year 9999")
	}
	return time.Unix(e.Created, 0).UTC(), nil
}

// stripeDecimals are the decimals of Stripe's minor units where they are not 2. They
// are Stripe's own: MGA has 2 in ISO 4217.
var stripeDecimals = func() map[money.Currency]int32 {
	decimals := map[money.Currency]int32{"BHD": 3, "JOD": 3, "KWD": 3, "OMR": 3, "TND": 3}
	for _, c := range []money.Currency{"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"} {
		decimals[c] = 0
	}
	return decimals
}()

// stripeWhole are written with two decimals that are always 00, although they have
// none: Stripe keeps to what they once had.
var stripeWhole = map[money.Currency]bool{"ISK": true, "UGX": true}

// fromMinorUnits is an amount of Stripe's as a decimal; field is what the amount is
// called.
func fromMinorUnits(minor int64, code, field string) (money.Currency, decimal.Decimal, error) {
	currency, err := money.ParseCurrency(strings.ToUpper(code))
	switch {
	case err != nil || code != strings.ToLower(code):
		return "", decimal.Zero, invalid("data.object.currency", "must be an active ISO 4217 code in small letters, such as usd")
	case minor <= 0:
		return "", decimal.Zero, invalid(field, "must be above zero")
	case stripeWhole[currency] && minor%100 != 0:
		return "", decimal.Zero, invalid(field, "must be a multiple of 100: "+string(currency)+" has no decimals, and two that are 00 in amounts of Stripe")
	}
	decimals, isOther := stripeDecimals[currency]
	if !isOther {
		decimals = 2
	}
	return currency, decimal.New(minor, -decimals), nil
}

// stripeFields are Stripe's names of what is called otherwise in the API.
var stripeFields = map[string]string{
	"purchaseId": "data.object.id", "paymentReference": "data.object.id", "merchantId": "data.object.metadata.merchant_id",
	"customerId": "data.object.metadata.customer_id", "currency": "data.object.currency", "country": "data.object.metadata.country",
	"timestamp": "created", "clickId": "data.object.metadata.click_id", "lines": "data.object.amount_received",
	"lines[0].product": "data.object.metadata.product", "lines[0].category": "data.object.metadata.category",
	"lines[0].mcc": "data.object.metadata.mcc", "lines[0].unitPrice": "data.object.amount_received",
}

var stripeRefundFields = map[string]string{
	"returnId": "id", "purchaseId": "data.object.payment_intent", "amount": "data.object.amount_refunded", "timestamp": "created",
}

// StripeField is what a field of the API, such as lines[0].product, is called in the
// event; itself when it has no other name.
func (e *Event) StripeField(name string) string {
	fields := stripeFields
	if e.Return != nil {
		fields = stripeRefundFields
	}
	if renamed, found := fields[name]; found {
		return renamed
	}
	return name
}

// read decodes JSON, as lenient as a receiver of Stripe's must be: members that it
// does not know come with every version of the API. null is the same as absent.
func read(text []byte, at string, into any) error {
	if len(text) == 0 {
		return invalid(join(at, ""), "is required")
	}
	err := json.Unmarshal(text, into)
	if mistyped := (*json.UnmarshalTypeError)(nil); errors.As(err, &mistyped) {
		return invalid(join(at, mistyped.Field), "must be "+typeName(mistyped.Type.Kind()))
	}
	if err != nil {
		return invalid(join(at, ""), "is not valid JSON")
	}
	return nil
}

func typeName(kind reflect.Kind) string {
	switch kind {
	case reflect.Int64:
		return "a whole number of at most 18 digits"
	case reflect.String:
		return "a string"
	}
	return "a JSON object"
}

func join(at, field string) string {
	switch {
	case at != "" && field != "":
		return at + "." + field
	case at == "" && field == "":
		return "body"
	}
	return at + field
}

func invalid(field, problem string) error {
	return &cashback.InvalidInput{Fields: []cashback.FieldError{{Field: field, Problem: problem}}}
}
