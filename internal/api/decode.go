package api

import (
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"florin/internal/ledger"
	"florin/internal/money"
)

const (
	// problemsMax is how many problems of a body are told.
	problemsMax = 20
	// depthMax is how deep metadata may be nested.
	depthMax = 64
)

// object is a request type that says how its members are read.
type object[T any] interface{ members() []member[T] }

// member is one member of a JSON object.
type member[T any] struct {
	name     string
	required bool
	read     func(*decoder, *T)
}

// decode reads a JSON object strictly: every member known, none twice, names in
// their exact case, nothing after the end. It returns every problem found, each
// with the name of its field. The strings that it sets share text's memory.
func decode[T object[T]](text string, into *T) []ledger.FieldError {
	d := decoder{text: text}
	switch {
	case text == "":
		d.problem("is required")
	case !utf8.ValidString(text):
		d.problem("must be UTF-8")
	default:
		decodeObject(&d, into)
		if d.peek(); !d.broken && !d.isFull() && d.at < len(text) {
			d.broken = true
			d.problem("has something after its end")
		}
	}
	for i := range d.problems {
		if d.problems[i].Field == "" {
			d.problems[i].Field = "body"
		}
	}
	return d.problems
}

// decoder is a place in a JSON text. It exists because encoding/json neither
// names the place of a problem nor refuses repeated members, and because a batch
// of thousands is read several times faster without reflection.
type decoder struct {
	text     string
	at       int
	problems []ledger.FieldError
	broken   bool // what follows can't be understood
}

// isFull says that nothing more is worth reading.
func (d *decoder) isFull() bool { return d.broken || len(d.problems) >= problemsMax }

// problem is about the value at hand; the containers around it add its name.
func (d *decoder) problem(format string, args ...any) {
	d.problems = append(d.problems, ledger.FieldError{Problem: fmt.Sprintf(format, args...)})
}

// within puts a container's part before the names of the problems from first on.
func (d *decoder) within(first int, part string) {
	for i := first; i < len(d.problems); i++ {
		switch field := d.problems[i].Field; {
		case field == "":
			d.problems[i].Field = part
		case field[0] == '[':
			d.problems[i].Field = part + field
		default:
			d.problems[i].Field = part + "." + field
		}
	}
}

// wrongType is the problem of the value at hand, which is passed over.
func (d *decoder) wrongType(want string) {
	if d.skip(0) {
		d.problem("must be %s", want)
	}
}

func decodeObject[T object[T]](d *decoder, into *T) {
	if d.peek() != '{' {
		d.wrongType("a JSON object")
		return
	}
	members := (*into).members()
	var seen, set uint64
	ok := d.each('}', func(key string) {
		first, i := len(d.problems), indexOf(members, key)
		switch {
		case i < 0:
			if d.skip(0) {
				d.problem("is not a field of this request")
			}
		case seen&(1<<i) != 0:
			if d.skip(0) {
				d.problem("is given twice")
			}
		default:
			seen |= 1 << i
			if d.peek() == 'n' { // null is the same as absent
				d.literal("null")
			} else {
				set |= 1 << i
				members[i].read(d, into)
			}
		}
		// Here and not in each, so that the problem bears the member's name.
		if c := d.peek(); c != ',' && c != '}' {
			d.syntax()
		}
		if len(d.problems) > first {
			d.within(first, clip(key))
		}
	})
	if !ok {
		return
	}
	for i, m := range members {
		if m.required && set&(1<<i) == 0 {
			first := len(d.problems)
			d.problem("is required")
			d.within(first, m.name)
		}
	}
}

func indexOf[T any](members []member[T], name string) int {
	for i := range members {
		if members[i].name == name {
			return i
		}
	}
	return -1
}

// clip keeps a stranger's key readable.
func clip(key string) string {
	const most = 64
	if len(key) <= most {
		return key
	}
	return key[:most] + "..."
}

// decodeList reads an array of at most most objects.
func decodeList[T object[T]](d *decoder, into *[]T, most int) {
	if d.peek() != '[' {
		d.wrongType("an array")
		return
	}
	d.each(']', func(string) {
		n := len(*into)
		if n == most {
			d.problem("must have at most %d items", most)
			d.broken = true // what follows may be without end
			return
		}
		if n == cap(*into) {
			grown := make([]T, n, min(most, max(16, 2*n)))
			copy(grown, *into)
			*into = grown
		}
		*into = (*into)[:n+1]
		first := len(d.problems)
		decodeObject(d, &(*into)[n])
		if c := d.peek(); c != ',' && c != ']' {
			d.syntax()
		}
		if len(d.problems) > first {
			d.within(first, "["+strconv.Itoa(n)+"]")
		}
	})
}

func (d *decoder) readText(into *string) {
	if d.peek() != '"' {
		d.wrongType("a string")
		return
	}
	*into, _ = d.quoted()
}

func (d *decoder) readFlag(into *bool) {
	switch d.peek() {
	case 't':
		*into = d.literal("true")
	case 'f':
		d.literal("false")
	default:
		d.wrongType("true or false")
	}
}

func (d *decoder) readAmount(into *Amount) {
	var text string
	var ok bool
	switch c := d.peek(); {
	case c == '"':
		text, ok = d.quoted()
	case c == '-' || isDigit(c):
		text, ok = d.number()
	default:
		d.wrongType("an amount, as a string or a number")
	}
	if !ok {
		return
	}
	value, err := money.Parse(text)
	if err != nil {
		d.problem("%v", err)
		return
	}
	into.Decimal, into.Valid = value, true
}

// readTime takes RFC 3339 and years that it can write again.
func (d *decoder) readTime(into **time.Time) {
	if d.peek() != '"' {
		d.wrongType("a time as in RFC 3339, such as 2026-01-31T09:30:00Z")
		return
	}
	text, ok := d.quoted()
	if !ok {
		return
	}
	at, err := time.Parse(time.RFC3339, text)
	if at = at.UTC(); err != nil || at.Year() < 1 || at.Year() > 9999 {
		d.problem("must be a time as in RFC 3339, such as 2026-01-31T09:30:00Z, of the years 1 to 9999")
		return
	}
	*into = &at
}

// readMetadata takes any object as it is written.
func (d *decoder) readMetadata(into *Metadata) {
	if d.peek() != '{' {
		d.wrongType("a JSON object")
		return
	}
	start := d.at
	if d.skip(0) {
		*into = Metadata(d.text[start:d.at])
	}
}
