package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	keyBytes = 32
	idMax    = 32
)

// Parse reads keys as configured: "id:base64" of 32 random bytes, with commas
// between them; the first is the one that seals. Ids are made of a-z, 0-9, - and _,
// 32 characters at most. Blanks around entries are ignored. The error never
// repeats what it was given.
func Parse(configured string) (*Keyring, error) {
	if strings.TrimSpace(configured) == "" {
		return nil, errors.New("no encryption keys: want id:base64 of 32 random bytes, with commas between several")
	}
	ring := &Keyring{}
	for i, entry := range strings.Split(configured, ",") {
		parsed, err := parseKey(strings.TrimSpace(entry))
		if err == nil {
			err = ring.clash(parsed)
		}
		if err != nil {
			return nil, fmt.Errorf("encryption key %d: %w", i+1, err)
		}
		ring.keys = append(ring.keys, parsed)
	}
	return ring, nil
}

func parseKey(entry string) (key, error) {
	id, encoded, found := strings.Cut(entry, ":")
	if !found {
		return key{}, errors.New("want id:base64, and there is no colon")
	}
	if !isID(id) {
		return key{}, fmt.Errorf("the id must be 1 to %d characters of a-z, 0-9, - and _", idMax)
	}
	master, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return key{}, errors.New("the key is not base64")
	}
	if len(master) != keyBytes {
		return key{}, fmt.Errorf("the key has %d bytes, must have %d", len(master), keyBytes)
	}
	if !looksRandom(master) {
		return key{}, errors.New("the key is not random bytes")
	}
	return newKey(id, master)
}

// looksRandom refuses placeholders of examples and passphrases. A key of random
// bytes is refused once in 10^13.
func looksRandom(master []byte) bool {
	distinct := slices.Compact(slices.Sorted(slices.Values(master)))
	isText := !slices.ContainsFunc(master, func(b byte) bool { return b < ' ' || b > '~' })
	return len(distinct) >= keyBytes/2 && !isText
}

// clash refuses a key that can't be told from one before.
func (k *Keyring) clash(added key) error {
	for _, other := range k.keys {
		if other.id == added.id {
			return errors.New("its id was given to a key before")
		}
		if slices.Equal(other.master, added.master) {
			return errors.New("the same key was given before under another id")
		}
	}
	return nil
}

// NewKey makes a random key as Parse reads it: "id:base64".
func NewKey(id string) string {
	master := make([]byte, keyBytes)
	_, _ = rand.Read(master) // never fails: crypto/rand ends the program instead
	return id + ":" + base64.StdEncoding.EncodeToString(master)
}

func isID(id string) bool {
	isOther := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	return id != "" && len(id) <= idMax && !strings.ContainsFunc(id, isOther)
}
