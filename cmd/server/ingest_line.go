package main

import (
	"errors"
	"strconv"
	"time"
	"unicode/utf8"

	"florin/internal/cashback"
	"florin/internal/money"
	"florin/internal/platform/id"
)

// check rejects a line that makes no sense by itself, for the first reason found.
// What only the server knows is asked there.
func (l *ingestLine) check() {
	l.checkPurchaseID()
	l.checkParties()
	l.checkLengths()
	l.checkQuantity()
	l.checkPrice()
	l.checkTime()
	if _, err := money.ParseCurrency(l.values[colCurrency]); err != nil {
		l.reject("currency_invalid", "%v", err)
	}
}

func (l *ingestLine) checkPurchaseID() {
	switch purchaseID := l.values[colPurchase]; {
	case purchaseID == "":
		l.reject("purchase_id_missing", "a purchase must have an id")
	case !id.IsPossible(purchaseID):
		l.reject("purchase_id_invalid", "it must be 1 to %d characters of A-Z a-z 0-9 _ - . :", id.MaxLength)
	}
}

func (l *ingestLine) checkParties() {
	for _, c := range []struct {
		column        int
		code, message string
	}{
		{colCustomer, "customer", "nobody is named who bought it"},
		{colMerchant, "merchant", "nobody is named who sold it"},
	} {
		switch value := l.values[c.column]; {
		case value == "":
			l.reject(c.code+"_missing", "%s", c.message)
		case !id.IsPossible(value):
			l.reject(c.code+"_invalid", "it must be 1 to %d characters of A-Z a-z 0-9 _ - . :", id.MaxLength)
		}
	}
}

// checkLengths bounds what a purchase of many lines takes: a request that is too large
// is refused whole.
func (l *ingestLine) checkLengths() {
	for _, c := range []struct{ column, most int }{
		{colProduct, cashback.MaxProductLength},
		{colDescription, cashback.MaxDescriptionLength},
		{colCategory, cashback.MaxProductLength},
		{colMCC, cashback.MaxMCCLength},
		{colCountry, cashback.MaxCountryLength},
	} {
		if value := l.values[c.column]; len(value) > c.most && utf8.RuneCountInString(value) > c.most {
			l.reject("text_too_long", "%s must have at most %d characters", ingestColumns[c.column], c.most)
		}
	}
}

func (l *ingestLine) checkQuantity() {
	n, err := strconv.ParseInt(l.values[colQuantity], 10, 64)
	switch {
	case err != nil:
		l.reject("quantity_invalid", "it must be a whole number: above zero for what was bought, below for what came back")
	case n < 0 && l.values[colProduct] == "":
		l.reject("product_missing", "what came back is told by its product")
	case n == 0 || n > cashback.MaxQuantity || n < -cashback.MaxQuantity:
		l.reject("quantity_invalid", "it must be 1 to %d, or as much below zero", cashback.MaxQuantity)
	}
}

func (l *ingestLine) checkPrice() {
	price, err := money.Parse(l.values[colPrice])
	switch {
	case errors.Is(err, money.ErrTooManyDecimals):
		l.reject("price_invalid", "it must have at most %d decimals", money.MaxDecimals)
	case err != nil:
		l.reject("price_invalid", "%v", err)
	case price.IsNegative():
		l.reject("price_invalid", "it must not be negative")
	}
}

func (l *ingestLine) checkTime() {
	if _, err := time.Parse(time.RFC3339, l.values[colTime]); err != nil {
		l.reject("time_invalid", "it must be a time as in RFC 3339, such as 2026-01-31T09:30:00Z")
	}
}

// quantity is 0 when it can't be told.
func (l *ingestLine) quantity() int64 {
	n, _ := strconv.ParseInt(l.values[colQuantity], 10, 64)
	return n
}

// kind is what the line is a part of.
func (l *ingestLine) kind() ingestKind {
	if l.quantity() < 0 {
		return ingestReturns
	}
	return ingestPurchases
}

// size is about how many bytes the line takes, here and on the wire.
func (l *ingestLine) size() int {
	n := 200 // names of members, and the rest
	for _, field := range l.fields {
		n += len(field)
	}
	return n
}
