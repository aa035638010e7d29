package api_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
)

func TestSignUpToSignOut(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		c := w.stranger()
		c.email, c.password = someEmail(), goodPassword
		signUp := object{"email": strings.ToUpper(c.email), "password": goodPassword, "name": "Ada Lovelace"}
		for field, value := range map[string]any{"email": "ada", "password": "short", "name": ""} {
			wrong := object{field: value}
			for name, right := range signUp {
				if name != field {
					wrong[name] = right
				}
			}
			c.post("/api/v1/auth/signup", wrong).wantProblem(http.StatusBadRequest, "invalid_request", field)
		}
		first := c.post("/api/v1/auth/signup", signUp).want(http.StatusAccepted)
		token := w.tokenTo(c.email, 1)
		signIn := object{"email": c.email, "password": c.password}
		c.post("/api/v1/auth/signin", signIn).wantProblem(http.StatusForbidden, "email_not_verified", "")
		c.post("/api/v1/auth/signin", object{"email": c.email, "password": "not " + c.password}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		// Somebody else tries to have the address: whose link is followed first has it.
		signUp["password"] = "marble engine sings at dusk"
		if again := c.post("/api/v1/auth/signup", signUp).want(http.StatusAccepted); again.text != first.text {
			t.Errorf("a known address is answered %s; an unknown one %s", again.text, first.text)
		}
		others := w.tokenTo(c.email, 2)
		for _, wrong := range []string{"", "florin_verify_none", strings.Repeat("x", 5000), token[:len(token)-1]} {
			if got := c.post("/api/v1/auth/verification", object{"token": wrong}); got.status != http.StatusBadRequest {
				t.Errorf("token %.50q is answered %d", wrong, got.status)
			}
		}
		c.post("/api/v1/auth/verification", object{"token": token}).want(http.StatusOK)
		for _, over := range []string{token, others} {
			c.post("/api/v1/auth/verification", object{"token": over}).wantProblem(http.StatusBadRequest, "invalid_token", "")
		}
		c.post("/api/v1/auth/signin", object{"email": c.email, "password": "marble engine sings at dusk"}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		for _, address := range []string{c.email, someEmail()} {
			if got := c.post("/api/v1/auth/verification/resend", object{"email": address}).want(http.StatusAccepted); got.text != first.text {
				t.Errorf("resending answers %s", got.text)
			}
		}

		wrong := c.post("/api/v1/auth/signin", object{"email": c.email, "password": "not " + c.password}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		unknown := c.post("/api/v1/auth/signin", object{"email": someEmail(), "password": c.password}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		if wrong.object()["detail"] != unknown.object()["detail"] {
			t.Errorf("a wrong password is answered %s; an unknown address %s", wrong.text, unknown.text)
		}
		late := someEmail()
		c.post("/api/v1/auth/signup", object{"email": late, "password": goodPassword, "name": "Late Reader"}).want(http.StatusAccepted)
		c.post("/api/v1/auth/verification/resend", object{"email": late}).want(http.StatusAccepted)
		c.post("/api/v1/auth/verification", object{"token": w.tokenTo(late, 2)}).want(http.StatusOK)

		c.signIn()
		if !strings.HasPrefix(c.token, identity.SessionPrefix) {
			t.Errorf("token %.20s", c.token)
		}
		c.get("/api/v1/users/me").want(http.StatusOK).wantFields(object{
			"userId": c.userID, "email": c.email, "emailVerified": true, "name": "Ada Lovelace", "role": "customer", "status": "ACTIVE", "hasSecondFactor": false,
		})
		c.post("/api/v1/auth/signout", nil).want(http.StatusOK)
		c.get("/api/v1/users/me").wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		c.post("/api/v1/auth/signout", nil).wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		for _, action := range []string{"user.signed_up", "user.email_verified"} {
			if event := w.wantEvent(c.userID, action); event.Origin.Address != c.address || event.Origin.RequestID == "" {
				t.Errorf("%s comes from %+v", action, event.Origin)
			}
		}
	})
}

func TestSessionsOfBrowsersAndTheirEnds(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		c := w.customer("Ada Lovelace")
		signedIn := (&caller{w: w, address: someAddress()}).post("/api/v1/auth/signin", object{"email": c.email, "password": c.password, "cookie": true}, "User-Agent", "Browser/1")
		signedIn.want(http.StatusOK).wantFields(object{"token": nil})
		set := signedIn.header.Get("Set-Cookie")
		cookie, attributes, _ := strings.Cut(set, ";")
		for _, attribute := range []string{"Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=43200"} {
			if !strings.Contains(attributes, attribute) {
				t.Errorf("no %s in %s", attribute, attributes)
			}
		}
		browser := w.stranger()
		browser.get("/api/v1/users/me", "Cookie", cookie).want(http.StatusOK).wantFields(object{"userId": c.userID})
		browser.patch("/api/v1/users/me", object{"locale": "de-DE"}, "Cookie", cookie, "Sec-Fetch-Site", "same-origin").want(http.StatusOK)
		browser.patch("/api/v1/users/me", object{"locale": "fr-FR"}, "Cookie", cookie, "Sec-Fetch-Site", "cross-site").wantProblem(http.StatusForbidden, "cross_origin", "")

		sessions := c.get("/api/v1/users/me/sessions").want(http.StatusOK).object().list("data")
		if len(sessions) != 2 || sessions[0]["isCurrent"] != false || sessions[1]["isCurrent"] != true || sessions[0]["agent"] != "Browser/1" || sessions[1]["address"] != c.address {
			t.Fatalf("sessions %v", sessions)
		}
		other := text(sessions[0], "sessionId")
		stranger := w.customer("Mallory Mole")
		stranger.delete("/api/v1/users/me/sessions/"+other).wantProblem(http.StatusNotFound, "session_not_found", "")
		browser.get("/api/v1/users/me", "Cookie", cookie).want(http.StatusOK)
		c.delete("/api/v1/users/me/sessions/" + other).want(http.StatusOK)
		c.delete("/api/v1/users/me/sessions/"+other).wantProblem(http.StatusNotFound, "session_not_found", "")
		browser.get("/api/v1/users/me", "Cookie", cookie).wantProblem(http.StatusUnauthorized, "unauthenticated", "")

		second, third := c.again(), c.again()
		third.delete("/api/v1/users/me/sessions").want(http.StatusOK)
		for _, ended := range []*caller{c, second} {
			ended.get("/api/v1/users/me").wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		}
		out := third.post("/api/v1/auth/signout", nil).want(http.StatusOK)
		if taken := out.header.Get("Set-Cookie"); !strings.Contains(taken, "florin_session=;") || !strings.Contains(taken, "Max-Age=0") {
			t.Errorf("signing out sets %q", taken)
		}

		idle := c.again()
		w.time.pass(29 * time.Minute)
		idle.get("/api/v1/users/me").want(http.StatusOK)
		w.time.pass(29 * time.Minute)
		idle.get("/api/v1/users/me").want(http.StatusOK)
		w.time.pass(31 * time.Minute)
		idle.get("/api/v1/users/me").wantProblem(http.StatusUnauthorized, "unauthenticated", "")
	})
}

func TestSecondFactorAndProofs(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const factor = "/api/v1/users/me/second-factor"
		c := w.customer("Ada Lovelace")
		w.time.pass(11 * time.Minute)
		c.post(factor, nil).wantProblem(http.StatusForbidden, "proof_required", "")
		c.post("/api/v1/auth/prove", object{"password": "not " + c.password}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		c.post(factor, nil).wantProblem(http.StatusForbidden, "proof_required", "")
		c.prove()
		c.post(factor+"/confirm", object{"code": "123456"}).wantProblem(http.StatusConflict, "second_factor_off", "")
		other := c.again()
		enrolled := c.post(factor, nil).want(http.StatusOK).object()
		if !strings.Contains(text(enrolled, "otpauthUrl"), text(enrolled, "secret")) {
			t.Errorf("enrolment %v", enrolled)
		}
		c.totpSecret = text(enrolled, "secret")
		right := c.code()
		c.post(factor+"/confirm", object{"code": otherCode(right)}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		c.get("/api/v1/users/me").wantFields(object{"hasSecondFactor": false})
		codes := c.post(factor+"/confirm", object{"code": right}).want(http.StatusOK).object()["recoveryCodes"].([]any)
		if len(codes) != 10 {
			t.Errorf("%d recovery codes", len(codes))
		}
		c.get("/api/v1/users/me").wantFields(object{"hasSecondFactor": true})
		c.post(factor, nil).wantProblem(http.StatusConflict, "second_factor_on", "")
		other.get("/api/v1/users/me").wantProblem(http.StatusUnauthorized, "unauthenticated", "")

		stranger, signIn := w.stranger(), object{"email": c.email, "password": c.password}
		with := func(name, value string) object {
			return object{"email": c.email, "password": c.password, name: value}
		}
		stranger.post("/api/v1/auth/signin", signIn).wantProblem(http.StatusUnauthorized, "second_factor_required", "")
		stranger.post("/api/v1/auth/signin", with("code", right)).wantProblem(http.StatusUnauthorized, "invalid_credentials", "") // used
		next := c.code()
		stranger.post("/api/v1/auth/signin", with("code", otherCode(next))).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		stranger.post("/api/v1/auth/signin", with("code", next)).want(http.StatusOK)
		stranger.post("/api/v1/auth/signin", with("code", next)).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		recovery := codes[3].(string)
		stranger.post("/api/v1/auth/signin", with("recoveryCode", recovery)).want(http.StatusOK)
		stranger.post("/api/v1/auth/signin", with("recoveryCode", recovery)).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")

		w.time.pass(11 * time.Minute)
		c.post(factor+"/recovery-codes", nil).wantProblem(http.StatusForbidden, "proof_required", "")
		c.post("/api/v1/auth/prove", object{"password": c.password}).wantProblem(http.StatusUnauthorized, "second_factor_required", "")
		c.prove()
		renewed := c.post(factor+"/recovery-codes", nil).want(http.StatusOK).object()["recoveryCodes"].([]any)
		w.time.pass(16 * time.Minute) // so many wrong ones have to wait
		stranger.post("/api/v1/auth/signin", with("recoveryCode", renewed[0].(string))).want(http.StatusOK)
		stranger.post("/api/v1/auth/signin", with("recoveryCode", codes[4].(string))).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		c.prove().delete(factor).want(http.StatusOK)
		c.delete(factor).wantProblem(http.StatusConflict, "second_factor_off", "")
		c.post(factor+"/recovery-codes", nil).wantProblem(http.StatusConflict, "second_factor_off", "")
		c.totpSecret = ""
		c.again()
	})
}

// otherCode is a wrong code.
func otherCode(right string) string {
	return string('0'+(right[0]-'0'+1)%10) + right[1:]
}

func TestPasswordsAreChangedAndReset(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const path, newer, newest = "/api/v1/users/me/password", "marble engine sings at dusk", "seven pale kites over water"
		c := w.customer("Ada Lovelace")
		other := c.again()
		change := func(from, to string) answer {
			return c.post(path, object{"oldPassword": from, "newPassword": to})
		}
		change("not "+c.password, newer).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		for _, bad := range []string{"short", "password1234", "password12345678", goodPassword, "ada lovelace 1815", strings.Repeat("long ", 30)} {
			change(c.password, bad).wantProblem(http.StatusBadRequest, "invalid_request", "newPassword")
		}
		c.post(path, object{"oldPassword": c.password}).wantProblem(http.StatusBadRequest, "invalid_request", "newPassword")
		change(c.password, newer).want(http.StatusOK)
		w.mailTo(c.email, 1, regexp.MustCompile("password was changed"))
		other.get("/api/v1/users/me").wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		c.get("/api/v1/users/me").want(http.StatusOK)
		stranger := w.stranger()
		stranger.post("/api/v1/auth/signin", object{"email": c.email, "password": c.password}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		c.password = newer
		other = c.again()

		known := stranger.post("/api/v1/auth/password-reset", object{"email": c.email}).want(http.StatusAccepted)
		unknown := stranger.post("/api/v1/auth/password-reset", object{"email": someEmail()}).want(http.StatusAccepted)
		if known.text != unknown.text {
			t.Errorf("known: %s; unknown: %s", known.text, unknown.text)
		}
		token := w.tokenTo(c.email, 2)
		confirm := func(token, password string) answer {
			return stranger.post("/api/v1/auth/password-reset/confirm", object{"token": token, "newPassword": password})
		}
		confirm("florin_reset_none", newest).wantProblem(http.StatusBadRequest, "invalid_token", "")
		confirm(token, "short").wantProblem(http.StatusBadRequest, "invalid_request", "newPassword")
		confirm(token, newest).want(http.StatusOK)
		confirm(token, "another good password").wantProblem(http.StatusBadRequest, "invalid_token", "")
		for _, ended := range []*caller{c, other} {
			ended.get("/api/v1/users/me").wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		}
		c.password = newest
		c.signIn()

		stranger.post("/api/v1/auth/password-reset", object{"email": c.email}).want(http.StatusAccepted)
		late := w.tokenTo(c.email, 3)
		w.time.pass(31 * time.Minute)
		confirm(late, newer).wantProblem(http.StatusBadRequest, "invalid_token", "")
	})
}

func TestFailedSignInsHaveToWaitUntilAReset(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		c, stranger := w.customer("Ada Lovelace"), w.stranger()
		for range 5 {
			stranger.post("/api/v1/auth/signin", object{"email": c.email, "password": "not " + c.password}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		}
		waits := stranger.post("/api/v1/auth/signin", object{"email": c.email, "password": c.password}).wantProblem(http.StatusTooManyRequests, "too_many_attempts", "")
		if waits.header.Get("Retry-After") == "" {
			t.Error("it does not say how long")
		}
		stranger.post("/api/v1/auth/password-reset", object{"email": c.email}).want(http.StatusAccepted)
		stranger.post("/api/v1/auth/password-reset/confirm", object{"token": w.tokenTo(c.email, 2), "newPassword": "marble engine sings at dusk"}).want(http.StatusOK)
		stranger.post("/api/v1/auth/signin", object{"email": c.email, "password": "marble engine sings at dusk"}).want(http.StatusOK)
	})
}

func TestCallersAreToldWhoTheyAre(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const path = "/api/v1/auth/caller"
		w.stranger().get(path).wantProblem(http.StatusUnauthorized, "unauthenticated", "")

		staff := w.staff(identity.Support)
		got := staff.get(path).want(http.StatusOK).object()
		if text(got, "kind") != "user" || text(got, "id") != staff.userID || text(got, "name") != "Some support" || text(got, "role") != "support" ||
			got["hasSecondFactor"] != true || got["isProven"] != true || got["ownerId"] != nil {
			t.Errorf("staff: %v", got)
		}
		wantPermissions(t, got, identity.Support.Permissions()...)
		w.time.pass(11 * time.Minute)
		if got := staff.get(path).want(http.StatusOK).object(); got["isProven"] != false {
			t.Errorf("his proof is old: %v", got)
		}

		// Without a second factor he is told too: by this he learns what is missing.
		bare := w.stranger()
		bare.email, bare.password = someEmail(), goodPassword
		if _, err := w.users.Create(t.Context(), identity.NewUser{Email: bare.email, Name: "Some finance", Password: goodPassword, Role: identity.Finance}); err != nil {
			t.Fatal(err)
		}
		if got := bare.signIn().get(path).want(http.StatusOK).object(); got["hasSecondFactor"] != false || text(got, "role") != "finance" {
			t.Errorf("without a second factor: %v", got)
		}
		customer := w.customer("Carl")
		if got := customer.get(path).want(http.StatusOK).object(); text(got, "ownerId") != customer.userID {
			t.Errorf("a customer: %v", got)
		}

		scoped := w.program(identity.Operator, "", identity.AccountsRead, identity.HoldsRead)
		got = scoped.get(path).want(http.StatusOK).object()
		if text(got, "kind") != "key" || text(got, "id") != scoped.keyID || got["isProven"] != true || got["hasSecondFactor"] != false {
			t.Errorf("a key: %v", got)
		}
		wantPermissions(t, got, identity.AccountsRead, identity.HoldsRead)
		// What is about "me" is nobody's without an owner.
		all := w.program(identity.Support, "").get(path).want(http.StatusOK).object()
		wantPermissions(t, all, slices.DeleteFunc(identity.Support.Permissions(), identity.Permission.IsOwn)...)
	})
}

func wantPermissions(t *testing.T, caller object, want ...identity.Permission) {
	t.Helper()
	var got []identity.Permission
	for _, permission := range caller["permissions"].([]any) {
		got = append(got, identity.Permission(permission.(string)))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the permissions are %v; want %v", got, want)
	}
}
