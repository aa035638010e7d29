package expression_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/shopspring/decimal"

	"florin/internal/platform/expression"
)

const maxCost = 500

func someOptions() expression.Options {
	return expression.Options{
		Variables: []expression.Variable{
			{Name: "amount", Type: expression.DecimalType},
			{Name: "count", Type: cel.IntType},
			{Name: "name", Type: cel.StringType},
			{Name: "names", Type: cel.ListType(cel.StringType), MaxSize: 20, MaxItemSize: 10},
		},
		MaxBytes: 300, MaxCost: maxCost, MaxSize: 50, ParseDecimal: decimal.NewFromString,
	}
}

func newLanguage(t testing.TB) *expression.Language {
	t.Helper()
	language, err := expression.New(someOptions())
	if err != nil {
		t.Fatal(err)
	}
	return language
}

var variables = map[string]any{
	"amount": expression.Decimal{Decimal: decimal.RequireFromString("99.99")}, "count": 3, "name": "anna", "names": []string{"anna", "bert", ""},
}

func activation(t testing.TB, of map[string]any) cel.Activation {
	t.Helper()
	a, err := cel.NewActivation(of)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Both ways of asking say the same, with a loop and without.
func TestHoldsAndMeasureAgree(t *testing.T) {
	t.Parallel()
	language := newLanguage(t)
	for text, want := range map[string]bool{
		`amount >= decimal("99.99")`:                                          true,
		`amount > decimal("99.99")`:                                           false,
		`amount + decimal("0.01") == decimal(100)`:                            true,
		`amount in [decimal("1"), decimal("99.990")]`:                         true,
		`decimal("0.1") + decimal("0.2") == decimal("0.3")`:                   true,
		`decimal("0.3") - decimal("0.1") <= decimal("0.2")`:                   true,
		`decimal(string(count)) == decimal("3")`:                              true, // no constant
		`amount - count > 96`:                                                 true,
		`name in ["bert", "anna"] && name in names`:                           true,
		`names.exists(n, n.startsWith("b"))`:                                  true,
		`names.all(n, n != "")`:                                               false,
		`name.matches("^a.*a$") && !matches(name, "^b")`:                      true,
		`names.exists(n, n.matches("^b")) && !name.contains("x")`:             true,
		`count > 5 ? amount > 1 : name.size() == 4`:                           true,
		`names.filter(n, size(n) > 0).size() == 2 && count * 10 == 30`:        true,
		`type(amount) == type(decimal(1)) && dyn(amount) == decimal("99.99")`: true,
	} {
		c, err := language.Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		holds, err := c.Holds(activation(t, variables))
		if err != nil || holds != want {
			t.Errorf("%s is %t, %v; want %t", text, holds, err, want)
		}
		measured, cost, err := c.Measure(t.Context(), variables)
		if err != nil || measured != want || cost == 0 || cost > maxCost {
			t.Errorf("%s, measured, is %t for %d, %v; want %t", text, measured, cost, err, want)
		}
	}
}

func TestWhatCannotBeToldIsAnErrorBothWays(t *testing.T) {
	t.Parallel()
	language := newLanguage(t)
	for text, want := range map[string]string{
		`10 / (count - 3) > 1`:                 "division by zero",
		`{"bert": 1}[name] == 1`:               "no such key",
		`names[count] == ""`:                   "index out of bounds",
		`decimal(name) > 1`:                    "decimal",
		`count * 9223372036854775807 > 0`:      "overflow",
		`dyn(name) > 1`:                        "no such overload",
		`names.exists(n, 1 / (count - 3) > 1)`: "division by zero",
		`dyn(amount) > 1.5`:                    "no such overload",
		`names.map(n, decimal(n)).size() == 3`: "decimal",
	} {
		c, err := language.Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if holds, err := c.Holds(activation(t, variables)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is %t, %v", text, holds, err)
		}
		if holds, _, err := c.Measure(t.Context(), variables); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, measured, is %t, %v", text, holds, err)
		}
	}
}

// A value of the wrong type, and one that is not there, are errors and no panic.
func TestVariablesThatAreNotAsDeclared(t *testing.T) {
	t.Parallel()
	c, err := newLanguage(t).Compile(`amount > 1 && count > 1`)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []map[string]any{{}, {"amount": "1", "count": 2}, {"amount": types.Null(0), "count": 2}, {"amount": variables["amount"]}} {
		if holds, err := c.Holds(activation(t, wrong)); err == nil {
			t.Errorf("%v: %t", wrong, holds)
		}
		if holds, _, err := c.Measure(t.Context(), wrong); err == nil {
			t.Errorf("%v, measured: %t", wrong, holds)
		}
	}
}

func TestExpressionsAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	language := newLanguage(t)
	for text, want := range map[string]string{
		"":                         "must have 1 to 300 bytes",
		strings.Repeat("a", 301):   "must have 1 to 300 bytes",
		"name == '\xff'":           "of UTF-8",
		"amount >":                 "Syntax error",
		"other > 1":                "undeclared reference to 'other'",
		"now() > 1":                "undeclared reference to 'now'",
		"amount > 1.5":             "no matching overload",
		`amount > decimal("much")`: "much",
		`name.matches("(")`:        "invalid matches argument",
		`matches(name, "(")`:       "error parsing regexp",
		// Who sends the values must not choose what the expression costs.
		`name.matches(name)`:                 "must be written out",
		`matches(name, "^" + name)`:          "must be written out",
		`dyn(name).matches(string(count))`:   "must be written out",
		`name.matches("(.?){1000}")`:         "compiles to 4002 instructions, must be at most 200",
		`name.matches("(.?){20}(.?){20}x")`:  "could cost 8",
		`matches(name, "(.?){20}(.?){20}x")`: "could cost 8",
		`[names, names] == [names, names]`:   "must cost at most 500",
		`names in [names, names]`:            "must cost at most 500",
		`timestamp(0).getHours("Asia/Tokyo") + timestamp(0).getHours("Asia/Tokyo") > 1`: "must cost at most 500",
		"amount":    "must be true or false, is of type decimal",
		"dyn(true)": "must be true or false",
		strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100): "recursion",
		`names.exists(a, names.exists(b, a == b))`:                   "must cost at most 500",
	} {
		c, err := language.Compile(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %q", text, c, err, want)
		}
	}
	// The sizes of variables count: names is short, what is not known is not.
	if _, err := language.Compile(`names.exists(n, n.contains("x"))`); err != nil {
		t.Error(err)
	}
}

// What is asked of values as long as declared costs no more than was reckoned before,
// whichever way the program goes: a loop's meter must not stop what was taken.
func TestCostsAreWithinTheirEstimates(t *testing.T) {
	t.Parallel()
	long := map[string]any{
		"amount": variables["amount"], "count": 3, "name": strings.Repeat("é", 50), "names": slices.Repeat([]string{strings.Repeat("é", 10)}, 20),
	}
	for _, text := range []string{
		`name.contains("x")`, `name.contains("` + strings.Repeat("x", 200) + `")`, `size(name) + name.size() > 1`, `name in names`, `name.matches("(é*)*x")`,
		`matches(name, "^[^x]{3}$")`, `names.exists(n, n.matches("(a|b)+x"))`, `names.all(n, n.contains("é"))`, `count in [1, 2, 3] || name in ["a", "b", "c", "d"]`,
		`timestamp(0).getHours("Europe/Berlin") == 1`,
	} {
		o := someOptions()
		c, err := newLanguage(t).Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		_, cost, err := c.Measure(t.Context(), long)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		o.MaxCost = cost - 1
		stricter, err := expression.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stricter.Compile(text); err == nil {
			t.Errorf("%s cost %d, and was to cost less", text, cost)
		}
	}
}

// A loop over more than was declared ends by its cost, not by its time.
func TestALoopEndsByItsCost(t *testing.T) {
	t.Parallel()
	c, err := newLanguage(t).Compile(`names.all(n, n != "b")`)
	if err != nil {
		t.Fatal(err)
	}
	many := map[string]any{"names": make([]string, 10_000)}
	if _, err := c.Holds(activation(t, many)); err == nil || !strings.Contains(err.Error(), "cost") {
		t.Error(err)
	}
	if _, cost, err := c.Measure(t.Context(), many); err == nil || cost > 2*maxCost {
		t.Error(cost, err)
	}
}

func TestMeasureEndsWithItsContext(t *testing.T) {
	t.Parallel()
	o := someOptions()
	o.MaxCost, o.Variables[3].MaxSize = 1_000_000_000, 1_000_000
	language, err := expression.New(o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := language.Compile(`names.all(n, n != "b")`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	if _, _, err := c.Measure(ctx, map[string]any{"names": make([]string, 1_000_000)}); err == nil || time.Since(start) > 10*time.Second {
		t.Error(err, time.Since(start))
	}
}

func TestTwoVariablesOfOneNameMakeNoLanguage(t *testing.T) {
	t.Parallel()
	o := someOptions()
	o.Variables = append(o.Variables, o.Variables[0])
	if _, err := expression.New(o); err == nil || !strings.Contains(err.Error(), "amount") {
		t.Error(err)
	}
}

// BenchmarkHolds shows what asking costs without the meter, and with it.
func BenchmarkHolds(b *testing.B) {
	c, err := newLanguage(b).Compile(`amount > decimal("50.5") && name in ["bert", "anna"]`)
	if err != nil {
		b.Fatal(err)
	}
	a := activation(b, variables)
	b.Run("quick", func(b *testing.B) {
		for b.Loop() {
			_, _ = c.Holds(a)
		}
	})
	b.Run("metered", func(b *testing.B) {
		for b.Loop() {
			_, _, _ = c.Measure(b.Context(), variables)
		}
	})
}
