package api

import (
	"cmp"
	"context"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback"
	"florin/internal/money"
)

// Return is a return in an answer.
type Return struct {
	ReturnID       string         `json:"returnId" example:"back-1001"`
	PurchaseID     string         `json:"purchaseId,omitempty" doc:"As it was reported; absent of one that was matched." example:"inv-1001"`
	CustomerID     string         `json:"customerId,omitempty"`
	MerchantID     string         `json:"merchantId,omitempty"`
	Lines          []ReturnedLine `json:"lines,omitempty" nullable:"false" doc:"As they were reported."`
	Amount         *Number        `json:"amount,omitempty" doc:"As it was reported."`
	Timestamp      time.Time      `json:"timestamp" doc:"When it came back."`
	Status         string         `json:"status" enum:"WAITING,APPLIED,REFUSED" doc:"WAITING: the purchase is not known, or HELD, yet. REFUSED: nothing was taken back."`
	FailureCode    string         `json:"failureCode,omitempty" doc:"Why it is REFUSED: a code of the table of errors."`
	FailureMessage string         `json:"failureMessage,omitempty" doc:"The same for people."`
	Parts          []ReturnedPart `json:"parts" nullable:"false" doc:"What it was taken off."`
	Reversed       Number         `json:"reversed" doc:"Of rewards, what was taken back for it, in the purchase's currency." example:"0.99"`
	Source         string         `json:"source" doc:"api, file, or the gateway that it came from." example:"api"`
	RecordedBy     string         `json:"recordedBy,omitempty" doc:"Id of the key or user that reported it, or the name of the gateway."`
	CreatedAt      time.Time      `json:"createdAt"`
	UpdatedAt      time.Time      `json:"updatedAt"`
}

// ReturnedLine names a line of a purchase.
type ReturnedLine struct {
	Line     *int   `json:"line,omitempty" minimum:"0" doc:"Its place in the purchase, from 0; or else product."`
	Product  string `json:"product,omitempty" doc:"Of the line; the first ones that have it." example:"22720"`
	Quantity int    `json:"quantity" minimum:"1" maximum:"1000000"`
}

// ReturnedPart is what a return was taken off.
type ReturnedPart struct {
	PurchaseID string `json:"purchaseId"`
	Line       *int   `json:"line,omitempty" doc:"Place of the line in the purchase, from 0; absent of an amount."`
	Quantity   int64  `json:"quantity,omitempty"`
	Amount     Number `json:"amount" doc:"At the purchase's prices." example:"9.90"`
}

func returnOf(r cashback.Return) Return {
	out := Return{
		ReturnID: r.ID, PurchaseID: r.PurchaseID, CustomerID: r.CustomerID, MerchantID: r.MerchantID, Timestamp: r.At, Status: string(r.Status),
		Parts: make([]ReturnedPart, len(r.Parts)), Reversed: returnedAmount(r.Reversed, r.Currency), Source: r.Source, RecordedBy: r.RecordedBy, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	for _, l := range r.Lines {
		out.Lines = append(out.Lines, ReturnedLine{Line: l.Line, Product: l.Product, Quantity: int(l.Quantity)})
	}
	if r.Amount.Valid {
		amount := returnedAmount(r.Amount.Decimal, r.Currency)
		out.Amount = &amount
	}
	if r.Failure != nil {
		out.FailureCode, out.FailureMessage = string(r.Failure.Code), r.Failure.Message
	}
	for i, p := range r.Parts {
		out.Parts[i] = ReturnedPart{PurchaseID: p.PurchaseID, Quantity: p.Quantity, Amount: Number(p.Amount)}
		if value, err := decimal.NewFromString(p.Amount); err == nil {
			out.Parts[i].Amount = returnedAmount(value, r.Currency)
		}
		if line := p.Line; line >= 0 {
			out.Parts[i].Line = &line
		}
	}
	return out
}

// returnedAmount is exact, with the decimals of the currency once that is known: a
// return may come before its purchase.
func returnedAmount(value decimal.Decimal, currency money.Currency) Number {
	if currency == "" {
		return numberOf(value)
	}
	return Number(moneyOf(value, currency))
}

// ReturnRequest reports that something bought came back, or was cancelled.
type ReturnRequest struct {
	ReturnID   ID             `json:"returnId" doc:"Yours, and the idempotency key: the same return again gives the return as it is now, another one under the same id a 409." example:"back-1001"`
	PurchaseID ID             `json:"purchaseId,omitempty" doc:"The purchase; in a path that names it absent or the same. Without it the return is taken off what the customer bought at the merchant before timestamp, the newest purchase first: then customerId, merchantId and lines with products are needed." example:"inv-1001"`
	CustomerID ID             `json:"customerId,omitempty" doc:"Where there is no purchaseId." example:"ada"`
	MerchantID ID             `json:"merchantId,omitempty" doc:"Where there is no purchaseId." example:"bookshop"`
	Lines      []ReturnedLine `json:"lines,omitempty" maxItems:"2000" nullable:"false" doc:"What came back. Without lines and amount it is all that is left of the purchase."`
	Amount     Amount         `json:"amount,omitempty" doc:"What was paid back, where the lines are not known: it is spread over all of them."`
	Timestamp  time.Time      `json:"timestamp" doc:"When it came back (RFC 3339)."`
}

var returnMembers = []member[ReturnRequest]{
	{"returnId", true, func(d *decoder, r *ReturnRequest) { d.readText((*string)(&r.ReturnID)) }},
	{"purchaseId", false, func(d *decoder, r *ReturnRequest) { d.readText((*string)(&r.PurchaseID)) }},
	{"customerId", false, func(d *decoder, r *ReturnRequest) { d.readText((*string)(&r.CustomerID)) }},
	{"merchantId", false, func(d *decoder, r *ReturnRequest) { d.readText((*string)(&r.MerchantID)) }},
	{"lines", false, func(d *decoder, r *ReturnRequest) { decodeList(d, &r.Lines, cashback.MaxLines) }},
	{"amount", false, func(d *decoder, r *ReturnRequest) { d.readAmount(&r.Amount) }},
	{"timestamp", true, func(d *decoder, r *ReturnRequest) { d.readInstant(&r.Timestamp) }},
}

func (ReturnRequest) members() []member[ReturnRequest] { return returnMembers }

var returnedLineMembers = []member[ReturnedLine]{
	{"line", false, func(d *decoder, r *ReturnedLine) { d.readOptionalInt(&r.Line) }},
	{"product", false, func(d *decoder, r *ReturnedLine) { d.readText(&r.Product) }},
	{"quantity", true, func(d *decoder, r *ReturnedLine) { d.readInt(&r.Quantity) }},
}

func (ReturnedLine) members() []member[ReturnedLine] { return returnedLineMembers }

func (r *ReturnRequest) toCashback() cashback.ReturnRequest {
	request := cashback.ReturnRequest{
		ID: string(r.ReturnID), PurchaseID: string(r.PurchaseID), CustomerID: string(r.CustomerID), MerchantID: string(r.MerchantID),
		Amount: r.Amount.NullDecimal, At: r.Timestamp, Source: cashback.SourceAPI,
	}
	for _, l := range r.Lines {
		request.Lines = append(request.Lines, cashback.ReturnedLine{Line: l.Line, Product: l.Product, Quantity: int64(l.Quantity)})
	}
	return request
}

// ReturnBatchRequest reports many returns at once.
type ReturnBatchRequest struct {
	Returns []ReturnRequest `json:"returns" minItems:"1" maxItems:"10000" nullable:"false" doc:"Applied in this order."`
	Source  string          `json:"source,omitempty" enum:"api,file" default:"api" doc:"Where they are from: file when a program read them there."`
}

var returnBatchMembers = []member[ReturnBatchRequest]{
	{"returns", true, func(d *decoder, r *ReturnBatchRequest) { decodeList(d, &r.Returns, cashback.MaxBatch) }},
	{"source", false, func(d *decoder, r *ReturnBatchRequest) { d.readSource(&r.Source) }},
}

func (ReturnBatchRequest) members() []member[ReturnBatchRequest] { return returnBatchMembers }

// ReturnBatchOutcome says what became of a batch of returns.
type ReturnBatchOutcome struct {
	Succeeded int             `json:"succeeded" doc:"How many are APPLIED or WAITING."`
	Failed    int             `json:"failed" doc:"How many are not."`
	Results   []BatchedReturn `json:"results" nullable:"false" doc:"One for each return, in their order."`
}

// BatchedReturn says what became of one return of a batch.
type BatchedReturn struct {
	Index          int     `json:"index" doc:"Place in the request, from 0."`
	ReturnID       string  `json:"returnId" example:"back-1001"`
	Status         string  `json:"status" enum:"WAITING,APPLIED,REFUSED,FAILED" doc:"REFUSED is on record; of FAILED nothing is."`
	Reversed       *Number `json:"reversed,omitempty" doc:"Of rewards, what was taken back for it."`
	FailureCode    string  `json:"failureCode,omitempty" doc:"Why it is REFUSED or FAILED: a code of the table of errors."`
	FailureMessage string  `json:"failureMessage,omitempty" doc:"The same for people."`
}

// ReturnPath names a return.
type ReturnPath struct {
	ReturnID ID `path:"returnId" doc:"The return's id." example:"back-1001"`
}

type purchaseReturnInput struct {
	PurchasePath
	Payload jsonBody[ReturnRequest]
}

type returnInput struct{ Payload jsonBody[ReturnRequest] }

type returnBatchInput struct{ Payload jsonBody[ReturnBatchRequest] }

type createdReturnOutput struct {
	Location string `header:"Location" doc:"Path of the return."`
	Body     Return
}

type returnOutput struct{ Body Return }

type returnBatchOutput struct{ Body ReturnBatchOutcome }

func (a *api) routeReturns() {
	route(a, returnPurchaseEndpoint, a.returnPurchase)
	route(a, recordReturnEndpoint, a.recordReturn)
	route(a, recordReturnsEndpoint.with(a.limitBatches), a.recordReturns)
	route(a, getReturnEndpoint, a.getReturn)
}

func (a *api) returnPurchase(ctx context.Context, in *purchaseReturnInput) (*createdReturnOutput, error) {
	r := &in.Payload.Value
	if r.PurchaseID != "" && r.PurchaseID != in.PurchaseID {
		return nil, invalidField("purchaseId", "must be the one of the path, or absent")
	}
	r.PurchaseID = in.PurchaseID
	return a.createdReturn(ctx, r)
}

func (a *api) recordReturn(ctx context.Context, in *returnInput) (*createdReturnOutput, error) {
	return a.createdReturn(ctx, &in.Payload.Value)
}

func (a *api) createdReturn(ctx context.Context, r *ReturnRequest) (*createdReturnOutput, error) {
	recorded, err := a.cashback.Return(ctx, r.toCashback())
	if err != nil {
		return nil, err
	}
	return &createdReturnOutput{Location: "/api/v1/returns/" + recorded.ID, Body: returnOf(recorded)}, nil
}

func (a *api) recordReturns(ctx context.Context, in *returnBatchInput) (*returnBatchOutput, error) {
	r := &in.Payload.Value
	requests := make([]cashback.ReturnRequest, len(r.Returns))
	for i := range r.Returns {
		requests[i] = r.Returns[i].toCashback()
		requests[i].Source = cmp.Or(r.Source, requests[i].Source)
	}
	results, err := a.cashback.ReturnBatch(ctx, requests)
	if err != nil {
		return nil, err
	}
	outcome := ReturnBatchOutcome{Results: make([]BatchedReturn, len(results))}
	for i := range results {
		recorded, out := &results[i].Return, &outcome.Results[i]
		*out = BatchedReturn{Index: i, ReturnID: string(r.Returns[i].ReturnID), Status: cmp.Or(string(recorded.Status), itemFailed)}
		if err := results[i].Err; err != nil {
			outcome.Failed++
			out.FailureCode, out.FailureMessage = itemFailure(ctx, err)
			continue
		}
		outcome.Succeeded++
		reversed := returnedAmount(recorded.Reversed, recorded.Currency)
		out.Reversed = &reversed
	}
	return &returnBatchOutput{outcome}, nil
}

func (a *api) getReturn(ctx context.Context, in *ReturnPath) (*returnOutput, error) {
	r, err := a.cashback.ReturnByID(ctx, string(in.ReturnID))
	if err != nil {
		return nil, err
	}
	return &returnOutput{returnOf(r)}, nil
}
