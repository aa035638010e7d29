package admin

import (
	"strconv"
	"strings"
	"time"
)

// What people type into forms, as the API takes it. What makes no sense goes to the
// API as it is, which says what is wrong with it.

// instantOf is a date, or a date and time, in UTC as the API takes it: as a person
// types it, or as <input type="datetime-local"> sends it. What is neither stays as it
// is: the API says what is wrong with it.
func instantOf(typed string) string {
	typed = strings.TrimSpace(typed)
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, typed); err == nil {
			return at.Format(time.RFC3339)
		}
	}
	return typed
}

// dayInWords is a time of a campaign in UTC: a date where it is a midnight. It is
// what instantOf reads.
func dayInWords(at time.Time) string {
	at = at.UTC()
	switch {
	case at.Equal(at.Truncate(24 * time.Hour)):
		return at.Format(time.DateOnly)
	case at.Equal(at.Truncate(time.Minute)):
		return at.Format("2006-01-02 15:04")
	}
	return at.Format(time.RFC3339Nano)
}

// numberTyped is a whole number for the API, or what was typed in its place: the API
// says what is wrong with it.
func numberTyped(typed string) any {
	if number, err := strconv.Atoi(strings.TrimSpace(typed)); err == nil {
		return number
	}
	return typed
}

// namesTyped are names that stand in lines, or with commas between them.
func namesTyped(typed string) []string {
	return strings.FieldsFunc(typed, func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) })
}

// pairsTyped are lines of a name and what it stands for, with a colon between them.
func pairsTyped(typed string) (pairs [][2]string) {
	for line := range strings.Lines(typed) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name != "" {
			pairs = append(pairs, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
		}
	}
	return pairs
}
