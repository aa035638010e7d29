package admin_test

import (
	"net/http"
	"net/url"
	"testing"

	"florin/internal/approval"
	"florin/internal/identity"
)

var approvalsWorld = worldOptions{isFresh: true, isLong: true, secondPerson: approval.Operations}

func TestASecondPersonAgreesAndNobodyToHisOwn(t *testing.T) {
	t.Parallel()
	eachWorld(t, approvalsWorld, func(t *testing.T, w *world) {
		asks, agrees, customer := w.staff(identity.Admin), w.staff(identity.Operator), w.user(identity.Customer)
		one, two := w.visitor(t, asks), w.visitor(t, agrees)
		two.get("/admin/approvals").tells(t, http.StatusOK, "Nothing waits for a second person")
		role := asks.call(http.MethodPut, "/api/v1/users/"+customer.id+"/role", object{"role": "support"})["approvalId"].(string)
		page := "/admin/approvals/" + role
		two.get("/admin/approvals").tells(t, http.StatusOK, "Give "+customer.id+" the role support", asks.id, "left")
		two.get(page).tells(t, http.StatusOK, "customer", "support", "Changed", "Approve and do it", "Reject")

		// Nobody agrees to what he asked for: it is said before, and refused after.
		one.get(page).tells(t, http.StatusOK, "You asked for this, so somebody else has to agree", "Take it back").tellsNot(t, "Approve and do it")
		one.post(page+"/approve", url.Values{}).tells(t, http.StatusForbidden, "a second one has to approve", "Take it back")
		// A program does not agree at all, and support does not even read.
		program := w.visitor(t, w.key(identity.Admin))
		program.get(page).tells(t, http.StatusOK, "a person has to agree").tellsNot(t, "Approve and do it")
		program.post(page+"/approve", url.Values{}).tells(t, http.StatusForbidden, "a person has to")
		support := w.visitor(t, w.staff(identity.Support))
		support.get("/admin/approvals").tells(t, http.StatusForbidden, "forbidden")
		support.post(page+"/reject", url.Values{}).tells(t, http.StatusForbidden, "forbidden")

		two.post(page+"/approve", url.Values{}).tells(t, http.StatusSeeOther)
		two.get(page).tells(t, http.StatusOK, "Approved, and done.", "What was done", "ok").tellsNot(t, "Approve and do it")
		if now := w.root.get("/api/v1/users/" + customer.id)["role"]; now != "support" {
			t.Errorf("the role is %s", now)
		}
		// Doing it twice is doing it once.
		two.post(page+"/approve", url.Values{}).tells(t, http.StatusSeeOther)
		two.post(page+"/reject", url.Values{"reason": {"late"}}).tells(t, http.StatusConflict)

		taken := asks.call(http.MethodPut, "/api/v1/users/"+customer.id+"/role", object{"role": "finance"})["approvalId"].(string)
		one.post("/admin/approvals/"+taken+"/reject", url.Values{"reason": {scripted}}).tells(t, http.StatusSeeOther)
		one.get("/admin/approvals/"+taken).tells(t, http.StatusOK, "Taken back.", "&lt;script&gt;")
		two.get("/admin/approvals?status=REJECTED").tells(t, http.StatusOK, "the role finance").tellsNot(t, "the role support")
		two.get("/admin/approvals?status=ALL&limit=1").tells(t, http.StatusOK, `rel="next"`)
		two.get("/admin/approvals?status=NONSENSE").tells(t, http.StatusBadRequest, "status")
		two.get("/admin/approvals?targetId="+customer.id+"&status=EXPIRED").tells(t, http.StatusOK, "No approval fits")
		two.get("/admin/approvals/apr_none").tells(t, http.StatusNotFound, "approval_not_found")
	})
}

func TestWhatIsApprovedCanBeReadBefore(t *testing.T) {
	t.Parallel()
	eachWorld(t, approvalsWorld, func(t *testing.T, w *world) {
		asks, agrees := w.staff(identity.Admin), w.visitor(t, w.staff(identity.Operator))
		payer, payee, elsewhere := w.account("payer", "100", nil), w.account("payee", "0", nil), w.account("elsewhere", "0", nil)
		paid := w.pay(payer, payee, "100")
		w.pay(payee, elsewhere, "100")
		waits := func(method, path string, body object) string {
			return "/admin/approvals/" + asks.call(method, path, body)["approvalId"].(string)
		}
		agrees.get(waits(http.MethodPost, "/api/v1/transactions/"+paid+"/reversal", object{"force": true, "description": scripted})).
			tells(t, http.StatusOK, "Take back "+paid, "100.00", payer, payee, "below zero", "&lt;script&gt;")
		agrees.get(waits(http.MethodPatch, "/api/v1/accounts/"+payer, object{"transferLimit": "50", "dailyLimit": "60"})).
			tells(t, http.StatusOK, "Let the account "+payer+" pay more", "perTransfer", "none", "50", "Changed").tellsNot(t, "overdraftLimit")
		asks.call(http.MethodPut, "/api/v1/limits/customer/USD", object{"perTransfer": "100", "daily": "200"})
		agrees.get(waits(http.MethodPut, "/api/v1/limits/customer/USD", object{"perTransfer": "100", "daily": "300"})).
			tells(t, http.StatusOK, "Let every customer pay more in USD", "200.00", "300", "Same")
		terms := object{
			"name": scripted, "currency": "USD", "from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z", "enabled": true, "budget": "1000",
			"budgetEnd": "REST", "reward": object{"kind": "PERCENT", "percent": "5"}, "funding": object{"kind": "PLATFORM"}, "returnDays": 14,
		}
		terms["campaignId"] = "kitchen"
		page := waits(http.MethodPost, "/api/v1/campaigns", terms)
		agrees.get(page).tells(t, http.StatusOK, "Make the campaign kitchen", "reward.percent", "&lt;script&gt;")
		agrees.post(page+"/approve", url.Values{}).tells(t, http.StatusSeeOther)
		delete(terms, "campaignId")
		terms["version"], terms["budget"] = 1, "2000"
		agrees.get(waits(http.MethodPut, "/api/v1/campaigns/kitchen", terms)).
			tells(t, http.StatusOK, "Change the campaign kitchen", "1000.00", "2000", "Changed", "Same").tellsNot(t, ">Removed<", ">Added<")
	})
}

func TestARoleIsGivenInTheBrowser(t *testing.T) {
	t.Parallel()
	eachWorld(t, approvalsWorld, func(t *testing.T, w *world) {
		asks, customer := w.staff(identity.Admin), w.user(identity.Customer)
		b := w.browser(t, w.staff(identity.Operator))
		b.visit("/admin/approvals")
		b.wants("Nothing waits for a second person")
		b.screenshot("approvals-none")
		role := asks.call(http.MethodPut, "/api/v1/users/"+customer.id+"/role", object{"role": "support"})["approvalId"].(string)
		account := w.account("payer", "100", nil)
		asks.call(http.MethodPatch, "/api/v1/accounts/"+account, object{"transferLimit": "50"})
		b.visit("/admin/approvals")
		b.screenshot("approvals")
		b.click(`a[href="/admin/approvals/` + role + `"]`)
		b.wants("What will be done")
		b.screenshot("approvals-one")
		b.click(`details.ask:nth-of-type(2) > summary`)
		b.screenshot("approvals-confirm")
		b.click(`form[action$="/approve"] button[type="submit"]`)
		b.wants("Approved, and done.")
		b.screenshot("approvals-done")
		if now := w.root.get("/api/v1/users/" + customer.id)["role"]; now != "support" {
			t.Errorf("the role is %s", now)
		}
	})
}
