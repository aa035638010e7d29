package rules

import (
	"cmp"
	"errors"
	"math"
	"math/bits"
	"slices"

	"github.com/shopspring/decimal"

	"florin/internal/money"
)

// amounts are those of a purchase's lines, exact, as whole multiples of a power of
// ten that all have in common: whole numbers are quicker than decimals, and there
// are many of them.
type amounts struct {
	of       []uint64
	total    uint64 // at most math.MaxInt64
	exponent int32
}

// errTooLarge is of purchases that none can be: one of 10^12 with four decimals
// has room enough.
var errTooLarge = errors.New("the purchase's amounts are negative or have too many digits")

// maxReward is the largest reward that has room in whole numbers, in any currency.
var maxReward = decimal.New(math.MaxInt64, -money.MaxDecimals)

var errRewardTooLarge = errors.New("the reward has too many digits")

func amountsOf(lines []Line) (amounts, error) {
	a := amounts{of: make([]uint64, len(lines))}
	for i := range lines {
		a.exponent = min(a.exponent, trimmed(lines[i].UnitPrice).Exponent())
	}
	if a.exponent < -maxDigits {
		return a, errTooLarge
	}
	for i := range lines {
		price, quantity := trimmed(lines[i].UnitPrice), lines[i].Quantity
		if price.IsNegative() || quantity < 0 || price.NumDigits() > maxDigits {
			return a, errTooLarge
		}
		scale, isSmall := pow10(int64(price.Exponent()) - int64(a.exponent))
		over, amount := bits.Mul64(uint64(price.CoefficientInt64()), uint64(quantity))
		overToo, amount := bits.Mul64(amount, scale)
		total, carry := bits.Add64(a.total, amount, 0)
		if !isSmall || over+overToo+carry > 0 || total > math.MaxInt64 {
			return a, errTooLarge
		}
		a.of[i], a.total = amount, total
	}
	return a, nil
}

// trimmed is the number without the zeros that it may have after the decimals that
// amounts have: they mean nothing, and take the room of digits that do.
func trimmed(d decimal.Decimal) decimal.Decimal {
	if d.Exponent() >= -money.MaxDecimals || !isPlainDecimal(d) {
		return d
	}
	if short := d.Truncate(money.MaxDecimals); short.Equal(d) {
		return short
	}
	return d
}

// maxDigits is how many digits fit an int64 whatever they are.
const maxDigits = 18

func pow10(n int64) (power uint64, isSmall bool) {
	if n > maxDigits {
		return 0, false
	}
	power = 1
	for range n {
		power *= 10
	}
	return power, true
}

// sum is of the lines that count; nil for all.
func (a *amounts) sum(counting []bool) uint64 {
	if counting == nil {
		return a.total
	}
	var sum uint64
	for i, counts := range counting {
		if counts {
			sum += a.of[i]
		}
	}
	return sum
}

// decimal is a sum as what it is.
func (a *amounts) decimal(sum uint64) decimal.Decimal { return decimal.New(int64(sum), a.exponent) }

// share splits amount, at most maxReward and with at most so many decimals, over
// the lines that count (nil for all) by their amounts, one of which at least is
// above zero: each gets its part rounded down, and the units that are left go to
// the lines with the largest remainders, of equal ones to the lower index. The
// parts add up to amount.
func (a *amounts) share(amount decimal.Decimal, counting []bool, places int32) []decimal.Decimal {
	parts := make([]decimal.Decimal, len(a.of))
	if len(parts) == 1 {
		parts[0] = amount
		return parts
	}
	type line struct {
		index           int
		part, remainder uint64 // in units; in parts of base
	}
	lines := make([]line, 0, len(a.of))
	base, units := a.sum(counting), uint64(amount.Shift(places).IntPart())
	left := units
	for i, of := range a.of {
		if counting == nil || counting[i] {
			high, low := bits.Mul64(units, of)
			l := line{index: i}
			l.part, l.remainder = bits.Div64(high, low, base) // fits: of is at most base
			left -= l.part
			lines = append(lines, l)
		}
	}
	// Less is left than there are lines with a remainder.
	slices.SortStableFunc(lines, func(x, y line) int { return cmp.Compare(y.remainder, x.remainder) })
	for i, l := range lines {
		if uint64(i) < left {
			l.part++
		}
		parts[l.index] = decimal.New(int64(l.part), -places)
	}
	return parts
}
