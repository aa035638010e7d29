package expression

import (
	"errors"
	"fmt"
	"math"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// patternMax bounds the instructions that a pattern of matches compiles to.
const patternMax = 200

// How many steps of its own a call does in the time of one of CEL's units, about
// 100 ns.
const (
	charactersPerUnit = 20 // of a text that is read once
	itemsPerUnit      = 5  // of a list that is searched
	patternPerUnit    = 10 // characters times instructions: what a pattern takes at worst
)

// timeZoneCost is of finding a time zone, which is read from its file.
const timeZoneCost = 300

// costs are of calls, before and while an expression is asked, where CEL's own are
// far from what they take: one unit for reading a long text or a file, a pattern by
// its length although it may repeat a part of it a thousand times, a search in a list
// as if each item were a step.
type costs struct {
	sizes
	patterns map[string]uint64 // instructions of those in the expression
}

// of is what a call costs that looks at a text or a list of this size; pattern is that
// of matches. isKnown is false for calls that CEL knows best.
func (c costs) of(overload string, size uint64, pattern ref.Val) (units uint64, isKnown bool) {
	size = min(size, tooMuch)
	switch overload {
	case overloads.Matches, overloads.MatchesString:
		literal, _ := pattern.(types.String)
		return 1 + (size+1)*c.patterns[string(literal)]/patternPerUnit, true
	case overloads.ContainsString, overloads.SizeString, overloads.SizeStringInst, decimalOfString:
		return 1 + size/charactersPerUnit, true
	case overloads.InList:
		return 1 + size/itemsPerUnit, true
	}
	return timeZoneCost, strings.HasSuffix(overload, "_tz")
}

// tooMuch is more than any limit is.
const tooMuch = math.MaxUint32

// subject is the index of the argument that a call looks through.
func subject(overload string) int {
	if overload == overloads.InList {
		return 1
	}
	return 0
}

// EstimateCallCost is what the call costs at most. To compare lists of lists is too
// much: nothing is known of the inner ones' sizes.
func (c costs) EstimateCallCost(_, overload string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	if target != nil {
		args = append([]checker.AstNode{*target}, args...)
	}
	looked := subject(overload)
	if len(args) <= looked {
		return nil
	}
	switch overload {
	case overloads.Equals, overloads.NotEquals, overloads.InList:
		if isNested(args[0].Type()) || isNested(args[1].Type()) {
			return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Max: tooMuch}}
		}
	}
	size := args[looked].ComputedSize()
	if size == nil {
		size = c.EstimateSize(args[looked])
	}
	units, isKnown := c.of(overload, size.Max, args[len(args)-1].Expr().AsLiteral())
	if !isKnown {
		return nil
	}
	return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Max: units}}
}

// isNested says that t is a list or a map with lists or maps in it.
func isNested(t *types.Type) bool {
	return isContainer(t) && slices.ContainsFunc(t.Parameters(), isContainer)
}

func isContainer(t *types.Type) bool { return t.Kind() == types.ListKind || t.Kind() == types.MapKind }

// CallCost is what the call did cost.
func (c costs) CallCost(_, overload string, args []ref.Val, _ ref.Val) *uint64 {
	looked := subject(overload)
	if len(args) <= looked {
		return nil
	}
	size := uint64(1)
	if sized, hasSize := args[looked].(traits.Sizer); hasSize {
		n, _ := sized.Size().(types.Int)
		size = uint64(n)
	}
	units, isKnown := c.of(overload, size, args[len(args)-1])
	if !isKnown {
		return nil
	}
	return &units
}

// patternsOf are the patterns of the expression, with their instructions. One that is
// put together when it is asked is refused, as whoever sends the values would choose
// what it costs; so is one that is too large.
func patternsOf(tree *cel.Ast) (map[string]uint64, error) {
	patterns := map[string]uint64{}
	for _, call := range ast.MatchDescendants(ast.NavigateAST(tree.NativeRep()), ast.FunctionMatcher(overloads.Matches)) {
		arguments := call.AsCall().Args()
		pattern, isLiteral := arguments[len(arguments)-1].AsLiteral().(types.String)
		if !isLiteral {
			return nil, errors.New(`the pattern of matches must be written out as text, such as in country.matches("^U[KS]$")`)
		}
		n, err := instructions(string(pattern))
		if err != nil {
			return nil, fmt.Errorf("the pattern of matches: %w", err)
		}
		if n > patternMax {
			return nil, fmt.Errorf("the pattern of matches is too large: it compiles to %d instructions, must be at most %d; repetitions such as {50} count for each", n, patternMax)
		}
		patterns[string(pattern)] = uint64(n)
	}
	return patterns, nil
}

func instructions(pattern string) (int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	return len(program.Inst), nil
}

// sizes bounds the lengths of values, for the estimate of an expression's cost.
type sizes struct {
	known map[string]uint64 // by path: a variable's name, and that with .@items
	other uint64
}

// EstimateSize is of a variable or its items where node is one, and as large as
// anything can be for what is made of them.
func (s sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	known, isKnown := s.known[strings.Join(node.Path(), ".")]
	if !isKnown {
		known = s.other
	}
	return &checker.SizeEstimate{Min: 0, Max: known}
}
