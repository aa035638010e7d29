package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"florin/internal/money"
	"florin/internal/platform/failure"
	"florin/internal/platform/id"
)

// Limits of terms and of the program. They are part of the API.
const (
	MaxNameLength     = 100 // characters
	MaxPriority       = 1000
	MaxMerchants      = 1000 // that a campaign names
	MaxSteps          = 20
	MaxMultipliers    = 20
	MaxFactor         = 100 // of percents and multipliers
	MaxClickHours     = 24 * 365
	MaxReturnDays     = 730
	MaxGroups         = 50
	MaxTiers          = 20
	MaxTierDays       = 3650
	MaxSegments       = 50 // by rule
	maxFactorDecimals = 4  // of percents and multipliers
)

// InvalidInput says what makes no sense, whatever is stored. Nothing of it was
// applied.
type InvalidInput = failure.Invalid

// FieldError is one field's problem. Field is its name in the API, such as
// "reward.steps[2].from".
type FieldError = failure.Field

// problemsMax bounds what one answer tells of a long list.
const problemsMax = 20

// problems collects what is wrong, so that one answer names all of it.
type problems []FieldError

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

func (p *problems) require(isRight bool, field, format string, args ...any) {
	if !isRight {
		p.add(field, format, args...)
	}
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return &InvalidInput{Fields: p}
}

// Validate says whether the terms can be a campaign: every field within its
// limits, and every expression one that compiles, speaks of what there is, is true
// or false, and has a bounded cost. Returns *InvalidInput, which names all fields
// that are wrong.
func (t *Terms) Validate() error {
	var p problems
	if n := utf8.RuneCountInString(t.Name); n == 0 || n > MaxNameLength || !IsPlainText(t.Name) {
		p.add("name", "must have 1 to %d characters, none of them control characters", MaxNameLength)
	}
	_, err := money.ParseCurrency(string(t.Currency))
	hasCurrency := err == nil
	if !hasCurrency {
		p.add("currency", "%v", err)
	}
	t.validatePeriod(&p)
	t.validateMerchants(&p)
	p.condition("condition", purchaseLanguage, t.Condition)
	p.condition("lineCondition", lineLanguage, t.LineCondition)
	p.require(t.BudgetEnd == PayRest || t.BudgetEnd == PayNothing, "budgetEnd", "must be REST or NOTHING")
	t.validateFunding(&p)
	p.require(t.Group == "" || id.IsPossible(t.Group), "group", nameProblem)
	p.require(t.Priority >= 0 && t.Priority <= MaxPriority, "priority", "must be 0 to %d", MaxPriority)
	p.require(t.ClickHours >= 0 && t.ClickHours <= MaxClickHours, "clickHours", "must be 0 (no click is needed) to %d", MaxClickHours)
	p.require(t.ReturnDays >= 0 && t.ReturnDays <= MaxReturnDays, "returnDays", "must be 0 to %d", MaxReturnDays)
	if hasCurrency { // what amounts can be hangs on it
		p.amount("minimumSpend", t.MinimumSpend, t.Currency, mayBeZero)
		p.amount("budget", t.Budget, t.Currency, aboveZero)
		t.validateReward(&p)
		t.validateCaps(&p)
	}
	return p.err()
}

const nameProblem = "must have 1 to 50 characters of A-Z a-z 0-9 _ - . :"

func (t *Terms) validatePeriod(p *problems) {
	for field, at := range map[string]time.Time{"from": t.From, "to": t.To} {
		p.require(at.UTC().Year() >= 2000 && at.UTC().Year() < 3000, field, "must be a time from the year 2000 to 2999")
	}
	p.require(t.From.Before(t.To), "to", "must be after from")
}

func (t *Terms) validateMerchants(p *problems) {
	p.require(len(t.Merchants) <= MaxMerchants, "merchants", "must be at most %d", MaxMerchants)
	for i, merchant := range t.Merchants[:min(len(t.Merchants), MaxMerchants)] {
		if len(*p) >= problemsMax {
			return
		}
		p.require(id.IsPossible(merchant), fmt.Sprintf("merchants[%d]", i), nameProblem)
	}
}

func (t *Terms) validateFunding(p *problems) {
	f := t.Funding
	switch f.Kind {
	case Platform:
		p.require(f.AccountID == "", "funding.accountId", "must be left out when the platform pays")
	case Merchant, Shared:
		p.require(id.IsPossible(f.AccountID), "funding.accountId", "must name the merchant's account, in 1 to 50 characters of A-Z a-z 0-9 _ - . :")
	default:
		p.add("funding.kind", "must be PLATFORM, MERCHANT or SHARED")
	}
	if f.Kind != Shared {
		p.require(f.MerchantPercent.IsZero(), "funding.merchantPercent", "is for SHARED funding only")
		return
	}
	if p.factor("funding.merchantPercent", f.MerchantPercent) {
		p.require(f.MerchantPercent.LessThan(hundred), "funding.merchantPercent", "must be below 100: one who pays all is MERCHANT")
	}
}

func (t *Terms) validateReward(p *problems) {
	r := t.Reward
	switch r.Kind {
	case Percent:
		p.factor("reward.percent", r.Percent)
	case Fixed:
		p.amount("reward.amount", r.Amount, t.Currency, aboveZero)
	case Tiered:
		t.validateSteps(p)
	default:
		p.add("reward.kind", "must be PERCENT, FIXED or TIERED")
		return
	}
	p.require(r.Kind == Percent || r.Percent.IsZero(), "reward.percent", "is for the kind PERCENT only")
	p.require(r.Kind == Fixed || r.Amount.IsZero(), "reward.amount", "is for the kind FIXED only")
	p.require(r.Kind == Tiered || len(r.Steps) == 0, "reward.steps", "are for the kind TIERED only")
	p.require(len(r.Multipliers) <= MaxMultipliers, "reward.multipliers", "must be at most %d", MaxMultipliers)
	for _, tier := range slices.Sorted(maps.Keys(r.Multipliers)) {
		p.require(id.IsPossible(tier), "reward.multipliers", "the name of a tier "+nameProblem)
		p.factor(fmt.Sprintf("reward.multipliers[%q]", tier), r.Multipliers[tier])
	}
}

func (t *Terms) validateSteps(p *problems) {
	steps := t.Reward.Steps
	if len(steps) == 0 || len(steps) > MaxSteps {
		p.add("reward.steps", "must be 1 to %d", MaxSteps)
		return
	}
	for i, step := range steps {
		field := fmt.Sprintf("reward.steps[%d]", i)
		isAmount := p.amount(field+".from", step.From, t.Currency, mayBeZero)
		if isAmount && i > 0 && isPlainDecimal(steps[i-1].From) {
			p.require(step.From.GreaterThan(steps[i-1].From), field+".from", "must be above that of the step before")
		}
		switch {
		case step.Percent.IsZero() == step.Amount.IsZero():
			p.add(field, "must have either percent or amount")
		case step.Amount.IsZero():
			p.factor(field+".percent", step.Percent)
		default:
			p.amount(field+".amount", step.Amount, t.Currency, aboveZero)
		}
	}
}

func (t *Terms) validateCaps(p *problems) {
	p.amount("caps.perPurchase", t.Caps.PerPurchase, t.Currency, mayBeZero)
	p.amount("caps.perCustomer", t.Caps.PerCustomer, t.Currency, mayBeZero)
	switch t.Caps.CustomerPeriod {
	case "":
		p.require(t.Caps.PerCustomer.IsZero(), "caps.customerPeriod", "must say of which time perCustomer is: DAY, WEEK, MONTH or CAMPAIGN")
	case Day, Week, Month, Campaign:
		p.require(!t.Caps.PerCustomer.IsZero(), "caps.customerPeriod", "needs an amount perCustomer")
	default:
		p.add("caps.customerPeriod", "must be DAY, WEEK, MONTH or CAMPAIGN")
	}
}

// Validate says whether the program can be one, with all segments' rules. Returns
// *InvalidInput, which names all fields that are wrong. Version is not looked at.
func (g *Program) Validate() error {
	var p problems
	p.require(len(g.Groups) <= MaxGroups, "groups", "must be at most %d", MaxGroups)
	for _, name := range slices.Sorted(maps.Keys(g.Groups)) {
		field := fmt.Sprintf("groups[%q]", name)
		p.require(id.IsPossible(name), field, nameProblem)
		policy := g.Groups[name]
		p.require(policy == Best || policy == Sum || policy == Priority, field, "must be BEST, SUM or PRIORITY")
	}
	g.validateTiers(&p)
	p.require(len(g.Segments) <= MaxSegments, "segments", "must be at most %d", MaxSegments)
	for _, name := range slices.Sorted(maps.Keys(g.Segments)) {
		field := fmt.Sprintf("segments[%q]", name)
		p.require(id.IsPossible(name), field, nameProblem)
		if rule := g.Segments[name]; rule == "" {
			p.add(field, "must have a rule")
		} else {
			p.condition(field, segmentLanguage, rule)
		}
	}
	return p.err()
}

func (g *Program) validateTiers(p *problems) {
	if len(g.Tiers) == 0 && g.TierDays == 0 && g.TierCurrency == "" {
		return
	}
	p.require(g.TierDays > 0 && g.TierDays <= MaxTierDays, "tierDays", "must be 1 to %d: spend is of so many days", MaxTierDays)
	if _, err := money.ParseCurrency(string(g.TierCurrency)); err != nil {
		p.add("tierCurrency", "%v", err)
		return
	}
	p.require(len(g.Tiers) <= MaxTiers, "tiers", "must be at most %d", MaxTiers)
	names := map[string]bool{}
	for i, tier := range g.Tiers[:min(len(g.Tiers), MaxTiers)] {
		field := fmt.Sprintf("tiers[%d]", i)
		p.require(id.IsPossible(tier.Name), field+".name", nameProblem)
		p.require(!names[tier.Name], field+".name", "is that of another tier")
		names[tier.Name] = true
		isAmount := p.amount(field+".minSpend", tier.MinSpend, g.TierCurrency, mayBeZero)
		if isAmount && i > 0 && isPlainDecimal(g.Tiers[i-1].MinSpend) {
			p.require(tier.MinSpend.GreaterThan(g.Tiers[i-1].MinSpend), field+".minSpend", "must be above that of the tier before")
		}
	}
}

// condition checks an expression; none at all holds always.
func (p *problems) condition(field string, of *conditionLanguage, text string) {
	if text == "" {
		return
	}
	// A line break is fine; NUL is what the database refuses.
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }) {
		p.add(field, "must not have control characters")
		return
	}
	if _, err := of.compile(text); err != nil {
		p.add(field, "%v", err)
	}
}

type sign bool

const (
	mayBeZero sign = true
	aboveZero sign = false
)

// amount checks one of the currency, and says whether it is right.
func (p *problems) amount(field string, amount decimal.Decimal, c money.Currency, zero sign) bool {
	before := len(*p)
	switch {
	case amount.IsNegative():
		p.add(field, "must not be negative")
	case amount.IsZero():
		p.require(zero == mayBeZero, field, "must be above zero")
	case !isPlainDecimal(amount):
		p.add(field, "has too many digits")
	default:
		if err := money.Check(amount, c); err != nil {
			p.add(field, "%v", err)
		}
	}
	return len(*p) == before
}

// factor checks a percent or a multiplier, and says whether it is right.
func (p *problems) factor(field string, factor decimal.Decimal) bool {
	isRight := factor.IsPositive() && isPlainDecimal(factor) && factor.LessThanOrEqual(decimal.NewFromInt(MaxFactor)) &&
		factor.Equal(factor.Truncate(maxFactorDecimals))
	p.require(isRight, field, "must be above 0, at most %d, with up to %d decimals", MaxFactor, maxFactorDecimals)
	return isRight
}

// isPlainDecimal says that reckoning with the number takes no time: 1e1000000 is
// quickly written.
func isPlainDecimal(d decimal.Decimal) bool {
	return d.Exponent() >= -20 && d.Exponent() <= 20 && d.NumDigits() <= 40
}

// IsPlainText says that s can be stored and shown: it is UTF-8 without control
// characters.
func IsPlainText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
