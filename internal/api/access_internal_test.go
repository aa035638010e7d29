package api

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/identity"
)

var updateTable = flag.Bool("update", false, "write testdata/access.txt anew")

// roleToken is a token that principalOfToken knows: a role, whether it is a
// person's, and the scopes.
func roleToken(role identity.Role, kind identity.PrincipalKind, scopes ...identity.Permission) string {
	token := string(role) + "/" + string(kind)
	for _, scope := range scopes {
		token += "/" + string(scope)
	}
	return token
}

var testNow = time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)

func principalOfToken(_ context.Context, token string, _ netip.Addr) (identity.Principal, error) {
	parts := strings.Split(token, "/")
	if len(parts) < 2 {
		return identity.Principal{}, ErrUnauthenticated
	}
	p := identity.Principal{
		Kind: identity.PrincipalKind(parts[1]), ID: "id-of-" + parts[0], Role: identity.Role(parts[0]),
		UserID: "user-of-" + parts[0], ProvenAt: testNow, HasSecondFactor: true,
	}
	if p.Role.ReachesOwnOnly() {
		p.OwnerID = p.UserID
	}
	for _, scope := range parts[2:] {
		p.Scopes = append(p.Scopes, identity.Permission(scope))
	}
	return p, nil
}

// empty is the API without anything behind it: a request that gets as far as a
// handler ends as invalid or as a panic.
func empty(o Options) (*api, *gin.Engine) {
	o.Log, o.Registry = slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	if o.Authenticate == nil {
		o.Authenticate = principalOfToken
	}
	o.Ready = func(context.Context) error { return nil }
	o.Clock = func() time.Time { return testNow }
	return build(o)
}

// ask sends a request; headers are pairs.
func ask(engine http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, path, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	engine.ServeHTTP(answer, r)
	return answer
}

func codeOf(answer *httptest.ResponseRecorder) string {
	_, rest, _ := strings.Cut(answer.Body.String(), `"code":"`)
	text, _, _ := strings.Cut(rest, `"`)
	return text
}

func TestEveryRouteHasARule(t *testing.T) {
	a, engine := empty(Options{})
	routes := engine.Routes()
	if len(routes) < 30 {
		t.Fatalf("%d routes", len(routes))
	}
	for _, route := range routes {
		r, found := a.rules[routeKey{route.Method, route.Path}]
		name := route.Method + " " + route.Path
		if !found {
			t.Errorf("%s has no rule", name)
			continue
		}
		given := 0
		for _, isGiven := range []bool{r.isPublic, r.forAnyone, len(r.needs) > 0} {
			if isGiven {
				given++
			}
		}
		if given != 1 {
			t.Errorf("%s: it is said in %d ways who may: %+v", name, given, r)
		}
		for _, permission := range r.needs {
			if !slices.Contains(identity.AllPermissions, permission) {
				t.Errorf("%s needs %q, which there is not", name, permission)
			}
		}
		isAPI := strings.HasPrefix(route.Path, "/api/")
		if isSigned := route.Path == ginPath.Replace(ingestEndpoint.path); r.isPublic && isAPI && !isSigned && !r.class.changesAccounts() {
			t.Errorf("%s is for everybody and counts as %q", name, r.class)
		}
		if !r.isPublic && a.limits.byCaller[roleClass{identity.Admin, r.class}] == nil {
			t.Errorf("%s counts as %q, which has no limits", name, r.class)
		}
		if !r.isPublic && !isAPI {
			t.Errorf("%s is protected outside of /api/", name)
		}
	}
	if len(a.rules) != len(routes) {
		t.Errorf("%d rules for %d routes", len(a.rules), len(routes))
	}
}

// A route that was registered past route() is closed.
func TestRouteWithoutARuleIsNobodys(t *testing.T) {
	a, engine := empty(Options{})
	engine.GET("/api/v1/forgotten", func(c *gin.Context) { c.Status(http.StatusOK) })
	engine.GET("/forgotten", func(c *gin.Context) { c.Status(http.StatusOK) })
	for _, path := range []string{"/api/v1/forgotten", "/forgotten"} {
		if answer := ask(engine, http.MethodGet, path, "Authorization", "Bearer "+roleToken(identity.Admin, identity.UserPrincipal)); codeOf(answer) != "forbidden" {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	_ = a
}

// testdata/access.txt is the table as people read it: changes of it are changes
// of who may do what.
func TestRolesGetAsFarAsTheTableSays(t *testing.T) {
	a, engine := empty(Options{RateLimits: unlimitedRates()})
	var table strings.Builder
	routes := engine.Routes()
	slices.SortFunc(routes, func(x, y gin.RouteInfo) int {
		return cmp.Or(cmp.Compare(x.Path, y.Path), cmp.Compare(x.Method, y.Method))
	})
	for _, route := range routes {
		r := a.rules[routeKey{route.Method, route.Path}]
		if !strings.HasPrefix(route.Path, "/api/") {
			continue
		}
		fmt.Fprintf(&table, "%-6s %s\n", route.Method, route.Path)
		if r.isPublic {
			fmt.Fprintf(&table, "       everybody, limited as %s\n", r.class)
			continue
		}
		if answer := ask(engine, route.Method, route.Path); codeOf(answer) != "unauthenticated" && codeOf(answer) != "cross_origin" {
			t.Errorf("%s %s without a credential: %d %s", route.Method, route.Path, answer.Code, answer.Body)
		}
		fmt.Fprintf(&table, "       people  :%s\n", let(engine, route, identity.UserPrincipal))
		fmt.Fprintf(&table, "       programs:%s\n", let(engine, route, identity.KeyPrincipal))
	}
	if *updateTable {
		if err := os.WriteFile("testdata/access.txt", []byte(table.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/access.txt")
	if err != nil {
		t.Fatal(err)
	}
	if table.String() != string(want) {
		t.Errorf("who may do what has changed; if it is meant, run this test with -update. Now:\n%s", table.String())
	}
}

// let are the roles that a route lets through.
func let(engine http.Handler, route gin.RouteInfo, kind identity.PrincipalKind) (roles string) {
	for _, role := range identity.Roles {
		answer := ask(engine, route.Method, route.Path, "Authorization", "Bearer "+roleToken(role, kind))
		if codeOf(answer) != "forbidden" { // a handler with nothing behind it may refuse for another reason
			roles += " " + string(role)
		}
	}
	return roles
}

func unlimitedRates() RateLimits {
	limits := RateLimits{}
	for name := range defaultRateLimits {
		limits[name] = defaultRateLimits["admin.read"]
	}
	return limits
}

func TestScopesNarrowWhatAKeyMayDo(t *testing.T) {
	a, engine := empty(Options{RateLimits: unlimitedRates()})
	for key, r := range a.rules {
		if len(r.needs) == 0 {
			continue
		}
		for _, scope := range identity.AllPermissions {
			token := roleToken(identity.Admin, identity.KeyPrincipal, scope)
			answer := ask(engine, key.method, key.path, "Authorization", "Bearer "+token)
			isLet := codeOf(answer) != "forbidden"
			if want := slices.Contains(r.needs, scope) && !r.forPeople; isLet != want {
				t.Errorf("%s %s with the scope %s: %d %s", key.method, key.path, scope, answer.Code, answer.Body)
			}
		}
	}
}

func TestPermitSaysWhy(t *testing.T) {
	a, _ := empty(Options{})
	user := identity.Principal{Kind: identity.UserPrincipal, ID: "u", UserID: "u", Role: identity.Operator, ProvenAt: testNow, HasSecondFactor: true}
	passwordOnly := user
	passwordOnly.HasSecondFactor = false
	buyer := identity.Principal{Kind: identity.UserPrincipal, ID: "c", UserID: "c", OwnerID: "c", Role: identity.Customer, ProvenAt: testNow}
	stale := user
	stale.ProvenAt = testNow.Add(-proofMax - time.Second)
	program := identity.Principal{Kind: identity.KeyPrincipal, ID: "k", Role: identity.Operator}
	ownerless := identity.Principal{Kind: identity.KeyPrincipal, ID: "k", Role: identity.Merchant}
	unknown := identity.Principal{Kind: identity.KeyPrincipal, ID: "k", Role: "emperor"}
	needs := rule{needs: allow(identity.AccountsWrite)}
	for name, c := range map[string]struct {
		principal identity.Principal
		rule      rule
		want      code
		detail    string
	}{
		"may":                        {user, needs, "", ""},
		"may not":                    {user, rule{needs: allow(identity.RolesWrite, identity.AuditRead)}, codeForbidden, "roles:write or audit:read"},
		"me without a user":          {program, rule{needs: allow(identity.MeRead)}, codeForbidden, "me:read"},
		"owner's role without owner": {ownerless, rule{forAnyone: true}, codeForbidden, "own"},
		"no such role":               {unknown, needs, codeForbidden, "accounts:write"},
		"people only":                {program, rule{needs: allow(identity.AccountsWrite), forPeople: true}, codeForbidden, "people"},
		"proven":                     {user, rule{needs: allow(identity.AccountsWrite), isSensitive: true}, "", ""},
		"not proven lately":          {stale, rule{needs: allow(identity.AccountsWrite), isSensitive: true}, codeProofRequired, "10m"},
		"staff by password alone":    {passwordOnly, needs, codeStaffFactor, "operator"},
		"his own profile":            {passwordOnly, rule{needs: allow(identity.MeWrite), isSensitive: true}, "", ""},
		"what is for anyone":         {passwordOnly, rule{forAnyone: true}, "", ""},
		"either of the two":          {passwordOnly, rule{needs: allow(identity.MeRead, identity.UsersRead)}, codeStaffFactor, ""},
		"no such path":               {passwordOnly, rule{}, "", ""},
		"a customer by password":     {buyer, rule{needs: allow(identity.MePay)}, "", ""},
		"a key is its proof":         {program, rule{needs: allow(identity.AccountsWrite), isSensitive: true}, "", ""},
	} {
		problem := a.permit(&c.principal, c.rule)
		switch {
		case problem == nil && c.want != "":
			t.Errorf("%s: let through", name)
		case problem != nil && (problem.Code != c.want || !strings.Contains(problem.Detail, c.detail)):
			t.Errorf("%s: %v", name, problem)
		}
	}
}
