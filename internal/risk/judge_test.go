package risk

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func rules(t *testing.T, rules ...Rule) []compiled {
	t.Helper()
	ready := make([]compiled, len(rules))
	for i, rule := range rules {
		ready[i].Rule = rule
		ready[i].expression, ready[i].problem = compile(rule.Expression)
	}
	return ready
}

func rule(id, expression string, outcome Outcome, priority int) Rule {
	return Rule{ID: id, Version: 7, Terms: Terms{Name: id, Expression: expression, Outcome: outcome, Priority: priority, Enabled: true}}
}

func TestTheStrictestRuleDecides(t *testing.T) {
	t.Parallel()
	disabled := rule("off", "true", Decline, 1000)
	disabled.Enabled = false
	for name, c := range map[string]struct {
		rules   []Rule
		outcome Outcome
		ruleID  string
		matches int
	}{
		"no rules":                            {nil, Allow, "", 0},
		"none matches":                        {[]Rule{rule("a", "false", Decline, 1)}, Allow, "", 0},
		"decline over review":                 {[]Rule{rule("a", "true", Review, 1000), rule("b", "true", Decline, 0), rule("c", "true", Allow, 1000)}, Decline, "b", 3},
		"review over allow":                   {[]Rule{rule("a", "true", Allow, 1000), rule("b", "true", Review, 0)}, Review, "b", 2},
		"allow is named":                      {[]Rule{rule("a", "true", Allow, 0)}, Allow, "a", 1},
		"the higher priority of equals":       {[]Rule{rule("a", "true", Review, 1), rule("b", "true", Review, 3), rule("c", "true", Review, 2)}, Review, "b", 3},
		"the first id of equal priorities":    {[]Rule{rule("a", "true", Review, 1), rule("b", "true", Review, 1)}, Review, "a", 2},
		"disabled":                            {[]Rule{disabled}, Allow, "", 0},
		"one that fails is reviewed":          {[]Rule{rule("a", "count_hour / 0 == 1", Decline, 1)}, Review, "a", 1},
		"one that fails to allow, too":        {[]Rule{rule("a", "count_hour / 0 == 1", Allow, 1)}, Review, "a", 1},
		"one that fails does not hide others": {[]Rule{rule("a", "count_hour / 0 == 1", Allow, 1000), rule("b", "true", Decline, 0)}, Decline, "b", 2},
		"one that is no rule any more":        {[]Rule{rule("a", "balance > 1", Allow, 1)}, Review, "a", 1},
	} {
		v := judge(t.Context(), rules(t, c.rules...), someFacts())
		if v.outcome != c.outcome || v.ruleID != c.ruleID || len(v.matches) != c.matches || c.ruleID != "" && v.version != 7 {
			t.Errorf("%s: %+v; want %+v", name, v, c)
		}
	}
}

func TestAMoreSevereRuleNeverMakesADecisionMilder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		drawn := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) Rule {
			return rule(
				rapid.StringMatching(`[a-z]{1,3}`).Draw(rt, "id"),
				rapid.SampledFrom([]string{"true", "false", "count_day / count_hour == 1", "amount > 99", "amount > 100"}).Draw(rt, "expression"),
				rapid.SampledFrom([]Outcome{Allow, Review, Decline}).Draw(rt, "outcome"),
				rapid.IntRange(0, MaxPriority).Draw(rt, "priority"))
		}), 0, 8).Draw(rt, "rules")
		facts := someFacts()
		all := judge(t.Context(), rules(t, drawn...), facts)
		strictest := 0
		for i := range drawn {
			alone := judge(t.Context(), rules(t, drawn[i]), facts)
			strictest = max(strictest, alone.outcome.severity())
		}
		if all.outcome.severity() != strictest || (all.ruleID == "") != (len(all.matches) == 0) {
			rt.Fatalf("%+v of %+v", all, drawn)
		}
	})
}

// TestBuiltInRules shows what the rules that come with the program say of payments.
func TestBuiltInRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*Facts)
		outcome Outcome
		ruleID  string
	}{
		"ordinary":                           {func(*Facts) {}, Allow, ""},
		"the 20th in an hour":                {func(f *Facts) { f.AttemptsHour, f.CountHour = 20, 19 }, Allow, ""},
		"the 21st in an hour":                {func(f *Facts) { f.AttemptsHour = 21 }, Review, "velocity_hour"},
		"after 20 completed in an hour":      {func(f *Facts) { f.CountHour = 20 }, Review, "velocity_hour"},
		"a merchant's 500th in an hour":      {func(f *Facts) { f.Role, f.AttemptsHour, f.AttemptsDay, f.CountDay = "merchant", 500, 1000, 900 }, Allow, ""},
		"a merchant's 501st in an hour":      {func(f *Facts) { f.Role, f.AttemptsHour = "merchant", 501 }, Review, "velocity_hour"},
		"the 101st in a day":                 {func(f *Facts) { f.AttemptsDay = 101 }, Review, "velocity_day"},
		"the 101st in an hour":               {func(f *Facts) { f.AttemptsHour, f.AttemptsDay = 101, 101 }, Decline, "attempts_excessive"},
		"a merchant's 901st in an hour":      {func(f *Facts) { f.Role, f.AttemptsHour = "merchant", 901 }, Decline, "attempts_excessive"},
		"1000 to a new payee":                {func(f *Facts) { f.IsNewPayee, f.Amount = true, amount("1000") }, Allow, ""},
		"1000.01 to a new payee":             {func(f *Facts) { f.IsNewPayee, f.Amount = true, amount("1000.01") }, Review, "new_payee"},
		"150000 yen to a new payee":          {func(f *Facts) { f.IsNewPayee, f.Amount, f.Currency = true, amount("150000"), "JPY" }, Allow, ""},
		"150001 yen to a new payee":          {func(f *Facts) { f.IsNewPayee, f.Amount, f.Currency = true, amount("150001"), "JPY" }, Review, "new_payee"},
		"1000.01 to an old payee":            {func(f *Facts) { f.Amount = amount("1000.01") }, Allow, ""},
		"500 from a young account":           {func(f *Facts) { f.AccountAgeHours, f.Amount, f.SumDay = 23, amount("500"), amount("0") }, Allow, ""},
		"500.01 in two from a young account": {func(f *Facts) { f.AccountAgeHours, f.Amount, f.SumDay = 23, amount("0.02"), amount("499.99") }, Review, "young_account"},
		"500.01 from an account of a day":    {func(f *Facts) { f.AccountAgeHours, f.Amount = 24, amount("500.01") }, Allow, ""},
		"withdrawal with a second factor":    {func(f *Facts) { f.Operation, f.Amount = Withdrawal, amount("2000.01") }, Allow, ""},
		"1000 to a new bank account": {func(f *Facts) {
			f.Operation, f.Amount, f.SumDay, f.IsNewPayee = Withdrawal, amount("1000"), amount("0"), true
		}, Allow, ""},
		"1000.01 in two to a new bank account": {func(f *Facts) {
			f.Operation, f.Amount, f.SumDay, f.IsNewPayee = Withdrawal, amount("0.01"), amount("1000"), true
		}, Review, "new_payee"},
		"withdrawals without": {func(f *Facts) {
			f.Operation, f.Amount, f.SumDay, f.HasSecondFactor = Withdrawal, amount("1000.01"), amount("1000"), false
		}, Review, "withdrawal_without_second_factor"},
		"withdrawal without": {func(f *Facts) { f.Operation, f.Amount, f.HasSecondFactor = Withdrawal, amount("2000.01"), false }, Review,
			"withdrawal_without_second_factor"},
		"small withdrawal without": {func(f *Facts) {
			f.Operation, f.Amount, f.SumDay, f.HasSecondFactor = Withdrawal, amount("2000"), amount("0"), false
		}, Allow, ""},
		"several": {func(f *Facts) { f.IsNewPayee, f.AttemptsDay, f.Amount = true, 101, amount("1000.01") }, Review, "velocity_day"},
	} {
		facts := someFacts()
		c.change(&facts)
		if err := facts.validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if v := judge(t.Context(), rules(t, builtIn...), facts); v.outcome != c.outcome || v.ruleID != c.ruleID {
			t.Errorf("%s: %s by %q, %+v; want %s by %q", name, v.outcome, v.ruleID, v.matches, c.outcome, c.ruleID)
		}
	}
}

func TestFactsAreKeptExactly(t *testing.T) {
	t.Parallel()
	facts := Facts{
		Operation: Withdrawal, Amount: amount("0.0001"), Currency: "CLF", Role: "merchant", AccountAgeHours: 1, IsNewPayee: true, CountHour: 2, CountDay: 3,
		SumHour: amount("999999999999999.9999"), SumDay: amount("1000000000000000000.0001"), HasSecondFactor: true, AttemptsHour: 4, AttemptsDay: 5,
	}
	if err := facts.validate(); err != nil {
		t.Fatal(err)
	}
	text := object(facts)
	var back Facts
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if again := object(back); string(again) != string(text) {
		t.Fatalf("%s came back as %s", text, again)
	}
	// What is recorded has the names that rules use, and leaves none out.
	var names map[string]any
	if err := json.Unmarshal(text, &names); err != nil {
		t.Fatal(err)
	}
	for name := range facts.variables() {
		if _, found := names[name]; !found {
			t.Errorf("%s is not recorded", name)
		}
	}
	if fields := reflect.TypeFor[Facts]().NumField(); fields != len(facts.variables()) || fields != len(names) {
		t.Errorf("%d facts, %d variables, %d recorded", fields, len(facts.variables()), len(names))
	}
}

func TestFactsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*Facts){
		"operation":         func(f *Facts) { f.Operation = "deposit" },
		"amount":            func(f *Facts) { f.Amount = amount("0") },
		"currency":          func(f *Facts) { f.Currency = "usd" },
		"role":              func(f *Facts) { f.Role = "" },
		"account_age_hours": func(f *Facts) { f.AccountAgeHours = -1 },
		"count_hour":        func(f *Facts) { f.CountHour = -1 },
		"count_day":         func(f *Facts) { f.CountDay = -1 },
		"attempts_hour":     func(f *Facts) { f.AttemptsHour = -1 },
		"attempts_day":      func(f *Facts) { f.AttemptsDay = -1 },
		"sum_hour":          func(f *Facts) { f.SumHour = amount("-1") },
		"sum_day":           func(f *Facts) { f.SumDay = amount("1e9999") },
	} {
		facts := someFacts()
		change(&facts)
		err := facts.validate()
		if invalid := (*InvalidInput)(nil); !errors.As(err, &invalid) || invalid.Fields[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, bad := range []string{"-1", "0.001", "1000000000000000", "1e-9999"} {
		facts := someFacts()
		facts.Amount = amount(bad)
		if facts.validate() == nil {
			t.Errorf("amount %s was taken", bad)
		}
	}
}
