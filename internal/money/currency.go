// Package money holds amounts of money exactly: decimals with an ISO 4217
// currency, never floating point. It is pure: no clock, no I/O.
//
// An amount never has more decimals than its currency (JPY 0, USD 2, BHD 3,
// CLF 4), so nothing in the books is ever rounded behind anyone's back.
package money

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrUnknownCurrency says that a code is not an active ISO 4217 currency with
// minor units. Funds codes of metals and tests (XAU, XXX) are none.
var ErrUnknownCurrency = errors.New("unknown currency")

// Currency is an active ISO 4217 alphabetic code, in capitals.
type Currency string

//go:embed currencies.csv
var currencyTable string

// decimalsOf maps each currency to its minor units. Source: ISO 4217 list one,
// as published at datasets/currency-codes; withdrawn codes are left out.
var decimalsOf = readCurrencies(currencyTable)

func readCurrencies(table string) map[Currency]int32 {
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		panic("money: embedded currency table: " + err.Error())
	}
	decimals := make(map[Currency]int32, len(rows))
	for _, row := range rows[1:] {
		n, err := strconv.ParseInt(row[2], 10, 32)
		if err != nil || n > MaxDecimals {
			panic("money: embedded currency table: decimals of " + row[0])
		}
		decimals[Currency(row[0])] = int32(n)
	}
	return decimals
}

// ParseCurrency returns the currency with this code. Codes are capitals; "usd"
// is refused, so that one currency has one spelling everywhere. Returns
// ErrUnknownCurrency.
func ParseCurrency(code string) (Currency, error) {
	if _, known := decimalsOf[Currency(code)]; !known {
		return "", fmt.Errorf("%w: want an active ISO 4217 code in capitals, such as USD", ErrUnknownCurrency)
	}
	return Currency(code), nil
}

// Decimals is how many decimals an amount of the currency has; MaxDecimals for
// a currency that is unknown.
func (c Currency) Decimals() int32 {
	if n, known := decimalsOf[c]; known {
		return n
	}
	return MaxDecimals
}
