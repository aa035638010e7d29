package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
)

func TestStaffFindsLocksAndPromotesUsers(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const users = "/api/v1/users/"
		admin, support, finance := w.staff(identity.Admin), w.staff(identity.Support), w.staff(identity.Finance)
		c := w.customer("Ada Lovelace")
		found := support.get("/api/v1/users?email=" + url.QueryEscape(strings.ToUpper(c.email))).want(http.StatusOK)
		if rows := found.object().list("data"); len(rows) != 1 || rows[0]["userId"] != c.userID || strings.Contains(found.text, "argon2") {
			t.Errorf("found %s", found.text)
		}
		for field, value := range map[string]string{"role": "king", "status": "ASLEEP", "email": "nobody", "cursor": "x", "limit": "501"} {
			support.get("/api/v1/users?"+field+"="+value).wantProblem(http.StatusBadRequest, "invalid_request", field)
		}
		seen, pages := map[string]bool{}, 0
		for cursor := ""; pages == 0 || cursor != ""; pages++ {
			page := support.get("/api/v1/users?role=support&status=ACTIVE&limit=1&cursor=" + url.QueryEscape(cursor)).want(http.StatusOK).object()
			for _, row := range page.list("data") {
				seen[text(row, "userId")] = true
			}
			if cursor = text(page, "nextCursor"); pages > 100 {
				t.Fatal("the list does not end")
			}
		}
		if !seen[support.userID] || seen[admin.userID] || seen[c.userID] {
			t.Errorf("support: %v", seen)
		}
		support.get(users+"user_nobody").wantProblem(http.StatusNotFound, "user_not_found", "")
		refused := c.get("/api/v1/users").wantProblem(http.StatusForbidden, "forbidden", "")
		if !strings.Contains(refused.text, "users:read") {
			t.Errorf("it does not say what is missing: %s", refused.text)
		}

		finance.post(users+c.userID+"/lock", nil).wantProblem(http.StatusForbidden, "forbidden", "")
		support.post(users+admin.userID+"/lock", nil).wantProblem(http.StatusForbidden, "forbidden", "")
		support.post(users+support.userID+"/lock", nil).wantProblem(http.StatusForbidden, "own_role", "")
		support.post(users+"user_nobody/lock", nil).wantProblem(http.StatusNotFound, "user_not_found", "")
		support.post(users+c.userID+"/lock", nil).want(http.StatusOK).wantFields(object{"status": "LOCKED"})
		c.get("/api/v1/users/me").wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		c.post("/api/v1/auth/signin", object{"email": c.email, "password": c.password}, "Authorization", "").wantProblem(http.StatusForbidden, "user_locked", "")
		support.post(users+c.userID+"/unlock", nil).want(http.StatusOK).wantFields(object{"status": "ACTIVE"})
		c.signIn().get("/api/v1/users/me").want(http.StatusOK)
		support.delete(users + c.userID + "/sessions").want(http.StatusOK)
		c.get("/api/v1/users/me").wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		support.delete(users+admin.userID+"/sessions").wantProblem(http.StatusForbidden, "forbidden", "")

		role := users + c.userID + "/role"
		support.put(role, object{"role": "support"}).wantProblem(http.StatusForbidden, "forbidden", "")
		admin.put(role, object{"role": "king"}).wantProblem(http.StatusBadRequest, "invalid_request", "role")
		admin.put(role, object{}).wantProblem(http.StatusBadRequest, "invalid_request", "role")
		admin.put(users+"user_nobody/role", object{"role": "support"}).wantProblem(http.StatusNotFound, "user_not_found", "")
		admin.put(users+admin.userID+"/role", object{"role": "customer"}).wantProblem(http.StatusForbidden, "own_role", "")
		rolesOnly := w.program(identity.Admin, "", identity.RolesWrite)
		rolesOnly.put(role, object{"role": "admin"}).wantProblem(http.StatusForbidden, "forbidden", "")
		rolesOnly.put(users+finance.userID+"/role", object{"role": "customer"}).wantProblem(http.StatusForbidden, "forbidden", "")
		c.signIn()
		w.time.pass(proofMax)
		admin.put(role, object{"role": "merchant"}).wantProblem(http.StatusForbidden, "proof_required", "")
		changed := admin.prove().put(role, object{"role": "merchant"}).want(http.StatusOK)
		changed.wantFields(object{"role": "merchant"})
		c.get("/api/v1/users/me").wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		c.signIn().get("/api/v1/users/me").want(http.StatusOK).wantFields(object{"role": "merchant"})

		event := w.wantEvent(c.userID, "user.role_changed")
		if event.Origin.ActorID != admin.userID || event.Origin.Role != "admin" || event.Origin.RequestID != changed.header.Get("X-Request-Id") ||
			member(t, event.Before, "role") != "customer" || member(t, event.After, "role") != "merchant" {
			t.Errorf("event %+v: %s, %s", event, event.Before, event.After)
		}
	})
}

func TestAPIKeysFromMakingToTheirEnd(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const keys = "/api/v1/api-keys"
		admin := w.staff(identity.Admin)
		merchant := w.staff(identity.Merchant)
		account := text(merchant.post("/api/v1/users/me/accounts", object{"accountType": "MERCHANT"}).want(http.StatusCreated).object(), "accountId")
		use := func(made answer, address string) *caller {
			return &caller{w: w, address: address, token: text(made.object(), "key"), keyID: text(made.object(), "keyId")}
		}
		shop := object{"name": "shop", "role": "merchant", "ownerId": merchant.userID, "scopes": []any{"accounts:read"}, "networks": []any{"2001:db8::/32"}}
		made := admin.post(keys, shop).want(http.StatusCreated).wantFields(object{
			"name": "shop", "role": "merchant", "ownerId": merchant.userID, "isActive": true, "createdBy": admin.userID,
			"scopes": []any{"accounts:read"}, "networks": []any{"2001:db8::/32"},
		})
		program := use(made, "2001:db8::7")
		if !strings.HasPrefix(program.token, "florin_test_") || !strings.HasPrefix(program.token, text(made.object(), "prefix")) {
			t.Errorf("key %s", made.text)
		}
		program.get("/api/v1/accounts/" + account).want(http.StatusOK).wantFields(object{"ownerId": merchant.userID})
		program.post("/api/v1/transfers", object{"sourceAccountId": account, "destinationAccountId": "x", "amount": "1"}).wantProblem(http.StatusForbidden, "forbidden", "")
		program.get("/api/v1/users/me").wantProblem(http.StatusForbidden, "forbidden", "")
		program.get(keys).wantProblem(http.StatusForbidden, "forbidden", "")
		use(made, someAddress()).get("/api/v1/accounts/"+account).wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		if err := w.keys.WriteUses(t.Context()); err != nil {
			t.Fatal(err)
		}
		read := admin.get(keys + "/" + program.keyID).want(http.StatusOK).wantFields(object{"key": nil, "lastUsedAddress": "2001:db8::7"})
		listed := admin.get(keys + "?ownerId=" + merchant.userID + "&prefix=florin_test_").want(http.StatusOK)
		if secret := program.token[len("florin_test_")+20:]; len(listed.object().list("data")) != 1 || strings.Contains(read.text+listed.text+w.log.String(), secret) {
			t.Errorf("listed %s", listed.text)
		}
		admin.get(keys+"/key_none").wantProblem(http.StatusNotFound, "key_not_found", "")

		for field, body := range map[string]object{
			"role":      {"name": "n", "role": "king"},
			"name":      {"name": "", "role": "operator"},
			"ownerId":   {"name": "n", "role": "merchant"},
			"scopes":    {"name": "n", "role": "support", "scopes": []any{"keys:write"}},
			"scopes[1]": {"name": "n", "role": "support", "scopes": []any{"users:read", 7}},
			"networks":  {"name": "n", "role": "support", "networks": []any{}},
			"expiresAt": {"name": "n", "role": "support", "expiresAt": "2020-01-01T00:00:00Z"},
			"createdBy": {"name": "n", "role": "support", "createdBy": "me"},
		} {
			admin.post(keys, body).wantProblem(http.StatusBadRequest, "invalid_request", field)
		}
		for _, more := range []object{
			{"name": "n", "role": "support", "scopes": []any{}},
			{"name": "n", "role": "support", "networks": []any{"everywhere"}},
			{"name": "n", "role": "support", "ownerId": merchant.userID},
		} {
			admin.post(keys, more).wantProblem(http.StatusBadRequest, "invalid_request", "")
		}
		admin.post(keys, object{"name": "n", "role": "merchant", "ownerId": "user_nobody"}).wantProblem(http.StatusNotFound, "user_not_found", "")
		w.staff(identity.Operator).post(keys, shop).wantProblem(http.StatusForbidden, "forbidden", "")
		w.program(identity.Admin, "", identity.KeysWrite).post(keys, object{"name": "n", "role": "admin"}).wantProblem(http.StatusForbidden, "exceeds_own_permissions", "")
		w.time.pass(proofMax)
		admin.post(keys, shop).wantProblem(http.StatusForbidden, "proof_required", "")
		admin.prove()

		rotated := admin.post(keys+"/"+program.keyID+"/rotate", object{"overlapSeconds": 600}).want(http.StatusCreated).wantFields(object{"scopes": []any{"accounts:read"}, "ownerId": merchant.userID})
		newer := use(rotated, "2001:db8::8")
		admin.get(keys + "/" + program.keyID).want(http.StatusOK).wantFields(object{"replacedBy": newer.keyID, "isActive": true})
		program.get("/api/v1/accounts/" + account).want(http.StatusOK)
		newer.get("/api/v1/accounts/" + account).want(http.StatusOK)
		w.time.pass(601 * time.Second)
		program.get("/api/v1/accounts/"+account).wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		newer.get("/api/v1/accounts/" + account).want(http.StatusOK)
		admin.prove().post(keys+"/"+program.keyID+"/rotate", nil).wantProblem(http.StatusConflict, "key_not_active", "")
		admin.post(keys+"/"+newer.keyID+"/rotate", object{"overlapSeconds": -1}).wantProblem(http.StatusBadRequest, "invalid_request", "")
		admin.post(keys+"/"+newer.keyID+"/rotate", object{"overlapSeconds": 31 * 24 * 3600}).wantProblem(http.StatusBadRequest, "invalid_request", "")
		admin.delete(keys + "/" + newer.keyID).want(http.StatusOK).wantFields(object{"isActive": false})
		newer.get("/api/v1/accounts/"+account).wantProblem(http.StatusUnauthorized, "unauthenticated", "")
		admin.delete(keys + "/" + newer.keyID).want(http.StatusOK).wantFields(object{"isActive": false})
		admin.delete(keys+"/key_none").wantProblem(http.StatusNotFound, "key_not_found", "")

		shop["expiresAt"] = w.time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		short := use(admin.post(keys, shop).want(http.StatusCreated), "2001:db8::9")
		short.get("/api/v1/accounts/" + account).want(http.StatusOK)
		w.time.pass(61 * time.Minute)
		short.get("/api/v1/accounts/"+account).wantProblem(http.StatusUnauthorized, "unauthenticated", "")

		for keyID, actions := range map[string][]string{program.keyID: {"key.created", "key.rotated"}, newer.keyID: {"key.created", "key.revoked"}} {
			for _, action := range actions {
				if event := w.wantEvent(keyID, action); event.Origin.ActorID != admin.userID {
					t.Errorf("%s by %+v", action, event.Origin)
				}
			}
		}
	})
}

func TestAuditTrailIsSearched(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const events = "/api/v1/audit-events"
		finance, support := w.staff(identity.Finance), w.staff(identity.Support)
		operator := w.program(identity.Operator, "")
		account, other := "acc_of_the_search", "acc_of_another"
		for _, id := range []string{account, other} {
			operator.post("/api/v1/accounts", object{"accountId": id, "balance": "100"}).want(http.StatusCreated)
		}
		paid := operator.post("/api/v1/transfers", transfer("txn_of_the_search", account, other, "25.50")).want(http.StatusCreated)
		operator.post("/api/v1/transfers", transfer("txn_that_fails", account, other, "1000")).wantProblem(http.StatusUnprocessableEntity, "insufficient_funds", "")
		frozen := support.patch("/api/v1/accounts/"+account, object{"status": "FROZEN"}).want(http.StatusOK)
		wrong := w.stranger()
		refused := wrong.post("/api/v1/auth/signin", object{"email": finance.email, "password": "not " + goodPassword}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")
		unknown := wrong.post("/api/v1/auth/signin", object{"email": someEmail(), "password": goodPassword}).wantProblem(http.StatusUnauthorized, "invalid_credentials", "")

		search := func(query string) []object {
			t.Helper()
			return finance.get(events + "?" + query).want(http.StatusOK).object().list("data")
		}
		one := func(query string) object {
			t.Helper()
			found := search(query)
			if len(found) != 1 {
				t.Fatalf("%s finds %v", query, found)
			}
			return found[0]
		}
		check := func(got object, want object) {
			t.Helper()
			for name, value := range want {
				if got[name] != value {
					t.Errorf("%s is %v; want %v in %v", name, got[name], value, got)
				}
			}
		}
		freeze := one("requestId=" + frozen.header.Get("X-Request-Id"))
		check(freeze, object{
			"action": "account.updated", "targetKind": "account", "targetId": account, "result": "ok", "actorKind": "user", "actorId": support.userID,
			"role": "support", "address": support.address, "requestId": frozen.header.Get("X-Request-Id"),
		})
		if text(freeze, "before", "status") != "ACTIVE" || text(freeze, "after", "status") != "FROZEN" {
			t.Errorf("before %v, after %v", freeze["before"], freeze["after"])
		}
		payment := one("targetId=txn_of_the_search")
		check(payment, object{"action": "transaction.completed", "actorKind": "key", "actorId": operator.keyID, "address": operator.address, "requestId": paid.header.Get("X-Request-Id")})
		if text(payment, "after", "amount") != "25.50" || text(payment, "after", "currency") != "USD" || text(payment, "after", "source") != account || text(payment, "after", "destination") != other {
			t.Errorf("after %v", payment["after"])
		}
		check(one("targetId=txn_that_fails"), object{"action": "transaction.failed", "result": "insufficient_funds"})
		if found := search("targetId=" + account); len(found) != 2 || found[0]["action"] != "account.updated" || found[1]["action"] != "account.opened" {
			t.Errorf("of the account: %v", found)
		}
		if found := search("actorId=" + support.userID + "&action=account.updated&targetKind=account&result=ok"); len(found) != 1 {
			t.Errorf("of support: %v", found)
		}
		for _, attempt := range []answer{refused, unknown} {
			event := one("actorKind=anonymous&requestId=" + attempt.header.Get("X-Request-Id"))
			check(event, object{"action": "session.refused", "result": "invalid_credentials", "address": wrong.address})
			if text(event, "targetId") == "" || strings.Contains(text(event, "targetId"), "@") {
				t.Errorf("refused: %v", event)
			}
		}

		seen, pages := 0, 0
		for cursor := ""; pages == 0 || cursor != ""; pages++ {
			page := finance.get(events + "?limit=2&cursor=" + url.QueryEscape(cursor)).want(http.StatusOK).object()
			seen += len(page.list("data"))
			if cursor = text(page, "nextCursor"); pages > 200 {
				t.Fatal("the search does not end")
			}
		}
		if all := len(search("limit=500")); seen != all || all < 8 {
			t.Errorf("%d by pages, %d at once", seen, all)
		}
		if found := search("to=2020-01-01T00:00:00Z"); len(found) != 0 {
			t.Errorf("before there was anything: %v", found)
		}
		if found := search("targetId=" + account + "&from=2999-01-01T00:00:00Z"); len(found) != 0 {
			t.Errorf("in the future: %v", found)
		}
		finance.get(events+"?cursor=forged").wantProblem(http.StatusBadRequest, "invalid_request", "cursor")
		finance.get(events+"?actorKind=ghost").wantProblem(http.StatusBadRequest, "invalid_request", "actorKind")
		finance.get(events+"?from=yesterday").wantProblem(http.StatusBadRequest, "invalid_request", "from")
		support.get(events).wantProblem(http.StatusForbidden, "forbidden", "")
	})
}
