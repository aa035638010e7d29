package identity

import (
	"strings"
	"testing"
)

func TestKeysHaveTheirForm(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range []Environment{Live, Test, Dev} {
		for range 200 {
			text := RandomKey(e)
			form, isWellFormed := parseKeyText(text)
			if !isWellFormed || form.environment != string(e) || !strings.HasPrefix(text, form.prefix()+"_") || seen[form.id] {
				t.Fatalf("%q: %+v", text, form)
			}
			seen[form.id] = true
			if secret := strings.TrimPrefix(text, form.prefix()+"_"); len(form.id) < 16 || len(secret) < 38 || strings.Trim(form.id+secret, keyAlphabet) != "" {
				t.Fatalf("%q", text)
			}
		}
	}
}

func TestAMistypedKeyIsNone(t *testing.T) {
	t.Parallel()
	good := RandomKey(Live)
	body := []byte(good)
	for i := range body {
		for _, c := range []byte("a2z_A \x00.") {
			if c == good[i] {
				continue
			}
			body[i] = c
			if _, isWellFormed := parseKeyText(string(body)); isWellFormed {
				t.Errorf("character %d made %q", i, c)
			}
			body[i] = good[i]
		}
		if i+1 < len(body) && body[i] != body[i+1] { // two letters changed places
			body[i], body[i+1] = body[i+1], body[i]
			if _, isWellFormed := parseKeyText(string(body)); isWellFormed {
				t.Errorf("characters %d and %d changed places", i, i+1)
			}
			body[i], body[i+1] = body[i+1], body[i]
		}
	}
	for _, bad := range []string{"", "florin_", "florin_live_", "florin_live__", good + good, good + "\n", " " + good, strings.Replace(good, "live", "prod", 1), strings.Replace(good, "live", "test", 1)} {
		if _, isWellFormed := parseKeyText(bad); isWellFormed {
			t.Errorf("%q", bad)
		}
	}
	if hasKeyForm("florin_session_abc") || hasKeyForm("florin_key_abc") || !hasKeyForm("florin_dev_") {
		t.Error("texts of other forms are taken for keys")
	}
}

func FuzzParseKeyText(f *testing.F) {
	for _, seed := range []string{"", "florin_live_", RandomKey(Live), RandomKey(Dev)[:40], "florin_test_aaaaaaaaaaaaaaaa_" + strings.Repeat("a", 38)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		form, isWellFormed := parseKeyText(text)
		if isWellFormed != (form != keyText{}) || isWellFormed && (!hasKeyForm(text) || !strings.HasPrefix(text, form.prefix()+"_") || len(form.keyID()) != 20) {
			t.Errorf("%q: %+v, %t", text, form, isWellFormed)
		}
	})
}

func FuzzParseNetwork(f *testing.F) {
	for _, seed := range []string{"", "10.0.0.0/8", "::/0", "::ffff:1.2.3.4/96", "fe80::1%a", "1.2.3.4", "1.2.3.4/", "0.0.0.0/00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		network, err := parseNetwork(text)
		if err != nil {
			return
		}
		again, err := parseNetwork(network.String())
		if err != nil || again != network || !network.IsValid() || network.Addr().Is4In6() || network.Masked() != network {
			t.Errorf("%q: %s, then %s, %v", text, network, again, err)
		}
	})
}
