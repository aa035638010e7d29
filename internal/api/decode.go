package api

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

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
// their exact case, nothing after the end. It returns the problems found, each
// with the name of its field. body may not be changed while it runs.
func decode[T object[T]](body []byte, into *T) []ledger.FieldError {
	d := decoder{json: tokensOf(body)}
	if len(body) == 0 {
		d.problem("is required")
		return d.problems
	}
	decodeObject(&d, into)
	if !d.isFull() {
		if _, err := d.json.ReadToken(); !errors.Is(err, io.EOF) {
			d.problem("has something after its end")
		}
	}
	return d.problems
}

// tokensOf reads body itself, not a copy. Members given twice are seen to here:
// jsontext would stop at them, and remember each name of any metadata.
func tokensOf(body []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
}

// decoder collects the problems of a JSON text. It exists because json.Unmarshal
// stops at the first one.
//
// Nothing but objects and lists of a request is opened by tokens, all else is
// read as one value: so the decoder's stack names the field at hand.
type decoder struct {
	json     *jsontext.Decoder
	problems []ledger.FieldError
	broken   bool // what follows can't be understood
}

// isFull says that nothing more is worth reading.
func (d *decoder) isFull() bool { return d.broken || len(d.problems) >= problemsMax }

// problem is about the value that was read last.
func (d *decoder) problem(format string, args ...any) {
	d.problemAt(d.json.StackPointer(), format, args...)
}

func (d *decoder) problemAt(at jsontext.Pointer, format string, args ...any) {
	if !d.isFull() {
		d.problems = append(d.problems, ledger.FieldError{Field: d.fieldOf(at), Problem: fmt.Sprintf(format, args...)})
	}
}

// fieldOf writes /transfers/3/amount as transfers[3].amount, /to/userId as to.userId.
// at is where the decoder stands, above, or a member of the object that it has just
// left: its stack tells lists from objects.
func (d *decoder) fieldOf(at jsontext.Pointer) string {
	var field strings.Builder
	depth := 0
	for part := range at.Tokens() {
		depth++
		if d.isInList(depth) {
			fmt.Fprintf(&field, "[%s]", part)
		} else {
			fmt.Fprintf(&field, ".%.64s", part) // a stranger's name may be long
		}
	}
	return cmp.Or(strings.TrimPrefix(field.String(), "."), "body")
}

func (d *decoder) isInList(depth int) bool {
	if depth > d.json.StackDepth() {
		return false
	}
	container, _ := d.json.StackIndex(depth)
	return container == '['
}

// syntax ends the reading.
func (d *decoder) syntax(err error) {
	if bad := (*jsontext.SyntacticError)(nil); errors.As(err, &bad) && !errors.Is(err, io.ErrUnexpectedEOF) {
		d.problem("is not valid JSON: %v (byte %d)", bad.Err, bad.ByteOffset+1)
	} else {
		d.problem("is not valid JSON: it ends too early")
	}
	d.broken = true
}

func (d *decoder) token() jsontext.Token {
	token, err := d.json.ReadToken()
	if err != nil {
		d.syntax(err)
	}
	return token
}

// value is the next value as it is written, until the next one is read.
func (d *decoder) value() jsontext.Value {
	value, err := d.json.ReadValue()
	if err != nil {
		d.syntax(err)
	}
	return value
}

// is says whether the next value is of a kind. Any other is passed over.
func (d *decoder) is(kind jsontext.Kind, want string) bool {
	if d.json.PeekKind() == kind {
		return true
	}
	d.value()
	d.problem("must be %s", want)
	return false
}

func decodeObject[T object[T]](d *decoder, into *T) {
	if !d.is('{', "a JSON object") {
		return
	}
	d.token()
	members := (*into).members()
	var seen, set uint64
	for !d.isFull() {
		name := d.token()
		if name.Kind() != '"' { // the end, or no JSON
			break
		}
		i := indexOf(members, name)
		switch {
		case i < 0:
			d.value()
			d.problem("is not a field of this request")
		case seen&(1<<i) != 0:
			d.value()
			d.problem("is given twice")
		case d.json.PeekKind() == 'n': // null is the same as absent
			d.value()
			seen |= 1 << i
		default:
			seen |= 1 << i
			set |= 1 << i
			members[i].read(d, into)
		}
	}
	for i, m := range members {
		if m.required && set&(1<<i) == 0 {
			d.problemAt(d.json.StackPointer().AppendToken(m.name), "is required")
		}
	}
}

func indexOf[T any](members []member[T], token jsontext.Token) int {
	name := token.String()
	for i := range members {
		if members[i].name == name {
			return i
		}
	}
	return -1
}

// decodeList reads an array of at most most objects.
func decodeList[T object[T]](d *decoder, into *[]T, most int) {
	if !d.is('[', "an array") {
		return
	}
	d.token()
	for !d.isFull() && d.json.PeekKind() != ']' {
		n := len(*into)
		if n == most {
			d.problemAt(d.json.StackPointer().Parent(), "must have at most %d items", most)
			d.broken = true // what follows may be without end
			return
		}
		*into = append(*into, *new(T))
		decodeObject(d, &(*into)[n])
	}
	if !d.isFull() {
		d.token()
	}
}

func (d *decoder) readText(into *string) {
	if d.is('"', "a string") {
		*into = d.token().String()
	}
}

// readOptionalText tells a text that is given from one that is not.
func (d *decoder) readOptionalText(into **string) {
	if d.is('"', "a string") {
		text := d.token().String()
		*into = &text
	}
}

// readTexts takes a list of at most most strings. An empty one is not nil: it tells
// from a list that is not given.
func (d *decoder) readTexts(into *[]string, most int) {
	if !d.is('[', "an array of strings") {
		return
	}
	d.token()
	*into = []string{}
	for !d.isFull() && d.json.PeekKind() != ']' {
		if len(*into) == most {
			d.problemAt(d.json.StackPointer().Parent(), "must have at most %d items", most)
			d.broken = true
			return
		}
		*into = append(*into, "")
		d.readText(&(*into)[len(*into)-1])
	}
	if !d.isFull() {
		d.token()
	}
}

// readInt takes a whole number.
func (d *decoder) readInt(into *int) {
	if !d.is('0', "a whole number") {
		return
	}
	n, err := strconv.ParseInt(d.token().String(), 10, 32)
	if err != nil {
		d.problem("must be a whole number, of at most nine digits")
		return
	}
	*into = int(n)
}

func (d *decoder) readFlag(into *bool) {
	if d.json.PeekKind() == 'f' || d.is('t', "true or false") {
		*into = d.token().Kind() == 't'
	}
}

// readAmount takes the very characters of the number or string.
func (d *decoder) readAmount(into *Amount) {
	if d.json.PeekKind() != '0' && !d.is('"', "an amount, as a string or a number") {
		return
	}
	value, err := money.Parse(d.token().String())
	if err != nil {
		d.problem("%v", err)
		return
	}
	into.Decimal, into.Valid = value, true
}

// readAmountLimit takes an amount or the word for no limit.
func (d *decoder) readAmountLimit(into *AmountLimit) {
	if d.json.PeekKind() != '0' && !d.is('"', "an amount, or none") {
		return
	}
	text := d.token().String()
	if text == noLimit {
		into.IsGiven = true
		return
	}
	value, err := money.Parse(text)
	if err != nil {
		d.problem("%v", err)
		return
	}
	into.IsGiven, into.Limit = true, decimal.NewNullDecimal(value)
}

// readInstant takes RFC 3339 and years that it can write again.
func (d *decoder) readInstant(into *time.Time) (isTaken bool) {
	if !d.is('"', "a time as in RFC 3339, such as 2026-01-31T09:30:00Z") {
		return false
	}
	at, err := time.Parse(time.RFC3339, d.token().String())
	if at = at.UTC(); err != nil || at.Year() < 1 || at.Year() > 9999 {
		d.problem("must be a time as in RFC 3339, such as 2026-01-31T09:30:00Z, of the years 1 to 9999")
		return false
	}
	*into = at
	return true
}

// readTime tells a time that is given from one that is not.
func (d *decoder) readTime(into **time.Time) {
	if at := (time.Time{}); d.readInstant(&at) {
		*into = &at
	}
}

// readMetadata takes any object as it is written.
func (d *decoder) readMetadata(into *Metadata) {
	if !d.is('{', "a JSON object") {
		return
	}
	value := d.value()
	if isDeep(value) {
		d.problem("is nested deeper than %d levels", depthMax)
		return
	}
	*into = Metadata(value.Clone())
}

func isDeep(value jsontext.Value) bool {
	tokens := tokensOf(value)
	for tokens.StackDepth() <= depthMax {
		if _, err := tokens.ReadToken(); err != nil {
			return false // the end
		}
	}
	return true
}
