package admin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// scriptText is a text that must never be one on a page.
const scriptText = "<script>alert(1)</script>"

// eachLongWorld is eachWorld on a database of the test's own, on CockroachDB only
// when that is asked for: what these pages ask of the engine is tested with the API.
func eachLongWorld(t *testing.T, o worldOptions, test func(t *testing.T, w *world)) {
	t.Helper()
	o.isFresh, o.isLong = true, true
	eachWorld(t, o, test)
}

// fields are a posted form: names and values.
func fields(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}

// shows fails the test unless a page has a status and all of the texts, and none of
// what others wrote as a scriptText.
func (s shown) shows(t *testing.T, status int, texts ...string) shown {
	t.Helper()
	if s.status != status {
		t.Fatalf("answered %d, want %d:\n%s", s.status, status, s.content())
	}
	for _, text := range texts {
		if !strings.Contains(s.body, text) {
			t.Errorf("the page does not say %q:\n%s", text, s.content())
		}
	}
	if strings.Contains(s.body, scriptText) {
		t.Errorf("the page runs what somebody wrote:\n%s", s.content())
	}
	return s
}

// hides fails the test when a page has one of the texts.
func (s shown) hides(t *testing.T, texts ...string) shown {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(s.body, text) {
			t.Errorf("the page says %q:\n%s", text, s.content())
		}
	}
	return s
}

// leads fails the test unless the answer leads the browser to a path.
func (s shown) leads(t *testing.T, path string) {
	t.Helper()
	if s.status != http.StatusSeeOther || s.header.Get("Location") != path {
		t.Fatalf("answered %d to %q, want a redirect to %s: %s", s.status, s.header.Get("Location"), path, s.body)
	}
}
