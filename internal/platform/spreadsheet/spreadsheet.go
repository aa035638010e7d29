// Package spreadsheet makes text safe to stand in files that are opened with a
// spreadsheet.
package spreadsheet

import (
	"strings"
	"unicode/utf8"
)

// Safe keeps what somebody else wrote from being run as a formula by the program
// that a file is opened with (CWE-1236): an apostrophe makes it text.
func Safe(text string) string {
	first, size := utf8.DecodeRuneInString(strings.TrimLeft(text, " "))
	if size > 0 && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + text
	}
	return text
}
