package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"florin/internal/api"
	"florin/internal/audit"
	"florin/internal/identity"
	"florin/internal/platform/ratelimit"
)

// withoutRequest is an answer without what is each request's own.
func (a answer) withoutRequest() string {
	body := a.object()
	delete(body, "requestId")
	delete(body, "instance")
	text, _ := json.Marshal(body)
	return fmt.Sprintf("%d %s %s", a.status, a.header.Get("Content-Type"), text)
}

// hashBytes is the memory that one hash of a password takes, by OWASP's parameters.
const hashBytes = 19 << 20

// allocated is how much memory is asked for while something is done, at least: other
// tests ask for some, too.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// attackEnumeration asks whether somebody has an account, by answers and by the
// work that they take.
func attackEnumeration(t *testing.T, w *world) {
	known, locked, deleted := w.customer("Kay Known"), w.customer("Lou Locked"), w.customer("Del Deleted")
	unverified := w.stranger()
	unverified.email = someEmail()
	unverified.post("/api/v1/auth/signup", object{"email": unverified.email, "password": goodPassword, "name": "Una Unverified"}).want(http.StatusAccepted)
	w.staff(identity.Support).post("/api/v1/users/"+locked.userID+"/lock", nil).want(http.StatusOK)
	deleted.delete(me).want(http.StatusOK)
	withFactor := w.customer("Fac Factor").enrol()

	emails := map[string]string{
		"nobody": someEmail(), "known": known.email, "locked": locked.email, "deleted": deleted.email, "unverified": unverified.email, "with a second factor": withFactor.email,
	}
	for path, body := range map[string]func(email string) object{
		"/api/v1/auth/signin": func(email string) object { return object{"email": email, "password": "wrong " + goodPassword} },
		"/api/v1/auth/signin?": func(email string) object {
			return object{"email": email, "password": "wrong " + goodPassword, "code": "000000"}
		},
		"/api/v1/auth/signup":              func(email string) object { return object{"email": email, "password": otherPassword, "name": "Eve"} },
		"/api/v1/auth/password-reset":      func(email string) object { return object{"email": email} },
		"/api/v1/auth/verification/resend": func(email string) object { return object{"email": email} },
	} {
		answers := map[string][]string{}
		for name, email := range emails {
			if strings.HasSuffix(path, "signup") && name == "nobody" {
				email = someEmail() // it would be somebody's
			}
			var got answer
			work := allocated(func() { got = w.stranger().post(path, body(email)) })
			answers[got.withoutRequest()] = append(answers[got.withoutRequest()], name)
			if strings.Contains(path, "/sign") && work < hashBytes {
				t.Errorf("%s of %s hashed no password: it took %d bytes", path, name, work)
			}
		}
		if len(answers) != 1 {
			t.Errorf("%s tells them apart: %v", path, answers)
		}
	}
	// Who may pay nothing learns nothing of who can be paid.
	poor := w.customer("Pat Poor")
	account := poor.open("USD")
	known.open("USD")
	var first string
	for _, email := range []string{known.email, emails["nobody"], unverified.email} {
		got := poor.post(me+"/transfers", object{"accountId": account, "to": object{"email": email}, "amount": "1"}).withoutRequest()
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("it tells: %s; %s", first, got)
		}
	}
}

// Requests for mails take the same time whether a mail is sent or not.
func TestAttackEnumerationByTime(t *testing.T) {
	const long = 400 * time.Millisecond
	eachFreshWorld(t, worldOptions{answerTime: long}, func(t *testing.T, w *world) {
		known := w.customer("Kay Known")
		for _, path := range []string{"/api/v1/auth/password-reset", "/api/v1/auth/verification/resend"} {
			for name, email := range map[string]string{"known": known.email, "nobody": someEmail()} {
				began := time.Now()
				w.stranger().post(path, object{"email": email}).want(http.StatusAccepted)
				if took := time.Since(began); took < long {
					t.Errorf("%s of %s was answered after %s", path, name, took)
				}
			}
		}
	})
}

// A thousand wrong passwords for one user: few are looked at, and the owner gets in.
func TestAttackThousandWrongPasswords(t *testing.T) {
	const guesses = 1000
	eachFreshWorld(t, worldOptions{isLong: true, hashes: 8}, func(t *testing.T, w *world) {
		guess := func(from *caller, victim *caller, i int) (wasLookedAt bool) {
			status, text := from.raw(http.MethodPost, "/api/v1/auth/signin", asJSON(object{"email": victim.email, "password": fmt.Sprintf("wrong lantern %d", i)}))
			if status != http.StatusUnauthorized && status != http.StatusTooManyRequests {
				t.Fatalf("guess %d: %d %s", i, status, text)
			}
			return status == http.StatusUnauthorized
		}
		for _, attack := range []struct {
			name         string
			isEverywhere bool          // each from an address of its own
			pause        time.Duration // between two
			lookedAtMax  int
		}{
			{"from one address", false, 0, 15},
			{"from many addresses", true, 0, 20},
			// 25 hours.
			{"from many addresses, slowly", true, 90 * time.Second, 200},
		} {
			victim := w.customer("Vera Victim")
			from, lookedAt := w.stranger(), 0
			for i := range guesses {
				if attack.isEverywhere {
					from = w.stranger()
				}
				if guess(from, victim, i) {
					lookedAt++
				}
				w.time.pass(attack.pause)
			}
			t.Logf("%s: %d of %d were looked at", attack.name, lookedAt, guesses)
			if lookedAt > attack.lookedAtMax || lookedAt < 5 {
				t.Errorf("%s: %d were looked at", attack.name, lookedAt)
			}
			// The right password is not looked at either, from elsewhere; at home it is.
			victim.w = w.in(t)
			if attack.isEverywhere && attack.pause == 0 {
				w.stranger().post("/api/v1/auth/signin", object{"email": victim.email, "password": victim.password}).wantProblem(http.StatusTooManyRequests, "too_many_attempts", "")
				if got := w.stranger().post("/api/v1/auth/signin", object{"email": victim.email, "password": victim.password}); got.header.Get("Retry-After") == "" {
					t.Errorf("no Retry-After: %v", got.header)
				}
				nobody := w.stranger()
				nobody.email = someEmail()
				for i := range 12 {
					guess(w.stranger(), nobody, i)
				}
				w.stranger().post("/api/v1/auth/signin", object{"email": nobody.email, "password": victim.password}).wantProblem(http.StatusTooManyRequests, "too_many_attempts", "")
			}
			victim.signIn()
			// Nor does he wait elsewhere, once his password is reset.
			resetPassword(victim)
			w.stranger().post("/api/v1/auth/signin", object{"email": victim.email, "password": victim.password}).want(http.StatusOK)
		}
		// 64 at once are no more than may fail.
		victim := w.customer("Vera Victim")
		statuses, _ := atOnce(64, func(i int) (int, string) {
			return w.stranger().raw(http.MethodPost, "/api/v1/auth/signin", asJSON(object{"email": victim.email, "password": fmt.Sprintf("wrong lantern %d", i)}))
		})
		t.Logf("64 at once: %v", statuses)
		if statuses[http.StatusUnauthorized] > 12 || statuses[http.StatusOK] > 0 || statuses[0] > 0 {
			t.Errorf("64 at once: %v", statuses)
		}
		// Six digits are guessed no faster, by who has the password.
		guessed := w.customer("Fred Factor").enrol()
		tries := map[int]int{}
		for i := range 100 {
			body := asJSON(object{"email": guessed.email, "password": guessed.password, "code": fmt.Sprintf("%06d", i)})
			status, _ := w.stranger().raw(http.MethodPost, "/api/v1/auth/signin", body)
			tries[status]++
		}
		t.Logf("100 codes: %v", tries)
		if tries[http.StatusUnauthorized] > 12 || tries[http.StatusOK] > 0 {
			t.Errorf("100 codes: %v", tries)
		}
		// What was refused stands in the audit trail as often as it was looked at, and
		// the address typed only as a hash.
		found, err := w.audit.Search(t.Context(), audit.Filter{Action: "session.refused", From: w.time.Now().Add(-time.Hour)}, audit.Position{}, 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range found.Records {
			if strings.Contains(record.TargetID, "@") {
				t.Errorf("%+v", record)
			}
		}
	})
}

// Who asks too often is refused and told until when; a network of IPv6 is one.
func TestAttackRateLimits(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		minute := func(quota int) ratelimit.Limit { return ratelimit.Limit{Quota: quota, Window: time.Minute} }
		limited := w.another(api.RateLimits{
			"signin": minute(3), "account": minute(3), "refused": minute(5), "customer.read": minute(4), "customer.write": minute(2),
		}, nil)
		c := w.customer("Rae Rate")
		wrong := object{"email": someEmail(), "password": goodPassword}
		at := func(address string) []string { return []string{"Authorization", "", "X-Forwarded-For", address} }
		refused := func(got answer, policy string) {
			t.Helper()
			got.wantProblem(http.StatusTooManyRequests, "rate_limited", "")
			if got.header.Get("Retry-After") == "" || !strings.HasPrefix(got.header.Get("Ratelimit-Policy"), `"`+policy+`";q=`) || !strings.HasPrefix(got.header.Get("Ratelimit"), `"`+policy+`";r=0;t=`) {
				t.Errorf("%v", got.header)
			}
		}
		signIn := func(headers []string) answer {
			return limited.call(http.MethodPost, "/api/v1/auth/signin", wrong, headers...)
		}
		for i := range 3 {
			signIn(at(fmt.Sprintf("2001:db8:1:2::%d", i))).want(http.StatusUnauthorized)
		}
		refused(signIn(at("2001:db8:1:2:ffff:ffff:ffff:ffff")), "signin")
		signIn(at("2001:db8:1:3::1")).want(http.StatusUnauthorized)
		// The same address in other clothes, and with others made up before it.
		for i := range 3 {
			signIn(at([]string{"192.0.2.1", "::ffff:192.0.2.1", "1.2.3.4, 192.0.2.1"}[i])).want(http.StatusUnauthorized)
		}
		for _, spoofed := range []string{"5.6.7.8, 192.0.2.1", "5.6.7.8,::ffff:192.0.2.1", "192.0.2.1 "} {
			refused(signIn(at(spoofed)), "signin")
		}
		refused(signIn(append(at("192.0.2.1"), "X-Real-Ip", "9.9.9.9", "Forwarded", "for=9.9.9.9")), "signin")
		for range 3 {
			limited.call(http.MethodPost, "/api/v1/auth/password-reset", object{"email": someEmail()}, at("192.0.2.2")...).want(http.StatusAccepted)
		}
		refused(limited.call(http.MethodPost, "/api/v1/auth/signup", object{"email": someEmail(), "password": goodPassword, "name": "Eve"}, at("192.0.2.2")...), "account")
		// A user by his session and by his keys is one; more addresses are no more calls.
		key := w.program(identity.Customer, c.userID)
		key2 := w.program(identity.Customer, c.userID)
		for i, caller := range []*caller{c, key, key2, c} {
			caller.w = limited
			caller.get(me, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", 10+i)).want(http.StatusOK)
		}
		for _, caller := range []*caller{c, key, key2} {
			refused(caller.get(me, "X-Forwarded-For", "192.0.2.99"), "read")
		}
		// Guessed tokens.
		for i := range 5 {
			limited.call(http.MethodGet, me, nil, append(at("192.0.2.3"), "Authorization", fmt.Sprintf("Bearer guess-%d", i))...).want(http.StatusUnauthorized)
		}
		guess := limited.call(http.MethodGet, me, nil, append(at("192.0.2.3"), "Authorization", "Bearer guess")...).wantProblem(http.StatusTooManyRequests, "rate_limited", "")
		if guess.header.Get("Retry-After") == "" {
			t.Errorf("%v", guess.header)
		}
	})
}
