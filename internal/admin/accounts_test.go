package admin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/shopspring/decimal"

	"florin/internal/approval"
	"florin/internal/identity"
	"florin/internal/ledger"
)

func TestAccountsAreListedAndFiltered(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		b := w.browser(t, w.key(identity.Support))
		b.visit("/admin/accounts")
		b.wants("No accounts yet")
		b.screenshot("accounts-none")
		rich := w.account("alice", "1234567.50", nil)
		w.account("mallory", "0", object{"metadata": object{"name": scriptText, "customer": "42"}})
		for range 60 {
			w.account("filler", "12.34", nil)
		}
		b.visit("/admin/accounts")
		b.wants(rich)
		b.wants("1,234,567.50")
		b.screenshot("accounts")

		// The next page is another URL, and the first stays where it was.
		b.click(`a[rel="next"]`)
		b.wants("First page")
		b.wantsNot(rich)

		// Filters go without a reload, and into the URL.
		b.visit("/admin/accounts")
		b.choose("#f-status", "FROZEN")
		b.wants("No account fits")
		b.wantsNot(rich)
		if at := b.at(); !strings.Contains(at, "status=FROZEN") {
			t.Errorf("the filter is not in the URL: %s", at)
		}
		b.visit("/admin/accounts?metadata=" + url.QueryEscape(`{"customer":"42"}`))
		b.wants("mallory-")
		b.wantsNot(rich)
		b.visit("/admin/accounts?metadata=nonsense")
		b.wants("metadata")
		b.screenshot("accounts-wrong-filter")
	})
}

func TestAnAccountIsShownWithItsMoney(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		alice := w.account("alice", "1000.00", object{"metadata": object{"note": scriptText}})
		bob := w.account("bob", "0", nil)
		var paid string
		for _, amount := range []string{"12.50", "200.25", "0.75", "310.00"} {
			paid = w.pay(alice, bob, amount)
		}
		w.pay(bob, alice, "120.00")
		w.root.post("/api/v1/holds", object{"holdId": some("hold"), "sourceAccountId": alice, "destinationAccountId": bob, "amount": "50.00", "currency": "USD", "expiresAt": w.time.Now().Add(48 * time.Hour)})

		b := w.browser(t, w.key(identity.Operator))
		b.visit("/admin/accounts/" + alice)
		b.wants("596.50") // posted
		b.wants("546.50") // available
		b.wants(paid)
		b.wants(scriptText)
		b.screenshot("account")

		today := w.time.Now().Format(time.DateOnly)
		b.visit("/admin/accounts/" + alice + "?from=2020-01-01&to=2020-01-31")
		b.wants("No postings in this time")
		b.visit("/admin/accounts/" + alice + "?at=2020-01-31")
		b.wants("It was not open then.")
		b.visit("/admin/accounts/" + alice + "?from=" + today + "&to=" + today + "&at=" + today)
		b.wants("6 postings until then")
		b.do("the form of the balance", chromedp.Submit(chromedp.CSS("#f-at")))
		b.wants("6 postings until then")
		if at := b.at(); !strings.Contains(at, "from="+today) {
			t.Errorf("the balance's form forgets the statement's days: %s", at)
		}
		b.visit("/admin/accounts/" + alice + "?at=nonsense")
		b.screenshot("account-wrong-date")

		b.visit("/admin/accounts/" + some("nobody"))
		b.wants("There is no such account")
		b.screenshot("account-missing")
	})
}

func TestAnAccountIsFrozenOnceAndUnfrozen(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true}, func(t *testing.T, w *world) {
		alice, bob := w.account("alice", "100.00", nil), w.account("bob", "0", nil)
		b := w.browser(t, w.staff(identity.Support))
		b.visit("/admin/accounts/" + alice)
		b.click("details.ask > summary")
		b.wants("Freeze " + alice + "?")
		b.screenshot("account-freeze")
		b.click("details.ask button[type=submit]")
		b.wants("The account is frozen")
		b.wants("Unfreeze")
		b.screenshot("account-frozen")
		if got := w.root.get("/api/v1/accounts/" + alice)["status"]; got != "FROZEN" {
			t.Fatalf("the account is %v", got)
		}
		if status, answer := w.root.try(http.MethodPost, "/api/v1/transfers", object{"transactionId": some("t"), "sourceAccountId": alice, "destinationAccountId": bob, "amount": "1.00"}); status != http.StatusConflict {
			t.Fatalf("a frozen account pays: %d %s", status, answer)
		}
		// The notice is shown once.
		b.visit("/admin/accounts/" + alice)
		b.wantsNot("The account is frozen:")
		b.click("details.ask > summary")
		b.click("details.ask button[type=submit]")
		b.wants("active again")
		w.pay(alice, bob, "1.00")

		// Whoever may not read reports gets no link to one.
		w.visitor(t, w.key(identity.Finance)).get("/admin/accounts/"+alice).shows(t, http.StatusOK, "/api/v1/reports/statement?accountId="+alice)
		w.visitor(t, w.key(identity.Support)).get("/admin/accounts/"+alice).hides(t, "/api/v1/reports/statement", "/admin/transfers/new")

		// Finance reads and may not freeze: neither is there a button, nor does the API do it.
		finance := w.visitor(t, w.key(identity.Finance))
		if page := finance.get("/admin/accounts/" + alice); page.status != http.StatusOK || strings.Contains(page.body, "Freeze") {
			t.Errorf("finance is shown %d with a button to freeze", page.status)
		}
		if page := finance.post("/admin/accounts/"+alice+"/status", url.Values{"status": {"FROZEN"}}); page.status != http.StatusForbidden || !strings.Contains(page.body, "accounts:freeze") {
			t.Errorf("finance freezes: %d", page.status)
		}
	})
}

func TestLimitsAreChangedWithAProofAndASecondPerson(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isLong: true, secondPerson: []approval.Operation{approval.LimitRaise}}, func(t *testing.T, w *world) {
		alice := w.account("alice", "100.00", nil)
		limit := decimal.NewNullDecimal(decimal.NewFromInt(400))
		if _, err := w.ledger.UpdateAccount(t.Context(), ledger.UpdateAccount{ID: alice, TransferLimit: &limit}); err != nil {
			t.Fatal(err)
		}
		operator := w.staff(identity.Operator)
		b := w.browser(t, operator)
		b.visit("/admin/accounts/" + alice)
		b.fill("#f-transferLimit", "-5")
		b.click(`form[action$="/limits"] button[type=submit]`)
		b.wants("The request makes no sense")
		b.screenshot("account-wrong-limit")

		// To lower it needs a proof, which is asked for in between, and no second person.
		w.time.pass(11 * time.Minute)
		b.visit("/admin/accounts/" + alice)
		b.fill("#f-transferLimit", "50.00")
		b.click(`form[action$="/limits"] button[type=submit]`)
		b.wants("Prove it is you")
		b.screenshot("prove")
		b.fill("#f-_code", "000000")
		b.click("main button[type=submit]")
		b.wants("The credentials are not right")
		b.fill("#f-_code", operator.code())
		b.click("main button[type=submit]")
		b.wants("The limits are changed.")
		if got := w.root.get("/api/v1/accounts/" + alice)["transferLimit"]; got != "50.00" {
			t.Fatalf("the limit is %v", got)
		}

		b.fill("#f-transferLimit", "500.00")
		b.click(`form[action$="/limits"] button[type=submit]`)
		b.wants("Waits for a second person")
		b.screenshot("second-person")
		if got := w.root.get("/api/v1/accounts/" + alice)["transferLimit"]; got != "50.00" {
			t.Fatalf("the limit is %v without a second person", got)
		}
	})
}
