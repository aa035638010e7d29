package identity

import (
	"errors"
	"slices"
	"time"

	"florin/internal/platform/failure"
)

// Code is a stable name of what identity refused. Codes are part of the API:
// they are never renamed.
type Code string

// The codes, each with what it means.
const (
	Unauthenticated      Code = "unauthenticated"        // the session is unknown, over or revoked
	InvalidCredentials   Code = "invalid_credentials"    //nolint:gosec // a code, no secret: address, password and second factor don't fit together; which one is never said
	EmailNotVerified     Code = "email_not_verified"     // the password was right
	UserLocked           Code = "user_locked"            // by staff; all credentials were right
	SecondFactorRequired Code = "second_factor_required" // the password was right, a code or recovery code is missing
	TooManyAttempts      Code = "too_many_attempts"      // nothing was looked at; RetryAfter says when to come again
	Busy                 Code = "busy"                   // too many passwords are being hashed; nothing was done
	InvalidToken         Code = "invalid_token"          // of a mail: unknown, used, replaced or expired
	ProofRequired        Code = "proof_required"         // the step needs a session that proved itself lately: Prove
	UserNotFound         Code = "user_not_found"         //
	UserNotActive        Code = "user_not_active"        // locked, deleted, or not verified: the change makes no sense
	EmailTaken           Code = "email_taken"            // said to staff alone, never to strangers
	SessionNotFound      Code = "session_not_found"      // unknown, over, or another user's
	SecondFactorOn       Code = "second_factor_on"       // it must be switched off before another is enrolled
	SecondFactorOff      Code = "second_factor_off"      // there is none, or none was enrolled
	OwnRole              Code = "own_role"               // nobody changes his own role or lock
)

// Failure is a refusal: the request was understood and is not done. Its message
// never says more than the code about who exists; RetryAfter is how long nothing
// will be looked at (TooManyAttempts, Busy). It is an error; errors.Is compares the
// code alone.
type Failure = failure.Of[Code]

// Refusals that say the same each time. Compare with errors.Is.
var (
	ErrUnauthenticated      = &Failure{Code: Unauthenticated, Message: "the session is unknown or over"}
	ErrInvalidCredentials   = &Failure{Code: InvalidCredentials, Message: "the credentials are not right"}
	ErrEmailNotVerified     = &Failure{Code: EmailNotVerified, Message: "the email address is not verified: follow the link in the mail, or ask for another"}
	ErrUserLocked           = &Failure{Code: UserLocked, Message: "the user is locked"}
	ErrSecondFactorRequired = &Failure{Code: SecondFactorRequired, Message: "a code of the second factor, or a recovery code, is required"}
	ErrTooManyAttempts      = &Failure{Code: TooManyAttempts, Message: "too many attempts failed"}
	ErrBusy                 = &Failure{Code: Busy, Message: "too many sign-ins are under way", RetryAfter: time.Second}
	ErrInvalidToken         = &Failure{Code: InvalidToken, Message: "the token is unknown, was used, or has expired"}
	ErrProofRequired        = &Failure{Code: ProofRequired, Message: "prove yourself again, by password or second factor"}
	ErrUserNotFound         = &Failure{Code: UserNotFound, Message: "there is no such user"}
	ErrUserNotActive        = &Failure{Code: UserNotActive, Message: "the user is locked or deleted"}
	ErrEmailTaken           = &Failure{Code: EmailTaken, Message: "a user has this email address"}
	ErrSessionNotFound      = &Failure{Code: SessionNotFound, Message: "there is no such session"}
	ErrSecondFactorOn       = &Failure{Code: SecondFactorOn, Message: "the second factor is on: disable it first"}
	ErrSecondFactorOff      = &Failure{Code: SecondFactorOff, Message: "the second factor is off"}
	ErrOwnRole              = &Failure{Code: OwnRole, Message: "nobody changes his own role, or locks himself"}
)

// recordedAs is a refusal that stands in the audit trail by another name than its
// code, or not at all.
type recordedAs struct {
	*Failure
	result string // "" for what is recorded once for many
}

// Unwrap is the refusal as callers know it.
func (r recordedAs) Unwrap() error { return r.Failure }

// errCodeReused is ErrInvalidCredentials to whoever signs in, and more in the audit
// trail: a code that was seen before may have been stolen.
var errCodeReused = recordedAs{ErrInvalidCredentials, "code_reused"}

// tooManyAttempts is recorded for the first attempt that is refused in a wait: the
// others would fill the audit trail.
func tooManyAttempts(wait time.Duration, isFirst bool) error {
	f := &Failure{Code: TooManyAttempts, Message: ErrTooManyAttempts.Message, RetryAfter: wait}
	if !isFirst {
		return recordedAs{f, ""}
	}
	return f
}

// resultOf is what the audit trail says of a refusal; "" for what it says nothing of.
func resultOf(err error, recorded ...Code) string {
	var f *Failure
	if !errors.As(err, &f) || !slices.Contains(recorded, f.Code) {
		return ""
	}
	if named, isNamed := errors.AsType[recordedAs](err); isNamed {
		return named.result
	}
	return string(f.Code)
}

// InvalidInput says that a request makes no sense, whatever is stored. Nothing of
// it was stored. A problem never repeats the field's value.
type InvalidInput = failure.Invalid

// FieldError is one field's problem.
type FieldError = failure.Field

func invalid(field, problem string) error { return failure.Invalidf(field, "%s", problem) }
