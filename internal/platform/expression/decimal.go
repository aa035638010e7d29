package expression

import (
	"fmt"
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
	"github.com/shopspring/decimal"
)

// DecimalType is what amounts are in expressions: exact, never floating point. One
// is written decimal("10.50"), or as a whole number on the right of an operator:
// amount > 1000, amount + sum_day <= decimal("2500.50"). CEL has == and != for two
// values of one type alone: amount == decimal(1000).
var DecimalType = types.NewObjectType("decimal", traits.AdderType, traits.SubtractorType, traits.ComparerType)

// Decimal is a value of DecimalType.
type Decimal struct{ decimal.Decimal }

// ConvertToNative returns the decimal itself.
func (d Decimal) ConvertToNative(target reflect.Type) (any, error) {
	if target == reflect.TypeFor[decimal.Decimal]() {
		return d.Decimal, nil
	}
	return nil, fmt.Errorf("a decimal is no %s", target)
}

// ConvertToType knows text and the type itself.
func (d Decimal) ConvertToType(target ref.Type) ref.Val {
	switch target {
	case DecimalType:
		return d
	case types.TypeType:
		return DecimalType
	}
	return types.NewErr("a decimal can't be converted to %s", target.TypeName())
}

// Equal compares exactly: 1 equals 1.00.
func (d Decimal) Equal(other ref.Val) ref.Val {
	o, isNumber := toDecimal(other)
	return types.Bool(isNumber && d.Decimal.Equal(o))
}

// Type is DecimalType.
func (d Decimal) Type() ref.Type { return DecimalType }

// Value is the decimal.
func (d Decimal) Value() any { return d.Decimal }

// Add is +.
func (d Decimal) Add(other ref.Val) ref.Val {
	if o, isNumber := toDecimal(other); isNumber {
		return Decimal{d.Decimal.Add(o)}
	}
	return types.MaybeNoSuchOverloadErr(other)
}

// Subtract is -.
func (d Decimal) Subtract(other ref.Val) ref.Val {
	if o, isNumber := toDecimal(other); isNumber {
		return Decimal{d.Sub(o)}
	}
	return types.MaybeNoSuchOverloadErr(other)
}

// Compare is behind <, <=, > and >=.
func (d Decimal) Compare(other ref.Val) ref.Val {
	if o, isNumber := toDecimal(other); isNumber {
		return types.Int(d.Cmp(o))
	}
	return types.MaybeNoSuchOverloadErr(other)
}

func toDecimal(v ref.Val) (d decimal.Decimal, isNumber bool) {
	switch v := v.(type) {
	case Decimal:
		return v.Decimal, true
	case types.Int:
		return decimal.NewFromInt(int64(v)), true
	}
	return decimal.Zero, false
}

const (
	decimalFunction = "decimal"
	decimalOfString = "decimal_of_string"
)

// parser reads the text of decimal("10.50").
type parser func(text string) (decimal.Decimal, error)

// functions are what expressions can do with decimals. Comparison and addition
// have one implementation for all types, which finds Decimal's by its traits.
func (parse parser) functions() []cel.EnvOption {
	options := []cel.EnvOption{
		cel.Function(decimalFunction,
			cel.Overload(decimalOfString, []*cel.Type{cel.StringType}, DecimalType, cel.UnaryBinding(parse.value)),
			cel.Overload("decimal_of_int", []*cel.Type{cel.IntType}, DecimalType, cel.UnaryBinding(func(v ref.Val) ref.Val {
				d, _ := toDecimal(v)
				return Decimal{d}
			})),
		),
	}
	for operator, result := range map[string]*cel.Type{
		operators.Less: cel.BoolType, operators.LessEquals: cel.BoolType,
		operators.Greater: cel.BoolType, operators.GreaterEquals: cel.BoolType,
		operators.Add: DecimalType, operators.Subtract: DecimalType,
	} {
		name := map[string]string{
			operators.Less: "less", operators.LessEquals: "less_equals", operators.Greater: "greater",
			operators.GreaterEquals: "greater_equals", operators.Add: "add", operators.Subtract: "subtract",
		}[operator]
		options = append(options, cel.Function(operator,
			cel.Overload(name+"_decimal", []*cel.Type{DecimalType, DecimalType}, result),
			cel.Overload(name+"_decimal_int", []*cel.Type{DecimalType, cel.IntType}, result),
		))
	}
	return options
}

func (parse parser) value(v ref.Val) ref.Val {
	text, isText := v.(types.String)
	if !isText {
		return types.MaybeNoSuchOverloadErr(v)
	}
	value, err := parse(string(text))
	if err != nil {
		return types.NewErr("decimal: %v", err)
	}
	return Decimal{value}
}

// foldDecimal reads decimal("10.50") once, when an expression is planned.
func foldDecimal(node interpreter.Interpretable) (interpreter.Interpretable, error) {
	call, isCall := node.(interpreter.InterpretableCall)
	if !isCall || call.Function() != decimalFunction {
		return node, nil
	}
	if _, isConstant := call.Args()[0].(interpreter.InterpretableConst); !isConstant {
		return node, nil
	}
	value, isDecimal := call.Eval(interpreter.EmptyActivation()).(Decimal)
	if !isDecimal {
		return node, nil
	}
	return interpreter.NewConstValue(call.ID(), value), nil
}

// Name identifies the parser within CEL as the check of decimal's literals.
func (parse parser) Name() string { return "florin.decimal_literals" }

// Validate refuses decimal("x") when an expression is compiled rather than when it
// is asked: it looks at each call of decimal with a constant.
func (parse parser) Validate(_ *cel.Env, _ cel.ValidatorConfig, tree *ast.AST, issues *cel.Issues) {
	for _, call := range ast.MatchDescendants(ast.NavigateAST(tree), ast.FunctionMatcher(decimalFunction)) {
		for _, argument := range call.AsCall().Args() {
			text, isText := argument.AsLiteral().(types.String)
			if !isText {
				continue
			}
			if _, err := parse(string(text)); err != nil {
				issues.ReportErrorAtID(argument.ID(), "%v", err)
			}
		}
	}
}
