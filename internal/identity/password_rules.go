package identity

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Bounds of a password, in characters.
const (
	passwordMin = 12
	passwordMax = 128
)

// commonText is the list of what is refused; its first lines say where it is from.
//
//go:embed password_common.txt.gz
var commonText []byte

// common is read at the first use.
var common = sync.OnceValue(func() map[string]struct{} {
	unzipped, err := gzip.NewReader(bytes.NewReader(commonText))
	if err != nil {
		panic(err) // embedded: a test reads it
	}
	all := make(map[string]struct{}, 30_000)
	lines := bufio.NewScanner(unzipped)
	isHead := true
	for lines.Scan() {
		if isHead = isHead && strings.HasPrefix(lines.Text(), "# "); !isHead {
			all[lines.Text()] = struct{}{}
		}
	}
	if lines.Err() != nil {
		panic(lines.Err())
	}
	return all
})

func isCommon(s string) bool {
	_, found := common()[s]
	return found
}

// checkPassword says what is wrong with a new password, or nil. The rules are NIST
// SP 800-63B's: long, not among the common ones, not made of what everybody knows of
// the user; nothing about kinds of characters. known is what is known: his address
// of mail and his name.
func checkPassword(field, password string, known ...string) error {
	if !utf8.ValidString(password) {
		return invalid(field, "must be UTF-8")
	}
	// Counted before it is made normal too: that can make it longer.
	length := utf8.RuneCountInString(normalIfShort(password))
	switch {
	case length > passwordMax:
		return invalid(field, "must not be longer than 128 characters")
	case length < passwordMin:
		return invalid(field, "must be 12 characters or more")
	}
	lower := strings.ToLower(normalPassword(password))
	switch {
	case isCommonPassword(lower):
		return invalid(field, "is one of the most common passwords, or much like one")
	case isPattern(lower):
		return invalid(field, "repeats itself or counts on")
	case containsKnown(lower, known):
		return invalid(field, "must not contain your name, your email address or the name of this service")
	}
	return nil
}

func normalIfShort(password string) string {
	if utf8.RuneCountInString(password) > passwordMax {
		return password
	}
	return normalPassword(password)
}

// unleet turns back what people write for letters.
var unleet = strings.NewReplacer("0", "o", "1", "l", "3", "e", "4", "a", "5", "s", "7", "t", "8", "b", "@", "a", "$", "s", "!", "i", "+", "t")

// isCommonPassword says whether the password, or what is left of it without digits and
// signs around it, is on the list: as it is or with the usual signs for letters.
// "Password2024!" is "password" to those who guess.
func isCommonPassword(lower string) bool {
	for _, form := range []string{lower, unleet.Replace(lower)} {
		if isCommon(form) {
			return true
		}
	}
	core := strings.TrimFunc(lower, func(r rune) bool { return !unicode.IsLetter(r) })
	// The sign at the end may be a letter: p@ssw0rd. It is turned back first too.
	whole := strings.TrimFunc(unleet.Replace(strings.TrimRight(lower, "0123456789!")), func(r rune) bool { return !unicode.IsLetter(r) })
	for _, form := range []string{core, unleet.Replace(core), whole} {
		if isCommon(form) || isCommon(unit(form)) {
			return true
		}
	}
	return false
}

// isPattern says whether the password is a short piece repeated, or characters that
// follow each other.
func isPattern(lower string) bool {
	if utf8.RuneCountInString(unit(lower)) < passwordMin/2 {
		return true
	}
	runes := []rune(lower)
	different := map[rune]bool{}
	steps := 0 // neighbours as in abc, 321 or aaa
	for i, r := range runes {
		different[r] = true
		if i > 0 && (r-runes[i-1] >= -1 && r-runes[i-1] <= 1) {
			steps++
		}
	}
	return len(different) < 5 || steps*4 >= (len(runes)-1)*3
}

// unit is the shortest piece that s is a repetition of: s itself for most.
func unit(s string) string {
	for length := 1; length <= len(s)/2; length++ {
		if len(s)%length == 0 && strings.Repeat(s[:length], len(s)/length) == s {
			return s[:length]
		}
	}
	return s
}

// knownMin is how long a word must be for a password not to contain it.
const knownMin = 4

func containsKnown(lower string, known []string) bool {
	isBetween := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	plain := unleet.Replace(lower)
	for _, text := range append(known, "florin") {
		text = strings.ToLower(normalPassword(text))
		if at := strings.LastIndexByte(text, '@'); at >= 0 {
			// The whole address and its local part; the domain alone says little.
			text = text[:at] + " " + strings.ReplaceAll(text[:at], ".", "")
		}
		for _, word := range strings.FieldsFunc(text, isBetween) {
			if utf8.RuneCountInString(word) < knownMin {
				continue
			}
			if strings.Contains(lower, word) || strings.Contains(plain, unleet.Replace(word)) {
				return true
			}
		}
	}
	return false
}
