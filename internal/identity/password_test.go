package identity_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"florin/internal/identity"
)

func TestWeakPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	users := identity.NewUsers(nil, identity.UsersOptions{})
	for name, password := range map[string]string{
		"empty":                     "",
		"short":                     "wobbly 4711",
		"eleven characters":         "Wöbbly→4711",
		"long":                      strings.Repeat("wobbly lantern ", 9),
		"not UTF-8":                 "wobbly lantern \xff 47",
		"common":                    "qwertyqwerty",
		"common in capitals":        "QWERTYQWERTY",
		"common, full width":        "ｑｗｅｒｔｙｑｗｅｒｔｙ",
		"a common word and a year":  "Dragon19850412",
		"a common word in leet":     "P@ssw0rd2024!",
		"signs around it":           "***password***",
		"a common word twice":       "baseballbaseball",
		"one character":             "aaaaaaaaaaaaaaaa",
		"a piece again and again":   "x9x9x9x9x9x9x9x9",
		"the alphabet":              "abcdefghijklmnop",
		"digits":                    "98765432109876",
		"his name":                  "my name is Lovelace",
		"his name in capitals":      "MY NAME IS LOVELACE",
		"his name in leet":          "my name is l0vel4ce",
		"his address's local part":  "hello countess.ada hello",
		"his address without signs": "hello countessada hello",
		"this service":              "i like florin a lot",
		"this service in leet":      "i like Fl0rin a lot",
	} {
		err := users.SignUp(t.Context(), identity.SignUp{Email: "countess.ada@example.com", Name: "Ada Lovelace", Password: password})
		if err == nil {
			t.Errorf("%s was taken", name)
			continue
		}
		mustBeInvalid(t, err, "password")
		if password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("%s: the error repeats the password", name)
		}
	}
}

func TestLongPasswordsOfAnyKindAreTaken(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct{ password, typed string }{
			"128 characters":       {strings.Repeat("wöbbly lantern 4", 8), ""},
			"words":                {"correct horse battery staple", ""},
			"emoji":                {"🦊🐢 lantern 🚲 orchid", ""},
			"another way to write": {"Wo\u0308bbly lantern ① orchid", "Wöbbly lantern 1 orchid"},
		} {
			p := &person{email: someEmail(), address: someAddress()}
			_, err := w.Create(t.Context(), identity.NewUser{Email: p.email, Name: "Ada", Password: c.password, Role: identity.Customer})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for _, typed := range []string{c.password, c.typed} {
				if typed != "" {
					w.signIn(p, identity.SignIn{Password: typed})
				}
			}
		}
	})
}

func TestAChangedPasswordEndsOtherSessions(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		other, _ := w.signIn(p, identity.SignIn{})
		mustBe(t, w.ChangePassword(t.Context(), p.Principal, otherPassword, "another lantern 48 orchid"), identity.ErrInvalidCredentials)
		mustBeInvalid(t, w.ChangePassword(t.Context(), p.Principal, goodPassword, "short"), "newPassword")
		mustBeInvalid(t, w.ChangePassword(t.Context(), p.Principal, goodPassword, goodPassword), "newPassword")
		if err := w.ChangePassword(t.Context(), p.Principal, goodPassword, otherPassword); err != nil {
			t.Fatal(err)
		}
		w.authenticate(p.token)
		_, err := w.Authenticate(t.Context(), other)
		mustBe(t, err, identity.ErrUnauthenticated)
		_, err = w.trySignIn(p, identity.SignIn{})
		mustBe(t, err, identity.ErrInvalidCredentials)
		w.signIn(p, identity.SignIn{Password: otherPassword})
		messages := w.mails.to(p.email)
		if last := messages[len(messages)-1]; last.Subject != "Your password was changed" {
			t.Errorf("the user was told %q", last.Subject)
		}
		// A key of his is no session, and a session that is over is none either.
		key := identity.Principal{Kind: identity.KeyPrincipal, UserID: p.UserID}
		mustBe(t, w.ChangePassword(t.Context(), key, otherPassword, goodPassword), identity.ErrUnauthenticated)
		if err := w.SignOut(t.Context(), p.Principal); err != nil {
			t.Fatal(err)
		}
		mustBe(t, w.ChangePassword(t.Context(), p.Principal, otherPassword, goodPassword), identity.ErrUnauthenticated)
	})
}

func TestGuessingTheOldPasswordWaits(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		for range 5 {
			mustBe(t, w.ChangePassword(t.Context(), p.Principal, "wrong lantern 48 orchid", otherPassword), identity.ErrInvalidCredentials)
		}
		waitOf(t, w.ChangePassword(t.Context(), p.Principal, goodPassword, otherPassword))
		waitOf(t, w.Prove(t.Context(), p.Principal, identity.Proof{Password: goodPassword}))
	})
}

func TestAResetTokenWorksOnceAndSoon(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		request := func() string {
			t.Helper()
			if err := w.RequestReset(t.Context(), p.email); err != nil {
				t.Fatal(err)
			}
			return w.tokenOf(p.email)
		}
		first, second := request(), request()
		mustBe(t, w.ResetPassword(t.Context(), first, otherPassword), identity.ErrInvalidToken)
		w.time.pass(30 * time.Minute)
		mustBe(t, w.ResetPassword(t.Context(), second, otherPassword), identity.ErrInvalidToken)
		token := request()
		mustBe(t, w.VerifyEmail(t.Context(), token), identity.ErrInvalidToken)
		mustBe(t, w.VerifyEmail(t.Context(), strings.Replace(token, "_reset_", "_verify_", 1)), identity.ErrInvalidToken)
		mustBeInvalid(t, w.ResetPassword(t.Context(), token, "short"), "newPassword")

		p.token, _ = w.signIn(p, identity.SignIn{})
		var group sync.WaitGroup
		results := make(chan error, 8)
		for range cap(results) {
			group.Go(func() { results <- w.ResetPassword(t.Context(), token, otherPassword) })
		}
		group.Wait()
		close(results)
		done := 0
		for err := range results {
			if err == nil {
				done++
			} else {
				mustBe(t, err, identity.ErrInvalidToken)
			}
		}
		if done != 1 {
			t.Errorf("the token worked %d times", done)
		}
		_, err := w.Authenticate(t.Context(), p.token)
		mustBe(t, err, identity.ErrUnauthenticated)
		w.signIn(p, identity.SignIn{Password: otherPassword})
	})
}

func TestAResetOfAnUnverifiedAddressVerifiesIt(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := &person{email: someEmail(), address: someAddress()}
		if err := w.SignUp(t.Context(), identity.SignUp{Email: p.email, Password: goodPassword, Name: "Mallory"}); err != nil {
			t.Fatal(err)
		}
		verify := w.tokenOf(p.email)
		if err := w.RequestReset(t.Context(), p.email); err != nil {
			t.Fatal(err)
		}
		if err := w.ResetPassword(t.Context(), w.tokenOf(p.email), otherPassword); err != nil {
			t.Fatal(err)
		}
		mustBe(t, w.VerifyEmail(t.Context(), verify), identity.ErrInvalidToken)
		_, err := w.trySignIn(p, identity.SignIn{})
		mustBe(t, err, identity.ErrInvalidCredentials)
		w.signIn(p, identity.SignIn{Password: otherPassword})
	})
}

func TestRequestsAboutUnknownAddressesAnswerAsAboutKnownOnes(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		email := someEmail()
		if err := w.RequestReset(t.Context(), email); err != nil || len(w.mails.to(email)) != 0 {
			t.Errorf("%v, %d mails", err, len(w.mails.to(email)))
		}
		mustBeInvalid(t, w.RequestReset(t.Context(), "nobody"), "email")
		mustBe(t, w.ResetPassword(t.Context(), "florin_reset_"+strings.Repeat("a", 40), goodPassword), identity.ErrInvalidToken)
		mustBe(t, w.ResetPassword(t.Context(), "", goodPassword), identity.ErrInvalidToken)
	})
}

func TestAHashOfOldParametersIsMadeAgain(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		p := w.newPerson()
		old, err := argon2id.CreateHash(goodPassword, &argon2id.Params{Memory: 8 * 1024, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.Exec(t.Context(), "UPDATE users SET password_hash = $1 WHERE user_id = $2", old, p.UserID); err != nil {
			t.Fatal(err)
		}
		w.signIn(p, identity.SignIn{})
		var hash string
		if err := w.db.QueryRow(t.Context(), "SELECT password_hash FROM users WHERE user_id = $1", p.UserID).Scan(&hash); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("the hash is %s", hash)
		}
		w.signIn(p, identity.SignIn{})
	})
}
