package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"florin/internal/ledger"
	"florin/internal/platform/database"
	"florin/internal/platform/dbtest"
	"florin/internal/platform/id"
)

// each runs a test on a server over every engine.
func each(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, serve(t, url)) })
}

func TestAccountFromOpeningToClosing(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		account := id.New("acc:with.all-chars_50ch") // of the greatest length
		opened := s.post("/api/v1/accounts", object{
			"accountId": account, "balance": 100.5, "accountType": "WALLET", "currency": "BHD", "overdraftLimit": "5",
			"metadata": object{"customer": "42", "tier": 1.5},
		}).want(http.StatusCreated).wantFields(object{
			"accountId": account, "accountType": "WALLET", "currency": "BHD", "status": "ACTIVE",
			"balance": "100.500", "held": "0.000", "available": "105.500", "overdraftLimit": "5.000",
			"metadata": map[string]any{"customer": "42", "tier": 1.5}, "version": 2.0,
		})
		path := opened.header.Get("Location")
		if path != "/api/v1/accounts/"+account {
			t.Fatalf("Location %q", path)
		}
		if created := opened.object()["createdAt"].(string); !strings.HasSuffix(created, "Z") {
			t.Errorf("createdAt %q is not in UTC", created)
		}
		if got := s.get(path).want(http.StatusOK); got.text != opened.text {
			t.Errorf("read %s; opened %s", got.text, opened.text)
		}
		s.post("/api/v1/accounts", object{"accountId": account}).wantProblem(http.StatusConflict, "account_exists", "")

		s.call(http.MethodPatch, path, object{"status": "FROZEN", "overdraftLimit": "10.125", "metadata": object{"tier": nil, "why": "lost"}}).
			want(http.StatusOK).wantFields(object{
			"status": "FROZEN", "overdraftLimit": "10.125", "metadata": map[string]any{"customer": "42", "why": "lost"},
		})
		house := s.post("/api/v1/accounts", object{"accountType": "REVENUE", "currency": "BHD"}).want(http.StatusCreated).
			wantFields(object{"overdraftLimit": nil, "available": nil, "balance": "0.000"}).object()["accountId"].(string)
		s.post("/api/v1/transfers", transfer(id.New("t"), account, house, 1)).wantProblem(http.StatusConflict, "account_frozen", "")
		s.call(http.MethodPatch, path, object{"status": "ACTIVE"}).want(http.StatusOK)
		s.call(http.MethodDelete, path, nil).wantProblem(http.StatusConflict, "account_not_empty", "")
		s.post("/api/v1/transfers", transfer(id.New("t"), account, house, "100.5")).want(http.StatusCreated)

		deleted := s.call(http.MethodDelete, path, nil).want(http.StatusOK)
		if want := `{"message":"Account deleted successfully."}`; strings.TrimSpace(deleted.text) != want {
			t.Errorf("deleted: %s; want %s", deleted.text, want)
		}
		s.get(path).want(http.StatusOK).wantFields(object{"status": "CLOSED", "balance": "0.000"})
		s.post("/api/v1/transfers", transfer(id.New("t"), house, account, 1)).wantProblem(http.StatusConflict, "account_closed", "")
		s.call(http.MethodPatch, path, object{"status": "ACTIVE"}).wantProblem(http.StatusConflict, "account_closed", "")
		s.post("/api/v1/accounts", object{"accountId": account}).wantProblem(http.StatusConflict, "account_exists", "")
		s.get("/api/v1/accounts/nobody").wantProblem(http.StatusNotFound, "account_not_found", "")
	})
}

func TestAccountOfDefaults(t *testing.T) {
	each(t, func(_ *testing.T, s *server) {
		s.post("/api/v1/accounts", nil, "Content-Type", "").want(http.StatusCreated).wantFields(object{
			"accountType": "CHECKING", "currency": "USD", "balance": "0.00", "available": "0.00", "overdraftLimit": "0.00",
			"metadata": map[string]any{}, "version": 1.0,
		})
	})
}

func TestTransferMovesMoneyAndSaysSo(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		from, to := s.open("100"), s.open("0")
		request := transfer("t:1."+id.New("x"), from, to, "30.25")
		request["description"], request["timestamp"] = "rent ✓ \"quoted\"", "2026-01-31T10:00:00.123456+02:00"
		request["metadata"] = object{"b": 1, "a": object{"x": []any{"y"}}}
		transactionID := request["transactionId"].(string)
		done := s.post("/api/v1/transfers", request).want(http.StatusCreated).wantFields(object{
			"transactionId": transactionID, "kind": "TRANSFER", "status": "COMPLETED", "sourceAccountId": from,
			"destinationAccountId": to, "amount": "30.25", "currency": "USD", "description": request["description"],
			"timestamp": "2026-01-31T08:00:00.123456Z", "failureCode": nil, "postings": nil,
		})
		if again := s.post("/api/v1/transfers", request).want(http.StatusCreated); again.text != done.text {
			t.Errorf("the same request again: %s; first %s", again.text, done.text)
		}
		s.wantBalance(from, "69.75", "0.00")
		s.wantBalance(to, "30.25", "0.00")

		location := done.header.Get("Location")
		postings := s.get(location).want(http.StatusOK).wantFields(object{"transactionId": transactionID}).object().list("postings")
		if len(postings) != 2 || postings[0]["amount"] != "-30.25" || postings[0]["balance"] != "69.75" || postings[1]["amount"] != "30.25" || postings[1]["accountId"] != to {
			t.Errorf("postings %v", postings)
		}
		request["amount"] = "30.26"
		s.post("/api/v1/transfers", request).wantProblem(http.StatusConflict, "duplicate_transaction", "").
			wantFields(object{"transactionId": nil})
		s.get("/api/v1/transactions/nothing").wantProblem(http.StatusNotFound, "transaction_not_found", "")
		s.get("/api/v1/transactions/nothing/status").wantProblem(http.StatusNotFound, "transaction_not_found", "")
	})
}

func TestFailedTransferIsRecordedAndAnsweredTheSameAgain(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		from, to := s.open("5"), s.open("0")
		euros := id.New("a")
		s.post("/api/v1/accounts", object{"accountId": euros, "currency": "EUR"}).want(http.StatusCreated)
		for _, c := range []struct {
			to     string
			status int
			code   string
		}{
			{to, 422, "insufficient_funds"},
			{"nobody", 404, "account_not_found"},
			{euros, 422, "currency_mismatch"},
			{from, 422, "same_account"},
		} {
			request := transfer(id.New("t"), from, c.to, 10)
			first := s.post("/api/v1/transfers", request, "X-Request-Id", "one-id").wantProblem(c.status, c.code, "").
				wantFields(object{"transactionId": request["transactionId"], "transactionStatus": "FAILED"})
			if again := s.post("/api/v1/transfers", request, "X-Request-Id", "one-id"); again.text != first.text || again.status != first.status {
				t.Errorf("again: %s; first %s", again.text, first.text)
			}
			s.get("/api/v1/transactions/" + request["transactionId"].(string)).want(http.StatusOK).
				wantFields(object{"status": "FAILED", "failureCode": c.code, "amount": map[bool]string{true: "10", false: "10.00"}[c.code != "insufficient_funds"]})
		}
		s.wantBalance(from, "5.00", "0.00")
	})
}

func TestAcceptedTransferIsExecuted(t *testing.T) {
	each(t, func(_ *testing.T, s *server) {
		from, to := s.open("50"), s.open("0")
		request := transfer(id.New("t"), from, to, "20")
		accepted := s.post("/api/v1/transactions/process", request).want(http.StatusAccepted).
			wantFields(object{"message": "Transaction accepted", "transactionId": request["transactionId"], "status": "PENDING"})
		s.wantFinal(accepted.header.Get("Location"), "COMPLETED")
		s.wantBalance(to, "20.00", "0.00")
		s.post("/api/v1/transactions/process", request).want(http.StatusAccepted).wantFields(object{"status": "COMPLETED"})
		s.post("/api/v1/transfers", request).want(http.StatusCreated)

		poor := transfer(id.New("t"), from, to, "40")
		failed := s.post("/api/v1/transactions/process", poor).want(http.StatusAccepted)
		s.wantFinal(failed.header.Get("Location"), "FAILED").wantFields(object{"failureCode": "insufficient_funds"})
		poor["amount"] = 1
		s.post("/api/v1/transactions/process", poor).wantProblem(http.StatusConflict, "duplicate_transaction", "")
	})
}

// wantFinal waits for a status to become final.
func (s *server) wantFinal(path, status string) answer {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got := s.get(path).want(http.StatusOK)
		switch now := got.object()["status"]; {
		case now == status:
			return got
		case now == "COMPLETED" || now == "FAILED" || time.Now().After(deadline):
			s.t.Fatalf("%s; want %s", got.text, status)
		}
		if got.header.Get("ETag") != "" || got.header.Get("Cache-Control") != "no-store" {
			s.t.Errorf("a status that will change may be cached: %v", got.header)
		}
	}
}

func TestHoldIsCapturedInPart(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		from, to := s.open("100"), s.open("0")
		request := object{"holdId": id.New("h"), "sourceAccountId": from, "destinationAccountId": to, "amount": "60", "expiresAt": "2999-01-01T00:00:00Z", "metadata": object{"k": "v"}}
		placed := s.post("/api/v1/holds", request).want(http.StatusCreated).wantFields(object{
			"holdId": request["holdId"], "status": "PENDING", "amount": "60.00", "currency": "USD", "capturedAmount": "0.00",
			"expiresAt": "2999-01-01T00:00:00Z", "metadata": map[string]any{"k": "v"},
		})
		path := placed.header.Get("Location")
		s.wantBalance(from, "100.00", "60.00")
		if again := s.post("/api/v1/holds", request).want(http.StatusCreated); again.text != placed.text {
			t.Errorf("again %s; first %s", again.text, placed.text)
		}
		request["amount"] = "61"
		s.post("/api/v1/holds", request).wantProblem(http.StatusConflict, "duplicate_hold", "")
		s.post("/api/v1/holds", object{"sourceAccountId": from, "destinationAccountId": to, "amount": 41}).wantProblem(422, "insufficient_funds", "")
		s.post(path+"/capture", object{"amount": "60.01"}).wantProblem(422, "amount_exceeds_hold", "")

		capture := object{"transactionId": id.New("c"), "amount": "42.5", "description": "dinner"}
		captured := s.post(path+"/capture", capture).want(http.StatusCreated).
			wantFields(object{"kind": "CAPTURE", "amount": "42.50", "holdId": request["holdId"], "status": "COMPLETED"})
		if again := s.post(path+"/capture", capture).want(http.StatusCreated); again.text != captured.text {
			t.Errorf("again %s; first %s", again.text, captured.text)
		}
		s.wantBalance(from, "57.50", "0.00")
		s.wantBalance(to, "42.50", "0.00")
		s.get(path).want(http.StatusOK).wantFields(object{"status": "CAPTURED", "capturedAmount": "42.50", "captureTransactionId": capture["transactionId"]})
		s.post(path+"/capture", nil).wantProblem(http.StatusConflict, "hold_not_pending", "")
		s.post(path+"/void", nil).wantProblem(http.StatusConflict, "hold_not_pending", "")
		s.get("/api/v1/holds/nothing").wantProblem(http.StatusNotFound, "hold_not_found", "")
		s.post("/api/v1/holds/nothing/capture", "{}").wantProblem(http.StatusNotFound, "hold_not_found", "")
	})
}

func TestHoldIsVoided(t *testing.T) {
	each(t, func(_ *testing.T, s *server) {
		from, to := s.open("100"), s.open("0")
		path := s.post("/api/v1/holds", object{"sourceAccountId": from, "destinationAccountId": to, "amount": "60"}).
			want(http.StatusCreated).header.Get("Location")
		for range 2 {
			s.post(path+"/void", nil).want(http.StatusOK).wantFields(object{"status": "VOIDED"})
		}
		s.wantBalance(from, "100.00", "0.00")
	})
}

func TestHoldExpires(t *testing.T) {
	each(t, func(_ *testing.T, s *server) {
		from, to := s.open("100"), s.open("0")
		soon := time.Now().Add(300 * time.Millisecond).UTC().Format(time.RFC3339Nano)
		path := s.post("/api/v1/holds", object{"sourceAccountId": from, "destinationAccountId": to, "amount": "60", "expiresAt": soon}).
			want(http.StatusCreated).header.Get("Location")
		time.Sleep(350 * time.Millisecond)
		s.post(path+"/capture", nil).wantProblem(http.StatusConflict, "hold_expired", "")
		s.post(path+"/void", nil).wantProblem(http.StatusConflict, "hold_expired", "")
	})
}

func TestReversalMovesMoneyBackOnce(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		from, to := s.open("100"), s.open("0")
		path := s.post("/api/v1/transfers", transfer(id.New("t"), from, to, "30")).want(http.StatusCreated).header.Get("Location")
		s.post("/api/v1/transfers", transfer(id.New("t"), to, from, "10")).want(http.StatusCreated)

		s.post(path+"/reversal", nil).wantProblem(422, "insufficient_funds", "").wantFields(object{"transactionStatus": "FAILED"})
		undo := object{"transactionId": id.New("undo"), "force": true, "description": "fraud", "metadata": object{"case": "7"}}
		undone := s.post(path+"/reversal", undo).want(http.StatusCreated).wantFields(object{
			"kind": "REVERSAL", "amount": "30.00", "sourceAccountId": to, "destinationAccountId": from, "description": "fraud",
			"reversesTransactionId": strings.TrimPrefix(path, "/api/v1/transactions/"),
		})
		if again := s.post(path+"/reversal", undo).want(http.StatusCreated); again.text != undone.text {
			t.Errorf("again %s; first %s", again.text, undone.text)
		}
		s.wantBalance(to, "-10.00", "0.00")
		s.get(path).want(http.StatusOK).wantFields(object{"reversedByTransactionId": undo["transactionId"]})
		s.post(path+"/reversal", nil).wantProblem(http.StatusConflict, "already_reversed", "")
		s.post("/api/v1/transactions/nothing/reversal", nil).wantProblem(http.StatusNotFound, "transaction_not_found", "")
	})
}

func TestBalanceAtATime(t *testing.T) {
	each(t, func(_ *testing.T, s *server) {
		from, to := s.open("100"), s.open("0")
		done := s.post("/api/v1/transfers", transfer(id.New("t"), from, to, "30")).want(http.StatusCreated).object()
		at := done["completedAt"].(string)
		s.post("/api/v1/transfers", transfer(id.New("t"), from, to, "5")).want(http.StatusCreated)
		path := "/api/v1/accounts/" + from + "/balance"
		s.get(path + "?at=" + at).want(http.StatusOK).wantFields(object{"accountId": from, "currency": "USD", "balance": "70.00", "at": at, "postings": 2.0})
		s.get(path).want(http.StatusOK).wantFields(object{"balance": "65.00", "postings": 3.0})
		s.get(path+"?at=2999-01-01T00:00:00Z").wantProblem(400, "invalid_request", "at")
		s.get(path+"?at=2000-01-01T00:00:00Z").wantProblem(404, "account_not_found", "")
	})
}

// The books hold after all that the other tests did.
func TestBooksAreRight(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		proof, err := ledger.Verify(t.Context(), dbtest.Open(t, s.db.Config().ConnString(), database.Options{}), nil)
		if err != nil || len(proof.Offences) > 0 {
			t.Fatalf("%+v, %v", proof, err)
		}
	})
}
