package admin

import (
	"html"
	"net/url"
	"strings"
	"testing"
	"time"
)

// What took a page too long is offered as a file of the period that was asked for.
func TestAReportThatTakesTooLongIsOfferedAsAFile(t *testing.T) {
	shown := reportShown{
		report: reports[0], periods: reportPeriodsAt(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)),
		query:   url.Values{"from": {"2026-01-01"}, "to": {"2026-01-31"}},
		problem: &problem{Status: 503, Code: "timeout", Title: "It took too long"},
	}
	var page strings.Builder
	if err := reportView(&shown).Render(t.Context(), &page); err != nil {
		t.Fatal(err)
	}
	want := html.EscapeString("/api/v1/reports/trial-balance?" + url.Values{"format": {"csv"}, "from": {"2026-01-01T00:00:00Z"}, "to": {"2026-02-01T00:00:00Z"}}.Encode())
	if !strings.Contains(page.String(), want) {
		t.Errorf("no link to %s in %s", want, page.String())
	}
}
