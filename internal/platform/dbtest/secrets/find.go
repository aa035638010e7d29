package secrets

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// MinLength is how long a secret must be, in bytes, to be looked for.
const MinLength = 8

// finder looks for many secrets at once: in one pass over a log, by the first
// MinLength bytes of each form in which a secret may stand there.
type finder struct {
	forms map[[MinLength]byte][]form
	count int
}

type form struct {
	text   string // in small letters
	isBare bool   // nothing but digits: part of a longer number is not it
	secret secret
}

// leak is where a log shows a secret.
type leak struct {
	line   int    // from 1
	text   string // the line, or its part around the secret, with all secrets masked
	secret secret
}

// String masks the secret.
func (l leak) String() string {
	return fmt.Sprintf("line %d (%s of %s): %s", l.line, l.secret.Kind, l.secret.Test, l.text)
}

func (f *finder) add(s secret) {
	if f.forms == nil {
		f.forms = map[[MinLength]byte][]form{}
	}
	f.count++
	forms := formsOf(s.Text)
	if secretPart := afterSign(s.Text); secretPart != "" {
		forms = append(forms, formsOf(secretPart)...)
	}
	for _, text := range forms {
		start := [MinLength]byte([]byte(text))
		f.forms[start] = append(f.forms[start], form{text: text, isBare: isNumber(text), secret: s})
	}
}

// afterSign is what a token or a key has behind what may be shown of it, as in
// florin_live_ID_SECRET and ID:BASE64; "" when there is no such part.
func afterSign(text string) string {
	const randomMin = 16
	text = strings.TrimRight(text, "=")
	part := text[strings.LastIndexAny(text, "_:")+1:]
	if len(part) < randomMin || part == text {
		return ""
	}
	return part
}

var unseparated = strings.NewReplacer("-", "", " ", "")

// formsOf are the ways to write a secret, in small letters, each once.
func formsOf(text string) []string {
	inJSON, _ := json.Marshal(text) // strings never fail
	bytes := []byte(text)
	decimals := strings.Trim(fmt.Sprintf("%d", bytes), "[]")
	forms := []string{
		text, unquoted(string(inJSON)), unquoted(strconv.Quote(text)), unquoted(strconv.QuoteToASCII(text)),
		url.QueryEscape(text), url.PathEscape(text),
		hex.EncodeToString(bytes), decimals, strings.ReplaceAll(decimals, " ", ","),
		base64.RawStdEncoding.EncodeToString(bytes), base64.RawURLEncoding.EncodeToString(bytes),
	}
	if whole := unseparated.Replace(text); len(whole) >= MinLength {
		forms = append(forms, whole, inFours(whole))
	}
	for i, form := range forms {
		forms[i] = lower(form)
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

func unquoted(s string) string { return s[1 : len(s)-1] }

// inFours is how people write IBANs and the like.
func inFours(text string) string {
	var groups []string
	for group := range slices.Chunk([]byte(text), 4) {
		groups = append(groups, string(group))
	}
	return strings.Join(groups, " ")
}

// lower changes ASCII alone, so that all bytes keep their places.
func lower(s string) string {
	return string(lowerBytes([]byte(s)))
}

func lowerBytes(b []byte) []byte {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNumber(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// findAll returns the lines that show a secret, each once.
func (f *finder) findAll(log string) (leaks []leak) {
	if f.count == 0 {
		return nil
	}
	number := 0
	for line := range strings.Lines(log) {
		number++
		if found, ok := f.findIn(number, strings.TrimRight(line, "\r\n")); ok {
			leaks = append(leaks, found)
		}
	}
	return leaks
}

// span is a part of a line.
type span struct{ from, to int }

func (f *finder) findIn(number int, line string) (found leak, isFound bool) {
	if len(line) < MinLength {
		return leak{}, false
	}
	text := lower(line)
	var hidden []span
	for at := range len(text) - MinLength + 1 {
		for _, form := range f.forms[[MinLength]byte([]byte(text[at:at+MinLength]))] {
			end := at + len(form.text)
			if !strings.HasPrefix(text[at:], form.text) || form.isBare && isPartOfNumber(text, at, end) {
				continue
			}
			if len(hidden) == 0 {
				found.secret = form.secret
			}
			hidden = append(hidden, span{at, end})
		}
	}
	found.line, found.text = number, masked(line, hidden)
	return found, len(hidden) > 0
}

func isPartOfNumber(text string, from, to int) bool {
	return from > 0 && isDigit(text[from-1]) || to < len(text) && isDigit(text[to])
}

// masked is the line without its secrets, and not longer than a reader needs.
func masked(line string, hidden []span) string {
	const before, lineMax = 200, 400
	var out strings.Builder
	shown, start := 0, 0
	for i, s := range hidden { // in the order of their starts
		if s.from >= shown {
			out.WriteString(line[shown:s.from])
			if i == 0 {
				start = max(0, out.Len()-before)
			}
			out.WriteString("*****")
		}
		shown = max(shown, s.to)
	}
	out.WriteString(line[shown:])
	all := out.String()
	return strings.ToValidUTF8(all[start:min(len(all), start+lineMax)], "")
}
