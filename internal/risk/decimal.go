package risk

import (
	"fmt"
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// decimalType is what amounts are in rules: exact, never floating point. One is
// written decimal("10.50"), or as a whole number on the right of an operator:
// amount > 1000, amount + sum_day <= decimal("2500.50"). CEL has == and != for two
// values of one type alone: amount == decimal(1000).
var decimalType = types.NewObjectType("decimal", traits.AdderType, traits.SubtractorType, traits.ComparerType)

// decimalValue is a value of decimalType.
type decimalValue struct{ decimal.Decimal }

// ConvertToNative returns the decimal itself.
func (d decimalValue) ConvertToNative(target reflect.Type) (any, error) {
	if target == reflect.TypeFor[decimal.Decimal]() {
		return d.Decimal, nil
	}
	return nil, fmt.Errorf("a decimal is no %s", target)
}

// ConvertToType knows text and the type itself.
func (d decimalValue) ConvertToType(target ref.Type) ref.Val {
	switch target {
	case decimalType:
		return d
	case types.TypeType:
		return decimalType
	}
	return types.NewErr("a decimal can't be converted to %s", target.TypeName())
}

// Equal compares exactly: 1 equals 1.00.
func (d decimalValue) Equal(other ref.Val) ref.Val {
	o, isNumber := toDecimal(other)
	return types.Bool(isNumber && d.Decimal.Equal(o))
}

// Type is decimalType.
func (d decimalValue) Type() ref.Type { return decimalType }

// Value is the decimal.
func (d decimalValue) Value() any { return d.Decimal }

// Add is +.
func (d decimalValue) Add(other ref.Val) ref.Val {
	if o, isNumber := toDecimal(other); isNumber {
		return decimalValue{d.Decimal.Add(o)}
	}
	return types.MaybeNoSuchOverloadErr(other)
}

// Subtract is -.
func (d decimalValue) Subtract(other ref.Val) ref.Val {
	if o, isNumber := toDecimal(other); isNumber {
		return decimalValue{d.Sub(o)}
	}
	return types.MaybeNoSuchOverloadErr(other)
}

// Compare is behind <, <=, > and >=.
func (d decimalValue) Compare(other ref.Val) ref.Val {
	if o, isNumber := toDecimal(other); isNumber {
		return types.Int(d.Cmp(o))
	}
	return types.MaybeNoSuchOverloadErr(other)
}

func toDecimal(v ref.Val) (d decimal.Decimal, isNumber bool) {
	switch v := v.(type) {
	case decimalValue:
		return v.Decimal, true
	case types.Int:
		return decimal.NewFromInt(int64(v)), true
	}
	return decimal.Zero, false
}

// decimalFunctions are what rules can do with decimals. Comparison and addition
// have one implementation for all types, which finds decimalValue's by its traits.
func decimalFunctions() []cel.EnvOption {
	options := []cel.EnvOption{
		cel.Function("decimal",
			cel.Overload("decimal_of_string", []*cel.Type{cel.StringType}, decimalType, cel.UnaryBinding(parseDecimal)),
			cel.Overload("decimal_of_int", []*cel.Type{cel.IntType}, decimalType, cel.UnaryBinding(func(v ref.Val) ref.Val {
				d, _ := toDecimal(v)
				return decimalValue{d}
			})),
		),
	}
	for operator, result := range map[string]*cel.Type{
		operators.Less: cel.BoolType, operators.LessEquals: cel.BoolType,
		operators.Greater: cel.BoolType, operators.GreaterEquals: cel.BoolType,
		operators.Add: decimalType, operators.Subtract: decimalType,
	} {
		name := map[string]string{
			operators.Less: "less", operators.LessEquals: "less_equals", operators.Greater: "greater",
			operators.GreaterEquals: "greater_equals", operators.Add: "add", operators.Subtract: "subtract",
		}[operator]
		options = append(options, cel.Function(operator,
			cel.Overload(name+"_decimal", []*cel.Type{decimalType, decimalType}, result),
			cel.Overload(name+"_decimal_int", []*cel.Type{decimalType, cel.IntType}, result),
		))
	}
	return options
}

func parseDecimal(v ref.Val) ref.Val {
	text, isText := v.(types.String)
	if !isText {
		return types.MaybeNoSuchOverloadErr(v)
	}
	value, err := money.Parse(string(text))
	if err != nil {
		return types.NewErr("decimal: %v", err)
	}
	return decimalValue{value}
}

// decimalLiterals refuses decimal("x") when a rule is saved rather than when it is
// asked.
type decimalLiterals struct{}

// Name identifies the check within CEL.
func (decimalLiterals) Name() string { return "florin.decimal_literals" }

// Validate looks at each call of decimal with a constant.
func (decimalLiterals) Validate(_ *cel.Env, _ cel.ValidatorConfig, tree *ast.AST, issues *cel.Issues) {
	for _, call := range ast.MatchDescendants(ast.NavigateAST(tree), ast.FunctionMatcher("decimal")) {
		for _, argument := range call.AsCall().Args() {
			text, isText := argument.AsLiteral().(types.String)
			if !isText {
				continue
			}
			if _, err := money.Parse(string(text)); err != nil {
				issues.ReportErrorAtID(argument.ID(), "%v", err)
			}
		}
	}
}
