package api

import (
	"context"
	"errors"
	"time"

	"florin/internal/cashback"
	"florin/internal/identity"
)

// CashbackCustomer is a customer who takes part in cashback.
type CashbackCustomer struct {
	CustomerID string    `json:"customerId" example:"ada"`
	AccountID  string    `json:"accountId" doc:"Where rewards are paid to." example:"alice"`
	Country    string    `json:"country,omitempty" example:"GB"`
	Segments   []string  `json:"segments" nullable:"false" doc:"By list; those by rule are in the program."`
	Tier       string    `json:"tier,omitempty" doc:"By the newest purchase; absent below the first."`
	Purchases  int64     `json:"purchases" doc:"How many were evaluated."`
	CreatedAt  time.Time `json:"createdAt"`
	UpdatedAt  time.Time `json:"updatedAt"`
}

func cashbackCustomerOf(c cashback.Customer) CashbackCustomer {
	out := CashbackCustomer{
		CustomerID: c.ID, AccountID: c.AccountID, Country: c.Country, Segments: c.Segments, Tier: c.Tier, Purchases: c.Purchases, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	if out.Segments == nil {
		out.Segments = []string{}
	}
	return out
}

// CashbackCustomerRequest enters a customer, or changes him.
type CashbackCustomerRequest struct {
	AccountID ID       `json:"accountId" doc:"Where rewards are paid to: a customer's account." example:"alice"`
	Country   string   `json:"country,omitempty" maxLength:"60" doc:"Best ISO 3166-1 alpha-2." example:"GB"`
	Segments  []string `json:"segments,omitempty" maxItems:"100" nullable:"false" doc:"All that he is on the list of; the earlier ones are replaced." example:"[\"vip\"]"`
}

var cashbackCustomerMembers = []member[CashbackCustomerRequest]{
	{"accountId", true, func(d *decoder, r *CashbackCustomerRequest) { d.readText((*string)(&r.AccountID)) }},
	{"country", false, func(d *decoder, r *CashbackCustomerRequest) { d.readText(&r.Country) }},
	{"segments", false, func(d *decoder, r *CashbackCustomerRequest) { d.readTexts(&r.Segments, cashback.MaxSegments) }},
}

func (CashbackCustomerRequest) members() []member[CashbackCustomerRequest] {
	return cashbackCustomerMembers
}

// TierHistory is how a customer's tier changed.
type TierHistory struct {
	Tier string       `json:"tier,omitempty" doc:"The present one; absent below the first."`
	Data []TierChange `json:"data" nullable:"false" doc:"The newest change first."`
}

// TierChange is a step of a customer's history.
type TierChange struct {
	Timestamp time.Time `json:"timestamp" doc:"Of the purchase that he had it at."`
	Tier      string    `json:"tier,omitempty" doc:"Since then; absent below the first." example:"gold"`
	Spend     Number    `json:"spend" doc:"That it was by, in the tiers' currency." example:"1250.00"`
}

// CustomerPath names a customer.
type CustomerPath struct {
	CustomerID ID `path:"customerId" doc:"The customer's id." example:"ada"`
}

type putCustomerInput struct {
	CustomerPath
	Payload jsonBody[CashbackCustomerRequest]
}

type tiersInput struct {
	CustomerPath
	Limit int `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the list."`
}

type cashbackCustomerOutput struct{ Body CashbackCustomer }

type tiersOutput struct{ Body TierHistory }

func (a *api) routeCustomers() {
	route(a, putCustomerEndpoint, a.putCustomer)
	route(a, getCustomerEndpoint, a.getCustomer)
	route(a, listTiersEndpoint, a.listTiers)
}

// putCustomer asks for more than to report purchases of those who have a customer's
// rewards paid to somebody else.
func (a *api) putCustomer(ctx context.Context, in *putCustomerInput) (*cashbackCustomerOutput, error) {
	r := &in.Payload.Value
	put := a.cashback.PutCustomer
	if !principalOf(ctx).May(identity.AccountsWrite) {
		put = a.cashback.PutCustomerOfOwner
	}
	customer, err := put(ctx, cashback.CustomerRequest{
		ID: string(in.CustomerID), AccountID: string(r.AccountID), Country: r.Country, Segments: r.Segments,
	})
	if errors.Is(err, cashback.ErrOtherOwner) {
		return nil, forbidden(identity.AccountsWrite)
	}
	if err != nil {
		return nil, err
	}
	return &cashbackCustomerOutput{cashbackCustomerOf(customer)}, nil
}

func (a *api) getCustomer(ctx context.Context, in *CustomerPath) (*cashbackCustomerOutput, error) {
	customer, err := a.cashback.Customer(ctx, string(in.CustomerID))
	if err != nil {
		return nil, err
	}
	return &cashbackCustomerOutput{cashbackCustomerOf(customer)}, nil
}

func (a *api) listTiers(ctx context.Context, in *tiersInput) (*tiersOutput, error) {
	customer, err := a.cashback.Customer(ctx, string(in.CustomerID))
	if err != nil {
		return nil, err
	}
	changes, err := a.cashback.TierChanges(ctx, customer.ID, in.Limit)
	if err != nil {
		return nil, err
	}
	history := TierHistory{Tier: customer.Tier, Data: make([]TierChange, len(changes))}
	for i, c := range changes {
		history.Data[i] = TierChange{Timestamp: c.At, Tier: c.Tier, Spend: numberOf(c.Spend)}
	}
	return &tiersOutput{history}, nil
}
