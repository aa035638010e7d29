package api

import (
	"context"
	"errors"
	"strings"
	"time"

	"florin/internal/cashback"
)

// SimulationRequest asks what a campaign would have given.
type SimulationRequest struct {
	From  time.Time      `json:"from" doc:"Purchases from this time on (RFC 3339)."`
	To    time.Time      `json:"to" doc:"Purchases before this time (RFC 3339)."`
	Terms *CampaignTerms `json:"terms,omitempty" doc:"Other terms than the campaign's newest ones, in the same currency. Their from, to and enabled do not count."`
}

var simulationMembers = []member[SimulationRequest]{
	{"from", true, func(d *decoder, r *SimulationRequest) { d.readInstant(&r.From) }},
	{"to", true, func(d *decoder, r *SimulationRequest) { d.readInstant(&r.To) }},
	{"terms", false, func(d *decoder, r *SimulationRequest) {
		r.Terms = &CampaignTerms{}
		decodeObject(d, r.Terms)
	}},
}

func (SimulationRequest) members() []member[SimulationRequest] { return simulationMembers }

// Forecast is what a campaign would have given.
type Forecast struct {
	CampaignID        string           `json:"campaignId" example:"kitchen-5"`
	Currency          string           `json:"currency" doc:"ISO 4217." example:"USD"`
	From              time.Time        `json:"from"`
	To                time.Time        `json:"to"`
	Purchases         int64            `json:"purchases" doc:"How many there were in the time."`
	Rewarded          int64            `json:"rewarded" doc:"Of purchases, how many would have got something."`
	Customers         int64            `json:"customers" doc:"How many customers would have."`
	Cost              Money            `json:"cost" doc:"Of all rewards."`
	MerchantPart      Money            `json:"merchantPart" doc:"Of cost, what the merchant would have paid."`
	TakenBack         Money            `json:"takenBack" doc:"Of cost, what the returns of these purchases would have taken back. It frees no budget and no cap here."`
	BudgetExhaustedAt *time.Time       `json:"budgetExhaustedAt,omitempty" doc:"Time of the first purchase that the budget had not enough for, or that took the last of it; absent when there was none."`
	Reasons           map[string]int64 `json:"reasons" nullable:"false" doc:"How many purchases each reason was of: see the findings of a purchase."`
	TopCustomers      []CustomerCost   `json:"topCustomers" nullable:"false" doc:"Who would have got most, at most 20."`
}

// CustomerCost is what one customer would have got.
type CustomerCost struct {
	CustomerID string `json:"customerId" example:"ada"`
	Rewards    int64  `json:"rewards" doc:"How many."`
	Amount     Money  `json:"amount" doc:"Of all of them."`
}

func forecastOf(campaignID string, s cashback.Simulation, f cashback.Forecast) Forecast {
	out := Forecast{
		CampaignID: campaignID, Currency: string(f.Currency), From: s.From, To: s.To, Purchases: f.Purchases, Rewarded: f.Rewarded, Customers: f.Customers,
		Cost: moneyOf(f.Cost, f.Currency), MerchantPart: moneyOf(f.MerchantPart, f.Currency), TakenBack: moneyOf(f.TakenBack, f.Currency), BudgetExhaustedAt: f.BudgetExhaustedAt,
		Reasons: map[string]int64{}, TopCustomers: make([]CustomerCost, len(f.Top)),
	}
	for reason, count := range f.Reasons {
		out.Reasons[string(reason)] = count
	}
	for i, c := range f.Top {
		out.TopCustomers[i] = CustomerCost{CustomerID: c.CustomerID, Rewards: c.Rewards, Amount: moneyOf(c.Amount, f.Currency)}
	}
	return out
}

type simulateInput struct {
	CampaignPath
	Payload jsonBody[SimulationRequest]
}

type forecastOutput struct{ Body Forecast }

func (a *api) simulateCampaign(ctx context.Context, in *simulateInput) (*forecastOutput, error) {
	r := &in.Payload.Value
	s := cashback.Simulation{From: r.From, To: r.To}
	if r.Terms != nil {
		terms := r.Terms.terms()
		s.Terms = &terms
	}
	forecast, err := a.cashback.Simulate(ctx, string(in.CampaignID), s)
	if err != nil {
		return nil, renamed(err, simulationField)
	}
	return &forecastOutput{forecastOf(string(in.CampaignID), s, forecast)}, nil
}

// simulationField is where a field of the terms stands in a simulation.
func simulationField(field string) string {
	if field == "from" || field == "to" || strings.HasPrefix(field, "terms.") {
		return field
	}
	return "terms." + field
}

// renamed names the fields of a request that makes no sense as that request does.
func renamed(err error, name func(field string) string) error {
	input := (*cashback.InvalidInput)(nil)
	if !errors.As(err, &input) {
		return err
	}
	fields := make([]cashback.FieldError, len(input.Fields))
	for i, f := range input.Fields {
		fields[i] = cashback.FieldError{Field: name(f.Field), Problem: f.Problem}
	}
	return &cashback.InvalidInput{Fields: fields}
}
