// Package expression compiles and asks conditions that people write: CEL over the
// variables of a module, with exact decimals.
//
// It guarantees that an expression is true or false of variables that there are,
// that it has a bounded length, depth and cost before it is taken, and that asking
// it ends, whatever it is: with an answer or an error, never a panic. Regular
// expressions are bounded too: their patterns are part of the expression. What the
// variables are, and what a decimal may look like, is the module's.
package expression

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
	"github.com/shopspring/decimal"
)

// nestingMax bounds how deep an expression may be nested.
const nestingMax = 30

// Variable is something that expressions of a language can speak of.
type Variable struct {
	Name string
	Type *cel.Type // DecimalType for amounts
	// MaxSize is how many characters or items its values have at most, for the
	// estimate of costs; Options.MaxSize when 0.
	MaxSize uint64
	// MaxItemSize is the same of a list's items.
	MaxItemSize uint64
}

// Options are what New needs to know.
type Options struct {
	Variables []Variable
	MaxBytes  int    // of an expression's text
	MaxCost   uint64 // of asking it once, in CEL's units: about one for each operation, or 100 ns
	MaxSize   uint64 // of values whose size is not known otherwise, in characters or items
	// ParseDecimal reads the text of decimal("10.50"). The text of its errors is
	// shown to whoever wrote the expression.
	ParseDecimal func(text string) (decimal.Decimal, error)
}

// Language is what expressions can speak of, and how much they may cost. Safe for
// concurrent use.
type Language struct {
	environment *cel.Env
	maxBytes    int
	maxCost     uint64
	sizes       sizes
}

// New makes a language. It fails only when the options make none, such as by two
// variables of one name.
func New(o Options) (*Language, error) {
	parse := parser(o.ParseDecimal)
	l := &Language{maxBytes: o.MaxBytes, maxCost: o.MaxCost, sizes: sizes{other: o.MaxSize, known: map[string]uint64{}}}
	options := []cel.EnvOption{
		cel.ParserExpressionSizeLimit(o.MaxBytes),
		cel.ParserRecursionLimit(nestingMax),
		cel.ASTValidators(parse, cel.ValidateRegexLiterals()),
	}
	for _, v := range o.Variables {
		if _, isTwice := l.sizes.known[v.Name]; isTwice {
			return nil, fmt.Errorf("two variables are named %s", v.Name)
		}
		options = append(options, cel.Variable(v.Name, v.Type))
		l.sizes.known[v.Name] = cmp.Or(v.MaxSize, o.MaxSize)
		l.sizes.known[v.Name+".@items"] = cmp.Or(v.MaxItemSize, o.MaxSize)
	}
	var err error
	l.environment, err = cel.NewEnv(append(options, parse.functions()...)...)
	return l, err
}

// Condition is an expression that is true or false, ready to be asked. Safe for
// concurrent use.
type Condition struct {
	metered cel.Program
	// quick has no meter, which costs more than most expressions do; nil when the
	// expression has a loop. One without does each of its operations once at most,
	// so that its estimate bounds it.
	quick cel.Program
}

// Compile checks an expression. The error says in words for its author where it is
// wrong: it does not parse, speaks of what there is not, is no condition, or could
// cost more than the language allows.
func (l *Language) Compile(text string) (*Condition, error) {
	if text == "" || len(text) > l.maxBytes || !utf8.ValidString(text) {
		return nil, fmt.Errorf("must have 1 to %d bytes of UTF-8", l.maxBytes)
	}
	tree, issues := l.environment.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, err
	}
	if !tree.OutputType().IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("must be true or false, is of type %s", tree.OutputType())
	}
	patterns, err := patternsOf(tree)
	if err != nil {
		return nil, err
	}
	costs := costs{sizes: l.sizes, patterns: patterns}
	cost, err := l.environment.EstimateCost(tree, costs)
	if err != nil {
		return nil, fmt.Errorf("its cost can't be told: %w", err)
	}
	if cost.Max > l.maxCost {
		return nil, fmt.Errorf("could cost %d, must cost at most %d", cost.Max, l.maxCost)
	}
	var c Condition
	c.metered, err = l.environment.Program(tree,
		cel.CostTracking(costs), cel.CostLimit(l.maxCost), cel.InterruptCheckFrequency(100),
		cel.EvalOptions(cel.OptOptimize), cel.OptimizeRegex(interpreter.MatchesRegexOptimization))
	if err != nil {
		return nil, err
	}
	if hasLoop(tree) {
		return &c, nil
	}
	c.quick, err = l.environment.Program(tree,
		cel.EvalOptions(cel.OptOptimize), cel.OptimizeRegex(interpreter.MatchesRegexOptimization), cel.CustomDecorator(foldDecimal))
	return &c, err
}

func hasLoop(tree *cel.Ast) bool {
	root := ast.NavigateAST(tree.NativeRep())
	return len(ast.MatchDescendants(root, ast.KindMatcher(ast.ComprehensionKind))) > 0
}

// Holds says whether the condition is true of the variables. An error says why it
// can't be told: a division by zero, a missing value, the cost.
func (c *Condition) Holds(variables cel.Activation) (bool, error) {
	program := c.quick
	if program == nil {
		program = c.metered
	}
	value, _, err := program.Eval(variables)
	return answer(value, err)
}

// Measure says whether the condition is true of the variables, and what it cost to
// ask. It errs like Holds, and when ctx ends.
func (c *Condition) Measure(ctx context.Context, variables map[string]any) (isTrue bool, cost uint64, err error) {
	value, details, err := c.metered.ContextEval(ctx, variables)
	if details != nil && details.ActualCost() != nil {
		cost = *details.ActualCost()
	}
	isTrue, err = answer(value, err)
	return isTrue, cost, err
}

func answer(value ref.Val, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	result, isBool := value.(types.Bool)
	if !isBool {
		return false, errors.New("the expression is neither true nor false")
	}
	return bool(result), nil
}
