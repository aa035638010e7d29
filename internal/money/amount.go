package money

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
)

const (
	// MaxDecimals is the most decimals that any currency has, and what the
	// database keeps.
	MaxDecimals = 4
	// MaxIntegerDigits bounds every amount and every balance: DECIMAL(19,4)
	// has room for fifteen digits before the point.
	MaxIntegerDigits = 15
)

// Limit is the first magnitude that is too large for an amount or a balance:
// 10^15 of any currency.
var Limit = decimal.New(1, MaxIntegerDigits)

// What can be wrong with an amount. The text of an error that wraps one of
// these is fit to be shown to the caller.
var (
	ErrNotANumber      = errors.New("not a plain decimal number")
	ErrTooManyDecimals = errors.New("too many decimals")
	ErrTooLarge        = errors.New("too large")
)

// Parse reads an amount as people and programs write it: digits, at most one
// point, an optional minus. It is exact: "0.1" is 0.1. Exponents, signs of
// plus, separators, blanks, NaN and infinities are ErrNotANumber; more than
// MaxDecimals decimals (zeros at the end do not count) is ErrTooManyDecimals;
// 10^15 and above is ErrTooLarge. It takes time in proportion to the text, and no
// error repeats that.
func Parse(text string) (decimal.Decimal, error) {
	digits, isNegative := strings.CutPrefix(text, "-")
	whole, fraction, hasPoint := strings.Cut(digits, ".")
	if !isDigits(whole) || hasPoint && !isDigits(fraction) {
		return decimal.Zero, fmt.Errorf("%w: write digits with at most one point, such as 1000.50, without exponent or separators", ErrNotANumber)
	}
	whole = strings.TrimLeft(whole, "0")
	fraction = strings.TrimRight(fraction, "0")
	if len(whole) > MaxIntegerDigits {
		return decimal.Zero, fmt.Errorf("%w: an amount has at most %d digits before the point", ErrTooLarge, MaxIntegerDigits)
	}
	if len(fraction) > MaxDecimals {
		return decimal.Zero, fmt.Errorf("%w: no currency has more than %d", ErrTooManyDecimals, MaxDecimals)
	}
	// Of what is left alone: of a million zeros a decimal would make a number first.
	value, err := decimal.NewFromString("0" + whole + "." + fraction)
	if err != nil {
		return decimal.Zero, fmt.Errorf("%w: %w", ErrNotANumber, err)
	}
	if isNegative {
		value = value.Neg()
	}
	return value, nil
}

func isDigits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}

// Check says whether value is an amount that the currency can express:
// ErrTooManyDecimals when it has more decimals than the currency, ErrTooLarge
// from 10^15 on. The sign is the caller's concern.
func Check(value decimal.Decimal, currency Currency) error {
	if places := currency.Decimals(); !fits(value, places) {
		return fmt.Errorf("%w: %s has %d", ErrTooManyDecimals, currency, places)
	}
	if value.Abs().GreaterThanOrEqual(Limit) {
		return fmt.Errorf("%w: an amount has at most %d digits before the point", ErrTooLarge, MaxIntegerDigits)
	}
	return nil
}

// fits avoids the division of Truncate for the usual case, where the exponent
// alone shows that there are no decimals to lose.
func fits(value decimal.Decimal, places int32) bool {
	return -value.Exponent() <= places || value.Truncate(places).Equal(value)
}

// Format writes value with exactly the currency's decimals: "1000.50" for USD,
// "1001" for JPY. A value with more decimals than the currency is written in
// full rather than rounded: what is shown is what is there.
func Format(value decimal.Decimal, currency Currency) string {
	places := currency.Decimals()
	if !fits(value, places) {
		return value.String()
	}
	return value.StringFixed(places)
}
