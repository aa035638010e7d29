package api

import (
	"cmp"
	"context"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/money"
)

// Purchase is a purchase in an answer.
type Purchase struct {
	PurchaseID       string              `json:"purchaseId" example:"inv-1001"`
	MerchantID       string              `json:"merchantId" example:"bookshop"`
	CustomerID       string              `json:"customerId" example:"ada"`
	Currency         string              `json:"currency" doc:"ISO 4217." example:"USD"`
	Country          string              `json:"country,omitempty" doc:"Of the sale." example:"GB"`
	Timestamp        time.Time           `json:"timestamp" doc:"When it was bought."`
	Amount           ExactAmount         `json:"amount" doc:"Sum of the lines."`
	Returned         ExactAmount         `json:"returned" doc:"Of amount, what came back."`
	Status           string              `json:"status" enum:"HELD,ACCEPTED,RETURNED" doc:"HELD: the customer is not known yet. ACCEPTED: evaluated. RETURNED: all of it came back."`
	ClickID          string              `json:"clickId,omitempty" doc:"As it was reported; the click that counted stands in evaluation."`
	PaymentReference string              `json:"paymentReference,omitempty"`
	Source           string              `json:"source" doc:"api, file, or the gateway that it came from." example:"api"`
	RecordedBy       string              `json:"recordedBy,omitempty" doc:"Id of the key or user that reported it, or the name of the gateway."`
	CreatedAt        time.Time           `json:"createdAt"`
	UpdatedAt        time.Time           `json:"updatedAt"`
	Lines            []PurchaseLine      `json:"lines,omitempty" nullable:"false" doc:"Only when read alone."`
	Evaluation       *PurchaseEvaluation `json:"evaluation,omitempty" doc:"What the campaigns made of it; only when read alone, and not while HELD."`
	Rewards          []Reward            `json:"rewards,omitempty" nullable:"false" doc:"What the customer gets for it; only when read alone."`
}

// PurchaseLine is one line of a purchase.
type PurchaseLine struct {
	Product     string      `json:"product" example:"22720"`
	Description string      `json:"description,omitempty" example:"Cake tins"`
	Category    string      `json:"category,omitempty" example:"kitchen"`
	MCC         string      `json:"mcc,omitempty" doc:"Merchant category code." example:"5719"`
	Quantity    int64       `json:"quantity"`
	UnitPrice   ExactAmount `json:"unitPrice"`
	Amount      ExactAmount `json:"amount" doc:"Quantity times price."`
	Returned    int64       `json:"returned,omitempty" doc:"Of quantity, what came back."`
}

// PurchaseEvaluation is what the rules made of a purchase, and what they knew.
type PurchaseEvaluation struct {
	ProgramVersion int64       `json:"programVersion" doc:"Of the program that counted."`
	ClickID        string      `json:"clickId,omitempty" doc:"The click that it was attributed to."`
	Country        string      `json:"country,omitempty" doc:"The customer's."`
	Tier           string      `json:"tier,omitempty" doc:"The customer's, without this purchase; absent below the first."`
	Spend          ExactAmount `json:"spend" doc:"What the tier is by."`
	Purchases      int64       `json:"purchases" doc:"Of the customer, before this one."`
	Segments       []string    `json:"segments,omitempty" nullable:"false" doc:"The customer's, by list and by rule."`
	Findings       []Finding   `json:"findings" nullable:"false" doc:"Of every campaign that was enabled and had its time in its period, by id."`
}

// Finding is what one campaign made of a purchase.
type Finding struct {
	CampaignID      string       `json:"campaignId" example:"kitchen-5"`
	CampaignVersion int64        `json:"campaignVersion"`
	Reason          string       `json:"reason" enum:"applied,capped_per_purchase,capped_per_customer,capped_by_budget,other_merchant,other_currency,no_click,condition_false,no_lines,below_minimum,rounds_to_zero,customer_cap_reached,budget_exhausted,funding_insufficient,outdone,evaluation_failed" doc:"Of the first four a reward comes."`
	Detail          string       `json:"detail,omitempty" doc:"The error of an evaluation, or the campaign that came first."`
	Base            *ExactAmount `json:"base,omitempty" doc:"Amount of the lines that count."`
	Rate            *Number      `json:"rate,omitempty" doc:"The percent that was used."`
	Multiplier      *Number      `json:"multiplier,omitempty" doc:"The tier's."`
	Computed        *Number      `json:"computed,omitempty" doc:"The reward before caps and rounding."`
	Amount          Money        `json:"amount" doc:"What is given."`
	MerchantPart    Money        `json:"merchantPart" doc:"Of amount, what the merchant pays."`
}

// purchaseOf is a purchase as a list has it.
func purchaseOf(p cashback.Purchase) Purchase {
	return Purchase{
		PurchaseID: p.ID, MerchantID: p.MerchantID, CustomerID: p.CustomerID, Currency: string(p.Currency), Country: p.Country, Timestamp: p.At,
		Amount: exactOf(p.Amount, p.Currency), Returned: exactOf(p.Returned, p.Currency), Status: string(p.Status),
		ClickID: p.ClickID, PaymentReference: p.PaymentReference, Source: p.Source, RecordedBy: p.RecordedBy, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
}

func purchaseInFullOf(p cashback.Purchase) Purchase {
	out := purchaseOf(p)
	out.Lines = make([]PurchaseLine, len(p.Lines))
	for i, l := range p.Lines {
		returned := int64(0)
		if i < len(p.Taken) {
			returned = p.Taken[i]
		}
		out.Lines[i] = purchaseLineOf(l, returned, p.Currency)
	}
	if p.Evaluation != nil {
		out.Evaluation = evaluationOf(p.Evaluation, p.Currency)
	}
	out.Rewards = rewardsOf(p.Rewards)
	return out
}

func purchaseLineOf(l rules.Line, returned int64, currency money.Currency) PurchaseLine {
	return PurchaseLine{
		Product: l.Product, Description: l.Description, Category: l.Category, MCC: l.MCC, Quantity: l.Quantity,
		UnitPrice: exactOf(l.UnitPrice, currency), Amount: exactOf(l.Amount(), currency), Returned: returned,
	}
}

func evaluationOf(e *cashback.Evaluation, currency money.Currency) *PurchaseEvaluation {
	out := &PurchaseEvaluation{
		ProgramVersion: e.Program, ClickID: e.ClickID, Country: e.Customer.Country, Tier: e.Customer.Tier,
		Spend: exactOf(e.Customer.Spend, currency), Purchases: e.Customer.Purchases, Segments: e.Customer.Segments,
		Findings: make([]Finding, len(e.Findings)),
	}
	for i, f := range e.Findings {
		out.Findings[i] = findingOf(f, currency)
	}
	return out
}

func findingOf(f rules.Finding, currency money.Currency) Finding {
	out := Finding{
		CampaignID: f.CampaignID, CampaignVersion: f.Version, Reason: string(f.Reason), Detail: f.Detail,
		Rate: numberUnlessZero(f.Rate), Multiplier: numberUnlessZero(f.Multiplier), Computed: numberUnlessZero(f.Computed),
		Amount: moneyOf(f.Amount, currency), MerchantPart: moneyOf(f.MerchantPart, currency),
	}
	if !f.Base.IsZero() {
		base := exactOf(f.Base, currency)
		out.Base = &base
	}
	return out
}

// PurchaseRequest reports a purchase.
type PurchaseRequest struct {
	PurchaseID       ID                    `json:"purchaseId" doc:"Yours, and the idempotency key: the same purchase again gives the purchase as it is now, another one under the same id a 409." example:"inv-1001"`
	MerchantID       ID                    `json:"merchantId" example:"bookshop"`
	CustomerID       ID                    `json:"customerId" doc:"Of one who is not entered yet the purchase is HELD until he is." example:"ada"`
	Currency         string                `json:"currency" doc:"ISO 4217." example:"USD"`
	Country          string                `json:"country,omitempty" maxLength:"60" doc:"Of the sale, best ISO 3166-1 alpha-2." example:"GB"`
	Timestamp        time.Time             `json:"timestamp" doc:"When it was bought (RFC 3339): it counts for periods, tiers and caps."`
	Lines            []PurchaseLineRequest `json:"lines" minItems:"1" maxItems:"2000" nullable:"false"`
	ClickID          ID                    `json:"clickId,omitempty" doc:"The click that brought it. Without it, the latest of the customer's at the merchant that is free and in its campaign's time."`
	PaymentReference string                `json:"paymentReference,omitempty" maxLength:"255" doc:"What a gateway calls the payment."`
}

// PurchaseLineRequest is one line of a purchase.
type PurchaseLineRequest struct {
	Product     string `json:"product" maxLength:"100" example:"22720"`
	Description string `json:"description,omitempty" maxLength:"500" example:"Cake tins"`
	Category    string `json:"category,omitempty" maxLength:"100" example:"kitchen"`
	MCC         string `json:"mcc,omitempty" maxLength:"4" doc:"Merchant category code." example:"5719"`
	Quantity    int    `json:"quantity" minimum:"1" maximum:"1000000"`
	UnitPrice   Amount `json:"unitPrice" doc:"Zero or more, with up to 4 decimals whatever the currency has."`
}

var purchaseMembers = []member[PurchaseRequest]{
	{"purchaseId", true, func(d *decoder, r *PurchaseRequest) { d.readText((*string)(&r.PurchaseID)) }},
	{"merchantId", true, func(d *decoder, r *PurchaseRequest) { d.readText((*string)(&r.MerchantID)) }},
	{"customerId", true, func(d *decoder, r *PurchaseRequest) { d.readText((*string)(&r.CustomerID)) }},
	{"currency", true, func(d *decoder, r *PurchaseRequest) { d.readText(&r.Currency) }},
	{"country", false, func(d *decoder, r *PurchaseRequest) { d.readText(&r.Country) }},
	{"timestamp", true, func(d *decoder, r *PurchaseRequest) { d.readInstant(&r.Timestamp) }},
	{"lines", true, func(d *decoder, r *PurchaseRequest) { decodeList(d, &r.Lines, cashback.MaxLines) }},
	{"clickId", false, func(d *decoder, r *PurchaseRequest) { d.readText((*string)(&r.ClickID)) }},
	{"paymentReference", false, func(d *decoder, r *PurchaseRequest) { d.readText(&r.PaymentReference) }},
}

func (PurchaseRequest) members() []member[PurchaseRequest] { return purchaseMembers }

var purchaseLineMembers = []member[PurchaseLineRequest]{
	{"product", true, func(d *decoder, r *PurchaseLineRequest) { d.readText(&r.Product) }},
	{"description", false, func(d *decoder, r *PurchaseLineRequest) { d.readText(&r.Description) }},
	{"category", false, func(d *decoder, r *PurchaseLineRequest) { d.readText(&r.Category) }},
	{"mcc", false, func(d *decoder, r *PurchaseLineRequest) { d.readText(&r.MCC) }},
	{"quantity", true, func(d *decoder, r *PurchaseLineRequest) { d.readInt(&r.Quantity) }},
	{"unitPrice", true, func(d *decoder, r *PurchaseLineRequest) { d.readAmount(&r.UnitPrice) }},
}

func (PurchaseLineRequest) members() []member[PurchaseLineRequest] { return purchaseLineMembers }

func (r *PurchaseRequest) toCashback() cashback.PurchaseRequest {
	lines := make([]rules.Line, len(r.Lines))
	for i := range r.Lines {
		l := &r.Lines[i]
		lines[i] = rules.Line{
			Product: l.Product, Description: l.Description, Category: l.Category, MCC: l.MCC, Quantity: int64(l.Quantity), UnitPrice: l.UnitPrice.Decimal,
		}
	}
	return cashback.PurchaseRequest{
		ID: string(r.PurchaseID), MerchantID: string(r.MerchantID), CustomerID: string(r.CustomerID), Currency: money.Currency(r.Currency),
		Country: r.Country, At: r.Timestamp, Lines: lines, ClickID: string(r.ClickID), PaymentReference: r.PaymentReference, Source: cashback.SourceAPI,
	}
}

// PurchaseBatchRequest reports many purchases at once.
type PurchaseBatchRequest struct {
	Purchases []PurchaseRequest `json:"purchases" minItems:"1" maxItems:"10000" nullable:"false" doc:"Evaluated in this order."`
	Source    string            `json:"source,omitempty" enum:"api,file" default:"api" doc:"Where they are from: file when a program read them there."`
}

var purchaseBatchMembers = []member[PurchaseBatchRequest]{
	{"purchases", true, func(d *decoder, r *PurchaseBatchRequest) { decodeList(d, &r.Purchases, cashback.MaxBatch) }},
	{"source", false, func(d *decoder, r *PurchaseBatchRequest) { d.readSource(&r.Source) }},
}

func (PurchaseBatchRequest) members() []member[PurchaseBatchRequest] { return purchaseBatchMembers }

// PurchaseBatchOutcome says what became of a batch of purchases.
type PurchaseBatchOutcome struct {
	Succeeded int               `json:"succeeded" doc:"How many are on record."`
	Failed    int               `json:"failed" doc:"How many are not."`
	Results   []BatchedPurchase `json:"results" nullable:"false" doc:"One for each purchase, in their order."`
}

// BatchedPurchase says what became of one purchase of a batch.
type BatchedPurchase struct {
	Index          int    `json:"index" doc:"Place in the request, from 0."`
	PurchaseID     string `json:"purchaseId" example:"inv-1001"`
	Status         string `json:"status" enum:"HELD,ACCEPTED,RETURNED,FAILED" doc:"FAILED: nothing was recorded."`
	Reward         *Money `json:"reward,omitempty" doc:"Sum of what campaigns gave for it. Absent while HELD."`
	FailureCode    string `json:"failureCode,omitempty" doc:"Why it FAILED: a code of the table of errors."`
	FailureMessage string `json:"failureMessage,omitempty" doc:"The same for people."`
}

// PurchasePath names a purchase.
type PurchasePath struct {
	PurchaseID ID `path:"purchaseId" doc:"The purchase's id." example:"inv-1001"`
}

// PurchaseList is a page of purchases.
type PurchaseList struct {
	Data       []Purchase `json:"data" nullable:"false"`
	NextCursor string     `json:"nextCursor,omitempty" doc:"Where the next page begins; absent on the last."`
}

type purchaseInput struct{ Payload jsonBody[PurchaseRequest] }

type purchaseBatchInput struct {
	Payload jsonBody[PurchaseBatchRequest]
}

type listPurchasesInput struct {
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
	Period
	CustomerID       ID     `query:"customerId" doc:"Of this customer alone." example:"ada"`
	MerchantID       ID     `query:"merchantId" doc:"At this merchant alone." example:"bookshop"`
	PaymentReference string `query:"paymentReference" maxLength:"255" doc:"With this payment alone."`
}

type createdPurchaseOutput struct {
	Location string `header:"Location" doc:"Path of the purchase."`
	Body     Purchase
}

type purchaseOutput struct{ Body Purchase }

type purchasesOutput struct{ Body PurchaseList }

type purchaseBatchOutput struct{ Body PurchaseBatchOutcome }

func (a *api) routePurchases() {
	route(a, recordPurchaseEndpoint, a.recordPurchase)
	route(a, recordPurchasesEndpoint.with(a.limitBatches), a.recordPurchases)
	route(a, listPurchasesEndpoint, a.listPurchases)
	route(a, getPurchaseEndpoint, a.getPurchase)
}

func (a *api) recordPurchase(ctx context.Context, in *purchaseInput) (*createdPurchaseOutput, error) {
	p, err := a.cashback.Record(ctx, in.Payload.Value.toCashback())
	if err != nil {
		return nil, err
	}
	return &createdPurchaseOutput{Location: "/api/v1/purchases/" + p.ID, Body: purchaseInFullOf(p)}, nil
}

func (a *api) recordPurchases(ctx context.Context, in *purchaseBatchInput) (*purchaseBatchOutput, error) {
	r := &in.Payload.Value
	requests := make([]cashback.PurchaseRequest, len(r.Purchases))
	for i := range r.Purchases {
		requests[i] = r.Purchases[i].toCashback()
		requests[i].Source = cmp.Or(r.Source, requests[i].Source)
	}
	results, err := a.cashback.RecordBatch(ctx, requests)
	if err != nil {
		return nil, err
	}
	outcome := PurchaseBatchOutcome{Results: make([]BatchedPurchase, len(results))}
	for i := range results {
		p, out := &results[i].Purchase, &outcome.Results[i]
		*out = BatchedPurchase{Index: i, PurchaseID: string(r.Purchases[i].PurchaseID), Status: string(p.Status), Reward: granted(p)}
		if err := results[i].Err; err != nil {
			outcome.Failed++
			out.Status, out.Reward = itemFailed, nil
			out.FailureCode, out.FailureMessage = itemFailure(ctx, err)
			continue
		}
		outcome.Succeeded++
	}
	return &purchaseBatchOutput{outcome}, nil
}

// granted is the sum of what campaigns gave for a purchase when it was evaluated;
// nil while it is HELD.
func granted(p *cashback.Purchase) *Money {
	if p.Evaluation == nil {
		return nil
	}
	sum := decimal.Zero
	for i := range p.Evaluation.Findings {
		sum = sum.Add(p.Evaluation.Findings[i].Amount)
	}
	written := moneyOf(sum, p.Currency)
	return &written
}

// itemFailed is the status of an item of a batch of which nothing was recorded.
const itemFailed = "FAILED"

// itemFailure says why, as the same request alone would have been answered.
func itemFailure(ctx context.Context, err error) (code, message string) {
	problem := problemFor(ctx, err)
	return string(problem.Code), problem.Detail
}

func (a *api) getPurchase(ctx context.Context, in *PurchasePath) (*purchaseOutput, error) {
	p, err := a.cashback.Purchase(ctx, string(in.PurchaseID))
	if err != nil {
		return nil, err
	}
	return &purchaseOutput{purchaseInFullOf(p)}, nil
}

func (a *api) listPurchases(ctx context.Context, in *listPurchasesInput) (*purchasesOutput, error) {
	const kind = "purchases"
	after, err := cashbackAfter(in.Cursor, kind)
	if err != nil {
		return nil, err
	}
	rows, err := a.cashback.Purchases(ctx, cashback.PurchaseFilter{
		CustomerID: string(in.CustomerID), MerchantID: string(in.MerchantID), PaymentReference: in.PaymentReference, From: in.From, To: in.To,
	}, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := PurchaseList{Data: make([]Purchase, len(rows))}
	for i, row := range rows {
		list.Data[i] = purchaseOf(row)
	}
	if more {
		last := rows[len(rows)-1].Position()
		list.NextCursor = placeCursor(kind, last.At, last.ID)
	}
	return &purchasesOutput{list}, nil
}

// cashbackAfter is the place that a page of such a list goes on from; nil for the
// first.
func cashbackAfter(cursor, kind string) (*cashback.Position, error) {
	at, id, err := placeAfter(cursor, kind)
	if err != nil || id == "" {
		return nil, err
	}
	return &cashback.Position{At: at, ID: id}, nil
}
