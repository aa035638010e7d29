package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"florin/internal/identity"
)

// Names of the session's cookie. __Host- makes browsers refuse one that came
// without TLS, for another path, or from a neighbouring host.
const (
	secureCookieName = "__Host-florin_session"
	plainCookieName  = "florin_session" // without TLS, on this machine alone
)

// identify finds out who makes a request, by its bearer token or its cookie.
func (a *api) identify(r *http.Request, known *request) (identity.Principal, *Problem) {
	token, isCookie, problem := a.credential(r)
	if problem != nil {
		return identity.Principal{}, a.limits.refused(known, problem)
	}
	// Sent by the browser itself, so by any page that asks it to.
	if known.isCookie = isCookie; isCookie && a.origins.Check(r) != nil {
		return identity.Principal{}, crossOrigin()
	}
	if problem := a.limits.mayTry(known); problem != nil {
		return identity.Principal{}, problem
	}
	principal, err := a.authenticate(r.Context(), token, known.address)
	switch {
	case errors.Is(err, ErrUnauthenticated):
		return identity.Principal{}, a.limits.refused(known, problemFor(r.Context(), err))
	case err != nil:
		return identity.Principal{}, problemFor(r.Context(), err)
	}
	return principal, nil
}

// credential reads the one credential of a request. An Authorization header
// counts alone, valid or not, so that no other page's cookie stands in for it.
func (a *api) credential(r *http.Request) (token string, isCookie bool, problem *Problem) {
	if headers := r.Header["Authorization"]; len(headers) > 0 {
		scheme, token, _ := strings.Cut(headers[0], " ")
		token = strings.TrimSpace(token)
		if len(headers) > 1 || token == "" || !strings.EqualFold(scheme, "Bearer") {
			return "", false, codeUnauthenticated.problem("the header must be Authorization: Bearer TOKEN, once")
		}
		return token, false, nil
	}
	// Two of one name: one was planted.
	switch cookies := r.CookiesNamed(a.cookieName); {
	case len(cookies) == 1 && cookies[0].Value != "":
		return cookies[0].Value, true, nil
	case len(cookies) > 1:
		return "", false, codeUnauthenticated.problem("there are several cookies %s", a.cookieName)
	}
	return "", false, codeUnauthenticated.problem("the header Authorization: Bearer TOKEN is missing")
}

// CredentialCookie hands the token of a session, or an API key, to a browser, which
// sends it to this host alone, shows it to no script, and forgets it after maxAge;
// at once when that is not above zero.
func CredentialCookie(token string, maxAge time.Duration, overTLS bool) http.Cookie {
	seconds := int(maxAge.Seconds())
	if seconds <= 0 {
		seconds = -1 // 0 would leave it to the browser
	}
	return http.Cookie{ //nolint:gosec // Secure but where there is no TLS, which is told by the name
		Name: cookieName(overTLS), Value: token, Path: "/", MaxAge: seconds,
		Secure: overTLS, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func cookieName(overTLS bool) string {
	if overTLS {
		return secureCookieName
	}
	return plainCookieName
}

func (a *api) sessionCookie(token string, maxAge time.Duration) http.Cookie {
	return CredentialCookie(token, maxAge, a.cookieName == secureCookieName)
}

// noSessionCookie takes it away again.
func (a *api) noSessionCookie() http.Cookie { return a.sessionCookie("", 0) }
