package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// Environment stands in a key, so that people and secret scanners see at once
// what a key opens.
type Environment string

// The environments.
const (
	Live Environment = "live"
	Test Environment = "test"
	Dev  Environment = "dev"
)

// Parts of a key: florin_live_<id>_<secret>. All of them but the words are of
// a-z and 2-7.
const (
	keyBrand    = "florin_"
	keyIDLength = 16 // 80 bits, public
	keySecret   = 32 // 160 bits
	keyCheck    = 6  // 30 bits: of mistyped keys, one in 10^9 is looked up
	keyAlphabet = "abcdefghijklmnopqrstuvwxyz234567"
	keyIDPrefix = "key_"
)

var keyEncoding = base32.NewEncoding(keyAlphabet).WithPadding(base32.NoPadding)

// keyText is a well-formed key, in parts.
type keyText struct{ environment, id string }

// prefix is the part that is no secret.
func (k keyText) prefix() string {
	if k.id == "" {
		return ""
	}
	return keyBrand + k.environment + "_" + k.id
}

func (k keyText) keyID() string {
	if k.id == "" {
		return ""
	}
	return keyIDPrefix + k.id
}

// RandomKey makes the text of a key: florin_<environment>_<id>_<secret>. It is
// good once it is stored, by Create or as a bootstrap key.
func RandomKey(e Environment) string {
	return secretKey(e, strings.ToLower(rand.Text())[:keyIDLength])
}

// secretKey makes the text of a key whose public part is given.
func secretKey(e Environment, public string) string {
	text := keyBrand + string(e) + "_" + public + "_" + strings.ToLower(rand.Text() + rand.Text())[:keySecret]
	return text + keyChecksum(text)
}

// publicPart is the same for the same request.
func publicPart(idempotencyKey string) string {
	sum := sha256.Sum256([]byte(idempotencyKey))
	return keyEncoding.EncodeToString(sum[:])[:keyIDLength]
}

// keyChecksum lets a mistyped key be refused without asking anybody. It proves
// nothing: everybody can compute it.
func keyChecksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return keyEncoding.EncodeToString(sum[:])[:keyCheck]
}

// hasKeyForm says whether a text claims to be a key as RandomKey makes them. One
// that does and is not well-formed is no key at all; any other text may have been
// configured as a bootstrap key.
func hasKeyForm(text string) bool {
	for _, e := range []Environment{Live, Test, Dev} {
		if strings.HasPrefix(text, keyBrand+string(e)+"_") {
			return true
		}
	}
	return false
}

// parseKeyText reads a key; false when it is none of RandomKey's.
func parseKeyText(text string) (keyText, bool) {
	if !hasKeyForm(text) {
		return keyText{}, false
	}
	environment, rest, _ := strings.Cut(strings.TrimPrefix(text, keyBrand), "_")
	id, secret, found := strings.Cut(rest, "_")
	if !found || len(id) != keyIDLength || len(secret) != keySecret+keyCheck || !isKeyLetters(id) || !isKeyLetters(secret) {
		return keyText{}, false
	}
	body := text[:len(text)-keyCheck]
	if keyChecksum(body) != text[len(text)-keyCheck:] {
		return keyText{}, false
	}
	return keyText{environment: environment, id: id}, true
}

func isKeyLetters(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(keyAlphabet, r) })
}
