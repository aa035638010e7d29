package approval

import (
	"florin/internal/platform/failure"
)

// Code is a stable name of why something can't be done. Codes are part of the
// API: they are never renamed.
type Code string

// The codes, each with what it means.
const (
	NotFound    Code = "approval_not_found"
	SamePerson  Code = "same_person"          // whoever asked, or gains by it, can't approve
	NotAPerson  Code = "not_a_person"         // only a person can approve, and a key asks for the person behind it
	NotPending  Code = "approval_not_pending" // it was decided the other way
	Expired     Code = "approval_expired"     // it took too long: ask again
	NotApproved Code = "not_approved"         // what is not approved is not executed
)

// The failures that callers tell apart, for errors.Is.
var (
	ErrNotFound    error = NotFound.Failure("there is no such approval")
	ErrSamePerson  error = SamePerson.Failure("a second person has to approve")
	ErrNotAPerson  error = NotAPerson.Failure("a person has to approve")
	ErrNotPending  error = NotPending.Failure("it was decided before")
	ErrExpired     error = Expired.Failure("it has expired")
	ErrNotApproved error = NotApproved.Failure("it is not approved")
)

// Failure is a refusal: the request was understood and can't be done. Nothing of
// it was applied. It is an error; errors.Is compares the code alone.
type Failure = failure.Of[Code]

// Failure is a refusal with this code.
func (c Code) Failure(format string, args ...any) *Failure {
	return failure.New(c, format, args...)
}

// InvalidInput says that a request makes no sense, whatever is stored. Nothing of
// it was applied.
type InvalidInput = failure.Invalid

func invalid(field, format string, args ...any) error {
	return failure.Invalidf(field, format, args...)
}
