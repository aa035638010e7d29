// Package id makes identifiers, and says what can be one.
package id

import (
	"crypto/rand"
	"strings"
)

// MaxLength is how many characters an identifier has at most.
const MaxLength = 50

// New returns prefix, an underscore and 26 random characters of a-z and 2-7
// (130 bits): never a counter or a clock, so that new rows spread over a
// distributed primary key and ids can't be guessed.
func New(prefix string) string {
	return prefix + "_" + strings.ToLower(rand.Text())
}

// IsPossible says whether text can be the identifier of anything: 1 to MaxLength
// characters of A-Z a-z 0-9 _ - . and :. What can't need not be looked up, and may
// be text that a database refuses.
func IsPossible(text string) bool {
	if text == "" || len(text) > MaxLength {
		return false
	}
	for _, c := range []byte(text) {
		isAlphanumeric := 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z'
		if !isAlphanumeric && c != '_' && c != '-' && c != '.' && c != ':' {
			return false
		}
	}
	return true
}
