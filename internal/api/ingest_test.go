package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"florin/internal/api"
	"florin/internal/cashback/gateway"
	"florin/internal/identity"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/id"
)

const (
	stripeSecret = "whsec_secret_of_the_shop_in_the_tests_1"
	signedKey    = "secret of the ERP in the tests 1"
)

// ingestWorld has a source of each format.
func ingestWorld(t *testing.T) worldOptions {
	t.Helper()
	encoded := base64.StdEncoding.EncodeToString([]byte(signedKey))
	secrets.Register(t, "secret of a source", stripeSecret, signedKey, encoded)
	sources, err := gateway.ParseSources("shop=stripe:" + stripeSecret + ",erp=signed:whsec_" + encoded + ",bound=signed:whsec_" + encoded + "@bookshop,florist,one=signed:whsec_" + encoded + "@bookshop")
	if err != nil {
		t.Fatal(err)
	}
	return worldOptions{api: func(o *api.Options) { o.IngestSources = sources }}
}

func signature(key, text string) []byte {
	code := hmac.New(sha256.New, []byte(key))
	code.Write([]byte(text))
	return code.Sum(nil)
}

// fromStripe sends an event as Stripe does.
func (w *world) fromStripe(payload string) answer {
	w.t.Helper()
	at := w.time.Now().Unix()
	header := fmt.Sprintf("t=%d,v1=%s,v0=00", at, hex.EncodeToString(signature(stripeSecret, fmt.Sprintf("%d.%s", at, payload))))
	return w.stranger().post("/api/v1/ingest/shop", payload, "Stripe-Signature", header, "Content-Type", "application/json; charset=utf-8")
}

// fromERP sends an event as the Standard Webhooks are sent.
func (w *world) fromERP(event any) answer {
	w.t.Helper()
	return w.signed("erp", event)
}

func (w *world) signed(source string, event any) answer {
	w.t.Helper()
	payload, err := json.Marshal(event)
	if err != nil {
		w.t.Fatal(err)
	}
	at, message := fmt.Sprint(w.time.Now().Unix()), id.New("msg")
	return w.stranger().post("/api/v1/ingest/"+source, string(payload), "Webhook-Id", message, "Webhook-Timestamp", at,
		"Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(signature(signedKey, message+"."+at+"."+string(payload))))
}

// stripeExample is a published event, of other ids and of now.
func (w *world) stripeExample(name, payment, event, customer string) string {
	w.t.Helper()
	text, err := os.ReadFile("../cashback/gateway/testdata/" + name + ".json")
	if err != nil {
		w.t.Fatal(err)
	}
	now := fmt.Sprint(w.time.Now().Add(-time.Hour).Unix())
	return strings.NewReplacer(
		"pi_3PqN2eLkdIwHu7ix0TvX4LpQ", payment, "evt_3PqN2eLkdIwHu7ix0a1b2c3d", event, "evt_3PqN2eLkdIwHu7ix0z9y8x7w", event,
		`"ada"`, `"`+customer+`"`, `"created": 1767261600`, `"created": `+now, `"created": 1767348000`, `"created": `+now, "click-77", "",
	).Replace(string(text))
}

func TestStripeReportsPaymentsAndRefunds(t *testing.T) {
	eachWorld(t, ingestWorld(t), func(t *testing.T, w *world) {
		shop := w.program(identity.Operator, "")
		payment, customer := id.New("pi"), id.New("c")
		bought := w.stripeExample("payment_intent.succeeded", payment, id.New("evt"), customer)
		for range 2 {
			w.fromStripe(bought).want(http.StatusOK).wantFields(object{"result": "held", "kind": "purchase", "id": payment})
		}
		if by := w.wantEvent(payment, "purchases.recorded").Origin; by.ActorKind != "gateway" || by.ActorID != "shop" || by.Address == "" || by.RequestID == "" {
			t.Errorf("the audit trail has %+v", by)
		}
		shop.enter(customer)
		w.fromStripe(bought).want(http.StatusOK).wantFields(object{"result": "recorded", "kind": "purchase", "id": payment, "reason": nil})
		purchase := shop.get(purchases + "/" + payment).want(http.StatusOK).wantFields(object{
			"amount": "1099.95", "currency": "USD", "merchantId": "northwind", "customerId": customer, "country": "US", "paymentReference": payment,
			"source": "shop", "recordedBy": "shop", "status": "ACCEPTED", "returned": "0.00",
		}).object()
		if line := purchase.list("lines")[0]; line["product"] != "camera-x100" || line["category"] != "electronics" || line["mcc"] != "5732" || line["quantity"] != 1.0 {
			t.Errorf("line %v", line)
		}
		w.fromStripe(strings.Replace(bought, "109995,\n      \"application\"", "109996,\n      \"application\"", 1)).wantProblem(http.StatusConflict, "duplicate_purchase", "")

		// 100.00 and then 200.00 more are paid back.
		first, second := id.New("evt"), id.New("evt")
		refund := w.stripeExample("charge.refunded", payment, first, customer)
		before := strings.NewReplacer(`"amount_refunded": 30000`, `"amount_refunded": 10000`, `"amount_refunded": 10000`, `"amount_refunded": 0`).Replace(refund)
		for range 2 {
			w.fromStripe(before).want(http.StatusOK).wantFields(object{"result": "recorded", "kind": "return", "id": first})
		}
		w.fromStripe(strings.Replace(refund, first, second, 1)).want(http.StatusOK).wantFields(object{"result": "recorded", "id": second})
		shop.get(purchases + "/" + payment).want(http.StatusOK).wantFields(object{"returned": "300.00"})
		shop.get(returns + "/" + second).want(http.StatusOK).wantFields(object{"amount": "200.00", "status": "APPLIED", "source": "shop", "purchaseId": payment})

		tooMuch := strings.NewReplacer(`"amount_refunded": 30000`, `"amount_refunded": 109995`, first, id.New("evt")).Replace(refund)
		refused := w.fromStripe(tooMuch).want(http.StatusOK).wantFields(object{"result": "refused", "kind": "return"}).object()
		if reason := text(refused, "reason"); !strings.HasPrefix(reason, "return_exceeds_purchase: ") {
			t.Errorf("reason %q", reason)
		}
		later := id.New("evt")
		w.fromStripe(w.stripeExample("charge.refunded", id.New("pi"), later, customer)).want(http.StatusOK).wantFields(object{"result": "waiting", "id": later})
		if ignored := w.fromStripe(`{"id":"evt_1","type":"customer.created","data":{"object":{}}}`).want(http.StatusOK).wantFields(object{"result": "ignored", "kind": nil}).object(); text(ignored, "reason") == "" {
			t.Error("no reason")
		}
	})
}

func TestSignedSourcesReportWhatTheAPITakes(t *testing.T) {
	eachWorld(t, ingestWorld(t), func(_ *testing.T, w *world) {
		shop := w.program(identity.Operator, "")
		order, back, click, customer := id.New("o"), id.New("r"), id.New("c"), id.New("ada")
		shop.enter(customer)
		clicked := object{"clickId": click, "customerId": customer, "merchantId": "bookshop", "campaignId": "none", "timestamp": w.at(2 * time.Hour)}
		bought := w.bought(order, w.at(time.Hour), object{"customerId": customer, "clickId": click})
		returned := object{"returnId": back, "purchaseId": order, "lines": []object{{"line": 0, "quantity": 2}}, "timestamp": w.at(0)}
		for range 2 {
			w.fromERP(object{"type": "click", "data": clicked}).want(http.StatusOK).wantFields(object{"result": "recorded", "kind": "click", "id": click})
			w.fromERP(object{"timestamp": w.at(0), "data": bought, "type": "purchase"}).want(http.StatusOK).wantFields(object{"result": "recorded", "kind": "purchase", "id": order})
			w.fromERP(object{"type": "return", "data": returned}).want(http.StatusOK).wantFields(object{"result": "recorded", "kind": "return", "id": back})
		}
		shop.get(purchases + "/" + order).want(http.StatusOK).wantFields(object{"source": "erp", "recordedBy": "erp", "amount": "38.69", "returned": "9.90"})
		// The same by another way is the same.
		shop.post(purchases, bought).want(http.StatusCreated).wantFields(object{"purchaseId": order, "source": "erp"})
		w.fromERP(object{"type": "purchase", "data": merged(bought, object{"country": "FR"})}).wantProblem(http.StatusConflict, "duplicate_purchase", "")
		w.fromERP(object{"type": "click", "data": merged(clicked, object{"customerId": "eve"})}).wantProblem(http.StatusConflict, "duplicate_click", "")
		w.fromERP(object{"type": "invoice.sent", "data": object{"invoice": 7}}).want(http.StatusOK).wantFields(object{"result": "ignored"})

		for field, event := range map[string]any{
			"body":                  []int{1},
			"type":                  object{"data": bought},
			"amount":                object{"type": "purchase", "amount": 5},
			"data":                  object{"type": "purchase"},
			"data.sum":              object{"type": "purchase", "data": merged(bought, object{"sum": 5})},
			"data.merchantId":       object{"type": "purchase", "data": merged(bought, object{"merchantId": "a b"})},
			"data.lines[0].mcc":     object{"type": "purchase", "data": merged(bought, object{"lines": []object{{"product": "x", "quantity": 1, "unitPrice": 1, "mcc": "12345"}}})},
			"data.lines[0].product": object{"type": "purchase", "data": merged(bought, object{"lines": []object{{"quantity": 1, "unitPrice": 1}}})},
			"data.returnId":         object{"type": "return", "data": merged(returned, object{"returnId": ""})},
			"data.campaignId":       object{"type": "click", "data": merged(clicked, object{"campaignId": "%"})},
		} {
			w.fromERP(event).wantProblem(http.StatusBadRequest, "invalid_request", field)
		}
	})
}

func TestASourceSpeaksForItsMerchantsAlone(t *testing.T) {
	eachWorld(t, ingestWorld(t), func(_ *testing.T, w *world) {
		shop := w.program(identity.Operator, "")
		customer := id.New("ada")
		shop.enter(customer)
		purchase := func(orderID, merchant string) object {
			return object{"type": "purchase", "data": w.bought(orderID, w.at(time.Hour), object{"customerId": customer, "merchantId": merchant})}
		}
		returned := func(orderID string, more object) object {
			return object{"type": "return", "data": merged(object{"returnId": id.New("r"), "purchaseId": orderID, "lines": []object{{"line": 0, "quantity": 1}}, "timestamp": w.at(0)}, more)}
		}
		foreign, own, sibling := id.New("o"), id.New("o"), id.New("o")
		w.fromERP(purchase(foreign, "grocer")).want(http.StatusOK)
		for _, source := range []string{"bound", "one"} {
			w.signed(source, purchase(id.New("o"), "grocer")).wantProblem(http.StatusForbidden, "forbidden", "")
			w.signed(source, object{"type": "click", "data": object{"clickId": id.New("c"), "customerId": customer, "merchantId": "grocer", "campaignId": "none", "timestamp": w.at(0)}}).wantProblem(http.StatusForbidden, "forbidden", "")
			w.signed(source, returned(foreign, nil)).wantProblem(http.StatusForbidden, "forbidden", "")
			w.signed(source, returned(foreign, object{"merchantId": "bookshop"})).wantProblem(http.StatusForbidden, "forbidden", "")
			w.signed(source, returned(id.New("o"), object{"merchantId": "grocer"})).wantProblem(http.StatusForbidden, "forbidden", "")
			matched := object{"returnId": id.New("r"), "customerId": customer, "merchantId": "grocer", "lines": []object{{"product": "22720", "quantity": 1}}, "timestamp": w.at(0)}
			w.signed(source, object{"type": "return", "data": matched}).wantProblem(http.StatusForbidden, "forbidden", "")
			w.signed(source, object{"type": "invoice.sent", "data": object{}}).want(http.StatusOK).wantFields(object{"result": "ignored"})
		}
		shop.get(purchases + "/" + foreign).want(http.StatusOK).wantFields(object{"returned": "0.00"})

		w.signed("bound", purchase(own, "florist")).want(http.StatusOK).wantFields(object{"result": "recorded"})
		w.signed("one", purchase(sibling, "bookshop")).want(http.StatusOK).wantFields(object{"result": "recorded"})
		w.signed("bound", returned(own, nil)).want(http.StatusOK).wantFields(object{"result": "recorded"})
		w.signed("bound", returned(sibling, object{"merchantId": "bookshop"})).want(http.StatusOK).wantFields(object{"result": "recorded"})
		w.signed("one", returned(own, nil)).wantProblem(http.StatusForbidden, "forbidden", "")

		// A return that comes before its purchase says whose it is, and is the same again after it.
		late := id.New("o")
		early := returned(late, nil)
		w.signed("bound", early).wantProblem(http.StatusNotFound, "purchase_not_found", "")
		w.signed("bound", returned(late, object{"merchantId": "bookshop"})).want(http.StatusOK).wantFields(object{"result": "waiting"})
		w.signed("one", early).want(http.StatusOK).wantFields(object{"result": "waiting"})
		w.fromERP(purchase(late, "bookshop")).want(http.StatusOK)
		w.signed("one", early).want(http.StatusOK).wantFields(object{"result": "recorded"})
		shop.get(purchases + "/" + late).want(http.StatusOK).wantFields(object{"returned": "9.90"})
		// And is not taken off somebody else's.
		stolen := id.New("o")
		w.signed("one", returned(stolen, nil)).want(http.StatusOK).wantFields(object{"result": "waiting"})
		w.fromERP(purchase(stolen, "grocer")).want(http.StatusOK)
		shop.get(purchases + "/" + stolen).want(http.StatusOK).wantFields(object{"returned": "0.00"})
	})
}

func TestACallerIsNoGateway(t *testing.T) {
	eachWorld(t, ingestWorld(t), func(_ *testing.T, w *world) {
		shop := w.program(identity.Operator, "")
		customer := id.New("ada")
		shop.enter(customer)
		for _, source := range []any{"shop", "File", "", 5} {
			bought := w.bought(id.New("o"), w.at(time.Hour), object{"customerId": customer})
			shop.post(purchases+"/batch", object{"purchases": []object{bought}, "source": source}).wantProblem(http.StatusBadRequest, "invalid_request", "source")
			back := object{"returnId": id.New("r"), "purchaseId": bought["purchaseId"], "timestamp": w.at(0)}
			shop.post(returns+"/batch", object{"returns": []object{back}, "source": source}).wantProblem(http.StatusBadRequest, "invalid_request", "source")
		}
		for _, source := range []string{"api", "file"} {
			order, back := id.New("o"), id.New("r")
			shop.post(purchases+"/batch", object{"source": source, "purchases": []object{w.bought(order, w.at(time.Hour), object{"customerId": customer})}}).want(http.StatusOK)
			shop.post(returns+"/batch", object{"returns": []object{{"returnId": back, "purchaseId": order, "timestamp": w.at(0)}}, "source": source}).want(http.StatusOK)
			shop.get(purchases + "/" + order).want(http.StatusOK).wantFields(object{"source": source})
			shop.get(returns + "/" + back).want(http.StatusOK).wantFields(object{"source": source})
		}
	})
}

func TestOrdinaryPaymentsOfStripeAreIgnored(t *testing.T) {
	eachWorld(t, ingestWorld(t), func(t *testing.T, w *world) {
		payment := id.New("pi")
		payload := w.stripeExample("payment_intent.succeeded", payment, id.New("evt"), "ada")
		for name, changed := range map[string]string{
			"a guest's":      strings.NewReplacer(`"customer_id": "ada",`, ``, `"customer": "cus_QhB7xYz1aBcDeF"`, `"customer": null`).Replace(payload),
			"of no merchant": strings.Replace(payload, `"northwind"`, `null`, 1),
		} {
			ignored := w.fromStripe(changed).want(http.StatusOK).wantFields(object{"result": "ignored", "kind": nil, "id": nil}).object()
			if text(ignored, "reason") == "" {
				t.Errorf("%s: no reason", name)
			}
		}
		w.program(identity.Operator, "").get(purchases+"/"+payment).wantProblem(http.StatusNotFound, "purchase_not_found", "")
	})
}

func TestOnlySourcesAreBelieved(t *testing.T) {
	eachWorld(t, ingestWorld(t), func(t *testing.T, w *world) {
		payment := id.New("pi")
		payload := w.stripeExample("payment_intent.succeeded", payment, id.New("evt"), "ada")
		now := w.time.Now().Unix()
		sign := func(at int64, secret, text string) string {
			return fmt.Sprintf("t=%d,v1=%s", at, hex.EncodeToString(signature(secret, fmt.Sprintf("%d.%s", at, text))))
		}
		for name, headers := range map[string][]string{
			"no signature":      nil,
			"an API key":        {"Authorization", "Bearer " + w.program(identity.Admin, "").token},
			"another secret":    {"Stripe-Signature", sign(now, stripeSecret+"x", payload)},
			"no secret":         {"Stripe-Signature", sign(now, "", payload)},
			"another payload":   {"Stripe-Signature", sign(now, stripeSecret, payload+" ")},
			"an old one":        {"Stripe-Signature", sign(now-400, stripeSecret, payload)},
			"one of the future": {"Stripe-Signature", sign(now+400, stripeSecret, payload)},
		} {
			refused := w.stranger().post("/api/v1/ingest/shop", payload, headers...)
			if refused.status != http.StatusUnauthorized || text(refused.object(), "code") != "bad_signature" {
				t.Errorf("%s: %d %s", name, refused.status, refused.text)
			}
		}
		w.stranger().post("/api/v1/ingest/erp", payload, "Stripe-Signature", sign(now, stripeSecret, payload)).wantProblem(http.StatusUnauthorized, "bad_signature", "")
		for _, name := range []string{"nobody", "Shop", "shop%00", "shop:stripe"} {
			w.stranger().post("/api/v1/ingest/"+name, payload, "Stripe-Signature", sign(now, stripeSecret, payload)).wantProblem(http.StatusNotFound, "not_found", "")
		}
		w.stranger().post("/api/v1/ingest/shop", strings.Repeat(" ", 1<<20)+payload, "Stripe-Signature", sign(now, stripeSecret, payload)).wantProblem(http.StatusRequestEntityTooLarge, "body_too_large", "")
		w.stranger().post("/api/v1/ingest/shop", payload, "Stripe-Signature", sign(now, stripeSecret, payload), "Content-Type", "text/plain").wantProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "")
		w.program(identity.Operator, "").get(purchases+"/"+payment).wantProblem(http.StatusNotFound, "purchase_not_found", "")
	})
}

func TestWhatIsNoPurchaseIsNamedAsStripeDoes(t *testing.T) {
	eachWorld(t, ingestWorld(t), func(_ *testing.T, w *world) {
		payload := w.stripeExample("payment_intent.succeeded", id.New("pi"), id.New("evt"), "ada")
		refund := w.stripeExample("charge.refunded", id.New("pi"), id.New("evt"), "ada")
		for field, changed := range map[string]string{
			"body":                                     "no JSON",
			"type":                                     "{}",
			"created":                                  strings.Replace(payload, `"created": `, `"created": 1,"was": `, 1),
			"data.object.amount_received":              strings.Replace(payload, `"amount_received": 109995`, `"amount_received": 0`, 1),
			"data.object.metadata.merchant_id":         strings.Replace(payload, `"northwind"`, `"a b"`, 1),
			"data.object.metadata.mcc":                 strings.Replace(payload, `"5732"`, `"57321"`, 1),
			"data.object.metadata.country":             strings.Replace(payload, `"country": "US"`, `"country": "`+strings.Repeat("x", 61)+`"`, 1),
			"data.object.metadata.customer_id":         strings.Replace(payload, `"customer_id": "ada"`, `"customer_id": "a b"`, 1),
			"data.object.metadata.product":             strings.Replace(payload, `"camera-x100"`, `"camera\u0000"`, 1),
			"data.object.payment_intent":               strings.Replace(refund, `"payment_intent": "pi_`, `"payment_intent": "pi/`, 1),
			"data.previous_attributes.amount_refunded": strings.Replace(refund, `"previous_attributes"`, `"previous"`, 1),
		} {
			w.fromStripe(changed).wantProblem(http.StatusBadRequest, "invalid_request", field)
		}
	})
}
