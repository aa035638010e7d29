package rules

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/cel-go/common/types/ref"
	"github.com/shopspring/decimal"

	"florin/internal/money"
	"florin/internal/platform/expression"
)

// Versioned is one version of a campaign.
type Versioned struct {
	ID      string
	Version int64
	Terms   Terms
}

// Set is a program and the campaigns under it, ready to be asked. It does not
// change. Safe for concurrent use.
type Set struct {
	program     Program
	campaigns   []campaign // by id
	segments    []segment  // by name
	clickWindow time.Duration
}

// DefaultGroup is of campaigns that name none.
const DefaultGroup = "default"

// campaign is a version of one, compiled.
type campaign struct {
	Versioned
	group         string
	merchants     map[string]bool // nil for all
	condition     *expression.Condition
	lineCondition *expression.Condition
	problem       error // why it can't be asked
}

// NewSet compiles campaigns, of each id one version. A campaign or segment whose
// expressions don't compile any more, because another version of the program wrote
// them, is kept: that campaign is always EvaluationFailed, so that no purchase is
// lost. It fails when two campaigns have one id.
func NewSet(program Program, campaigns []Versioned) (*Set, error) {
	s := &Set{program: program}
	for _, c := range campaigns {
		s.campaigns = append(s.campaigns, newCampaign(c))
		s.clickWindow = max(s.clickWindow, c.Terms.clickWindow())
	}
	slices.SortFunc(s.campaigns, func(a, b campaign) int { return cmp.Compare(a.ID, b.ID) })
	for i := 1; i < len(s.campaigns); i++ {
		if s.campaigns[i].ID == s.campaigns[i-1].ID {
			return nil, fmt.Errorf("two campaigns have the id %s", s.campaigns[i].ID)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(program.Segments)) {
		rule, err := segmentLanguage.compile(program.Segments[name])
		if err == nil && rule == nil {
			err = errors.New("it has no rule")
		}
		s.segments = append(s.segments, segment{name: name, rule: rule, problem: err})
	}
	return s, nil
}

func newCampaign(of Versioned) campaign {
	c := campaign{Versioned: of, group: cmp.Or(of.Terms.Group, DefaultGroup)}
	if len(of.Terms.Merchants) > 0 {
		c.merchants = make(map[string]bool, len(of.Terms.Merchants))
		for _, merchant := range of.Terms.Merchants {
			c.merchants[merchant] = true
		}
	}
	if c.condition, c.problem = purchaseLanguage.compile(of.Terms.Condition); c.problem == nil {
		c.lineCondition, c.problem = lineLanguage.compile(of.Terms.LineCondition)
	}
	return c
}

// Program is what the set was made with.
func (s *Set) Program() Program { return s.program }

// Campaign returns the version of a campaign that the set has.
func (s *Set) Campaign(id string) (v Versioned, isThere bool) {
	c := s.find(id)
	if c == nil {
		return Versioned{}, false
	}
	return c.Versioned, true
}

func (s *Set) find(id string) *campaign {
	i, isThere := slices.BinarySearchFunc(s.campaigns, id, func(c campaign, id string) int { return cmp.Compare(c.ID, id) })
	if !isThere {
		return nil
	}
	return &s.campaigns[i]
}

// All returns all campaigns by id, disabled ones included.
func (s *Set) All() []Versioned {
	all := make([]Versioned, len(s.campaigns))
	for i := range s.campaigns {
		all[i] = s.campaigns[i].Versioned
	}
	return all
}

// Candidates are the campaigns, by id, that a purchase like this could get anything
// from: enabled, in their period, of the merchant and the currency.
func (s *Set) Candidates(merchantID string, c money.Currency, at time.Time) []Versioned {
	var candidates []Versioned
	for i := range s.campaigns {
		if s.campaigns[i].isFor(merchantID, c, at) {
			candidates = append(candidates, s.campaigns[i].Versioned)
		}
	}
	return candidates
}

func (c *campaign) isFor(merchantID string, currency money.Currency, at time.Time) bool {
	return c.isOn(at) && c.isOfMerchant(merchantID) && c.Terms.Currency == currency
}

// isOn says that the campaign is enabled and has at in its period.
func (c *campaign) isOn(at time.Time) bool {
	return c.Terms.Enabled && !at.Before(c.Terms.From) && at.Before(c.Terms.To)
}

func (c *campaign) isOfMerchant(merchantID string) bool {
	return c.merchants == nil || c.merchants[merchantID]
}

func (t *Terms) clickWindow() time.Duration { return time.Duration(t.ClickHours) * time.Hour }

// ClickWindow is the longest time after which a click can still bring anything; 0
// when no campaign needs one.
func (s *Set) ClickWindow() time.Duration { return s.clickWindow }

// Attribute finds the click that brought a purchase, among those of its customer
// and merchant that brought none yet: the one named, if it is among them and fits;
// else the latest that fits, of equally late ones the lower id. A click fits when
// its campaign needs one, could give anything for the purchase, and reaches as far.
// It returns an element of free, or nil; p.Click is not looked at.
func (s *Set) Attribute(p *Purchase, named string, free []Click) *Click {
	var latest *Click
	for i := range free {
		click := &free[i]
		c := s.find(click.CampaignID)
		if c == nil || !c.isFor(p.MerchantID, p.Currency, p.At) || !c.Terms.reaches(click, p.At) {
			continue
		}
		if click.ID == named {
			return click
		}
		if latest == nil || click.At.After(latest.At) || click.At.Equal(latest.At) && click.ID < latest.ID {
			latest = click
		}
	}
	return latest
}

// reaches says that a purchase at this time is within the window after the click,
// whose end belongs to it. None is when the campaign needs no click.
func (t *Terms) reaches(click *Click, at time.Time) bool {
	return t.ClickHours > 0 && !click.At.After(at) && at.Sub(click.At) <= t.clickWindow()
}

// Tier is the highest that the spend reaches; empty below the first.
func (s *Set) Tier(spend decimal.Decimal) string {
	reached := ""
	for _, tier := range s.program.Tiers {
		if spend.LessThan(tier.MinSpend) {
			break
		}
		reached = tier.Name
	}
	return reached
}

// Segments are all that the customer is in, by list and by rule. It is what to keep
// with a purchase as Customer.Segments, for Keep. When the rule of one can't be
// evaluated, they are those by list.
func (s *Set) Segments(c *Customer) []string {
	all, err := segmentsOf(&view{customer: c, rules: s.segments, values: make([]ref.Val, len(allVariables))})
	if err != nil {
		return c.Segments
	}
	return all
}
