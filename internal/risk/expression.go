package risk

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/cel-go/cel"

	"florin/internal/money"
	language "florin/internal/platform/expression"
)

// Limits of an expression. They are part of the API.
const (
	// MaxExpressionBytes bounds a rule's text.
	MaxExpressionBytes = 2000
	// MaxCost bounds the work of judging one payment by one rule, in CEL's units:
	// about one for each operation.
	MaxCost = 10_000

	// maxTextLength is of the longest variable, a role's name.
	maxTextLength = 50
)

// environment is what expressions can speak of.
var environment = sync.OnceValues(func() (*language.Language, error) {
	return language.New(language.Options{
		Variables: []language.Variable{
			{Name: "operation", Type: cel.StringType},
			{Name: "amount", Type: language.DecimalType},
			{Name: "currency", Type: cel.StringType},
			{Name: "role", Type: cel.StringType},
			{Name: "account_age_hours", Type: cel.IntType},
			{Name: "is_new_payee", Type: cel.BoolType},
			{Name: "count_hour", Type: cel.IntType},
			{Name: "count_day", Type: cel.IntType},
			{Name: "sum_hour", Type: language.DecimalType},
			{Name: "sum_day", Type: language.DecimalType},
			{Name: "has_second_factor", Type: cel.BoolType},
			{Name: "attempts_hour", Type: cel.IntType},
			{Name: "attempts_day", Type: cel.IntType},
		},
		MaxBytes: MaxExpressionBytes, MaxCost: MaxCost, MaxSize: maxTextLength, ParseDecimal: money.Parse,
	})
})

// expression is a rule's condition, ready to be asked. Safe for concurrent use.
type expression struct{ condition *language.Condition }

// compile checks an expression. Returns InvalidInput, which says where it is
// wrong, when it does not parse, speaks of what there is not, is no condition, or
// could cost more than MaxCost.
func compile(text string) (*expression, error) {
	rules, err := environment()
	if err != nil {
		return nil, fmt.Errorf("the rules' language: %w", err)
	}
	condition, err := rules.Compile(text)
	if err != nil {
		return nil, invalid("expression", "%v", err)
	}
	return &expression{condition: condition}, nil
}

// matches says whether the expression is true of the facts, and what it cost.
func (e *expression) matches(ctx context.Context, variables map[string]any) (isTrue bool, cost uint64, err error) {
	return e.condition.Measure(ctx, variables)
}
