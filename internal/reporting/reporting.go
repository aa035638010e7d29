// Package reporting is what finance reads: reports of a period, each of one moment
// that it names, and the engine room of the SQL console.
//
// The views of the schema `reporting` are a contract of their own
// (docs/reporting.md). The console reads them by a database role that can read
// nothing else (EnsureRole); what a query may do is decided by the database and its
// parser, not by one of ours. Reports read the ledger's tables themselves, in a snapshot,
// and pass rows on as they come.
//
// It writes nothing but saved queries and the audit trail.
package reporting

import (
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/money"
	"florin/internal/platform/failure"
)

// Code is a stable name of why something can't be done. Codes are part of the API.
type Code string

// The codes, each with what it means.
const (
	Busy           Code = "reports_busy"          // too many reports are being read
	TooLong        Code = "report_too_long"       // more lines than a PDF can have
	UnknownAccount Code = "account_not_found"     // the ledger's code for the same
	ConsoleOff     Code = "console_off"           // no role of its own, or one that may too much
	ConsoleBusy    Code = "console_busy"          // all places are taken, or the caller has one already
	QueryFailed    Code = "query_failed"          // the database refused it, or it failed
	QueryTimeout   Code = "query_timeout"         // it took too long
	ResultTooLarge Code = "result_too_large"      // a row is larger than can be taken
	QueryNotFound  Code = "saved_query_not_found" // or not the caller's
	QueryChanged   Code = "saved_query_changed"   // somebody changed it meanwhile
	QueryExists    Code = "saved_query_exists"    // its id is that of another, or of one that was changed
	TooManyQueries Code = "too_many_saved_queries"
)

// Failure says why something can't be done.
type Failure = failure.Of[Code]

// Failure is a failure with this code.
func (c Code) Failure(format string, args ...any) *Failure { return failure.New(c, format, args...) }

func busy(code Code, format string, args ...any) *Failure {
	f := code.Failure(format, args...)
	f.RetryAfter = 2 * time.Second
	return f
}

// amount writes an amount. A transfer that failed before its currency was known has
// none; its amount is written as it is.
func amount(value decimal.Decimal, currency string) string {
	if currency == "" {
		return value.String()
	}
	return money.Format(value, money.Currency(currency))
}
