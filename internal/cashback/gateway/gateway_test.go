package gateway_test

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"florin/internal/cashback/gateway"
)

// Secrets of the tests, of which one is that of Standard Webhooks' own example.
const (
	stripeSecret = "whsec_test_secret_of_the_tests_0001"
	signedSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

func source(t testing.TB, name string) gateway.Source {
	t.Helper()
	sources, err := gateway.ParseSources("shop=stripe:" + stripeSecret + ", erp=signed:" + signedSecret)
	if err != nil {
		t.Fatal(err)
	}
	return sources[name]
}

func TestSourcesAreReadAsConfigured(t *testing.T) {
	t.Parallel()
	long := base64.StdEncoding.EncodeToString(make([]byte, 64))
	for configured, want := range map[string]string{
		"":                                    "",
		"shop=stripe:" + stripeSecret:         "shop (stripe)",
		" erp=signed:" + signedSecret + ",\n": "erp (signed)",
		"erp=signed:MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw":            "erp (signed)",
		"e-r_p1=signed:whsec_" + long:                            "e-r_p1 (signed)",
		"a=stripe:" + stripeSecret + ",b=stripe:" + stripeSecret: "a (stripe) b (stripe)",
		"shop=stripe:whsec_a=b:c/d+e,f" + stripeSecret[5:]:       "!source 1",
		"a=stripe:" + stripeSecret + " a=signed:" + signedSecret: "!source 2: its name was given",
		"a=stripe:" + stripeSecret + "@bookshop,florist.1:x,b=stripe:" + stripeSecret + " e=signed:" + signedSecret + "==@a,b, z=stripe:" + stripeSecret: "a (stripe,bookshop,florist.1:x) b (stripe) e (signed,a,b) z (stripe)",
		"a=stripe:" + stripeSecret + "@":                           "!source 1: merchant 1 after @",
		"a=stripe:" + stripeSecret + "@b@c":                        "!source 1: merchant 1 after @",
		"a=stripe:" + stripeSecret + "@b,c/secret_of":              "!source 1: merchant 2 after @",
		"a=stripe:" + stripeSecret + "@b, c":                       "!source 2: want NAME=",
		"a=stripe:" + stripeSecret + "@b,,c":                       "!source 2: want NAME=",
		"a=stripe:" + stripeSecret + ",c":                          "!source 2: want NAME=",
		"a=stripe:whsec_short@b":                                   "!at least 24",
		"a@b=stripe:" + stripeSecret:                               "!the name must be",
		"a=stripe:" + stripeSecret + "@" + strings.Repeat("m", 51): "!merchant 1 after @ must have 1 to 50",
		"shop":                                              "!source 1: want NAME=",
		"shop=" + stripeSecret:                              "!want NAME=",
		"=stripe:" + stripeSecret:                           "!the name must be",
		"api=stripe:" + stripeSecret:                        "!must not be api or file",
		"file=signed:" + signedSecret:                       "!must not be api or file",
		"files=stripe:" + stripeSecret:                      "files (stripe)",
		"Shop=stripe:" + stripeSecret:                       "!the name must be",
		strings.Repeat("s", 33) + "=stripe:" + stripeSecret: "!the name must be 1 to 32",
		"shop=moon:" + stripeSecret:                         "!the format must be stripe or signed",
		"shop=stripe:" + stripeSecret[6:]:                   "!must begin with whsec_",
		"shop=stripe:whsec_":                                "!at least 24",
		"shop=stripe:whsec_short":                           "!at least 24",
		"shop=stripe:" + stripeSecret + "é":                 "!visible ASCII",
		"erp=signed:" + stripeSecret:                        "!must be base64",
		"erp=signed:whsec_":                                 "!0 bytes, must have 24 to 64",
		"erp=signed:" + long + "AAAA":                       "!must be base64",
		"erp=signed:" + base64.StdEncoding.EncodeToString(make([]byte, 65)): "!65 bytes",
		"erp=signed:" + base64.StdEncoding.EncodeToString(make([]byte, 23)): "!23 bytes",
	} {
		sources, err := gateway.ParseSources(configured)
		if problem, isWrong := strings.CutPrefix(want, "!"); isWrong {
			if err == nil || !strings.Contains(err.Error(), problem) || strings.Contains(err.Error(), "secret_of") {
				t.Errorf("%q: %v, want %q", configured, err, problem)
			}
			continue
		}
		var got []string
		for _, name := range strings.Fields(want) {
			if s, found := sources[name]; found {
				got = append(got, fmt.Sprintf("%s (%s)", s.Name, strings.Join(append([]string{string(s.Format)}, s.Merchants...), ",")))
			}
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %v, %v", configured, sources, err)
		}
	}
}

func TestASourceShowsNoSecret(t *testing.T) {
	t.Parallel()
	sources, err := gateway.ParseSources("shop=stripe:" + stripeSecret)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	shop := sources["shop"]
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "source", shop, "all", sources)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "source", shop, "all", sources, "pointer", &shop)
	fmt.Fprintf(&log, "%v %+v %#v %s %v %#v", shop, shop, shop, shop, sources, sources)
	for _, form := range []string{stripeSecret, fmt.Sprintf("%d", []byte(stripeSecret))[:40], base64.StdEncoding.EncodeToString([]byte(stripeSecret))[:40], fmt.Sprintf("%x", stripeSecret)} {
		if strings.Contains(log.String(), form) {
			t.Errorf("%s stands in %s", form, log.String())
		}
	}
	if !strings.Contains(log.String(), "source shop (stripe)") {
		t.Error(log.String())
	}
}

func TestASourceSpeaksForItsMerchantsAlone(t *testing.T) {
	t.Parallel()
	sources, err := gateway.ParseSources("all=stripe:" + stripeSecret + ",two=stripe:" + stripeSecret + "@bookshop,florist")
	if err != nil {
		t.Fatal(err)
	}
	all, two := sources["all"], sources["two"]
	for merchant, want := range map[string]bool{"bookshop": true, "florist": true, "Bookshop": false, "bookshop,florist": false, "": false} {
		if two.SpeaksFor(merchant) != want || !all.SpeaksFor(merchant) {
			t.Errorf("%q: %v, and the source of all %v", merchant, two.SpeaksFor(merchant), all.SpeaksFor(merchant))
		}
	}
}

func FuzzParseSources(f *testing.F) {
	f.Add("a=stripe:" + stripeSecret + "@b,c,d=e@f")
	f.Add("shop=stripe:" + stripeSecret + ", erp=signed:" + signedSecret)
	f.Add("a=b:c,d")
	f.Fuzz(func(t *testing.T, text string) {
		sources, err := gateway.ParseSources(text)
		if err != nil && sources != nil {
			t.Error("sources and an error")
		}
		for name, s := range sources {
			if s.Name != name || name == "" || strings.ContainsAny(name, "/?# ") {
				t.Errorf("%q is called %q", name, s.Name)
			}
		}
	})
}
