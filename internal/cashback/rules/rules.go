// Package rules decides what a purchase earns: the terms of campaigns, the
// evaluation of a purchase under all of them, and the reasons. It is pure: the same
// input gives the same rewards, on every replica and in every dry run.
//
// It guarantees that no amount passes through floating point, that a reward has the
// currency's decimals (rounded half-even, once), that the parts of a reward that
// fall to its lines add up to it, and that no rule, however wrong, loses a purchase:
// one that can't be evaluated is skipped, with the reason.
package rules

import (
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// Line is one line of a purchase.
type Line struct {
	Product     string          `json:"product"`
	Description string          `json:"description,omitempty"`
	Category    string          `json:"category,omitempty"`
	MCC         string          `json:"mcc,omitempty"`
	Quantity    int64           `json:"quantity"`  // above zero
	UnitPrice   decimal.Decimal `json:"unitPrice"` // not negative; may have more decimals than the currency
}

// Amount is quantity times price, exact.
func (l *Line) Amount() decimal.Decimal { return l.UnitPrice.Mul(decimal.NewFromInt(l.Quantity)) }

// Purchase is what a rule is asked about.
type Purchase struct {
	ID         string
	MerchantID string
	CustomerID string
	Currency   money.Currency
	Country    string // of the sale; ISO 3166-1 alpha-2 or empty
	At         time.Time
	Lines      []Line
	// Click is the click that it belongs to, found before; nil for none.
	Click *Click
}

// Click is a customer's visit to a merchant by way of a campaign.
type Click struct {
	ID         string
	CampaignID string
	At         time.Time
}

// Customer is what is known of the buyer at the time of the purchase, without it.
type Customer struct {
	Country   string
	Purchases int64 // before this one
	// Spend is what he spent in the tiers' window before this purchase.
	Spend decimal.Decimal
	Tier  string // by Spend; empty below the first
	// Segments that he is on the list of; those by rule are evaluated when asked for.
	Segments []string
}

// Room is what a campaign can still give.
type Room struct {
	// Budget is what is left of the campaign's.
	Budget decimal.Decimal
	// Customer is what is left of the customer's cap in the purchase's period;
	// without limit when not Valid.
	Customer decimal.NullDecimal
	// Funds is what the merchant's funding account can pay; not Valid for no limit.
	Funds decimal.NullDecimal
}

// RewardKind says how a reward is computed.
type RewardKind string

// The kinds of rewards.
const (
	Percent RewardKind = "PERCENT" // of the amount of the lines that count
	Fixed   RewardKind = "FIXED"   // once a purchase
	Tiered  RewardKind = "TIERED"  // percent or fixed, by the amount of the lines that count
)

// Reward is what a campaign gives.
type Reward struct {
	Kind    RewardKind      `json:"kind"`
	Percent decimal.Decimal `json:"percent,omitzero"` // above 0, at most 100, up to 4 decimals
	Amount  decimal.Decimal `json:"amount,omitzero"`  // above 0, in the campaign's currency
	// Steps of a TIERED reward, by From ascending; the last one that the amount
	// reaches counts for all of it. Below the first there is no reward.
	Steps []Step `json:"steps,omitempty"`
	// Multipliers by loyalty tier, such as {"gold": 2}; 1 for others.
	Multipliers map[string]decimal.Decimal `json:"multipliers,omitempty"`
}

// Step of a TIERED reward: one of Percent and Amount is set.
type Step struct {
	From    decimal.Decimal `json:"from"`
	Percent decimal.Decimal `json:"percent,omitzero"`
	Amount  decimal.Decimal `json:"amount,omitzero"`
}

// Period of a customer's cap, in UTC.
type Period string

// The periods. A week begins on Monday (ISO 8601).
const (
	Day      Period = "DAY"
	Week     Period = "WEEK"
	Month    Period = "MONTH"
	Campaign Period = "CAMPAIGN" // all of it
)

// Caps bound rewards; a zero amount is no cap.
type Caps struct {
	PerPurchase    decimal.Decimal `json:"perPurchase,omitzero"`
	PerCustomer    decimal.Decimal `json:"perCustomer,omitzero"`
	CustomerPeriod Period          `json:"customerPeriod,omitempty"` // of PerCustomer
}

// FundingKind says who pays.
type FundingKind string

// The kinds of funding.
const (
	Platform FundingKind = "PLATFORM"
	Merchant FundingKind = "MERCHANT"
	Shared   FundingKind = "SHARED"
)

// Funding is who pays for a campaign.
type Funding struct {
	Kind FundingKind `json:"kind"`
	// AccountID is the merchant's account; empty for PLATFORM.
	AccountID string `json:"accountId,omitempty"`
	// MerchantPercent is the merchant's part of each reward when SHARED: above 0,
	// below 100. It is rounded half-even; the platform pays the rest.
	MerchantPercent decimal.Decimal `json:"merchantPercent,omitzero"`
}

// BudgetEnd says what becomes of a reward that is larger than what is left.
type BudgetEnd string

// The ends of a budget.
const (
	PayRest    BudgetEnd = "REST"    // as much as is left
	PayNothing BudgetEnd = "NOTHING" // nothing; a smaller one later may still fit
)

// Terms are what a campaign is, in one version of it: a rule.
type Terms struct {
	Name     string         `json:"name"`
	Currency money.Currency `json:"currency"`
	From     time.Time      `json:"from"` // of the purchase's time
	To       time.Time      `json:"to"`   // exclusive
	Enabled  bool           `json:"enabled"`
	// Merchants whose purchases count; all when empty.
	Merchants []string `json:"merchants,omitempty"`
	// Condition is CEL over a purchase (docs/cashback.md); empty for all purchases.
	Condition string `json:"condition,omitempty"`
	// LineCondition is CEL over a line; empty for all lines.
	LineCondition string          `json:"lineCondition,omitempty"`
	MinimumSpend  decimal.Decimal `json:"minimumSpend,omitzero"` // of the lines that count
	Reward        Reward          `json:"reward"`
	Caps          Caps            `json:"caps,omitzero"`
	Budget        decimal.Decimal `json:"budget"`
	BudgetEnd     BudgetEnd       `json:"budgetEnd"`
	Funding       Funding         `json:"funding"`
	// Group and Priority say what happens when several campaigns apply: each
	// group follows its policy, groups add up.
	Group    string `json:"group,omitempty"` // "default" when empty
	Priority int    `json:"priority,omitzero"`
	// ClickHours is how long after a click through this campaign a purchase counts,
	// and then only such; 0 when no click is needed.
	ClickHours int `json:"clickHours,omitzero"`
	// ReturnDays is how long after the purchase the reward is confirmed.
	ReturnDays int `json:"returnDays"`
}

// Policy is how campaigns of one group stack.
type Policy string

// The policies.
const (
	Best     Policy = "BEST"     // the one that gives most; of equals the higher priority, then the lower id
	Sum      Policy = "SUM"      // all
	Priority Policy = "PRIORITY" // the highest priority that gives anything; of equals the lower id
)

// Tier of the loyalty ladder.
type Tier struct {
	Name     string          `json:"name"`
	MinSpend decimal.Decimal `json:"minSpend"`
}

// Program is what all campaigns share.
type Program struct {
	Version int64 `json:"version"`
	// Groups' policies; BEST for a group that is not named.
	Groups map[string]Policy `json:"groups,omitempty"`
	// Tiers ascending by MinSpend, of the spend of TierDays days in TierCurrency.
	Tiers        []Tier         `json:"tiers,omitempty"`
	TierDays     int            `json:"tierDays,omitzero"`
	TierCurrency money.Currency `json:"tierCurrency,omitempty"`
	// Segments by rule: CEL over a customer, by name.
	Segments map[string]string `json:"segments,omitempty"`
}

// Reason is why a campaign gave what it gave. Campaigns that are disabled, or have
// not the purchase's time in their period, have none: they are not asked. Reasons are
// part of the API.
type Reason string

// The reasons.
const (
	Applied          Reason = "applied"
	CappedPurchase   Reason = "capped_per_purchase" // applied, for less
	CappedCustomer   Reason = "capped_per_customer" // applied, for less
	CappedBudget     Reason = "capped_by_budget"    // applied, for the rest
	OtherMerchant    Reason = "other_merchant"
	OtherCurrency    Reason = "other_currency"
	NoClick          Reason = "no_click"
	ConditionFalse   Reason = "condition_false"
	NoLines          Reason = "no_lines"      // none counts
	BelowMinimum     Reason = "below_minimum" // the minimum spend, or the first step
	RoundsToZero     Reason = "rounds_to_zero"
	CustomerCapFull  Reason = "customer_cap_reached"
	BudgetExhausted  Reason = "budget_exhausted"
	FundsMissing     Reason = "funding_insufficient"
	Stacked          Reason = "outdone" // another campaign of its group came first
	EvaluationFailed Reason = "evaluation_failed"
)

// Applies says that a reward comes of it.
func (r Reason) Applies() bool {
	return r == Applied || r == CappedPurchase || r == CappedCustomer || r == CappedBudget
}

// Finding is what one campaign made of a purchase. It is kept with the purchase.
type Finding struct {
	CampaignID string `json:"campaign"`
	Version    int64  `json:"version"`
	Reason     Reason `json:"reason"`
	// Detail says more: the error of an evaluation, the campaign that came first.
	Detail string `json:"detail,omitempty"`
	// Base is the amount of the lines that count.
	Base decimal.Decimal `json:"base,omitzero"`
	// Rate is the percent that was used, Multiplier the tier's.
	Rate       decimal.Decimal `json:"rate,omitzero"`
	Multiplier decimal.Decimal `json:"multiplier,omitzero"`
	// Computed is the reward before caps and rounding; Amount what is given; zero
	// when Reason does not apply.
	Computed decimal.Decimal `json:"computed,omitzero"`
	Amount   decimal.Decimal `json:"amount,omitzero"`
	// MerchantPart of Amount is paid by the merchant.
	MerchantPart decimal.Decimal `json:"merchantPart,omitzero"`
	// Lines are the parts of Amount that fall to the purchase's lines, by index; nil
	// when nothing is given. They add up to Amount.
	Lines []decimal.Decimal `json:"lines,omitempty"`
}
