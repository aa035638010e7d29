package api

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"florin/internal/ledger"
	"florin/internal/money"
)

// Hold is reserved money in an answer.
type Hold struct {
	HoldID               string     `json:"holdId" example:"booking-77"`
	Status               string     `json:"status" enum:"PENDING,CAPTURED,VOIDED,EXPIRED" doc:"Only a PENDING hold reserves money."`
	SourceAccountID      string     `json:"sourceAccountId" doc:"Whose money is reserved." example:"alice"`
	DestinationAccountID string     `json:"destinationAccountId" doc:"Who receives it when it is captured." example:"bob"`
	Amount               Money      `json:"amount" doc:"What was reserved."`
	Currency             string     `json:"currency" doc:"ISO 4217." example:"USD"`
	CapturedAmount       Money      `json:"capturedAmount" doc:"What of it was captured."`
	CaptureTransactionID string     `json:"captureTransactionId,omitempty" doc:"The transaction that captured it."`
	Description          string     `json:"description,omitempty"`
	Metadata             Metadata   `json:"metadata,omitempty"`
	ExpiresAt            *time.Time `json:"expiresAt,omitempty" doc:"When it lapses by itself; never when absent."`
	CreatedAt            time.Time  `json:"createdAt"`
	UpdatedAt            time.Time  `json:"updatedAt"`
}

func holdOf(h ledger.Hold) Hold {
	return Hold{
		HoldID: h.ID, Status: string(h.Status), SourceAccountID: h.SourceAccountID, DestinationAccountID: h.DestinationAccountID,
		Amount: moneyOf(h.Amount, h.Currency), Currency: string(h.Currency),
		CapturedAmount: moneyOf(h.CapturedAmount, h.Currency), CaptureTransactionID: h.CaptureID,
		Description: h.Description, Metadata: Metadata(h.Metadata),
		ExpiresAt: h.ExpiresAt, CreatedAt: h.CreatedAt, UpdatedAt: h.UpdatedAt,
	}
}

// HoldRequest asks for money to be reserved.
type HoldRequest struct {
	HoldID               ID         `json:"holdId,omitempty" doc:"Made by the server when absent. The same request again gives the hold as it is now." example:"booking-77"`
	SourceAccountID      string     `json:"sourceAccountId" doc:"Whose money is reserved." example:"alice"`
	DestinationAccountID string     `json:"destinationAccountId" doc:"Who receives it when it is captured." example:"bob"`
	Amount               Amount     `json:"amount" doc:"Above zero."`
	Currency             string     `json:"currency,omitempty" doc:"ISO 4217; both accounts must be in it. The accounts' when absent." example:"USD"`
	ExpiresAt            *time.Time `json:"expiresAt,omitempty" doc:"When it lapses by itself (RFC 3339), in the future; never when absent."`
	Description          string     `json:"description,omitempty" maxLength:"500"`
	Metadata             Metadata   `json:"metadata,omitempty"`
}

var holdMembers = []member[HoldRequest]{
	{"holdId", false, func(d *decoder, r *HoldRequest) { d.readText((*string)(&r.HoldID)) }},
	{"sourceAccountId", true, func(d *decoder, r *HoldRequest) { d.readText(&r.SourceAccountID) }},
	{"destinationAccountId", true, func(d *decoder, r *HoldRequest) { d.readText(&r.DestinationAccountID) }},
	{"amount", true, func(d *decoder, r *HoldRequest) { d.readAmount(&r.Amount) }},
	{"currency", false, func(d *decoder, r *HoldRequest) { d.readText(&r.Currency) }},
	{"expiresAt", false, func(d *decoder, r *HoldRequest) { d.readTime(&r.ExpiresAt) }},
	{"description", false, func(d *decoder, r *HoldRequest) { d.readText(&r.Description) }},
	{"metadata", false, func(d *decoder, r *HoldRequest) { d.readMetadata(&r.Metadata) }},
}

func (HoldRequest) members() []member[HoldRequest] { return holdMembers }

// CaptureRequest asks for held money to be moved. All is optional.
type CaptureRequest struct {
	TransactionID ID       `json:"transactionId,omitempty" doc:"Of the capture; made by the server when absent." example:"booking-77-pay"`
	Amount        Amount   `json:"amount,omitempty" doc:"At most what is held, the rest is released. All of it when absent."`
	Description   string   `json:"description,omitempty" maxLength:"500"`
	Metadata      Metadata `json:"metadata,omitempty"`
}

var captureMembers = []member[CaptureRequest]{
	{"transactionId", false, func(d *decoder, r *CaptureRequest) { d.readText((*string)(&r.TransactionID)) }},
	{"amount", false, func(d *decoder, r *CaptureRequest) { d.readAmount(&r.Amount) }},
	{"description", false, func(d *decoder, r *CaptureRequest) { d.readText(&r.Description) }},
	{"metadata", false, func(d *decoder, r *CaptureRequest) { d.readMetadata(&r.Metadata) }},
}

func (CaptureRequest) members() []member[CaptureRequest] { return captureMembers }

// HoldPath names a hold.
type HoldPath struct {
	HoldID ID `path:"holdId" doc:"The hold's id." example:"booking-77"`
}

type placeHoldInput struct {
	IdempotencyKey
	Payload jsonBody[HoldRequest]
}

type captureInput struct {
	HoldPath
	IdempotencyKey
	Payload jsonBody[CaptureRequest]
}

type listHoldsInput struct {
	AccountPath
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
}

// HoldList is a page of an account's holds.
type HoldList struct {
	Data       []Hold `json:"data" nullable:"false"`
	NextCursor string `json:"nextCursor,omitempty" doc:"Where the next page begins; absent on the last."`
}

type holdsOutput struct{ Body HoldList }

type holdOutput struct{ Body Hold }

type placedHoldOutput struct {
	Location string `header:"Location" doc:"Path of the hold."`
	Body     Hold
}

func (a *api) routeHolds() {
	route(a, placeHoldEndpoint, a.placeHold)
	route(a, getHoldEndpoint, a.getHold)
	route(a, listHoldsEndpoint, a.listHolds)
	route(a, captureHoldEndpoint, a.captureHold)
	route(a, voidHoldEndpoint, a.voidHold)
}

func (a *api) placeHold(ctx context.Context, in *placeHoldInput) (*placedHoldOutput, error) {
	r := &in.Payload.Value
	limits, err := a.amountLimits(ctx, r.Currency, r.SourceAccountID)
	if err != nil {
		return nil, err
	}
	request := ledger.HoldRequest{
		ID: in.id(ctx, "hold", r.HoldID), SourceAccountID: r.SourceAccountID, DestinationAccountID: r.DestinationAccountID,
		Amount: r.Amount.Decimal, Currency: money.Currency(r.Currency), ExpiresAt: r.ExpiresAt,
		Description: r.Description, Metadata: json.RawMessage(r.Metadata), Limits: limits,
	}
	var hold ledger.Hold
	err = a.admitHold(ctx, &request, func(ctx context.Context) (err error) {
		hold, err = a.booksFor(ctx).PlaceHold(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &placedHoldOutput{Location: "/api/v1/holds/" + hold.ID, Body: holdOf(hold)}, nil
}

func (a *api) getHold(ctx context.Context, in *HoldPath) (*holdOutput, error) {
	hold, err := a.booksFor(ctx).HoldByID(ctx, string(in.HoldID))
	if err != nil {
		return nil, err
	}
	return &holdOutput{holdOf(hold)}, nil
}

func (a *api) listHolds(ctx context.Context, in *listHoldsInput) (*holdsOutput, error) {
	after, err := idAfter(in.Cursor, "holds")
	if err != nil {
		return nil, err
	}
	rows, err := a.booksFor(ctx).PendingHolds(ctx, string(in.AccountID), after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := HoldList{Data: make([]Hold, len(rows))}
	for i, row := range rows {
		list.Data[i] = holdOf(row)
	}
	if more {
		list.NextCursor = newCursor("holds", noSnapshot, rows[len(rows)-1].ID)
	}
	return &holdsOutput{list}, nil
}

func (a *api) captureHold(ctx context.Context, in *captureInput) (*createdTransferOutput, error) {
	r := &in.Payload.Value
	if err := cmp.Or(checkHold(in.HoldID), checkID(ctx, "transactionId", string(r.TransactionID))); err != nil {
		return nil, err
	}
	return createdTransfer(a.booksFor(ctx).CaptureHold(ctx, ledger.Capture{
		ID: in.id(ctx, "cap", r.TransactionID, in.HoldID), HoldID: string(in.HoldID), Amount: r.Amount.NullDecimal,
		Description: r.Description, Metadata: json.RawMessage(r.Metadata),
	}))
}

func (a *api) voidHold(ctx context.Context, in *HoldPath) (*holdOutput, error) {
	if err := checkHold(in.HoldID); err != nil {
		return nil, err
	}
	hold, err := a.booksFor(ctx).VoidHold(ctx, string(in.HoldID))
	if err != nil {
		return nil, err
	}
	return &holdOutput{holdOf(hold)}, nil
}
