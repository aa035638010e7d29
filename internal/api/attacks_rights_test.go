package api_test

import (
	"net/http"
	"testing"
	"time"

	"florin/internal/identity"
)

// attackSecondPerson agrees to what one asked for himself, in all disguises.
func attackSecondPerson(t *testing.T, w *world) {
	admin, finance := w.staff(identity.Admin), w.staff(identity.Finance)
	target := w.customer("Tara Target")
	ask := func(by *caller, role string) string {
		t.Helper()
		return text(by.put("/api/v1/users/"+target.userID+"/role", object{"role": role}).want(http.StatusAccepted).object(), "approvalId")
	}
	approve := func(by *caller, approvalID string) answer {
		t.Helper()
		return by.post("/api/v1/approvals/"+approvalID+"/approve", nil)
	}
	keyOf := func(by *caller) *caller {
		t.Helper()
		c := w.stranger()
		made := by.post("/api/v1/api-keys", object{"name": "second self", "role": "admin"}).want(http.StatusCreated).object()
		c.keyID, c.token = text(made, "keyId"), text(made, "key")
		return c
	}
	own := ask(admin, "support")
	approve(admin, own).wantProblem(http.StatusForbidden, "same_person", "")
	approve(admin.again(), own).wantProblem(http.StatusForbidden, "same_person", "") // another session is no other person
	key := keyOf(admin)
	keysKey := keyOf(key)
	keysKeysKey := keyOf(keysKey)
	rotated := w.stranger()
	rotated.token = text(keysKey.post("/api/v1/api-keys/"+keysKeysKey.keyID+"/rotate", nil).want(http.StatusCreated).object(), "key")
	for role, self := range map[string]*caller{"finance": key, "operator": keysKey, "admin": rotated} {
		approve(self, own).want(http.StatusForbidden)
		approve(admin, ask(self, role)).wantProblem(http.StatusForbidden, "same_person", "")
	}
	// Who gains by it does not agree to it.
	gains := w.staff(identity.Operator)
	raised := text(admin.put("/api/v1/users/"+gains.userID+"/role", object{"role": "admin"}).want(http.StatusAccepted).object(), "approvalId")
	approve(gains, raised).wantProblem(http.StatusForbidden, "same_person", "")
	// Nor those who may not, or have not proven themselves.
	for _, role := range []identity.Role{identity.Customer, identity.Merchant, identity.Support} {
		approve(w.staff(role), raised).wantProblem(http.StatusForbidden, "forbidden", "")
	}
	w.time.pass(11 * time.Minute)
	approve(finance, raised).wantProblem(http.StatusForbidden, "proof_required", "")
	// What was rejected stays so, and nothing of all this was done.
	finance.prove().post("/api/v1/approvals/"+raised+"/reject", object{"reason": "no"}).want(http.StatusOK)
	approve(w.staff(identity.Operator), raised).wantProblem(http.StatusConflict, "approval_not_pending", "")
	for _, user := range []*caller{target, gains} {
		if got := text(admin.prove().get("/api/v1/users/"+user.userID).want(http.StatusOK).object(), "role"); got != "customer" && got != "operator" || got == "operator" && user != gains {
			t.Errorf("he is %s", got)
		}
	}
	// Agreed to 16 times at once it is done once.
	statuses, _ := atOnce(16, func(int) (int, string) {
		return finance.raw(http.MethodPost, "/api/v1/approvals/"+own+"/approve", "")
	})
	changes := 0
	for _, event := range w.events(target.userID) {
		if event.Action == "user.role_changed" {
			changes++
		}
	}
	if statuses[http.StatusOK] != 16 || changes != 1 {
		t.Errorf("%v, changed %d times", statuses, changes)
	}
	// The other operations that need two have no way around it.
	account := w.customer("Lena Limit").open("USD")
	operator := w.staff(identity.Operator)
	for _, body := range []object{{"dailyLimit": "99999.99"}, {"transferLimit": "999999"}, {"dailyLimit": 1000000, "transferLimit": "none"}} {
		waits := operator.patch("/api/v1/accounts/"+account, body).want(http.StatusAccepted).object()
		approve(operator, text(waits, "approvalId")).wantProblem(http.StatusForbidden, "same_person", "")
	}
	operator.patch("/api/v1/accounts/"+account, object{"dailyLimit": "999999", "status": "FROZEN"}).wantProblem(http.StatusBadRequest, "invalid_request", "transferLimit")
	waits := operator.put("/api/v1/limits/customer/USD", object{"perTransfer": "none", "daily": "none"}).want(http.StatusAccepted).object()
	approve(operator, text(waits, "approvalId")).wantProblem(http.StatusForbidden, "same_person", "")
}

// attackEscalation gains rights by making, rotating and narrowing keys, and by roles.
func attackEscalation(t *testing.T, w *world) {
	admin := w.staff(identity.Admin)
	make := object{"name": "x", "role": "admin"}
	for _, role := range []identity.Role{identity.Customer, identity.Merchant, identity.Support, identity.Finance, identity.Operator} {
		w.staff(role).post("/api/v1/api-keys", make).wantProblem(http.StatusForbidden, "forbidden", "")
	}
	mighty := admin.post("/api/v1/api-keys", make).want(http.StatusCreated).object()
	narrow := w.program(identity.Admin, "", identity.KeysWrite, identity.KeysRead, identity.AccountsRead)
	for name, body := range map[string]object{
		"all of the role":     {"name": "x", "role": "admin"},
		"another scope":       {"name": "x", "role": "admin", "scopes": []string{"accounts:read", "roles:write"}},
		"another role":        {"name": "x", "role": "operator"},
		"an owner's":          {"name": "x", "role": "merchant", "ownerId": w.merchant().userID},
		"its own and one too": {"name": "x", "role": "admin", "scopes": []string{"keys:write", "users:read"}},
	} {
		if got := narrow.post("/api/v1/api-keys", body); got.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	for _, by := range []*caller{admin, narrow} {
		// No scope is not every scope, and no network not every network.
		by.post("/api/v1/api-keys", object{"name": "x", "role": "admin", "scopes": []string{}}).wantProblem(http.StatusBadRequest, "invalid_request", "scopes")
		by.post("/api/v1/api-keys", object{"name": "x", "role": "admin", "scopes": []string{"accounts:read"}, "networks": []string{}}).wantProblem(http.StatusBadRequest, "invalid_request", "networks")
		by.post("/api/v1/api-keys", object{"name": "x", "role": "support", "scopes": []string{"roles:write"}}).wantProblem(http.StatusBadRequest, "invalid_request", "scopes")
		by.post("/api/v1/api-keys", object{"name": "x", "role": "root"}).wantProblem(http.StatusBadRequest, "invalid_request", "role")
	}
	narrow.post("/api/v1/api-keys/"+text(mighty, "keyId")+"/rotate", nil).wantProblem(http.StatusForbidden, "exceeds_own_permissions", "")
	child := narrow.post("/api/v1/api-keys", object{"name": "x", "role": "admin", "scopes": []string{"accounts:read"}}).want(http.StatusCreated).object()
	reader := w.stranger()
	reader.token = text(child, "key")
	reader.get("/api/v1/accounts").want(http.StatusOK)
	for _, path := range []string{"/api/v1/users", "/api/v1/api-keys", "/api/v1/audit-events", "/api/v1/approvals", me} {
		reader.get(path).wantProblem(http.StatusForbidden, "forbidden", "")
	}
	// A key that changes roles makes nobody mightier than itself.
	user := w.customer("Ulf Upgrade")
	roles := w.program(identity.Admin, "", identity.RolesWrite)
	for _, role := range []string{"admin", "operator", "finance", "support", "merchant"} {
		roles.put("/api/v1/users/"+user.userID+"/role", object{"role": role}).wantProblem(http.StatusForbidden, "forbidden", "")
	}
	// A key never does more than its owner may now.
	merchant := w.merchant()
	key := w.program(identity.Merchant, merchant.userID)
	key.get("/api/v1/accounts").want(http.StatusOK)
	if err := w.users.SetRole(t.Context(), merchant.userID, identity.Customer); err != nil {
		t.Fatal(err)
	}
	w.time.pass(5 * time.Second)
	key.get("/api/v1/accounts").wantProblem(http.StatusForbidden, "forbidden", "")
	if err := w.users.SetRole(t.Context(), merchant.userID, identity.Admin); err != nil {
		t.Fatal(err)
	}
	w.time.pass(5 * time.Second)
	key.get("/api/v1/users").wantProblem(http.StatusForbidden, "forbidden", "")
	key.get("/api/v1/accounts/"+user.open("USD")).wantProblem(http.StatusNotFound, "account_not_found", "")
	// Staff act on those below them alone.
	support, operator := w.staff(identity.Support), w.staff(identity.Operator)
	for _, by := range []*caller{support, operator} {
		by.post("/api/v1/users/"+admin.userID+"/lock", nil).wantProblem(http.StatusForbidden, "forbidden", "")
		by.delete("/api/v1/users/"+admin.userID+"/sessions").wantProblem(http.StatusForbidden, "forbidden", "")
		by.put("/api/v1/users/"+by.userID+"/role", object{"role": "admin"}).wantProblem(http.StatusForbidden, "forbidden", "")
	}
	support.post("/api/v1/users/"+operator.userID+"/lock", nil).wantProblem(http.StatusForbidden, "forbidden", "")
	admin.post("/api/v1/users/"+admin.userID+"/lock", nil).wantProblem(http.StatusForbidden, "own_role", "")
	admin.get(me).want(http.StatusOK)
}
