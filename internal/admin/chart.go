package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// chart is a picture of numbers over time. It is drawn by the server as SVG, with
// the numbers in a table below it.
type chart struct {
	name   string // of the picture on its page: it makes the ids
	title  string
	about  string // what the picture shows, for those who don't see it
	unit   string // of the numbers: a currency, or "transfers"
	isBars bool   // bars that stand on each other, else a line that keeps its value until the next
	// isOfDays says that each time is a day of UTC.
	isOfDays bool
	times    []time.Time
	series   []chartSeries // each with a value for each time

	low, high decimal.Decimal // set by measured
}

type chartSeries struct {
	name   string
	isBad  bool     // drawn as what went wrong
	values []string // as the API wrote them; what is no number is drawn as zero

	numbers []decimal.Decimal // of values, set by measured
}

// The picture's own units; it is stretched to the width that there is.
const (
	chartWidth  = 1000
	chartHeight = 200
)

// measured is the chart with its numbers read, and the ends of its scale: no number
// is beyond them, and zero is between them.
func (c chart) measured() chart {
	series := make([]chartSeries, len(c.series))
	for i, s := range c.series {
		s.numbers = make([]decimal.Decimal, len(s.values))
		for j, text := range s.values {
			s.numbers[j], _ = decimal.NewFromString(text)
		}
		series[i] = s
	}
	c.series, c.low, c.high = series, decimal.Zero, decimal.Zero
	for i := range c.times {
		sum := decimal.Zero
		for _, s := range c.series {
			if sum = s.numbers[i].Add(sum); !c.isBars {
				sum = s.numbers[i]
			}
			c.low, c.high = decimal.Min(c.low, sum), decimal.Max(c.high, sum)
		}
	}
	if c.low.Equal(c.high) {
		c.high = decimal.NewFromInt(1)
	}
	c.low, c.high = roundAway(c.low), roundAway(c.high)
	return c
}

// roundAway is the next number, away from zero, that reads well at the end of a
// scale, as does its half.
func roundAway(value decimal.Decimal) decimal.Decimal {
	if value.IsZero() {
		return value
	}
	size := decimal.New(1, int32(value.NumDigits())+value.Exponent()-1) // 100 for 345
	for _, tenths := range []int64{10, 12, 16, 20, 24, 30, 40, 50, 60, 80} {
		if end := size.Mul(decimal.New(tenths, -1)); end.GreaterThanOrEqual(value.Abs()) {
			return end.Mul(decimal.NewFromInt(int64(value.Sign())))
		}
	}
	return size.Mul(decimal.NewFromInt(10 * int64(value.Sign())))
}

// y is where a number is drawn.
func (c *chart) y(value decimal.Decimal) string {
	return c.high.Sub(value).Mul(decimal.NewFromInt(chartHeight)).DivRound(c.high.Sub(c.low), 1).String()
}

// x is where a time is drawn: lines by the time, bars side by side.
func (c *chart) x(i int) string {
	if c.isBars {
		return decimal.NewFromInt(int64(i)).Mul(decimal.NewFromInt(chartWidth)).DivRound(decimal.NewFromInt(int64(len(c.times))), 1).String()
	}
	first, last := c.times[0], c.times[len(c.times)-1]
	span := max(1, last.Sub(first).Microseconds())
	return decimal.NewFromInt(c.times[i].Sub(first).Microseconds()).Mul(decimal.NewFromInt(chartWidth)).DivRound(decimal.NewFromInt(span), 1).String()
}

// path is the line of a series; closed it is the area down to zero.
func (c *chart) path(s chartSeries, isClosed bool) string {
	var path strings.Builder
	for i, value := range s.numbers {
		if i == 0 {
			fmt.Fprintf(&path, "M%s %s", c.x(i), c.y(value))
			continue
		}
		fmt.Fprintf(&path, "H%sV%s", c.x(i), c.y(value))
	}
	if isClosed {
		fmt.Fprintf(&path, "V%sH%sZ", c.y(decimal.Zero), c.x(0))
	}
	return path.String()
}

// bar is one part of a stack.
type bar struct {
	x, y, width, height string
	isBad               bool
}

// bars are drawn upwards from zero: what can be below zero is for a line.
func (c *chart) bars() (bars []bar) {
	slot := decimal.NewFromInt(chartWidth).DivRound(decimal.NewFromInt(int64(len(c.times))), 2)
	width := slot.Mul(decimal.RequireFromString("0.8")).String()
	for i := range c.times {
		sum := decimal.Zero
		for _, s := range c.series {
			if !s.numbers[i].IsPositive() {
				continue
			}
			sum = sum.Add(s.numbers[i])
			height := s.numbers[i].Mul(decimal.NewFromInt(chartHeight)).DivRound(c.high.Sub(c.low), 1)
			bars = append(bars, bar{x: c.x(i), y: c.y(sum), width: width, height: height.String(), isBad: s.isBad})
		}
	}
	return bars
}

// labels are what stands beside the picture, from the top.
func (c *chart) labels() (high, middle, low string) {
	return short(c.high), short(c.low.Add(c.high).Div(decimal.NewFromInt(2))), short(c.low)
}

// short writes a number for a scale: 1.2M, 12.5k, 0.025.
func short(value decimal.Decimal) string {
	for _, step := range []struct {
		zeros int32
		sign  string
	}{{12, "T"}, {9, "B"}, {6, "M"}, {3, "k"}} {
		if value.Abs().GreaterThanOrEqual(decimal.New(1, step.zeros)) {
			return value.Shift(-step.zeros).Round(2).String() + step.sign
		}
	}
	return value.Round(6).String()
}
