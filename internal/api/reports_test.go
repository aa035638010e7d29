package api_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"florin/internal/api"
	"florin/internal/identity"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/id"
	"florin/internal/reporting"
)

// strict decodes an answer into the type that documents it: a member more, or one of
// another name, is an error.
func strict(t *testing.T, text string, into any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Errorf("%T: %v in %.300s", into, err, text)
		return
	}
	again, err := json.Marshal(into)
	if err != nil {
		t.Fatal(err)
	}
	var documented, sent any
	if err := json.Unmarshal(again, &documented); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &sent); err != nil {
		t.Fatal(err)
	}
	d, _ := json.Marshal(documented)
	s, _ := json.Marshal(sent)
	if !bytes.Equal(d, s) {
		t.Errorf("%T is documented as %.400s, sent as %.400s", into, d, s)
	}
}

func TestReportsAreAsTheyAreDocumented(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		account := text(w.program(identity.Operator, "").post("/api/v1/accounts", object{"balance": "100.00", "currency": "USD"}).want(http.StatusCreated).object(), "accountId")
		finance, support, customer := w.staff(identity.Finance), w.staff(identity.Support), w.customer("Cora Customer")
		const path = "/api/v1/reports/"
		for name, into := range map[string]any{
			"trial-balance": &api.TrialBalanceReport{}, "profit-and-loss": &api.ProfitAndLossReport{}, "daily-volumes": &api.DailyVolumesReport{},
			"customer-liabilities": &api.CustomerLiabilitiesReport{}, "statement?accountId=" + account: &api.StatementReport{},
		} {
			answer := finance.get(path + name).want(http.StatusOK)
			strict(t, answer.text, into)
			support.get(path+name).wantProblem(http.StatusForbidden, "forbidden", "")
			customer.get(path+name).wantProblem(http.StatusForbidden, "forbidden", "")
			table := finance.get(path+name, "Accept", "text/csv")
			lines, err := csv.NewReader(strings.NewReader(table.text)).ReadAll()
			if err != nil || table.status != http.StatusOK || lines[0][0] != "line" || lines[len(lines)-1][0] != "READ_AT" || !strings.HasPrefix(table.header.Get("Content-Type"), "text/csv") {
				t.Errorf("%s: %v, %q", name, err, lines)
			}
		}
		pdf := finance.get(path + "statement?format=pdf&accountId=" + account)
		if pdf.status != http.StatusOK || !strings.HasPrefix(pdf.text, "%PDF-") || pdf.header.Get("Content-Type") != "application/pdf" || !strings.Contains(pdf.header.Get("Content-Disposition"), ".pdf") {
			t.Errorf("PDF: %v", pdf.header)
		}
		// A beginning has the sums of all, and says that it is one.
		whole, first := finance.get(path+"trial-balance").object(), finance.get(path+"trial-balance?limit=1").want(http.StatusOK)
		strict(t, first.text, &api.TrialBalanceReport{})
		beginning := first.object()
		if rows := len(beginning.list("data")); rows != 1 || len(whole.list("data")) < 2 || beginning["isTruncated"] != true || whole["isTruncated"] != false {
			t.Errorf("%d rows of %d: %.300s", rows, len(whole.list("data")), first.text)
		}
		if got, want := len(beginning.list("totals")), len(whole.list("totals")); got != want || got == 0 {
			t.Errorf("%d totals of %d", got, want)
		}
		all := finance.get(path + "trial-balance?limit=10000").want(http.StatusOK).object()
		if all["isTruncated"] != false || len(all.list("data")) < 2 {
			t.Errorf("%d rows, truncated: %v", len(all.list("data")), all["isTruncated"])
		}
		for _, wrong := range []string{"trial-balance?limit=-1", "trial-balance?limit=10001", "trial-balance?limit=1&format=csv", "statement?limit=1&format=pdf&accountId=" + account} {
			finance.get(path+wrong).wantProblem(http.StatusBadRequest, "invalid_request", "limit")
		}
		finance.get(path+"statement?limit=1&accountId=nobody").wantProblem(http.StatusNotFound, "account_not_found", "")
		// What is wrong is told as a problem, although the answer is streamed.
		finance.get(path+"statement").wantProblem(http.StatusBadRequest, "invalid_request", "accountId")
		finance.get(path+"statement?accountId=nobody").wantProblem(http.StatusNotFound, "account_not_found", "")
		finance.get(path+"trial-balance?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z").wantProblem(http.StatusBadRequest, "invalid_request", "from")
		finance.get(path+"trial-balance?format=pdf").wantProblem(http.StatusBadRequest, "invalid_request", "format")
	})
}

// consoleURL is the world's database by a role of the console's own, made for it; ""
// unless it is wanted.
func (w *world) consoleURL(o worldOptions) string {
	w.t.Helper()
	if !o.hasConsole {
		return ""
	}
	name, password := strings.ToLower(id.New("rep")), reporting.NewPassword()
	secrets.Register(w.t, "reporting password", password)
	made, err := reporting.EnsureRole(w.t.Context(), w.db, name, password)
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(w.databaseURL)
	if err != nil {
		w.t.Fatal(err)
	}
	if u.User = url.User(name); made.HasPassword {
		u.User = url.UserPassword(name, password)
	}
	return u.String()
}

func TestTheConsoleRunsQueries(t *testing.T) {
	eachWorld(t, worldOptions{hasConsole: true}, func(t *testing.T, w *world) {
		finance := w.staff(identity.Finance)
		const path = "/api/v1/console/queries"
		run := func(body object, headers ...string) answer { return finance.post(path, body, headers...) }
		// On CockroachDB the role is known to followers after some seconds.
		for deadline := time.Now().Add(dbtest.Timeout); run(object{"query": "SELECT count(*) FROM reporting.accounts"}).status != http.StatusOK; time.Sleep(200 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(run(object{"query": "SELECT count(*) FROM reporting.accounts"}).text)
			}
		}
		got := run(object{"query": "SELECT 1 AS n, NULL AS nothing, 'a' AS t UNION ALL SELECT 2, NULL, '=1+1' ORDER BY n", "limit": 1}).want(http.StatusOK)
		var result api.ConsoleResult
		strict(t, got.text, &result)
		if !result.IsTruncated || len(result.Rows) != 1 || *result.Rows[0][0] != "1" || result.Rows[0][1] != nil || result.Columns[2].Name != "t" || result.ReadAt.IsZero() {
			t.Errorf("%s", got.text)
		}
		event := w.wantEvent(result.QueryID, "query.ended")
		if event.Result != "ok" || member(t, event.After, "rows") != 1.0 || event.Origin.ActorID != finance.userID {
			t.Errorf("%+v", event)
		}
		table := run(object{"query": "SELECT 1 AS n, '=1+1' AS t, -2.5 AS d UNION ALL SELECT 2, NULL, 0 ORDER BY n"}, "Accept", "text/csv")
		if table.text != "n,t,d\r\n1,'=1+1,-2.5\r\n2,,0\r\n" || !strings.HasPrefix(table.header.Get("Content-Type"), "text/csv") {
			t.Errorf("%q as %s", table.text, table.header.Get("Content-Type"))
		}
		for query, code := range map[string]string{
			"SELECT * FROM public.users": "query_failed", "SELEC": "query_failed", "SELECT 1; SELECT 2": "query_failed",
			"SELECT repeat('x', 20000000)": "result_too_large",
		} {
			run(object{"query": query}).wantProblem(http.StatusUnprocessableEntity, code, "")
			run(object{"query": query, "format": "csv"}).wantProblem(http.StatusUnprocessableEntity, code, "")
		}
		run(object{"query": ""}).wantProblem(http.StatusBadRequest, "invalid_request", "query")
		run(object{}).wantProblem(http.StatusBadRequest, "invalid_request", "query")
		run(object{"query": "SELECT 1", "limit": 10_001}).wantProblem(http.StatusBadRequest, "invalid_request", "limit")
		run(object{"query": "SELECT 1", "format": "pdf"}).wantProblem(http.StatusBadRequest, "invalid_request", "format")
		plan := finance.post(path+"/explain", object{"query": "SELECT * FROM reporting.transfers WHERE transfer_id = 'x'"}).want(http.StatusOK)
		if !strings.Contains(strings.ToLower(plan.text), "scan") {
			t.Errorf("%s", plan.text)
		}
		schema := finance.get("/api/v1/console/schema").want(http.StatusOK).object()
		if schema["isOn"] != true || len(schema.list("views")) != 10 {
			t.Errorf("%v", schema)
		}
		if library := finance.get("/api/v1/console/library").want(http.StatusOK).object(); len(library.list("data")) < 8 {
			t.Errorf("%v", library)
		}
		for _, role := range []identity.Role{identity.Support, identity.Operator, identity.Merchant, identity.Customer} {
			other := w.staff(role)
			other.post(path, object{"query": "SELECT 1"}).wantProblem(http.StatusForbidden, "forbidden", "")
			other.get("/api/v1/console/saved").wantProblem(http.StatusForbidden, "forbidden", "")
		}
	})
}

func TestSavedQueriesAreSharedAndTheirOwners(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		finance, other := w.staff(identity.Finance), w.staff(identity.Admin)
		const path = "/api/v1/console/saved"
		finance.post("/api/v1/console/queries", object{"query": "SELECT 1"}).wantProblem(http.StatusConflict, "console_off", "")
		saved := finance.post(path, object{"name": "Mine", "query": "SELECT 1"}).want(http.StatusCreated).object()
		own := path + "/" + text(saved, "queryId")
		shows := func(c *caller) bool {
			for _, q := range c.get(path + "?limit=500").want(http.StatusOK).object().list("data") {
				if q["queryId"] == saved["queryId"] {
					return true
				}
			}
			return false
		}
		finance.get(own).want(http.StatusOK).wantFields(saved)
		other.get(own).wantProblem(http.StatusNotFound, "saved_query_not_found", "")
		w.staff(identity.Operator).get(own).wantProblem(http.StatusForbidden, "forbidden", "")
		if !shows(finance) || shows(other) {
			t.Error("a query that is not shared is seen by others, or not by its owner")
		}
		finance.put(own, object{"version": 1, "name": "Ours", "query": "SELECT 2", "isShared": true}).want(http.StatusOK).wantFields(object{"version": 2.0, "isOwn": true})
		if !shows(other) {
			t.Error("a shared query is not seen")
		}
		finance.get(own).want(http.StatusOK).wantFields(object{"name": "Ours", "isOwn": true})
		other.get(own).want(http.StatusOK).wantFields(object{"query": "SELECT 2", "isOwn": false})
		finance.put(own, object{"version": 1, "name": "Late", "query": "SELECT 2"}).wantProblem(http.StatusConflict, "saved_query_changed", "")
		other.put(own, object{"version": 2, "name": "Theirs", "query": "SELECT 3"}).wantProblem(http.StatusNotFound, "saved_query_not_found", "")
		other.delete(own).wantProblem(http.StatusNotFound, "saved_query_not_found", "")
		finance.post(path, object{"name": "", "query": "SELECT 1"}).wantProblem(http.StatusBadRequest, "invalid_request", "name")
		finance.post(path, object{"name": "x", "query": "SELECT 1", "ownerId": other.userID}).wantProblem(http.StatusBadRequest, "invalid_request", "ownerId")
		finance.delete(own).want(http.StatusOK)
		finance.get(own).wantProblem(http.StatusNotFound, "saved_query_not_found", "")
		finance.delete(own).wantProblem(http.StatusNotFound, "saved_query_not_found", "")
		if before := w.wantEvent(text(saved, "queryId"), "saved_query.changed").Before; member(t, before, "name") != "Mine" {
			t.Errorf("%s", before)
		}
	})
}
