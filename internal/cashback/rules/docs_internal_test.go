package rules

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheDocumentedVariablesAreTheCodes reads the tables of variables in
// docs/cashback.md: all that there are, with their types, each under its level.
func TestTheDocumentedVariablesAreTheCodes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/cashback.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, _ := strings.Cut(string(text), "### Variables")
	tables, _, _ = strings.Cut(tables, "Some that are often wanted")
	levels := strings.Split(tables, "| name | type | |")
	if len(levels) != 4 {
		t.Fatalf("%d tables", len(levels)-1)
	}
	row := regexp.MustCompile("(?m)^\\| (`[a-z_`, ]+`) \\| ([a-z ]+) \\|")
	name := regexp.MustCompile("[a-z_]+")
	for i, variables := range [][]variable{customerVariables, purchaseVariables, lineVariables} {
		var documented, declared []string
		for _, match := range row.FindAllStringSubmatch(levels[i+1], -1) {
			for _, n := range name.FindAllString(match[1], -1) {
				documented = append(documented, n+" "+match[2])
			}
		}
		for _, v := range variables {
			declared = append(declared, v.Name+" "+strings.NewReplacer("list(string)", "list of string").Replace(v.Type.String()))
		}
		slices.Sort(documented)
		slices.Sort(declared)
		if !slices.Equal(documented, declared) {
			t.Errorf("documented are %q, declared %q", documented, declared)
		}
	}
}

// Reasons are part of the API: all of them are in docs/cashback.md.
func TestTheDocumentedReasonsAreTheCodes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/cashback.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range []Reason{
		Applied, CappedPurchase, CappedCustomer, CappedBudget, OtherMerchant, OtherCurrency, NoClick, ConditionFalse, NoLines,
		BelowMinimum, RoundsToZero, CustomerCapFull, BudgetExhausted, FundsMissing, Stacked, EvaluationFailed,
	} {
		if !strings.Contains(string(text), "`"+string(reason)+"`") {
			t.Errorf("%s is not documented", reason)
		}
	}
}
