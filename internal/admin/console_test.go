package admin_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"florin/internal/identity"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/id"
	"florin/internal/reporting"
)

// consoleURL is the world's database by a role of the console's own, made for it; ""
// unless it is wanted.
func (w *world) consoleURL(o worldOptions, databaseURL string) string {
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
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dbtest.Timeout)
		defer cancel()
		for _, statement := range []string{"ALTER DEFAULT PRIVILEGES IN SCHEMA reporting REVOKE SELECT ON TABLES FROM " + name, "DROP OWNED BY " + name, "DROP ROLE " + name} {
			if _, err := w.db.Exec(ctx, statement); err != nil {
				w.t.Errorf("%s: %v", statement, err)
			}
		}
	})
	u, err := url.Parse(databaseURL)
	if err != nil {
		w.t.Fatal(err)
	}
	if u.User = url.User(name); made.HasPassword {
		u.User = url.UserPassword(name, password)
	}
	return u.String()
}

// waitConsole waits until the console's new role can read: on CockroachDB, when
// followers know it.
func (w *world) waitConsole() {
	w.t.Helper()
	var status int
	for deadline := time.Now().Add(dbtest.Timeout); status != http.StatusOK; time.Sleep(200 * time.Millisecond) {
		var answer []byte
		if status, answer = w.root.try(http.MethodPost, "/api/v1/console/queries", object{"query": "SELECT count(*) FROM reporting.accounts"}); status != http.StatusOK && time.Now().After(deadline) {
			w.t.Fatalf("%d %s", status, answer)
		}
	}
}

func TestTheConsoleRunsWhatIsPosted(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, hasConsole: true}, func(t *testing.T, w *world) {
		w.waitConsole()
		finance := w.visitor(t, w.staff(identity.Finance))
		run := func(query string, more ...string) shown {
			form := url.Values{"query": {query}, "do": {"run"}, "limit": {"100"}}
			for i := 0; i < len(more); i += 2 {
				form.Set(more[i], more[i+1])
			}
			return finance.post("/admin/console", form)
		}
		finance.get("/admin/console").shows(t, http.StatusOK, "Nothing has been run yet", "Trial balance", "daily_volumes", "available").hides(t, "reporting role")
		run("SELECT 1234.50 AS amount, NULL AS nothing, '"+scriptText+"' AS text").
			shows(t, http.StatusOK, "1 row<", "1234.50", `class="null"`, "&lt;script&gt;", "SELECT 1234.50 AS amount").hides(t, "There is more")
		run("SELECT * FROM generate_series(1, 101)").shows(t, http.StatusOK, "There is more than these 100 rows")
		run("SELECT * FROM reporting.accounts WHERE false").shows(t, http.StatusOK, "No rows")
		run("SELECT * FROM reporting.accounts", "do", "explain").shows(t, http.StatusOK, "Plan", "can")
		run("SELECT 1\r\n  FROM nowhere").shows(t, http.StatusUnprocessableEntity, "nowhere", "SELECT 1\n  FROM nowhere")
		run("SELECT * FROM public.users").shows(t, http.StatusUnprocessableEntity, "SQLSTATE 42501")
		run("").shows(t, http.StatusBadRequest, "is required")

		// The file is streamed through the page; what is refused comes back as the page.
		file := finance.post("/admin/console/csv", url.Values{"query": {"SELECT 1 AS n, '=1+1' AS t"}})
		if file.status != http.StatusOK || file.body != "n,t\r\n1,'=1+1\r\n" || !strings.HasPrefix(file.header.Get("Content-Type"), "text/csv") || !strings.Contains(file.header.Get("Content-Disposition"), ".csv") {
			t.Errorf("%d %v %q", file.status, file.header, file.body)
		}
		finance.post("/admin/console/csv", url.Values{"query": {"SELEC"}}).shows(t, http.StatusUnprocessableEntity, "SQL console", "SELEC", "SQLSTATE 42601")

		for _, role := range []identity.Role{identity.Operator, identity.Support} {
			other := w.visitor(t, w.staff(role))
			other.get("/admin/console").shows(t, http.StatusForbidden, "console:use")
			other.post("/admin/console", url.Values{"query": {"SELECT 1"}}).shows(t, http.StatusForbidden, "console:use")
			other.post("/admin/console/csv", url.Values{"query": {"SELECT 1"}}).shows(t, http.StatusForbidden, "console:use")
			other.post("/admin/console/saved", url.Values{"query": {"SELECT 1"}, "name": {"x"}}).shows(t, http.StatusForbidden, "console:use")
		}
	})
}

func TestTheConsoleSaysHowToSwitchItOn(t *testing.T) {
	t.Parallel()
	eachLongWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		b := w.browser(t, w.staff(identity.Finance))
		b.visit("/admin/console")
		b.wants("Queries can't be run yet.")
		b.wants("florin reporting role")
		b.screenshot("console-off")
		w.visitor(t, w.root).post("/admin/console", url.Values{"query": {"SELECT 1"}}).shows(t, http.StatusConflict, `role="alert"`, "SELECT 1")
	})
}

func TestSavedQueriesAreKeptSharedAndDeleted(t *testing.T) {
	t.Parallel()
	eachLongWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		one, two := w.visitor(t, w.staff(identity.Finance)), w.visitor(t, w.staff(identity.Finance))
		name := some("Money") + " " + scriptText
		form := url.Values{"query": {"SELECT 42"}, "name": {name}}
		one.post("/admin/console/saved", url.Values{"query": {"SELECT 42"}, "name": {" "}}).shows(t, http.StatusBadRequest, "must have 1 to 100 characters", "SELECT 42")
		form.Set("_key", some("form"))
		made := one.post("/admin/console/saved", form)
		made.shows(t, http.StatusSeeOther)
		at := made.header.Get("Location")
		if again := one.post("/admin/console/saved", form); again.header.Get("Location") != at {
			t.Errorf("the form again saved %s; first %s", again.header.Get("Location"), at)
		}
		own := "/admin/console/saved/" + strings.TrimPrefix(at, "/admin/console?saved=")
		one.get(at).shows(t, http.StatusOK, "SELECT 42", "&lt;script&gt;", "Save the changes", "Delete the query").hides(t)
		two.get(at).shows(t, http.StatusNotFound, "There is no such saved query")
		form.Set("isShared", "yes")
		form.Set("version", "1")
		one.post(own, form).shows(t, http.StatusSeeOther)
		two.get(at).shows(t, http.StatusOK, "Shared with you", "SELECT 42").hides(t, "Save the changes", "Delete the query")
		form.Set("name", "Stale")
		one.post(own, form).shows(t, http.StatusConflict, `role="alert"`, "version")
		two.post(own, form).shows(t, http.StatusNotFound, "saved_query_not_found")
		two.post(own+"/delete", nil).shows(t, http.StatusSeeOther) // and nothing is deleted
		one.get(at).shows(t, http.StatusOK)
		for range 2 {
			one.post(own+"/delete", nil).shows(t, http.StatusSeeOther)
		}
		one.get(at).shows(t, http.StatusNotFound)
		one.get("/admin/console?library=nonsense").shows(t, http.StatusNotFound, "There is no such ready query")
	})
}

func TestAQueryIsWrittenRunAndDrawnInTheBrowser(t *testing.T) {
	t.Parallel()
	eachLongWorld(t, worldOptions{isFresh: true, hasConsole: true}, func(t *testing.T, w *world) {
		w.waitConsole()
		alice, shop := w.account("alice", "1000.00", nil), w.account("shop", "0", object{"accountType": "MERCHANT"})
		w.account("fees", "0", object{"accountType": "REVENUE"})
		w.pay(alice, shop, "12.50")
		b := w.browser(t, w.staff(identity.Finance))
		b.visit("/admin/console")
		b.picture("console")

		// Names are completed: a view, then its columns by an alias.
		b.do("focus", chromedp.Focus(chromedp.CSS("#f-query")))
		b.do("type", chromedp.KeyEvent("SELECT * FROM bal"))
		b.wants("reporting.balances")
		b.do("complete", chromedp.KeyEvent("\t b WHERE b.acc"))
		b.wants("account_type")
		b.screenshot("console-completion")
		b.do("complete", chromedp.KeyEvent("ount_i\t"))
		var text string
		b.evaluate(`document.querySelector("#f-query").value`, &text)
		if text != "SELECT * FROM reporting.balances b WHERE b.account_id" {
			t.Errorf("the editor has %q", text)
		}
		b.fill("#f-query", "SELECT account_type, sum(posted) AS posted, NULL AS nothing,\n  count(*) AS accounts FROM reporting.balances GROUP BY 1 ORDER BY 1")
		var isTaken bool
		b.evaluate(`!document.querySelector("#f-query").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", ctrlKey: true, bubbles: true, cancelable: true}))`, &isTaken)
		if !isTaken {
			t.Error("Ctrl and Enter does nothing")
		}
		b.wants("rows")
		b.wants("-1000.0000")
		b.wants("NULL")
		b.check()
		b.click("details.draw > summary")
		b.choose("#draw-y", "1")
		b.screenshot("console-result")
		if strings.Contains(b.at(), "SELECT") {
			t.Errorf("the query is in the URL: %s", b.at())
		}

		b.fill("#f-query", "SELECT *\nFROM reporting.balances\nWHERE pósted > 1")
		b.click(`button[value="run"]`)
		b.wants("Line 3, column 7")
		b.click("[data-goto]")
		b.screenshot("console-wrong")
		b.fill("#f-query", "SELECT * FROM reporting.transfers WHERE transfer_id = 'x'")
		b.click(`button[value="explain"]`)
		b.wants("Scan")
		b.check()
		b.picture("console-plan")

		// What is cancelled ends in the database: the next one would be refused as the
		// second else, for half a minute.
		b.fill("#f-query", "SELECT pg_sleep(25)")
		b.click(`button[value="run"]`)
		b.wants("Running")
		b.check()
		b.picture("console-running")
		b.click("[data-cancel]")
		b.wants("Cancelled: ")
		b.fill("#f-query", "SELECT 'then ' || 'this'")
		for began := time.Now(); !strings.Contains(b.shownText(), "then this"); time.Sleep(200 * time.Millisecond) {
			if time.Since(began) > 10*time.Second {
				b.fail("the query goes on although it was cancelled")
			}
			b.click(`button[value="run"]`)
		}

		b.click(".titled summary")
		b.fill("#f-name", "Then this")
		b.click(`.titled button.primary`)
		b.wants("The query is saved.")
		b.check()
		b.picture("console-saved")
		b.click(".head details.ask > summary")
		b.click(".head details.ask button[type=submit]")
		b.wants("The query is deleted.")
		b.visit("/admin/console?library=trial-balance")
		b.click(`button[value="run"]`)
		b.wants("debit_balances")
		b.phone()
		b.check()
		b.picture("console-library")

		b.withoutScripts()
		b.visit("/admin/console?library=house-accounts")
		b.click(`button[value="run"]`)
		b.wants("fees-")
		b.picture("console-without-scripts")
	})
}
