package admin

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image/png"
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/pquerna/otp"

	"florin/internal/api"
)

// The pages that a person is led to when he is not yet who the others need.
const (
	signInPath       = Root + "/sign-in"
	signOutPath      = Root + "/sign-out"
	provePath        = Root + "/prove"
	secondFactorPath = Root + "/second-factor"
)

// Fields of a form that prove who sends it; see proveWithForm.
const (
	proofCode     = "_code"
	proofPassword = "_password"
)

// keyMax is how long a browser keeps an API key: as long as a session.
const keyMax = 12 * time.Hour

func (p *Pages) signInRoutes() []route {
	return []route{
		{pattern: "GET " + Root, handler: p.showHome},
		{pattern: "GET " + signInPath, handler: p.showSignIn, isPublic: true},
		{pattern: "POST " + signInPath, handler: p.signIn, isPublic: true},
		{pattern: "POST " + signOutPath, handler: p.signOut, isPublic: true},
		{pattern: "GET " + provePath, handler: p.showProve},
		{pattern: "POST " + provePath, handler: p.prove},
		{pattern: "GET " + secondFactorPath, handler: p.showSecondFactor},
		{pattern: "POST " + secondFactorPath, handler: p.enrolSecondFactor},
		{pattern: "POST " + secondFactorPath + "/confirm", handler: p.confirmSecondFactor},
	}
}

// showHome leads to the first page that the caller may see.
func (p *Pages) showHome(w http.ResponseWriter, r *http.Request) error {
	for _, group := range p.navFor(callerOf(r)) {
		p.redirect(w, r, group.links[0].path)
		return nil
	}
	return p.render(w, r, page{title: "Florin"}, nothingView())
}

// signInForm is what the sign-in shows again: never a password or a key.
type signInForm struct {
	next, email string
	asksCode    bool
	withKey     bool // the refused attempt was one with a key
	problem     *problem
}

func (p *Pages) showSignIn(w http.ResponseWriter, r *http.Request) error {
	return p.renderSignIn(w, r, http.StatusOK, signInForm{next: localPath(r.URL.Query().Get("next"))})
}

func (p *Pages) renderSignIn(w http.ResponseWriter, r *http.Request, status int, form signInForm) error {
	return p.render(w, r, page{title: "Sign in", status: status, isNarrow: true}, signInView(form))
}

func (p *Pages) signIn(w http.ResponseWriter, r *http.Request) error {
	form := signInForm{next: localPath(r.PostFormValue("next")), email: r.PostFormValue("email"), withKey: r.PostForm.Has("key")}
	var err error
	if form.withKey {
		err = p.signInWithKey(w, r, strings.TrimSpace(r.PostFormValue("key")))
	} else {
		err = p.signInWithPassword(w, r, form.email)
	}
	var refused *problem
	switch {
	case err == nil:
		p.redirect(w, r, form.next)
		return nil
	case !errors.As(err, &refused) || refused.Status >= http.StatusInternalServerError:
		return err
	}
	form.asksCode = refused.Code == "second_factor_required" || r.PostForm.Has("code")
	form.problem = refused
	return p.renderSignIn(w, r, refused.Status, form)
}

func (p *Pages) signInWithPassword(w http.ResponseWriter, r *http.Request, email string) error {
	code, recoveryCode := splitCode(r.PostFormValue("code"))
	got, err := p.ask(r, http.MethodPost, "/api/v1/auth/signin", api.SignInRequest{
		Email: email, Password: r.PostFormValue("password"), Code: code, RecoveryCode: recoveryCode, Cookie: true,
	}, "")
	if err != nil {
		return err
	}
	w.Header()["Set-Cookie"] = got.header["Set-Cookie"]
	return nil
}

// signInWithKey has the browser keep an API key where a session's token is kept
// else: the key that a new Florin is made with, and those of people's own tools.
func (p *Pages) signInWithKey(w http.ResponseWriter, r *http.Request, key string) error {
	if key == "" || strings.ContainsAny(key, " \t\r\n\";,\\") {
		return &problem{Status: http.StatusUnauthorized, Code: "unauthenticated", Title: "No valid credential", Detail: "That is no API key."}
	}
	if _, err := p.ask(r, http.MethodGet, "/api/v1/auth/caller", nil, key); err != nil {
		return err
	}
	cookie := api.CredentialCookie(key, keyMax, p.overTLS)
	http.SetCookie(w, &cookie)
	return nil
}

// splitCode tells a code of an app, six digits, from a recovery code.
func splitCode(typed string) (code, recoveryCode string) {
	typed = strings.TrimSpace(typed)
	if digits := strings.ReplaceAll(typed, " ", ""); len(digits) == 6 && strings.Trim(digits, "0123456789") == "" {
		return digits, ""
	}
	return "", typed
}

// signOut ends the session, and has the browser forget it whatever the API says: a
// key has no session to end.
func (p *Pages) signOut(w http.ResponseWriter, r *http.Request) error {
	err := p.call(r, http.MethodPost, "/api/v1/auth/signout", nil, nil)
	cookie := api.CredentialCookie("", 0, p.overTLS)
	http.SetCookie(w, &cookie)
	if refused := (*problem)(nil); err != nil && (!errors.As(err, &refused) || refused.Status >= http.StatusInternalServerError) {
		return err
	}
	p.redirect(w, r, signInPath)
	return nil
}

// notProven says that a form's proof was refused.
type notProven struct{ because *problem }

// Error makes it an error.
func (n *notProven) Error() string { return "not proven: " + n.because.Error() }

// proveWithForm proves the caller by what the form brings: so a sensitive form
// that was asked for a proof goes on with it, and nothing is typed twice.
func (p *Pages) proveWithForm(r *http.Request) error {
	password := r.PostFormValue(proofPassword)
	if r.Method != http.MethodPost || r.PostFormValue(proofCode) == "" && password == "" {
		return nil
	}
	code, recoveryCode := splitCode(r.PostFormValue(proofCode))
	err := p.call(r, http.MethodPost, "/api/v1/auth/prove", api.ProofRequest{Password: password, Code: code, RecoveryCode: recoveryCode}, nil)
	if refused := (*problem)(nil); errors.As(err, &refused) && refused.Status < http.StatusInternalServerError && refused.Code != "unauthenticated" {
		return &notProven{refused}
	}
	return err
}

func (p *Pages) showProve(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.URL.Query().Get("next"))
	return p.render(w, r, page{title: "Prove it is you", isNarrow: true}, proveView(provePath, []formField{{"next", next}}, callerOf(r), nil))
}

// prove leads on: the proof is done before any form's handler runs.
func (p *Pages) prove(w http.ResponseWriter, r *http.Request) error {
	p.redirect(w, r, localPath(r.PostFormValue("next")))
	return nil
}

func (p *Pages) showSecondFactor(w http.ResponseWriter, r *http.Request) error {
	return p.renderSecondFactor(w, r, secondFactorView(callerOf(r)), http.StatusOK)
}

func (p *Pages) renderSecondFactor(w http.ResponseWriter, r *http.Request, view templ.Component, status int) error {
	return p.render(w, r, page{title: "Second factor", status: status, isNarrow: true}, view)
}

func (p *Pages) enrolSecondFactor(w http.ResponseWriter, r *http.Request) error {
	var made api.Enrolment
	if err := p.call(r, http.MethodPost, "/api/v1/users/me/second-factor", nil, &made); err != nil {
		return err
	}
	shown, err := showEnrolment(made)
	if err != nil {
		return err
	}
	return p.renderSecondFactor(w, r, enrolmentView(shown, nil), http.StatusOK)
}

// enrolmentShown is a new second factor, for the eye and for a camera.
type enrolmentShown struct{ secret, picture string }

func showEnrolment(made api.Enrolment) (enrolmentShown, error) {
	key, err := otp.NewKeyFromURL(made.OtpauthURL)
	if err != nil {
		return enrolmentShown{}, fmt.Errorf("read the new second factor: %w", err)
	}
	picture, err := key.Image(200, 200)
	if err != nil {
		return enrolmentShown{}, fmt.Errorf("draw the new second factor: %w", err)
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return enrolmentShown{}, fmt.Errorf("draw the new second factor: %w", err)
	}
	return enrolmentShown{made.Secret, "data:image/png;base64," + base64.StdEncoding.EncodeToString(out.Bytes())}, nil
}

func (p *Pages) confirmSecondFactor(w http.ResponseWriter, r *http.Request) error {
	var codes api.RecoveryCodes
	err := p.call(r, http.MethodPost, "/api/v1/users/me/second-factor/confirm", api.CodeRequest{Code: strings.TrimSpace(r.PostFormValue("code"))}, &codes)
	var refused *problem
	// The code that is wrong is answered like a wrong password.
	if errors.As(err, &refused) && (inPlace(err) != nil || refused.Code == "invalid_credentials") {
		return p.renderSecondFactor(w, r, enrolmentView(enrolmentShown{}, refused), refused.Status)
	}
	if err != nil {
		return err
	}
	return p.renderSecondFactor(w, r, recoveryCodesView(codes.RecoveryCodes), http.StatusOK)
}

// noticeCookie is the name of the cookie that carries what was done to the page that
// is shown after it. With TLS browsers refuse one from a neighbouring host, which
// would have our pages say what that likes.
func (p *Pages) noticeCookie() string {
	if p.overTLS {
		return "__Host-florin_notice"
	}
	return "florin_notice"
}

// done answers a form: the browser is led to a page, which says what was done.
// Loading that again sends nothing again.
func (p *Pages) done(w http.ResponseWriter, r *http.Request, notice, to string) error {
	p.setNotice(w, notice, 60)
	p.redirect(w, r, to)
	return nil
}

func (p *Pages) setNotice(w http.ResponseWriter, notice string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure but where there is no TLS
		Name: p.noticeCookie(), Value: base64.RawURLEncoding.EncodeToString([]byte(notice)), Path: "/", MaxAge: maxAge,
		Secure: p.overTLS, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// takeNotice reads the notice, which is shown once.
func (p *Pages) takeNotice(w http.ResponseWriter, r *http.Request) string {
	cookie, err := r.Cookie(p.noticeCookie())
	if err != nil {
		return ""
	}
	p.setNotice(w, "", -1)
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return ""
	}
	return string(text)
}
