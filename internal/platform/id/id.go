// Package id makes identifiers.
package id

import (
	"crypto/rand"
	"strings"
)

// New returns prefix, an underscore and 26 random characters of a-z and 2-7
// (130 bits): never a counter or a clock, so that new rows spread over a
// distributed primary key and ids can't be guessed.
func New(prefix string) string {
	return prefix + "_" + strings.ToLower(rand.Text())
}
