package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"florin/internal/identity"
	"florin/internal/platform/id"
)

// pages reads a list to its end; between is called after each page.
func (s *server) pages(path string, between func()) []object {
	s.t.Helper()
	var rows []object
	separator := "?"
	if parsed, err := url.Parse(path); err == nil && parsed.RawQuery != "" {
		separator = "&"
	}
	for next := path; ; between() {
		page := s.get(next).want(http.StatusOK).object()
		if _, isList := page["data"].([]any); !isList {
			s.t.Fatalf("no data in %v", page)
		}
		rows = append(rows, page.list("data")...)
		cursor, _ := page["nextCursor"].(string)
		if cursor == "" {
			return rows
		}
		next = path + separator + "cursor=" + cursor
	}
}

func column(rows []object, name string) []string {
	values := make([]string, len(rows))
	for i, row := range rows {
		values[i] = fmt.Sprint(row[name])
	}
	return values
}

func TestListsOfMoneyStayWhatTheyAreWhileMoreIsBooked(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		from, to := s.open("1000"), s.open("0")
		for i := range 7 {
			s.post("/api/v1/transfers", transfer(id.New("t"), from, to, i+1)).want(http.StatusCreated)
		}
		book := func() { s.post("/api/v1/transfers", transfer(id.New("t"), from, to, 1)).want(http.StatusCreated) }
		for _, path := range []string{
			"/api/v1/accounts/" + to + "/postings?limit=2",
			"/api/v1/transactions?limit=2&accountId=" + to,
			"/api/v1/transactions?limit=2&status=COMPLETED&accountId=" + to,
		} {
			// What is booked between the pages is newer than all of them.
			want := column(s.get("/api/v1/accounts/"+to+"/postings?limit=500").object().list("data"), "transactionId")
			if got := column(s.pages(path, book), "transactionId"); !slices.Equal(got, want) {
				t.Errorf("%s: %v; want %v", path, got, want)
			}
		}
		if got := s.get("/api/v1/transactions?status=FAILED&accountId=" + to).want(http.StatusOK).object().list("data"); len(got) != 0 {
			t.Errorf("failed: %v", got)
		}
	})
}

func TestListsAreNarrowedByTime(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		from, to := s.open("1000"), s.open("0")
		var times, ids []string
		for range 4 {
			done := s.post("/api/v1/transfers", transfer(id.New("t"), from, to, 1)).want(http.StatusCreated).object()
			times, ids = append(times, done["completedAt"].(string)), append(ids, done["transactionId"].(string))
		}
		period := "?from=" + times[1] + "&to=" + times[3]
		want := []string{ids[2], ids[1]}
		for _, path := range []string{"/api/v1/accounts/" + to + "/postings" + period, "/api/v1/transactions" + period + "&accountId=" + to} {
			if got := column(s.get(path).want(http.StatusOK).object().list("data"), "transactionId"); !slices.Equal(got, want) {
				t.Errorf("%s: %v; want %v", path, got, want)
			}
		}
		s.get("/api/v1/accounts/nobody/postings").wantProblem(http.StatusNotFound, "account_not_found", "")
	})
}

func TestAnAccountsPendingHoldsAreListed(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		root, merchant := w.program(identity.Admin, ""), w.merchant()
		open := func(balance, owner string) string {
			body := object{"accountType": "WALLET", "balance": balance}
			if owner != "" {
				body["ownerId"] = owner
			}
			return text(root.post("/api/v1/accounts", body).want(http.StatusCreated).object(), "accountId")
		}
		payer, owned := open("100", ""), open("100", merchant.userID)
		place := func(source string) string {
			return text(root.post("/api/v1/holds", object{"sourceAccountId": source, "destinationAccountId": open("0", ""), "amount": "1"}).want(http.StatusCreated).object(), "holdId")
		}
		var want []string
		for range 5 {
			want = append(want, place(payer))
		}
		slices.Sort(want)
		others := place(owned)
		root.post("/api/v1/holds/"+want[1]+"/capture", nil).want(http.StatusCreated)
		root.post("/api/v1/holds/"+want[3]+"/void", nil).want(http.StatusOK)
		want = []string{want[0], want[2], want[4]}

		path := "/api/v1/accounts/" + payer + "/holds"
		first := root.get(path + "?limit=2").want(http.StatusOK).object()
		if got := column(first.list("data"), "holdId"); !slices.Equal(got, want[:2]) {
			t.Errorf("first page %v; want %v", got, want[:2])
		}
		second := root.get(path + "?limit=2&cursor=" + text(first, "nextCursor")).want(http.StatusOK).object()
		if got := column(second.list("data"), "holdId"); !slices.Equal(got, want[2:]) || second["nextCursor"] != nil {
			t.Errorf("second page %v; want %v", got, want[2:])
		}
		root.get(path+"?cursor=nonsense").wantProblem(http.StatusBadRequest, "invalid_request", "cursor")
		root.get("/api/v1/accounts/nobody/holds").wantProblem(http.StatusNotFound, "account_not_found", "")

		// A merchant's key reaches its owner's accounts alone.
		program := w.program(identity.Merchant, merchant.userID)
		program.get(path).wantProblem(http.StatusNotFound, "account_not_found", "")
		if got := column(program.get("/api/v1/accounts/"+owned+"/holds").want(http.StatusOK).object().list("data"), "holdId"); !slices.Equal(got, []string{others}) {
			t.Errorf("the owner's holds are %v; want %s", got, others)
		}
	})
}

func TestAccountsAreFiltered(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		group := id.New("g")
		open := func(name, accountType, currency, tier string) string {
			account := name + "." + id.New("x")
			s.post("/api/v1/accounts", object{
				"accountId": account, "accountType": accountType, "currency": currency,
				"metadata": object{"group": group, "tier": tier, "deep": object{"n": 1, "m": 2}},
			}).want(http.StatusCreated)
			return account
		}
		a, b := open("a", "WALLET", "USD", "gold"), open("b", "WALLET", "EUR", "gold")
		c, d := open("c", "MERCHANT", "USD", "tin"), open("d", "SAVINGS", "USD", "gold")
		s.call(http.MethodPatch, "/api/v1/accounts/"+d, object{"status": "FROZEN"}).want(http.StatusOK)
		for _, test := range []struct {
			filter   object
			metadata string
			want     []string
		}{
			{object{}, `{}`, []string{a, b, c, d}},
			{object{}, `{"tier":"gold"}`, []string{a, b, d}},
			{object{"accountType": "WALLET"}, `{"tier":"gold"}`, []string{a, b}},
			{object{"currency": "USD", "status": "ACTIVE"}, `{"tier":"gold"}`, []string{a}},
			{object{"status": "FROZEN"}, `{}`, []string{d}},
			{object{"limit": "1"}, `{"deep":{"n":1}}`, []string{a, b, c, d}},
			{object{}, `{"deep":{"n":2}}`, []string{}},
		} {
			query := url.Values{"metadata": {`{"group":"` + group + `",` + test.metadata[1:]}}
			if test.metadata == "{}" {
				query.Set("metadata", `{"group":"`+group+`"}`)
			}
			for name, value := range test.filter {
				query.Set(name, value.(string))
			}
			got := column(s.pages("/api/v1/accounts?"+query.Encode(), func() {}), "accountId")
			if !slices.Equal(got, test.want) {
				t.Errorf("%v: %v; want %v", query, got, test.want)
			}
		}
	})
}
