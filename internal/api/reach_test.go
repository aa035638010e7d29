package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"florin/internal/platform/id"
)

// openFor opens an account in USD that an owner has.
func (s *server) openFor(owner, balance string) string {
	s.t.Helper()
	account := id.New("a")
	s.post("/api/v1/accounts", object{"accountId": account, "balance": balance, "ownerId": owner}).want(http.StatusCreated).wantFields(object{"ownerId": owner})
	return account
}

func as(token string) []string { return []string{"Authorization", "Bearer " + token} }

func TestAnothersObjectsAreAsIfTheyWereNotThere(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		mine, theirs := id.New("shop"), id.New("shop")
		me := as("merchant:" + mine)
		account, foreign := s.openFor(mine, "100"), s.openFor(theirs, "100")
		third := s.open("100")
		between := id.New("t")
		s.post("/api/v1/transfers", transfer(between, foreign, third, 1)).want(http.StatusCreated)
		hold := id.New("h")
		s.post("/api/v1/holds", object{"holdId": hold, "sourceAccountId": foreign, "destinationAccountId": third, "amount": 1}).want(http.StatusCreated)

		for _, c := range []struct {
			method, path string // with ID in place of the id
			id, code     string
			body         any
		}{
			{"GET", "/api/v1/accounts/ID", foreign, "account_not_found", nil},
			{"GET", "/api/v1/accounts/ID/balance", foreign, "account_not_found", nil},
			{"GET", "/api/v1/accounts/ID/balance?at=" + time.Now().UTC().Format(time.RFC3339), foreign, "account_not_found", nil},
			{"GET", "/api/v1/accounts/ID/postings", foreign, "account_not_found", nil},
			{"GET", "/api/v1/transactions/ID", between, "transaction_not_found", nil},
			{"GET", "/api/v1/transactions/ID/status", between, "transaction_not_found", nil},
			{"POST", "/api/v1/transactions/ID/reversal", between, "transaction_not_found", object{}},
			{"GET", "/api/v1/holds/ID", hold, "hold_not_found", nil},
			{"POST", "/api/v1/holds/ID/capture", hold, "hold_not_found", object{}},
			{"POST", "/api/v1/holds/ID/void", hold, "hold_not_found", nil},
		} {
			there := s.call(c.method, strings.Replace(c.path, "ID", c.id, 1), c.body, me...).wantProblem(http.StatusNotFound, c.code, "")
			missing := id.New("x")
			nowhere := s.call(c.method, strings.Replace(c.path, "ID", missing, 1), c.body, me...).wantProblem(http.StatusNotFound, c.code, "")
			if got, want := strings.ReplaceAll(there.object()["detail"].(string), c.id, "ID"), strings.ReplaceAll(nowhere.object()["detail"].(string), missing, "ID"); got != want {
				t.Errorf("%s %s: %q tells from %q", c.method, c.path, got, want)
			}
		}
		for _, c := range []struct {
			path string
			body object
		}{
			{"/api/v1/transfers", transfer(id.New("t"), foreign, account, 1)},
			{"/api/v1/transactions/process", transfer(id.New("t"), foreign, account, 1)},
			{"/api/v1/holds", object{"holdId": id.New("h"), "sourceAccountId": foreign, "destinationAccountId": account, "amount": 1}},
		} {
			s.post(c.path, c.body, me...).wantProblem(http.StatusNotFound, "account_not_found", "")
			if transaction, isTransfer := c.body["transactionId"].(string); isTransfer {
				s.get("/api/v1/transactions/"+transaction).wantProblem(http.StatusNotFound, "transaction_not_found", "") // nothing is recorded about others
			}
		}
		s.post("/api/v1/transfers/batch", object{"transfers": []object{transfer(id.New("t"), account, third, 1)}}, me...).
			wantProblem(http.StatusForbidden, "forbidden", "") // not even of his own: payments are judged one by one
		accounts := s.get("/api/v1/accounts?limit=500", me...).want(http.StatusOK).object().list("data")
		if len(accounts) != 1 || accounts[0]["accountId"] != account {
			t.Errorf("the owner sees %v", accounts)
		}
		if others := s.get("/api/v1/accounts?ownerId="+theirs, me...).want(http.StatusOK).object().list("data"); len(others) > 0 {
			t.Errorf("by their owner: %v", others)
		}
		s.get("/api/v1/transactions", me...).wantProblem(http.StatusBadRequest, "invalid_request", "accountId")
		s.get("/api/v1/transactions?accountId="+foreign, me...).wantProblem(http.StatusNotFound, "account_not_found", "")
		s.wantBalance(foreign, "99.00", "1.00")
		// What is his he sees, and he pays whom he likes.
		s.get("/api/v1/accounts/"+account, me...).want(http.StatusOK)
		s.post("/api/v1/transfers", transfer(id.New("t"), account, foreign, 1), me...).want(http.StatusCreated)
	})
}

func TestOwnersPayUnderTheirRolesLimits(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		owner := id.New("shop")
		me := as("merchant:" + owner)
		account, payee := s.openFor(owner, "1000"), s.open("0")
		pay := func(amount any, currency string) object {
			body := transfer(id.New("t"), account, payee, amount)
			if currency != "" {
				body["currency"] = currency
			}
			return body
		}
		for _, currency := range []string{"", "USD"} {
			s.post("/api/v1/transfers", pay("100.01", currency), me...).wantProblem(http.StatusUnprocessableEntity, "transfer_limit_exceeded", "")
		}
		s.post("/api/v1/transfers", pay("10", "EUR"), me...).wantProblem(http.StatusUnprocessableEntity, "currency_mismatch", "")
		s.post("/api/v1/transfers", pay("10", "usd"), me...).wantProblem(http.StatusBadRequest, "invalid_request", "currency")
		s.post("/api/v1/transfers", transfer(id.New("t"), "a b", payee, 1), me...).wantProblem(http.StatusBadRequest, "invalid_request", "sourceAccountId")
		reserve := object{"holdId": id.New("h"), "sourceAccountId": account, "destinationAccountId": payee, "amount": "100.01"}
		s.post("/api/v1/holds", reserve, me...).wantProblem(http.StatusUnprocessableEntity, "transfer_limit_exceeded", "")
		// To put it off does not help.
		later := pay("100.01", "USD")
		s.post("/api/v1/transactions/process", later, me...).want(http.StatusAccepted)
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			status := s.get("/api/v1/transactions/" + later["transactionId"].(string) + "/status").want(http.StatusOK).object()
			if status["status"] == "FAILED" && status["failureCode"] == "transfer_limit_exceeded" {
				break
			}
			if status["status"] == "COMPLETED" || time.Now().After(deadline) {
				t.Fatalf("accepted above the limit: %v", status)
			}
		}
		for range 2 {
			s.post("/api/v1/transfers", pay(100, "USD"), me...).want(http.StatusCreated)
		}
		s.post("/api/v1/transfers", pay(100, "USD"), me...).wantProblem(http.StatusUnprocessableEntity, "daily_limit_exceeded", "")
		s.post("/api/v1/transfers", pay(50, "USD"), me...).want(http.StatusCreated)
		s.post("/api/v1/transfers", pay("0.01", "USD"), me...).wantProblem(http.StatusUnprocessableEntity, "daily_limit_exceeded", "")
		// Staff have no limits, and give an account one of its own.
		s.post("/api/v1/transfers", pay(200, "USD")).want(http.StatusCreated)
		path := "/api/v1/accounts/" + account
		s.call(http.MethodPatch, path, object{"dailyLimit": "460.00", "transferLimit": 5}).want(http.StatusOK).
			wantFields(object{"dailyLimit": "460.00", "transferLimit": "5.00"})
		s.post("/api/v1/transfers", pay("5.01", "USD"), me...).wantProblem(http.StatusUnprocessableEntity, "transfer_limit_exceeded", "")
		s.post("/api/v1/transfers", pay("5", "USD"), me...).want(http.StatusCreated)
		s.call(http.MethodPatch, path, object{"dailyLimit": "none"}).want(http.StatusOK).wantFields(object{"dailyLimit": nil, "transferLimit": "5.00"})
		s.post("/api/v1/transfers", pay("5", "USD"), me...).wantProblem(http.StatusUnprocessableEntity, "daily_limit_exceeded", "")
		for _, bad := range []any{"None", "-1", "1.001", true, "", object{}} {
			if got := s.call(http.MethodPatch, path, object{"dailyLimit": bad}).status; got != http.StatusBadRequest && got != http.StatusUnprocessableEntity {
				t.Errorf("limit %v: %d", bad, got)
			}
		}
	})
}

func TestPartsOfARequestNeedTheirOwnPermission(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		owner := id.New("shop")
		account, payee := s.openFor(owner, "100"), s.open("0")
		path := "/api/v1/accounts/" + account
		for _, c := range []struct {
			token  string
			body   object
			status int
		}{
			{"support:", object{"status": "FROZEN"}, http.StatusOK},
			{"support:", object{"status": "ACTIVE"}, http.StatusOK},
			{"support:", object{"metadata": object{"a": "b"}}, http.StatusForbidden},
			{"support:", object{"overdraftLimit": 5}, http.StatusForbidden},
			{"support:", object{"dailyLimit": 5}, http.StatusForbidden},
			{"support:", object{"transferLimit": "none"}, http.StatusForbidden},
			{"support:", object{"status": "FROZEN", "metadata": object{}}, http.StatusForbidden},
			{"operator:", object{"status": "ACTIVE", "metadata": object{"a": "b"}, "dailyLimit": 50}, http.StatusOK},
			{"merchant:" + owner, object{"metadata": object{"a": "b"}}, http.StatusForbidden},
		} {
			if got := s.call(http.MethodPatch, path, c.body, as(c.token)...); got.status != c.status {
				t.Errorf("%s %v: %d %s", c.token, c.body, got.status, got.text)
			}
		}
		paid := id.New("t")
		s.post("/api/v1/transfers", transfer(paid, account, payee, 10)).want(http.StatusCreated)
		for _, token := range []string{"finance:", "merchant:" + owner} {
			refused := s.post("/api/v1/transactions/"+paid+"/reversal", object{"force": true}, as(token)...).wantProblem(http.StatusForbidden, "forbidden", "")
			if !strings.Contains(refused.text, "transfers:force") {
				t.Errorf("the permission is not named: %s", refused.text)
			}
		}
		s.wantBalance(account, "90.00", "0.00")
		// What nobody may choose is no field.
		s.post("/api/v1/accounts", object{"ownerId": owner}, as("merchant:"+owner)...).wantProblem(http.StatusForbidden, "forbidden", "")
		for _, field := range []string{"ownerId", "limits", "role", "status", "balance", "isAdmin"} {
			body := transfer(id.New("t"), account, payee, 1)
			body[field] = "x"
			s.post("/api/v1/transfers", body, as("merchant:"+owner)...).wantProblem(http.StatusBadRequest, "invalid_request", field)
		}
		for _, field := range []string{"ownerId", "version", "held", "currency"} {
			s.call(http.MethodPatch, path, object{field: "x"}, as("operator:")...).wantProblem(http.StatusBadRequest, "invalid_request", field)
		}
	})
}
