package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// textMax bounds each text of an event, in bytes; longer ones are cut.
	textMax = 512
	// stateMax bounds Before and After, in bytes; a larger one is left out.
	stateMax = 64 << 10
	// leftOut stands for a Before or After that is too large.
	leftOut = `{"leftOut":"larger than 65536 bytes"}`
)

// dayFormat is how a day is written, in Go's terms.
const dayFormat = time.DateOnly

// hash is a link of a chain.
type hash [sha256.Size]byte

// row is an event as the table has it.
type row struct {
	day, journal  string
	seq           int64
	recordedAt    int64 // microseconds since 1970
	action        string
	targetKind    string
	targetID      string
	before, after *string // nil is NULL
	result        string
	actorKind     string
	actorID       string
	role          string
	address       string
	requestID     string
}

// genesis is what the first row of a journal's day is chained to.
func genesis(day, journal string) hash {
	buf := appendText(nil, "florin audit journal 1")
	buf = appendText(buf, day)
	return sha256.Sum256(appendText(buf, journal))
}

// link is the hash of a row that follows one with the hash previous. buf is
// working memory, which it returns. Each text is preceded by its length, so that
// no two rows are written the same; changing anything here breaks every chain
// that there is.
func (r *row) link(previous hash, buf []byte) (hash, []byte) {
	buf = append(buf[:0], previous[:]...)
	buf = appendText(buf, r.day)
	buf = appendText(buf, r.journal)
	buf = binary.BigEndian.AppendUint64(buf, uint64(r.seq))
	buf = binary.BigEndian.AppendUint64(buf, uint64(r.recordedAt))
	buf = appendText(buf, r.action)
	buf = appendText(buf, r.targetKind)
	buf = appendText(buf, r.targetID)
	buf = appendOptional(buf, r.before)
	buf = appendOptional(buf, r.after)
	buf = appendText(buf, r.result)
	buf = appendText(buf, r.actorKind)
	buf = appendText(buf, r.actorID)
	buf = appendText(buf, r.role)
	buf = appendText(buf, r.address)
	buf = appendText(buf, r.requestID)
	return sha256.Sum256(buf), buf
}

func appendText(buf []byte, text string) []byte {
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(text)))
	return append(buf, text...)
}

// appendOptional tells NULL from a text, an empty one too.
func appendOptional(buf []byte, text *string) []byte {
	if text == nil {
		return append(buf, 0)
	}
	return appendText(append(buf, 1), *text)
}

// storable is the text as a database takes it, whatever a caller sent: valid
// UTF-8 without NUL, of bounded length. An event must never be the reason that
// what it is about fails.
func storable(text string) string {
	return cut(valid(cut(text)))
}

// cut bounds a text, between characters.
func cut(text string) string {
	if len(text) <= textMax {
		return text
	}
	end := textMax
	for end > textMax-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// state is Before or After as it is stored; "" for none.
func state(data []byte) string {
	if len(data) > stateMax {
		return leftOut
	}
	return valid(string(data))
}

func valid(text string) string {
	isPlain := true
	for i := range len(text) {
		if c := text[i]; c == 0 || c >= utf8.RuneSelf {
			isPlain = false
			break
		}
	}
	if isPlain {
		return text
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	return strings.ReplaceAll(text, "\x00", "\uFFFD")
}
