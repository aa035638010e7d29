package api

import (
	"errors"

	"florin/internal/approval"
	"florin/internal/export"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/risk"
	"florin/internal/wallet"
)

// failureOf is the refusal of a module's rule, if err is one.
func failureOf(err error) *Problem {
	var (
		ofLedger   *ledger.Failure
		ofExport   *export.Failure
		ofIdentity *identity.Failure
		ofRisk     *risk.Failure
		ofApproval *approval.Failure
		ofWallet   *wallet.Failure
	)
	switch {
	// First: what a wallet refuses may wrap what the ledger says about it.
	case errors.As(err, &ofWallet):
		problem := asKnown(code(ofWallet.Code), ofWallet.Message).named(err)
		if wait := ofWallet.RetryAfter; wait > 0 {
			problem = problem.after(wait)
		}
		return problem
	case errors.As(err, &ofLedger):
		return asKnown(code(ofLedger.Code), ofLedger.Message).named(err)
	case errors.As(err, &ofExport):
		return asKnown(code(ofExport.Code), ofExport.Message)
	case errors.As(err, &ofIdentity):
		problem := asKnown(code(ofIdentity.Code), ofIdentity.Message)
		if wait := ofIdentity.RetryAfter; wait > 0 {
			problem = problem.after(wait)
		}
		return problem
	case errors.As(err, &ofRisk):
		return asKnown(code(ofRisk.Code), ofRisk.Message)
	case errors.As(err, &ofApproval):
		return asKnown(code(ofApproval.Code), ofApproval.Message)
	}
	return nil
}

// invalidInputOf is what a module says about a request that makes no sense, if
// err is that.
func invalidInputOf(err error) *Problem {
	var (
		ofLedger   *ledger.InvalidInput
		ofIdentity *identity.InvalidInput
		ofRisk     *risk.InvalidInput
		ofApproval *approval.InvalidInput
	)
	var fields []ledger.FieldError
	switch {
	case errors.As(err, &ofLedger):
		fields = ofLedger.Fields
	case errors.As(err, &ofIdentity):
		for _, f := range ofIdentity.Fields {
			fields = append(fields, ledger.FieldError(f))
		}
	case errors.As(err, &ofRisk):
		fields = []ledger.FieldError{{Field: ofRisk.Field, Problem: ofRisk.Problem}}
	case errors.As(err, &ofApproval):
		fields = []ledger.FieldError{{Field: ofApproval.Field, Problem: ofApproval.Problem}}
	default:
		return nil
	}
	return invalidRequest(fields)
}
