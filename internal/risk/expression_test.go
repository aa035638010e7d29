package risk

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

func amount(text string) decimal.Decimal { return decimal.RequireFromString(text) }

// someFacts are of an ordinary transfer, which no rule that comes with the program
// objects to.
func someFacts() Facts {
	return Facts{
		Operation: Transfer, Amount: amount("99.99"), Currency: "USD", Role: "customer", AccountAgeHours: 1000,
		SumHour: amount("0.1"), SumDay: amount("0.2"), AttemptsHour: 1, AttemptsDay: 1, HasSecondFactor: true,
	}
}

func TestExpressionsSeeFactsExactly(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]bool{
		`amount > 99`:                                    true,
		`amount > 100`:                                   false,
		`amount >= decimal("99.99")`:                     true,
		`amount > decimal("99.99")`:                      false,
		`amount < decimal("99.9901")`:                    true,
		`amount == decimal("99.9900")`:                   true,
		`amount != decimal("99.98")`:                     true,
		`sum_hour + sum_day == decimal("0.3")`:           true, // not so in floating point
		`sum_hour + sum_day <= decimal("0.3")`:           true,
		`amount - 99 == decimal("0.99")`:                 true,
		`sum_day - sum_hour - sum_hour == decimal(0)`:    true,
		`amount + 1 > 100`:                               true,
		`amount < 9223372036854775807`:                   true,
		`decimal("-0.0001") < decimal(0)`:                true,
		`amount in [decimal("1"), decimal("99.99")]`:     true,
		`currency == "USD" && operation == "transfer"`:   true,
		`role in ["merchant", "admin"]`:                  false,
		`is_new_payee || !has_second_factor`:             false,
		`account_age_hours >= 1000 && count_day == 0`:    true,
		`{"USD": 90, "EUR": 80}[currency] < 91`:          true,
		`amount > (currency == "JPY" ? 150000 : 90)`:     true,
		`["a", "b"].exists(x, x == "b")`:                 true,
		`currency.matches("^U[A-Z]+$")`:                  true,
		`attempts_hour * 24 > attempts_day`:              true,
		`operation.startsWith("with") || size(role) > 3`: true,
	} {
		facts := someFacts()
		e, err := compile(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		got, cost, err := e.matches(t.Context(), facts.variables())
		if err != nil || got != want || cost == 0 {
			t.Errorf("%s is %t (cost %d), %v; want %t", expression, got, cost, err, want)
		}
	}
}

func TestExpressionsAreRefusedBeforeTheyAreAsked(t *testing.T) {
	t.Parallel()
	tenItems := "[" + strings.TrimSuffix(strings.Repeat("1,", 10), ",") + "]"
	nested := "true"
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		nested = tenItems + ".all(" + name + ", " + nested + ")"
	}
	for name, expression := range map[string]string{
		"nothing":            ``,
		"blank":              `  `,
		"too long":           `amount > 1` + strings.Repeat(" ", MaxExpressionBytes),
		"no CEL":             `amount >`,
		"SQL":                `1; DROP TABLE risk_rules`,
		"no condition":       `count_hour + 1`,
		"an amount":          `amount`,
		"anything":           `dyn(true)`,
		"unknown variable":   `balance > 1`,
		"unknown function":   `now() > 1`,
		"floating point":     `amount > 1.5`,
		"text as amount":     `amount > "1"`,
		"amount equals int":  `amount == 99`,
		"int on the left":    `99 < amount`,
		"no amount":          `amount > decimal("1e3")`,
		"too many decimals":  `amount > decimal("0.00001")`,
		"bad regex":          `currency.matches("(")`,
		"a regex by value":   `currency.matches(role)`,
		"a huge regex":       `currency.matches("(.?){1000}")`,
		"deeply nested":      strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200),
		"costs a million":    nested,
		"lists of lists":     `[` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `] == []`,
		"assignment":         `amount = 1`,
		"invalid UTF-8":      "currency == \"\xff\"",
		"NUL":                "currency == \"a\x00\x00",
		"control in literal": "currency == \"a\nb\"",
	} {
		start := time.Now()
		_, err := compile(expression)
		if invalid := (*InvalidInput)(nil); !errors.As(err, &invalid) || invalid.Fields[0].Field != "expression" {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: it took %s to say no", name, took)
		}
	}
}

func TestWhatCannotBeWorkedOutIsAnError(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		`count_day / count_hour > 1`,
		`{"EUR": 1}[currency] == 1`,
		`decimal(currency) > 1`,
		`dyn(amount) > 1.5`,
		`dyn(currency) > 1`,
		`[1, 2][attempts_day + 5] == 1`,
		`attempts_hour * 9223372036854775807 * 2 > 0`,
		`int(currency) > 1`,
	} {
		facts := someFacts()
		e, err := compile(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got, _, err := e.matches(t.Context(), facts.variables()); err == nil {
			t.Errorf("%s is %t", expression, got)
		}
	}
}

// Whoever may write rules must not be able to stop payments by one that takes
// for ever, or bring the process down.
func FuzzExpression(f *testing.F) {
	for _, rule := range builtIn {
		f.Add(rule.Expression, "100.00")
	}
	for _, seed := range []string{
		`amount > decimal("1.5")`, `sum_hour + sum_day - amount <= 0`, `{"a": [1]}["a"].all(x, x > 0)`, `[1,2].map(x, [x, x]).size() > 1`,
		`"aaaaaaaaaaaaaaaa".matches("(a*)*b")`, `count_day / count_hour == 1`, `timestamp("2026-01-01T00:00:00Z") < timestamp(0)`, `((((`, `!!!!true`,
		`decimal(role) > 1`, `dyn(amount) == dyn(1.0)`, `has({"a": 1}.a)`, `bytes(role) == b"x"`, `decimal("1") + decimal("1") == decimal(2)`,
	} {
		f.Add(seed, "0.01")
	}
	f.Fuzz(func(t *testing.T, text, sum string) {
		e, err := compile(text)
		if err != nil {
			if invalid := (*InvalidInput)(nil); !errors.As(err, &invalid) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		facts := someFacts()
		if d, err := decimal.NewFromString(sum); err == nil && len(sum) < 30 {
			facts.SumDay = d
		}
		facts.Currency = "EUR"
		if err := facts.validate(); err != nil {
			return
		}
		first, cost, firstErr := e.matches(t.Context(), facts.variables())
		second, _, secondErr := e.matches(t.Context(), facts.variables())
		if first != second || (firstErr == nil) != (secondErr == nil) {
			t.Fatalf("%q is %t, %v, then %t, %v", text, first, firstErr, second, secondErr)
		}
		if firstErr == nil && cost > MaxCost {
			t.Fatalf("%q cost %d", text, cost)
		}
	})
}
