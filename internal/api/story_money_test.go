package api_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"florin/internal/identity"
)

const (
	myTransfers    = "/api/v1/users/me/transfers"
	myDeposits     = "/api/v1/users/me/deposits"
	myWithdrawals  = "/api/v1/users/me/withdrawals"
	myTransactions = "/api/v1/users/me/transactions"
	myStatements   = "/api/v1/users/me/statements"
)

func TestDepositsAndWithdrawalsGoByTheBank(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		people := w.payers("0", "Alice Adams", "Bob Brown")
		alice, bob := people[0], people[1]
		for field, wrong := range map[string]object{
			"amount":    {"accountId": alice.account, "linkedAccountId": alice.linked, "amount": "0"},
			"accountId": {"linkedAccountId": alice.linked, "amount": "1"},
			"balance":   {"accountId": alice.account, "linkedAccountId": alice.linked, "amount": "1", "balance": "1"},
		} {
			alice.post(myDeposits, wrong).wantProblem(http.StatusBadRequest, "invalid_request", field)
		}
		alice.post(myDeposits, object{"accountId": bob.account, "linkedAccountId": alice.linked, "amount": "1"}).wantProblem(http.StatusNotFound, "account_not_found", "")
		alice.post(myDeposits, object{"accountId": alice.account, "linkedAccountId": bob.linked, "amount": "1"}).wantProblem(http.StatusNotFound, "linked_account_not_found", "")
		alice.post(myDeposits, object{"accountId": alice.account, "linkedAccountId": alice.linked, "amount": "1", "currency": "EUR"}).wantProblem(http.StatusUnprocessableEntity, "currency_mismatch", "")
		refused := alice.post(myDeposits, alice.bankPayment("50.13")).wantProblem(http.StatusUnprocessableEntity, "bank_refused", "")
		alice.get(myTransactions + "/" + text(refused.object(), "transactionId")).want(http.StatusOK).wantFields(object{"status": "FAILED", "failureCode": "bank_refused", "kind": "DEPOSIT"})
		alice.wantAccount("0.00", "0.00")

		first := alice.post(myDeposits, alice.bankPayment("250.50"), "Idempotency-Key", "pay-day").want(http.StatusCreated)
		first.wantFields(object{"type": "RECEIVED", "kind": "DEPOSIT", "status": "COMPLETED", "amount": "250.50", "currency": "USD", "accountId": alice.account})
		if again := alice.post(myDeposits, alice.bankPayment("250.50"), "Idempotency-Key", "pay-day").want(http.StatusCreated); again.object()["transactionId"] != first.object()["transactionId"] {
			t.Errorf("repeated: %s; first: %s", again.text, first.text)
		}
		alice.post(myDeposits, alice.bankPayment("250.51"), "Idempotency-Key", "pay-day").wantProblem(http.StatusConflict, "duplicate_transaction", "")
		bob.post(myDeposits, bob.bankPayment("10"), "Idempotency-Key", "pay-day").want(http.StatusCreated)
		alice.wantAccount("250.50", "0.00")
		bob.wantAccount("10.00", "0.00")

		w.time.pass(proofMax)
		alice.post(myWithdrawals, alice.bankPayment("10")).wantProblem(http.StatusForbidden, "proof_required", "")
		alice.prove()
		failed := alice.post(myWithdrawals, alice.bankPayment("10.13")).wantProblem(http.StatusUnprocessableEntity, "bank_refused", "")
		alice.get(myTransactions + "/" + text(failed.object(), "transactionId")).want(http.StatusOK).wantFields(object{"status": "FAILED", "kind": "WITHDRAWAL"})
		alice.wantAccount("250.50", "0.00")
		alice.post(myWithdrawals, alice.bankPayment("250.51")).wantProblem(http.StatusUnprocessableEntity, "insufficient_funds", "")
		for range 2 {
			alice.post(myWithdrawals, alice.bankPayment("50.50"), "Idempotency-Key", "out").want(http.StatusCreated).wantFields(object{"type": "SENT", "kind": "WITHDRAWAL", "status": "COMPLETED"})
		}
		alice.wantAccount("200.00", "0.00")
		house := w.staff(identity.Finance).get("/api/v1/accounts/house:bank:USD").want(http.StatusOK).object()
		if house["balance"] != "-210.00" {
			t.Errorf("the bank's account has %v", house["balance"])
		}
	})
}

func TestUsersOpenAccountsOfTheirOwn(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		const accounts = "/api/v1/users/me/accounts"
		c, merchant := w.customer("Alice Adams"), w.staff(identity.Merchant)
		opened := c.post(accounts, nil, "Idempotency-Key", "first").want(http.StatusCreated).wantFields(object{
			"accountType": "WALLET", "currency": "USD", "balance": "0.00", "overdraftLimit": "0.00", "ownerId": c.userID, "status": "ACTIVE",
		})
		if again := c.post(accounts, nil, "Idempotency-Key", "first").want(http.StatusCreated); again.object()["accountId"] != opened.object()["accountId"] {
			t.Errorf("opened again: %s", again.text)
		}
		c.post(accounts, object{"accountType": "SAVINGS", "currency": "JPY"}).want(http.StatusCreated).wantFields(object{"balance": "0"})
		merchant.post(accounts, object{"accountType": "MERCHANT"}).want(http.StatusCreated)
		for _, wrong := range []struct {
			body  object
			field string
		}{
			{object{"accountType": "MERCHANT"}, "accountType"},
			{object{"accountType": "EQUITY"}, "accountType"},
			{object{"currency": "XXY"}, "currency"},
			{object{"balance": "100"}, "balance"},
			{object{"overdraftLimit": "100"}, "overdraftLimit"},
			{object{"ownerId": merchant.userID}, "ownerId"},
			{object{"accountId": "mine"}, "accountId"},
		} {
			c.post(accounts, wrong.body).wantProblem(http.StatusBadRequest, "invalid_request", wrong.field)
		}
		w.staff(identity.Support).post(accounts, nil).wantProblem(http.StatusForbidden, "forbidden", "")
		if rows := c.get(accounts).want(http.StatusOK).object().list("data"); len(rows) != 2 {
			t.Errorf("accounts %v", rows)
		}
		if event := w.wantEvent(text(opened.object(), "accountId"), "account.opened"); event.Origin.ActorID != c.userID || event.Origin.Address != c.address {
			t.Errorf("event %+v", event)
		}
	})
}

func TestUsersPayEachOther(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		people := w.payers("300.00", "Alice Adams", "Bob Brown", "Carol Clark")
		alice, bob, carol := people[0], people[1], people[2]
		to := func(name, value, amount string) object {
			return object{"accountId": alice.account, "to": object{name: value}, "amount": amount, "description": "lunch"}
		}
		alice.post(myTransfers, to("userId", bob.userID, "10")).want(http.StatusCreated)
		alice.post(myTransfers, to("accountId", bob.account, "30")).want(http.StatusCreated)
		sent := alice.post(myTransfers, to("email", strings.ToUpper(bob.email), "20.25")).want(http.StatusCreated).wantFields(object{
			"type": "SENT", "kind": "TRANSFER", "status": "COMPLETED", "amount": "20.25", "currency": "USD", "description": "lunch",
		})
		if name := text(sent.object(), "counterparty", "name"); name != "Bob B." || strings.Contains(sent.text, bob.email) {
			t.Errorf("the payer sees %s", sent.text)
		}
		bob.wantAccount("360.25", "0.00")
		alice.wantAccount("239.75", "0.00")
		for range 3 {
			alice.post(myTransfers, to("userId", bob.userID, "1"), "Idempotency-Key", "one").want(http.StatusCreated)
		}
		alice.post(myTransfers, to("userId", carol.userID, "1"), "Idempotency-Key", "one").wantProblem(http.StatusConflict, "duplicate_transaction", "")
		bob.wantAccount("361.25", "0.00")

		savings := text(alice.post("/api/v1/users/me/accounts", object{"accountType": "SAVINGS", "currency": "USD"}).want(http.StatusCreated).object(), "accountId")
		euros := bob.open("EUR")
		alice.post(myTransfers, to("accountId", savings, "100")).want(http.StatusCreated)
		for _, refused := range []struct {
			body   object
			status int
			code   string
			field  string
		}{
			{to("userId", alice.userID, "1"), 400, "invalid_request", "to"},
			{to("userId", "user_nobody", "1"), 404, "payee_not_found", ""},
			{to("email", someEmail(), "1"), 404, "payee_not_found", ""},
			{to("accountId", "acc_nobody", "1"), 404, "payee_not_found", ""},
			{to("accountId", "house:bank:USD", "1"), 404, "payee_not_found", ""},
			{to("accountId", euros, "1"), 404, "payee_not_found", ""},
			{to("accountId", alice.account, "1"), 422, "same_account", ""},
			{to("userId", bob.userID, "1000"), 422, "insufficient_funds", ""},
			{to("userId", bob.userID, "-1"), 400, "invalid_request", "amount"},
			{to("userId", bob.userID, "0.001"), 400, "invalid_request", "amount"},
			{object{"accountId": alice.account, "to": object{"userId": bob.userID, "email": bob.email}, "amount": "1"}, 400, "invalid_request", "to"},
			{object{"accountId": alice.account, "to": object{}, "amount": "1"}, 400, "invalid_request", "to"},
			{object{"accountId": alice.account, "to": object{"name": "Bob"}, "amount": "1"}, 400, "invalid_request", "to.name"},
			{object{"accountId": bob.account, "to": object{"userId": alice.userID}, "amount": "1"}, 404, "account_not_found", ""},
			{object{"accountId": alice.account, "to": object{"userId": bob.userID}, "amount": "1", "ownerId": bob.userID}, 400, "invalid_request", "ownerId"},
		} {
			alice.post(myTransfers, refused.body).wantProblem(refused.status, refused.code, refused.field)
		}
		support := w.staff(identity.Support)
		support.patch("/api/v1/accounts/"+bob.account, object{"status": "FROZEN"}).want(http.StatusOK)
		alice.post(myTransfers, to("accountId", bob.account, "1")).wantProblem(http.StatusNotFound, "payee_not_found", "")
		bob.post(myTransfers, bob.payment(alice.account, "1")).wantProblem(http.StatusConflict, "account_frozen", "")
		bob.prove().post(myWithdrawals, bob.bankPayment("1")).wantProblem(http.StatusConflict, "account_frozen", "")
		bob.delete("/api/v1/users/me").wantProblem(http.StatusConflict, "account_frozen", "")
		support.patch("/api/v1/accounts/"+bob.account, object{"status": "ACTIVE"}).want(http.StatusOK)
		alice.wantAccount("138.75", "0.00")
		alice.get(myTransactions + "/" + text(sent.object(), "transactionId")).want(http.StatusOK).wantFields(object{"type": "SENT"})
		bob.get(myTransactions + "/" + text(sent.object(), "transactionId")).want(http.StatusOK).wantFields(object{"type": "RECEIVED", "accountId": bob.account})
		carol.get(myTransactions+"/"+text(sent.object(), "transactionId")).wantProblem(http.StatusNotFound, "payment_not_found", "")
		carol.get(myTransactions+"?accountId="+alice.account).wantProblem(http.StatusNotFound, "account_not_found", "")
		carol.get(myStatements+"?accountId="+alice.account).wantProblem(http.StatusNotFound, "account_not_found", "")
		for _, path := range []string{"/api/v1/accounts/" + alice.account, "/api/v1/transactions?accountId=" + alice.account, "/api/v1/users/" + alice.userID} {
			alice.get(path).wantProblem(http.StatusForbidden, "forbidden", "")
		}
	})
}

func TestTransactionsArePagedAndStatementsAddUp(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		people := w.payers("500.00", "Alice Adams", "Bob Brown")
		alice, bob := people[0], people[1]
		from := w.time.Now()
		w.time.pass(time.Second)
		for i, description := range []string{"rent", "", `=HYPERLINK("https://evil.example")`, "tea, \"with\" milk\nand sugar", "books"} {
			payment := alice.payment(bob.account, fmt.Sprintf("%d.0%d", 10+i, i))
			payment["description"] = description
			alice.post(myTransfers, payment).want(http.StatusCreated)
			w.time.pass(time.Minute)
		}
		bob.post(myTransfers, bob.payment(alice.account, "5.55")).want(http.StatusCreated)
		w.time.pass(time.Minute)
		to := w.time.Now()
		alice.post(myWithdrawals, alice.bankPayment("1.00")).want(http.StatusCreated)

		seen, pages := map[string]bool{}, 0
		for cursor := ""; pages == 0 || cursor != ""; pages++ {
			page := alice.get(myTransactions + "?limit=3&cursor=" + url.QueryEscape(cursor)).want(http.StatusOK).object()
			rows := page.list("data")
			if len(rows) > 3 || pages > 10 {
				t.Fatalf("page %d has %d rows", pages, len(rows))
			}
			for _, row := range rows {
				if id := text(row, "transactionId"); seen[id] {
					t.Errorf("%s is listed twice", id)
				} else {
					seen[id] = true
				}
			}
			cursor = text(page, "nextCursor")
		}
		if len(seen) != 8 { // the deposit, five payments, one received, a withdrawal
			t.Errorf("%d transactions are listed", len(seen))
		}
		period := "&from=" + url.QueryEscape(from.Format(time.RFC3339Nano)) + "&to=" + url.QueryEscape(to.Format(time.RFC3339Nano))
		if rows := alice.get(myTransactions + "?accountId=" + alice.account + period).want(http.StatusOK).object().list("data"); len(rows) != 6 || rows[0]["type"] != "RECEIVED" || rows[5]["description"] != "rent" {
			t.Errorf("in the period: %v", rows)
		}
		for _, cursor := range []string{"x", "bm9uc2Vuc2U", strings.Repeat("A", 300)} {
			alice.get(myTransactions+"?cursor="+cursor).wantProblem(http.StatusBadRequest, "invalid_request", "cursor")
		}
		alice.get(myTransactions+"?limit=201").wantProblem(http.StatusBadRequest, "invalid_request", "limit")

		statement := alice.get(myStatements + "?accountId=" + alice.account + period).want(http.StatusOK)
		if statement.header.Get("Content-Disposition") == "" {
			t.Errorf("headers %v", statement.header)
		}
		read := statement.wantFields(object{"accountId": alice.account, "currency": "USD", "openingBalance": "500.00", "closingBalance": "445.45"}).object()
		sum := decimal.RequireFromString(text(read, "openingBalance"))
		lines := read.list("data")
		for _, line := range lines {
			sum = sum.Add(decimal.RequireFromString(text(line, "amount")))
			if !sum.Equal(decimal.RequireFromString(text(line, "balance"))) {
				t.Errorf("after %v it is %s", line, sum)
			}
		}
		if len(lines) != 6 || sum.StringFixed(2) != read["closingBalance"] || text(lines[0], "counterparty", "name") != "Bob B." {
			t.Errorf("%s; the lines add up to %s", statement.text, sum)
		}
		alice.get(myStatements + "?accountId=" + alice.account).want(http.StatusOK).wantFields(object{"openingBalance": "0.00", "closingBalance": "444.45"})
		quiet := alice.get(myStatements + "?accountId=" + alice.account + "&from=" + url.QueryEscape(from.Format(time.RFC3339Nano)) + "&to=" + url.QueryEscape(from.Add(time.Millisecond).Format(time.RFC3339Nano)))
		if quiet.want(http.StatusOK).wantFields(object{"openingBalance": "500.00", "closingBalance": "500.00"}); len(quiet.object()["data"].([]any)) != 0 {
			t.Errorf("nothing happened: %s", quiet.text)
		}
		alice.get(myStatements+"?accountId="+alice.account+"&from=2999-01-01T00:00:00Z").wantProblem(http.StatusBadRequest, "invalid_request", "from")
		alice.get(myStatements).wantProblem(http.StatusBadRequest, "invalid_request", "accountId")
		alice.get(myStatements+"?accountId="+alice.account+"&format=pdf").wantProblem(http.StatusBadRequest, "invalid_request", "format")

		table := alice.get(myStatements + "?format=csv&accountId=" + alice.account + period)
		if table.status != http.StatusOK || !strings.HasPrefix(table.header.Get("Content-Type"), "text/csv") {
			t.Fatalf("%d %v", table.status, table.header)
		}
		rows, err := csv.NewReader(strings.NewReader(table.text)).ReadAll()
		if err != nil || len(rows) != 9 {
			t.Fatalf("%d rows, %v: %s", len(rows), err, table.text)
		}
		if rows[1][2] != "OPENING_BALANCE" || rows[1][6] != "500.00" || rows[8][2] != "CLOSING_BALANCE" || rows[8][6] != "445.45" {
			t.Errorf("frame: %v, %v", rows[1], rows[8])
		}
		if !strings.HasPrefix(rows[4][4], "'=HYPERLINK") || rows[5][4] != "tea, \"with\" milk\nand sugar" || rows[5][5] != "-13.03" {
			t.Errorf("lines: %q, %q", rows[4], rows[5])
		}
	})
}
