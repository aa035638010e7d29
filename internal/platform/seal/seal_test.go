package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"florin/internal/platform/seal"
)

var place = seal.Place{Table: "linked_accounts", Row: "la_1", Column: "sealed"}

func parse(t testing.TB, configured ...string) *seal.Keyring {
	t.Helper()
	ring, err := seal.Parse(strings.Join(configured, ","))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestOpenReturnsWhatWasSealed(t *testing.T) {
	t.Parallel()
	ring := parse(t, seal.NewKey("a"))
	for _, plain := range [][]byte{nil, []byte("x"), []byte("DE89370400440532013000"), bytes.Repeat([]byte{0, 255}, 1<<16)} {
		sealed := ring.Seal(place, plain)
		opened, err := ring.Open(place, sealed)
		if err != nil || !bytes.Equal(opened, plain) {
			t.Fatalf("%d bytes: %d bytes, %v", len(plain), len(opened), err)
		}
		if len(plain) > 10 && strings.Contains(sealed, base64.RawURLEncoding.EncodeToString(plain)[:10]) {
			t.Error("the text is readable")
		}
		if ring.Seal(place, plain) == sealed {
			t.Error("the same text twice: the nonce is not random")
		}
	}
}

func TestASealedTextOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	ring := parse(t, seal.NewKey("a"))
	sealed := ring.Seal(place, []byte("021000021"))
	for _, other := range []seal.Place{
		{}, {Table: "mails", Row: place.Row, Column: place.Column}, {Table: place.Table, Row: "la_2", Column: place.Column},
		{Table: place.Table, Row: place.Row, Column: "other"},
		// The same letters, divided otherwise.
		{Table: place.Table + "l", Row: "a_1", Column: place.Column}, {Table: place.Table, Row: "la_1s", Column: "ealed"},
	} {
		if plain, err := ring.Open(other, sealed); !errors.Is(err, seal.ErrNotGenuine) || plain != nil {
			t.Errorf("%v: %q, %v", other, plain, err)
		}
	}
}

func TestEveryChangedCharacterIsNoticed(t *testing.T) {
	t.Parallel()
	ring := parse(t, seal.NewKey("a"), seal.NewKey("b"))
	sealed := ring.Seal(place, []byte("021000021"))
	for i := range len(sealed) {
		for _, c := range []byte("AbQ0_-.\n=") {
			changed := sealed[:i] + string(c) + sealed[i+1:]
			if changed == sealed {
				continue
			}
			if plain, err := ring.Open(place, changed); err == nil || plain != nil {
				t.Errorf("character %d made %q: %q", i, c, plain)
			}
		}
		if _, err := ring.Open(place, sealed[:i]); err == nil {
			t.Errorf("cut at %d", i)
		}
	}
	// Another key of the ring, named in the text, is not the one.
	if _, err := ring.Open(place, strings.Replace(sealed, ".a.", ".b.", 1)); !errors.Is(err, seal.ErrNotGenuine) {
		t.Error(err)
	}
	for _, bad := range []string{"", ".", "..", "v1", "v1.", "v1.a", "v1.a.", "v2.a.AAAA", "v1..AAAA", "v1.A.AAAA", "v1.a.%", sealed + "\n", sealed + "="} {
		if _, err := ring.Open(place, bad); !errors.Is(err, seal.ErrNotGenuine) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestKeysAreChangedWithoutLosingWhatWasSealed(t *testing.T) {
	t.Parallel()
	older, newer := seal.NewKey("2025"), seal.NewKey("2026")
	before, during, after := parse(t, older), parse(t, newer, older), parse(t, newer)
	sealed := before.Seal(place, []byte("secret"))

	if _, err := after.Open(place, sealed); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("the key is gone: %v", err)
	}
	resealed, isChanged, err := during.Reseal(place, sealed)
	if err != nil || !isChanged || !after.IsCurrent(resealed) || !strings.HasPrefix(resealed, during.CurrentPrefix()) {
		t.Fatal(resealed, isChanged, err)
	}
	if plain, err := after.Open(place, resealed); err != nil || string(plain) != "secret" {
		t.Errorf("%q, %v", plain, err)
	}
	if again, isChanged, err := during.Reseal(place, resealed); err != nil || isChanged || again != resealed {
		t.Error(again, isChanged, err)
	}
	if _, _, err := during.Reseal(seal.Place{}, sealed); !errors.Is(err, seal.ErrNotGenuine) {
		t.Error(err)
	}
	old, all := before.Fingerprint("iban", "DE89"), during.Fingerprints("iban", "DE89")
	if len(all) != 2 || !bytes.Equal(all[1], old) || !bytes.Equal(all[0], after.Fingerprint("iban", "DE89")) {
		t.Error("fingerprints of before the change are not found")
	}
}

func TestFingerprintsDifferByValuePurposeAndKey(t *testing.T) {
	t.Parallel()
	ring, other := parse(t, seal.NewKey("a")), parse(t, seal.NewKey("a"))
	seen := map[string]bool{}
	for _, f := range [][]byte{
		ring.Fingerprint("a", "1"), ring.Fingerprint("a", "2"), ring.Fingerprint("b", "1"), ring.Fingerprint("a1", ""), other.Fingerprint("a", "1"),
	} {
		if len(f) != 32 || seen[string(f)] {
			t.Errorf("%x", f)
		}
		seen[string(f)] = true
	}
	if !bytes.Equal(ring.Fingerprint("a", "1"), ring.Fingerprint("a", "1")) {
		t.Error("it is not stable")
	}
}

// The second key's secret part must not stand in any error.
func TestParseRefusesWhatIsNoKeyWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	good := seal.NewKey("good")
	encoded := strings.TrimPrefix(good, "good:")
	text := base64.StdEncoding.EncodeToString([]byte("correct-horse-battery-staple-xyz"))
	for name, bad := range map[string]string{
		"empty": "", "blanks": "  ", "no colon": encoded, "no id": ":" + encoded, "no key": "a:",
		"upper case id": "A:" + encoded, "long id": strings.Repeat("a", 33) + ":" + encoded, "dot in id": "a.b:" + encoded,
		"short": "a:" + encoded[:40], "long": "a:" + base64.StdEncoding.EncodeToString(make([]byte, 33)), "not base64": "a:" + encoded[:42] + "!",
		"zeros": "a:" + base64.StdEncoding.EncodeToString(make([]byte, 32)), "text": "a:" + text,
		"few values": "a:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1, 200, 3, 4}, 8)),
		"same id":    seal.NewKey("good") + "," + good, "same key": "other:" + encoded + "," + good, "trailing comma": good + ",", "leading comma": "," + good,
	} {
		ring, err := seal.Parse(bad)
		if err == nil {
			t.Errorf("%s: taken as %s", name, ring)
			continue
		}
		if strings.Contains(err.Error(), encoded[:12]) || strings.Contains(err.Error(), text[:12]) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	ring := parse(t, " "+good+" ", "\n"+strings.TrimRight(seal.NewKey("x-1_2"), "="))
	if ids := ring.IDs(); len(ids) != 2 || ids[0] != "good" || ids[1] != "x-1_2" {
		t.Error(ids)
	}
}

func TestAKeyringPrintsNoKey(t *testing.T) {
	t.Parallel()
	configured := seal.NewKey("a")
	ring := parse(t, configured)
	master, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(configured, "a:"))
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "ring", ring)
	for _, printed := range []string{
		fmt.Sprint(ring), fmt.Sprintf("%+v %#v %q", ring, ring, ring), fmt.Sprintf("%+v", struct{ Ring *seal.Keyring }{ring}), log.String(),
	} {
		if strings.Contains(printed, configured[2:]) || strings.Contains(printed, strings.Trim(fmt.Sprintf("%d", master[:8]), "[]")) {
			t.Errorf("shows the key: %s", printed)
		}
	}
}

func FuzzOpen(f *testing.F) {
	ring := parse(f, seal.NewKey("a"), seal.NewKey("b"))
	genuine := ring.Seal(place, []byte("x"))
	for _, seed := range []string{"", "v1.a.", genuine, genuine[:len(genuine)-1], "v1.b." + genuine[5:], "v1.a.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sealed string) {
		plain, err := ring.Open(place, sealed)
		if (err == nil) != (sealed == genuine) || (err == nil) != (string(plain) == "x") {
			t.Errorf("%q: %q, %v", sealed, plain, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "a:b", seal.NewKey("a"), seal.NewKey("a") + "," + seal.NewKey("b"), "::,,=="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, configured string) {
		ring, err := seal.Parse(configured)
		if err != nil {
			return
		}
		if plain, err := ring.Open(place, ring.Seal(place, []byte("x"))); err != nil || string(plain) != "x" {
			t.Errorf("%q seals what it can't open: %v", configured, err)
		}
	})
}
