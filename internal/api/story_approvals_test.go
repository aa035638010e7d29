package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"florin/internal/approval"
	"florin/internal/identity"
)

const approvalsPath = "/api/v1/approvals"

var everySecondPerson = worldOptions{secondPerson: []approval.Operation{approval.ForcedReversal, approval.RoleChange, approval.LimitRaise, approval.CampaignChange}}

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

func TestCampaignsThatGiveMoreWaitForASecondPerson(t *testing.T) {
	eachFreshWorld(t, everySecondPerson, func(t *testing.T, w *world) {
		finance, second := w.staff(identity.Finance), w.staff(identity.Finance)
		const path = campaigns + "/kitchen-5"
		agree := func(asked answer, result string) {
			t.Helper()
			approvalID := text(asked.want(http.StatusAccepted).wantFields(object{"operation": "campaign_change", "status": "PENDING"}).object(), "approvalId")
			finance.post(approvalsPath+"/"+approvalID+"/approve", nil).wantProblem(http.StatusForbidden, "same_person", "")
			second.post(approvalsPath+"/"+approvalID+"/approve", nil).want(http.StatusOK).wantFields(object{"status": "APPROVED", "result": result})
		}
		terms := w.terms(object{"campaignId": "kitchen-5", "condition": `amount >= decimal("20") && country == "GB"`, "caps": object{"perPurchase": "7.50"}, "reward": object{"kind": "PERCENT", "percent": "5", "multipliers": object{"gold": "2.5"}}})
		change := func(version int, more object) answer {
			t.Helper()
			request := merged(merged(terms, more), object{"version": version})
			return finance.put(path, request)
		}
		made := finance.post(campaigns, terms).want(http.StatusAccepted).wantFields(object{"operation": "campaign_change", "targetId": "kitchen-5"})
		if again := finance.post(campaigns, terms).want(http.StatusAccepted); text(again.object(), "approvalId") != text(made.object(), "approvalId") {
			t.Errorf("asked again: %s", again.text)
		}
		finance.get(path).wantProblem(http.StatusNotFound, "campaign_not_found", "")
		change(1, nil).wantProblem(http.StatusNotFound, "campaign_not_found", "")
		w.program(identity.Admin, "").post(campaigns, terms).wantProblem(http.StatusForbidden, "not_a_person", "")
		finance.post(campaigns, merged(terms, object{"campaignId": "Kitchen"})).wantProblem(http.StatusBadRequest, "invalid_request", "campaignId")
		finance.post(campaigns, merged(terms, object{"campaignId": "other", "condition": "amount +"})).wantProblem(http.StatusBadRequest, "invalid_request", "condition")
		agree(made, "ok")
		finance.post(campaigns, terms).want(http.StatusCreated).wantFields(object{
			"campaignId": "kitchen-5", "version": 1.0, "enabled": true, "budget": "1000.00", "createdBy": second.userID,
			"condition": terms["condition"], "from": terms["from"], "to": terms["to"], "reward": map[string]any{"kind": "PERCENT", "percent": "5", "multipliers": map[string]any{"gold": "2.5"}},
		})
		finance.post(campaigns, merged(terms, object{"budget": "1001"})).wantProblem(http.StatusConflict, "campaign_exists", "")

		for _, more := range []object{
			{"budget": "1001"}, {"reward": object{"kind": "PERCENT", "percent": "5.01"}}, {"caps": object{"perPurchase": "7.51"}}, {"funding": object{"kind": "MERCHANT", "accountId": "alice"}},
			{"enabled": false, "budget": "1001"}, {"name": "another"}, {"budget": "999"},
		} {
			change(1, more).want(http.StatusAccepted).wantFields(object{"targetId": "kitchen-5", "status": "PENDING"})
		}
		change(2, object{"budget": "1001"}).wantProblem(http.StatusConflict, "campaign_changed", "")
		change(1, object{"condition": "amount +"}).wantProblem(http.StatusBadRequest, "invalid_request", "condition")
		finance.get(path).want(http.StatusOK).wantFields(object{"version": 1.0})

		// Nothing, or to stop it, needs nobody; to go on does.
		raise := change(1, object{"budget": "1001"})
		change(1, object{"budget": "1000.00"}).want(http.StatusOK).wantFields(object{"version": 1.0})
		for range 2 {
			change(1, object{"enabled": false}).want(http.StatusOK).wantFields(object{"version": 2.0, "enabled": false, "createdBy": finance.userID})
		}
		agree(raise, "campaign_changed") // it was of version 1
		agree(change(2, object{"enabled": true, "budget": "2000"}), "ok")
		change(2, object{"enabled": true, "budget": "2000"}).want(http.StatusOK).wantFields(object{"version": 3.0, "enabled": true, "budget": "2000.00"})
		change(2, object{"enabled": true, "budget": "3000"}).wantProblem(http.StatusConflict, "campaign_changed", "")
		agree(change(3, object{"funding": object{"kind": "MERCHANT", "accountId": "nobody"}}), "invalid_request")
		finance.get(path).want(http.StatusOK).wantFields(object{"version": 3.0})

		shared := object{"version": 0, "groups": object{"default": "SUM"}, "tierDays": 365, "tierCurrency": "USD", "tiers": []object{{"name": "gold", "minSpend": "10.50"}}}
		finance.put(program, merged(shared, object{"version": 1})).wantProblem(http.StatusConflict, "program_changed", "")
		finance.put(program, merged(shared, object{"tierCurrency": "XXY"})).wantProblem(http.StatusBadRequest, "invalid_request", "tierCurrency")
		asked := finance.put(program, shared).want(http.StatusAccepted).wantFields(object{"targetId": "cashback_program"})
		finance.get(program).want(http.StatusOK).wantFields(object{"version": 0.0})
		agree(asked, "ok")
		finance.get(program).want(http.StatusOK).wantFields(object{"version": 1.0, "groups": map[string]any{"default": "SUM"}, "createdBy": second.userID})
		finance.put(program, shared).want(http.StatusOK).wantFields(object{"version": 1.0})
		finance.put(program, merged(shared, object{"groups": object{"default": "BEST"}})).wantProblem(http.StatusConflict, "program_changed", "")
		agree(finance.put(program, merged(shared, object{"version": 1, "groups": object{"default": "BEST"}})), "ok")
	})
}

func TestTheLargestCampaignCanWaitForASecondPerson(t *testing.T) {
	eachFreshWorld(t, everySecondPerson, func(t *testing.T, w *world) {
		merchants := make([]string, 1000)
		for i := range merchants {
			merchants[i] = fmt.Sprintf("%050d", i)
		}
		condition := `country == "` + strings.Repeat("<", 2000-len(`country == ""`)) + `"`
		asked := w.staff(identity.Finance).post(campaigns, w.terms(object{"campaignId": "large", "merchants": merchants, "condition": condition, "lineCondition": strings.Replace(condition, "country", "mcc    ", 1)})).
			want(http.StatusAccepted).object()
		second := w.staff(identity.Finance)
		second.post(approvalsPath+"/"+text(asked, "approvalId")+"/approve", nil).want(http.StatusOK).wantFields(object{"result": "ok"})
		got := second.get(campaigns + "/large").want(http.StatusOK).wantFields(object{"condition": condition}).object()
		if n := len(got["merchants"].([]any)); n != 1000 {
			t.Errorf("%d merchants", n)
		}
	})
}
