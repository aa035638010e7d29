package identity_test

import (
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/seal"
)

func TestASecondFactorIsAskedForAtSignIn(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		_, err := w.ConfirmTOTP(t.Context(), p.Principal, "123456")
		mustBe(t, err, identity.ErrSecondFactorOff)
		_, err = w.NewRecoveryCodes(t.Context(), p.Principal)
		mustBe(t, err, identity.ErrSecondFactorOff)
		mustBe(t, w.DisableTOTP(t.Context(), p.Principal), identity.ErrSecondFactorOff)

		replaced, _, err := w.EnrolTOTP(t.Context(), p.Principal)
		if err != nil {
			t.Fatal(err)
		}
		secret, link, err := w.EnrolTOTP(t.Context(), p.Principal)
		if err != nil {
			t.Fatal(err)
		}
		if u, err := url.Parse(link); err != nil || u.Scheme != "otpauth" || u.Query().Get("secret") != secret || u.Query().Get("issuer") != "Florin" {
			t.Errorf("%s, %v", link, err)
		}
		_, err = w.ConfirmTOTP(t.Context(), p.Principal, w.code(replaced))
		mustBe(t, err, identity.ErrInvalidCredentials)
		w.signIn(p, identity.SignIn{}) // not on yet
		other, _ := w.signIn(p, identity.SignIn{})
		codes, err := w.ConfirmTOTP(t.Context(), p.Principal, w.code(secret))
		if err != nil || len(codes) != identity.RecoveryCodes {
			t.Fatal(codes, err)
		}
		_, err = w.Authenticate(t.Context(), other)
		mustBe(t, err, identity.ErrUnauthenticated)
		_, _, err = w.EnrolTOTP(t.Context(), p.Principal)
		mustBe(t, err, identity.ErrSecondFactorOn)

		w.time.pass(30 * time.Second)
		_, err = w.trySignIn(p, identity.SignIn{})
		mustBe(t, err, identity.ErrSecondFactorRequired)
		_, err = w.trySignIn(p, identity.SignIn{Password: otherPassword})
		mustBe(t, err, identity.ErrInvalidCredentials)
		w.signIn(p, identity.SignIn{Code: w.code(secret)})
		if user, err := w.Profile(t.Context(), p.UserID); err != nil || !user.HasSecondFactor {
			t.Errorf("%+v, %v", user, err)
		}
		if err := w.DisableTOTP(t.Context(), p.Principal); err != nil {
			t.Fatal(err)
		}
		w.signIn(p, identity.SignIn{})
	})
}

func TestACodeWorksOnceAndCloseToItsTime(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		secret, _ := w.enrol(p)
		_, err := w.trySignIn(p, identity.SignIn{Code: w.code(secret)})
		mustBe(t, err, identity.ErrInvalidCredentials) // the one that confirmed
		w.time.pass(10 * time.Minute)
		for _, steps := range []time.Duration{-2, 2} {
			_, err := w.trySignIn(p, identity.SignIn{Code: w.codeAt(secret, w.time.Now().Add(steps*30*time.Second))})
			mustBe(t, err, identity.ErrInvalidCredentials)
		}
		w.signIn(p, identity.SignIn{Code: w.codeAt(secret, w.time.Now().Add(-30*time.Second))})
		w.signIn(p, identity.SignIn{Code: w.codeAt(secret, w.time.Now().Add(30*time.Second))})
		// The present one is older than the last that was taken.
		_, err = w.trySignIn(p, identity.SignIn{Code: w.code(secret)})
		mustBe(t, err, identity.ErrInvalidCredentials)
		w.time.pass(2 * time.Minute)
		code := w.code(secret)
		w.signIn(p, identity.SignIn{Code: " " + code[:3] + " " + code[3:] + " "})
	})
}

func TestACodeAtOnceManyTimesOpensOneSession(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		secret, recoveryCodes := w.enrol(p)
		w.time.pass(10 * time.Minute)
		for name, s := range map[string]identity.SignIn{
			"code": {Code: w.code(secret)}, "recovery code": {RecoveryCode: recoveryCodes[0]},
		} {
			var group sync.WaitGroup
			results := make(chan error, 4)
			for range cap(results) {
				group.Go(func() {
					_, err := w.trySignIn(p, s)
					results <- err
				})
			}
			group.Wait()
			close(results)
			opened := 0
			for err := range results {
				if err == nil {
					opened++
				} else if !errors.Is(err, identity.ErrTooManyAttempts) {
					mustBe(t, err, identity.ErrInvalidCredentials)
				}
			}
			if opened != 1 {
				t.Errorf("the %s opened %d sessions", name, opened)
			}
		}
	})
}

func TestARecoveryCodeWorksOnce(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		_, codes := w.enrol(p)
		w.signIn(p, identity.SignIn{RecoveryCode: strings.ToUpper(strings.ReplaceAll(codes[0], "-", " "))})
		if messages := w.mails.to(p.email); !strings.Contains(messages[len(messages)-1].Subject, "recovery code was used") {
			t.Error("the user is not told that a recovery code was used")
		}
		_, err := w.trySignIn(p, identity.SignIn{RecoveryCode: codes[0]})
		mustBe(t, err, identity.ErrInvalidCredentials)
		if n, err := w.RecoveryCodesLeft(t.Context(), p.UserID); err != nil || n != identity.RecoveryCodes-1 {
			t.Errorf("%d left, %v", n, err)
		}
		other := w.newPerson()
		w.enrol(other)
		_, err = w.trySignIn(other, identity.SignIn{RecoveryCode: codes[1]})
		mustBe(t, err, identity.ErrInvalidCredentials)

		renewed, err := w.NewRecoveryCodes(t.Context(), p.Principal)
		if err != nil || len(renewed) != identity.RecoveryCodes {
			t.Fatal(renewed, err)
		}
		_, err = w.trySignIn(p, identity.SignIn{RecoveryCode: codes[1]})
		mustBe(t, err, identity.ErrInvalidCredentials)
		w.signIn(p, identity.SignIn{RecoveryCode: renewed[9]})
		if !w.hasEvent(p.UserID, "recovery_code.used") || !w.hasEvent(p.UserID, "second_factor.enabled") {
			t.Error("it is not in the audit trail")
		}
	})
}

// Who has the password can't try all codes: neither from many places nor at the
// owner's own.
func TestGuessingCodesWaits(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		secret, _ := w.enrol(p)
		w.time.pass(time.Hour)
		for range 5 {
			_, err := w.trySignIn(&person{email: p.email, address: someAddress()}, identity.SignIn{Code: "000000"})
			mustBe(t, err, identity.ErrInvalidCredentials)
		}
		_, err := w.trySignIn(p, identity.SignIn{Code: w.code(secret)})
		wait := waitOf(t, err)
		// Nor does a reset of the password help who reads the mails.
		if err := w.RequestReset(t.Context(), p.email); err != nil {
			t.Fatal(err)
		}
		if err := w.ResetPassword(t.Context(), w.tokenOf(p.email), otherPassword); err != nil {
			t.Fatal(err)
		}
		_, err = w.trySignIn(p, identity.SignIn{Password: otherPassword, Code: w.code(secret)})
		waitOf(t, err)
		w.time.pass(wait)
		w.signIn(p, identity.SignIn{Password: otherPassword, Code: w.code(secret)})
	})
}

func TestSensitiveStepsNeedAProof(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		if err := w.RequireProof(t.Context(), p.Principal); err != nil {
			t.Fatal(err) // at sign-in
		}
		w.time.pass(10*time.Minute + time.Second)
		w.authenticate(p.token)
		mustBe(t, w.RequireProof(t.Context(), p.Principal), identity.ErrProofRequired)
		_, _, err := w.EnrolTOTP(t.Context(), p.Principal)
		mustBe(t, err, identity.ErrProofRequired)
		mustBe(t, w.Prove(t.Context(), p.Principal, identity.Proof{Password: otherPassword}), identity.ErrInvalidCredentials)
		mustBe(t, w.Prove(t.Context(), p.Principal, identity.Proof{}), identity.ErrInvalidCredentials)
		mustBe(t, w.RequireProof(t.Context(), p.Principal), identity.ErrProofRequired)
		if err := w.Prove(t.Context(), p.Principal, identity.Proof{Password: goodPassword}); err != nil {
			t.Fatal(err)
		}
		if principal := w.authenticate(p.token); !principal.ProvenAt.Equal(w.time.Now()) {
			t.Errorf("proven at %s", principal.ProvenAt)
		}
		secret, codes := w.enrol(p)

		// With a second factor the password is not enough.
		w.time.pass(11 * time.Minute)
		w.authenticate(p.token)
		mustBe(t, w.Prove(t.Context(), p.Principal, identity.Proof{Password: goodPassword}), identity.ErrSecondFactorRequired)
		mustBe(t, w.DisableTOTP(t.Context(), p.Principal), identity.ErrProofRequired)
		_, err = w.NewRecoveryCodes(t.Context(), p.Principal)
		mustBe(t, err, identity.ErrProofRequired)
		mustBe(t, w.ChangePassword(t.Context(), p.Principal, goodPassword, otherPassword), identity.ErrProofRequired)
		code := w.code(secret)
		if err := w.Prove(t.Context(), p.Principal, identity.Proof{Code: code}); err != nil {
			t.Fatal(err)
		}
		mustBe(t, w.Prove(t.Context(), p.Principal, identity.Proof{Code: code}), identity.ErrInvalidCredentials)
		if err := w.Prove(t.Context(), p.Principal, identity.Proof{RecoveryCode: codes[0]}); err != nil {
			t.Fatal(err)
		}
		if err := w.ChangePassword(t.Context(), p.Principal, goodPassword, otherPassword); err != nil {
			t.Fatal(err)
		}

		// Keys have nothing to prove by, and one's proof is not another's.
		key := identity.Principal{Kind: identity.KeyPrincipal, UserID: p.UserID}
		mustBe(t, w.RequireProof(t.Context(), key), identity.ErrProofRequired)
		mustBe(t, w.Prove(t.Context(), key, identity.Proof{Password: goodPassword}), identity.ErrUnauthenticated)
		forged := identity.Principal{Kind: identity.UserPrincipal, UserID: w.newPerson().UserID, SessionID: p.SessionID}
		mustBe(t, w.RequireProof(t.Context(), forged), identity.ErrUnauthenticated)
		if !w.hasEvent(p.SessionID, "session.proven") || !w.hasEvent(p.SessionID, "session.proof_refused") {
			t.Error("proofs are not in the audit trail")
		}
	})
}

func TestStaffResetsALostSecondFactor(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		mustBe(t, w.ResetSecondFactor(t.Context(), p.UserID), identity.ErrSecondFactorOff)
		w.enrol(p)
		if err := w.ResetSecondFactor(t.Context(), p.UserID); err != nil {
			t.Fatal(err)
		}
		_, err := w.Authenticate(t.Context(), p.token)
		mustBe(t, err, identity.ErrUnauthenticated)
		w.signIn(p, identity.SignIn{})
		messages := w.mails.to(p.email)
		if last := messages[len(messages)-1]; !strings.Contains(last.Subject, "second factor was switched off") {
			t.Errorf("the user was told %q", last.Subject)
		}
	})
}

func TestSecretsAreSealedAgainWithTheFirstKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		fresh := dbtest.Fresh(t, url)
		dbtest.Migrate(t, fresh)
		w := newWorld(t, fresh)
		withKeys := func(keys ...string) {
			t.Helper()
			var err error
			if w.keys, err = seal.Parse(strings.Join(keys, ",")); err != nil {
				t.Fatal(err)
			}
			w.Users = w.replica()
		}
		oldKey, newKey := seal.NewKey("old"), seal.NewKey("new")
		withKeys(oldKey)
		p := w.newPerson()
		secret, _ := w.enrol(p)

		withKeys(newKey)
		if _, err := w.ResealSecondFactors(t.Context()); !errors.Is(err, seal.ErrUnknownKey) {
			t.Errorf("without the old key: %v", err)
		}
		withKeys(newKey, oldKey)
		for _, want := range []int{1, 0} {
			if n, err := w.ResealSecondFactors(t.Context()); err != nil || n != want {
				t.Errorf("sealed %d again, %v; want %d", n, err, want)
			}
		}
		withKeys(newKey)
		w.time.pass(time.Minute)
		w.signIn(p, identity.SignIn{Code: w.code(secret)})
	})
}
