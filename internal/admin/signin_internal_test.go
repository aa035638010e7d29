package admin

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWithTLSNoNeighbourPlantsANotice(t *testing.T) {
	for overTLS, begins := range map[bool]string{true: "__Host-florin_notice=", false: "florin_notice="} {
		p, to := &Pages{overTLS: overTLS}, httptest.NewRecorder()
		p.setNotice(to, "Frozen.", 60)
		cookie := to.Header().Get("Set-Cookie")
		// Browsers take a cookie of such a name with these attributes alone.
		isBound := strings.Contains(cookie, "Path=/;") && strings.Contains(cookie, "Secure")
		if !strings.HasPrefix(cookie, begins) || isBound != overTLS {
			t.Errorf("over TLS %t: %s", overTLS, cookie)
		}
		asked := httptest.NewRequest("GET", "/admin/accounts", nil)
		asked.Header.Set("Cookie", strings.Split(cookie, ";")[0])
		if got := p.takeNotice(httptest.NewRecorder(), asked); got != "Frozen." {
			t.Errorf("over TLS %t: the notice is %q", overTLS, got)
		}
		if got := (&Pages{overTLS: !overTLS}).takeNotice(httptest.NewRecorder(), asked); got != "" {
			t.Errorf("over TLS %t: a cookie of the other name says %q", overTLS, got)
		}
	}
}
