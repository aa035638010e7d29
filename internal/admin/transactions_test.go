package admin_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"florin/internal/approval"
	"florin/internal/identity"
)

func TestTransactionsByPlainHTTP(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, secondPerson: []approval.Operation{approval.ForcedReversal}, isLong: true}, func(t *testing.T, w *world) {
		operator, support, finance := w.staff(identity.Operator), w.visitor(t, w.key(identity.Support)), w.visitor(t, w.key(identity.Finance))
		v := w.visitor(t, operator)
		t.Run("none yet", func(t *testing.T) {
			v.get("/admin/transactions").tells(t, http.StatusOK, "No transactions yet", "/admin/transfers/new", "/admin/try-it")
			page := support.get("/admin/transactions")
			page.tells(t, http.StatusOK, "No transactions yet")
			page.tellsNot(t, "/admin/transfers/new", "/admin/try-it")
		})
		alice, bob := w.account("alice", "1000.00", nil), w.account("bob", "0", nil)
		w.root.post("/api/v1/transfers", object{
			"transactionId": "evil", "sourceAccountId": alice, "destinationAccountId": bob, "amount": "1", "description": scripted, "metadata": object{scripted: scripted},
		})
		paid := w.pay(alice, bob, "250.75")
		w.root.try(http.MethodPost, "/api/v1/transfers", object{"transactionId": "too-much", "sourceAccountId": bob, "destinationAccountId": alice, "amount": "5000"})

		t.Run("list", func(t *testing.T) { listsTransactions(t, v, alice, paid) })
		t.Run("one", func(t *testing.T) { showsTransactions(t, w, v, alice, bob, paid) })
		t.Run("transfer", func(t *testing.T) { movesMoneyByHand(t, w, v, support, alice, bob) })
		t.Run("reversal", func(t *testing.T) { reversesTransactions(t, w, v, support, finance, alice, bob) })
		t.Run("forced reversal", func(t *testing.T) { forcesReversals(t, w, v, operator) })
	})
}

func listsTransactions(t *testing.T, v *visitor, alice, paid string) {
	v.get("/admin/transactions").tells(t, http.StatusOK, "evil", paid, "too-much", "Opening", "250.75", "insufficient funds")
	failed := v.get("/admin/transactions?status=FAILED")
	failed.tells(t, http.StatusOK, "too-much")
	failed.tellsNot(t, paid, "evil")
	v.get("/admin/transactions?status=FAILED&accountId=nobody").tells(t, http.StatusOK, "No transaction fits")
	one := v.get("/admin/transactions?transactionId=" + paid)
	one.tells(t, http.StatusOK, "250.75")
	one.tellsNot(t, "too-much")
	v.get("/admin/transactions?transactionId=nowhere").tells(t, http.StatusOK, "There is no transaction of this id")
	v.get("/admin/transactions?from=never&accountId="+url.QueryEscape(scripted)).tells(t, http.StatusBadRequest, `aria-invalid="true"`, `value="never"`, "f-from-error", "f-accountId-error")

	today := v.w.time.Now().UTC()
	v.get("/admin/transactions?from="+today.AddDate(0, 0, -1).Format(time.DateOnly)+"&to="+today.Format(time.DateOnly)).tells(t, http.StatusOK, paid)
	v.get("/admin/transactions?from="+today.AddDate(0, 0, 2).Format(time.DateOnly)).tells(t, http.StatusOK, "No transaction fits")
	v.get("/admin/transactions?to="+today.AddDate(0, 0, -2).Format(time.DateOnly)).tells(t, http.StatusOK, "No transaction fits")

	// Each page leads to the next, with the filter kept.
	at, seen := "/admin/transactions?limit=1&accountId="+alice, 0
	next := regexp.MustCompile(`rel="next" href="([^"]*)"`)
	for at != "" {
		page := v.get(at)
		page.tells(t, http.StatusOK)
		seen += strings.Count(page.body, `<th scope="row">`)
		at = ""
		if found := next.FindStringSubmatch(page.body); found != nil {
			at = strings.ReplaceAll(found[1], "&amp;", "&")
		}
		if seen > 10 {
			break
		}
	}
	if seen != 4 {
		t.Errorf("the pages of alice's transactions have %d of them, want 4", seen)
	}
}

func showsTransactions(t *testing.T, w *world, v *visitor, alice, bob, paid string) {
	page := v.get("/admin/transactions/" + paid)
	page.tells(t, http.StatusOK, alice, bob, "Completed", "748.25",
		alice+" is debited with 250.75 USD: balance 999.00 before, 748.25 after", bob+" is credited with 250.75 USD: balance 1.00 before, 251.75 after")
	page.tellsNot(t, `hx-trigger="every`)
	v.get("/admin/transactions/evil").tells(t, http.StatusOK, "&lt;script&gt;")
	v.get("/admin/transactions/too-much").tells(t, http.StatusOK, "Failed", "insufficient_funds", "no account was touched")
	v.get("/admin/transactions/nowhere").tells(t, http.StatusNotFound, "transaction_not_found")

	w.root.post("/api/v1/holds", object{"holdId": "booking", "sourceAccountId": alice, "destinationAccountId": bob, "amount": "50", "description": scripted})
	taken := w.root.post("/api/v1/holds/booking/capture", object{"amount": "20"})["transactionId"].(string)
	v.get("/admin/transactions/"+taken).tells(t, http.StatusOK, "Capture", "Taken from a hold", "/admin/holds/booking", "50.00", "20.00")
	v.get("/admin/holds/booking").tells(t, http.StatusOK, "Captured", "50.00", "20.00", "/admin/transactions/"+taken, "&lt;script&gt;")
	v.get("/admin/holds/nowhere").tells(t, http.StatusNotFound, "hold_not_found")
	w.visitor(t, w.key(identity.Operator, identity.TransactionRead)).get("/admin/transactions/"+taken).tells(t, http.StatusOK, "booking")
}

func movesMoneyByHand(t *testing.T, w *world, v, support *visitor, alice, bob string) {
	support.get("/admin/transfers/new").tells(t, http.StatusForbidden, "transfers:write")
	support.post("/admin/transfers/review", url.Values{"sourceAccountId": {alice}}).tells(t, http.StatusForbidden, "transfers:write")
	before := balanceOf(w, bob)
	page := v.get("/admin/transfers/new?sourceAccountId=" + alice)
	page.tells(t, http.StatusOK, `value="`+alice+`"`)
	form := url.Values{
		"transactionId": {hiddenIn(t, page, "transactionId")}, "sourceAccountId": {alice}, "destinationAccountId": {bob},
		"amount": {"10.10"}, "currency": {""}, "description": {scripted},
	}
	support.post("/admin/transfers", form).tells(t, http.StatusForbidden, "forbidden")

	without := url.Values{"sourceAccountId": {alice}, "amount": {"1"}}
	v.post("/admin/transfers/review", without).tells(t, http.StatusBadRequest, "f-destinationAccountId-error")
	without.Set("destinationAccountId", "nobody")
	v.post("/admin/transfers/review", without).tells(t, http.StatusNotFound, "f-destinationAccountId-error", "account_not_found")

	review := v.post("/admin/transfers/review", form)
	review.tells(t, http.StatusOK, "Nothing is done yet", "10.10", "available")
	if balanceOf(w, bob) != before {
		t.Fatal("the review moved money")
	}
	form.Set("currency", hiddenIn(t, review, "currency"))
	for range 2 { // a double click
		done := v.post("/admin/transfers", form)
		if done.status != http.StatusSeeOther || done.header.Get("Location") != "/admin/transactions/"+form.Get("transactionId") {
			t.Fatalf("answered %d to %s:\n%s", done.status, done.header.Get("Location"), done.body)
		}
	}
	v.get("/admin/transactions/"+form.Get("transactionId")).tells(t, http.StatusOK, "The money has moved", "&lt;script&gt;")

	// The same form with another amount is not the same request.
	form.Set("amount", "99")
	again := v.post("/admin/transfers", form)
	again.tells(t, http.StatusConflict, "duplicate_transaction", "/admin/transactions/"+form.Get("transactionId"))
	if fresh := hiddenIn(t, again, "transactionId"); fresh == form.Get("transactionId") {
		t.Error("the form keeps an id that is used up")
	}

	for _, wrong := range []struct {
		name, field, value string
		status             int
		code, atField      string
		isRecorded         bool
	}{
		{"nonsense", "amount", scripted, http.StatusBadRequest, "invalid_request", "amount", false},
		{"too much", "amount", "99999", http.StatusUnprocessableEntity, "insufficient_funds", "amount", true},
		{"other currency", "currency", "EUR", http.StatusUnprocessableEntity, "currency_mismatch", "currency", true},
		{"no currency", "currency", "dollars", http.StatusBadRequest, "invalid_request", "currency", false},
		{"to itself", "destinationAccountId", alice, http.StatusUnprocessableEntity, "same_account", "destinationAccountId", true},
		{"to nobody", "destinationAccountId", "nobody", http.StatusNotFound, "account_not_found", "destinationAccountId", true},
		{"from nobody", "sourceAccountId", "nobody", http.StatusNotFound, "account_not_found", "sourceAccountId", true},
		{"a long story", "description", strings.Repeat("x", 501), http.StatusBadRequest, "invalid_request", "description", false},
	} {
		t.Run(wrong.name, func(t *testing.T) {
			sent := url.Values{
				"transactionId": {hiddenIn(t, v.get("/admin/transfers/new"), "transactionId")}, "sourceAccountId": {alice}, "destinationAccountId": {bob},
				"amount": {"1"}, "currency": {"USD"}, "description": {"test"},
			}
			sent.Set(wrong.field, wrong.value)
			page := v.post("/admin/transfers", sent)
			page.tells(t, wrong.status, wrong.code, "f-"+wrong.atField+"-error", `value="`+sent.Get("transactionId")[:4])
			kept := hiddenIn(t, page, "transactionId") == sent.Get("transactionId")
			if kept == wrong.isRecorded {
				t.Errorf("the form keeps its id: %t", kept)
			}
			if wrong.isRecorded {
				page.tells(t, wrong.status, "/admin/transactions/"+sent.Get("transactionId"))
			}
		})
	}
}

func reversesTransactions(t *testing.T, w *world, v, support, finance *visitor, alice, bob string) {
	before := balanceOf(w, alice)
	paid := w.pay(alice, bob, "12.34")
	at := "/admin/transactions/" + paid
	support.get(at).tellsNot(t, "Reverse…")
	support.get(at+"/reverse").tells(t, http.StatusForbidden, "transfers:reverse")
	support.post(at+"/reverse", url.Values{"description": {"because"}, "_key": {"k1"}}).tells(t, http.StatusForbidden, "transfers:reverse")
	finance.get(at).tells(t, http.StatusOK, at+"/reverse")
	page := finance.get(at + "/reverse")
	page.tells(t, http.StatusOK, "Nothing is done yet", "12.34")
	page.tellsNot(t, `name="force"`)
	v.get(at+"/reverse").tells(t, http.StatusOK, `name="force"`)

	form := url.Values{"_key": {hiddenIn(t, page, "_key")}, "description": {" "}}
	finance.post(at+"/reverse", form).tells(t, http.StatusBadRequest, "f-description-error")
	form.Set("description", "Paid twice "+scripted)
	for range 2 { // a double click
		if done := finance.post(at+"/reverse", form); done.status != http.StatusSeeOther || done.header.Get("Location") != at {
			t.Fatalf("answered %d to %s:\n%s", done.status, done.header.Get("Location"), done.body)
		}
	}
	if after := balanceOf(w, alice); after != before {
		t.Errorf("alice has %s, want %s again", after, before)
	}
	page = finance.get(at)
	page.tells(t, http.StatusOK, "Reversed", "See the reversal", "Paid twice &lt;script&gt;")
	page.tellsNot(t, "Reverse…")
	reversal := w.root.get("/api/v1/transactions/" + paid)["reversedByTransactionId"].(string)
	finance.get("/admin/transactions/"+reversal).tells(t, http.StatusOK, "Reversal", "Reverses", at)
	finance.get(at+"/reverse").tells(t, http.StatusOK, "reversed before")
	finance.post(at+"/reverse", url.Values{"description": {"once more"}, "_key": {"k2"}}).tells(t, http.StatusConflict, "already_reversed")
	finance.get("/admin/transactions/too-much/reverse").tells(t, http.StatusOK, "only a completed transaction")
}

func forcesReversals(t *testing.T, w *world, v *visitor, operator *person) {
	payer, spender, shop := w.account("payer", "80", nil), w.account("spender", "0", nil), w.account("shop", "0", nil)
	paid := w.pay(payer, spender, "80")
	w.pay(spender, shop, "70")
	at := "/admin/transactions/" + paid + "/reverse"
	page := v.get(at)
	page.tells(t, http.StatusOK, "The money is gone")
	form := url.Values{"_key": {hiddenIn(t, page, "_key")}, "description": {"fraud"}}
	refused := v.post(at, form)
	refused.tells(t, http.StatusUnprocessableEntity, "insufficient_funds", "Recorded as the failed transaction", "fraud")

	form = url.Values{"_key": {hiddenIn(t, refused, "_key")}, "description": {"fraud"}, "force": {"yes"}}
	w.time.pass(11 * time.Minute)
	v.post(at, form).tells(t, http.StatusForbidden, "Prove it is you", `name="force"`)
	form.Set("_code", operator.code())
	v.post(at, form).tells(t, http.StatusAccepted, "Waits for a second person", "/admin/approvals/")
	if has := balanceOf(w, spender); has != "10.00" {
		t.Errorf("the spender has %s before a second person agreed, want 10.00", has)
	}
}

func TestTransactionsInABrowser(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		b := w.browser(t, w.key(identity.Operator))
		b.visit("/admin/transactions")
		b.wants("No transactions yet")
		b.screenshot("transactions-none")

		alice, bob := w.account("alice", "1250000.00", nil), w.account("bob", "40.00", nil)
		for i := range 12 {
			w.root.post("/api/v1/transfers", object{
				"transactionId": fmt.Sprintf("order-%d", 1001+i), "sourceAccountId": alice, "destinationAccountId": bob, "amount": fmt.Sprintf("%d.%02d", 1+i*i*97, i), "description": "Two tickets",
			})
		}
		w.root.try(http.MethodPost, "/api/v1/transfers", object{"transactionId": "order-1013", "sourceAccountId": bob, "destinationAccountId": alice, "amount": "90000", "description": scripted})
		b.visit("/admin/transactions")
		b.wants("order-1012")
		b.screenshot("transactions")
		b.choose("#f-status", "FAILED")
		b.wantsNot("order-1012")
		b.wants("order-1013")
		b.visit("/admin/transactions/order-1013")
		b.wants("no account was touched")
		b.screenshot("transaction-failed")

		b.visit("/admin/transfers/new")
		b.fill("#f-sourceAccountId", bob)
		b.fill("#f-destinationAccountId", alice)
		b.fill("#f-amount", "15.5")
		b.fill("#f-description", "Change back")
		b.screenshot("transfer-form")
		b.click("main button.primary")
		b.wants("Nothing is done yet")
		b.screenshot("transfer-review")
		was := balanceOf(w, bob)
		b.click("main button.primary")
		b.wants("The money has moved")
		b.check()
		if is := balanceOf(w, bob); is == was {
			t.Errorf("bob has %s as before", is)
		}

		b.visit("/admin/transfers/new?sourceAccountId=" + bob + "&destinationAccountId=" + alice + "&amount=7000000")
		b.click("main button.primary")
		b.wants("Nothing is done yet")
		b.click("main button.primary")
		b.wants("Insufficient funds")
		b.screenshot("transfer-refused")

		w.root.post("/api/v1/holds", object{"holdId": "booking-77", "sourceAccountId": alice, "destinationAccountId": bob, "amount": "50", "description": "A room"})
		b.visit("/admin/holds/booking-77")
		b.wants("never by itself")
		b.screenshot("hold")
		b.visit("/admin/transactions/order-1012")
		b.wants("Completed")
		b.screenshot("transaction")
		b.click("a.button.danger")
		b.wants("Reverse this transaction?")
		b.fill("#f-description", "Concert cancelled")
		b.screenshot("transaction-reverse")
		b.click("main button.danger")
		b.wants("See the reversal")
		b.screenshot("transaction-reversed")
		if w.root.get("/api/v1/transactions/order-1012")["reversedByTransactionId"] == nil {
			t.Error("the ledger knows of no reversal")
		}
	})
}
