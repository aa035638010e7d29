package api

import (
	"context"
	"net/http"
	"time"

	"florin/internal/identity"
)

// UserProfile is a user as he and the staff see him.
type UserProfile struct {
	UserID          string    `json:"userId" example:"user_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Email           string    `json:"email,omitempty" doc:"In lower case. Absent once the user is deleted." example:"alice@example.com"`
	EmailVerified   bool      `json:"emailVerified" doc:"Only then can he sign in."`
	Name            string    `json:"name" example:"Alice Adams"`
	Phone           string    `json:"phone,omitempty" doc:"E.164." example:"+4930123456"`
	Address         string    `json:"address,omitempty" doc:"Lines of text." example:"1 Main Street\nSpringfield"`
	Locale          string    `json:"locale,omitempty" doc:"BCP 47." example:"en-US"`
	Role            string    `json:"role" enum:"customer,merchant,support,finance,operator,admin" example:"customer"`
	Status          string    `json:"status" enum:"ACTIVE,LOCKED,DELETED"`
	HasSecondFactor bool      `json:"hasSecondFactor"`
	CreatedAt       time.Time `json:"createdAt"`
	UpdatedAt       time.Time `json:"updatedAt"`
}

func userOf(u identity.User) UserProfile {
	return UserProfile{
		UserID: u.ID, Email: u.Email, EmailVerified: u.EmailVerifiedAt != nil, Name: u.Name, Phone: u.Phone, Address: u.Address,
		Locale: u.Locale, Role: string(u.Role), Status: string(u.Status), HasSecondFactor: u.HasSecondFactor,
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
}

// SignUpRequest asks for a user of one's own.
type SignUpRequest struct {
	Email    string `json:"email" doc:"Where the link to verify it is sent." example:"alice@example.com"`
	Password string `json:"password" writeOnly:"true" doc:"12 to 128 characters; no common password, nothing with the address or the name in it."`
	Name     string `json:"name" doc:"1 to 100 characters." example:"Alice Adams"`
}

var signUpMembers = []member[SignUpRequest]{
	{"email", true, func(d *decoder, r *SignUpRequest) { d.readText(&r.Email) }},
	{"password", true, func(d *decoder, r *SignUpRequest) { d.readText(&r.Password) }},
	{"name", true, func(d *decoder, r *SignUpRequest) { d.readText(&r.Name) }},
}

func (SignUpRequest) members() []member[SignUpRequest] { return signUpMembers }

// EmailRequest names an address of mail.
type EmailRequest struct {
	Email string `json:"email" example:"alice@example.com"`
}

var emailMembers = []member[EmailRequest]{
	{"email", true, func(d *decoder, r *EmailRequest) { d.readText(&r.Email) }},
}

func (EmailRequest) members() []member[EmailRequest] { return emailMembers }

// MailTokenRequest brings the token of a mail's link.
type MailTokenRequest struct {
	Token string `json:"token" writeOnly:"true" doc:"What stands behind #token= in the link."`
}

var mailTokenMembers = []member[MailTokenRequest]{
	{"token", true, func(d *decoder, r *MailTokenRequest) { d.readText(&r.Token) }},
}

func (MailTokenRequest) members() []member[MailTokenRequest] { return mailTokenMembers }

// ResetPasswordRequest brings the token of a mail's link and a new password.
type ResetPasswordRequest struct {
	Token       string `json:"token" writeOnly:"true" doc:"What stands behind #token= in the link."`
	NewPassword string `json:"newPassword" writeOnly:"true" doc:"As at sign-up."`
}

var resetPasswordMembers = []member[ResetPasswordRequest]{
	{"token", true, func(d *decoder, r *ResetPasswordRequest) { d.readText(&r.Token) }},
	{"newPassword", true, func(d *decoder, r *ResetPasswordRequest) { d.readText(&r.NewPassword) }},
}

func (ResetPasswordRequest) members() []member[ResetPasswordRequest] { return resetPasswordMembers }

// SignInRequest opens a session.
type SignInRequest struct {
	Email        string `json:"email" example:"alice@example.com"`
	Password     string `json:"password" writeOnly:"true"`
	Code         string `json:"code,omitempty" writeOnly:"true" doc:"Of the second factor, for users who have one." example:"123456"`
	RecoveryCode string `json:"recoveryCode,omitempty" writeOnly:"true" doc:"Instead of a code. Each works once."`
	Cookie       bool   `json:"cookie,omitempty" doc:"For browsers: the token is set as a cookie that no script can read, and is not answered."`
}

var signInMembers = []member[SignInRequest]{
	{"email", true, func(d *decoder, r *SignInRequest) { d.readText(&r.Email) }},
	{"password", true, func(d *decoder, r *SignInRequest) { d.readText(&r.Password) }},
	{"code", false, func(d *decoder, r *SignInRequest) { d.readText(&r.Code) }},
	{"recoveryCode", false, func(d *decoder, r *SignInRequest) { d.readText(&r.RecoveryCode) }},
	{"cookie", false, func(d *decoder, r *SignInRequest) { d.readFlag(&r.Cookie) }},
}

func (SignInRequest) members() []member[SignInRequest] { return signInMembers }

// SignedIn is a new session.
type SignedIn struct {
	Token   string      `json:"token,omitempty" doc:"Shown this once; send it as Authorization: Bearer TOKEN. Absent when it was set as a cookie."`
	Session Session     `json:"session"`
	User    UserProfile `json:"user"`
}

// ProofRequest proves the caller once more.
type ProofRequest struct {
	Password     string `json:"password,omitempty" writeOnly:"true" doc:"For users without a second factor."`
	Code         string `json:"code,omitempty" writeOnly:"true" doc:"Of the second factor, for users who have one." example:"123456"`
	RecoveryCode string `json:"recoveryCode,omitempty" writeOnly:"true" doc:"Instead of a code. Each works once."`
}

var proofMembers = []member[ProofRequest]{
	{"password", false, func(d *decoder, r *ProofRequest) { d.readText(&r.Password) }},
	{"code", false, func(d *decoder, r *ProofRequest) { d.readText(&r.Code) }},
	{"recoveryCode", false, func(d *decoder, r *ProofRequest) { d.readText(&r.RecoveryCode) }},
}

func (ProofRequest) members() []member[ProofRequest] { return proofMembers }

// Caller is who a credential belongs to, and what he may do with it.
type Caller struct {
	Kind            string                `json:"kind" enum:"user,key" doc:"A person with a session, or a program with an API key."`
	ID              string                `json:"id" doc:"Of the user or of the key." example:"user_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Name            string                `json:"name" example:"Alice Adams"`
	Role            string                `json:"role" enum:"customer,merchant,support,finance,operator,admin" example:"finance"`
	OwnerID         string                `json:"ownerId,omitempty" doc:"The user whose accounts alone the caller reaches. Absent: he reaches all." example:"user_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Permissions     []identity.Permission `json:"permissions" nullable:"false" doc:"All that the role and, for a key, its scopes let him do. Without a second factor staff may do none of it but what is their own."`
	HasSecondFactor bool                  `json:"hasSecondFactor" doc:"Never so for keys."`
	IsProven        bool                  `json:"isProven" doc:"Sensitive steps are open to him now: he proved himself in the last ten minutes, or is a program."`
}

type callerOutput struct{ Body Caller }

type signUpInput struct{ Payload jsonBody[SignUpRequest] }

type emailInput struct{ Payload jsonBody[EmailRequest] }

type mailTokenInput struct{ Payload jsonBody[MailTokenRequest] }

type resetPasswordInput struct {
	Payload jsonBody[ResetPasswordRequest]
}

type signInInput struct {
	Agent   string `header:"User-Agent" maxLength:"1000" doc:"Shown to the user in the list of his sessions."`
	Payload jsonBody[SignInRequest]
}

type proofInput struct{ Payload jsonBody[ProofRequest] }

type signedInOutput struct {
	SetCookie []http.Cookie `header:"Set-Cookie"`
	Body      SignedIn
}

type signedOutOutput struct {
	SetCookie []http.Cookie `header:"Set-Cookie"`
	Body      Message
}

func (a *api) routeAuth() {
	route(a, signUpEndpoint, a.signUp)
	route(a, verifyEmailEndpoint, a.verifyEmail)
	route(a, resendVerificationEndpoint, a.resendVerification)
	route(a, signInEndpoint, a.signIn)
	route(a, signOutEndpoint, a.signOut)
	route(a, proveEndpoint, a.prove)
	route(a, getCallerEndpoint, a.getCaller)
	route(a, requestResetEndpoint, a.requestReset)
	route(a, resetPasswordEndpoint, a.resetPassword)
}

// signUp answers the same whether the address is known or not.
func (a *api) signUp(ctx context.Context, in *signUpInput) (*messageOutput, error) {
	r := &in.Payload.Value
	if err := a.users.SignUp(ctx, identity.SignUp{Email: r.Email, Password: r.Password, Name: r.Name}); err != nil {
		return nil, err
	}
	return &messageOutput{Message{mailSentMessage}}, nil
}

func (a *api) verifyEmail(ctx context.Context, in *mailTokenInput) (*messageOutput, error) {
	if err := a.users.VerifyEmail(ctx, in.Payload.Value.Token); err != nil {
		return nil, err
	}
	return &messageOutput{Message{"The address is verified."}}, nil
}

func (a *api) resendVerification(ctx context.Context, in *emailInput) (*messageOutput, error) {
	if err := a.users.ResendVerification(ctx, in.Payload.Value.Email); err != nil {
		return nil, err
	}
	return &messageOutput{Message{mailSentMessage}}, nil
}

func (a *api) signIn(ctx context.Context, in *signInInput) (*signedInOutput, error) {
	r := &in.Payload.Value
	session, token, err := a.users.SignIn(ctx, identity.SignIn{
		Email: r.Email, Password: r.Password, Code: r.Code, RecoveryCode: r.RecoveryCode,
		Address: addressOf(ctx), Agent: in.Agent,
	})
	if err != nil {
		return nil, err
	}
	user, err := a.users.Profile(ctx, session.UserID)
	if err != nil {
		return nil, err
	}
	out := &signedInOutput{Body: SignedIn{Session: sessionOf(session, session.ID), User: userOf(user)}}
	if r.Cookie {
		out.SetCookie = []http.Cookie{a.sessionCookie(token, a.sessionMax)}
	} else {
		out.Body.Token = token
	}
	return out, nil
}

func (a *api) signOut(ctx context.Context, _ *struct{}) (*signedOutOutput, error) {
	if err := a.users.SignOut(ctx, *principalOf(ctx)); err != nil {
		return nil, err
	}
	return &signedOutOutput{SetCookie: []http.Cookie{a.noSessionCookie()}, Body: Message{"Signed out."}}, nil
}

func (a *api) prove(ctx context.Context, in *proofInput) (*messageOutput, error) {
	r := &in.Payload.Value
	err := a.users.Prove(ctx, *principalOf(ctx), identity.Proof{Password: r.Password, Code: r.Code, RecoveryCode: r.RecoveryCode})
	if err != nil {
		return nil, err
	}
	return &messageOutput{Message{"Proven."}}, nil
}

func (a *api) getCaller(ctx context.Context, _ *struct{}) (*callerOutput, error) {
	p := principalOf(ctx)
	caller := Caller{
		Kind: string(p.Kind), ID: p.ID, Name: p.Name, Role: string(p.Role), OwnerID: p.OwnerID,
		Permissions: []identity.Permission{}, HasSecondFactor: p.HasSecondFactor, IsProven: a.isProven(p),
	}
	for _, permission := range p.Role.Permissions() {
		if p.May(permission) {
			caller.Permissions = append(caller.Permissions, permission)
		}
	}
	return &callerOutput{caller}, nil
}

func (a *api) requestReset(ctx context.Context, in *emailInput) (*messageOutput, error) {
	if err := a.users.RequestReset(ctx, in.Payload.Value.Email); err != nil {
		return nil, err
	}
	return &messageOutput{Message{mailSentMessage}}, nil
}

func (a *api) resetPassword(ctx context.Context, in *resetPasswordInput) (*messageOutput, error) {
	r := &in.Payload.Value
	if err := a.users.ResetPassword(ctx, r.Token, r.NewPassword); err != nil {
		return nil, err
	}
	return &messageOutput{Message{"The password is set. All sessions are ended."}}, nil
}

// mailSentMessage says nothing about who has an account.
const mailSentMessage = "If the address is right, a mail is on its way."
