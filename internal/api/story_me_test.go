package api_test

import (
	"net/http"
	"strings"
	"testing"

	"florin/internal/identity"
)

func TestProfileIsReadAndChanged(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const path = "/api/v1/users/me"
		c := w.customer("Ada Lovelace")
		c.patch(path, object{"name": "Ada Byron", "phone": "+44 20 7946 0000", "address": "12 St James's Square\nLondon", "locale": "en-GB"}).want(http.StatusOK).wantFields(object{
			"name": "Ada Byron", "phone": "+442079460000", "address": "12 St James's Square\nLondon", "locale": "en-GB", "email": c.email,
		})
		c.patch(path, object{"phone": ""}).want(http.StatusOK).wantFields(object{"phone": nil, "name": "Ada Byron", "locale": "en-GB"})
		c.patch(path, object{}).want(http.StatusOK).wantFields(object{"name": "Ada Byron"})
		for field, value := range map[string]any{"name": "", "phone": "12", "locale": "not a locale!", "address": strings.Repeat("x", 501), "role": "admin", "status": "ACTIVE", "email": "eve@example.com"} {
			c.patch(path, object{field: value}).wantProblem(http.StatusBadRequest, "invalid_request", field)
		}
		event := w.wantEvent(c.userID, "user.updated")
		for _, personal := range []string{"Byron", "7946", "James", "en-GB"} {
			if strings.Contains(string(event.Before)+string(event.After), personal) {
				t.Errorf("the audit trail keeps personal data: %s %s", event.Before, event.After)
			}
		}
	})
}

func TestLinkedAccountsShowTheirLastFourAlone(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const path = "/api/v1/users/me/linked-accounts"
		c, other := w.customer("Ada Lovelace"), w.customer("Bob Brown")
		us := object{"bankName": "First Bank", "routingNumber": "021000021", "accountNumber": "000123456789"}
		iban := object{"bankName": "Commerzbank", "iban": "DE89 3704 0044 0532 0130 00"}
		linked := c.post(path, us).want(http.StatusCreated).wantFields(object{"kind": "US", "bankName": "First Bank", "lastFour": "6789"})
		c.post(path, us).wantProblem(http.StatusConflict, "linked_account_exists", "")
		c.post(path, iban).want(http.StatusCreated).wantFields(object{"kind": "IBAN", "lastFour": "3000"})
		other.post(path, us).want(http.StatusCreated)
		for _, wrong := range []struct {
			body  object
			field string
		}{
			{object{"bankName": "B", "routingNumber": "021000022", "accountNumber": "000123456789"}, "routingNumber"},
			{object{"bankName": "B", "routingNumber": "021000021"}, "accountNumber"},
			{object{"bankName": "B", "iban": "DE89370400440532013001"}, "iban"},
			{object{"bankName": "B", "iban": "DE8937040044053201300"}, "iban"},
			{object{"bankName": "", "iban": "DE89370400440532013000"}, "bankName"},
			{object{"bankName": "B", "iban": "DE89370400440532013000", "kind": "US"}, "kind"},
		} {
			c.post(path, wrong.body).wantProblem(http.StatusBadRequest, "invalid_request", wrong.field)
		}
		list := c.get(path).want(http.StatusOK)
		if len(list.object().list("data")) != 2 || strings.Contains(list.text, "0123456789") || strings.Contains(list.text, "0532013000") {
			t.Errorf("the list is %s", list.text)
		}
		if strings.Contains(w.log.String(), "000123456789") {
			t.Error("the number stands in the log")
		}
		linkedID := text(linked.object(), "linkedAccountId")
		other.delete(path+"/"+linkedID).wantProblem(http.StatusNotFound, "linked_account_not_found", "")
		c.delete(path + "/" + linkedID).want(http.StatusOK)
		c.delete(path+"/"+linkedID).wantProblem(http.StatusNotFound, "linked_account_not_found", "")
		if events := w.events(linkedID); len(events) != 2 || events[0].Action != "linked_account.removed" || events[1].Action != "linked_account.added" || events[1].Origin.ActorID != c.userID {
			t.Errorf("audit events %+v", events)
		}
	})
}

func TestDeletedUsersLeaveAnIDWithoutAPerson(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		people := w.payers("100.00", "Ada Lovelace", "Bob Brown")
		c, bob := people[0], people[1]
		program := w.program(identity.Customer, c.userID)
		program.get("/api/v1/users/me").want(http.StatusOK)
		w.time.pass(proofMax)
		c.delete("/api/v1/users/me").wantProblem(http.StatusForbidden, "proof_required", "")
		program.delete("/api/v1/users/me").wantProblem(http.StatusForbidden, "forbidden", "")
		c.prove().delete("/api/v1/users/me").wantProblem(http.StatusConflict, "balance_remaining", "")
		c.post("/api/v1/users/me/transfers", c.payment(bob.account, "60")).want(http.StatusCreated)
		c.post("/api/v1/users/me/withdrawals", c.bankPayment("40")).want(http.StatusCreated)
		c.delete("/api/v1/users/me").want(http.StatusOK)
		c.get("/api/v1/users/me").wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		w.stranger().post("/api/v1/auth/signin", object{"email": c.email, "password": c.password}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		w.time.pass(cacheMax)
		program.get("/api/v1/users/me").wantProblem(http.StatusUnauthorized, "unauthenticated", "")

		admin := w.staff(identity.Admin)
		left := admin.get("/api/v1/users/" + c.userID).want(http.StatusOK).wantFields(object{"status": "DELETED", "email": nil, "name": "", "hasSecondFactor": false})
		if strings.Contains(left.text, "Ada") {
			t.Errorf("what is left: %s", left.text)
		}
		admin.get("/api/v1/accounts/" + c.account).want(http.StatusOK).wantFields(object{"status": "CLOSED", "balance": "0.00"})
		received := bob.get("/api/v1/users/me/transactions").want(http.StatusOK).object().list("data")[0]
		if text(received, "counterparty", "name") != "" || received["amount"] != "60.00" {
			t.Errorf("the payee sees %v", received)
		}
		bob.post("/api/v1/users/me/transfers", object{"accountId": bob.account, "to": object{"userId": c.userID}, "amount": "1"}).wantProblem(http.StatusNotFound, "payee_not_found", "")
		if event := w.wantEvent(c.userID, "user.deleted"); event.Origin.ActorID != c.userID || event.Origin.Address != c.address {
			t.Errorf("event %+v", event)
		}
		c.post("/api/v1/auth/signup", object{"email": c.email, "password": goodPassword, "name": "Ada Again"}, "Authorization", "").want(http.StatusAccepted)
	})
}
