// Package spreadsheet makes text safe to stand in files that are opened with a
// spreadsheet.
package spreadsheet

import "strings"

// Safe keeps what somebody else wrote from being run as a formula by the program
// that a file is opened with (CWE-1236): an apostrophe makes it text.
func Safe(text string) string {
	for _, first := range strings.TrimLeft(text, " ") {
		if strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
			return "'" + text
		}
		break
	}
	return text
}
