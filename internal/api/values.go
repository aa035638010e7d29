package api

import (
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"
	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// ID is an id that a caller may choose.
type ID string

// idPatternText is id.IsPossible, for the description.
const idPatternText = `^[A-Za-z0-9_.:-]{1,50}$`

// Schema is the documented form.
func (ID) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Pattern: idPatternText,
		PatternDescription: "of 1 to 50 characters of A-Z a-z 0-9 _ - . :",
	}
}

// Amount is an amount of money in a request: a string or a number, read from
// the very characters that were sent, never through floating point.
type Amount struct{ decimal.NullDecimal }

// amountPattern is what money.Parse takes, as a pattern.
const amountPattern = `^-?[0-9]{1,15}(\.[0-9]{1,4})?$`

// Schema is the documented form.
func (Amount) Schema(huma.Registry) *huma.Schema {
	const description = "Exact: digits with at most one point, no exponent. No more decimals than the currency has, at most 15 digits before the point."
	return &huma.Schema{
		Description: description,
		OneOf: []*huma.Schema{
			{Type: huma.TypeString, Pattern: amountPattern},
			{Type: huma.TypeNumber},
		},
		Examples: []any{"1000.50"},
	}
}

// AmountLimit is a limit of amounts in a request: an amount, or "none" to take
// the limit away.
type AmountLimit struct {
	IsGiven bool
	Limit   decimal.NullDecimal
}

const noLimit = "none"

// Schema is the documented form.
func (AmountLimit) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "An amount, or none to take the limit away.",
		OneOf: []*huma.Schema{
			{Type: huma.TypeString, Pattern: amountPattern},
			{Type: huma.TypeNumber},
			{Type: huma.TypeString, Enum: []any{noLimit}},
		},
		Examples: []any{"500.00"},
	}
}

// asked is nil when the limit stays as it is.
func (l *AmountLimit) asked() *decimal.NullDecimal {
	if !l.IsGiven {
		return nil
	}
	return &l.Limit
}

// Money is an amount in an answer: a string with exactly the currency's decimals.
type Money string

// Schema is the documented form.
func (Money) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Pattern: amountPattern, Examples: []any{"1000.50"},
		Description: "With exactly the currency's decimals.",
	}
}

// moneyOf writes an amount. A transfer that failed before its currency was known
// has none; its amount is written as it is.
func moneyOf(value decimal.Decimal, currency money.Currency) Money {
	if currency == "" {
		return Money(value.String())
	}
	return Money(money.Format(value, currency))
}

// optionalMoneyOf is null for what has no limit.
func optionalMoneyOf(value decimal.NullDecimal, currency money.Currency) *Money {
	if !value.Valid {
		return nil
	}
	written := moneyOf(value.Decimal, currency)
	return &written
}

// Metadata is a JSON object of the caller's own.
type Metadata json.RawMessage

// Schema is the documented form.
func (Metadata) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true,
		Description: "Any JSON object of at most 8192 bytes. Keys come back sorted, numbers without exponent.",
		Examples:    []any{map[string]any{"customer": "42"}},
	}
}

// MarshalJSON writes the object as it is.
func (m Metadata) MarshalJSON() ([]byte, error) { return json.RawMessage(m).MarshalJSON() }

// UnmarshalJSON keeps the object as it is.
func (m *Metadata) UnmarshalJSON(text []byte) error {
	return (*json.RawMessage)(m).UnmarshalJSON(text)
}
