package admin_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"florin/internal/admin"
	"florin/internal/approval"
	"florin/internal/identity"
)

var updateTable = flag.Bool("update", false, "write testdata/access.txt anew")

const accessTable = "testdata/access.txt"

// oneOfEach is the id of one thing that each page is of, by the beginning of its
// route.
func (w *world) oneOfEach() map[string]string {
	w.t.Helper()
	s := w.shop()
	w.root.post("/api/v1/returns", object{"returnId": "back-1001", "purchaseId": "inv-1001", "lines": []object{{"line": 1, "quantity": 1}}, "timestamp": s.time.Now()})
	alice, from := w.payer("9000.00")
	_, to := w.payer("0")
	hold := some("hold")
	w.root.post("/api/v1/holds", object{"holdId": hold, "sourceAccountId": from, "destinationAccountId": to, "amount": "1.00", "currency": "USD"})
	asks := w.staff(identity.Admin)
	role := asks.call(http.MethodPut, "/api/v1/users/"+w.user(identity.Customer).id+"/role", object{"role": "merchant"})
	event := w.root.get("/api/v1/audit-events?limit=1")["data"].([]any)[0].(object)
	return map[string]string{
		"accounts/{id}":         from,
		"approvals/{id}":        role["approvalId"].(string),
		"audit/{journal}/{seq}": fmt.Sprintf("%s/%v?at=%s", event["journal"], event["seq"], url.QueryEscape(event["at"].(string))),
		"campaigns/{id}":        "kitchen-5",
		"console/saved/{id}":    "qry_none", // the console is off here
		"customers/{id}":        "ada",
		"exports/{id}":          w.folder("file:///exports/ledger"),
		"holds/{id}":            hold,
		"keys/{id}":             w.key(identity.Support).id,
		"purchases/{id}":        "inv-1001",
		"reports/{name}":        "trial-balance",
		"returns/{id}":          "back-1001",
		"rewards/{id}":          w.root.get("/api/v1/rewards?purchaseId=inv-1001")["data"].([]any)[0].(object)["rewardId"].(string),
		"risk/decisions/{id}":   alice.payForReview(from, to, "1500"),
		"risk/rules/{id}":       "new_payee",
		"transactions/{id}":     w.pay(from, to, "1.00"),
		"users/{id}":            alice.id,
	}
}

// pathOf is a path that fits a route.
func pathOf(t *testing.T, pattern string, ids map[string]string) (method, path string) {
	t.Helper()
	method, path, _ = strings.Cut(pattern, " ")
	begin := strings.TrimPrefix(path, admin.Root+"/")
	if !strings.Contains(begin, "{") {
		return method, path
	}
	begin = begin[:strings.LastIndex(begin, "}")+1]
	id, isThere := ids[begin]
	if !isThere {
		t.Errorf("%s: oneOfEach has no %s", pattern, begin)
	}
	if method == http.MethodPost {
		id, _, _ = strings.Cut(id, "?")
	}
	return method, strings.Replace(path, begin, begin[:strings.Index(begin, "{")]+id, 1)
}

// answers is the status that a page answers, and where it leads. What a stream says
// is not waited for.
func (v *visitor) answers(method, path string) (status int, location string) {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), method, v.w.url+path, http.NoBody)
	if err != nil {
		v.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Sec-Fetch-Site", "same-origin")
		request.Header.Set("Origin", v.w.url)
	}
	response, err := v.client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode, response.Header.Get("Location")
}

// testdata/access.txt is what each role is answered by each route, a POST with an
// empty form: 403 is for who may not, 400 and 409 are for who may. What changes there
// changes who is shown what. The roles come one after the other, to the same things.
func TestWhoGetsWhat(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true, secondPerson: []approval.Operation{approval.RoleChange}}, func(t *testing.T, w *world) {
		ids := w.oneOfEach()
		patterns := admin.Patterns()
		slices.SortFunc(patterns, func(a, b string) int {
			_, pathA, _ := strings.Cut(a, " ")
			_, pathB, _ := strings.Cut(b, " ")
			return strings.Compare(pathA+" "+a, pathB+" "+b)
		})
		names, visitors := []string{"nobody"}, []*visitor{w.visitor(t, nil)}
		for _, role := range identity.Roles {
			who := w.user(role).signIn()
			if !role.ReachesOwnOnly() {
				who = w.staff(role)
			}
			names, visitors = append(names, string(role)), append(visitors, w.visitor(t, who))
		}
		var table strings.Builder
		fmt.Fprintf(&table, "%-47s%s\n", "", strings.Join(names, " "))
		for _, pattern := range patterns {
			method, path := pathOf(t, pattern, ids)
			var line strings.Builder
			shownMethod, shownPath, _ := strings.Cut(pattern, " ")
			fmt.Fprintf(&line, "%-4s %-42s", shownMethod, shownPath)
			if isOpen := strings.HasPrefix(path, "/admin/sign-"); isOpen {
				status, _ := visitors[0].answers(method, path)
				fmt.Fprintf(&table, "%s%d to everybody\n", line.String(), status)
				continue
			}
			for i, v := range visitors {
				status, location := v.answers(method, path)
				fmt.Fprintf(&line, "%-*d", len(names[i])+1, status)
				if status >= http.StatusInternalServerError {
					t.Errorf("%s as %s is answered %d", pattern, names[i], status)
				}
				if names[i] == "nobody" && !strings.HasPrefix(location, "/admin/sign-in?") {
					t.Errorf("%s is answered %d to nobody, and leads to %q", pattern, status, location)
				}
			}
			table.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		}
		if *updateTable {
			if err := os.WriteFile(accessTable, []byte(table.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(accessTable)
		if err != nil {
			t.Fatal(err)
		}
		if table.String() != string(want) {
			t.Errorf("what the roles are answered has changed; if it is meant, run this test with -update. Now:\n%s", table.String())
		}
	})
}
