package api_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/api"
	"florin/internal/identity"
)

const me = "/api/v1/users/me"

// another is one more server over the same modules.
func (w *world) another(limits api.RateLimits, change func(*api.Options)) *world {
	w.t.Helper()
	same := w.in(w.t)
	same.metrics = prometheus.NewRegistry()
	same.serve(worldOptions{rateLimits: limits, api: change}, slog.New(slog.NewJSONHandler(same.log, nil)))
	return same
}

// attackEndedTokens uses sessions after all that ends them, at once.
func attackEndedTokens(t *testing.T, w *world) {
	for name, end := range map[string]func(c *caller){
		"sign-out":                func(c *caller) { c.post("/api/v1/auth/signout", nil).want(http.StatusOK) },
		"ended by another":        func(c *caller) { c.again().delete(me + "/sessions/" + c.sessionID).want(http.StatusOK) },
		"all others ended":        func(c *caller) { c.again().delete(me + "/sessions").want(http.StatusOK) },
		"password changed":        func(c *caller) { changePassword(c.again()) },
		"password reset":          resetPassword,
		"second factor confirmed": func(c *caller) { c.again().enrol() },
		"ended by staff": func(c *caller) {
			w.staff(identity.Support).delete("/api/v1/users/" + c.userID + "/sessions").want(http.StatusOK)
		},
		"locked": func(c *caller) {
			w.staff(identity.Support).post("/api/v1/users/"+c.userID+"/lock", nil).want(http.StatusOK)
		},
		"role changed": func(c *caller) {
			waits := w.staff(identity.Admin).put("/api/v1/users/"+c.userID+"/role", object{"role": "merchant"}).want(http.StatusAccepted).object()
			w.staff(identity.Finance).post("/api/v1/approvals/"+text(waits, "approvalId")+"/approve", nil).want(http.StatusOK).wantFields(object{"result": "ok"})
		},
		"deleted":    func(c *caller) { c.again().delete(me).want(http.StatusOK) },
		"idle":       func(*caller) { w.time.pass(31 * time.Minute) },
		"at its end": func(c *caller) { keepAlive(c, 12*time.Hour) },
		"by a cookie": func(c *caller) {
			c.call(http.MethodPost, "/api/v1/auth/signout", nil, asCookie(c.token)...).want(http.StatusOK)
		},
	} {
		c := w.customer("Ella Ended")
		c.get(me).want(http.StatusOK)
		end(c)
		for way, headers := range map[string][]string{"token": nil, "cookie": asCookie(c.token)} {
			if got := c.get(me, headers...); got.status != http.StatusUnauthorized {
				t.Errorf("%s: the %s answers %d: %.300s", name, way, got.status, got.text)
			}
			if got := c.post(me+"/accounts", object{"currency": "USD"}, headers...); got.status != http.StatusUnauthorized {
				t.Errorf("%s: the %s opens an account: %d %.300s", name, way, got.status, got.text)
			}
		}
	}
}

// keepAlive uses a session for so long.
func keepAlive(c *caller, long time.Duration) {
	for spent := time.Duration(0); spent < long; spent += 20 * time.Minute {
		c.w.time.pass(20 * time.Minute)
		if spent < long-40*time.Minute {
			c.get(me).want(http.StatusOK)
		}
	}
}

func asCookie(token string) []string {
	return []string{"Authorization", "", "Cookie", "florin_session=" + token, "Sec-Fetch-Site", "same-origin"}
}

const otherPassword = "mellow harbour 93 walnut"

func changePassword(c *caller) {
	c.w.t.Helper()
	c.post(me+"/password", object{"oldPassword": c.password, "newPassword": otherPassword}).want(http.StatusOK)
	c.password = otherPassword
}

// resetPassword resets the caller's password by mail.
func resetPassword(c *caller) {
	c.w.t.Helper()
	before := c.w.tokensTo(c.email)
	c.w.stranger().post("/api/v1/auth/password-reset", object{"email": c.email}).want(http.StatusAccepted)
	token := c.w.tokenTo(c.email, before+1)
	c.w.stranger().post("/api/v1/auth/password-reset/confirm", object{"token": token, "newPassword": otherPassword}).want(http.StatusOK)
	c.password = otherPassword
	// And the token is used up.
	c.w.stranger().post("/api/v1/auth/password-reset/confirm", object{"token": token, "newPassword": goodPassword}).wantProblem(http.StatusBadRequest, "invalid_token", "")
}

// attackEndedKeys uses keys after all that ends them, and from where they are not
// for.
func attackEndedKeys(t *testing.T, w *world) {
	admin, owner := w.staff(identity.Admin), w.merchant()
	make := func(more object) *caller {
		t.Helper()
		body := object{"name": "shop", "role": "merchant", "ownerId": owner.userID}
		for name, value := range more {
			body[name] = value
		}
		made := admin.post("/api/v1/api-keys", body).want(http.StatusCreated).object()
		c := w.stranger()
		c.keyID, c.token = text(made, "keyId"), text(made, "key")
		return c
	}
	gone := func(name string, key *caller) {
		t.Helper()
		key.get(me).wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		_ = name
	}
	revoked := make(nil)
	revoked.get(me).want(http.StatusOK)
	admin.delete("/api/v1/api-keys/" + revoked.keyID).want(http.StatusOK)
	gone("revoked", revoked)
	admin.post("/api/v1/api-keys/"+revoked.keyID+"/rotate", nil).wantProblem(http.StatusConflict, "key_not_active", "") // no way back

	rotated := make(nil)
	rotated.get(me).want(http.StatusOK)
	admin.post("/api/v1/api-keys/"+rotated.keyID+"/rotate", object{"overlapSeconds": 0}).want(http.StatusCreated)
	gone("rotated", rotated)

	overlapping := make(nil)
	admin.post("/api/v1/api-keys/"+overlapping.keyID+"/rotate", object{"overlapSeconds": 60}).want(http.StatusCreated)
	overlapping.get(me).want(http.StatusOK)
	w.time.pass(61 * time.Second)
	gone("overlap over", overlapping)

	expiring := make(object{"expiresAt": w.time.Now().Add(time.Minute).Format(time.RFC3339)})
	expiring.get(me).want(http.StatusOK)
	w.time.pass(61 * time.Second)
	gone("expired", expiring)

	bound := make(object{"networks": []string{"203.0.113.0/24"}})
	gone("from elsewhere", bound)
	bound.get(me, "X-Forwarded-For", "203.0.113.9").want(http.StatusOK)
	bound.get(me, "X-Forwarded-For", "203.0.113.9, 198.51.100.1").want(http.StatusUnauthorized)

	ofLocked := make(nil)
	ofLocked.get(me).want(http.StatusOK)
	admin.post("/api/v1/users/"+owner.userID+"/lock", nil).want(http.StatusOK)
	w.time.pass(5 * time.Second) // as documented
	gone("owner locked", ofLocked)
}

// attackDeletedUser uses what a user had after he is deleted.
func attackDeletedUser(t *testing.T, w *world) {
	c := w.customer("Dora Deleted")
	key := w.program(identity.Customer, c.userID)
	key.get(me).want(http.StatusOK)
	other := c.again()
	verifying := c.email
	c.delete(me).want(http.StatusOK)
	w.time.pass(5 * time.Second)
	for name, old := range map[string]*caller{"the session": c, "another session": other, "a key": key} {
		if got := old.get(me); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %.300s", name, got.status, got.text)
		}
	}
	w.stranger().post("/api/v1/auth/signin", object{"email": verifying, "password": c.password}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
	mails := len(w.mails.to(verifying))
	w.stranger().post("/api/v1/auth/password-reset", object{"email": verifying}).want(http.StatusAccepted)
	time.Sleep(100 * time.Millisecond)
	if now := len(w.mails.to(verifying)); now != mails {
		t.Error("a mail went to a deleted user")
	}
	// Nobody pays him, and staff bring him back by no request.
	payer := w.customer("Paul Payer")
	account := payer.open("USD")
	w.fund(account, "10")
	payer.post(me+"/transfers", object{"accountId": account, "to": object{"userId": c.userID}, "amount": "1"}).wantProblem(http.StatusNotFound, "payee_not_found", "")
	admin := w.staff(identity.Admin)
	admin.post("/api/v1/users/"+c.userID+"/unlock", nil).wantProblem(http.StatusNotFound, "user_not_found", "")
	admin.post("/api/v1/api-keys", object{"name": "x", "role": "customer", "ownerId": c.userID}).wantProblem(http.StatusConflict, "user_not_active", "")
	if got := admin.get("/api/v1/users/" + c.userID).want(http.StatusOK); strings.Contains(got.text, verifying) || strings.Contains(got.text, "Dora") {
		t.Errorf("personal data is left: %s", got.text)
	}
}

// attackTokensOfOtherKinds takes one kind of secret, or what is no secret, for
// another.
func attackTokensOfOtherKinds(t *testing.T, w *world) {
	c := w.customer("Kit Kinds")
	key := w.program(identity.Customer, c.userID)
	fresh := w.stranger()
	fresh.email = someEmail()
	fresh.post("/api/v1/auth/signup", object{"email": fresh.email, "password": goodPassword, "name": "Fay Fresh"}).want(http.StatusAccepted)
	verify := w.tokenTo(fresh.email, 1)
	before := w.tokensTo(c.email)
	fresh.post("/api/v1/auth/password-reset", object{"email": c.email}).want(http.StatusAccepted)
	reset := w.tokenTo(c.email, before+1)

	for name, token := range map[string]string{
		"a session's id": c.sessionID, "a user's id": c.userID, "a key's id": key.keyID, "a verification token": verify, "a reset token": reset,
		"a verification token by its name": strings.Replace(verify, "verify", "session", 1), "a reset token by its name": strings.Replace(reset, "reset", "session", 1),
		"in capitals": strings.ToUpper(c.token), "cut": c.token[:len(c.token)-1], "longer": c.token + "a", "of a key, cut": key.token[:len(key.token)-1],
		"of another environment": strings.Replace(key.token, "_test_", "_live_", 1), "the password": c.password, "nothing": "florin_session_", "null": "null",
		"SQL": "florin_session_' OR 1=1 --", "long": strings.Repeat("a", 20_000), "no JWT": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
	} {
		if got := w.stranger().get(me, "Authorization", "Bearer "+token); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %.300s", name, got.status, got.text)
		}
	}
	for _, token := range []string{verify, strings.Replace(verify, "verify", "reset", 1), c.token, "", "florin_reset_" + strings.Repeat("a", 40), "\x00"} {
		fresh.post("/api/v1/auth/password-reset/confirm", object{"token": token, "newPassword": otherPassword}).wantProblem(http.StatusBadRequest, "invalid_token", "")
	}
	for _, token := range []string{reset, strings.Replace(reset, "reset", "verify", 1), c.token, key.token} {
		fresh.post("/api/v1/auth/verification", object{"token": token}).wantProblem(http.StatusBadRequest, "invalid_token", "")
	}
	c.get(me).want(http.StatusOK)
	w.stranger().post("/api/v1/auth/signin", object{"email": fresh.email, "password": goodPassword}).want(http.StatusForbidden)
}

func signInBody(c *caller, more object) object {
	body := object{"email": c.email, "password": c.password}
	for name, value := range more {
		body[name] = value
	}
	return body
}

// attackCodesTwice uses a code of the second factor again, and old and coming ones.
func attackCodesTwice(t *testing.T, w *world) {
	c := w.customer("Tom Twice").enrol()
	first := w.stranger()
	first.email, first.password = c.email, c.password
	code := c.code()
	signedIn := first.post("/api/v1/auth/signin", signInBody(c, object{"code": code})).want(http.StatusOK).object()
	first.token = text(signedIn, "token")
	w.stranger().post("/api/v1/auth/signin", signInBody(c, object{"code": code})).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
	first.post("/api/v1/auth/prove", object{"code": code}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
	old := code
	w.time.pass(2 * time.Minute)
	w.stranger().post("/api/v1/auth/signin", signInBody(c, object{"code": old})).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
	// Without one, or with the password for one.
	w.stranger().post("/api/v1/auth/signin", signInBody(c, nil)).wantProblem(http.StatusUnauthorized, "second_factor_required", "")
	first.post("/api/v1/auth/prove", object{"password": c.password}).wantProblem(http.StatusUnauthorized, "second_factor_required", "")
	// A reset of the password is no way around it.
	resetPassword(c)
	w.stranger().post("/api/v1/auth/signin", signInBody(c, nil)).wantProblem(http.StatusUnauthorized, "second_factor_required", "")
	_ = t
}

// tokensTo is how many mails with a token an address has got.
func (w *world) tokensTo(address string) (n int) {
	for _, m := range w.mails.to(address) {
		if mailToken.MatchString(m.Text) {
			n++
		}
	}
	return n
}

// atOnce sends so many requests at the same time and counts the statuses.
func atOnce(n int, send func(i int) (status int, text string)) (statuses map[int]int, texts []string) {
	statuses = map[int]int{}
	var mu sync.Mutex
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			status, text := send(i)
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
			texts = append(texts, text)
		})
	}
	close(start)
	group.Wait()
	return statuses, texts
}

// asJSON writes a body for raw.
func asJSON(o object) string {
	var parts []string
	for name, value := range o {
		parts = append(parts, fmt.Sprintf("%q:%q", name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// wantOne fails the test unless one of many succeeded and the others were refused.
func wantOne(t *testing.T, what string, statuses map[int]int) {
	t.Helper()
	if statuses[http.StatusOK]+statuses[http.StatusCreated] != 1 {
		t.Errorf("%s: %v; want one to succeed", what, statuses)
	}
	for status := range statuses {
		if status == 0 || status >= 500 && status != http.StatusServiceUnavailable {
			t.Errorf("%s: %v", what, statuses)
		}
	}
}

// attackCodesAtOnce sends one code 16 times at once, at sign-in and as proof.
func attackCodesAtOnce(t *testing.T, w *world) {
	c := w.customer("Mia Many").enrol()
	body := asJSON(signInBody(c, object{"code": c.code()}))
	statuses, _ := atOnce(16, func(int) (int, string) { return w.stranger().raw(http.MethodPost, "/api/v1/auth/signin", body) })
	wantOne(t, "sign-in", statuses)
	c.get(me).want(http.StatusOK)

	d := w.customer("Moe Many").enrol()
	proof := asJSON(object{"code": d.code()})
	statuses, _ = atOnce(16, func(int) (int, string) { return d.raw(http.MethodPost, "/api/v1/auth/prove", proof) })
	wantOne(t, "proof", statuses)
}

func attackRecoveryCodesAtOnce(t *testing.T, w *world) {
	c := w.customer("Rita Recovery").enrol()
	body := asJSON(signInBody(c, object{"recoveryCode": c.recoveryCodes[0]}))
	statuses, _ := atOnce(16, func(int) (int, string) { return w.stranger().raw(http.MethodPost, "/api/v1/auth/signin", body) })
	wantOne(t, "sign-in", statuses)
	w.time.pass(16 * time.Minute) // the wait after so many
	w.stranger().post("/api/v1/auth/signin", signInBody(c, object{"recoveryCode": c.recoveryCodes[0]})).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
	w.time.pass(16 * time.Minute)
	w.stranger().post("/api/v1/auth/signin", signInBody(c, object{"recoveryCode": c.recoveryCodes[1]})).want(http.StatusOK)
	// Another's code is none.
	d := w.customer("Rick Recovery").enrol()
	w.stranger().post("/api/v1/auth/signin", signInBody(d, object{"recoveryCode": c.recoveryCodes[2]})).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
	// New ones end the old ones.
	d.prove().post(me+"/second-factor/recovery-codes", nil).want(http.StatusOK)
	w.stranger().post("/api/v1/auth/signin", signInBody(d, object{"recoveryCode": d.recoveryCodes[0]})).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
}

// attackSessionFixation plants a token before somebody signs in.
func attackSessionFixation(t *testing.T, w *world) {
	planted := identity.SessionPrefix + strings.Repeat("a", 40)
	attacker, victim := w.customer("Fred Fixer"), w.signUp("Vic Fixed")
	for name, headers := range map[string][]string{
		"a cookie":            {"Cookie", "florin_session=" + planted, "Sec-Fetch-Site", "same-origin"},
		"a header":            {"Authorization", "Bearer " + planted},
		"the attacker's own":  {"Cookie", "florin_session=" + attacker.token},
		"his own as a header": {"Authorization", "Bearer " + attacker.token},
	} {
		for _, asCookie := range []bool{false, true} {
			got := victim.post("/api/v1/auth/signin", object{"email": victim.email, "password": victim.password, "cookie": asCookie}, headers...).want(http.StatusOK)
			token := text(got.object(), "token")
			if asCookie {
				cookie := got.header.Get("Set-Cookie")
				if token != "" || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") || !strings.Contains(cookie, "Path=/") || strings.Contains(cookie, "Domain") {
					t.Errorf("%s: %q beside %q", name, cookie, token)
				}
				token = strings.TrimPrefix(strings.Split(cookie, ";")[0], "florin_session=")
			}
			if token == planted || token == attacker.token || !strings.HasPrefix(token, identity.SessionPrefix) {
				t.Errorf("%s: the session has the token %q", name, token)
			}
			if id := text(got.object(), "session", "sessionId"); id == attacker.sessionID || id == "" {
				t.Errorf("%s: the session is %q", name, id)
			}
		}
	}
	w.stranger().get(me, "Authorization", "Bearer "+planted).want(http.StatusUnauthorized)
	if got := attacker.get(me).want(http.StatusOK).object(); text(got, "userId") != attacker.userID {
		t.Errorf("the attacker's session became %v", got)
	}
	victim.post("/api/v1/auth/signin", object{"email": victim.email, "password": victim.password, "token": planted}).wantProblem(http.StatusBadRequest, "invalid_request", "token")
	victim.post("/api/v1/auth/signin", object{"email": victim.email, "password": victim.password, "sessionId": attacker.sessionID}).wantProblem(http.StatusBadRequest, "invalid_request", "sessionId")
}

// attackLyingHeaders says who and where the caller is by headers.
func attackLyingHeaders(t *testing.T, w *world) {
	c := w.customer("Liam Liar")
	direct := w.another(nil, func(o *api.Options) { o.TrustedProxies = nil })
	owner := w.merchant()
	bound := w.staff(identity.Admin).post("/api/v1/api-keys", object{"name": "shop", "role": "merchant", "ownerId": owner.userID, "networks": []string{"203.0.113.0/24"}}).want(http.StatusCreated).object()
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Originating-Ip", "X-Remote-Ip"} {
		value := "203.0.113.9"
		if header == "Forwarded" {
			value = "for=203.0.113.9;proto=https;host=evil.example"
		}
		direct.call(http.MethodGet, me, nil, "Authorization", "Bearer "+text(bound, "key"), header, value).wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		opened := direct.call(http.MethodPost, "/api/v1/auth/signin", object{"email": c.email, "password": c.password}, "Authorization", "", header, value).want(http.StatusOK).object()
		if address := text(opened, "session", "address"); address != "127.0.0.1" {
			t.Errorf("%s: the session is from %q", header, address)
		}
		if header != "X-Forwarded-For" { // our proxies speak that one alone
			w.call(http.MethodGet, me, nil, "Authorization", "Bearer "+text(bound, "key"), header, value).wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		}
	}
	// Roles, users, methods and paths by header.
	for _, header := range [][2]string{
		{"X-User-Id", "admin"}, {"X-Role", "admin"}, {"X-Forwarded-User", "admin"}, {"X-Original-Url", "/api/v1/users/me"}, {"X-Rewrite-Url", "/api/v1/users/me"},
		{"X-Http-Method-Override", "GET"}, {"X-Forwarded-Proto", "https"}, {"X-Api-Version", "0"},
	} {
		c.get("/api/v1/users", header[0], header[1]).wantProblem(http.StatusForbidden, "forbidden", "")
		w.stranger().get(me, header[0], header[1]).want(http.StatusUnauthorized)
	}
	// Links in mails lead to the configured host, whichever was asked.
	before := w.tokensTo(c.email)
	status, _ := w.stranger().raw(http.MethodPost, "/api/v1/auth/password-reset", asJSON(object{"email": c.email}), "Host", "evil.example", "X-Forwarded-Host", "evil.example")
	if mail := w.mailTo(c.email, before+1, mailToken); status != http.StatusAccepted || !strings.Contains(mail.Text, "https://pay.example.com/reset-password#token=") || strings.Contains(mail.Text, "evil") {
		t.Errorf("%d %s", status, mail.Text)
	}
	// One credential counts.
	admin := w.staff(identity.Admin)
	for name, headers := range map[string]string{
		"two headers":              "Authorization: Bearer " + c.token + "\r\nAuthorization: Bearer " + admin.token + "\r\n",
		"two in one":               "Authorization: Bearer " + c.token + ", Bearer " + admin.token + "\r\n",
		"folded":                   "Authorization: Bearer " + c.token + "\r\n " + admin.token + "\r\n",
		"a bad one and a cookie":   "Authorization: Bearer x\r\nCookie: florin_session=" + admin.token + "\r\n",
		"two cookies":              "Cookie: florin_session=" + c.token + "; florin_session=" + admin.token + "\r\n",
		"another scheme":           "Authorization: Basic " + admin.token + "\r\n",
		"a request id with a line": "X-Request-Id: a\tb\",\"actor\":\"admin\r\n",
		"a request id of markup":   "X-Request-Id: <script>alert(1)</script>\r\n",
	} {
		if status, id := w.rawGet("/api/v1/users", headers); status != http.StatusUnauthorized && status != http.StatusBadRequest || strings.ContainsAny(id, "<\",\t") {
			t.Errorf("%s: %d, request %q", name, status, id)
		}
	}
	// A good header beside a cookie of somebody else's: the header's user.
	if got := c.get(me, "Cookie", "florin_session="+admin.token).want(http.StatusOK).object(); text(got, "userId") != c.userID {
		t.Errorf("the cookie won: %v", got)
	}
}

// rawGet sends a GET with headers as they are written, and returns the status and
// the id of the request.
func (w *world) rawGet(path, headers string) (status int, requestID string) {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", path, headers)
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode, response.Header.Get("X-Request-Id")
}

// attackCrossOrigin lets a page of another origin use a browser's cookie, or its
// user's ignorance.
func attackCrossOrigin(t *testing.T, w *world) {
	c := w.customer("Cora Cookie")
	account := c.open("USD")
	w.fund(account, "10")
	payee := w.customer("Eve Evil").open("USD")
	pay := object{"accountId": account, "to": object{"accountId": payee}, "amount": "1"}
	cookie := []string{"Authorization", "", "Cookie", "florin_session=" + c.token}
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
		{"Origin", "https://evil.example", "Content-Type", "text/plain"}, {"Sec-Fetch-Site", "cross-site", "Content-Type", "application/x-www-form-urlencoded"},
	} {
		c.post(me+"/transfers", pay, append(cookie, headers...)...).wantProblem(http.StatusForbidden, "cross_origin", "")
		c.post("/api/v1/auth/signout", nil, append(cookie, headers...)...).wantProblem(http.StatusForbidden, "cross_origin", "")
		c.delete(me+"/sessions", append(cookie, headers...)...).wantProblem(http.StatusForbidden, "cross_origin", "")
		// Nor is he signed in as somebody else.
		w.stranger().post("/api/v1/auth/signin", object{"email": c.email, "password": c.password, "cookie": true}, headers...).wantProblem(http.StatusForbidden, "cross_origin", "")
	}
	if posted, _ := w.balanceOf(account); posted != "10.00" {
		t.Errorf("%s is left", posted)
	}
	// A form of the same origin's page can't be one either: it is no JSON.
	c.post(me+"/transfers", `{"accountId":"a"}`, append(cookie, "Sec-Fetch-Site", "same-origin", "Content-Type", "text/plain")...).wantProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "")
	c.post(me+"/transfers", pay, append(cookie, "Sec-Fetch-Site", "same-origin")...).want(http.StatusCreated)
	c.post(me+"/transfers", pay, append(cookie, "Origin", w.url)...).want(http.StatusCreated)
	// No other origin's page reads anything: CORS is off.
	for _, method := range []string{http.MethodGet, http.MethodOptions} {
		got := w.call(method, me, nil, append(cookie, "Origin", "https://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")...)
		for name := range got.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s answers %s", method, name)
			}
		}
		if method == http.MethodGet && got.header.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%v", got.header)
		}
	}
}
