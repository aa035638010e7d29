package admin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"florin/internal/identity"
)

// payer is a customer with an account, and a name that is a script.
func (w *world) payer(balance string) (who *person, account string) {
	who = w.user(identity.Customer).signIn()
	who.call(http.MethodPatch, "/api/v1/users/me", object{"name": scripted})
	return who, w.account("payer", balance, object{"ownerId": who.id})
}

// payForReview asks for a payment that the rules send to review, and returns its
// transaction.
func (c *person) payForReview(from, to, amount string) string {
	c.w.t.Helper()
	return c.post("/api/v1/users/me/transfers", object{"accountId": from, "to": object{"accountId": to}, "amount": amount})["transactionId"].(string)
}

func TestPaymentsAreReviewedByWhoMay(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		alice, from := w.payer("9000.00")
		_, to := w.payer("0.00")
		operator, support := w.staff(identity.Operator), w.staff(identity.Support)
		see := w.visitor(t, operator)
		see.get("/admin/risk").tells(t, http.StatusOK, "Nothing waits for a review")
		first, second := alice.payForReview(from, to, "1500"), alice.payForReview(from, to, "1600.25")

		queue := see.get("/admin/risk").tells(t, http.StatusOK, first, second, "1,500.00", "1,600.25", from, "new_payee")
		if strings.Index(queue.body, first) > strings.Index(queue.body, second) {
			t.Error("the oldest does not come first")
		}
		see.get("/admin/risk?userId="+alice.id+"&limit=1").tells(t, http.StatusOK, first, `rel="next"`).tellsNot(t, second)
		see.get("/admin/risk?status=NONSENSE").tells(t, http.StatusBadRequest, "status")
		see.get("/admin/risk?status=APPROVED").tells(t, http.StatusOK, "No review fits")

		page := "/admin/risk/decisions/" + first
		see.get(page).tells(t, http.StatusOK, "1,500.00", "&lt;script&gt;", "is_new_payee &amp;&amp;", "account_age_hours", "new_payee", "version 1", "this one decided", "Approve the payment", "Reject the payment")
		// Support reads, and may not decide.
		reader := w.visitor(t, support)
		reader.get(page).tells(t, http.StatusOK, "You may read this").tellsNot(t, "Approve the payment")
		reader.post(page+"/approve", url.Values{}).tells(t, http.StatusForbidden, `role="alert"`)
		w.visitor(t, w.key(identity.Admin, identity.AccountsRead)).get(page).tells(t, http.StatusForbidden, "forbidden")

		// What is wrong with the reason is said on the page.
		see.post(page+"/approve", url.Values{"approvalReason": {strings.Repeat("x", 501)}}).tells(t, http.StatusBadRequest, "500", "Approve the payment")
		see.post(page+"/approve", url.Values{"approvalReason": {scripted}}).tells(t, http.StatusSeeOther)
		see.get(page).tells(t, http.StatusOK, "1,500.00 USD have moved", "Approved", "&lt;script&gt;", operator.id).tellsNot(t, "Approve the payment")
		see.post(page+"/reject", url.Values{}).tells(t, http.StatusConflict, "Approved")
		if balance := w.root.get("/api/v1/accounts/" + to)["balance"]; balance != "1500.00" {
			t.Errorf("the payee has %s", balance)
		}
		see.get("/admin/risk?status=APPROVED").tells(t, http.StatusOK, first).tellsNot(t, second)
		see.get("/admin/risk/decisions?accountId="+from).tells(t, http.StatusOK, first, second, "Approved")
		see.get("/admin/risk/decisions").tells(t, http.StatusOK, "Which payments?")
		if to := see.get("/admin/risk/decisions?transactionId=" + second).header.Get("Location"); to != "/admin/risk/decisions/"+second {
			t.Errorf("led to %s", to)
		}
		see.get("/admin/risk/decisions/txn_none").tells(t, http.StatusNotFound, "risk_decision_not_found")
	})
}

func TestRulesAreChangedAndTried(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		see, reader := w.visitor(t, w.staff(identity.Operator)), w.visitor(t, w.staff(identity.Support))
		see.get("/admin/risk/rules").tells(t, http.StatusOK, "Much to somebody never paid before", "New rule")
		reader.get("/admin/risk/rules").tells(t, http.StatusOK).tellsNot(t, "New rule")

		terms := url.Values{"ruleId": {"round_sums"}, "name": {scripted}, "expression": {"amount + "}, "outcome": {"REVIEW"}, "priority": {"7"}, "enabled": {"true"}}
		reader.post("/admin/risk/new-rule", terms).tells(t, http.StatusForbidden, `role="alert"`)
		see.post("/admin/risk/new-rule", terms).tells(t, http.StatusBadRequest, `id="f-expression-error"`, "amount + ")
		terms.Set("expression", `amount == decimal("400")`)
		terms.Set("priority", "many")
		see.post("/admin/risk/new-rule", terms).tells(t, http.StatusBadRequest, `id="f-priority-error"`)
		terms.Set("priority", "7")
		see.post("/admin/risk/new-rule", terms).tells(t, http.StatusSeeOther)
		rule := "/admin/risk/rules/round_sums"
		see.get(rule).tells(t, http.StatusOK, "Version 1", "&lt;script&gt;", "priority 7")
		terms.Set("version", "1")
		terms.Set("enabled", "false")
		see.post(rule, terms).tells(t, http.StatusSeeOther)
		see.get(rule).tells(t, http.StatusOK, "Version 2 judges payments", "Version 1", "Off")
		terms.Set("expression", `amount == decimal("401")`)
		see.post(rule, terms).tells(t, http.StatusConflict, `role="alert"`, "401")
		reader.get(rule).tells(t, http.StatusOK, "Version 2").tellsNot(t, "Change the rule")
		see.get(rule+"?limit=1").tells(t, http.StatusOK, `rel="next"`)
		see.get("/admin/risk/rules/none").tells(t, http.StatusNotFound, "risk_rule_not_found")

		try := func(expression, amount string) string {
			return "/admin/risk/try?" + url.Values{"expression": {expression}, "facts.operation": {"transfer"}, "facts.amount": {amount}, "facts.currency": {"USD"}, "facts.isNewPayee": {"true"}}.Encode()
		}
		reader.get("/admin/risk/try").tells(t, http.StatusOK, "Try it").tellsNot(t, "It matches")
		reader.get(try("is_new_payee && amount > 1000", "1500")).tells(t, http.StatusOK, "It matches").tellsNot(t, "Make it a rule")
		see.get(try("is_new_payee && amount > 1000", "1000")).tells(t, http.StatusOK, "It does not match", "Make it a rule")
		reader.get(try(scripted, "1")).tells(t, http.StatusBadRequest, `id="f-expression-error"`, "&lt;script&gt;")
		reader.get(try("true", "-1")).tells(t, http.StatusBadRequest, `id="f-facts.amount-error"`)
		reader.get(try("true", "1")+"&facts.countDay=many").tells(t, http.StatusBadRequest, `id="f-facts.countDay-error"`)
	})
}

func TestAPaymentIsRejectedInTheBrowser(t *testing.T) {
	t.Parallel()
	eachWorld(t, worldOptions{isFresh: true, isLong: true}, func(t *testing.T, w *world) {
		b := w.browser(t, w.staff(identity.Operator))
		b.visit("/admin/risk")
		b.wants("Nothing waits for a review")
		b.screenshot("risk-none")
		alice, from := w.payer("9000.00")
		_, to := w.payer("0.00")
		payment := alice.payForReview(from, to, "1500")
		for range 3 {
			alice.payForReview(from, to, "1250.50")
		}
		if held := w.root.get("/api/v1/accounts/" + from)["held"]; held != "5251.50" {
			t.Fatalf("%s are held", held)
		}
		b.visit("/admin/risk")
		b.wants("1,500.00")
		b.screenshot("risk")
		b.click(`a[href="/admin/risk/decisions/` + payment + `"]`)
		b.wants("What the rules saw")
		b.screenshot("risk-decision")
		b.click(`details.ask:nth-of-type(1) > summary`)
		b.choose("#f-rejectionReason", "The customer did not ask for it")
		b.screenshot("risk-confirm")
		b.click(`form[action$="/reject"] button[type="submit"]`)
		b.wants("Rejected. 1,500.00 USD are the payer's again.")
		b.screenshot("risk-rejected")
		account := w.root.get("/api/v1/accounts/" + from)
		if account["held"] != "3751.50" || account["balance"] != "9000.00" {
			t.Errorf("the payer has %v, %v held", account["balance"], account["held"])
		}
		b.visit("/admin/risk/decisions?accountId=" + from)
		b.screenshot("risk-decisions")
		b.visit("/admin/risk/rules")
		b.screenshot("risk-rules")
		b.click(`a[href="/admin/risk/rules/new_payee"]`)
		b.wants("Version 1")
		b.click(`details.card > summary`)
		b.screenshot("risk-rule")
		b.click(`a[href^="/admin/risk/try?"]`)
		b.click(`form.card button[type="submit"]`)
		b.wants("It does not match")
		b.choose(`[name="facts.isNewPayee"]`, "true")
		b.click(`form.card button[type="submit"]`)
		b.wants("It matches")
		b.screenshot("risk-try")
	})
}
