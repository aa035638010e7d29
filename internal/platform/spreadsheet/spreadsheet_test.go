package spreadsheet_test

import (
	"strings"
	"testing"

	"florin/internal/platform/spreadsheet"
)

func FuzzSpreadsheetSafe(f *testing.F) {
	for _, seed := range []string{"=1", " =1", "\t@x", "plain", "", "＝1", "'=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		safe := spreadsheet.Safe(text)
		if first := strings.TrimLeft(safe, " "); first != "" && strings.ContainsAny(first[:1], "=+-@\t\r\n") {
			t.Fatalf("%q stays %q", text, safe)
		}
		if safe != text && safe != "'"+text {
			t.Fatalf("%q becomes %q", text, safe)
		}
	})
}
