package risk

import (
	"florin/internal/platform/failure"
)

// Code is a stable name of why something can't be done. Codes are part of the
// API: they are never renamed.
type Code string

// The codes, each with what it means.
const (
	RuleNotFound     Code = "risk_rule_not_found"      // there is no rule with this id
	RuleExists       Code = "risk_rule_exists"         // the id is taken by another rule
	RuleChanged      Code = "risk_rule_changed"        // somebody else has changed it since it was read
	TooManyRules     Code = "too_many_risk_rules"      // each payment is judged by all of them
	DecisionNotFound Code = "risk_decision_not_found"  // there is no decision with this id
	DecisionDiffers  Code = "risk_decision_differs"    // the transfer id was judged for another payment
	NotUnderReview   Code = "not_under_review"         // the decision was not to review
	AlreadyReviewed  Code = "already_reviewed"         // the review ended the other way
	OwnReview        Code = "own_review"               // nobody reviews a payment of his own
	NotAPerson       Code = "not_a_person"             // no person is known behind the key that reviews
	LimitsRaised     Code = "limit_raise_not_approved" // the change would raise a limit
)

// Failure is a refusal: the request was understood and can't be done. Nothing of
// it was applied. It is an error; errors.Is compares the code alone, so
// errors.Is(err, OwnReview.Failure("")) holds for any text.
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
