package api_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"florin/internal/identity"
)

func TestRiskRulesHaveVersions(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const rules = "/api/v1/risk/rules"
		operator, support := w.staff(identity.Operator), w.staff(identity.Support)
		terms := func(expression string, more object) object {
			body := object{"name": "Round sums", "expression": expression, "outcome": "REVIEW", "enabled": true}
			for name, value := range more {
				body[name] = value
			}
			return body
		}
		builtIn := support.get(rules).want(http.StatusOK).object().list("data")
		if len(builtIn) < 5 || builtIn[0]["createdBy"] != "system" {
			t.Errorf("rules %v", builtIn)
		}
		made := operator.post(rules, terms(`amount == decimal("400")`, object{"ruleId": "round_sums"})).want(http.StatusCreated)
		made.wantFields(object{"ruleId": "round_sums", "version": 1.0, "createdBy": operator.userID, "outcome": "REVIEW", "enabled": true, "priority": 0.0})
		operator.post(rules, terms(`amount == decimal("401")`, object{"ruleId": "round_sums"})).wantProblem(http.StatusConflict, "risk_rule_exists", "")
		for _, wrong := range []struct {
			body  object
			field string
		}{
			{terms("amount + ", object{"ruleId": "r"}), "expression"},
			{terms("amount", object{"ruleId": "r"}), "expression"},
			{terms("amount > 'much'", object{"ruleId": "r"}), "expression"},
			{terms("unknown > 1", object{"ruleId": "r"}), "expression"},
			{terms("true", object{"ruleId": "Not An Id"}), "ruleId"},
			{terms("true", object{"ruleId": "r", "version": 2}), "version"},
			{terms("true", object{"ruleId": "r", "outcome": "MAYBE"}), "outcome"},
			{terms("true", object{"ruleId": "r", "priority": 1001}), "priority"},
			{terms("true", object{"ruleId": "r", "name": ""}), "name"},
			{terms("true", object{"ruleId": "r", "createdBy": "system"}), "createdBy"},
			{object{"ruleId": "r", "name": "n", "expression": "true", "outcome": "ALLOW"}, "enabled"},
		} {
			operator.post(rules, wrong.body).wantProblem(http.StatusBadRequest, "invalid_request", wrong.field)
		}
		operator.put(rules+"/round_sums", terms(`amount == decimal("500")`, object{"version": 1, "enabled": false})).want(http.StatusOK).wantFields(object{"version": 2.0, "enabled": false})
		operator.put(rules+"/round_sums", terms(`amount == decimal("600")`, object{"version": 1})).wantProblem(http.StatusConflict, "risk_rule_changed", "")
		operator.put(rules+"/none_such", terms(`amount == decimal("600")`, object{"version": 1})).wantProblem(http.StatusNotFound, "risk_rule_not_found", "")
		operator.put(rules+"/round_sums", terms(`amount == decimal("600")`, object{"version": 2, "ruleId": "other"})).wantProblem(http.StatusBadRequest, "invalid_request", "ruleId")
		versions := operator.get(rules + "/round_sums/versions?limit=1").want(http.StatusOK).object()
		older := operator.get(rules + "/round_sums/versions?limit=1&cursor=" + url.QueryEscape(text(versions, "nextCursor"))).want(http.StatusOK).object()
		if versions.list("data")[0]["version"] != 2.0 || older.list("data")[0]["expression"] != `amount == decimal("400")` || older["nextCursor"] != nil {
			t.Errorf("versions %v, %v", versions, older)
		}
		operator.get(rules+"/none_such/versions").wantProblem(http.StatusNotFound, "risk_rule_not_found", "")
		support.post(rules, terms("true", object{"ruleId": "r"})).wantProblem(http.StatusForbidden, "forbidden", "")

		facts := object{"operation": "transfer", "amount": "1500.10", "currency": "USD", "isNewPayee": true, "sumDay": "0.1"}
		try := func(expression string, facts object) answer {
			return support.post(rules+"/test", object{"expression": expression, "facts": facts})
		}
		try("is_new_payee && amount > decimal(\"1500.09\") && sum_day == decimal(\"0.1\")", facts).want(http.StatusOK).wantFields(object{"isMatch": true})
		try("amount > decimal(\"1500.10\")", facts).want(http.StatusOK).wantFields(object{"isMatch": false})
		try("amount", facts).wantProblem(http.StatusBadRequest, "invalid_request", "expression")
		try("true", object{"operation": "gift", "amount": "1", "currency": "USD"}).wantProblem(http.StatusBadRequest, "invalid_request", "facts.operation")
		try("true", object{"operation": "transfer", "amount": "1", "currency": "USD", "countDay": -1}).wantProblem(http.StatusBadRequest, "invalid_request", "facts.countDay")
		try("true", object{"operation": "transfer", "amount": "1"}).wantProblem(http.StatusBadRequest, "invalid_request", "facts.currency")
		w.wantEvent("round_sums", "risk_rule.created")
		if event := w.wantEvent("round_sums", "risk_rule.changed"); event.Origin.ActorID != operator.userID || member(t, event.Before, "expression") != `amount == decimal("400")` || member(t, event.After, "expression") != `amount == decimal("500")` {
			t.Errorf("event %+v: %s, %s", event, event.Before, event.After)
		}
		w.time.pass(proofMax)
		operator.post(rules, terms("true", object{"ruleId": "r"})).wantProblem(http.StatusForbidden, "proof_required", "")
	})
}

func TestPaymentsAreReviewedAndDeclined(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const reviews = "/api/v1/risk/reviews"
		people := w.payers("4000.00", "Alice Adams", "Bob Brown")
		alice, bob := people[0], people[1]
		operator, support := w.staff(identity.Operator), w.staff(identity.Support)

		waiting := alice.post(myTransfers, alice.payment(bob.account, "1500"), "Idempotency-Key", "car").want(http.StatusAccepted)
		waiting.wantFields(object{"status": "IN_REVIEW", "type": "SENT", "amount": "1500.00"})
		transactionID := text(waiting.object(), "transactionId")
		again := alice.post(myTransfers, alice.payment(bob.account, "1500"), "Idempotency-Key", "car").want(http.StatusAccepted)
		if again.object()["transactionId"] != transactionID {
			t.Errorf("repeated: %s", again.text)
		}
		alice.wantAccount("4000.00", "1500.00")
		bob.wantAccount("4000.00", "0.00")
		if pending := alice.get(myTransactions + "/pending").want(http.StatusOK).object().list("data"); len(pending) != 1 || pending[0]["transactionId"] != transactionID {
			t.Errorf("pending %v", pending)
		}
		alice.prove().delete("/api/v1/users/me").wantProblem(http.StatusConflict, "payments_pending", "")

		queue := support.get(reviews + "?userId=" + alice.userID).want(http.StatusOK).object().list("data")
		if len(queue) != 1 || queue[0]["transactionId"] != transactionID || queue[0]["ruleId"] != "new_payee" || queue[0]["reviewStatus"] != "PENDING" || text(queue[0], "facts", "amount") != "1500" {
			t.Fatalf("queue %v", queue)
		}
		decisionID := text(queue[0], "decisionId")
		approve, reject := reviews+"/"+decisionID+"/approve", reviews+"/"+decisionID+"/reject"
		support.post(approve, nil).wantProblem(http.StatusForbidden, "forbidden", "")
		alice.post(approve, nil).wantProblem(http.StatusForbidden, "forbidden", "")
		operator.post(reviews+"/dec_none/approve", nil).wantProblem(http.StatusNotFound, "risk_decision_not_found", "")
		approved := operator.post(approve, object{"reason": "called her"}).want(http.StatusOK).object()
		if text(approved, "transaction", "status") != "COMPLETED" || text(approved, "decision", "reviewStatus") != "APPROVED" || text(approved, "decision", "reviewedBy") != operator.userID || text(approved, "decision", "reviewReason") != "called her" {
			t.Errorf("approved %v", approved)
		}
		operator.post(approve, object{"reason": "called her"}).want(http.StatusOK)
		operator.post(reject, nil).wantProblem(http.StatusConflict, "already_reviewed", "")
		alice.wantAccount("2500.00", "0.00")
		bob.wantAccount("5500.00", "0.00")
		alice.get(myTransactions + "/" + transactionID).want(http.StatusOK).wantFields(object{"status": "COMPLETED", "transactionId": transactionID})
		alice.post(myTransfers, alice.payment(bob.account, "1500"), "Idempotency-Key", "car").want(http.StatusCreated).wantFields(object{"transactionId": transactionID})
		alice.wantAccount("2500.00", "0.00")

		// A withdrawal without a second factor waits too, and is stopped.
		withdrawal := text(alice.post(myWithdrawals, alice.bankPayment("2100"), "Idempotency-Key", "out").want(http.StatusAccepted).object(), "transactionId")
		alice.wantAccount("2500.00", "2100.00")
		alice.post(myTransfers, alice.payment(bob.account, "400.01")).wantProblem(http.StatusUnprocessableEntity, "insufficient_funds", "")
		decided := support.get("/api/v1/risk/decisions?transactionId=" + withdrawal).want(http.StatusOK).object().list("data")[0]
		matched := slices.ContainsFunc(decided.list("matches"), func(m object) bool { return m["ruleId"] == "withdrawal_without_second_factor" })
		if !matched || decided["operation"] != "withdrawal" || decided["outcome"] != "REVIEW" {
			t.Errorf("decision %v", decided)
		}
		rejected := operator.post(reviews+"/"+text(decided, "decisionId")+"/reject", object{"reason": "not hers"}).want(http.StatusOK).object()
		if text(rejected, "transaction", "status") != "FAILED" || text(rejected, "transaction", "failureCode") != "rejected_by_review" {
			t.Errorf("rejected %v", rejected)
		}
		alice.wantAccount("2500.00", "0.00")
		alice.post(myWithdrawals, alice.bankPayment("2100"), "Idempotency-Key", "out").wantProblem(http.StatusUnprocessableEntity, "rejected_by_review", "")
		alice.get(myTransactions + "/" + withdrawal).want(http.StatusOK).wantFields(object{"status": "FAILED", "failureCode": "rejected_by_review"})
		if done := support.get(reviews + "?status=APPROVED&accountId=" + alice.account).want(http.StatusOK).object().list("data"); len(done) != 1 || done[0]["decisionId"] != decisionID {
			t.Errorf("approved: %v", done)
		}
		for _, action := range []string{"risk_review.approved"} {
			if event := w.wantEvent(decisionID, action); event.Origin.ActorID != operator.userID {
				t.Errorf("event %+v", event)
			}
		}

		operator.post("/api/v1/risk/rules", object{"ruleId": "unlucky", "name": "Unlucky sums", "expression": `amount == decimal("6.66")`, "outcome": "DECLINE", "enabled": true}).want(http.StatusCreated)
		w.time.pass(cacheMax)
		declined := alice.post(myTransfers, alice.payment(bob.account, "6.66")).wantProblem(http.StatusUnprocessableEntity, "declined_by_risk", "")
		if text(declined.object(), "detail") == "" {
			t.Error("no detail")
		}
		alice.wantAccount("2500.00", "0.00")
		latest := support.get("/api/v1/risk/decisions?limit=1&accountId=" + alice.account).want(http.StatusOK).object()
		if rows := latest.list("data"); len(rows) != 1 || rows[0]["outcome"] != "DECLINE" || rows[0]["ruleId"] != "unlucky" || rows[0]["ruleVersion"] != 1.0 || latest["nextCursor"] == nil {
			t.Errorf("decisions %v", latest)
		}
		operator.post(reviews+"/"+text(latest.list("data")[0], "decisionId")+"/approve", nil).wantProblem(http.StatusNotFound, "review_not_found", "")
		support.get("/api/v1/risk/decisions").wantProblem(http.StatusBadRequest, "invalid_request", "transactionId")
		support.get("/api/v1/risk/decisions?transactionId=txn_none").wantProblem(http.StatusNotFound, "risk_decision_not_found", "")
	})
}

func TestRolesAndAccountsHaveLimits(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const limits = "/api/v1/limits"
		people := w.payers("1000.00", "Alice Adams", "Bob Brown")
		alice, bob := people[0], people[1]
		operator := w.staff(identity.Operator)
		pay := func(amount string) answer { return alice.post(myTransfers, alice.payment(bob.account, amount)) }

		operator.put(limits+"/customer/USD", object{"perTransfer": "100.00", "daily": "250.00"}).want(http.StatusOK).wantFields(object{
			"role": "customer", "currency": "USD", "perTransfer": "100.00", "daily": "250.00", "updatedBy": operator.userID,
		})
		for _, wrong := range []struct {
			path, field string
			body        object
		}{
			{"/customer/USD", "daily", object{"perTransfer": "1"}},
			{"/customer/USD", "perTransfer", object{"perTransfer": "-1", "daily": "1"}},
			{"/customer/USD", "perTransfer", object{"perTransfer": "0.001", "daily": "1"}},
			{"/customer/XXY", "currency", object{"perTransfer": "1", "daily": "1"}},
			{"/admin/USD", "role", object{"perTransfer": "1", "daily": "1"}},
			{"/customer/*", "daily", object{"perTransfer": "1", "daily": "1.5"}},
		} {
			operator.put(limits+wrong.path, wrong.body).wantProblem(http.StatusBadRequest, "invalid_request", wrong.field)
		}
		operator.put(limits+"/merchant/*", object{"perTransfer": "10", "daily": "none"}).want(http.StatusOK).wantFields(object{"currency": "*", "daily": nil})
		w.staff(identity.Support).put(limits+"/customer/USD", object{"perTransfer": "1", "daily": "1"}).wantProblem(http.StatusForbidden, "forbidden", "")
		found := false
		for _, row := range w.staff(identity.Support).get(limits).want(http.StatusOK).object().list("data") {
			found = found || row["role"] == "customer" && row["currency"] == "USD" && row["daily"] == "250.00"
		}
		if !found {
			t.Error("the list does not have what was set")
		}
		w.time.pass(cacheMax)

		refused := pay("100.01").wantProblem(http.StatusUnprocessableEntity, "transfer_limit_exceeded", "")
		alice.get(myTransactions + "/" + text(refused.object(), "transactionId")).want(http.StatusOK).wantFields(object{"status": "FAILED", "failureCode": "transfer_limit_exceeded"})
		pay("100").want(http.StatusCreated)
		pay("99.99").want(http.StatusCreated)
		pay("50.02").wantProblem(http.StatusUnprocessableEntity, "daily_limit_exceeded", "")
		alice.post(myWithdrawals, alice.bankPayment("50.02")).wantProblem(http.StatusUnprocessableEntity, "daily_limit_exceeded", "")
		pay("50.01").want(http.StatusCreated)
		pay("0.01").wantProblem(http.StatusUnprocessableEntity, "daily_limit_exceeded", "")

		// The account's own limits count in place of the role's.
		operator.patch("/api/v1/accounts/"+alice.account, object{"transferLimit": "150", "dailyLimit": "400"}).want(http.StatusOK).wantFields(object{"transferLimit": "150.00", "dailyLimit": "400.00"})
		pay("150").want(http.StatusCreated)
		alice.wantAccount("600.00", "0.00")
		if event := w.wantEvent(alice.account, "account.updated"); member(t, event.After, "dailyLimit") == nil {
			t.Errorf("event %s, %s", event.Before, event.After)
		}
		if event := w.wantEvent("customer/USD", "role_limits.changed"); event.Origin.ActorID != operator.userID {
			t.Errorf("event %+v", event)
		}
		// The next day everything is as it was.
		w.time.pass(24 * time.Hour)
		alice.signIn()
		pay("150").want(http.StatusCreated)
	})
}
