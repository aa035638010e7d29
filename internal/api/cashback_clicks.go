package api

import (
	"context"
	"strings"
	"time"

	"florin/internal/cashback"
)

// Click is a click in an answer.
type Click struct {
	ClickID    string    `json:"clickId" example:"click-77"`
	CustomerID string    `json:"customerId" example:"ada"`
	MerchantID string    `json:"merchantId" example:"bookshop"`
	CampaignID string    `json:"campaignId" example:"kitchen-5"`
	Timestamp  time.Time `json:"timestamp"`
	PurchaseID string    `json:"purchaseId,omitempty" doc:"The purchase that it brought; one at most."`
	CreatedAt  time.Time `json:"createdAt"`
}

func clickOf(c cashback.Click) Click {
	return Click{
		ClickID: c.ID, CustomerID: c.CustomerID, MerchantID: c.MerchantID, CampaignID: c.CampaignID, Timestamp: c.At, PurchaseID: c.PurchaseID, CreatedAt: c.CreatedAt,
	}
}

// ClickRequest reports that a customer followed a campaign to a merchant.
type ClickRequest struct {
	ClickID    ID        `json:"clickId" doc:"Yours, and the idempotency key." example:"click-77"`
	CustomerID ID        `json:"customerId" example:"ada"`
	MerchantID ID        `json:"merchantId" example:"bookshop"`
	CampaignID ID        `json:"campaignId" doc:"One that there is not brings nothing." example:"kitchen-5"`
	Timestamp  time.Time `json:"timestamp" doc:"When he did (RFC 3339)."`
}

var clickMembers = []member[ClickRequest]{
	{"clickId", true, func(d *decoder, r *ClickRequest) { d.readText((*string)(&r.ClickID)) }},
	{"customerId", true, func(d *decoder, r *ClickRequest) { d.readText((*string)(&r.CustomerID)) }},
	{"merchantId", true, func(d *decoder, r *ClickRequest) { d.readText((*string)(&r.MerchantID)) }},
	{"campaignId", true, func(d *decoder, r *ClickRequest) { d.readText((*string)(&r.CampaignID)) }},
	{"timestamp", true, func(d *decoder, r *ClickRequest) { d.readInstant(&r.Timestamp) }},
}

func (ClickRequest) members() []member[ClickRequest] { return clickMembers }

func (r *ClickRequest) toCashback() cashback.ClickRequest {
	return cashback.ClickRequest{
		ID: string(r.ClickID), CustomerID: string(r.CustomerID), MerchantID: string(r.MerchantID), CampaignID: string(r.CampaignID), At: r.Timestamp,
	}
}

// ClickBatchRequest reports many clicks at once.
type ClickBatchRequest struct {
	Clicks []ClickRequest `json:"clicks" minItems:"1" maxItems:"10000" nullable:"false"`
}

var clickBatchMembers = []member[ClickBatchRequest]{
	{"clicks", true, func(d *decoder, r *ClickBatchRequest) { decodeList(d, &r.Clicks, cashback.MaxBatch) }},
}

func (ClickBatchRequest) members() []member[ClickBatchRequest] { return clickBatchMembers }

// ClickBatchOutcome says what became of a batch of clicks.
type ClickBatchOutcome struct {
	Succeeded int            `json:"succeeded" doc:"How many are on record."`
	Failed    int            `json:"failed" doc:"How many are not."`
	Results   []BatchedClick `json:"results" nullable:"false" doc:"One for each click, in their order."`
}

// BatchedClick says what became of one click of a batch.
type BatchedClick struct {
	Index          int    `json:"index" doc:"Place in the request, from 0."`
	ClickID        string `json:"clickId" example:"click-77"`
	Status         string `json:"status" enum:"RECORDED,FAILED"`
	FailureCode    string `json:"failureCode,omitempty" doc:"Why it FAILED: a code of the table of errors."`
	FailureMessage string `json:"failureMessage,omitempty" doc:"The same for people."`
}

type clickInput struct{ Payload jsonBody[ClickRequest] }

type clickBatchInput struct{ Payload jsonBody[ClickBatchRequest] }

type createdClickOutput struct{ Body Click }

type clickBatchOutput struct{ Body ClickBatchOutcome }

func (a *api) routeClicks() {
	route(a, recordClickEndpoint, a.recordClick)
	route(a, recordClicksEndpoint.with(a.limitBatches), a.recordClicks)
}

func (a *api) recordClick(ctx context.Context, in *clickInput) (*createdClickOutput, error) {
	results, err := a.cashback.RecordClicks(ctx, []cashback.ClickRequest{in.Payload.Value.toCashback()})
	if err != nil {
		return nil, renamed(err, func(field string) string { return strings.TrimPrefix(field, "clicks[0].") })
	}
	if err := results[0].Err; err != nil {
		return nil, err
	}
	return &createdClickOutput{clickOf(results[0].Click)}, nil
}

func (a *api) recordClicks(ctx context.Context, in *clickBatchInput) (*clickBatchOutput, error) {
	r := &in.Payload.Value
	requests := make([]cashback.ClickRequest, len(r.Clicks))
	for i := range r.Clicks {
		requests[i] = r.Clicks[i].toCashback()
	}
	results, err := a.cashback.RecordClicks(ctx, requests)
	if err != nil {
		return nil, err
	}
	outcome := ClickBatchOutcome{Results: make([]BatchedClick, len(results))}
	for i := range results {
		out := &outcome.Results[i]
		*out = BatchedClick{Index: i, ClickID: string(r.Clicks[i].ClickID), Status: "RECORDED"}
		if err := results[i].Err; err != nil {
			outcome.Failed++
			out.Status = itemFailed
			out.FailureCode, out.FailureMessage = itemFailure(ctx, err)
			continue
		}
		outcome.Succeeded++
	}
	return &clickBatchOutput{outcome}, nil
}
