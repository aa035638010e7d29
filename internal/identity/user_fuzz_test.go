package identity

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
)

func FuzzTokens(f *testing.F) {
	for _, seed := range []string{"", "florin_session_", newToken(SessionPrefix), newToken(resetPrefix), SessionPrefix + strings.Repeat("é", 20), "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		hash, isToken := hashToken(SessionPrefix, token)
		if isToken != (len(hash) == 32) || isToken && (len(token) != len(SessionPrefix)+tokenLength || token != strings.ToLower(token)) {
			t.Errorf("%q: %x %v", token, hash, isToken)
		}
		if _, isReset := hashToken(resetPrefix, token); isReset && isToken {
			t.Errorf("%q is a token of two kinds", token)
		}
	})
}

func FuzzRecoveryCodes(f *testing.F) {
	for _, seed := range []string{"", "aaaaa-bbbbb-ccccc-ddddd-22222", "AAAAA BBBBB CCCCC DDDDD 22222", "aaaaabbbbbcccccddddd1111ı", "K"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, code string) {
		first, isCode := hashRecoveryCode("user_a", code)
		again, isAgain := hashRecoveryCode("user_a", strings.ToUpper(" "+code))
		if isCode && (!isAgain || string(first) != string(again)) {
			t.Errorf("%q in capitals is another code", code)
		}
	})
}

func FuzzEmails(f *testing.F) {
	for _, seed := range []string{
		"", "a@b", "a@b.c", "A@Example.COM", " a@example.com ", "a@example.com\r\nBcc: b@example.com", `"a b"@example.com`, "a@[127.0.0.1]",
		"K@example.com", "a@exämple.com", "a@b@example.com", "<a@example.com>", "Ada <a@example.com>", "a@-example.com", "a@example..com",
		strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("b.", 130) + "com", "a..b@example.com", "a\x00@example.com", "' or 1=1--@example.com",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		email, err := normalEmail(typed)
		if err != nil {
			var input *InvalidInput
			if !errors.As(err, &input) || email != "" {
				t.Errorf("%q: %q, %v", typed, email, err)
			}
			return
		}
		again, err := normalEmail(strings.ToUpper(email))
		if err != nil || again != email {
			t.Errorf("%q becomes %q and then %q, %v", typed, email, again, err)
		}
		if strings.ContainsAny(email, "\r\n\x00 <>") || strings.Count(email, "@") != 1 || !utf8.ValidString(email) {
			t.Errorf("%q was taken as %q", typed, email)
		}
	})
}

func FuzzTextFields(f *testing.F) {
	for _, seed := range []string{"", "Ada", "a\u202eb", "\x00", "\xff", "<script>alert(1)</script>", "'; DROP TABLE users; --", "+49 30 123456", "de-DE", "🦊", "a\nb", strings.Repeat("x", 1000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for field, normal := range map[string]func(string) (string, error){
			"name": normalName, "phone": normalPhone, "address": normalPostalAddress, "locale": normalLocale,
		} {
			value, err := normal(text)
			if err != nil {
				continue
			}
			if !utf8.ValidString(value) || strings.ContainsAny(value, "\x00\r\u202e") || utf8.RuneCountInString(value) > addressMax {
				t.Errorf("%s took %q as %q", field, text, value)
			}
			if again, err := normal(value); err != nil || again != value {
				t.Errorf("%s: %q becomes %q and then %q, %v", field, text, value, again, err)
			}
		}
		if agent := normalAgent(text); !utf8.ValidString(agent) || utf8.RuneCountInString(agent) > agentMax {
			t.Errorf("agent %q", agent)
		}
	})
}

func FuzzPasswords(f *testing.F) {
	for _, seed := range []string{"", "password1234", "correct horse battery staple", "ﷺﷺﷺﷺﷺﷺﷺﷺﷺﷺﷺﷺ", "\xff", strings.Repeat("a", 129), strings.Repeat("ab", 64)} {
		f.Add(seed, "ada@example.com")
	}
	f.Fuzz(func(t *testing.T, password, known string) {
		err := checkPassword("password", password, known)
		if err != nil {
			return
		}
		normal := normalPassword(password)
		if n := utf8.RuneCountInString(normal); n < passwordMin || n > passwordMax {
			t.Errorf("%q of %d characters was taken", password, n)
		}
		if isCommon(strings.ToLower(normal)) {
			t.Errorf("%q is common and was taken", password)
		}
	})
}

func FuzzCodes(f *testing.F) {
	const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	now := time.Unix(1_800_000_000, 0)
	for _, seed := range []string{"", "000000", "0000000", "１２３４５６", "-00001", "\x00\x00\x00\x00\x00\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, code string) {
		step, isRight, err := stepOf(secret, code, now)
		if err != nil {
			t.Fatal(err)
		}
		present := now.Unix() / stepSeconds
		if isRight && (step < present-1 || step > present+1) {
			t.Errorf("%q was taken for step %d, present %d", code, step, present)
		}
	})
}

// Where there is no such user the same work is done.
func TestNobodysHashCostsAsMuchAsAUsers(t *testing.T) {
	t.Parallel()
	params, _, _, err := argon2id.DecodeHash(nobodysHash)
	if err != nil || *params != hashParams {
		t.Errorf("%+v, %v", params, err)
	}
	for _, password := range []string{"", "wobbly lantern 47 orchid"} {
		if isRight, isOld, err := newHasher(1).matches(t.Context(), password, nobodysHash); isRight || isOld || err != nil {
			t.Errorf("%q: %v %v %v", password, isRight, isOld, err)
		}
	}
}

func TestTooManyHashesAtOnceAreRefused(t *testing.T) {
	t.Parallel()
	h := newHasher(1)
	h.waitMax = time.Millisecond
	leave, err := h.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.hash(t.Context(), "wobbly lantern 47 orchid"); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v; want ErrBusy", err)
	}
	leave()
	if _, err := h.hash(t.Context(), "wobbly lantern 47 orchid"); err != nil {
		t.Error(err)
	}
}

func TestTheListOfCommonPasswordsIsWhole(t *testing.T) {
	t.Parallel()
	long := 0
	for password := range common() {
		if utf8.RuneCountInString(password) >= passwordMin {
			long++
		}
		if password != strings.ToLower(password) {
			t.Fatalf("%q is not in lower case", password)
		}
	}
	if long < 10_000 || len(common()) < long+9_000 {
		t.Errorf("%d of %d have %d characters", long, len(common()), passwordMin)
	}
}

// A look into the database that began before a session was ended does not bring it back.
func TestASessionReadBeforeItEndedIsNotRemembered(t *testing.T) {
	t.Parallel()
	cache, key, now := newSessionCache(), [32]byte{1}, time.Unix(1_800_000_000, 0)
	until := now.Add(sessionCacheTime)
	_, generation, _ := cache.find(key, now)
	cache.forget("user_a")
	cache.put(generation, key, Principal{UserID: "user_a"}, until, now)
	_, generation, isFound := cache.find(key, now)
	if isFound {
		t.Error("the session that was ended is remembered")
	}
	cache.put(generation, key, Principal{UserID: "user_a"}, until, now)
	if _, _, isFound := cache.find(key, now); !isFound {
		t.Error("a session that goes on is not remembered")
	}
}
