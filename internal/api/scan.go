package api

import (
	"encoding/json"
	"unicode/utf8"
)

// The decoder's part that knows JSON's grammar (RFC 8259) and nothing of requests.

// syntax ends the reading.
func (d *decoder) syntax() bool {
	if d.broken {
		return false
	}
	d.broken = true
	if d.at >= len(d.text) {
		d.problem("is not valid JSON: it ends too early")
		return false
	}
	found, _ := utf8.DecodeRuneInString(d.text[d.at:])
	d.problem("is not valid JSON: unexpected %q at byte %d", found, d.at+1)
	return false
}

// each reads the members of an object or the items of an array, up to the
// closing bracket; element reads the value. false: the rest can't be read or is
// not worth it.
func (d *decoder) each(closing byte, element func(key string)) bool {
	d.at++ // the opening bracket
	for isFirst := true; ; isFirst = false {
		next := d.peek()
		switch {
		case next == closing && d.at < len(d.text):
			d.at++
			return true
		case isFirst:
		case next == ',':
			d.at++
		default:
			return d.syntax()
		}
		key := ""
		if closing == '}' {
			var ok bool
			if d.peek() != '"' {
				return d.syntax()
			}
			if key, ok = d.quoted(); !ok {
				return false
			}
			if d.peek() != ':' {
				return d.syntax()
			}
			d.at++
		}
		if element(key); d.isFull() {
			return false
		}
	}
}

// peek passes over blanks and returns the byte that follows, 0 at the end.
func (d *decoder) peek() byte {
	for d.at < len(d.text) {
		switch c := d.text[d.at]; c {
		case ' ', '\n', '\r', '\t':
			d.at++
		default:
			return c
		}
	}
	return 0
}

// quoted reads a string; text[at] is its first quote.
func (d *decoder) quoted() (string, bool) {
	start := d.at
	hasEscapes := false
	for i := start + 1; i < len(d.text); i++ {
		switch c := d.text[i]; {
		case c == '"':
			d.at = i + 1
			if !hasEscapes {
				return d.text[start+1 : i], true
			}
			var unescaped string
			if err := json.Unmarshal([]byte(d.text[start:d.at]), &unescaped); err != nil {
				d.at = start
				return "", d.syntax()
			}
			return unescaped, true
		case c == '\\':
			hasEscapes = true
			i++
		case c < ' ':
			d.at = i
			return "", d.syntax()
		}
	}
	d.at = len(d.text)
	return "", d.syntax()
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// number reads a number by JSON's grammar and returns it as it is written.
func (d *decoder) number() (string, bool) {
	start := d.at
	if d.char() == '-' {
		d.at++
	}
	var ok bool
	if d.char() == '0' {
		d.at++
		ok = !isDigit(d.char()) // no zeros in front
	} else {
		ok = d.digits()
	}
	if ok && d.char() == '.' {
		d.at++
		ok = d.digits()
	}
	if ok && (d.char() == 'e' || d.char() == 'E') {
		d.at++
		if d.char() == '+' || d.char() == '-' {
			d.at++
		}
		ok = d.digits()
	}
	if !ok {
		return "", d.syntax()
	}
	return d.text[start:d.at], true
}

func (d *decoder) char() byte {
	if d.at < len(d.text) {
		return d.text[d.at]
	}
	return 0
}

func (d *decoder) digits() bool {
	start := d.at
	for isDigit(d.char()) {
		d.at++
	}
	return d.at > start
}

func (d *decoder) literal(word string) bool {
	for i := range len(word) {
		if d.char() != word[i] {
			return d.syntax()
		}
		d.at++
	}
	return true
}

// skip passes over any value and says whether it was one.
func (d *decoder) skip(depth int) bool {
	if depth > depthMax {
		d.broken = true
		d.problem("is nested deeper than %d levels", depthMax)
		return false
	}
	ok := false
	switch c := d.peek(); {
	case c == '"':
		_, ok = d.quoted()
	case c == '{':
		ok = d.each('}', func(string) { d.skip(depth + 1) })
	case c == '[':
		ok = d.each(']', func(string) { d.skip(depth + 1) })
	case c == '-' || isDigit(c):
		_, ok = d.number()
	case c == 't':
		ok = d.literal("true")
	case c == 'f':
		ok = d.literal("false")
	case c == 'n':
		ok = d.literal("null")
	default:
		d.syntax()
	}
	return ok
}
