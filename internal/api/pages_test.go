package api_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// What mails link to is there, and keeps its token to itself.
func TestLinksOfMailsLeadToPages(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		link := regexp.MustCompile(`https://pay\.example\.com/\S+`)
		c := w.customer("Ada Lovelace")
		c.post("/api/v1/auth/password-reset", object{"email": c.email}).want(http.StatusAccepted)
		for nth, operation := range map[int]string{1: "/api/v1/auth/verification", 2: "/api/v1/auth/password-reset/confirm"} {
			to, err := url.Parse(link.FindString(w.mailTo(c.email, nth, mailToken).Text))
			if err != nil {
				t.Fatal(err)
			}
			if token := strings.TrimPrefix(to.Fragment, "token="); to.RawQuery != "" || !mailToken.MatchString(token) {
				t.Errorf("the token is not behind # in the link of mail %d", nth)
			}
			page := w.stranger().get(to.Path)
			policy := page.header.Get("Content-Security-Policy")
			if page.status != http.StatusOK || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") || !strings.Contains(page.text, `data-path="`+operation+`"`) {
				t.Fatalf("%s is %d: %s", to.Path, page.status, page.text)
			}
			for _, rule := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "form-action 'none'"} {
				if !strings.Contains(policy, rule) {
					t.Errorf("the policy of %s has no %s: %s", to.Path, rule, policy)
				}
			}
			if page.header.Get("Referrer-Policy") != "no-referrer" || strings.Contains(page.text, "<script>") {
				t.Errorf("%s: %v, %s", to.Path, page.header, page.text)
			}
			for _, asset := range regexp.MustCompile(`(?:href|src)="([^"]+)"`).FindAllStringSubmatch(page.text, -1) {
				if asset[1] == "data:," {
					continue
				}
				if got := w.stranger().get(asset[1]); got.status != http.StatusOK || got.text == "" {
					t.Errorf("%s is %d", asset[1], got.status)
				}
			}
		}
	})
}
