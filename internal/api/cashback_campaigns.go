package api

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/cashback"
	"florin/internal/cashback/rules"
	"florin/internal/money"
)

// Campaign is one version of a campaign.
type Campaign struct {
	CampaignID    string          `json:"campaignId" example:"kitchen-5"`
	Version       int64           `json:"version" doc:"1, 2, 3, … of this campaign."`
	Name          string          `json:"name" example:"5% on kitchenware"`
	Currency      string          `json:"currency" doc:"ISO 4217." example:"USD"`
	From          time.Time       `json:"from" doc:"Purchases from this time on."`
	To            time.Time       `json:"to" doc:"Purchases before this time."`
	Enabled       bool            `json:"enabled"`
	Merchants     []string        `json:"merchants,omitempty" nullable:"false" doc:"All when absent."`
	Condition     string          `json:"condition,omitempty" doc:"CEL over a purchase; absent for all."`
	LineCondition string          `json:"lineCondition,omitempty" doc:"CEL over a line; absent for all lines."`
	MinimumSpend  *Money          `json:"minimumSpend,omitempty" doc:"Of the lines that count."`
	Reward        CampaignReward  `json:"reward"`
	Caps          *CampaignCaps   `json:"caps,omitempty"`
	Budget        Money           `json:"budget"`
	BudgetEnd     string          `json:"budgetEnd" enum:"REST,NOTHING"`
	Funding       CampaignFunding `json:"funding"`
	Group         string          `json:"group" example:"default"`
	Priority      int             `json:"priority"`
	ClickHours    int             `json:"clickHours,omitempty" doc:"Only purchases so long after a click through the campaign. Absent when none is needed."`
	ReturnDays    int             `json:"returnDays" doc:"After so many days the reward is confirmed, and paid."`
	CreatedBy     string          `json:"createdBy" doc:"Of this version: id of the key or user."`
	CreatedAt     time.Time       `json:"createdAt" doc:"Of this version."`
}

// CampaignReward is what a campaign gives.
type CampaignReward struct {
	Kind        string            `json:"kind" enum:"PERCENT,FIXED,TIERED"`
	Percent     *Number           `json:"percent,omitempty" example:"5"`
	Amount      *Money            `json:"amount,omitempty"`
	Steps       []RewardStep      `json:"steps,omitempty" nullable:"false"`
	Multipliers map[string]Number `json:"multipliers,omitempty" nullable:"false" doc:"By tier."`
}

// RewardStep is a step of a TIERED reward.
type RewardStep struct {
	From    Money   `json:"from"`
	Percent *Number `json:"percent,omitempty" example:"5"`
	Amount  *Money  `json:"amount,omitempty"`
}

// CampaignCaps bound rewards.
type CampaignCaps struct {
	PerPurchase    *Money `json:"perPurchase,omitempty"`
	PerCustomer    *Money `json:"perCustomer,omitempty"`
	CustomerPeriod string `json:"customerPeriod,omitempty" enum:"DAY,WEEK,MONTH,CAMPAIGN"`
}

// CampaignFunding is who pays for a campaign.
type CampaignFunding struct {
	Kind            string  `json:"kind" enum:"PLATFORM,MERCHANT,SHARED"`
	AccountID       string  `json:"accountId,omitempty"`
	MerchantPercent *Number `json:"merchantPercent,omitempty"`
}

func campaignOf(c cashback.Campaign) Campaign {
	t := &c.Terms
	out := Campaign{
		CampaignID: c.ID, Version: c.Version, Name: t.Name, Currency: string(t.Currency), From: t.From, To: t.To, Enabled: t.Enabled, Merchants: t.Merchants,
		Condition: t.Condition, LineCondition: t.LineCondition, MinimumSpend: moneyUnlessZero(t.MinimumSpend, t.Currency), Reward: campaignRewardOf(t),
		Budget: moneyOf(t.Budget, t.Currency), BudgetEnd: string(t.BudgetEnd),
		Funding: CampaignFunding{Kind: string(t.Funding.Kind), AccountID: t.Funding.AccountID, MerchantPercent: numberUnlessZero(t.Funding.MerchantPercent)},
		Group:   cmp.Or(t.Group, rules.DefaultGroup), Priority: t.Priority, ClickHours: t.ClickHours, ReturnDays: t.ReturnDays, CreatedBy: c.CreatedBy, CreatedAt: c.CreatedAt,
	}
	caps := CampaignCaps{
		PerPurchase: moneyUnlessZero(t.Caps.PerPurchase, t.Currency), PerCustomer: moneyUnlessZero(t.Caps.PerCustomer, t.Currency), CustomerPeriod: string(t.Caps.CustomerPeriod),
	}
	if caps != (CampaignCaps{}) {
		out.Caps = &caps
	}
	return out
}

func campaignRewardOf(t *rules.Terms) CampaignReward {
	out := CampaignReward{Kind: string(t.Reward.Kind), Percent: numberUnlessZero(t.Reward.Percent), Amount: moneyUnlessZero(t.Reward.Amount, t.Currency)}
	for _, step := range t.Reward.Steps {
		out.Steps = append(out.Steps, RewardStep{
			From: moneyOf(step.From, t.Currency), Percent: numberUnlessZero(step.Percent), Amount: moneyUnlessZero(step.Amount, t.Currency),
		})
	}
	if len(t.Reward.Multipliers) > 0 {
		out.Multipliers = map[string]Number{}
		for tier, by := range t.Reward.Multipliers {
			out.Multipliers[tier] = numberOf(by)
		}
	}
	return out
}

// CampaignList is a list of campaigns, or of a campaign's versions.
type CampaignList struct {
	Data       []Campaign `json:"data" nullable:"false"`
	NextCursor string     `json:"nextCursor,omitempty" doc:"Where the next page begins; absent on the last."`
}

// CampaignRequest makes or changes a campaign.
type CampaignRequest struct {
	CampaignID ID  `json:"campaignId,omitempty" pattern:"^[a-z0-9][a-z0-9-]{0,23}$" doc:"Of a new campaign: a-z 0-9 -, at most 24 characters." example:"kitchen-5"`
	Version    int `json:"version,omitempty" doc:"Of a change: the version that it is made of."`
	CampaignTerms
}

// CampaignTerms are what a campaign is.
type CampaignTerms struct {
	Name          string                 `json:"name" maxLength:"100" example:"5% on kitchenware"`
	Currency      string                 `json:"currency" doc:"ISO 4217, of purchases, rewards and budget. It stays as it is." example:"USD"`
	From          time.Time              `json:"from" doc:"Purchases from this time on (RFC 3339)."`
	To            time.Time              `json:"to" doc:"Purchases before this time (RFC 3339)."`
	Enabled       bool                   `json:"enabled" doc:"false pauses it."`
	Merchants     []string               `json:"merchants,omitempty" maxItems:"1000" nullable:"false" doc:"Whose purchases count; all when absent."`
	Condition     string                 `json:"condition,omitempty" doc:"CEL over a purchase; absent for all. Among others: amount, merchant, country, tier, segments, is_first_purchase, categories, products, weekday, hour, has_click." example:"country == \"GB\" && amount >= decimal(\"20\")"`
	LineCondition string                 `json:"lineCondition,omitempty" doc:"CEL over a line; absent for all lines. Among others: product, description, category, mcc, line_quantity, unit_price, line_amount; quantity and amount are the purchase's." example:"category == \"kitchen\""`
	MinimumSpend  Amount                 `json:"minimumSpend,omitempty" doc:"Of the lines that count."`
	Reward        CampaignRewardRequest  `json:"reward"`
	Caps          CampaignCapsRequest    `json:"caps,omitempty"`
	Budget        Amount                 `json:"budget" doc:"The most that the campaign gives; what is taken back can be given again."`
	BudgetEnd     string                 `json:"budgetEnd,omitempty" enum:"REST,NOTHING" default:"REST" doc:"Of a reward that is larger than what is left: the rest, or nothing."`
	Funding       CampaignFundingRequest `json:"funding"`
	Group         string                 `json:"group,omitempty" default:"default" doc:"Campaigns of a group follow its policy in the program; groups add up."`
	Priority      int                    `json:"priority,omitempty" doc:"In its group, the higher first."`
	ClickHours    int                    `json:"clickHours,omitempty" doc:"Only purchases so long after a click through the campaign. 0 when none is needed."`
	ReturnDays    int                    `json:"returnDays" doc:"After so many days the reward is confirmed, and paid."`
}

// CampaignRewardRequest is what a campaign gives.
type CampaignRewardRequest struct {
	Kind        string              `json:"kind" enum:"PERCENT,FIXED,TIERED" doc:"PERCENT of the lines that count; FIXED once a purchase; TIERED by the amount of the lines that count."`
	Percent     Amount              `json:"percent,omitempty" doc:"Of PERCENT: above 0, at most 100."`
	Amount      Amount              `json:"amount,omitempty" doc:"Of FIXED, in the campaign's currency."`
	Steps       []RewardStepRequest `json:"steps,omitempty" maxItems:"20" nullable:"false" doc:"Of TIERED, ascending: the last one that is reached counts for all of the amount."`
	Multipliers map[string]Amount   `json:"multipliers,omitempty" nullable:"false" doc:"By tier; 1 for others." example:"{\"gold\": \"2\"}"`
}

// RewardStepRequest is a step of a TIERED reward: percent or amount.
type RewardStepRequest struct {
	From    Amount `json:"from" doc:"Of the amount of the lines that count."`
	Percent Amount `json:"percent,omitempty"`
	Amount  Amount `json:"amount,omitempty"`
}

// CampaignCapsRequest bounds rewards.
type CampaignCapsRequest struct {
	PerPurchase    Amount `json:"perPurchase,omitempty"`
	PerCustomer    Amount `json:"perCustomer,omitempty" doc:"In each period."`
	CustomerPeriod string `json:"customerPeriod,omitempty" enum:"DAY,WEEK,MONTH,CAMPAIGN" doc:"Of perCustomer, in UTC; a week begins on Monday."`
}

// CampaignFundingRequest is who pays for a campaign.
type CampaignFundingRequest struct {
	Kind            string `json:"kind" enum:"PLATFORM,MERCHANT,SHARED"`
	AccountID       ID     `json:"accountId,omitempty" doc:"Of MERCHANT and SHARED: the merchant's account, one of the type MERCHANT." example:"bookshop-funds"`
	MerchantPercent Amount `json:"merchantPercent,omitempty" doc:"Of SHARED: the merchant's part of each reward, above 0 and below 100."`
}

// campaignTermsMembers are those of whatever has a campaign's terms in it.
func campaignTermsMembers[T any](terms func(*T) *CampaignTerms) []member[T] {
	of := func(name string, required bool, read func(*decoder, *CampaignTerms)) member[T] {
		return member[T]{name, required, func(d *decoder, r *T) { read(d, terms(r)) }}
	}
	return []member[T]{
		of("name", true, func(d *decoder, r *CampaignTerms) { d.readText(&r.Name) }),
		of("currency", true, func(d *decoder, r *CampaignTerms) { d.readText(&r.Currency) }),
		of("from", true, func(d *decoder, r *CampaignTerms) { d.readInstant(&r.From) }),
		of("to", true, func(d *decoder, r *CampaignTerms) { d.readInstant(&r.To) }),
		of("enabled", true, func(d *decoder, r *CampaignTerms) { d.readFlag(&r.Enabled) }),
		of("merchants", false, func(d *decoder, r *CampaignTerms) { d.readTexts(&r.Merchants, rules.MaxMerchants) }),
		of("condition", false, func(d *decoder, r *CampaignTerms) { d.readText(&r.Condition) }),
		of("lineCondition", false, func(d *decoder, r *CampaignTerms) { d.readText(&r.LineCondition) }),
		of("minimumSpend", false, func(d *decoder, r *CampaignTerms) { d.readAmount(&r.MinimumSpend) }),
		of("reward", true, func(d *decoder, r *CampaignTerms) { decodeObject(d, &r.Reward) }),
		of("caps", false, func(d *decoder, r *CampaignTerms) { decodeObject(d, &r.Caps) }),
		of("budget", true, func(d *decoder, r *CampaignTerms) { d.readAmount(&r.Budget) }),
		of("budgetEnd", false, func(d *decoder, r *CampaignTerms) { d.readText(&r.BudgetEnd) }),
		of("funding", true, func(d *decoder, r *CampaignTerms) { decodeObject(d, &r.Funding) }),
		of("group", false, func(d *decoder, r *CampaignTerms) { d.readText(&r.Group) }),
		of("priority", false, func(d *decoder, r *CampaignTerms) { d.readInt(&r.Priority) }),
		of("clickHours", false, func(d *decoder, r *CampaignTerms) { d.readInt(&r.ClickHours) }),
		of("returnDays", true, func(d *decoder, r *CampaignTerms) { d.readInt(&r.ReturnDays) }),
	}
}

var campaignMembers = append([]member[CampaignRequest]{
	{"campaignId", false, func(d *decoder, r *CampaignRequest) { d.readText((*string)(&r.CampaignID)) }},
	{"version", false, func(d *decoder, r *CampaignRequest) { d.readInt(&r.Version) }},
}, campaignTermsMembers(func(r *CampaignRequest) *CampaignTerms { return &r.CampaignTerms })...)

func (CampaignRequest) members() []member[CampaignRequest] { return campaignMembers }

var plainTermsMembers = campaignTermsMembers(func(r *CampaignTerms) *CampaignTerms { return r })

func (CampaignTerms) members() []member[CampaignTerms] { return plainTermsMembers }

var campaignRewardMembers = []member[CampaignRewardRequest]{
	{"kind", true, func(d *decoder, r *CampaignRewardRequest) { d.readText(&r.Kind) }},
	{"percent", false, func(d *decoder, r *CampaignRewardRequest) { d.readAmount(&r.Percent) }},
	{"amount", false, func(d *decoder, r *CampaignRewardRequest) { d.readAmount(&r.Amount) }},
	{"steps", false, func(d *decoder, r *CampaignRewardRequest) { decodeList(d, &r.Steps, rules.MaxSteps) }},
	{"multipliers", false, func(d *decoder, r *CampaignRewardRequest) {
		readMap(d, &r.Multipliers, rules.MaxMultipliers, (*decoder).readAmount)
	}},
}

func (CampaignRewardRequest) members() []member[CampaignRewardRequest] { return campaignRewardMembers }

var rewardStepMembers = []member[RewardStepRequest]{
	{"from", true, func(d *decoder, r *RewardStepRequest) { d.readAmount(&r.From) }},
	{"percent", false, func(d *decoder, r *RewardStepRequest) { d.readAmount(&r.Percent) }},
	{"amount", false, func(d *decoder, r *RewardStepRequest) { d.readAmount(&r.Amount) }},
}

func (RewardStepRequest) members() []member[RewardStepRequest] { return rewardStepMembers }

var campaignCapsMembers = []member[CampaignCapsRequest]{
	{"perPurchase", false, func(d *decoder, r *CampaignCapsRequest) { d.readAmount(&r.PerPurchase) }},
	{"perCustomer", false, func(d *decoder, r *CampaignCapsRequest) { d.readAmount(&r.PerCustomer) }},
	{"customerPeriod", false, func(d *decoder, r *CampaignCapsRequest) { d.readText(&r.CustomerPeriod) }},
}

func (CampaignCapsRequest) members() []member[CampaignCapsRequest] { return campaignCapsMembers }

var campaignFundingMembers = []member[CampaignFundingRequest]{
	{"kind", true, func(d *decoder, r *CampaignFundingRequest) { d.readText(&r.Kind) }},
	{"accountId", false, func(d *decoder, r *CampaignFundingRequest) { d.readText((*string)(&r.AccountID)) }},
	{"merchantPercent", false, func(d *decoder, r *CampaignFundingRequest) { d.readAmount(&r.MerchantPercent) }},
}

func (CampaignFundingRequest) members() []member[CampaignFundingRequest] {
	return campaignFundingMembers
}

func (r *CampaignTerms) terms() rules.Terms {
	t := rules.Terms{
		Name: r.Name, Currency: money.Currency(r.Currency), From: r.From, To: r.To, Enabled: r.Enabled, Merchants: r.Merchants,
		Condition: r.Condition, LineCondition: r.LineCondition, MinimumSpend: r.MinimumSpend.Decimal,
		Reward: rules.Reward{Kind: rules.RewardKind(r.Reward.Kind), Percent: r.Reward.Percent.Decimal, Amount: r.Reward.Amount.Decimal},
		Caps: rules.Caps{
			PerPurchase: r.Caps.PerPurchase.Decimal, PerCustomer: r.Caps.PerCustomer.Decimal, CustomerPeriod: rules.Period(r.Caps.CustomerPeriod),
		},
		Budget: r.Budget.Decimal, BudgetEnd: rules.BudgetEnd(cmp.Or(r.BudgetEnd, string(rules.PayRest))),
		Funding: rules.Funding{Kind: rules.FundingKind(r.Funding.Kind), AccountID: string(r.Funding.AccountID), MerchantPercent: r.Funding.MerchantPercent.Decimal},
		Group:   cmp.Or(r.Group, rules.DefaultGroup), Priority: r.Priority, ClickHours: r.ClickHours, ReturnDays: r.ReturnDays,
	}
	for _, step := range r.Reward.Steps {
		t.Reward.Steps = append(t.Reward.Steps, rules.Step{From: step.From.Decimal, Percent: step.Percent.Decimal, Amount: step.Amount.Decimal})
	}
	if len(r.Reward.Multipliers) > 0 {
		t.Reward.Multipliers = map[string]decimal.Decimal{}
		for tier, by := range r.Reward.Multipliers {
			t.Reward.Multipliers[tier] = by.Decimal
		}
	}
	return t
}

// CampaignFigures are what a campaign gave. They equal its accounts in the ledger; to a
// caller with an owner they are the part that his accounts pay.
type CampaignFigures struct {
	CampaignID string    `json:"campaignId" example:"kitchen-5"`
	Currency   string    `json:"currency" doc:"ISO 4217." example:"USD"`
	Budget     Money     `json:"budget"`
	Remaining  Money     `json:"remaining" doc:"Of the budget: less accrued, confirmed and paid."`
	Accrued    Money     `json:"accrued" doc:"Promised, and not confirmed yet."`
	Confirmed  Money     `json:"confirmed" doc:"Owed to customers, and not paid yet."`
	Paid       Money     `json:"paid" doc:"To customers, and not taken back."`
	Reversed   Money     `json:"reversed" doc:"Taken back, all in all."`
	Owed       Money     `json:"owed" doc:"Of paid, what customers have still to give back."`
	Merchants  Money     `json:"merchants" doc:"Of accrued, confirmed and paid, what merchants pay."`
	Rewards    int64     `json:"rewards" doc:"How many there were."`
	ReadAt     time.Time `json:"readAt" doc:"The time of these figures."`
}

func figuresOf(f cashback.Figures) CampaignFigures {
	return CampaignFigures{
		CampaignID: f.CampaignID, Currency: string(f.Currency), Budget: moneyOf(f.Budget, f.Currency), Remaining: moneyOf(f.Remaining, f.Currency),
		Accrued: moneyOf(f.Accrued, f.Currency), Confirmed: moneyOf(f.Confirmed, f.Currency), Paid: moneyOf(f.Paid, f.Currency),
		Reversed: moneyOf(f.Reversed, f.Currency), Owed: moneyOf(f.Owed, f.Currency), Merchants: moneyOf(f.Merchants, f.Currency), Rewards: f.Rewards, ReadAt: f.At,
	}
}

// CampaignPath names a campaign.
type CampaignPath struct {
	CampaignID ID `path:"campaignId" doc:"The campaign's id." example:"kitchen-5"`
}

type campaignInput struct{ Payload jsonBody[CampaignRequest] }

type changeCampaignInput struct {
	CampaignPath
	Payload jsonBody[CampaignRequest]
}

type listCampaignsInput struct {
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
}

type campaignVersionsInput struct {
	CampaignPath
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Most rows of the page."`
	Cursor string `query:"cursor" maxLength:"300" doc:"The nextCursor of the page before; absent for the first."`
}

type campaignOutput struct {
	Status int
	Body   Campaign
}

type campaignsOutput struct{ Body CampaignList }

type figuresOutput struct{ Body CampaignFigures }

// campaignReader are campaigns as far as somebody reaches.
type campaignReader interface {
	Campaign(ctx context.Context, id string) (cashback.Campaign, error)
	Campaigns(ctx context.Context, after string, limit int) ([]cashback.Campaign, error)
	Figures(ctx context.Context, campaignID string) (cashback.Figures, error)
}

// campaignsFor are the campaigns as far as the caller reaches: all of them, or those
// that accounts of his owner's pay for, with his part of them.
func (a *api) campaignsFor(ctx context.Context) campaignReader {
	if owner := principalOf(ctx).OwnerID; owner != "" {
		return a.cashback.FundedBy(owner)
	}
	return a.cashback
}

func (a *api) routeCampaigns() {
	route(a, createCampaignEndpoint, a.createCampaign)
	route(a, listCampaignsEndpoint, a.listCampaigns)
	route(a, getCampaignEndpoint, a.getCampaign)
	route(a, changeCampaignEndpoint, a.changeCampaign)
	route(a, listCampaignVersionsEndpoint, a.listCampaignVersions)
	route(a, getFiguresEndpoint, a.getFigures)
	route(a, simulateCampaignEndpoint, a.simulateCampaign)
}

func (a *api) createCampaign(ctx context.Context, in *campaignInput) (*campaignOutput, error) {
	r := &in.Payload.Value
	if r.Version != 0 {
		return nil, invalidField("version", "must be absent: a new campaign begins with 1")
	}
	terms := r.terms()
	if err := a.secondPersonForNew(ctx, string(r.CampaignID), &terms); err != nil {
		return nil, err
	}
	campaign, err := a.cashback.CreateCampaign(ctx, string(r.CampaignID), terms)
	if err != nil {
		return nil, renamed(err, func(field string) string {
			if field == "id" {
				return "campaignId"
			}
			return field
		})
	}
	return &campaignOutput{http.StatusCreated, campaignOf(campaign)}, nil
}

func (a *api) changeCampaign(ctx context.Context, in *changeCampaignInput) (*campaignOutput, error) {
	r := &in.Payload.Value
	if r.CampaignID != "" && r.CampaignID != in.CampaignID {
		return nil, invalidField("campaignId", "must be the one of the path, or absent")
	}
	if r.Version < 1 {
		return nil, invalidField("version", "must be the one that the change is made of, from 1")
	}
	terms := r.terms()
	if err := a.secondPersonForCampaign(ctx, string(in.CampaignID), int64(r.Version), &terms); err != nil {
		return nil, err
	}
	campaign, err := a.cashback.ChangeCampaign(ctx, string(in.CampaignID), int64(r.Version), terms)
	if err != nil {
		return nil, err
	}
	return &campaignOutput{http.StatusOK, campaignOf(campaign)}, nil
}

func (a *api) getCampaign(ctx context.Context, in *CampaignPath) (*campaignOutput, error) {
	campaign, err := a.campaignsFor(ctx).Campaign(ctx, string(in.CampaignID))
	if err != nil {
		return nil, err
	}
	return &campaignOutput{http.StatusOK, campaignOf(campaign)}, nil
}

func (a *api) listCampaigns(ctx context.Context, in *listCampaignsInput) (*campaignsOutput, error) {
	after, err := idAfter(in.Cursor, "campaigns")
	if err != nil {
		return nil, err
	}
	rows, err := a.campaignsFor(ctx).Campaigns(ctx, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := CampaignList{Data: campaignsOf(rows)}
	if more {
		list.NextCursor = newCursor("campaigns", noSnapshot, rows[len(rows)-1].ID)
	}
	return &campaignsOutput{list}, nil
}

func campaignsOf(rows []cashback.Campaign) []Campaign {
	list := make([]Campaign, len(rows))
	for i, row := range rows {
		list[i] = campaignOf(row)
	}
	return list
}

func (a *api) listCampaignVersions(ctx context.Context, in *campaignVersionsInput) (*campaignsOutput, error) {
	const kind = "campaign versions"
	before, err := versionAfter(in.Cursor, kind)
	if err != nil {
		return nil, err
	}
	if _, err := a.cashback.Campaign(ctx, string(in.CampaignID)); err != nil {
		return nil, err
	}
	rows, err := a.cashback.CampaignVersions(ctx, string(in.CampaignID), before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	rows, more := cut(rows, in.Limit)
	list := CampaignList{Data: campaignsOf(rows)}
	if more {
		list.NextCursor = newCursor(kind, noSnapshot, strconv.FormatInt(rows[len(rows)-1].Version, 10))
	}
	return &campaignsOutput{list}, nil
}

func (a *api) getFigures(ctx context.Context, in *CampaignPath) (*figuresOutput, error) {
	figures, err := a.campaignsFor(ctx).Figures(ctx, string(in.CampaignID))
	if err != nil {
		return nil, err
	}
	return &figuresOutput{figuresOf(figures)}, nil
}
