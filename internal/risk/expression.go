package risk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
)

// Limits of an expression. They are part of the API.
const (
	// MaxExpressionBytes bounds a rule's text.
	MaxExpressionBytes = 2000
	// MaxCost bounds the work of judging one payment by one rule, in CEL's units:
	// about one for each operation.
	MaxCost = 10_000

	nestingMax = 30
)

// environment is what expressions can speak of.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Variable("operation", cel.StringType),
		cel.Variable("amount", decimalType),
		cel.Variable("currency", cel.StringType),
		cel.Variable("role", cel.StringType),
		cel.Variable("account_age_hours", cel.IntType),
		cel.Variable("is_new_payee", cel.BoolType),
		cel.Variable("count_hour", cel.IntType),
		cel.Variable("count_day", cel.IntType),
		cel.Variable("sum_hour", decimalType),
		cel.Variable("sum_day", decimalType),
		cel.Variable("has_second_factor", cel.BoolType),
		cel.Variable("attempts_hour", cel.IntType),
		cel.Variable("attempts_day", cel.IntType),
		cel.ParserExpressionSizeLimit(MaxExpressionBytes),
		cel.ParserRecursionLimit(nestingMax),
		cel.ASTValidators(decimalLiterals{}, cel.ValidateRegexLiterals()),
	}
	return cel.NewEnv(append(options, decimalFunctions()...)...)
})

// expression is a rule's condition, ready to be asked. Safe for concurrent use.
type expression struct{ program cel.Program }

// compile checks an expression. Returns InvalidInput, which says where it is
// wrong, when it does not parse, speaks of what there is not, is no condition, or
// could cost more than MaxCost.
func compile(text string) (*expression, error) {
	if text == "" || len(text) > MaxExpressionBytes || !utf8.ValidString(text) {
		return nil, invalid("expression", "must have 1 to %d bytes of UTF-8", MaxExpressionBytes)
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("the rules' language: %w", err)
	}
	ast, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, invalid("expression", "%v", err)
	}
	if !ast.OutputType().IsExactType(cel.BoolType) {
		return nil, invalid("expression", "must be true or false, is of type %s", ast.OutputType())
	}
	cost, err := env.EstimateCost(ast, sizes{})
	if err != nil {
		return nil, invalid("expression", "its cost can't be told: %v", err)
	}
	if cost.Max > MaxCost {
		return nil, invalid("expression", "could cost %d, must cost at most %d", cost.Max, MaxCost)
	}
	program, err := env.Program(ast,
		cel.CostLimit(MaxCost), cel.InterruptCheckFrequency(100),
		cel.EvalOptions(cel.OptOptimize), cel.OptimizeRegex(interpreter.MatchesRegexOptimization))
	if err != nil {
		return nil, invalid("expression", "%v", err)
	}
	return &expression{program: program}, nil
}

// matches says whether the expression is true of the facts, and what it cost.
func (e *expression) matches(ctx context.Context, variables map[string]any) (isTrue bool, cost uint64, err error) {
	value, details, err := e.program.ContextEval(ctx, variables)
	if details != nil && details.ActualCost() != nil {
		cost = *details.ActualCost()
	}
	if err != nil {
		return false, cost, err
	}
	result, isBool := value.(types.Bool)
	if !isBool {
		return false, cost, errors.New("the expression is neither true nor false")
	}
	return bool(result), cost, nil
}

// sizes bounds the lengths of the variables that have one, for the estimate of an
// expression's cost.
type sizes struct{}

// EstimateSize is of text variables: the longest is a role's name.
func (sizes) EstimateSize(checker.AstNode) *checker.SizeEstimate {
	return &checker.SizeEstimate{Min: 0, Max: 50}
}

// EstimateCallCost leaves calls to CEL.
func (sizes) EstimateCallCost(_, _ string, _ *checker.AstNode, _ []checker.AstNode) *checker.CallEstimate {
	return nil
}
