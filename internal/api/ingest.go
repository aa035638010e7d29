package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/go-json-experiment/json/jsontext"

	"florin/internal/audit"
	"florin/internal/cashback"
	"florin/internal/cashback/gateway"
	"florin/internal/ledger"
)

var ingestEndpoint = endpoint{
	id: "ingest", method: http.MethodPost, path: "/api/v1/ingest/{source}", tag: tagPurchases, isPublic: true, class: classPublic, writes: true, bodyMax: bodyMax,
	summary: "Report by a gateway",
	description: "For payment gateways and shops that send signed events: the signature is the credential. A source of the format `stripe` sends Stripe's events with the header Stripe-Signature; " +
		"one of the format `signed` sends, under the headers of [Standard Webhooks](https://www.standardwebhooks.com), `type` (purchase, return or click) and in `data` what the API takes. Other events are ignored. A source that is bound to merchants may speak for no others: 403. The same event again changes nothing. Body of at most 1 MiB.",
	request: reflect.TypeFor[IngestedEvent](), requestExample: map[string]any{"type": "purchase", "data": examplePurchaseRequest},
	answer: IngestOutcome{Result: "recorded", Kind: "purchase", ID: "inv-1001"},
	codes: []code{
		codeBadSignature, codeForbidden, codeNotFound, code(cashback.PurchaseNotFound), code(cashback.DuplicatePurchase), code(cashback.DuplicateReturn), code(cashback.DuplicateClick),
	},
}

// IngestedEvent is what a source sends: in its format.
type IngestedEvent struct{}

// Schema is the documented form.
func (IngestedEvent) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "An event in the source's format."}
}

// IngestOutcome says what became of an event. All of it is final: the event need not
// be sent again.
type IngestOutcome struct {
	Result string `json:"result" enum:"recorded,held,waiting,refused,ignored" doc:"recorded: it is on record, since now or since before. held: a purchase on record, of a customer who is not known yet. waiting: a return on record, whose purchase is not. refused: a return on record that was not applied. ignored: it means nothing here."`
	Kind   string `json:"kind,omitempty" enum:"purchase,return,click" doc:"What it was; absent when ignored."`
	ID     string `json:"id,omitempty" doc:"The purchase's, return's or click's." example:"inv-1001"`
	Reason string `json:"reason,omitempty" doc:"Why it was refused or ignored."`
}

type ingestInput struct {
	Source  string `path:"source" doc:"Name of the source, as the operator configured it." example:"shop"`
	Payload signedBody
}

type ingestOutput struct{ Body IngestOutcome }

// signedBody is a body as it came, byte for byte, and the headers beside it: what is
// signed must not have been read and written again.
type signedBody struct {
	content []byte
	header  http.Header
}

// Resolve is called by huma before the handler; what it returns is answered.
func (b *signedBody) Resolve(ctx huma.Context) []error {
	content, problem, release := readBody(ctx)
	defer release()
	if problem != nil {
		return []error{problem}
	}
	b.content, b.header = content, humagin.Unwrap(ctx).Request.Header
	return nil
}

// readSource takes what a caller may say of where a batch is from. A gateway's name is
// for its signature to give.
func (d *decoder) readSource(into *string) {
	before := len(d.problems)
	d.readText(into)
	if len(d.problems) == before && *into != cashback.SourceAPI && *into != cashback.SourceFile {
		d.problem("must be %s or %s", cashback.SourceAPI, cashback.SourceFile)
	}
}

func (a *api) routeIngest() {
	route(a, ingestEndpoint, a.ingest)
}

func (a *api) ingest(ctx context.Context, in *ingestInput) (*ingestOutput, error) {
	source, found := a.sources[in.Source]
	if !found {
		return nil, codeNotFound.problem("there is no source %.64q", in.Source)
	}
	if err := source.Verify(in.Payload.header, in.Payload.content, a.now()); err != nil {
		return nil, codeBadSignature.problem("%v", err)
	}
	event, err := readEvent(&source, in.Payload.content)
	if err != nil {
		return nil, err
	}
	r := requestFrom(ctx)
	ctx = audit.With(ctx, audit.Origin{ActorKind: "gateway", ActorID: source.Name, Address: addressText(r.address), RequestID: r.id})
	if err := a.permitEvent(ctx, &source, &event); err != nil {
		return nil, err
	}
	outcome, err := a.recordEvent(ctx, &event)
	if err != nil {
		return nil, renamed(err, event.fieldName)
	}
	return &ingestOutput{outcome}, nil
}

// sourceEvent is an event of whatever format.
type sourceEvent struct {
	gateway.Event
	click     *cashback.ClickRequest
	fieldName func(string) string // what a field of the API is called in the payload
}

func readEvent(source *gateway.Source, payload []byte) (e sourceEvent, err error) {
	if source.Format == gateway.Signed {
		return readSignedEvent(source.Name, payload)
	}
	e.Event, err = gateway.ParseStripe(source.Name, payload)
	e.fieldName = e.StripeField
	return e, err
}

// signedEvent is the body of a Standard Webhook.
type signedEvent struct {
	kind string
	data jsontext.Value
}

var signedEventMembers = []member[signedEvent]{
	{"type", true, func(d *decoder, e *signedEvent) { d.readText(&e.kind) }},
	{"timestamp", false, func(d *decoder, _ *signedEvent) { d.value() }}, // of the sending; that of the event is in data
	{"data", false, func(d *decoder, e *signedEvent) { e.data = d.value().Clone() }},
}

func (signedEvent) members() []member[signedEvent] { return signedEventMembers }

func readSignedEvent(source string, payload []byte) (e sourceEvent, err error) {
	e.fieldName = func(field string) string { return "data." + strings.TrimPrefix(field, "clicks[0].") }
	var event signedEvent
	if problems := decode(payload, &event); len(problems) > 0 {
		return e, invalidRequest(problems)
	}
	switch event.kind {
	case "purchase":
		request, err := readData[PurchaseRequest](event.data)
		purchase := request.toCashback()
		purchase.Source, e.Purchase = source, &purchase
		return e, err
	case "return":
		request, err := readData[ReturnRequest](event.data)
		returned := request.toCashback()
		returned.Source, e.Return = source, &returned
		return e, err
	case "click":
		request, err := readData[ClickRequest](event.data)
		click := request.toCashback()
		e.click = &click
		return e, err
	}
	e.Ignored = "only the types purchase, return and click are taken in"
	return e, nil
}

// readData reads what the API takes, from within an event.
func readData[T object[T]](data []byte) (request T, err error) {
	problems := decode(data, &request)
	if len(problems) == 0 {
		return request, nil
	}
	fields := make([]ledger.FieldError, len(problems))
	for i, p := range problems {
		if fields[i] = p; p.Field == "body" {
			fields[i].Field = "data"
		} else {
			fields[i].Field = "data." + p.Field
		}
	}
	return request, invalidRequest(fields)
}

// permitEvent refuses what a source reports of merchants that it may not speak for.
func (a *api) permitEvent(ctx context.Context, source *gateway.Source, e *sourceEvent) error {
	switch {
	case len(source.Merchants) == 0:
		return nil
	case e.Purchase != nil:
		return permitMerchant(source, e.Purchase.MerchantID)
	case e.Return != nil:
		return a.permitReturn(ctx, source, e.Return)
	case e.click != nil:
		return permitMerchant(source, e.click.MerchantID)
	}
	return nil
}

func permitMerchant(source *gateway.Source, merchantID string) error {
	if source.SpeaksFor(merchantID) {
		return nil
	}
	return codeForbidden.problem("the source %s may not speak for the merchant %.64q", source.Name, merchantID)
}

// permitReturn is about the merchant that the return names, and the one whose purchase
// it is of. Of a purchase that is not known yet it has to name the merchant, and the
// two are compared when the return is applied; a source of one merchant means that one.
func (a *api) permitReturn(ctx context.Context, source *gateway.Source, r *cashback.ReturnRequest) error {
	if r.PurchaseID == "" {
		return permitMerchant(source, r.MerchantID)
	}
	// Whether or not the purchase is known: the same return again has to be the same.
	if r.MerchantID == "" && len(source.Merchants) == 1 {
		r.MerchantID = source.Merchants[0]
	}
	if r.MerchantID != "" {
		if err := permitMerchant(source, r.MerchantID); err != nil {
			return err
		}
	}
	purchase, err := a.cashback.Purchase(ctx, r.PurchaseID)
	switch {
	case err == nil:
		return permitMerchant(source, purchase.MerchantID)
	case r.MerchantID != "" && errors.Is(err, cashback.PurchaseNotFound.Failure("")):
		return nil
	}
	return err
}

// recordEvent puts an event on record.
func (a *api) recordEvent(ctx context.Context, e *sourceEvent) (IngestOutcome, error) {
	switch {
	case e.Purchase != nil:
		return a.recordEventPurchase(ctx, *e.Purchase)
	case e.Return != nil:
		return a.recordEventReturn(ctx, *e.Return)
	case e.click != nil:
		outcome := IngestOutcome{Result: "recorded", Kind: "click", ID: e.click.ID}
		results, err := a.cashback.RecordClicks(ctx, []cashback.ClickRequest{*e.click})
		if err == nil {
			err = results[0].Err
		}
		return outcome, err
	}
	return IngestOutcome{Result: "ignored", Reason: e.Ignored}, nil
}

func (a *api) recordEventPurchase(ctx context.Context, r cashback.PurchaseRequest) (IngestOutcome, error) {
	purchase, err := a.cashback.Record(ctx, r)
	outcome := IngestOutcome{Result: "recorded", Kind: "purchase", ID: r.ID}
	if purchase.Status == cashback.Held {
		outcome.Result = "held"
	}
	return outcome, err
}

// recordEventReturn answers a refused return as a success: it is on record, and to
// send it again would change nothing.
func (a *api) recordEventReturn(ctx context.Context, r cashback.ReturnRequest) (IngestOutcome, error) {
	returned, err := a.cashback.Return(ctx, r)
	outcome := IngestOutcome{Result: "recorded", Kind: "return", ID: r.ID}
	switch returned.Status {
	case cashback.ReturnRefused:
		outcome.Result, outcome.Reason = "refused", string(returned.Failure.Code)+": "+returned.Failure.Message
		return outcome, nil
	case cashback.ReturnWaiting:
		outcome.Result = "waiting"
	}
	return outcome, err
}
