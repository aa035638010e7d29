package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/approval"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/risk"
)

// Approval is a sensitive operation that waits for a second person, or did.
type Approval struct {
	ApprovalID  string          `json:"approvalId" example:"apr_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Operation   string          `json:"operation" enum:"forced_reversal,role_change,limit_raise,campaign_change"`
	TargetID    string          `json:"targetId" doc:"What it is done to." example:"order-1001"`
	Payload     json.RawMessage `json:"payload" doc:"All that will be done."`
	Status      string          `json:"status" enum:"PENDING,APPROVED,REJECTED,EXPIRED"`
	RequestedBy string          `json:"requestedBy" doc:"Id of the user or the key."`
	RequestedAt time.Time       `json:"requestedAt"`
	ExpiresAt   time.Time       `json:"expiresAt"`
	DecidedBy   string          `json:"decidedBy,omitempty"`
	DecidedAt   *time.Time      `json:"decidedAt,omitempty"`
	Reason      string          `json:"reason,omitempty"`
	ExecutedAt  *time.Time      `json:"executedAt,omitempty" doc:"When what was approved was done, or was found impossible."`
	Result      string          `json:"result,omitempty" doc:"ok, or the code of why it could not be done."`
}

func approvalOf(a approval.Approval) Approval {
	return Approval{
		ApprovalID: a.ID, Operation: string(a.Operation), TargetID: a.TargetID, Payload: a.Payload, Status: string(a.Status),
		RequestedBy: a.By.ID, RequestedAt: a.RequestedAt, ExpiresAt: a.ExpiresAt, DecidedBy: a.DecidedBy, DecidedAt: unlessZero(a.DecidedAt),
		Reason: a.Reason, ExecutedAt: unlessZero(a.ExecutedAt), Result: a.Result,
	}
}

func unlessZero(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// ApprovalList is a page of approvals.
type ApprovalList struct {
	Data       []Approval `json:"data" nullable:"false"`
	NextCursor string     `json:"nextCursor,omitempty" doc:"Where the next page begins; absent on the last."`
}

// ReasonRequest says why.
type ReasonRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

var reasonMembers = []member[ReasonRequest]{
	{"reason", false, func(d *decoder, r *ReasonRequest) { d.readText(&r.Reason) }},
}

func (ReasonRequest) members() []member[ReasonRequest] { return reasonMembers }

// ApprovalPath names an approval.
type ApprovalPath struct {
	ApprovalID ID `path:"approvalId" doc:"The approval's id." example:"apr_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
}

type listApprovalsInput struct {
	Limit       int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor      string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
	Status      string `query:"status" enum:"PENDING,APPROVED,REJECTED,EXPIRED" doc:"Where it stands."`
	Operation   string `query:"operation" enum:"forced_reversal,role_change,limit_raise,campaign_change" doc:"What is asked for."`
	TargetID    string `query:"targetId" maxLength:"100" doc:"What it would be done to."`
	RequestedBy ID     `query:"requestedBy" doc:"Id of the user or the key that asked."`
}

type rejectInput struct {
	ApprovalPath
	Payload jsonBody[ReasonRequest]
}

type approvalOutput struct{ Body Approval }

type approvalsOutput struct{ Body ApprovalList }

func (a *api) routeApprovals() {
	route(a, listApprovalsEndpoint, a.listApprovals)
	route(a, getApprovalEndpoint, a.getApproval)
	route(a, approveEndpoint, a.approve)
	route(a, rejectApprovalEndpoint, a.rejectApproval)
}

func (a *api) listApprovals(ctx context.Context, in *listApprovalsInput) (*approvalsOutput, error) {
	at, id, err := placeAfter(in.Cursor, "approvals")
	if err != nil {
		return nil, err
	}
	rows, err := a.approvals.List(ctx, approval.Filter{
		Status: approval.Status(in.Status), Operation: approval.Operation(in.Operation), TargetID: in.TargetID, RequestedBy: string(in.RequestedBy),
	}, approval.Position{RequestedAt: at, ID: id}, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := ApprovalList{Data: make([]Approval, len(rows))}
	for i, row := range rows {
		list.Data[i] = approvalOf(row)
	}
	if more {
		last := rows[len(rows)-1]
		list.NextCursor = placeCursor("approvals", last.RequestedAt, last.ID)
	}
	return &approvalsOutput{list}, nil
}

func (a *api) getApproval(ctx context.Context, in *ApprovalPath) (*approvalOutput, error) {
	found, err := a.approvals.Get(ctx, string(in.ApprovalID))
	if err != nil {
		return nil, err
	}
	return &approvalOutput{approvalOf(found)}, nil
}

// approve agrees, and does what was agreed to. What a rule refuses is recorded as
// the result: it was possible when it was asked for, and is not any more. When
// the database fails, the approval stays to be executed by approving again.
func (a *api) approve(ctx context.Context, in *ApprovalPath) (*approvalOutput, error) {
	party, err := a.partyOf(ctx)
	if err != nil {
		return nil, err
	}
	agreed, err := a.approvals.Approve(ctx, string(in.ApprovalID), party)
	if err != nil {
		return nil, err
	}
	if agreed.ExecutedAt.IsZero() {
		result, err := a.execute(ctx, agreed)
		if err != nil {
			return nil, err
		}
		if agreed, err = a.approvals.MarkExecuted(ctx, agreed.ID, result); err != nil {
			return nil, err
		}
	}
	return &approvalOutput{approvalOf(agreed)}, nil
}

func (a *api) rejectApproval(ctx context.Context, in *rejectInput) (*approvalOutput, error) {
	party, err := a.partyOf(ctx)
	if err != nil {
		return nil, err
	}
	refused, err := a.approvals.Reject(ctx, string(in.ApprovalID), party, in.Payload.Value.Reason)
	if err != nil {
		return nil, err
	}
	return &approvalOutput{approvalOf(refused)}, nil
}

// sensitive is an operation that can need a second person. Its JSON is what is
// approved, and all that is needed to do it; doing it twice is the same as once.
type sensitive interface {
	do(ctx context.Context, a *api) error
}

// secondPerson lets an operation go on that needs none. For others it asks, and
// returns what answers 202 with the approval that is waited for.
func (a *api) secondPerson(ctx context.Context, operation approval.Operation, targetID string, payload sensitive) error {
	if !a.needsSecondPerson(operation) {
		return nil
	}
	party, err := a.partyOf(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("payload of %s: %w", operation, err)
	}
	asked, err := a.approvals.Request(ctx, approval.Request{Operation: operation, TargetID: targetID, Payload: text, By: party})
	if err != nil {
		return err
	}
	return &awaited{approvalOf(asked)}
}

func (a *api) needsSecondPerson(operation approval.Operation) bool {
	return a.approvals != nil && a.approvals.IsRequired(operation)
}

// awaited is no error but the answer 202: somebody else has to agree first.
type awaited struct{ Approval }

func (w *awaited) Error() string { return "waits for approval " + w.ApprovalID }

// GetStatus is 202.
func (*awaited) GetStatus() int { return http.StatusAccepted }

// ContentType is JSON: this is no problem.
func (*awaited) ContentType(string) string { return "application/json" }

// partyOf is the caller as one of the two persons. Behind a key stands who made
// it, also by other keys, so that nobody asks as a program and agrees as a person.
func (a *api) partyOf(ctx context.Context) (approval.Party, error) {
	p := principalOf(ctx)
	if p.Kind == identity.UserPrincipal {
		return approval.Party{Kind: approval.User, ID: p.ID}, nil
	}
	person, err := a.keys.PersonBehind(ctx, p.ID)
	if err != nil {
		return approval.Party{}, err
	}
	return approval.Party{Kind: approval.Key, ID: p.ID, PersonID: person}, nil
}

// execute does what was approved. result is ok, or the code of what refused it.
func (a *api) execute(ctx context.Context, agreed approval.Approval) (result string, err error) {
	var operation sensitive
	switch agreed.Operation {
	case approval.ForcedReversal:
		operation = &forcedReversal{}
	case approval.RoleChange:
		operation = &roleChange{}
	case approval.LimitRaise:
		operation = &limitRaise{}
	case approval.CampaignChange:
		operation = &campaignChange{}
	default:
		return "", fmt.Errorf("approval %s: nobody knows how to do %s", agreed.ID, agreed.Operation)
	}
	if err := json.Unmarshal(agreed.Payload, operation); err != nil {
		return "", fmt.Errorf("payload of approval %s: %w", agreed.ID, err)
	}
	err = operation.do(ctx, a)
	if refused := failureOf(err); refused != nil {
		return string(refused.Code), nil //nolint:nilerr // the refusal is the result
	}
	// What was asked for makes no sense: it never will.
	if invalid := invalidInputOf(err); invalid != nil {
		return string(invalid.Code), nil //nolint:nilerr // so is this
	}
	if err != nil {
		return "", err
	}
	return "ok", nil
}

// forcedReversal takes money back although it is gone.
type forcedReversal struct {
	TransactionID string          `json:"transactionId"`
	ReversalID    string          `json:"reversalId"`
	Description   string          `json:"description,omitempty"`
	Metadata      json.RawMessage `json:"metadata,omitempty"`
}

func (r forcedReversal) do(ctx context.Context, a *api) error {
	_, err := a.ledger.Reverse(ctx, ledger.Reversal{
		ID: r.ReversalID, TargetID: r.TransactionID, Force: true, Description: r.Description, Metadata: r.Metadata,
	})
	return err
}

// roleChange gives a user another role.
type roleChange struct {
	UserID string `json:"userId"`
	Role   string `json:"role"`
}

func (c roleChange) do(ctx context.Context, a *api) error {
	return a.users.SetRole(ctx, c.UserID, identity.Role(c.Role))
}

// limitRaise lets an account, or a role in a currency, pay more. A limit that is
// absent stays as it is.
type limitRaise struct {
	AccountID   string         `json:"accountId,omitempty"`
	Overdraft   *raisedLimit   `json:"overdraftLimit,omitempty"` // an amount
	Role        string         `json:"role,omitempty"`
	Currency    money.Currency `json:"currency,omitempty"`
	PerTransfer *raisedLimit   `json:"perTransfer,omitempty"`
	Daily       *raisedLimit   `json:"daily,omitempty"`
}

// raisedLimit is an amount, or none: JSON's null would read like an absent one.
type raisedLimit struct{ decimal.NullDecimal }

func raisedTo(limit *decimal.NullDecimal) *raisedLimit {
	if limit == nil {
		return nil
	}
	return &raisedLimit{*limit}
}

func (l *raisedLimit) limit() *decimal.NullDecimal {
	if l == nil {
		return nil
	}
	return &l.NullDecimal
}

// MarshalJSON writes the amount, or none.
func (l raisedLimit) MarshalJSON() ([]byte, error) {
	if !l.Valid {
		return json.Marshal(noLimit)
	}
	return json.Marshal(l.Decimal.String())
}

// UnmarshalJSON reads what MarshalJSON writes.
func (l *raisedLimit) UnmarshalJSON(text []byte) error {
	var amount string
	if err := json.Unmarshal(text, &amount); err != nil {
		return err
	}
	l.NullDecimal = decimal.NullDecimal{}
	if amount == noLimit {
		return nil
	}
	value, err := decimal.NewFromString(amount)
	if err != nil {
		return err
	}
	l.NullDecimal = decimal.NewNullDecimal(value)
	return nil
}

func (r limitRaise) do(ctx context.Context, a *api) error {
	if r.AccountID != "" {
		update := ledger.UpdateAccount{ID: r.AccountID, TransferLimit: r.PerTransfer.limit(), DailyLimit: r.Daily.limit()}
		if r.Overdraft != nil {
			update.OverdraftLimit = &r.Overdraft.Decimal
		}
		_, err := a.ledger.UpdateAccount(ctx, update)
		return err
	}
	if r.PerTransfer == nil || r.Daily == nil {
		return errors.New("a role's limits are set together")
	}
	_, err := a.risk.SetLimits(ctx, risk.RoleLimits{Role: r.Role, Currency: r.Currency, PerTransfer: r.PerTransfer.NullDecimal, Daily: r.Daily.NullDecimal})
	return err
}
