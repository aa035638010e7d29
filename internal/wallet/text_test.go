package wallet

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"florin/internal/identity"
	"florin/internal/platform/id"
)

func TestShownName(t *testing.T) {
	for name, want := range map[string]string{
		"Ada Lovelace": "Ada L.", "Ada King Lovelace": "Ada L.", "Ada": "Ada", "": "", "  ": "",
		"ada@example.com": "A.", "Ada ada@example.com": "A.", "Ada ＠home": "A.", "https://evil.example x": "H.",
		"Ada\u202eecalevoL": "Ada E.", // what turns text around parts words
		"Łukasz ärger":      "Łukasz Ä.", "李 小龙": "李 小.", "Ada 1st": "Ada S.", "1 2": "1",
		strings.Repeat("x", 50) + " y": strings.Repeat("x", 40) + "… Y.",
	} {
		if got := shownName(name); got != want {
			t.Errorf("%q is shown as %q; want %q", name, got, want)
		}
	}
}

func FuzzShownName(f *testing.F) {
	for _, seed := range []string{"Ada Lovelace", "a@b.c", "=cmd()", "\x00\xff", "é è", "a\u202eb c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		shown := shownName(name)
		if strings.ContainsAny(shown, "@＠") || utf8.RuneCountInString(shown) > shownNameMax+4 {
			t.Fatalf("%q is shown as %q", name, shown)
		}
		for _, r := range shown {
			if !unicode.IsPrint(r) && r != ' ' {
				t.Fatalf("%q is shown as %q", name, shown)
			}
		}
	})
}

func FuzzIDsOfKeysDiffer(f *testing.F) {
	f.Add("usr_a", "key", "usr_ak", "ey")
	f.Add("", "ab", "a", "b")
	f.Fuzz(func(t *testing.T, userA, keyA, userB, keyB string) {
		if keyA == "" || keyB == "" {
			return
		}
		a, b := idOf("txn", userA, keyA), idOf("txn", userB, keyB)
		if (a == b) != (userA == userB && keyA == keyB) || !id.IsPossible(holdPrefix+a) || !id.IsPossible(a+"-suspense") {
			t.Fatalf("%q %q and %q %q are %s and %s", userA, keyA, userB, keyB, a, b)
		}
	})
}

func TestOrdersPrintNoNumbers(t *testing.T) {
	order := Order{ID: "wdr_x", Account: identity.BankDetails{AccountNumber: "000123456789", IBAN: "DE89370400440532013000"}}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "order", order)
	for _, text := range []string{fmt.Sprint(order), fmt.Sprintf("%+v %#v %v", order, order, &order), fmt.Sprintf("%s", order), logged.String()} {
		if strings.Contains(text, "123456789") || strings.Contains(text, "37040044") {
			t.Fatalf("it prints %s", text)
		}
	}
}
