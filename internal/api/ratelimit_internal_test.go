package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/platform/ratelimit"
)

func TestCallersAreLimitedByTheirRoleAndTold(t *testing.T) {
	limits, err := ParseRateLimits("customer.read=3/10s merchant.write=2/1s")
	if err != nil {
		t.Fatal(err)
	}
	_, engine := empty(Options{RateLimits: limits})
	customer := "Bearer " + roleToken(identity.Customer, identity.UserPrincipal)
	for i, want := range []string{`"read";r=2;t=4`, `"read";r=1;t=7`, `"read";r=0;t=10`} {
		answer := ask(engine, http.MethodGet, "/api/v1/nothing", "Authorization", customer)
		if answer.Code != http.StatusNotFound || answer.Header().Get("RateLimit") != want || answer.Header().Get("RateLimit-Policy") != `"read";q=3;w=10` {
			t.Errorf("call %d: %d %v", i+1, answer.Code, answer.Header())
		}
	}
	for _, path := range []string{"/api/v1/nothing", "/api/v1/accounts"} { // 429, whether he may or not
		refused := ask(engine, http.MethodGet, path, "Authorization", customer)
		if refused.Code != http.StatusTooManyRequests || codeOf(refused) != "rate_limited" || refused.Header().Get("Retry-After") != "4" || refused.Header().Get("RateLimit") != `"read";r=0;t=10` {
			t.Errorf("above the limit: %d %v %s", refused.Code, refused.Header(), refused.Body)
		}
	}
	// Neither another class nor another caller is touched.
	if other := ask(engine, http.MethodPost, "/api/v1/transfers", "Authorization", customer); other.Code != http.StatusForbidden {
		t.Errorf("write: %d", other.Code)
	}
	if other := ask(engine, http.MethodGet, "/api/v1/nothing", "Authorization", "Bearer "+roleToken(identity.Merchant, identity.UserPrincipal)); other.Code != http.StatusNotFound {
		t.Errorf("another caller: %d", other.Code)
	}
	if batch := ask(engine, http.MethodPost, "/api/v1/transfers/batch", "Authorization", "Bearer "+roleToken(identity.Merchant, identity.KeyPrincipal)); batch.Header().Get("RateLimit-Policy") != `"batch";q=10;w=1` {
		t.Errorf("batch counts as %q", batch.Header().Get("RateLimit-Policy"))
	}
}

func TestAUsersKeysShareHisBudget(t *testing.T) {
	limits, _ := ParseRateLimits("merchant.read=2/10s")
	_, engine := empty(Options{RateLimits: limits, Authenticate: func(_ context.Context, token string, _ netip.Addr) (identity.Principal, error) {
		return identity.Principal{Kind: identity.KeyPrincipal, ID: token, Role: identity.Merchant, OwnerID: "shop"}, nil
	}})
	var codes []int
	for _, token := range []string{"a", "b", "c"} {
		codes = append(codes, ask(engine, http.MethodGet, "/api/v1/nothing", "Authorization", "Bearer "+token).Code)
	}
	if codes[0] != 404 || codes[1] != 404 || codes[2] != 429 {
		t.Errorf("%v", codes)
	}
}

func TestWrongCredentialsAreLimitedByAddress(t *testing.T) {
	looked := 0
	a, engine := empty(Options{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, // of httptest's requests
		Authenticate: func(ctx context.Context, token string, address netip.Addr) (identity.Principal, error) {
			looked++
			return principalOfToken(ctx, token, address)
		},
	})
	const from = "203.0.113.7"
	try := func(address, token string) int {
		return ask(engine, http.MethodGet, "/api/v1/nothing", "Authorization", "Bearer "+token, "X-Forwarded-For", address).Code
	}
	quota := defaultRateLimits["refused"].Quota
	for i := range quota {
		if got := try(from, "wrong"); got != http.StatusUnauthorized {
			t.Fatalf("wrong token %d: %d", i, got)
		}
	}
	if got := try(from, "wrong"); got != http.StatusTooManyRequests {
		t.Errorf("one too many: %d", got)
	}
	good := roleToken(identity.Admin, identity.KeyPrincipal)
	if got := try(from, good); got != http.StatusNotFound {
		t.Errorf("a good token of the same address: %d", got)
	}
	for range 1000 {
		try(from, "wrong")
	}
	if most := quota + 1 + 1 + a.limits.looked.Limit().Quota; looked > most {
		t.Errorf("%d tokens were looked up, want %d at most", looked, most)
	}
	if got := try(from, good); got != http.StatusTooManyRequests {
		t.Errorf("among a thousand guesses: %d", got)
	}
	if got := try("203.0.113.8", good); got != http.StatusNotFound {
		t.Errorf("another address: %d", got)
	}
	if got := ask(engine, http.MethodGet, "/api/v1/nothing", "X-Forwarded-For", from).Code; got != http.StatusTooManyRequests {
		t.Errorf("no token at all: %d", got)
	}
}

func TestPublicPathsAreLimitedByAddress(t *testing.T) {
	limits, _ := ParseRateLimits("public=2/1s")
	_, engine := empty(Options{RateLimits: limits})
	for i, want := range []int{200, 404, 429, 429} {
		path := []string{"/healthz", "/nothing"}[i%2]
		if got := ask(engine, http.MethodGet, path).Code; got != want {
			t.Errorf("call %d: %d; want %d", i, got, want)
		}
	}
}

func TestSignInIsTheStrictest(t *testing.T) {
	a, _ := empty(Options{})
	rate := func(p *ratelimit.Policy) float64 { return float64(p.Limit().Quota) / p.Limit().Window.Seconds() }
	signIn := rate(a.limits.byAddress(classSignIn))
	for name, policy := range a.limits.policies {
		if name != string(classSignIn) && rate(policy) <= signIn {
			t.Errorf("%s is as strict as sign-in", name)
		}
	}
	for key, policy := range a.limits.byCaller {
		if rate(policy) <= signIn {
			t.Errorf("%v is as strict as sign-in", key)
		}
	}
	for _, role := range identity.Roles {
		for _, class := range []rateClass{classRead, classWrite, classBatch} {
			if a.limits.byCaller[roleClass{role, class}] == nil {
				t.Errorf("%s has no limit of %s", role, class)
			}
		}
	}
	if a.limits.byRole("emperor", classRead) != a.limits.byRole(identity.Customer, classRead) {
		t.Error("an unknown role has another limit than a customer's")
	}
}

func FuzzParseRateLimits(f *testing.F) {
	for _, seed := range []string{"", "signin=5/60s", "customer.read=50/10s merchant.batch=none", "x=1/1s", "signin=5/60s signin=5/60s", "signin=0/1s", "signin=1/1ms", "=", "signin=1/", "signin=9999999999999/1s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limits, err := ParseRateLimits(text)
		if err != nil {
			return
		}
		var written []string
		for name, limit := range limits {
			if !limit.IsUnlimited() && (limit.Quota < 1 || limit.Window < time.Second) {
				t.Fatalf("%q: %s is %v", text, name, limit)
			}
			written = append(written, name+"="+limit.String())
		}
		again, err := ParseRateLimits(strings.Join(written, " "))
		if err != nil || len(again) != len(limits) {
			t.Fatalf("%q became %q: %v", text, written, err)
		}
		newLimits(func() time.Time { return testNow }, limits)
	})
}
