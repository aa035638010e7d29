package api

import (
	"net/http"
	"reflect"

	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/wallet"
)

// What people do to sign up and in, and with their own user.

const (
	tagAuth = "Sign-in"
	tagMe   = "Me"
)

var (
	exampleUser = UserProfile{
		UserID: "user_q7w3m5x2k4z6n2p7r5t3v6y4a2", Email: "alice@example.com", EmailVerified: true, Name: "Alice Adams",
		Locale: "en-US", Role: "customer", Status: "ACTIVE", CreatedAt: exampleTime, UpdatedAt: exampleTime,
	}
	exampleSession = Session{
		SessionID: "session_q7w3m5x2k4z6n2p7r5t3v6y4a2", Address: "203.0.113.7", Agent: "Mozilla/5.0", IsCurrent: true,
		CreatedAt: exampleTime, LastUsedAt: exampleTime, ExpiresAt: exampleLater,
	}
	exampleMailSent  = Message{mailSentMessage}
	exampleEmail     = map[string]any{"email": "alice@example.com"}
	exampleMailToken = "florin_verify_q7w3m5x2k4z6n2p7r5t3v6y4a2b5c7d3" //nolint:gosec // an example

	signInCodes = []code{
		code(identity.InvalidCredentials), code(identity.SecondFactorRequired), code(identity.EmailNotVerified),
		code(identity.UserLocked), code(identity.TooManyAttempts), code(identity.Busy),
	}
	proofCodes = []code{code(identity.InvalidCredentials), code(identity.SecondFactorRequired), code(identity.TooManyAttempts), code(identity.Busy)}
)

var (
	signUpEndpoint = endpoint{
		id: "signUp", method: http.MethodPost, path: "/api/v1/auth/signup", tag: tagAuth, isPublic: true, class: classAccount, writes: true,
		summary: "Sign up", status: http.StatusAccepted,
		description: "A mail with a link to verify the address is sent. The answer is the same when somebody has the address already: then the mail says so.",
		request:     reflect.TypeFor[SignUpRequest](),
		requestExample: map[string]any{
			"email": "alice@example.com", "password": "correct horse battery staple", "name": "Alice Adams",
		},
		answer: exampleMailSent, codes: []code{code(identity.Busy)},
	}
	verifyEmailEndpoint = endpoint{
		id: "verifyEmail", method: http.MethodPost, path: "/api/v1/auth/verification", tag: tagAuth, isPublic: true, class: classAccount, writes: true,
		summary: "Verify an address of mail", description: "By the token of the mail. It works once, for 24 hours.",
		request: reflect.TypeFor[MailTokenRequest](), requestExample: map[string]any{"token": exampleMailToken},
		answer: Message{"The address is verified."}, codes: []code{code(identity.InvalidToken)},
	}
	resendVerificationEndpoint = endpoint{
		id: "resendVerification", method: http.MethodPost, path: "/api/v1/auth/verification/resend", tag: tagAuth, isPublic: true, class: classAccount, writes: true,
		summary: "Send the verification mail again", status: http.StatusAccepted,
		description: "The link before ends. The answer is the same for addresses that nobody signed up with.",
		request:     reflect.TypeFor[EmailRequest](), requestExample: exampleEmail, answer: exampleMailSent,
	}
	signInEndpoint = endpoint{
		id: "signIn", method: http.MethodPost, path: "/api/v1/auth/signin", tag: tagAuth, isPublic: true, class: classSignIn, writes: true,
		summary:     "Sign in",
		description: "Opens a new session. Wrong addresses, passwords and codes are answered alike. After some failures there are waits, which a reset of the password by mail ends.",
		request:     reflect.TypeFor[SignInRequest](), requestExample: map[string]any{"email": "alice@example.com", "password": "correct horse battery staple", "code": "123456"},
		answer: SignedIn{Token: "florin_session_q7w3m5x2k4z6n2p7r5t3v6y4a2b5c7d3", Session: exampleSession, User: exampleUser},
		codes:  signInCodes,
	}
	signOutEndpoint = endpoint{
		id: "signOut", method: http.MethodPost, path: "/api/v1/auth/signout", tag: tagAuth, forAnyone: true, forPeople: true, writes: true,
		summary: "Sign out", description: "Ends the session that asks. Takes no body.",
		answer: Message{"Signed out."}, codes: []code{code(identity.SessionNotFound)},
	}
	proveEndpoint = endpoint{
		id: "prove", method: http.MethodPost, path: "/api/v1/auth/prove", tag: tagAuth, forAnyone: true, forPeople: true, writes: true,
		summary: "Prove yourself again", description: "Sensitive steps want a proof of the last ten minutes; signing in is one. Users with a second factor send a code, others their password.",
		request: reflect.TypeFor[ProofRequest](), requestExample: map[string]any{"code": "123456"},
		answer: Message{"Proven."}, codes: proofCodes,
	}
	getCallerEndpoint = endpoint{
		id: "getCaller", method: http.MethodGet, path: "/api/v1/auth/caller", tag: tagAuth, forAnyone: true,
		summary: "Read who you are", description: "Who the credential belongs to, and what it may do: a program of a user's interface asks before it shows what is refused anyway.",
		answer: Caller{
			Kind: "user", ID: exampleUser.UserID, Name: exampleUser.Name, Role: "support", HasSecondFactor: true, IsProven: true,
			Permissions: allow(identity.AccountsRead, identity.AccountsFreeze),
		},
	}
	requestResetEndpoint = endpoint{
		id: "requestPasswordReset", method: http.MethodPost, path: "/api/v1/auth/password-reset", tag: tagAuth, isPublic: true, class: classAccount, writes: true,
		summary: "Ask for a mail to reset the password", status: http.StatusAccepted,
		description: "The answer is the same for addresses that nobody signed up with.",
		request:     reflect.TypeFor[EmailRequest](), requestExample: exampleEmail, answer: exampleMailSent,
	}
	resetPasswordEndpoint = endpoint{
		id: "resetPassword", method: http.MethodPost, path: "/api/v1/auth/password-reset/confirm", tag: tagAuth, isPublic: true, class: classAccount, writes: true,
		summary: "Reset the password", description: "By the token of the mail, which works once, for 30 minutes. Ends all sessions and all waits. A second factor stays.",
		request: reflect.TypeFor[ResetPasswordRequest](), requestExample: map[string]any{"token": "florin_reset_q7w3m5x2k4z6n2p7r5t3v6y4a2b5c7d3", "newPassword": "four words put together"}, //nolint:gosec // an example
		answer: Message{"The password is set. All sessions are ended."}, codes: []code{code(identity.InvalidToken), code(identity.Busy)},
	}

	getMeEndpoint = endpoint{
		id: "getMe", method: http.MethodGet, path: "/api/v1/users/me", tag: tagMe, needs: allow(identity.MeRead),
		summary: "Read your profile", description: "As it is now.", answer: exampleUser,
	}
	updateMeEndpoint = endpoint{
		id: "updateMe", method: http.MethodPatch, path: "/api/v1/users/me", tag: tagMe, needs: allow(identity.MeWrite), writes: true,
		summary: "Change your profile", description: "What is absent stays as it is. An empty text clears a field, but for the name.",
		request: reflect.TypeFor[UpdateMeRequest](), requestExample: map[string]any{"phone": "+4930123456", "locale": "de-DE"}, answer: exampleUser,
		codes: []code{code(identity.UserNotActive)},
	}
	deleteMeEndpoint = endpoint{
		id: "deleteMe", method: http.MethodDelete, path: "/api/v1/users/me", tag: tagMe, needs: allow(identity.MeWrite), forPeople: true, isSensitive: true, writes: true,
		summary: "Delete your user", description: "Closes your accounts, which must be empty, ends your sessions and keys, and deletes what is known about you, but for what the books must keep.",
		answer: Message{"Your accounts are closed, and your data is deleted but for what the books must keep."},
		codes:  []code{code(wallet.BalanceRemaining), code(wallet.PaymentsPending), code(ledger.AccountFrozen), code(identity.UserNotActive)},
	}
	changePasswordEndpoint = endpoint{
		id: "changePassword", method: http.MethodPost, path: "/api/v1/users/me/password", tag: tagMe, needs: allow(identity.MeWrite), forPeople: true, writes: true,
		summary: "Change your password", description: "Ends your other sessions. With a second factor it wants a proof of the last ten minutes.",
		request: reflect.TypeFor[ChangePasswordRequest](), requestExample: map[string]any{"oldPassword": "correct horse battery staple", "newPassword": "four words put together"}, //nolint:gosec // an example
		answer: Message{"The password is changed. Your other sessions are ended."},
		codes:  append([]code{codeProofRequired}, proofCodes...),
	}
	listSessionsEndpoint = endpoint{
		id: "listSessions", method: http.MethodGet, path: "/api/v1/users/me/sessions", tag: tagMe, needs: allow(identity.MeRead),
		summary: "List your sessions", description: "Those that are not over, the newest first.", answer: SessionList{Data: []Session{exampleSession}},
	}
	endSessionEndpoint = endpoint{
		id: "endSession", method: http.MethodDelete, path: "/api/v1/users/me/sessions/{sessionId}", tag: tagMe, needs: allow(identity.MeWrite), writes: true,
		summary: "End one of your sessions", description: "At this server at once, at others within five seconds.",
		answer: Message{"The session is ended."}, codes: []code{code(identity.SessionNotFound)},
	}
	endOtherSessionsEndpoint = endpoint{
		id: "endOtherSessions", method: http.MethodDelete, path: "/api/v1/users/me/sessions", tag: tagMe, needs: allow(identity.MeWrite), forPeople: true, writes: true,
		summary: "End your other sessions", description: "All but the one that asks.", answer: Message{"Your other sessions are ended."},
	}
	enrolSecondFactorEndpoint = endpoint{
		id: "enrolSecondFactor", method: http.MethodPost, path: "/api/v1/users/me/second-factor", tag: tagMe, needs: allow(identity.MeWrite), forPeople: true, isSensitive: true, writes: true,
		summary: "Enrol a second factor", description: "Makes a secret for an authenticator app (TOTP, RFC 6238). It counts once it is confirmed. Takes no body.",
		answer: Enrolment{Secret: "JBSWY3DPEHPK3PXP", OtpauthURL: "otpauth://totp/Florin:alice@example.com?secret=JBSWY3DPEHPK3PXP&issuer=Florin"}, //nolint:gosec // an example
		codes:  []code{code(identity.SecondFactorOn)},
	}
	confirmSecondFactorEndpoint = endpoint{
		id: "confirmSecondFactor", method: http.MethodPost, path: "/api/v1/users/me/second-factor/confirm", tag: tagMe, needs: allow(identity.MeWrite), forPeople: true, isSensitive: true, writes: true,
		summary: "Switch the second factor on", description: "By a code of the app. Ends your other sessions, and answers recovery codes.",
		request: reflect.TypeFor[CodeRequest](), requestExample: map[string]any{"code": "123456"},
		answer: RecoveryCodes{[]string{"q7w3m-5x2k4"}},
		codes:  []code{code(identity.InvalidCredentials), code(identity.SecondFactorOn), code(identity.SecondFactorOff), code(identity.TooManyAttempts)},
	}
	disableSecondFactorEndpoint = endpoint{
		id: "disableSecondFactor", method: http.MethodDelete, path: "/api/v1/users/me/second-factor", tag: tagMe, needs: allow(identity.MeWrite), forPeople: true, isSensitive: true, writes: true,
		summary: "Switch the second factor off", description: "Its secret and its recovery codes are deleted.",
		answer: Message{"The second factor is off."}, codes: []code{code(identity.SecondFactorOff)},
	}
	newRecoveryCodesEndpoint = endpoint{
		id: "newRecoveryCodes", method: http.MethodPost, path: "/api/v1/users/me/second-factor/recovery-codes", tag: tagMe, needs: allow(identity.MeWrite), forPeople: true, isSensitive: true, writes: true,
		summary: "Make new recovery codes", description: "Those of before work no more. Takes no body.",
		answer: RecoveryCodes{[]string{"q7w3m-5x2k4"}}, codes: []code{code(identity.SecondFactorOff)},
	}
)
