package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"florin/internal/platform/id"
)

func TestBatchAnswersEachTransfer(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		from, to := s.open("100"), s.open("0")
		run := id.New("b")
		batch := object{"transfers": []object{
			transfer(run+"-0", from, to, "60"), transfer(run+"-1", from, to, "60"),
			transfer(run+"-2", from, "nobody", 1), transfer(run+"-3", to, from, "0.5"), transfer(run+"-4", from, to, "0.001"),
		}}
		first := s.post("/api/v1/transfers/batch", batch).want(http.StatusOK).
			wantFields(object{"atomic": false, "succeeded": 2.0, "failed": 3.0, "brokenBy": nil})
		for i, want := range []string{"", "insufficient_funds", "account_not_found", "", "invalid_amount"} {
			result := first.object().list("results")[i]
			code, _ := result["failureCode"].(string)
			status := map[bool]string{true: "COMPLETED", false: "FAILED"}[want == ""]
			if result["index"] != float64(i) || result["transactionId"] != fmt.Sprintf("%s-%d", run, i) || code != want || result["status"] != status {
				t.Errorf("result %d is %v; want %s %s", i, result, status, want)
			}
		}
		if again := s.post("/api/v1/transfers/batch", batch).want(http.StatusOK); again.text != first.text {
			t.Errorf("again %s; first %s", again.text, first.text)
		}
		s.wantBalance(to, "59.50", "0.00")
	})
}

func TestAtomicBatchIsAllOrNothing(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		from, to := s.open("100"), s.open("0")
		run := id.New("b")
		batch := object{"atomic": true, "transfers": []object{
			transfer(run+"-0", from, to, "60"), transfer(run+"-1", from, to, "60"), transfer(run+"-2", from, to, "1"),
		}}
		first := s.post("/api/v1/transfers/batch", batch).want(http.StatusOK).
			wantFields(object{"atomic": true, "succeeded": 0.0, "failed": 3.0, "brokenBy": 1.0})
		for i, want := range []string{"batch_aborted", "insufficient_funds", "batch_aborted"} {
			if result := first.object().list("results")[i]; result["failureCode"] != want {
				t.Errorf("result %d is %v; want %s", i, result, want)
			}
		}
		if again := s.post("/api/v1/transfers/batch", batch).want(http.StatusOK); again.text != first.text {
			t.Errorf("again %s; first %s", again.text, first.text)
		}
		s.wantBalance(to, "0.00", "0.00")
		s.post("/api/v1/transfers", batch["transfers"].([]object)[0]).wantProblem(http.StatusConflict, "batch_aborted", "")

		s.post("/api/v1/transfers/batch", object{"atomic": true, "transfers": []object{
			transfer(id.New("t"), from, to, "60"), transfer(id.New("t"), to, from, "60"), transfer(id.New("t"), from, to, "100"),
		}}).want(http.StatusOK).wantFields(object{"succeeded": 3.0, "failed": 0.0, "brokenBy": nil})
		s.wantBalance(to, "100.00", "0.00")
	})
}

func TestBatchOfTheLargestSize(t *testing.T) {
	each(t, func(_ *testing.T, s *server) {
		from, to := s.open("20000"), s.open("0")
		run := id.New("b")
		transfers := make([]object, 10_001)
		for i := range transfers {
			transfers[i] = transfer(fmt.Sprintf("%s-%d", run, i), from, to, 1)
		}
		s.post("/api/v1/transfers/batch", object{"transfers": transfers}).wantProblem(http.StatusBadRequest, "invalid_request", "transfers")
		s.get("/api/v1/transactions/"+run+"-0").wantProblem(http.StatusNotFound, "transaction_not_found", "")
		largest := object{"transfers": transfers[:10_000]}
		done := s.post("/api/v1/transfers/batch", largest)
		for try := 0; done.status == http.StatusServiceUnavailable && try < 5; try++ { // a slow machine
			done = s.post("/api/v1/transfers/batch", largest)
		}
		done.want(http.StatusOK).wantFields(object{"succeeded": 10_000.0, "failed": 0.0})
		s.wantBalance(to, "10000.00", "0.00")
	})
}
