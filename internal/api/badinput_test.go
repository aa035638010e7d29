package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// stored counts all rows of the books.
func (s *server) stored() (rows string) {
	s.t.Helper()
	err := s.db.QueryRow(s.t.Context(), `SELECT concat_ws(' ',
		(SELECT count(*) FROM accounts), (SELECT coalesce(sum(version), 0) FROM accounts),
		(SELECT count(*) FROM transfers), (SELECT count(*) FROM postings), (SELECT count(*) FROM holds))`).Scan(&rows)
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

func TestBadInputIsRefusedByNameAndNothingIsStored(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		fresh := dbtest.Fresh(t, url)
		dbtest.Migrate(t, fresh)
		s := serve(t, fresh)
		from, to := s.open("100"), s.open("0")
		yen := id.New("a")
		s.post("/api/v1/accounts", object{"accountId": yen, "currency": "JPY", "balance": 500}).want(http.StatusCreated)
		hold := s.post("/api/v1/holds", object{"holdId": "h1", "sourceAccountId": from, "destinationAccountId": to, "amount": 1}).
			want(http.StatusCreated).header.Get("Location")
		const (
			transfers = "/api/v1/transfers"
			process   = "/api/v1/transactions/process"
			batch     = "/api/v1/transfers/batch"
			accounts  = "/api/v1/accounts"
			holds     = "/api/v1/holds"
		)
		pay := func(members string) string {
			return fmt.Sprintf(`{"transactionId":"t1","sourceAccountId":%q,"destinationAccountId":%q%s}`, from, to, members)
		}
		long := strings.Repeat("x", 51)
		type badCase struct {
			path, body, field string
		}
		cases := []badCase{
			// What is no JSON.
			{transfers, ``, "body"},
			{transfers, `{`, "body"},
			{transfers, `[]`, "body"},
			{transfers, `"x"`, "body"},
			{transfers, `null`, "body"},
			{transfers, pay(`,"amount":1`) + `x`, "body"},
			{transfers, pay(`,"amount":1`) + pay(`,"amount":1`), "body"},
			{transfers, pay(`,"amount":1,`), "amount"},
			{transfers, "\xff" + pay(`,"amount":1`), "body"},
			{transfers, pay(`,"amount":NaN`), "amount"},
			{transfers, pay(`,"amount":Infinity`), "amount"},
			{transfers, pay(`,"amount":01`), "amount"},
			{transfers, pay(`,"amount":1.`), "amount"},
			{transfers, pay(`,"amount":.5`), "amount"},
			{transfers, pay(`,"amount":1 2`), "amount"},
			{transfers, strings.TrimSuffix(pay(`,"amount":1,"description":"cut`), `}`), "description"},
			// Fields.
			{transfers, pay(`,"amount":1,"surprise":true`), "surprise"},
			{transfers, pay(`,"amount":1,"Amount":1`), "Amount"},
			{transfers, pay(`,"amount":1,"amount":2`), "amount"},
			{transfers, pay(``), "amount"},
			{transfers, pay(`,"amount":null`), "amount"},
			{transfers, `{"amount":1,"sourceAccountId":"a","destinationAccountId":"b"}`, "transactionId"},
			{transfers, `{"amount":1,"transactionId":"a","destinationAccountId":"b"}`, "sourceAccountId"},
			{transfers, `{"amount":1,"transactionId":"a","sourceAccountId":"b"}`, "destinationAccountId"},
			// Types.
			{transfers, pay(`,"amount":true`), "amount"},
			{transfers, pay(`,"amount":{}`), "amount"},
			{transfers, pay(`,"amount":[1]`), "amount"},
			{transfers, pay(`,"amount":1,"description":5`), "description"},
			{transfers, pay(`,"amount":1,"currency":["USD"]`), "currency"},
			{transfers, pay(`,"amount":1,"timestamp":1700000000`), "timestamp"},
			{transfers, pay(`,"amount":1,"metadata":"x"`), "metadata"},
			{transfers, pay(`,"amount":1,"metadata":[]`), "metadata"},
			{transfers, `{"transactionId":5,"amount":1,"sourceAccountId":"a","destinationAccountId":"b"}`, "transactionId"},
			{batch, `{"atomic":"yes","transfers":[]}`, "atomic"},
			{batch, `{"transfers":{}}`, "transfers"},
			{batch, `{"transfers":[1]}`, "transfers[0]"},
			// Amounts.
			{transfers, pay(`,"amount":"10.001"`), "amount"},
			{transfers, pay(`,"amount":"10.001","currency":"USD"`), "amount"},
			{transfers, pay(`,"amount":0.00001`), "amount"},
			{transfers, pay(`,"amount":-1`), "amount"},
			{transfers, pay(`,"amount":"-0.01"`), "amount"},
			{transfers, pay(`,"amount":0`), "amount"},
			{transfers, pay(`,"amount":"0.00"`), "amount"},
			{transfers, pay(`,"amount":1e3`), "amount"},
			{transfers, pay(`,"amount":"1e3"`), "amount"},
			{transfers, pay(`,"amount":"NaN"`), "amount"},
			{transfers, pay(`,"amount":"1,000"`), "amount"},
			{transfers, pay(`,"amount":" 1"`), "amount"},
			{transfers, pay(`,"amount":""`), "amount"},
			{transfers, pay(`,"amount":1000000000000000`), "amount"},
			{transfers, pay(`,"amount":` + strings.Repeat("9", 40)), "amount"},
			{transfers, fmt.Sprintf(`{"transactionId":"t1","sourceAccountId":%q,"destinationAccountId":%q,"amount":0.5,"currency":"JPY"}`, yen, yen), "amount"},
			// Ids, currencies, times, texts.
			{transfers, fmt.Sprintf(`{"transactionId":%q,"sourceAccountId":%q,"destinationAccountId":%q,"amount":1}`, long, from, to), "transactionId"},
			{transfers, fmt.Sprintf(`{"transactionId":"t 1","sourceAccountId":%q,"destinationAccountId":%q,"amount":1}`, from, to), "transactionId"},
			{transfers, fmt.Sprintf(`{"transactionId":"","sourceAccountId":%q,"destinationAccountId":%q,"amount":1}`, from, to), "transactionId"},
			{transfers, fmt.Sprintf(`{"transactionId":"t/1","sourceAccountId":%q,"destinationAccountId":%q,"amount":1}`, from, to), "transactionId"},
			{transfers, fmt.Sprintf(`{"transactionId":"t\u0000","sourceAccountId":%q,"destinationAccountId":%q,"amount":1}`, from, to), "transactionId"},
			{transfers, fmt.Sprintf(`{"transactionId":"tä","sourceAccountId":%q,"destinationAccountId":%q,"amount":1}`, from, to), "transactionId"},
			{transfers, fmt.Sprintf(`{"transactionId":"t1","sourceAccountId":"a b","destinationAccountId":%q,"amount":1}`, to), "sourceAccountId"},
			{transfers, fmt.Sprintf(`{"transactionId":"t1","sourceAccountId":%q,"destinationAccountId":%q,"amount":1}`, from, long), "destinationAccountId"},
			{transfers, pay(`,"amount":1,"currency":"XXX"`), "currency"},
			{transfers, pay(`,"amount":1,"currency":"usd"`), "currency"},
			{transfers, pay(`,"amount":1,"timestamp":"20000-01-01T00:00:00Z"`), "timestamp"},
			{transfers, pay(`,"amount":1,"timestamp":"+20000-01-01T00:00:00Z"`), "timestamp"},
			{transfers, pay(`,"amount":1,"timestamp":"9999-12-31T23:59:59-14:00"`), "timestamp"},
			{transfers, pay(`,"amount":1,"timestamp":"0000-01-01T00:00:00Z"`), "timestamp"},
			{transfers, pay(`,"amount":1,"timestamp":"yesterday"`), "timestamp"},
			{transfers, pay(`,"amount":1,"timestamp":"2026-02-30T00:00:00Z"`), "timestamp"},
			{transfers, pay(`,"amount":1,"timestamp":"2026-01-01"`), "timestamp"},
			{transfers, pay(`,"amount":1,"description":"` + strings.Repeat("ä", 501) + `"`), "description"},
			{transfers, pay(`,"amount":1,"description":"a\u0000b"`), "description"},
			{transfers, pay(`,"amount":1,"metadata":{"k":"` + strings.Repeat("x", 8192) + `"}`), "metadata"},
			{transfers, pay(`,"amount":1,"metadata":{"k":"\u0000"}`), "metadata"},
			{transfers, pay(`,"amount":1,"metadata":{"k":1e999}`), "metadata"},
			{transfers, pay(`,"amount":1,"metadata":` + strings.Repeat(`{"a":`, 100000) + `1` + strings.Repeat(`}`, 100000)), "metadata"},
			{transfers, pay(`,"amount":1,"metadata":{"a":}`), "metadata"},
			// The other paths.
			{process, pay(`,"amount":0`), "amount"},
			{process, pay(`,"amount":"1.001","currency":"USD"`), "amount"},
			{process, pay(`,"amount":1,"nothing":1`), "nothing"},
			{batch, `{"transfers":[]}`, "transfers"},
			{batch, `{"atomic":true}`, "transfers"},
			{batch, `{"transfers":[` + pay(`,"amount":1`) + `,` + pay(`,"amount":1,"x":1`) + `]}`, "transfers[1].x"},
			{batch, `{"transfers":[` + strings.Repeat(pay(`,"amount":1`)+`,`, 3) + pay(`,"amount":1e3`) + `]}`, "transfers[3].amount"},
			{batch, `{"transfers":[` + strings.Repeat(pay(`,"amount":1`)+`,`, 3) + pay(`,"amount":0`) + `]}`, "transfers[3].amount"},
			{batch, `{"transfers":[` + pay(`,"amount":1`) + `,` + pay(`,"amount":NaN`) + `]}`, "transfers[1].amount"},
			{batch, `{"transfers":[` + strings.Repeat(pay(`,"amount":1`)+`,`, 10_000) + pay(`,"amount":1`) + `]}`, "transfers"},
			{batch, `{"transfers":[` + strings.Repeat(`{},`, 10_000) + `{}]}`, "transfers[0].transactionId"},
			{accounts, `{"accountId":"` + long + `"}`, "accountId"},
			{accounts, `{"accountId":"a b"}`, "accountId"},
			{accounts, `{"accountId":"house:mine"}`, "accountId"},
			{accounts, `{"balance":-1}`, "balance"},
			{accounts, `{"balance":"1.001"}`, "balance"},
			{accounts, `{"balance":1.5,"currency":"JPY"}`, "balance"},
			{accounts, `{"accountType":"PIGGY"}`, "accountType"},
			{accounts, `{"currency":"ABC"}`, "currency"},
			{accounts, `{"overdraftLimit":-5}`, "overdraftLimit"},
			{accounts, `{"metadata":5}`, "metadata"},
			{accounts, `{"status":"FROZEN"}`, "status"},
			{holds, `{"sourceAccountId":"` + from + `","destinationAccountId":"` + to + `","amount":0}`, "amount"},
			{holds, `{"sourceAccountId":"` + from + `","destinationAccountId":"` + to + `","amount":1,"expiresAt":"20000-01-01T00:00:00Z"}`, "expiresAt"},
			{holds, `{"sourceAccountId":"` + from + `","destinationAccountId":"` + to + `","amount":1,"expiresAt":"2001-01-01T00:00:00Z"}`, "expiresAt"},
			{holds, `{"sourceAccountId":"` + from + `","destinationAccountId":"` + to + `","amount":1,"holdId":"h 1"}`, "holdId"},
			{hold + "/capture", `{"amount":-1}`, "amount"},
			{hold + "/capture", `{"amount":"0.001"}`, "amount"},
			{hold + "/capture", `{"transactionId":"c 1"}`, "transactionId"},
			{hold + "/capture", `{"all":true}`, "all"},
			{"/api/v1/transactions/t1/reversal", `{"force":"yes"}`, "force"},
			{"/api/v1/transactions/t1/reversal", `{"force":tru}`, "force"},
			{"/api/v1/transactions/" + long + "/reversal", `{}`, "transactionId"},
			{"/api/v1/holds/a%20b/void", ``, "holdId"},
		}
		before := s.stored()
		for _, c := range cases {
			t.Run(name(c.path, c.body), func(t *testing.T) {
				s := s.in(t)
				s.post(c.path, c.body).wantProblem(http.StatusBadRequest, "invalid_request", c.field)
			})
		}
		for _, c := range []badCase{
			{"PATCH " + accounts + "/" + from, `{"status":"CLOSED"}`, "status"},
			{"PATCH " + accounts + "/" + from, `{"balance":5}`, "balance"},
			{"PATCH " + accounts + "/" + from, `{"overdraftLimit":-1}`, "overdraftLimit"},
			{"PATCH " + accounts + "/" + from, `{"metadata":[]}`, "metadata"},
			{"PATCH " + accounts + "/" + from, ``, "body"},
			{"GET " + accounts + "/a%20b", ``, "accountId"},
			{"GET " + accounts + "/a%00b", ``, "accountId"},
			{"DELETE " + accounts + "/" + long, ``, "accountId"},
			{"GET " + accounts + "?limit=0", ``, "limit"},
			{"GET " + accounts + "?limit=501", ``, "limit"},
			{"GET " + accounts + "?limit=ten", ``, "limit"},
			{"GET " + accounts + "?status=GONE", ``, "status"},
			{"GET " + accounts + "?accountType=x", ``, "accountType"},
			{"GET " + accounts + "?currency=dollar", ``, "currency"},
			{"GET " + accounts + "?metadata=5", ``, "metadata"},
			{"GET " + accounts + "?metadata=%7B", ``, "metadata"},
			{"GET " + accounts + "?metadata=%7B%22a%22:%22%5Cu0000%22%7D", ``, "metadata"},
			{"GET " + accounts + "?surprise=1", ``, "surprise"},
			{"GET " + accounts + "?cursor=nonsense", ``, "cursor"},
			{"GET " + accounts + "?cursor=%00", ``, "cursor"},
			{"GET /api/v1/transactions?cursor=YWNjb3VudHMKYQ", ``, "cursor"}, // of the accounts
			{"GET /api/v1/transactions?cursor=dHJhbnNhY3Rpb25zCng", ``, "cursor"},
			{"GET /api/v1/transactions?cursor=dHJhbnNhY3Rpb25zCjk5OTk5OTk5OTk5OTk5OTk5OQph", ``, "cursor"}, // of the year 33658
			{"GET /api/v1/transactions?from=20000-01-01T00:00:00Z", ``, "from"},
			{"GET /api/v1/transactions?to=soon", ``, "to"},
			{"GET /api/v1/transactions?accountId=a%20b", ``, "accountId"},
			{"GET /api/v1/transactions/a%20b", ``, "transactionId"},
			{"GET " + accounts + "/" + from + "/postings?cursor=cG9zdGluZ3MKb3RoZXIKMQ", ``, "cursor"}, // of another account
			{"GET " + accounts + "/" + from + "/postings?limit=-1", ``, "limit"},
			{"GET " + accounts + "/" + from + "/balance?at=never", ``, "at"},
		} {
			t.Run(name(c.path, c.body), func(t *testing.T) {
				s := s.in(t)
				method, path, _ := strings.Cut(c.path, " ")
				s.call(method, path, c.body).wantProblem(http.StatusBadRequest, "invalid_request", c.field)
			})
		}
		if after := s.stored(); after != before {
			t.Errorf("accounts, versions, transfers, postings, holds were %s; now %s", before, after)
		}
	})
}

// in is the server for a subtest.
func (s *server) in(t *testing.T) *server {
	copied := *s
	copied.t = t
	return &copied
}

func name(path, body string) string { return fmt.Sprintf("%.60s %.120s", path, body) }

func TestAmountsAreTakenExactly(t *testing.T) {
	each(t, func(_ *testing.T, s *server) {
		from, to := s.open("1000000000000"), s.open("0")
		for _, text := range []string{"0.1", `"0.1"`, "0.10", "0.01", "12345678901.23", "1.00000000"} {
			body := fmt.Sprintf(`{"transactionId":%q,"sourceAccountId":%q,"destinationAccountId":%q,"amount":%s}`, id.New("t"), from, to, text)
			s.post("/api/v1/transfers", body).want(http.StatusCreated)
		}
		s.wantBalance(to, "12345678902.54", "0.00")
	})
}

func TestBodiesHaveALimitAndAType(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		padding := `{"transactionId":"` + strings.Repeat("x", 1<<20) + `"}`
		large := s.post("/api/v1/transfers", padding).wantProblem(http.StatusRequestEntityTooLarge, "body_too_large", "")
		if !strings.Contains(large.object()["detail"].(string), "1048576") {
			t.Errorf("the limit is not named: %s", large.text)
		}
		s.post("/api/v1/transfers/batch", padding).wantProblem(http.StatusBadRequest, "invalid_request", "transactionId")
		s.post("/api/v1/transfers/batch", strings.Repeat(" ", 16<<20)+"{}").wantProblem(http.StatusRequestEntityTooLarge, "body_too_large", "")
		for _, contentType := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", "application/json; charset=latin1", "nonsense;;"} {
			s.post("/api/v1/transfers", "{}", "Content-Type", contentType).wantProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "")
		}
		s.post("/api/v1/transfers", "{}", "Content-Encoding", "gzip").wantProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "")
		for _, contentType := range []string{"application/json; charset=UTF-8", "application/json;charset=utf-8", ""} {
			s.post("/api/v1/accounts", "{}", "Content-Type", contentType).want(http.StatusCreated)
		}
	})
}
