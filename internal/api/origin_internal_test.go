package api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
)

func TestForwardedAddressesAreBelievedOfListedProxiesOnly(t *testing.T) {
	listed := proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for name, c := range map[string]struct {
		proxies   proxies
		peer      string
		forwarded []string
		want      string
	}{
		"nobody is listed":            {nil, "10.0.0.1:1", []string{"1.2.3.4"}, "10.0.0.1"},
		"not a proxy":                 {listed, "9.9.9.9:1", []string{"1.2.3.4"}, "9.9.9.9"},
		"a proxy":                     {listed, "10.0.0.1:1", []string{"1.2.3.4"}, "1.2.3.4"},
		"what the client made up":     {listed, "10.0.0.1:1", []string{"7.7.7.7, 1.2.3.4"}, "1.2.3.4"},
		"two proxies":                 {listed, "10.0.0.1:1", []string{"7.7.7.7, 1.2.3.4, 10.0.0.2"}, "1.2.3.4"},
		"several headers":             {listed, "10.0.0.1:1", []string{"7.7.7.7", "1.2.3.4", "10.0.0.2"}, "1.2.3.4"},
		"proxies only":                {listed, "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"nonsense":                    {listed, "10.0.0.1:1", []string{"1.2.3.4, x"}, "10.0.0.1"},
		"nonsense of the client":      {listed, "10.0.0.1:1", []string{"x, 1.2.3.4"}, "1.2.3.4"},
		"a port":                      {listed, "10.0.0.1:1", []string{"1.2.3.4:80"}, "10.0.0.1"},
		"no header":                   {listed, "10.0.0.1:1", nil, "10.0.0.1"},
		"IPv6":                        {listed, "[2001:db8::1]:1", []string{"2001:dead::1"}, "2001:dead::1"},
		"IPv4 written as IPv6":        {listed, "[::ffff:10.0.0.1]:1", []string{"::ffff:1.2.3.4"}, "1.2.3.4"},
		"a zone":                      {listed, "[fe80::1%eth0]:1", nil, "fe80::1"},
		"no address at all":           {listed, "@", []string{"1.2.3.4"}, "invalid IP"},
		"more hops than there can be": {listed, "10.0.0.1:1", []string{"1.2.3.4," + strings.Repeat("10.0.0.2,", 30) + "10.0.0.2"}, "10.0.0.2"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
		if got := c.proxies.clientOf(r).String(); got != c.want {
			t.Errorf("%s: %s; want %s", name, got, c.want)
		}
	}
}

func FuzzClientOf(f *testing.F) {
	f.Add("10.0.0.1:1", "1.2.3.4, 10.0.0.2")
	f.Add("[::1]:1", "::ffff:1.2.3.4,,")
	f.Add("", ",,,,")
	trusted := proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		address := trusted.clientOf(r)
		if address.IsValid() && (address.Zone() != "" || address.Is4In6()) {
			t.Fatalf("%q %q: %s", peer, forwarded, address)
		}
		if direct := (proxies(nil)).clientOf(r); direct.IsValid() && !trusted.contains(direct) && direct != address {
			t.Fatalf("%q is no proxy, and %q was believed", peer, forwarded)
		}
	})
}

const insideCookie = plainCookieName + "=customer/user"

func TestCookiesCountForTheSameOriginOnly(t *testing.T) {
	_, engine := empty(Options{CORSOrigins: []string{"https://app.example.com"}})
	for name, c := range map[string]struct {
		method  string
		headers []string
		want    string // the code
	}{
		"read":                          {http.MethodGet, nil, "not_found"},
		"read from elsewhere":           {http.MethodGet, []string{"Sec-Fetch-Site", "cross-site"}, "not_found"}, // it can't be seen there
		"write":                         {http.MethodPost, nil, "not_found"},
		"write by our page":             {http.MethodPost, []string{"Sec-Fetch-Site", "same-origin"}, "not_found"},
		"write by our page, old":        {http.MethodPost, []string{"Origin", "http://example.com"}, "not_found"},
		"write by a page of a neighbor": {http.MethodPost, []string{"Sec-Fetch-Site", "same-site"}, "cross_origin"},
		"write by any page":             {http.MethodPost, []string{"Sec-Fetch-Site", "cross-site"}, "cross_origin"},
		"write by any page, old":        {http.MethodPost, []string{"Origin", "https://evil.example"}, "cross_origin"},
		"write by a sandboxed page":     {http.MethodPost, []string{"Origin", "null"}, "cross_origin"},
		"delete by any page":            {http.MethodDelete, []string{"Origin", "https://evil.example"}, "cross_origin"},
		"patch by any page":             {http.MethodPatch, []string{"Origin", "https://evil.example"}, "cross_origin"},
		"write by a listed page":        {http.MethodPost, []string{"Origin", "https://app.example.com", "Sec-Fetch-Site", "cross-site"}, "cross_origin"}, // it has a token
	} {
		answer := ask(engine, c.method, "/api/v1/nothing", append(c.headers, "Cookie", insideCookie)...)
		if codeOf(answer) != c.want {
			t.Errorf("%s: %d %s; want %s", name, answer.Code, answer.Body, c.want)
		}
	}
	// A listed page may sign in.
	signIn := ask(engine, http.MethodPost, "/api/v1/auth/signin", "Origin", "https://app.example.com", "Sec-Fetch-Site", "cross-site")
	if codeOf(signIn) != "invalid_request" {
		t.Errorf("sign-in: %d %s", signIn.Code, signIn.Body)
	}
	// A token that a page sends on purpose is no cookie.
	token := ask(engine, http.MethodPost, "/api/v1/nothing", "Authorization", "Bearer customer/user", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	if codeOf(token) != "not_found" {
		t.Errorf("bearer token: %d %s", token.Code, token.Body)
	}
}

func TestOneCredentialCounts(t *testing.T) {
	_, engine := empty(Options{})
	for name, headers := range map[string][]string{
		"a wrong token beside a good cookie": {"Authorization", "Bearer wrong", "Cookie", insideCookie},
		"no token beside a good cookie":      {"Authorization", "", "Cookie", insideCookie},
		"another scheme beside a cookie":     {"Authorization", "Basic customer/user", "Cookie", insideCookie},
		"two tokens":                         {"Authorization", "Bearer customer/user", "Authorization", "Bearer admin/user"},
		"two cookies":                        {"Cookie", insideCookie + "; " + plainCookieName + "=admin/user"},
		"an empty cookie":                    {"Cookie", plainCookieName + "="},
		"the other cookie":                   {"Cookie", secureCookieName + "=customer/user"},
		"a token in the address":             {"X-Api-Key", "customer/user"},
	} {
		if answer := ask(engine, http.MethodGet, "/api/v1/nothing?access_token=admin/user", headers...); codeOf(answer) != "unauthenticated" {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
	_, secure := empty(Options{OverTLS: true})
	if answer := ask(secure, http.MethodGet, "/api/v1/nothing", "Cookie", insideCookie); codeOf(answer) != "unauthenticated" {
		t.Errorf("the plain cookie over TLS: %d", answer.Code)
	}
	if answer := ask(secure, http.MethodGet, "/api/v1/nothing", "Cookie", secureCookieName+"=customer/user"); codeOf(answer) != "not_found" {
		t.Errorf("the cookie over TLS: %d", answer.Code)
	}
}

// A form or a script of another origin can send a body that names no type.
func TestBodiesWithACookieNameTheirType(t *testing.T) {
	_, engine := empty(Options{})
	send := func(headers ...string) string {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/api/v1/users/me/transfers", strings.NewReader("{}"))
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer := httptest.NewRecorder()
		engine.ServeHTTP(answer, r)
		return codeOf(answer)
	}
	for want, headers := range map[string][]string{
		"unsupported_media_type": {"Cookie", insideCookie},
		"invalid_request":        {"Cookie", insideCookie, "Content-Type", "application/json"},
	} {
		if got := send(headers...); got != want {
			t.Errorf("%v: %s; want %s", headers, got, want)
		}
	}
	if got := send("Authorization", "Bearer customer/user"); got != "invalid_request" {
		t.Errorf("with a token: %s", got)
	}
}

func TestSessionCookieIsCareful(t *testing.T) {
	secure, _ := empty(Options{OverTLS: true})
	plain, _ := empty(Options{})
	cookie, gone := secure.sessionCookie("token", time.Hour), secure.noSessionCookie()
	if got, want := cookie.String(), "__Host-florin_session=token; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"; got != want {
		t.Errorf("%s", got)
	}
	if got, want := gone.String(), "__Host-florin_session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"; got != want {
		t.Errorf("%s", got)
	}
	if here := plain.sessionCookie("token", time.Hour); here.Secure || here.Name != plainCookieName || !here.HttpOnly {
		t.Errorf("%s", here.String())
	}
}

func TestOtherOriginsAreLetInWhenListed(t *testing.T) {
	const app = "https://app.example.com"
	preflight := func(engine http.Handler, origin string) *httptest.ResponseRecorder {
		return ask(engine, http.MethodOptions, "/api/v1/transfers", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
	}
	_, closed := empty(Options{})
	if answer := preflight(closed, app); answer.Code == http.StatusNoContent || answer.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without a list: %d %v", answer.Code, answer.Header())
	}
	_, open := empty(Options{CORSOrigins: []string{app}})
	answer := preflight(open, app)
	if answer.Code != http.StatusNoContent || answer.Header().Get("Access-Control-Allow-Origin") != app || !strings.Contains(answer.Header().Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("listed: %d %v", answer.Code, answer.Header())
	}
	for _, origin := range []string{"https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com", "https://app.example.com:444"} {
		if answer := preflight(open, origin); answer.Code == http.StatusNoContent || answer.Header().Get("Access-Control-Allow-Origin") != "" || answer.Header().Get("Vary") != "Origin" {
			t.Errorf("%s: %d %v", origin, answer.Code, answer.Header())
		}
	}
	got := ask(open, http.MethodGet, "/api/v1/nothing", "Origin", app, "Authorization", "Bearer customer/user")
	if got.Header().Get("Access-Control-Allow-Origin") != app || got.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("call: %v", got.Header())
	}
	limits, _ := ParseRateLimits("public=2/1s")
	_, limited := empty(Options{CORSOrigins: []string{app}, RateLimits: limits})
	for i, want := range []int{http.StatusNoContent, http.StatusNoContent, http.StatusTooManyRequests} {
		if answer := preflight(limited, app); answer.Code != want {
			t.Errorf("preflight %d: %d; want %d", i+1, answer.Code, want)
		}
	}
	for _, bad := range []string{"", "*", "null", "example.com", "https://example.com/", "https://EXAMPLE.com", "ftp://example.com", "https://a@example.com", "https://example.com?x"} {
		if CheckOrigin(bad) == nil {
			t.Errorf("%q is taken for an origin", bad)
		}
	}
}

func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	_, engine := empty(Options{OverTLS: true})
	for _, path := range []string{"/", "/healthz", "/api/v1/accounts", "/docs", "/docs/errors", "/openapi.json", "/docs/swagger-ui.css"} {
		header := ask(engine, http.MethodGet, path).Header()
		for _, name := range []string{
			"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Permissions-Policy", "X-Frame-Options",
			"Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Strict-Transport-Security", "Cache-Control", "X-Request-Id",
		} {
			if len(header.Values(name)) != 1 || header.Get(name) == "" {
				t.Errorf("%s: %s %q", path, name, header.Values(name))
			}
		}
		if policy := header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "script-src 'self' 'unsafe") {
			t.Errorf("%s: %s", path, policy)
		}
	}
	_, plain := empty(Options{})
	if header := ask(plain, http.MethodGet, "/healthz").Header(); header.Get("Strict-Transport-Security") != "" {
		t.Error("without TLS browsers are told to insist on it")
	}
}

// A refused caller's body is not read: not even looked for.
func TestBodiesOfTheRefusedStayUnread(t *testing.T) {
	_, engine := empty(Options{})
	for _, token := range []string{"", "wrong", roleToken(identity.Support, identity.KeyPrincipal)} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/api/v1/transfers/batch", unreadableBody{t})
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer := httptest.NewRecorder()
		engine.ServeHTTP(answer, r)
		if answer.Code != http.StatusUnauthorized && answer.Code != http.StatusForbidden {
			t.Errorf("%q: %d", token, answer.Code)
		}
	}
}

type unreadableBody struct{ t *testing.T }

func (b unreadableBody) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, io.EOF
}

func FuzzCredential(f *testing.F) {
	f.Add("Bearer token", "")
	f.Add("", "florin_session=token")
	f.Add("bearer  x y", "florin_session=a; florin_session=b")
	f.Add("Bearer", `florin_session="quoted"`)
	a, _ := empty(Options{})
	f.Fuzz(func(t *testing.T, authorization, cookie string) {
		r := &http.Request{Header: http.Header{"Cookie": {cookie}}}
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		token, isCookie, problem := a.credential(r)
		if (problem == nil) != (token != "") || isCookie && authorization != "" {
			t.Fatalf("%q %q: %q %v %v", authorization, cookie, token, isCookie, problem)
		}
	})
}
