package api

import (
	"context"
	"time"

	"florin/internal/identity"
)

// LinkedAccount is a user's account at a bank, as it may be shown.
type LinkedAccount struct {
	LinkedAccountID string    `json:"linkedAccountId" example:"linked_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Kind            string    `json:"kind" enum:"US,IBAN"`
	BankName        string    `json:"bankName" example:"First Bank"`
	LastFour        string    `json:"lastFour" doc:"Of the account number or the IBAN; nothing else of it is ever answered." example:"6789"`
	CreatedAt       time.Time `json:"createdAt"`
}

func linkedAccountOf(l identity.LinkedAccount) LinkedAccount {
	return LinkedAccount{LinkedAccountID: l.ID, Kind: string(l.Kind), BankName: l.BankName, LastFour: l.LastFour, CreatedAt: l.CreatedAt}
}

// LinkedAccountList is all linked accounts of a user.
type LinkedAccountList struct {
	Data []LinkedAccount `json:"data" nullable:"false"`
}

// LinkAccountRequest names an account at a bank.
type LinkAccountRequest struct {
	BankName      string `json:"bankName" doc:"1 to 100 characters." example:"First Bank"`
	RoutingNumber string `json:"routingNumber,omitempty" doc:"Of an account in the US: nine digits with their checksum." example:"021000021"`
	AccountNumber string `json:"accountNumber,omitempty" writeOnly:"true" doc:"Of an account in the US, with routingNumber." example:"000123456789"`
	IBAN          string `json:"iban,omitempty" writeOnly:"true" doc:"Of an account elsewhere, with its checksum; blanks don't count." example:"DE89370400440532013000"`
}

var linkAccountMembers = []member[LinkAccountRequest]{
	{"bankName", true, func(d *decoder, r *LinkAccountRequest) { d.readText(&r.BankName) }},
	{"routingNumber", false, func(d *decoder, r *LinkAccountRequest) { d.readText(&r.RoutingNumber) }},
	{"accountNumber", false, func(d *decoder, r *LinkAccountRequest) { d.readText(&r.AccountNumber) }},
	{"iban", false, func(d *decoder, r *LinkAccountRequest) { d.readText(&r.IBAN) }},
}

func (LinkAccountRequest) members() []member[LinkAccountRequest] { return linkAccountMembers }

// LinkedAccountPath names a linked account.
type LinkedAccountPath struct {
	LinkedAccountID ID `path:"linkedAccountId" doc:"The linked account's id." example:"linked_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
}

type linkAccountInput struct{ Payload jsonBody[LinkAccountRequest] }

type linkedAccountOutput struct{ Body LinkedAccount }

type linkedAccountsOutput struct{ Body LinkedAccountList }

func (a *api) routeLinkedAccounts() {
	route(a, linkAccountEndpoint, a.linkAccount)
	route(a, listLinkedAccountsEndpoint, a.listLinkedAccounts)
	route(a, unlinkAccountEndpoint, a.unlinkAccount)
}

func (a *api) linkAccount(ctx context.Context, in *linkAccountInput) (*linkedAccountOutput, error) {
	r := &in.Payload.Value
	kind := identity.USAccount
	if r.IBAN != "" {
		kind = identity.IBANAccount
	}
	linked, err := a.linked.Add(ctx, principalOf(ctx).UserID, identity.NewLinkedAccount{
		Kind: kind, BankName: r.BankName, RoutingNumber: r.RoutingNumber, AccountNumber: r.AccountNumber, IBAN: r.IBAN,
	})
	if err != nil {
		return nil, err
	}
	return &linkedAccountOutput{linkedAccountOf(linked)}, nil
}

func (a *api) listLinkedAccounts(ctx context.Context, _ *struct{}) (*linkedAccountsOutput, error) {
	rows, err := a.linked.List(ctx, principalOf(ctx).UserID)
	if err != nil {
		return nil, err
	}
	list := LinkedAccountList{Data: make([]LinkedAccount, len(rows))}
	for i, row := range rows {
		list.Data[i] = linkedAccountOf(row)
	}
	return &linkedAccountsOutput{list}, nil
}

func (a *api) unlinkAccount(ctx context.Context, in *LinkedAccountPath) (*messageOutput, error) {
	if err := a.wallets.RemoveLinkedAccount(ctx, *principalOf(ctx), string(in.LinkedAccountID)); err != nil {
		return nil, err
	}
	return &messageOutput{Message{"The account is not linked any more."}}, nil
}
