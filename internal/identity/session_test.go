package identity_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"florin/internal/identity"
)

func TestASessionLivesWhileItIsUsedAndNoLongerThanItsEnd(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		for range 12 * 60 / 29 {
			w.time.pass(29 * time.Minute)
			w.authenticate(p.token)
		}
		sessions, err := w.Sessions(t.Context(), p.UserID)
		if err != nil || len(sessions) != 1 || !sessions[0].LastUsedAt.Equal(w.time.Now()) {
			t.Fatalf("%+v, %v", sessions, err)
		}
		w.time.pass(29 * time.Minute)
		_, err = w.Authenticate(t.Context(), p.token)
		mustBe(t, err, identity.ErrUnauthenticated)

		p.token, p.Principal = w.signIn(p, identity.SignIn{})
		w.time.pass(30 * time.Minute)
		_, err = w.Authenticate(t.Context(), p.token)
		mustBe(t, err, identity.ErrUnauthenticated)
		if sessions, err := w.Sessions(t.Context(), p.UserID); err != nil || len(sessions) != 0 {
			t.Errorf("%+v, %v", sessions, err)
		}
	})
}

func TestWhatAPageDoesByItselfIsNoUseOfASession(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		unattended := identity.Unattended(t.Context())
		look := func() error {
			_, err := w.Authenticate(unattended, p.token)
			return err
		}
		w.time.pass(20 * time.Minute)
		if err := look(); err != nil {
			t.Fatal(err)
		}
		w.authenticate(p.token) // at the same time: what the look found does not stand in for it
		w.time.pass(20 * time.Minute)
		if err := look(); err != nil {
			t.Fatal("his own use was not written: ", err)
		}
		w.time.pass(10 * time.Minute)
		mustBe(t, look(), identity.ErrUnauthenticated)
	})
}

func TestEverySignInIsANewSession(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		token, principal := w.signIn(p, identity.SignIn{Agent: "Mozilla/5.0\r\n\x00 (X11)" + strings.Repeat("x", 500)})
		if token == p.token || principal.SessionID == p.SessionID {
			t.Fatal("the session was used again")
		}
		w.authenticate(p.token)
		sessions, err := w.Sessions(t.Context(), p.UserID)
		if err != nil || len(sessions) != 2 {
			t.Fatalf("%+v, %v", sessions, err)
		}
		for _, s := range sessions {
			if s.ID == principal.SessionID && (s.Address != p.address.String() || !strings.HasPrefix(s.Agent, "Mozilla/5.0 (X11)x") || len(s.Agent) != 200) {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestASignedOutTokenIsGoodNoMore(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		_, other := w.signIn(p, identity.SignIn{})
		for range 2 {
			if err := w.SignOut(t.Context(), p.Principal); err != nil {
				t.Fatal(err)
			}
			_, err := w.Authenticate(t.Context(), p.token)
			mustBe(t, err, identity.ErrUnauthenticated)
		}
		if sessions, err := w.Sessions(t.Context(), p.UserID); err != nil || len(sessions) != 1 || sessions[0].ID != other.SessionID {
			t.Errorf("%+v, %v", sessions, err)
		}
		mustBe(t, w.SignOut(t.Context(), identity.Principal{Kind: identity.KeyPrincipal, UserID: p.UserID}), identity.ErrSessionNotFound)
		if !w.hasEvent(p.SessionID, "session.revoked") || !w.hasEvent(p.SessionID, "session.created") {
			t.Error("the session is not in the audit trail")
		}
	})
}

func TestASessionIsEndedByItsOwnUserOnly(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p, other := w.newPerson(), w.newPerson()
		mustBe(t, w.RevokeSession(t.Context(), other.UserID, p.SessionID), identity.ErrSessionNotFound)
		w.authenticate(p.token)
		if err := w.RevokeSessions(t.Context(), p.UserID); err != nil {
			t.Fatal(err)
		}
		_, err := w.Authenticate(t.Context(), p.token)
		mustBe(t, err, identity.ErrUnauthenticated)
		w.authenticate(other.token)
	})
}

func TestAnotherReplicaSeesARevocationWithinFiveSeconds(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p, replica := w.newPerson(), w.replica()
		if _, err := replica.Authenticate(t.Context(), p.token); err != nil {
			t.Fatal(err)
		}
		if err := w.RevokeSession(t.Context(), p.UserID, p.SessionID); err != nil {
			t.Fatal(err)
		}
		w.time.pass(5 * time.Second)
		_, err := replica.Authenticate(t.Context(), p.token)
		mustBe(t, err, identity.ErrUnauthenticated)
	})
}

func TestWhatIsNoTokenIsRefused(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		for _, token := range []string{
			"", "florin_session_", p.token + "a", p.token[:len(p.token)-1], strings.ToUpper(p.token), " " + p.token,
			strings.Replace(p.token, "florin_session_", "florin_reset_", 1), p.SessionID, "florin_session_" + strings.Repeat("a", 40),
			"' OR 1=1 --", strings.Repeat("x", 1<<20),
		} {
			_, err := w.Authenticate(t.Context(), token)
			mustBe(t, err, identity.ErrUnauthenticated)
		}
	})
}

// The answers differ in nothing, whatever of the credentials is wrong.
func TestWrongCredentialsAnswerTheSame(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		withFactor := w.newPerson()
		secret, _ := w.enrol(withFactor)
		w.time.pass(time.Minute)
		for name, s := range map[string]identity.SignIn{
			"wrong password":              {Email: p.email, Password: otherPassword},
			"no password":                 {Email: p.email},
			"another case":                {Email: p.email, Password: strings.ToUpper(goodPassword)},
			"cut off":                     {Email: p.email, Password: goodPassword[:20]},
			"longer":                      {Email: p.email, Password: goodPassword + "x"},
			"far too long":                {Email: p.email, Password: strings.Repeat("x", 100_000)},
			"not UTF-8":                   {Email: p.email, Password: "\xff\xfe"},
			"unknown address":             {Email: someEmail(), Password: goodPassword},
			"no address":                  {Password: goodPassword},
			"no such address":             {Email: "nobody", Password: goodPassword},
			"injection":                   {Email: "' OR '1'='1", Password: "' OR '1'='1"},
			"NUL":                         {Email: "a\x00@example.com", Password: "a\x00b"},
			"wrong code":                  {Email: withFactor.email, Password: goodPassword, Code: "000000"},
			"no code but text":            {Email: withFactor.email, Password: goodPassword, Code: "' OR 1"},
			"wrong recovery code":         {Email: withFactor.email, Password: goodPassword, RecoveryCode: "aaaaa-aaaaa-aaaaa-aaaaa-aaaaa"},
			"wrong password, right code":  {Email: withFactor.email, Password: otherPassword, Code: w.code(secret)},
			"right code of somebody else": {Email: p.email, Password: otherPassword, Code: w.code(secret)},
		} {
			s.Address = someAddress()
			session, token, err := w.SignIn(t.Context(), s)
			if err != identity.ErrInvalidCredentials || token != "" || session != (identity.Session{}) { //nolint:errorlint // the very same
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// An attacker's address waits, and he learns nothing from how.
func TestFailedSignInsWaitLongerAndLonger(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		waits := func(email string) (waits []time.Duration) {
			from := &person{email: email, address: someAddress()}
			for range 20 {
				_, err := w.trySignIn(from, identity.SignIn{Password: otherPassword})
				if err == nil {
					t.Fatal("signed in")
				}
				wait := time.Duration(0)
				if !errors.Is(err, identity.ErrInvalidCredentials) {
					wait = waitOf(t, err)
				}
				waits = append(waits, wait)
				w.time.pass(wait)
			}
			return waits
		}
		p := w.newPerson()
		// Apart from his known place: the attacker is elsewhere.
		known, unknown := waits(p.email), waits(someEmail())
		for i := range known {
			if known[i] != unknown[i] {
				t.Errorf("attempt %d: a known address waits %s, an unknown one %s", i, known[i], unknown[i])
			}
		}
		second := time.Second
		want := []time.Duration{0, 0, 0, 0, 0, second, 0, 2 * second, 0, 4 * second, 0, 8 * second}
		for i := range want {
			if known[i] != want[i] {
				t.Fatalf("waits %v; want %v", known, want)
			}
		}
	})
}

func TestWhileItWaitsNotEvenTheRightPasswordIsLookedAt(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		for range 5 {
			_, err := w.trySignIn(p, identity.SignIn{Password: otherPassword})
			mustBe(t, err, identity.ErrInvalidCredentials)
		}
		_, err := w.trySignIn(p, identity.SignIn{})
		w.time.pass(waitOf(t, err))
		w.signIn(p, identity.SignIn{})
		// Success forgets the failures.
		for range 4 {
			_, err := w.trySignIn(p, identity.SignIn{Password: otherPassword})
			mustBe(t, err, identity.ErrInvalidCredentials)
		}
		w.signIn(p, identity.SignIn{})
	})
}

func TestManyGuessesAtOnceAreNotLookedAtTogether(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		one := someAddress()
		for name, c := range map[string]struct {
			from func() *person
			most int
		}{
			"from one place":  {func() *person { return &person{address: one} }, 5},
			"from everywhere": {func() *person { return &person{address: someAddress()} }, 10},
		} {
			p := w.newPerson()
			var group sync.WaitGroup
			results := make(chan error, 64)
			for range cap(results) {
				group.Go(func() {
					_, err := w.trySignIn(c.from(), identity.SignIn{Email: p.email, Password: otherPassword})
					results <- err
				})
			}
			group.Wait()
			close(results)
			looks := 0
			for err := range results {
				if errors.Is(err, identity.ErrInvalidCredentials) {
					looks++
				} else {
					waitOf(t, err)
				}
			}
			if looks == 0 || looks > c.most {
				t.Errorf("%s: %d of %d guesses were looked at; want %d at most", name, looks, cap(results), c.most)
			}
		}
	})
}

// An attacker guesses a thousand times in a day from ever new places. The owner gets
// in from where he was before, and elsewhere by a reset.
func TestAThousandWrongPasswordsDoNotLockTheOwnerOut(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		looks := 0
		for range 1000 {
			_, err := w.trySignIn(&person{email: p.email, address: someAddress()}, identity.SignIn{Password: otherPassword})
			if errors.Is(err, identity.ErrInvalidCredentials) {
				looks++
			}
			w.time.pass(5 * time.Second)
		}
		if looks > 30 {
			t.Errorf("%d of 1000 guesses in 83 minutes were looked at", looks)
		}
		w.signIn(p, identity.SignIn{})

		elsewhere := &person{email: p.email, address: someAddress()}
		_, err := w.trySignIn(elsewhere, identity.SignIn{})
		waitOf(t, err)
		if err := w.RequestReset(t.Context(), p.email); err != nil {
			t.Fatal(err)
		}
		if err := w.ResetPassword(t.Context(), w.tokenOf(p.email), otherPassword); err != nil {
			t.Fatal(err)
		}
		w.signIn(elsewhere, identity.SignIn{Password: otherPassword})
	})
}

func TestOnePlaceThatTriesManyAddressesWaits(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		attacker := someAddress()
		network := attacker.As16()
		for i := range 51 {
			network[15] = byte(i) // another address of the same /64
			_, err := w.trySignIn(&person{email: someEmail(), address: netipFrom(network)}, identity.SignIn{Password: otherPassword})
			if i < 50 {
				mustBe(t, err, identity.ErrInvalidCredentials)
			} else {
				waitOf(t, err)
			}
		}
	})
}

// A place that many share forgets what failed there, though somebody signs in all the
// time, and who is known there is not kept waiting by the others.
func TestAPlaceForgetsItsFailuresUnderTraffic(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p, place := w.newPerson(), someAddress()
		p.address = place
		w.signIn(p, identity.SignIn{})
		fail := func() error {
			_, err := w.trySignIn(&person{email: someEmail(), address: place}, identity.SignIn{Password: otherPassword})
			return err
		}
		for range 49 {
			mustBe(t, fail(), identity.ErrInvalidCredentials)
		}
		for range 30 { // one of many succeeds each minute
			w.time.pass(time.Minute)
			other := w.newPerson()
			other.address = place
			w.signIn(other, identity.SignIn{})
		}
		for range 25 { // of 49 a quarter is left
			mustBe(t, fail(), identity.ErrInvalidCredentials)
		}
		for range 30 {
			_ = fail()
		}
		waitOf(t, fail())
		w.signIn(p, identity.SignIn{})
	})
}

func TestRefusalsThatTellOfAnAttackAreRecorded(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		recorded := func(result string, from *person) (n int) {
			err := w.db.QueryRow(t.Context(), "SELECT count(*) FROM audit_events WHERE action = 'session.refused' AND result = $1 AND address = $2",
				result, from.address.String()).Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		p := w.newPerson()
		secret, _ := w.enrol(p)
		_, err := w.trySignIn(p, identity.SignIn{})
		mustBe(t, err, identity.ErrSecondFactorRequired)
		_, err = w.trySignIn(p, identity.SignIn{Code: w.code(secret)}) // enrolling used it
		if err != identity.ErrInvalidCredentials {                     //nolint:errorlint // the very same
			t.Errorf("%v", err)
		}
		for range 20 {
			_, err = w.trySignIn(p, identity.SignIn{Password: otherPassword})
		}
		wait := waitOf(t, err)
		for result, want := range map[string]int{"second_factor_required": 1, "code_reused": 1, "too_many_attempts": 1} {
			if n := recorded(result, p); n != want {
				t.Errorf("%s is recorded %d times; want %d", result, n, want)
			}
		}
		w.time.pass(wait)
		for range 3 {
			_, _ = w.trySignIn(p, identity.SignIn{Password: otherPassword})
		}
		if n := recorded("too_many_attempts", p); n != 2 {
			t.Errorf("the second wait is recorded %d times", n-1)
		}
	})
}

func TestRefusedSignInsAreRecordedWithoutTheAddressTyped(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		_, err := w.trySignIn(p, identity.SignIn{Password: otherPassword})
		mustBe(t, err, identity.ErrInvalidCredentials)
		var n int
		err = w.db.QueryRow(t.Context(), `
			SELECT count(*) FROM audit_events
			WHERE action = 'session.refused' AND result = 'invalid_credentials' AND address = $1 AND target_id LIKE 'hmac:%'
			  AND actor_kind = 'anonymous' AND actor_id = ''`, p.address.String()).Scan(&n)
		if err != nil || n != 1 {
			t.Errorf("%d events, %v", n, err)
		}
	})
}
