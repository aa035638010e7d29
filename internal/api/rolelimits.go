package api

import (
	"cmp"
	"context"
	"errors"
	"time"

	"florin/internal/approval"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/money"
	"florin/internal/risk"
)

// RoleLimits are what a role may pay.
type RoleLimits struct {
	Role        string     `json:"role" enum:"customer,merchant"`
	Currency    string     `json:"currency" doc:"ISO 4217; * for all that have no limits of their own." example:"USD"`
	PerTransfer *Money     `json:"perTransfer" nullable:"true" doc:"null: no limit."`
	Daily       *Money     `json:"daily" nullable:"true" doc:"A day of UTC, by account. null: no limit."`
	UpdatedBy   string     `json:"updatedBy" doc:"system for limits that come with the program."`
	UpdatedAt   *time.Time `json:"updatedAt,omitempty"`
}

const anyCurrency = "*"

func roleLimitsOf(l risk.RoleLimits) RoleLimits {
	out := RoleLimits{
		Role: l.Role, Currency: string(l.Currency), PerTransfer: optionalMoneyOf(l.PerTransfer, l.Currency), Daily: optionalMoneyOf(l.Daily, l.Currency),
		UpdatedBy: l.UpdatedBy, UpdatedAt: unlessZero(l.UpdatedAt),
	}
	if out.Currency == "" {
		out.Currency = anyCurrency
	}
	return out
}

// RoleLimitsList is all limits of roles.
type RoleLimitsList struct {
	Data []RoleLimits `json:"data" nullable:"false"`
}

// SetLimitsRequest sets both limits.
type SetLimitsRequest struct {
	PerTransfer AmountLimit `json:"perTransfer"`
	Daily       AmountLimit `json:"daily"`
}

var setLimitsMembers = []member[SetLimitsRequest]{
	{"perTransfer", true, func(d *decoder, r *SetLimitsRequest) { d.readAmountLimit(&r.PerTransfer) }},
	{"daily", true, func(d *decoder, r *SetLimitsRequest) { d.readAmountLimit(&r.Daily) }},
}

func (SetLimitsRequest) members() []member[SetLimitsRequest] { return setLimitsMembers }

type setLimitsInput struct {
	Role     string `path:"role" enum:"customer,merchant" doc:"Whose limits." example:"customer"`
	Currency string `path:"currency" maxLength:"3" doc:"ISO 4217; * for all that have no limits of their own." example:"USD"`
	Payload  jsonBody[SetLimitsRequest]
}

type roleLimitsOutput struct{ Body RoleLimits }

type roleLimitsListOutput struct{ Body RoleLimitsList }

func (a *api) routeRoleLimits() {
	route(a, listLimitsEndpoint, a.listLimits)
	route(a, setLimitsEndpoint, a.setLimits)
}

func (a *api) listLimits(ctx context.Context, _ *struct{}) (*roleLimitsListOutput, error) {
	rows, err := a.risk.AllLimits(ctx)
	if err != nil {
		return nil, err
	}
	list := RoleLimitsList{Data: make([]RoleLimits, len(rows))}
	for i, row := range rows {
		list.Data[i] = roleLimitsOf(row)
	}
	return &roleLimitsListOutput{list}, nil
}

// setLimits lowers limits at once; to raise one can need a second person.
func (a *api) setLimits(ctx context.Context, in *setLimitsInput) (*roleLimitsOutput, error) {
	r := &in.Payload.Value
	limits := risk.RoleLimits{Role: in.Role, PerTransfer: r.PerTransfer.Limit, Daily: r.Daily.Limit}
	if in.Currency != anyCurrency {
		limits.Currency = money.Currency(in.Currency)
	}
	set := a.risk.SetLimits
	if a.needsSecondPerson(approval.LimitRaise) {
		set = a.risk.LowerLimits
	}
	now, err := set(ctx, limits)
	if errors.Is(err, risk.LimitsRaised.Failure("")) {
		raise := limitRaise{Role: in.Role, Currency: limits.Currency, PerTransfer: raisedTo(&limits.PerTransfer), Daily: raisedTo(&limits.Daily)}
		if err := a.secondPerson(ctx, approval.LimitRaise, limitsID(in.Role, limits.Currency), raise); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	return &roleLimitsOutput{roleLimitsOf(now)}, nil
}

// limitsID names a role's limits where they wait for a second person: in a
// currency, or any.
func limitsID(role string, currency money.Currency) string {
	return role + ":" + cmp.Or(string(currency), "any")
}

// AmountLimitsOf are what risk says that roles may pay, for Options.AmountLimits.
func AmountLimitsOf(rules *risk.Rules) AmountLimits {
	return func(ctx context.Context, role identity.Role, currency money.Currency) (ledger.Limits, error) {
		perTransfer, daily, err := rules.Limits(ctx, string(role), currency)
		return ledger.Limits{PerTransfer: perTransfer, Daily: daily}, err
	}
}
