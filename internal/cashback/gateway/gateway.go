// Package gateway reads what payment gateways and shops report by themselves: it
// checks who signed a payload, and turns it into a purchase or a return. It is
// pure: no clock, no I/O; the caller hands in the time.
//
// It guarantees that nothing of a payload is read before its signature holds, when
// Verify is called first; that amounts go from a gateway's minor units to decimals
// exactly; and that a secret is neither printed nor part of an error.
package gateway

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"florin/internal/cashback"
	"florin/internal/platform/id"
)

// Format is how a source signs and writes.
type Format string

const (
	// Stripe is the format of Stripe's events: the header Stripe-Signature, and
	// objects of its API version. See ParseStripe.
	Stripe Format = "stripe"
	// Signed is the scheme of Standard Webhooks: the headers webhook-id,
	// webhook-timestamp and webhook-signature. The body is the API's own.
	Signed Format = "signed"
)

// Source is somebody who may report purchases with his signature alone.
type Source struct {
	Name   string
	Format Format
	// Merchants are those that it may speak for; all when there are none.
	Merchants []string
	key       []byte // of HMAC-SHA256
}

// SpeaksFor says whether the source may report purchases, returns and clicks of this
// merchant's.
func (s *Source) SpeaksFor(merchantID string) bool {
	return len(s.Merchants) == 0 || slices.Contains(s.Merchants, merchantID)
}

// String names the source, not its secret.
func (s Source) String() string { return fmt.Sprintf("source %s (%s)", s.Name, s.Format) }

// GoString is String.
func (s Source) GoString() string { return s.String() }

// LogValue is String.
func (s Source) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Sources are all that there are, by name.
type Sources map[string]Source

const (
	nameMax      = 32
	secretPrefix = "whsec_"
	// A secret that is shorter could be guessed.
	stripeSecretMin = 24 // characters after the prefix
	signedKeyMin    = 24 // bytes, as Standard Webhooks says
	signedKeyMax    = 64
)

// ParseSources reads sources as configured: "shop=stripe:whsec_SECRET@bookshop,florist"
// and "erp=signed:whsec_BASE64", with commas or blanks between several. A name is made
// of a-z, 0-9, - and _, is not api or file, and stands in the path that the source sends
// to. Of stripe the secret is taken as the text that it is; of signed it is the base64
// of 24 to 64 bytes. After @ stand, with commas and without blanks, the ids of the
// merchants that the source may speak for; without @ it may speak for any. The error
// names the entry by its place, never by what stands there.
func ParseSources(configured string) (Sources, error) {
	sources := Sources{}
	for i, entry := range entriesOf(configured) {
		source, err := parseSource(entry)
		if err == nil && sources[source.Name].Name != "" {
			err = errors.New("its name was given to a source before")
		}
		if err != nil {
			return nil, fmt.Errorf("source %d: %w", i+1, err)
		}
		sources[source.Name] = source
	}
	return sources, nil
}

// entriesOf parts the sources: at blanks, and at commas, but for those between a
// source's merchants, whose ids have no "=".
func entriesOf(configured string) (entries []string) {
	for word := range strings.FieldsSeq(configured) {
		hasMerchants := false
		for part := range strings.SplitSeq(word, ",") {
			switch {
			case part == "":
				hasMerchants = false
			case hasMerchants && !strings.Contains(part, "="):
				entries[len(entries)-1] += "," + part
			default:
				hasMerchants = strings.Contains(part, "@")
				entries = append(entries, part)
			}
		}
	}
	return entries
}

func parseSource(entry string) (s Source, err error) {
	name, rest, found := strings.Cut(entry, "=")
	rest, merchants, isBound := strings.Cut(rest, "@")
	format, secret, hasFormat := strings.Cut(rest, ":")
	if !found || !hasFormat {
		return Source{}, errors.New("want NAME=stripe:SECRET or NAME=signed:SECRET, and @MERCHANT after it for a source of that merchant's alone")
	}
	if !isName(name) {
		return Source{}, fmt.Errorf("the name must be 1 to %d characters of a-z, 0-9, - and _", nameMax)
	}
	if name == cashback.SourceAPI || name == cashback.SourceFile {
		return Source{}, fmt.Errorf("the name must not be %s or %s: those mean what no gateway reported", cashback.SourceAPI, cashback.SourceFile)
	}
	s = Source{Name: name, Format: Format(format)}
	switch s.Format {
	case Stripe:
		s.key, err = stripeKey(secret)
	case Signed:
		s.key, err = signedKey(secret)
	default:
		err = fmt.Errorf("the format must be %s or %s", Stripe, Signed)
	}
	if err == nil && isBound {
		s.Merchants, err = parseMerchants(merchants)
	}
	return s, err
}

func parseMerchants(list string) ([]string, error) {
	merchants := strings.Split(list, ",")
	for i, merchant := range merchants {
		if !id.IsPossible(merchant) {
			return nil, fmt.Errorf("merchant %d after @ must have 1 to %d characters of A-Z a-z 0-9 . : _ and -", i+1, id.MaxLength)
		}
	}
	return merchants, nil
}

// stripeKey is the whole text, its prefix too.
func stripeKey(secret string) ([]byte, error) {
	text, found := strings.CutPrefix(secret, secretPrefix)
	if !found || len(text) < stripeSecretMin {
		return nil, fmt.Errorf("the secret must begin with %s and have at least %d characters more", secretPrefix, stripeSecretMin)
	}
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return nil, errors.New("the secret must be made of visible ASCII characters")
		}
	}
	return []byte(secret), nil
}

func signedKey(secret string) ([]byte, error) {
	key, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(strings.TrimPrefix(secret, secretPrefix), "="))
	if err != nil {
		return nil, fmt.Errorf("the secret must be base64, with or without %s before it", secretPrefix)
	}
	if len(key) < signedKeyMin || len(key) > signedKeyMax {
		return nil, fmt.Errorf("the secret has %d bytes, must have %d to %d", len(key), signedKeyMin, signedKeyMax)
	}
	return key, nil
}

func isName(text string) bool {
	isOther := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	return text != "" && len(text) <= nameMax && !strings.ContainsFunc(text, isOther)
}
