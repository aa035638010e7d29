package risk

import (
	"regexp"

	"github.com/shopspring/decimal"

	"florin/internal/money"
	language "florin/internal/platform/expression"
)

// Operation is what a payment is.
type Operation string

// The operations.
const (
	Transfer   Operation = "transfer"   // to another account of the ledger
	Withdrawal Operation = "withdrawal" // out of the house, to a linked bank account
)

// Facts are what rules know of a payment. The JSON names are the names of the
// variables in rules. Amounts are exact decimals in the payment's currency.
//
// The counts and sums are of payments out of the account that were completed
// before, within the last hour and the last day.
type Facts struct {
	Operation       Operation       `json:"operation"`
	Amount          decimal.Decimal `json:"amount"`
	Currency        money.Currency  `json:"currency"`
	Role            string          `json:"role"` // of who pays
	AccountAgeHours int64           `json:"account_age_hours"`
	IsNewPayee      bool            `json:"is_new_payee"` // the account never paid this one before
	CountHour       int64           `json:"count_hour"`
	CountDay        int64           `json:"count_day"`
	SumHour         decimal.Decimal `json:"sum_hour"`
	SumDay          decimal.Decimal `json:"sum_day"`
	HasSecondFactor bool            `json:"has_second_factor"` // who pays has one enrolled
	// The attempts are the payments asked of the account, this one included and
	// whatever became of them, counted up to AttemptsMax. Decide counts them
	// itself, so that many at once don't slip past a rule: each sees those that
	// were on record before it.
	AttemptsHour int64 `json:"attempts_hour"`
	AttemptsDay  int64 `json:"attempts_day"`
}

// AttemptsMax is where the count of attempts ends.
const AttemptsMax = 1000

var rolePattern = regexp.MustCompile(`^[a-z][a-z_]{0,49}$`)

func (f *Facts) validate() error {
	if f.Operation != Transfer && f.Operation != Withdrawal {
		return invalid("operation", "must be transfer or withdrawal")
	}
	if _, err := money.ParseCurrency(string(f.Currency)); err != nil {
		return invalid("currency", "%v", err)
	}
	if !f.Amount.IsPositive() {
		return invalid("amount", "must be above zero")
	}
	if err := money.Check(f.Amount, f.Currency); err != nil {
		return invalid("amount", "%v", err)
	}
	if !rolePattern.MatchString(f.Role) {
		return invalid("role", "must be the name of a role")
	}
	for field, value := range map[string]int64{
		"account_age_hours": f.AccountAgeHours, "count_hour": f.CountHour, "count_day": f.CountDay,
		"attempts_hour": f.AttemptsHour, "attempts_day": f.AttemptsDay,
	} {
		if value < 0 {
			return invalid(field, "must not be negative")
		}
	}
	for field, value := range map[string]decimal.Decimal{"sum_hour": f.SumHour, "sum_day": f.SumDay} {
		if value.IsNegative() {
			return invalid(field, "must not be negative")
		}
		// Far above any balance; keeps arithmetic on it small.
		if value.NumDigits() > 40 || value.Exponent() > 0 && value.Exponent() > 20 || value.Exponent() < -20 {
			return invalid(field, "has too many digits")
		}
	}
	return nil
}

// variables are the facts as rules see them.
func (f *Facts) variables() map[string]any {
	return map[string]any{
		"operation":         string(f.Operation),
		"amount":            language.Decimal{Decimal: f.Amount},
		"currency":          string(f.Currency),
		"role":              f.Role,
		"account_age_hours": f.AccountAgeHours,
		"is_new_payee":      f.IsNewPayee,
		"count_hour":        f.CountHour,
		"count_day":         f.CountDay,
		"sum_hour":          language.Decimal{Decimal: f.SumHour},
		"sum_day":           language.Decimal{Decimal: f.SumDay},
		"has_second_factor": f.HasSecondFactor,
		"attempts_hour":     f.AttemptsHour,
		"attempts_day":      f.AttemptsDay,
	}
}
