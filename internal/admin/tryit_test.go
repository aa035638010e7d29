package admin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"florin/internal/identity"
)

func TestNewcomersTryItByPlainHTTP(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		v, support := w.visitor(t, w.key(identity.Operator)), w.visitor(t, w.key(identity.Support))
		support.get("/admin/try-it").tells(t, http.StatusForbidden, "accounts:write")
		half := w.visitor(t, w.key(identity.Operator, identity.AccountsRead, identity.AccountsWrite))
		half.get("/admin/try-it").tells(t, http.StatusOK, "Your role opens no accounts").tellsNot(t, `action="/admin/try-it/accounts"`)
		support.post("/admin/try-it/accounts", url.Values{"run": {"abcdefgh"}}).tells(t, http.StatusForbidden, "accounts:write")

		first := hiddenIn(t, v.get("/admin/try-it"), "run")
		at := "/admin/try-it?run=" + first
		v.get(at).tells(t, http.StatusOK, "Open two accounts")
		for range 2 { // a double click
			if opened := v.post("/admin/try-it/accounts", url.Values{"run": {first}}); opened.header.Get("Location") != at {
				t.Fatalf("answered %d to %q:\n%s", opened.status, opened.header.Get("Location"), opened.body)
			}
		}
		ann, ben := "try-"+first+"-ann", "try-"+first+"-ben"
		page := v.get(at)
		page.tells(t, http.StatusOK, "100.00", ann, ben, "/api/v1/transactions/process", "$FLORIN_KEY")

		form := url.Values{"run": {first}, "transactionId": {hiddenIn(t, page, "transactionId")}, "payer": {"ann"}, "amount": {"12.50"}}
		moved := at + "&transaction=" + form.Get("transactionId")
		for range 2 {
			if done := v.post("/admin/try-it/transfers", form); done.header.Get("Location") != moved {
				t.Fatalf("answered %d to %q:\n%s", done.status, done.header.Get("Location"), done.body)
			}
		}
		awaitStatus(t, w, form.Get("transactionId"), "COMPLETED")
		page = v.get(moved)
		page.tells(t, http.StatusOK, "87.50", "12.50", "Ann pays Ben", "Completed", "/status")
		page.tellsNot(t, "load delay")
		if has := balanceOf(w, ben); has != "12.50" {
			t.Errorf("ben has %s, want 12.50", has)
		}

		// With scripts the answer is shown as it was given, and asks again.
		form = url.Values{"run": {first}, "transactionId": {hiddenIn(t, page, "transactionId")}, "payer": {"ben"}, "amount": {"500"}}
		page = v.post("/admin/try-it/transfers", form, "Hx-Request", "true")
		page.tells(t, http.StatusOK, `hx-trigger="load delay:900ms"`, "Pending")
		if pushed := page.header.Get("Hx-Push-Url"); !strings.Contains(pushed, form.Get("transactionId")) {
			t.Errorf("the URL becomes %q", pushed)
		}
		awaitStatus(t, w, form.Get("transactionId"), "FAILED")
		v.get("/admin/try-it?run="+first+"&transaction="+form.Get("transactionId")).tells(t, http.StatusOK, "insufficient_funds", "Nothing moved")

		form.Set("amount", scripted)
		form.Set("transactionId", hiddenIn(t, page, "transactionId"))
		v.post("/admin/try-it/transfers", form).tells(t, http.StatusBadRequest, "f-amount-error")
		v.get("/admin/try-it?run="+url.QueryEscape(scripted)+"&transaction="+url.QueryEscape(scripted)).tells(t, http.StatusOK, "Open two accounts")
	})
}

func TestNewcomersTryItInABrowser(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		b := w.browser(t, w.key(identity.Operator))
		b.visit("/admin/try-it")
		b.wants("Ann gets 100.00 USD")
		b.screenshot("try-it")
		b.click("main button.primary")
		b.wants("Ann has")
		b.check()
		b.click("main button.primary")
		b.wants("This page asks again in a moment")
		b.wants("Both balances changed at the same moment")
		b.wants("87.50")
		var at string
		b.evaluate("location.search", &at)
		if !strings.Contains(at, "transaction=") {
			t.Errorf("the URL does not hold where one stands: %q", at)
		}
		query, err := url.ParseQuery(strings.TrimPrefix(at, "?"))
		if err != nil {
			t.Fatal(err)
		}
		if has := balanceOf(w, "try-"+query.Get("run")+"-ben"); has != "12.50" {
			t.Errorf("ben has %s, want 12.50", has)
		}
		b.fill("#f-amount", "500")
		b.click("main button.primary")
		b.wants("Nothing moved")
		var opened bool
		b.evaluate(`document.querySelectorAll("main details")[1].open = true`, &opened)
		b.screenshot("try-it-done")
	})
}
