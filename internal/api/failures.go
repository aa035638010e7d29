package api

import (
	"errors"

	"florin/internal/platform/failure"
)

// failureOf is the refusal of a module's rule, if err is one.
func failureOf(err error) *Problem {
	refused, isRefused := failure.In(err)
	if !isRefused {
		return nil
	}
	return asKnown(code(refused.Code), refused.Message).named(err).after(refused.RetryAfter)
}

// invalidInputOf is what a module says about a request that makes no sense, if
// err is that.
func invalidInputOf(err error) *Problem {
	if invalid, is := errors.AsType[*failure.Invalid](err); is {
		return invalidRequest(invalid.Fields)
	}
	return nil
}
