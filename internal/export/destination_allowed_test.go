package export

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestAllowedDestinations(t *testing.T) {
	allowed, err := ParseAllowed([]string{
		"s3://books/ledger?AWS_ENDPOINT=https://minio.internal:9000&AWS_REGION=eu",
		"webhook-https://Consumer.internal:8443/in/",
		"gs://vault?AUTH=implicit",
		"s3://many?AWS_REGION=eu", "s3://many?AWS_REGION=us", "s3://many/deep?AWS_REGION=ap",
		"external://Books",
	})
	if err != nil {
		t.Fatal(err)
	}
	const minio = "AWS_ENDPOINT=https%3A%2F%2Fminio.internal%3A9000"
	cases := []struct{ asked, want string }{ // "" means not allowed
		{"s3://books/ledger", "s3://books/ledger?" + minio + "&AWS_REGION=eu"},
		{"S3://Books/ledger/2026/", "s3://books/ledger/2026?" + minio + "&AWS_REGION=eu"},
		{"s3://books/ledger?AWS_ACCESS_KEY_ID=me&AWS_REGION=eu", "s3://books/ledger?AWS_ACCESS_KEY_ID=me&" + minio + "&AWS_REGION=eu"},
		{"s3://books/ledger?AWS_REGION=us", ""},
		{"s3://books/ledger?AWS_ENDPOINT=http://169.254.169.254", ""},
		{"s3://books/ledger?AWS_SKIP_TLS_VERIFY=true", ""},
		{"s3://books/ledger?sasl_user=me", ""},
		{"s3://books", ""},
		{"s3://books/ledgers", ""},
		{"s3://others/ledger", ""},
		{"webhook-https://consumer.internal:8443/in", "webhook-https://consumer.internal:8443/in"},
		{"webhook-https://consumer.internal:8443/in?client_key=K", "webhook-https://consumer.internal:8443/in?client_key=K"},
		{"webhook-https://consumer.internal:8443/in?insecure_tls_skip_verify=true", ""},
		{"webhook-https://consumer.internal/in", ""},
		{"webhook-https://consumer.internal:8444/in", ""},
		{"gs://vault/deep/er", "gs://vault/deep/er?AUTH=implicit"},
		{"gs://vault?AUTH=specified", ""},
		{"gs://vault?CREDENTIALS=eyJ0eXBlIjoiZXh0ZXJuYWxfYWNjb3VudCJ9", ""}, // its JSON names files and addresses
		{"gs://vault?BEARER_TOKEN=x", ""},
		{"s3://many?AWS_REGION=us", "s3://many?AWS_REGION=us"},
		{"s3://many", "s3://many?AWS_REGION=eu"},
		{"s3://many/deep/er", "s3://many/deep/er?AWS_REGION=ap"},
		{"s3://many/deep/er?AWS_REGION=us", "s3://many/deep/er?AWS_REGION=us"},
		{"s3://many?AWS_REGION=other", ""},
		{"external://Books", "external://Books"},
		{"external://books", ""},
		{"kafka://vault", ""},
		{"external://vault", ""},
	}
	for _, test := range cases {
		asked, err := parseSinkURL(test.asked)
		if err != nil {
			t.Errorf("%s: %v", test.asked, err)
			continue
		}
		got, err := allowed.resolve(asked)
		if test.want == "" && !errors.Is(err, DestinationNotAllowed.Failure("")) {
			t.Errorf("%s: %v, %v", test.asked, got, err)
		}
		if test.want != "" && (err != nil || got.String() != test.want) {
			t.Errorf("%s: got %v, %v; want %s", test.asked, got, err, test.want)
		}
	}
	if _, err := (Allowed{}).resolve(&url.URL{Scheme: "s3", Host: "books"}); err == nil {
		t.Error("no list allows something")
	}
}

// What reads as one place here and as another elsewhere is refused.
func TestAmbiguousDestinationsAreRefused(t *testing.T) {
	for _, text := range []string{
		"s3://books/ledger/../others", "s3://books/ledger/..", "s3://books/./ledger", "s3://books/%2e%2e/others", "s3://books//others",
		"s3://user:password@books/ledger", "s3://books/ledger#fragment", "s3://books/le'dger", "s3://books/le%27dger", "s3://books\\ledger",
		"webhook-https://a@b/in", "webhook-https://[::1]/in", "s3://-books", "s3:///books", "s3://books/a b", "s3://books/ledger?a=1&a=2",
		"s3://books?a=%zz", "s3://books/ledger?a;b", "s3:books", "//books", "s3://books:x/",
	} {
		if got, err := parseSinkURL(text); err == nil {
			t.Errorf("%s is read as %s", text, got)
		}
	}
}

// Whatever is answered holds nothing of a secret, not even of one whose & was not
// percent-encoded.
func TestRefusalsNameOnlyParametersThatThereAre(t *testing.T) {
	allowed, err := ParseAllowed([]string{"s3://books"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"s3://books?AWS_SECRET_ACCESS_KEY=half&0therHalf=":               "a parameter of s3://books",
		"s3://books?AWS_SECRET_ACCESS_KEY=half&0therHalf&0therHalf":      "a parameter of s3://books",
		"s3://books?AWS_ENDPOINT=https://other":                          "the parameter AWS_ENDPOINT of s3://books",
		"s3://books?AWS_SECRET_ACCESS_KEY=a&AWS_SECRET_ACCESS_KEY=0ther": "the parameter AWS_SECRET_ACCESS_KEY of s3://books",
	} {
		asked, err := parseSinkURL(text)
		if err == nil {
			_, err = allowed.resolve(asked)
		}
		if err == nil || strings.Contains(err.Error(), "0ther") || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// One place with other parameters may be another place; other credentials are not.
func TestParametersSayWhereADestinationIs(t *testing.T) {
	hash := func(text string) string {
		asked, err := parseSinkURL(text)
		if err != nil {
			t.Fatal(err)
		}
		return parametersHash(asked)
	}
	base := hash("s3://books?AWS_ENDPOINT=https://a&AWS_REGION=eu")
	for text, isSame := range map[string]bool{
		"s3://books?AWS_REGION=eu&AWS_ENDPOINT=https://a":                        true,
		"s3://books?AWS_REGION=eu&AWS_ENDPOINT=https://a&AWS_ACCESS_KEY_ID=me":   true,
		"s3://books?AWS_REGION=eu&AWS_ENDPOINT=https://b":                        false,
		"s3://books?AWS_REGION=eu":                                               false,
		"s3://books?AWS_REGION=eu&AWS_ENDPOINT=https://a&AWS_SKIP_TLS_VERIFY=on": false,
	} {
		if got := hash(text); (got == base) != isSame {
			t.Errorf("%s: %s; the other is %s", text, got, base)
		}
	}
	if hash("gs://books?AUTH=specified&CREDENTIALS=a") != hash("gs://books?AUTH=specified&CREDENTIALS=b") {
		t.Error("credentials of the operator can't change")
	}
}

func TestRedactedTextsHoldNoSecret(t *testing.T) {
	destination := &url.URL{Scheme: "kafka", Host: "broker", RawQuery: "sasl_password=" + url.QueryEscape("p/w +1") + "&sasl_user=me"}
	for _, text := range []string{
		`dial kafka://broker?sasl_password=p%2Fw+%2B1&sasl_user=me: refused`,
		`can't log in as "me" with "p/w +1"`, `bad value p%2Fw+%2B1 or p%2Fw%20+1`, `Post "https://host/in?token=p/w": EOF`,
	} {
		got := redact(text, destination)
		for _, secret := range []string{"p/w", "p%2Fw", `"me"`, "token"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s became %s", text, got)
			}
		}
	}
	if got := redact("one\n two", nil); got != "one two" {
		t.Errorf("%q", got)
	}
	if got := redact(strings.Repeat("ä", 1000), nil); len(got) > errorTextMax+len("...") {
		t.Errorf("%d bytes", len(got))
	}
}
