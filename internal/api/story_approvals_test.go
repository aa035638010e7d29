package api_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"florin/internal/approval"
	"florin/internal/identity"
)

const approvalsPath = "/api/v1/approvals"

var everySecondPerson = worldOptions{secondPerson: []approval.Operation{approval.ForcedReversal, approval.RoleChange, approval.LimitRaise}}

func TestRoleChangesWaitForASecondPerson(t *testing.T) {
	eachFreshWorld(t, everySecondPerson, func(t *testing.T, w *world) {
		admin, second, customer := w.staff(identity.Admin), w.staff(identity.Admin), w.customer("Ada Lovelace")
		role := "/api/v1/users/" + customer.userID + "/role"
		asked := admin.put(role, object{"role": "support"}).want(http.StatusAccepted).wantFields(object{
			"operation": "role_change", "targetId": customer.userID, "status": "PENDING", "requestedBy": admin.userID, "result": nil, "executedAt": nil,
		})
		approvalID := text(asked.object(), "approvalId")
		if again := admin.put(role, object{"role": "support"}).want(http.StatusAccepted); again.object()["approvalId"] != approvalID {
			t.Errorf("asked again: %s", again.text)
		}
		second.get("/api/v1/users/" + customer.userID).want(http.StatusOK).wantFields(object{"role": "customer"})
		path := approvalsPath + "/" + approvalID
		second.get(path).want(http.StatusOK).wantFields(object{"payload": map[string]any{"userId": customer.userID, "role": "support"}})
		if rows := second.get(approvalsPath + "?status=PENDING&operation=role_change&targetId=" + customer.userID).want(http.StatusOK).object().list("data"); len(rows) != 1 {
			t.Errorf("waiting: %v", rows)
		}
		customer.get(approvalsPath).wantProblem(http.StatusForbidden, "forbidden", "")
		admin.post(path+"/approve", nil).wantProblem(http.StatusForbidden, "same_person", "")
		admin.again().post(path+"/approve", nil).wantProblem(http.StatusForbidden, "same_person", "")
		w.program(identity.Admin, "").post(path+"/approve", nil).wantProblem(http.StatusForbidden, "not_a_person", "")
		second.post(approvalsPath+"/apr_none/approve", nil).wantProblem(http.StatusNotFound, "approval_not_found", "")
		second.get(approvalsPath+"/apr_none").wantProblem(http.StatusNotFound, "approval_not_found", "")
		w.time.pass(proofMax)
		second.post(path+"/approve", nil).wantProblem(http.StatusForbidden, "proof_required", "")
		done := second.prove().post(path+"/approve", nil).want(http.StatusOK).wantFields(object{"status": "APPROVED", "decidedBy": second.userID, "result": "ok"})
		customer.get("/api/v1/users/me").wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		customer.signIn().get("/api/v1/users/me").want(http.StatusOK).wantFields(object{"role": "support"})
		repeated := second.post(path+"/approve", nil).want(http.StatusOK)
		if repeated.object()["executedAt"] != done.object()["executedAt"] {
			t.Errorf("approved again: %s", repeated.text)
		}
		second.post(path+"/reject", nil).wantProblem(http.StatusConflict, "approval_not_pending", "")
		if event := w.wantEvent(customer.userID, "user.role_changed"); event.Origin.ActorID != second.userID {
			t.Errorf("event %+v", event)
		}
		for _, action := range []string{"approval.requested", "approval.approved", "approval.executed"} {
			w.wantEvent(approvalID, action)
		}

		// Refused, and taken back.
		admin.prove()
		back := text(admin.put(role, object{"role": "finance"}).want(http.StatusAccepted).object(), "approvalId")
		second.post(approvalsPath+"/"+back+"/reject", object{"reason": "not agreed"}).want(http.StatusOK).wantFields(object{"status": "REJECTED", "reason": "not agreed", "decidedBy": second.userID})
		second.post(approvalsPath+"/"+back+"/approve", nil).wantProblem(http.StatusConflict, "approval_not_pending", "")
		own := text(admin.put(role, object{"role": "finance"}).want(http.StatusAccepted).object(), "approvalId")
		if own == back {
			t.Error("what was rejected is asked for again under the same id")
		}
		admin.post(approvalsPath+"/"+own+"/reject", object{"reason": "a mistake"}).want(http.StatusOK).wantFields(object{"status": "REJECTED"})
		// Nobody agrees to his own advancement.
		promotion := text(admin.put("/api/v1/users/"+second.userID+"/role", object{"role": "operator"}).want(http.StatusAccepted).object(), "approvalId")
		second.post(approvalsPath+"/"+promotion+"/approve", nil).wantProblem(http.StatusForbidden, "same_person", "")
		// It takes too long.
		late := text(admin.put(role, object{"role": "operator"}).want(http.StatusAccepted).object(), "approvalId")
		w.time.pass(25 * time.Hour)
		second.signIn().post(approvalsPath+"/"+late+"/approve", nil).wantProblem(http.StatusConflict, "approval_expired", "")
		second.get(approvalsPath + "/" + late).want(http.StatusOK).wantFields(object{"status": "EXPIRED"})

		seen, pages := 0, 0
		for cursor := ""; pages == 0 || cursor != ""; pages++ {
			page := second.get(approvalsPath + "?limit=2&cursor=" + url.QueryEscape(cursor)).want(http.StatusOK).object()
			seen += len(page.list("data"))
			if cursor = text(page, "nextCursor"); pages > 10 {
				t.Fatal("the list does not end")
			}
		}
		if seen != 5 {
			t.Errorf("%d approvals are listed", seen)
		}
		second.get(approvalsPath+"?cursor=forged").wantProblem(http.StatusBadRequest, "invalid_request", "cursor")
	})
}

// Whoever asked by a program can't agree as the person behind it, however many
// keys stand in between.
func TestKeysAreTheirMakersWhenASecondPersonIsAsked(t *testing.T) {
	eachFreshWorld(t, everySecondPerson, func(_ *testing.T, w *world) {
		admin, second, customer := w.staff(identity.Admin), w.staff(identity.Admin), w.customer("Ada Lovelace")
		makeKey := func(by *caller) *caller {
			made := by.post("/api/v1/api-keys", object{"name": "n", "role": "admin"}).want(http.StatusCreated).object()
			return &caller{w: w, address: someAddress(), token: text(made, "key"), keyID: text(made, "keyId")}
		}
		first := makeKey(admin)
		grandchild := makeKey(first)
		for i, program := range []*caller{first, grandchild} {
			asked := program.put("/api/v1/users/"+customer.userID+"/role", object{"role": []string{"support", "finance"}[i]}).want(http.StatusAccepted).wantFields(object{"requestedBy": program.keyID})
			path := approvalsPath + "/" + text(asked.object(), "approvalId")
			admin.post(path+"/approve", nil).wantProblem(http.StatusForbidden, "same_person", "")
			second.post(path+"/approve", nil).want(http.StatusOK).wantFields(object{"status": "APPROVED", "result": "ok"})
		}
	})
}

func TestForcedReversalsAreDoneOnceHoweverOftenApproved(t *testing.T) {
	eachFreshWorld(t, everySecondPerson, func(t *testing.T, w *world) {
		operator, second, third := w.staff(identity.Operator), w.staff(identity.Finance), w.staff(identity.Admin)
		program := w.program(identity.Operator, "")
		for id, balance := range map[string]string{"payer": "100", "payee": "0", "elsewhere": "0"} {
			program.post("/api/v1/accounts", object{"accountId": id, "balance": balance}).want(http.StatusCreated)
		}
		program.post("/api/v1/transfers", transfer("order-1", "payer", "payee", "100")).want(http.StatusCreated)
		program.post("/api/v1/transfers", transfer("order-2", "payee", "elsewhere", "100")).want(http.StatusCreated)
		const reversal = "/api/v1/transactions/order-1/reversal"
		operator.post(reversal, object{"transactionId": "back-0"}).wantProblem(http.StatusUnprocessableEntity, "insufficient_funds", "")
		operator.post("/api/v1/transactions/order-none/reversal", object{"force": true}).wantProblem(http.StatusNotFound, "transaction_not_found", "")
		asked := operator.post(reversal, object{"transactionId": "back-1", "force": true, "description": "fraud"}).want(http.StatusAccepted).wantFields(object{"operation": "forced_reversal", "targetId": "order-1"})
		other := operator.post(reversal, object{"transactionId": "back-2", "force": true}).want(http.StatusAccepted)
		path := approvalsPath + "/" + text(asked.object(), "approvalId")

		var together sync.WaitGroup
		answers := make([]answer, 8)
		for i := range answers {
			together.Go(func() { answers[i] = []*caller{second, third}[i%2].post(path+"/approve", nil) })
		}
		together.Wait()
		for _, got := range answers {
			got.want(http.StatusOK).wantFields(object{"status": "APPROVED", "result": "ok"})
		}
		program.get("/api/v1/accounts/payer").wantFields(object{"balance": "100.00"})
		program.get("/api/v1/accounts/payee").wantFields(object{"balance": "-100.00"})
		program.get("/api/v1/transactions/back-1").want(http.StatusOK).wantFields(object{"status": "COMPLETED", "description": "fraud"})
		if event := w.wantEvent("order-1", "transaction.reversed"); event.Origin.ActorID != second.userID && event.Origin.ActorID != third.userID {
			t.Errorf("event %+v", event)
		}
		executed := 0
		for _, record := range w.events(text(asked.object(), "approvalId")) {
			if record.Action == "approval.executed" {
				executed++
			}
		}
		if executed != 1 {
			t.Errorf("executed %d times", executed)
		}
		// What a rule refuses meanwhile is the result.
		second.post(approvalsPath+"/"+text(other.object(), "approvalId")+"/approve", nil).want(http.StatusOK).wantFields(object{"status": "APPROVED", "result": "already_reversed"})
		program.get("/api/v1/accounts/payer").wantFields(object{"balance": "100.00"})
	})
}

func TestOnlyRaisedLimitsWaitForASecondPerson(t *testing.T) {
	eachFreshWorld(t, everySecondPerson, func(t *testing.T, w *world) {
		operator, second := w.staff(identity.Operator), w.staff(identity.Operator)
		const limits, account = "/api/v1/limits/customer/USD", "/api/v1/accounts/payer"
		operator.put(limits, object{"perTransfer": "100", "daily": "200"}).want(http.StatusOK).wantFields(object{"daily": "200.00"})
		raise := operator.put(limits, object{"perTransfer": "90", "daily": "300"}).want(http.StatusAccepted).wantFields(object{"operation": "limit_raise", "targetId": "customer:USD"})
		unlimited := operator.put(limits, object{"perTransfer": "none", "daily": "200"}).want(http.StatusAccepted)
		second.post(approvalsPath+"/"+text(raise.object(), "approvalId")+"/approve", nil).want(http.StatusOK).wantFields(object{"result": "ok"})
		second.post(approvalsPath+"/"+text(unlimited.object(), "approvalId")+"/approve", nil).want(http.StatusOK).wantFields(object{"result": "ok"})
		for _, row := range second.get("/api/v1/limits").want(http.StatusOK).object().list("data") {
			if row["role"] == "customer" && row["currency"] == "USD" && (row["perTransfer"] != nil || row["daily"] != "200.00") {
				t.Errorf("limits %v", row)
			}
		}
		second.put(limits, object{"perTransfer": "90", "daily": "200"}).want(http.StatusOK).wantFields(object{"perTransfer": "90.00", "daily": "200.00"})

		// The limits of all currencies that have none of their own.
		every := operator.put("/api/v1/limits/customer/*", object{"perTransfer": "none", "daily": "none"}).want(http.StatusAccepted).wantFields(object{"targetId": "customer:any"})
		second.post(approvalsPath+"/"+text(every.object(), "approvalId")+"/approve", nil).want(http.StatusOK).wantFields(object{"result": "ok"})
		second.put("/api/v1/limits/customer/*", object{"perTransfer": "90", "daily": "200"}).want(http.StatusOK)

		operator.post("/api/v1/accounts", object{"accountId": "payer", "balance": "1"}).want(http.StatusCreated)
		ownRaise := operator.patch(account, object{"transferLimit": "50", "dailyLimit": "60"}).want(http.StatusAccepted)
		operator.get(account).want(http.StatusOK).wantFields(object{"transferLimit": nil, "dailyLimit": nil})
		second.post(approvalsPath+"/"+text(ownRaise.object(), "approvalId")+"/approve", nil).want(http.StatusOK).wantFields(object{"result": "ok"})
		operator.get(account).want(http.StatusOK).wantFields(object{"transferLimit": "50.00", "dailyLimit": "60.00"})
		operator.patch(account, object{"transferLimit": "40"}).want(http.StatusOK).wantFields(object{"transferLimit": "40.00", "dailyLimit": "60.00"})
		operator.patch(account, object{"dailyLimit": "61", "status": "FROZEN"}).wantProblem(http.StatusBadRequest, "invalid_request", "transferLimit")
		lift := operator.patch(account, object{"dailyLimit": "none"}).want(http.StatusAccepted)
		second.post(approvalsPath+"/"+text(lift.object(), "approvalId")+"/approve", nil).want(http.StatusOK).wantFields(object{"result": "ok"})
		operator.get(account).want(http.StatusOK).wantFields(object{"transferLimit": "40.00", "dailyLimit": nil})
		// What makes no sense is found out when it is done, and ends there.
		nonsense := operator.patch(account, object{"dailyLimit": "0.001"})
		if nonsense.status == http.StatusAccepted {
			second.post(approvalsPath+"/"+text(nonsense.object(), "approvalId")+"/approve", nil).want(http.StatusOK).wantFields(object{"status": "APPROVED", "result": "invalid_amount"})
			return
		}
		nonsense.wantProblem(http.StatusUnprocessableEntity, "invalid_amount", "")
	})
}

func TestCreditIsALimitThatIsRaised(t *testing.T) {
	eachFreshWorld(t, everySecondPerson, func(_ *testing.T, w *world) {
		operator, second := w.staff(identity.Operator), w.staff(identity.Operator)
		const account = "/api/v1/accounts/payer"
		operator.post("/api/v1/accounts", object{"accountId": "payer", "overdraftLimit": "5"}).wantProblem(http.StatusBadRequest, "invalid_request", "overdraftLimit")
		operator.post("/api/v1/accounts", object{"accountId": "payer"}).want(http.StatusCreated)
		operator.patch(account, object{"overdraftLimit": "5", "metadata": object{"x": 1}}).wantProblem(http.StatusBadRequest, "invalid_request", "overdraftLimit")
		raise := operator.patch(account, object{"overdraftLimit": "5"}).want(http.StatusAccepted).wantFields(object{"operation": "limit_raise", "targetId": "payer"})
		operator.get(account).want(http.StatusOK).wantFields(object{"overdraftLimit": "0.00"})
		second.post(approvalsPath+"/"+text(raise.object(), "approvalId")+"/approve", nil).want(http.StatusOK).wantFields(object{"result": "ok"})
		operator.get(account).want(http.StatusOK).wantFields(object{"overdraftLimit": "5.00"})
		operator.patch(account, object{"overdraftLimit": "4"}).want(http.StatusOK).wantFields(object{"overdraftLimit": "4.00"})
		// A key of nobody's asks for nothing that needs two persons.
		w.program(identity.Operator, "").patch(account, object{"overdraftLimit": "5"}).wantProblem(http.StatusForbidden, "not_a_person", "")
	})
}

func TestCreditAndMoneyAtOpeningNeedMoreThanToOpenAccounts(t *testing.T) {
	eachWorld(t, worldOptions{}, func(_ *testing.T, w *world) {
		const accounts = "/api/v1/accounts"
		opener := w.program(identity.Operator, "", identity.AccountsWrite, identity.AccountsRead)
		opener.post(accounts, object{"balance": "1"}).wantProblem(http.StatusForbidden, "forbidden", "")
		opener.post(accounts, object{"overdraftLimit": "1"}).wantProblem(http.StatusForbidden, "forbidden", "")
		account := accounts + "/" + text(opener.post(accounts, object{"overdraftLimit": "0"}).want(http.StatusCreated).object(), "accountId")
		opener.patch(account, object{"overdraftLimit": "1"}).wantProblem(http.StatusForbidden, "forbidden", "")
		w.program(identity.Operator, "").patch(account, object{"overdraftLimit": "1"}).want(http.StatusOK)
		opener.patch(account, object{"overdraftLimit": "0"}).want(http.StatusOK).wantFields(object{"overdraftLimit": "0.00"})

		operator := w.staff(identity.Operator)
		w.time.pass(proofMax)
		operator.get(account) // the session goes on
		operator.post(accounts, object{"overdraftLimit": "1"}).wantProblem(http.StatusForbidden, "proof_required", "")
		operator.patch(account, object{"overdraftLimit": "1"}).wantProblem(http.StatusForbidden, "proof_required", "")
		operator.prove().patch(account, object{"overdraftLimit": "1"}).want(http.StatusOK)
		operator.post(accounts, object{"overdraftLimit": "1"}).want(http.StatusCreated)
	})
}

func TestStaffNeedASecondFactor(t *testing.T) {
	eachWorld(t, worldOptions{}, func(_ *testing.T, w *world) {
		admin := w.staff(identity.Admin)
		promoted := w.customer("Ada Lovelace")
		admin.put("/api/v1/users/"+promoted.userID+"/role", object{"role": "support"}).want(http.StatusOK)
		promoted.signIn()
		promoted.get("/api/v1/users").wantProblem(http.StatusForbidden, "second_factor_required_for_role", "")
		promoted.get("/api/v1/users/me").want(http.StatusOK)
		promoted.enrol().get("/api/v1/users").want(http.StatusOK)
	})
}
