package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Tolerance is how far the time of a signature may be from ours, either way. What
// was overheard is worthless after that; within it, ids make a repeat harmless.
const Tolerance = 5 * time.Minute

// ErrBadSignature says that a payload is not of its source, or not of now.
var ErrBadSignature = errors.New("bad signature")

// The headers of the formats.
const (
	StripeHeader    = "Stripe-Signature"
	IDHeader        = "Webhook-Id"
	TimestampHeader = "Webhook-Timestamp"
	SignatureHeader = "Webhook-Signature"
)

// Verify says whether the source signed this very payload within Tolerance of now.
// Its error is ErrBadSignature, with what is wrong; of a signature that does not fit
// it says no more than that.
func (s *Source) Verify(header http.Header, payload []byte, now time.Time) error {
	signed, signatures, err := s.claim(header, now)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadSignature, err)
	}
	code := hmac.New(sha256.New, s.key)
	code.Write([]byte(signed))
	code.Write(payload)
	want := code.Sum(nil)
	for _, signature := range signatures {
		if hmac.Equal(signature, want) {
			return nil
		}
	}
	return fmt.Errorf("%w: no signature fits the payload and the source's secret", ErrBadSignature)
}

// claim is what the headers say: the text that is signed together with the payload
// that follows it, and the signatures. A time too far off is refused before anything
// is computed.
func (s *Source) claim(header http.Header, now time.Time) (signed string, signatures [][]byte, err error) {
	var at string
	switch s.Format {
	case Stripe:
		value, err := only(header, StripeHeader)
		if err != nil {
			return "", nil, err
		}
		if at, signatures, err = parseStripeSignature(value); err != nil {
			return "", nil, fmt.Errorf("the header %s %w", StripeHeader, err)
		}
		signed = at + "."
	case Signed:
		var values [3]string
		for i, name := range []string{IDHeader, TimestampHeader, SignatureHeader} {
			if values[i], err = only(header, name); err != nil {
				return "", nil, err
			}
		}
		if !isMessageID(values[0]) {
			return "", nil, fmt.Errorf("the header %s must be 1 to %d visible ASCII characters without a point", IDHeader, messageIDMax)
		}
		at, signatures = values[1], parseSignatures(values[2])
		signed = values[0] + "." + at + "."
	}
	if len(signatures) == 0 {
		return "", nil, errors.New("there is no signature of version v1")
	}
	return signed, signatures, checkTime(at, now)
}

func only(header http.Header, name string) (string, error) {
	switch values := header.Values(name); len(values) {
	case 0:
		return "", fmt.Errorf("the header %s is missing", name)
	case 1:
		return values[0], nil
	}
	return "", fmt.Errorf("the header %s is given more than once", name)
}

// parseStripeSignature reads "t=1700000000,v1=HEX,v1=HEX". While a secret is being
// changed there is a v1 for the old one and one for the new. Other versions are
// passed over.
func parseStripeSignature(value string) (at string, signatures [][]byte, err error) {
	for part := range strings.SplitSeq(value, ",") {
		name, text, found := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case !found:
			return "", nil, errors.New("must be like t=TIME,v1=SIGNATURE")
		case name == "t" && at != "":
			return "", nil, errors.New("has two times")
		case name == "t":
			at = text
		case name == "v1":
			// What is no signature fits nothing; another one may.
			if signature, err := hex.DecodeString(text); err == nil && len(signature) == sha256.Size {
				signatures = append(signatures, signature)
			}
		}
	}
	if at == "" {
		return "", nil, errors.New("has no time")
	}
	return at, signatures, nil
}

// parseSignatures reads "v1,BASE64 v1,BASE64"; other versions are passed over.
func parseSignatures(value string) (signatures [][]byte) {
	for part := range strings.FieldsSeq(value) {
		version, text, _ := strings.Cut(part, ",")
		if version != "v1" {
			continue
		}
		if signature, err := base64.StdEncoding.DecodeString(text); err == nil && len(signature) == sha256.Size {
			signatures = append(signatures, signature)
		}
	}
	return signatures
}

// messageIDMax bounds what a stranger has us hash.
const messageIDMax = 256

// isMessageID refuses points: they part the id from the time in what is signed.
func isMessageID(text string) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' || c == '.' {
			return false
		}
	}
	return text != "" && len(text) <= messageIDMax
}

// checkTime takes seconds since 1970 as digits alone, so that what is signed has
// one spelling.
func checkTime(text string, now time.Time) error {
	seconds, err := strconv.ParseUint(text, 10, 40)
	if err != nil {
		return errors.New("the time of the signature must be seconds since 1970")
	}
	if age := now.Sub(time.Unix(int64(seconds), 0)); age > Tolerance || age < -Tolerance {
		return fmt.Errorf("the time of the signature is more than %s from this server's", Tolerance)
	}
	return nil
}
