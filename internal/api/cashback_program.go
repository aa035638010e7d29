package api

import (
	"context"
	"time"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/money"
)

// CashbackProgram is what all campaigns share, in its newest version.
type CashbackProgram struct {
	Version      int64             `json:"version" doc:"1, 2, 3, …; 0 when nothing was ever set."`
	Groups       map[string]string `json:"groups" nullable:"false" doc:"Policies of groups of campaigns: BEST, SUM or PRIORITY; BEST for a group that is not named."`
	Tiers        []Tier            `json:"tiers" nullable:"false" doc:"Loyalty tiers, ascending."`
	TierDays     int               `json:"tierDays,omitempty" doc:"Tiers are by the spend of so many days."`
	TierCurrency string            `json:"tierCurrency,omitempty" doc:"ISO 4217; other spend does not count for tiers." example:"USD"`
	Segments     map[string]string `json:"segments" nullable:"false" doc:"Segments by rule: CEL over a customer, by name."`
	CreatedBy    string            `json:"createdBy,omitempty" doc:"Of this version: id of the key or user."`
	CreatedAt    *time.Time        `json:"createdAt,omitempty" doc:"Of this version."`
}

// Tier is a tier of the loyalty ladder.
type Tier struct {
	Name     string `json:"name" example:"gold"`
	MinSpend Money  `json:"minSpend" doc:"From which on a customer is in it."`
}

func programOf(p cashback.Program) CashbackProgram {
	out := CashbackProgram{
		Version: p.Version, Groups: map[string]string{}, Tiers: make([]Tier, len(p.Tiers)), TierDays: p.TierDays, TierCurrency: string(p.TierCurrency),
		Segments: p.Segments, CreatedBy: p.CreatedBy, CreatedAt: unlessZero(p.CreatedAt),
	}
	for group, policy := range p.Groups {
		out.Groups[group] = string(policy)
	}
	for i, t := range p.Tiers {
		out.Tiers[i] = Tier{Name: t.Name, MinSpend: moneyOf(t.MinSpend, p.TierCurrency)}
	}
	if out.Segments == nil {
		out.Segments = map[string]string{}
	}
	return out
}

// CashbackProgramRequest makes the next version of the program.
type CashbackProgramRequest struct {
	Version      int               `json:"version" minimum:"0" doc:"The version that the change is made of; 0 for the first."`
	Groups       map[string]string `json:"groups,omitempty" nullable:"false" doc:"Policies of groups of campaigns. BEST: the one that gives most; SUM: all; PRIORITY: the highest priority that gives anything. BEST for a group that is not named." example:"{\"default\": \"BEST\"}"`
	Tiers        []TierRequest     `json:"tiers,omitempty" maxItems:"20" nullable:"false" doc:"Loyalty tiers, ascending by minSpend."`
	TierDays     int               `json:"tierDays,omitempty" doc:"Tiers are by the spend of so many days."`
	TierCurrency string            `json:"tierCurrency,omitempty" doc:"ISO 4217; other spend does not count for tiers." example:"USD"`
	Segments     map[string]string `json:"segments,omitempty" nullable:"false" doc:"Segments by rule: CEL over a customer, by name." example:"{\"regulars\": \"purchases >= 10\"}"`
}

// TierRequest is a tier of the loyalty ladder.
type TierRequest struct {
	Name     string `json:"name" example:"gold"`
	MinSpend Amount `json:"minSpend" doc:"From which on a customer is in it."`
}

var programMembers = []member[CashbackProgramRequest]{
	{"version", true, func(d *decoder, r *CashbackProgramRequest) { d.readInt(&r.Version) }},
	{"groups", false, func(d *decoder, r *CashbackProgramRequest) {
		readMap(d, &r.Groups, rules.MaxGroups, (*decoder).readText)
	}},
	{"tiers", false, func(d *decoder, r *CashbackProgramRequest) { decodeList(d, &r.Tiers, rules.MaxTiers) }},
	{"tierDays", false, func(d *decoder, r *CashbackProgramRequest) { d.readInt(&r.TierDays) }},
	{"tierCurrency", false, func(d *decoder, r *CashbackProgramRequest) { d.readText(&r.TierCurrency) }},
	{"segments", false, func(d *decoder, r *CashbackProgramRequest) {
		readMap(d, &r.Segments, rules.MaxSegments, (*decoder).readText)
	}},
}

func (CashbackProgramRequest) members() []member[CashbackProgramRequest] { return programMembers }

var tierMembers = []member[TierRequest]{
	{"name", true, func(d *decoder, r *TierRequest) { d.readText(&r.Name) }},
	{"minSpend", true, func(d *decoder, r *TierRequest) { d.readAmount(&r.MinSpend) }},
}

func (TierRequest) members() []member[TierRequest] { return tierMembers }

func (r *CashbackProgramRequest) program() rules.Program {
	p := rules.Program{TierDays: r.TierDays, TierCurrency: money.Currency(r.TierCurrency), Segments: r.Segments}
	if len(r.Groups) > 0 {
		p.Groups = map[string]rules.Policy{}
		for group, policy := range r.Groups {
			p.Groups[group] = rules.Policy(policy)
		}
	}
	for _, t := range r.Tiers {
		p.Tiers = append(p.Tiers, rules.Tier{Name: t.Name, MinSpend: t.MinSpend.Decimal})
	}
	return p
}

type programInput struct {
	Payload jsonBody[CashbackProgramRequest]
}

type programOutput struct{ Body CashbackProgram }

func (a *api) routeProgram() {
	route(a, getProgramEndpoint, a.getProgram)
	route(a, changeProgramEndpoint, a.changeProgram)
}

func (a *api) getProgram(ctx context.Context, _ *struct{}) (*programOutput, error) {
	program, err := a.cashback.Program(ctx)
	if err != nil {
		return nil, err
	}
	return &programOutput{programOf(program)}, nil
}

func (a *api) changeProgram(ctx context.Context, in *programInput) (*programOutput, error) {
	r := &in.Payload.Value
	terms := r.program()
	if err := a.secondPersonForProgram(ctx, int64(r.Version), &terms); err != nil {
		return nil, err
	}
	program, err := a.cashback.ChangeProgram(ctx, int64(r.Version), terms)
	if err != nil {
		return nil, err
	}
	return &programOutput{programOf(program)}, nil
}
