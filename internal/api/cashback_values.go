package api

import (
	"github.com/danielgtaylor/huma/v2"
	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// ExactAmount is an amount that was not rounded to its currency, such as the price
// of a line: with the currency's decimals, or more where it has more.
type ExactAmount string

// Schema is the documented form.
func (ExactAmount) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Pattern: amountPattern, Examples: []any{"0.0025"},
		Description: "Exact: with the currency's decimals, or with up to four.",
	}
}

func exactOf(value decimal.Decimal, currency money.Currency) ExactAmount {
	return ExactAmount(moneyOf(value, currency)) // which is never rounded
}

// Number is an exact number in an answer that is no amount of one currency, such as
// a percent.
type Number string

// Schema is the documented form.
func (Number) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Pattern: `^-?[0-9]+(\.[0-9]+)?$`, Examples: []any{"2.5"},
		Description: "An exact number, without exponent.",
	}
}

func numberOf(value decimal.Decimal) Number { return Number(value.String()) }

// numberUnlessZero is nil for zero, which stands for what is not there.
func numberUnlessZero(value decimal.Decimal) *Number {
	if value.IsZero() {
		return nil
	}
	written := numberOf(value)
	return &written
}

// moneyUnlessZero is nil for zero, which stands for no limit.
func moneyUnlessZero(value decimal.Decimal, currency money.Currency) *Money {
	if value.IsZero() {
		return nil
	}
	written := moneyOf(value, currency)
	return &written
}
