package rules

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"florin/internal/money"
	"florin/internal/platform/expression"
)

// Limits of conditions. They are part of the API.
const (
	MaxConditionBytes = 2000
	// MaxCost bounds the work of asking a purchase's condition, MaxLineCost that of
	// one line and MaxSegmentCost that of one customer; in CEL's units: about one for
	// each operation, or 100 ns. A purchase may have 2,000 lines: each is to take
	// about 10 microseconds at worst.
	MaxCost        = 200_000
	MaxLineCost    = 100
	MaxSegmentCost = 1_000
)

// Sizes for the estimate of costs. More is possible, and costs more than estimated.
const (
	maxLines         = 2_000
	maxTextLength    = 500
	maxIDLength      = 50
	maxProductLength = 100
	maxSegmentsKnown = 200
)

// variable is what conditions can speak of, by its name in docs/cashback.md.
type variable struct {
	expression.Variable
	value func(v *view) ref.Val
}

// The variables of the customer; those of segments' rules.
var customerVariables = []variable{
	{expression.Variable{Name: "customer_country", Type: cel.StringType, MaxSize: 60}, func(v *view) ref.Val { return types.String(v.customer.Country) }},
	{expression.Variable{Name: "purchases", Type: cel.IntType}, func(v *view) ref.Val { return types.Int(v.customer.Purchases) }},
	{expression.Variable{Name: "is_first_purchase", Type: cel.BoolType}, func(v *view) ref.Val { return types.Bool(v.customer.Purchases == 0) }},
	{expression.Variable{Name: "spend", Type: expression.DecimalType}, func(v *view) ref.Val { return expression.Decimal{Decimal: v.customer.Spend} }},
	{expression.Variable{Name: "tier", Type: cel.StringType, MaxSize: maxIDLength}, func(v *view) ref.Val { return types.String(v.customer.Tier) }},
	{expression.Variable{Name: "segments", Type: cel.ListType(cel.StringType), MaxSize: maxSegmentsKnown, MaxItemSize: maxIDLength}, (*view).segmentList},
}

// The variables of the purchase, beside the customer's.
var purchaseVariables = []variable{
	{expression.Variable{Name: "customer", Type: cel.StringType, MaxSize: maxIDLength}, func(v *view) ref.Val { return types.String(v.purchase.CustomerID) }},
	{expression.Variable{Name: "merchant", Type: cel.StringType, MaxSize: maxIDLength}, func(v *view) ref.Val { return types.String(v.purchase.MerchantID) }},
	{expression.Variable{Name: "currency", Type: cel.StringType, MaxSize: 3}, func(v *view) ref.Val { return types.String(v.purchase.Currency) }},
	{expression.Variable{Name: "country", Type: cel.StringType, MaxSize: 60}, func(v *view) ref.Val { return types.String(v.purchase.Country) }},
	{expression.Variable{Name: "amount", Type: expression.DecimalType}, func(v *view) ref.Val { return expression.Decimal{Decimal: v.amounts.decimal(v.amounts.total)} }},
	{expression.Variable{Name: "line_count", Type: cel.IntType}, func(v *view) ref.Val { return types.Int(len(v.purchase.Lines)) }},
	{expression.Variable{Name: "quantity", Type: cel.IntType}, (*view).quantity},
	{expression.Variable{Name: "products", Type: cel.ListType(cel.StringType), MaxSize: maxLines, MaxItemSize: maxProductLength},
		func(v *view) ref.Val { return v.ofLines(func(l *Line) string { return l.Product }) }},
	{expression.Variable{Name: "categories", Type: cel.ListType(cel.StringType), MaxSize: maxLines, MaxItemSize: maxProductLength},
		func(v *view) ref.Val { return v.ofLines(func(l *Line) string { return l.Category }) }},
	{expression.Variable{Name: "mccs", Type: cel.ListType(cel.StringType), MaxSize: maxLines, MaxItemSize: 4},
		func(v *view) ref.Val { return v.ofLines(func(l *Line) string { return l.MCC }) }},
	{expression.Variable{Name: "weekday", Type: cel.IntType}, func(v *view) ref.Val { return types.Int((v.at.Weekday()+6)%7 + 1) }},
	{expression.Variable{Name: "hour", Type: cel.IntType}, func(v *view) ref.Val { return types.Int(v.at.Hour()) }},
	{expression.Variable{Name: "day", Type: cel.StringType, MaxSize: 10}, func(v *view) ref.Val { return types.String(v.at.Format(time.DateOnly)) }},
	{expression.Variable{Name: "month", Type: cel.IntType}, func(v *view) ref.Val { return types.Int(v.at.Month()) }},
	{expression.Variable{Name: "has_click", Type: cel.BoolType}, func(v *view) ref.Val { return types.Bool(v.purchase.Click != nil) }},
}

// The variables of a line, beside all others.
var lineVariables = []variable{
	{expression.Variable{Name: "product", Type: cel.StringType, MaxSize: maxProductLength}, func(v *view) ref.Val { return types.String(v.line.Product) }},
	{expression.Variable{Name: "description", Type: cel.StringType, MaxSize: maxTextLength}, func(v *view) ref.Val { return types.String(v.line.Description) }},
	{expression.Variable{Name: "category", Type: cel.StringType, MaxSize: maxProductLength}, func(v *view) ref.Val { return types.String(v.line.Category) }},
	{expression.Variable{Name: "mcc", Type: cel.StringType, MaxSize: 4}, func(v *view) ref.Val { return types.String(v.line.MCC) }},
	{expression.Variable{Name: "line_quantity", Type: cel.IntType}, func(v *view) ref.Val { return types.Int(v.line.Quantity) }},
	{expression.Variable{Name: "unit_price", Type: expression.DecimalType}, func(v *view) ref.Val { return expression.Decimal{Decimal: v.line.UnitPrice} }},
	{expression.Variable{Name: "line_amount", Type: expression.DecimalType}, func(v *view) ref.Val { return expression.Decimal{Decimal: v.line.Amount()} }},
}

// allVariables are the customer's, the purchase's, then the line's, which begin at
// firstLineVariable.
var (
	allVariables      = slices.Concat(customerVariables, purchaseVariables, lineVariables)
	firstLineVariable = len(customerVariables) + len(purchaseVariables)
	variableIndex     = indexVariables()
)

func indexVariables() map[string]int {
	index := make(map[string]int, len(allVariables))
	for i, v := range allVariables {
		index[v.Name] = i
	}
	return index
}

// The three kinds of conditions.
var (
	segmentLanguage  = newConditionLanguage(MaxSegmentCost, customerVariables)
	purchaseLanguage = newConditionLanguage(MaxCost, customerVariables, purchaseVariables)
	lineLanguage     = newConditionLanguage(MaxLineCost, customerVariables, purchaseVariables, lineVariables)
)

// conditionLanguage compiles one kind of conditions, and remembers what it has
// compiled: sets are made every few seconds of what seldom changes, and Keep has a
// campaign's terms alone.
type conditionLanguage struct {
	language func() (*expression.Language, error)

	mu       sync.Mutex
	compiled map[string]compiledCondition
}

type compiledCondition struct {
	condition *expression.Condition
	problem   error
}

// maxRemembered is how many conditions of a kind are remembered. It is well above
// what campaigns in force have.
const maxRemembered = 1000

func newConditionLanguage(maxCost uint64, variables ...[]variable) *conditionLanguage {
	return &conditionLanguage{
		compiled: map[string]compiledCondition{},
		language: sync.OnceValues(func() (*expression.Language, error) {
			o := expression.Options{MaxBytes: MaxConditionBytes, MaxCost: maxCost, MaxSize: maxLines, ParseDecimal: money.Parse}
			for _, v := range slices.Concat(variables...) {
				v.MaxSize = max(v.MaxSize, 1) // numbers and the like
				o.Variables = append(o.Variables, v.Variable)
			}
			return expression.New(o)
		}),
	}
}

// compile returns the condition, nil for an empty text. The error says in words for
// its author what is wrong with it.
func (l *conditionLanguage) compile(text string) (*expression.Condition, error) {
	if text == "" {
		return nil, nil
	}
	l.mu.Lock()
	known, isKnown := l.compiled[text]
	l.mu.Unlock()
	if isKnown {
		return known.condition, known.problem
	}
	language, err := l.language()
	if err != nil {
		return nil, fmt.Errorf("the rules' language: %w", err)
	}
	known.condition, known.problem = language.Compile(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.compiled) >= maxRemembered {
		clear(l.compiled)
	}
	l.compiled[text] = known
	return known.condition, known.problem
}

// view is a purchase and its customer as conditions see them. What a variable is,
// is worked out when it is first asked for, once for all campaigns.
type view struct {
	purchase *Purchase
	customer *Customer
	at       time.Time // in UTC
	rules    []segment // by which a customer is in a segment
	amounts  amounts
	problem  error // why there are no amounts
	line     *Line
	values   []ref.Val // by index of allVariables; nil until asked for
}

func newView(p *Purchase, c *Customer, rules []segment) *view {
	v := &view{purchase: p, customer: c, at: p.At.UTC(), rules: rules, values: make([]ref.Val, len(allVariables))}
	v.amounts, v.problem = amountsOf(p.Lines)
	return v
}

// lookAt makes the line variables those of line.
func (v *view) lookAt(line *Line) {
	v.line = line
	clear(v.values[firstLineVariable:])
}

// ResolveName is how a condition asks for a variable.
func (v *view) ResolveName(name string) (any, bool) {
	i, isKnown := variableIndex[name]
	if !isKnown {
		return nil, false
	}
	if v.values[i] == nil {
		v.values[i] = allVariables[i].value(v)
	}
	return v.values[i], true
}

// Parent is of CEL's activations; a view has none.
func (v *view) Parent() cel.Activation { return nil }

func (v *view) quantity() ref.Val {
	var sum int64
	for i := range v.purchase.Lines {
		sum += v.purchase.Lines[i].Quantity
	}
	return types.Int(sum)
}

func (v *view) ofLines(of func(l *Line) string) ref.Val {
	texts := make([]string, len(v.purchase.Lines))
	for i := range v.purchase.Lines {
		texts[i] = of(&v.purchase.Lines[i])
	}
	return types.NewStringList(types.DefaultTypeAdapter, texts)
}

// segmentList is all segments. When the rule of one can't be evaluated, no
// condition that asks for segments can.
func (v *view) segmentList() ref.Val {
	all, err := segmentsOf(v)
	if err != nil {
		return types.WrapErr(err)
	}
	return types.NewStringList(types.DefaultTypeAdapter, all)
}

// segment is one by rule.
type segment struct {
	name    string
	rule    *expression.Condition
	problem error // why there is no rule
}

// segmentsOf is the segments by list, then those by rule.
func segmentsOf(v *view) ([]string, error) {
	if len(v.rules) == 0 {
		return v.customer.Segments, nil
	}
	// A segment's rule sees the customer's lists alone: none hangs on another.
	listed := view{customer: v.customer, values: make([]ref.Val, len(v.values))}
	all := slices.Clone(v.customer.Segments)
	for _, s := range v.rules {
		err := s.problem
		isIn := false
		if err == nil {
			isIn, err = s.rule.Holds(&listed)
		}
		if err != nil {
			return nil, fmt.Errorf("segment %s: %w", s.name, err)
		}
		if isIn && !slices.Contains(all, s.name) {
			all = append(all, s.name)
		}
	}
	return all, nil
}
