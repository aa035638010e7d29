package api

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"florin/internal/approval"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/platform/id"
)

// Transfer is a transaction in an answer.
type Transfer struct {
	TransactionID           string     `json:"transactionId" example:"order-1001"`
	Kind                    string     `json:"kind" enum:"TRANSFER,OPENING,CAPTURE,REVERSAL" doc:"What it came from."`
	Status                  string     `json:"status" enum:"PENDING,IN_PROGRESS,COMPLETED,FAILED" doc:"COMPLETED and FAILED are final."`
	SourceAccountID         string     `json:"sourceAccountId" doc:"Pays." example:"alice"`
	DestinationAccountID    string     `json:"destinationAccountId" doc:"Receives." example:"bob"`
	Amount                  Money      `json:"amount"`
	Currency                string     `json:"currency,omitempty" doc:"ISO 4217. Absent when it failed before one was known." example:"USD"`
	Description             string     `json:"description,omitempty"`
	Metadata                Metadata   `json:"metadata,omitempty"`
	Timestamp               *time.Time `json:"timestamp,omitempty" doc:"The caller's own time of the event."`
	FailureCode             string     `json:"failureCode,omitempty" doc:"Why it FAILED: a code of the table of errors."`
	FailureMessage          string     `json:"failureMessage,omitempty" doc:"The same for people."`
	HoldID                  string     `json:"holdId,omitempty" doc:"The hold that a CAPTURE drew on."`
	ReversesTransactionID   string     `json:"reversesTransactionId,omitempty" doc:"What a REVERSAL undoes."`
	ReversedByTransactionID string     `json:"reversedByTransactionId,omitempty" doc:"The reversal that undid it; only when read alone."`
	CreatedAt               time.Time  `json:"createdAt" doc:"When it was accepted."`
	CompletedAt             *time.Time `json:"completedAt,omitempty" doc:"When it was completed or failed: the time of its postings."`
	Postings                []Posting  `json:"postings,omitempty" nullable:"false" doc:"The two legs, the debit first; only when read alone."`
}

func transferOf(t ledger.Transfer) Transfer {
	out := Transfer{
		TransactionID: t.ID, Kind: string(t.Kind), Status: string(t.Status),
		SourceAccountID: t.SourceAccountID, DestinationAccountID: t.DestinationAccountID,
		Amount: moneyOf(t.Amount, t.Currency), Currency: string(t.Currency),
		Description: t.Description, Metadata: Metadata(t.Metadata), Timestamp: t.EffectiveAt,
		HoldID: t.HoldID, ReversesTransactionID: t.ReversesID, ReversedByTransactionID: t.ReversedByID,
		CreatedAt: t.CreatedAt, CompletedAt: t.FinishedAt,
	}
	if t.Failure != nil {
		out.FailureCode, out.FailureMessage = string(t.Failure.Code), t.Failure.Message
	}
	return out
}

// Posting is one leg of a transaction.
type Posting struct {
	AccountID     string    `json:"accountId" example:"alice"`
	Seq           int64     `json:"seq" doc:"Number of the posting in its account: 1, 2, 3, ... without gaps."`
	TransactionID string    `json:"transactionId" example:"order-1001"`
	Amount        Money     `json:"amount" doc:"Credits are positive, debits negative."`
	Balance       Money     `json:"balance" doc:"The account's balance after it."`
	Currency      string    `json:"currency" doc:"ISO 4217." example:"USD"`
	CreatedAt     time.Time `json:"createdAt"`
}

func postingsOf(rows []ledger.Posting) []Posting {
	postings := make([]Posting, len(rows))
	for i, p := range rows {
		postings[i] = Posting{
			AccountID: p.AccountID, Seq: p.Seq, TransactionID: p.TransferID,
			Amount: moneyOf(p.Amount, p.Currency), Balance: moneyOf(p.Balance, p.Currency),
			Currency: string(p.Currency), CreatedAt: p.CreatedAt,
		}
	}
	return postings
}

// TransferRequest asks for a movement of money.
type TransferRequest struct {
	TransactionID        ID         `json:"transactionId" doc:"Yours, and the idempotency key: the same request again gives the first outcome, another one under the same id a 409." example:"order-1001"`
	SourceAccountID      string     `json:"sourceAccountId" doc:"Pays." example:"alice"`
	DestinationAccountID string     `json:"destinationAccountId" doc:"Receives." example:"bob"`
	Amount               Amount     `json:"amount" doc:"Above zero."`
	Currency             string     `json:"currency,omitempty" doc:"ISO 4217; both accounts must be in it. The accounts' when absent." example:"USD"`
	Timestamp            *time.Time `json:"timestamp,omitempty" doc:"Your own time of the event (RFC 3339). Kept, never used for booking."`
	Description          string     `json:"description,omitempty" maxLength:"500"`
	Metadata             Metadata   `json:"metadata,omitempty"`
}

var transferMembers = []member[TransferRequest]{
	{"transactionId", true, func(d *decoder, r *TransferRequest) { d.readText((*string)(&r.TransactionID)) }},
	{"sourceAccountId", true, func(d *decoder, r *TransferRequest) { d.readText(&r.SourceAccountID) }},
	{"destinationAccountId", true, func(d *decoder, r *TransferRequest) { d.readText(&r.DestinationAccountID) }},
	{"amount", true, func(d *decoder, r *TransferRequest) { d.readAmount(&r.Amount) }},
	{"currency", false, func(d *decoder, r *TransferRequest) { d.readText(&r.Currency) }},
	{"timestamp", false, func(d *decoder, r *TransferRequest) { d.readTime(&r.Timestamp) }},
	{"description", false, func(d *decoder, r *TransferRequest) { d.readText(&r.Description) }},
	{"metadata", false, func(d *decoder, r *TransferRequest) { d.readMetadata(&r.Metadata) }},
}

func (TransferRequest) members() []member[TransferRequest] { return transferMembers }

func (r *TransferRequest) toLedger() ledger.TransferRequest {
	return ledger.TransferRequest{
		ID: string(r.TransactionID), SourceAccountID: r.SourceAccountID, DestinationAccountID: r.DestinationAccountID,
		Amount: r.Amount.Decimal, Currency: money.Currency(r.Currency), EffectiveAt: r.Timestamp,
		Description: r.Description, Metadata: json.RawMessage(r.Metadata),
	}
}

type transferInput struct{ Payload jsonBody[TransferRequest] }

type createdTransferOutput struct {
	Location string `header:"Location" doc:"Path of the transaction."`
	Body     Transfer
}

func createdTransfer(t ledger.Transfer, err error) (*createdTransferOutput, error) {
	if err != nil {
		return nil, recordedFailure{err, t}
	}
	return &createdTransferOutput{Location: "/api/v1/transactions/" + t.ID, Body: transferOf(t)}, nil
}

type acceptedTransferOutput struct {
	Location string `header:"Location" doc:"Path of the transaction's status."`
	Body     AcceptedTransfer
}

// AcceptedTransfer says that a transfer is stored and will be executed.
type AcceptedTransfer struct {
	Message       string `json:"message"`
	TransactionID string `json:"transactionId"`
	Status        string `json:"status" enum:"PENDING,IN_PROGRESS,COMPLETED,FAILED"`
}

func (a *api) routeTransfers() {
	route(a, createTransferEndpoint, a.createTransfer)
	route(a, acceptTransferEndpoint, a.acceptTransfer)
	route(a, reverseTransferEndpoint, a.reverseTransfer)
}

func (a *api) createTransfer(ctx context.Context, in *transferInput) (*createdTransferOutput, error) {
	request, err := a.limitedTransfer(ctx, &in.Payload.Value)
	if err != nil {
		return nil, err
	}
	var t ledger.Transfer
	err = a.admitTransfer(ctx, &request, func(ctx context.Context) (err error) {
		t, err = a.booksFor(ctx).Transfer(ctx, request)
		return err
	})
	return createdTransfer(t, err)
}

func (a *api) limitedTransfer(ctx context.Context, r *TransferRequest) (request ledger.TransferRequest, err error) {
	request = r.toLedger()
	request.Limits, err = a.amountLimits(ctx, r.Currency, r.SourceAccountID)
	return request, err
}

func (a *api) acceptTransfer(ctx context.Context, in *transferInput) (*acceptedTransferOutput, error) {
	request, err := a.limitedTransfer(ctx, &in.Payload.Value)
	if err != nil {
		return nil, err
	}
	var t ledger.Transfer
	err = a.admitTransfer(ctx, &request, func(ctx context.Context) (err error) {
		t, err = a.booksFor(ctx).Accept(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &acceptedTransferOutput{
		Location: "/api/v1/transactions/" + t.ID + "/status",
		Body:     AcceptedTransfer{Message: "Transaction accepted", TransactionID: t.ID, Status: string(t.Status)},
	}, nil
}

// ReversalRequest asks for a transaction to be undone. All is optional.
type ReversalRequest struct {
	TransactionID ID       `json:"transactionId,omitempty" doc:"Of the reversal; made by the server when absent." example:"order-1001-undo"`
	Force         bool     `json:"force,omitempty" doc:"Take the money back even when it is gone: the account's available funds then go below zero. Needs transfers:force."`
	Description   string   `json:"description,omitempty" maxLength:"500"`
	Metadata      Metadata `json:"metadata,omitempty"`
}

var reversalMembers = []member[ReversalRequest]{
	{"transactionId", false, func(d *decoder, r *ReversalRequest) { d.readText((*string)(&r.TransactionID)) }},
	{"force", false, func(d *decoder, r *ReversalRequest) { d.readFlag(&r.Force) }},
	{"description", false, func(d *decoder, r *ReversalRequest) { d.readText(&r.Description) }},
	{"metadata", false, func(d *decoder, r *ReversalRequest) { d.readMetadata(&r.Metadata) }},
}

func (ReversalRequest) members() []member[ReversalRequest] { return reversalMembers }

type reversalInput struct {
	TransactionPath
	IdempotencyKey
	Payload jsonBody[ReversalRequest]
}

func (a *api) reverseTransfer(ctx context.Context, in *reversalInput) (*createdTransferOutput, error) {
	r := &in.Payload.Value
	if err := checkID(ctx, "transactionId", string(r.TransactionID)); err != nil {
		return nil, err
	}
	reversalID := in.id(ctx, "rev", r.TransactionID, in.TransactionID)
	if r.Force {
		if err := a.requireSensitive(ctx, identity.TransfersForce); err != nil {
			return nil, err
		}
		if _, err := a.booksFor(ctx).TransferByID(ctx, string(in.TransactionID)); err != nil {
			return nil, err
		}
		err := a.secondPerson(ctx, approval.ForcedReversal, string(in.TransactionID), forcedReversal{
			TransactionID: string(in.TransactionID), ReversalID: cmp.Or(reversalID, id.New("rev")), Description: r.Description, Metadata: json.RawMessage(r.Metadata),
		})
		if err != nil {
			return nil, err
		}
	}
	return createdTransfer(a.booksFor(ctx).Reverse(ctx, ledger.Reversal{
		ID: reversalID, TargetID: string(in.TransactionID), Force: r.Force,
		Description: r.Description, Metadata: json.RawMessage(r.Metadata),
	}))
}
