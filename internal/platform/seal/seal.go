// Package seal encrypts what must be readable again, such as bank account
// numbers, before it is stored: AES-256-GCM under keys from configuration, of
// which the first seals and all open, so that keys can be changed while the
// program runs everywhere.
//
// A sealed text names its key and is bound to its Place: moved to another table,
// row or column it doesn't open. What only has to be recognised again is kept as
// a Fingerprint instead.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

var (
	// ErrUnknownKey says that a text was sealed with a key that is not
	// configured (any more).
	ErrUnknownKey = errors.New("sealed with a key that is not configured")
	// ErrNotGenuine says that a text was never sealed for this place, or was
	// changed since.
	ErrNotGenuine = errors.New("not a sealed text of this place")
)

// Place is where a sealed text is stored.
type Place struct{ Table, Row, Column string }

// Keyring seals and opens. Safe for concurrent use; it prints as its keys' ids.
//
// A key may seal 2^32 texts before its random nonces are likely enough to meet
// that it must be replaced (NIST SP 800-38D, 8.3).
type Keyring struct {
	keys []key // the first seals
}

type key struct {
	id     string
	cipher cipher.AEAD // puts a random nonce before the text
	master []byte
}

// What each derived key is for, so that no two uses share one.
const (
	sealInfo        = "florin seal v1"
	fingerprintInfo = "florin fingerprint v1: "
)

func newKey(id string, master []byte) (key, error) {
	derived, err := derive(master, sealInfo)
	if err != nil {
		return key{}, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return key{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return key{id: id, cipher: aead, master: master}, err
}

func derive(master []byte, info string) ([]byte, error) {
	return hkdf.Key(sha256.New, master, nil, info, keyBytes)
}

// version begins every sealed text.
const version = "v1"

var encoding = base64.RawURLEncoding.Strict()

// Seal encrypts plain for a place under the first key. Each call makes another
// text. The text is "v1.", the key's id, "." and base64url.
func (k *Keyring) Seal(at Place, plain []byte) string {
	first := k.keys[0]
	sealed := first.cipher.Seal(nil, nil, plain, at.associated(first.id)) //nolint:gosec // this AEAD makes its nonces itself
	return version + "." + first.id + "." + encoding.EncodeToString(sealed)
}

// Open decrypts what Seal made for the same place. Returns ErrUnknownKey when its
// key is not configured, ErrNotGenuine for everything else that doesn't open.
func (k *Keyring) Open(at Place, sealed string) ([]byte, error) {
	id, text, err := split(sealed)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(k.keys, func(key key) bool { return key.id == id })
	if i < 0 {
		return nil, fmt.Errorf("%w: %s", ErrUnknownKey, id)
	}
	raw, err := encoding.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return nil, ErrNotGenuine
	}
	plain, err := k.keys[i].cipher.Open(nil, nil, raw, at.associated(id))
	if err != nil {
		return nil, ErrNotGenuine
	}
	return plain, nil
}

// Reseal returns the text sealed with the first key, and whether it was not
// before: then the caller stores it. Its errors are those of Open.
func (k *Keyring) Reseal(at Place, sealed string) (string, bool, error) {
	if k.IsCurrent(sealed) {
		return sealed, false, nil
	}
	plain, err := k.Open(at, sealed)
	if err != nil {
		return "", false, err
	}
	return k.Seal(at, plain), true, nil
}

// IsCurrent says whether the text names the first key. It is not opened.
func (k *Keyring) IsCurrent(sealed string) bool {
	return strings.HasPrefix(sealed, k.CurrentPrefix())
}

// CurrentPrefix begins all that the first key seals, and nothing else: queries
// find by it what is left to be sealed again.
func (k *Keyring) CurrentPrefix() string { return version + "." + k.keys[0].id + "." }

// Fingerprint recognises a value without keeping it: HMAC-SHA-256 under a key
// derived from the first one for this purpose alone. Other purposes, and other
// first keys, give other fingerprints.
func (k *Keyring) Fingerprint(purpose, value string) []byte {
	return k.keys[0].fingerprint(purpose, value)
}

// Fingerprints are the value's under each key, the first key's first: what was
// stored before a change of keys is found by one of them.
func (k *Keyring) Fingerprints(purpose, value string) [][]byte {
	all := make([][]byte, len(k.keys))
	for i, key := range k.keys {
		all[i] = key.fingerprint(purpose, value)
	}
	return all
}

func (k key) fingerprint(purpose, value string) []byte {
	derived, err := derive(k.master, fingerprintInfo+purpose)
	if err != nil {
		panic(err) // only when more than 8160 bytes are asked for
	}
	mac := hmac.New(sha256.New, derived)
	mac.Write([]byte(value))
	return mac.Sum(nil)
}

// IDs are those of the keys, the one that seals first.
func (k *Keyring) IDs() []string {
	ids := make([]string, len(k.keys))
	for i, key := range k.keys {
		ids[i] = key.id
	}
	return ids
}

// String names the keys' ids, never the keys.
func (k *Keyring) String() string { return "keys " + strings.Join(k.IDs(), ", ") }

// GoString is String.
func (k *Keyring) GoString() string { return k.String() }

// LogValue is String.
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(k.String()) }

// associated is what a text is bound to. Lengths stand before the parts, so that
// no two places look alike.
func (p Place) associated(keyID string) []byte {
	var data []byte
	for _, part := range []string{version, keyID, p.Table, p.Row, p.Column} {
		data = binary.BigEndian.AppendUint32(data, uint32(len(part)))
		data = append(data, part...)
	}
	return data
}

func split(sealed string) (keyID, text string, err error) {
	rest, found := strings.CutPrefix(sealed, version+".")
	if !found {
		return "", "", ErrNotGenuine
	}
	keyID, text, found = strings.Cut(rest, ".")
	if !found || !isID(keyID) {
		return "", "", ErrNotGenuine
	}
	return keyID, text, nil
}
