package api

import (
	"fmt"
	"io"
	"log/slog"
)

// Bodies that hold secrets print as this, in whatever form.
const unprinted = "(a body with secrets)"

func printNothing(s fmt.State) { _, _ = io.WriteString(s, unprinted) }

var loggedAsNothing = slog.StringValue(unprinted)

// Format hides the body.
func (SignUpRequest) Format(s fmt.State, _ rune) { printNothing(s) }

// LogValue hides the body.
func (SignUpRequest) LogValue() slog.Value { return loggedAsNothing }

// Format hides the body.
func (MailTokenRequest) Format(s fmt.State, _ rune) { printNothing(s) }

// LogValue hides the body.
func (MailTokenRequest) LogValue() slog.Value { return loggedAsNothing }

// Format hides the body.
func (ResetPasswordRequest) Format(s fmt.State, _ rune) { printNothing(s) }

// LogValue hides the body.
func (ResetPasswordRequest) LogValue() slog.Value { return loggedAsNothing }

// Format hides the body.
func (SignInRequest) Format(s fmt.State, _ rune) { printNothing(s) }

// LogValue hides the body.
func (SignInRequest) LogValue() slog.Value { return loggedAsNothing }

// Format hides the body.
func (ProofRequest) Format(s fmt.State, _ rune) { printNothing(s) }

// LogValue hides the body.
func (ProofRequest) LogValue() slog.Value { return loggedAsNothing }

// Format hides the body.
func (ChangePasswordRequest) Format(s fmt.State, _ rune) { printNothing(s) }

// LogValue hides the body.
func (ChangePasswordRequest) LogValue() slog.Value { return loggedAsNothing }

// Format hides the body.
func (CodeRequest) Format(s fmt.State, _ rune) { printNothing(s) }

// LogValue hides the body.
func (CodeRequest) LogValue() slog.Value { return loggedAsNothing }

// Format hides the body.
func (LinkAccountRequest) Format(s fmt.State, _ rune) { printNothing(s) }

// LogValue hides the body.
func (LinkAccountRequest) LogValue() slog.Value { return loggedAsNothing }

// Format hides the body.
func (SignedIn) Format(s fmt.State, _ rune) { printNothing(s) }

// LogValue hides the body.
func (SignedIn) LogValue() slog.Value { return loggedAsNothing }

// Format hides the body.
func (Enrolment) Format(s fmt.State, _ rune) { printNothing(s) }

// LogValue hides the body.
func (Enrolment) LogValue() slog.Value { return loggedAsNothing }

// Format hides the body.
func (RecoveryCodes) Format(s fmt.State, _ rune) { printNothing(s) }

// LogValue hides the body.
func (RecoveryCodes) LogValue() slog.Value { return loggedAsNothing }

// Format hides the body.
func (NewAPIKey) Format(s fmt.State, _ rune) { printNothing(s) }

// LogValue hides the body.
func (NewAPIKey) LogValue() slog.Value { return loggedAsNothing }
