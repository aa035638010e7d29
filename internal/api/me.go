package api

import (
	"context"
	"time"

	"florin/internal/identity"
)

// Session is one sign-in of a user.
type Session struct {
	SessionID  string    `json:"sessionId" doc:"Opens nothing." example:"session_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
	Address    string    `json:"address,omitempty" doc:"Where it was opened from." example:"203.0.113.7"`
	Agent      string    `json:"agent,omitempty" doc:"What opened it, as it says itself." example:"Mozilla/5.0"`
	IsCurrent  bool      `json:"isCurrent" doc:"The one that asks."`
	CreatedAt  time.Time `json:"createdAt"`
	LastUsedAt time.Time `json:"lastUsedAt" doc:"To the minute."`
	ExpiresAt  time.Time `json:"expiresAt" doc:"Unless it is used before; at last some hours after createdAt."`
}

func sessionOf(s identity.Session, current string) Session {
	return Session{
		SessionID: s.ID, Address: s.Address, Agent: s.Agent, IsCurrent: s.ID == current,
		CreatedAt: s.CreatedAt, LastUsedAt: s.LastUsedAt, ExpiresAt: s.ExpiresAt,
	}
}

// SessionList is all sessions of a user.
type SessionList struct {
	Data []Session `json:"data" nullable:"false"`
}

// UpdateMeRequest changes what is given; "" clears a field, but for the name.
type UpdateMeRequest struct {
	Name    *string `json:"name,omitempty" doc:"1 to 100 characters."`
	Phone   *string `json:"phone,omitempty" doc:"E.164." example:"+4930123456"`
	Address *string `json:"address,omitempty" doc:"Lines of text, at most 300 characters."`
	Locale  *string `json:"locale,omitempty" doc:"BCP 47." example:"de-DE"`
}

var updateMeMembers = []member[UpdateMeRequest]{
	{"name", false, func(d *decoder, r *UpdateMeRequest) { d.readOptionalText(&r.Name) }},
	{"phone", false, func(d *decoder, r *UpdateMeRequest) { d.readOptionalText(&r.Phone) }},
	{"address", false, func(d *decoder, r *UpdateMeRequest) { d.readOptionalText(&r.Address) }},
	{"locale", false, func(d *decoder, r *UpdateMeRequest) { d.readOptionalText(&r.Locale) }},
}

func (UpdateMeRequest) members() []member[UpdateMeRequest] { return updateMeMembers }

// ChangePasswordRequest replaces a password.
type ChangePasswordRequest struct {
	OldPassword string `json:"oldPassword" writeOnly:"true"`
	NewPassword string `json:"newPassword" writeOnly:"true" doc:"As at sign-up."`
}

var changePasswordMembers = []member[ChangePasswordRequest]{
	{"oldPassword", true, func(d *decoder, r *ChangePasswordRequest) { d.readText(&r.OldPassword) }},
	{"newPassword", true, func(d *decoder, r *ChangePasswordRequest) { d.readText(&r.NewPassword) }},
}

func (ChangePasswordRequest) members() []member[ChangePasswordRequest] { return changePasswordMembers }

// Enrolment is a second factor that is to be confirmed.
type Enrolment struct {
	Secret     string `json:"secret" doc:"Base32, to be typed into an authenticator app." example:"JBSWY3DPEHPK3PXP"`
	OtpauthURL string `json:"otpauthUrl" doc:"The same for a QR code." example:"otpauth://totp/Florin:alice@example.com?secret=JBSWY3DPEHPK3PXP&issuer=Florin"`
}

// CodeRequest brings a code of the second factor.
type CodeRequest struct {
	Code string `json:"code" writeOnly:"true" doc:"Six digits of the authenticator app." example:"123456"`
}

var codeMembers = []member[CodeRequest]{
	{"code", true, func(d *decoder, r *CodeRequest) { d.readText(&r.Code) }},
}

func (CodeRequest) members() []member[CodeRequest] { return codeMembers }

// RecoveryCodes take the place of a code when the authenticator app is lost.
type RecoveryCodes struct {
	RecoveryCodes []string `json:"recoveryCodes" nullable:"false" doc:"Each works once. Shown this once."`
}

// SessionPath names a session.
type SessionPath struct {
	SessionID ID `path:"sessionId" doc:"The session's id." example:"session_q7w3m5x2k4z6n2p7r5t3v6y4a2"`
}

type updateMeInput struct{ Payload jsonBody[UpdateMeRequest] }

type changePasswordInput struct {
	Payload jsonBody[ChangePasswordRequest]
}

type codeInput struct{ Payload jsonBody[CodeRequest] }

type userOutput struct{ Body UserProfile }

type sessionsOutput struct{ Body SessionList }

type enrolmentOutput struct{ Body Enrolment }

type recoveryCodesOutput struct{ Body RecoveryCodes }

func (a *api) routeMe() {
	route(a, getMeEndpoint, a.getMe)
	route(a, updateMeEndpoint, a.updateMe)
	route(a, deleteMeEndpoint, a.deleteMe)
	route(a, changePasswordEndpoint, a.changePassword)
	route(a, listSessionsEndpoint, a.listSessions)
	route(a, endSessionEndpoint, a.endSession)
	route(a, endOtherSessionsEndpoint, a.endOtherSessions)
	route(a, enrolSecondFactorEndpoint, a.enrolSecondFactor)
	route(a, confirmSecondFactorEndpoint, a.confirmSecondFactor)
	route(a, disableSecondFactorEndpoint, a.disableSecondFactor)
	route(a, newRecoveryCodesEndpoint, a.newRecoveryCodes)
}

func (a *api) getMe(ctx context.Context, _ *struct{}) (*userOutput, error) {
	user, err := a.users.Profile(ctx, principalOf(ctx).UserID)
	if err != nil {
		return nil, err
	}
	return &userOutput{userOf(user)}, nil
}

func (a *api) updateMe(ctx context.Context, in *updateMeInput) (*userOutput, error) {
	r := &in.Payload.Value
	user, err := a.users.UpdateProfile(ctx, principalOf(ctx).UserID, identity.ProfilePatch{
		Name: r.Name, Phone: r.Phone, Address: r.Address, Locale: r.Locale,
	})
	if err != nil {
		return nil, err
	}
	return &userOutput{userOf(user)}, nil
}

func (a *api) deleteMe(ctx context.Context, _ *struct{}) (*messageOutput, error) {
	if err := a.wallets.CloseUser(ctx, *principalOf(ctx)); err != nil {
		return nil, err
	}
	return &messageOutput{Message{"Your accounts are closed, and your data is deleted but for what the books must keep."}}, nil
}

func (a *api) changePassword(ctx context.Context, in *changePasswordInput) (*messageOutput, error) {
	r := &in.Payload.Value
	if err := a.users.ChangePassword(ctx, *principalOf(ctx), r.OldPassword, r.NewPassword); err != nil {
		return nil, err
	}
	return &messageOutput{Message{"The password is changed. Your other sessions are ended."}}, nil
}

func (a *api) listSessions(ctx context.Context, _ *struct{}) (*sessionsOutput, error) {
	p := principalOf(ctx)
	sessions, err := a.users.Sessions(ctx, p.UserID)
	if err != nil {
		return nil, err
	}
	list := SessionList{Data: make([]Session, len(sessions))}
	for i, s := range sessions {
		list.Data[i] = sessionOf(s, p.SessionID)
	}
	return &sessionsOutput{list}, nil
}

func (a *api) endSession(ctx context.Context, in *SessionPath) (*messageOutput, error) {
	if err := a.users.RevokeSession(ctx, principalOf(ctx).UserID, string(in.SessionID)); err != nil {
		return nil, err
	}
	return &messageOutput{Message{"The session is ended."}}, nil
}

func (a *api) endOtherSessions(ctx context.Context, _ *struct{}) (*messageOutput, error) {
	if err := a.users.RevokeOtherSessions(ctx, *principalOf(ctx)); err != nil {
		return nil, err
	}
	return &messageOutput{Message{"Your other sessions are ended."}}, nil
}

func (a *api) enrolSecondFactor(ctx context.Context, _ *struct{}) (*enrolmentOutput, error) {
	secret, url, err := a.users.EnrolTOTP(ctx, *principalOf(ctx))
	if err != nil {
		return nil, err
	}
	return &enrolmentOutput{Enrolment{Secret: secret, OtpauthURL: url}}, nil
}

func (a *api) confirmSecondFactor(ctx context.Context, in *codeInput) (*recoveryCodesOutput, error) {
	codes, err := a.users.ConfirmTOTP(ctx, *principalOf(ctx), in.Payload.Value.Code)
	if err != nil {
		return nil, err
	}
	return &recoveryCodesOutput{RecoveryCodes{codes}}, nil
}

func (a *api) disableSecondFactor(ctx context.Context, _ *struct{}) (*messageOutput, error) {
	if err := a.users.DisableTOTP(ctx, *principalOf(ctx)); err != nil {
		return nil, err
	}
	return &messageOutput{Message{"The second factor is off."}}, nil
}

func (a *api) newRecoveryCodes(ctx context.Context, _ *struct{}) (*recoveryCodesOutput, error) {
	codes, err := a.users.NewRecoveryCodes(ctx, *principalOf(ctx))
	if err != nil {
		return nil, err
	}
	return &recoveryCodesOutput{RecoveryCodes{codes}}, nil
}
