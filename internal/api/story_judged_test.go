package api_test

import (
	"net/http"
	"testing"

	"florin/internal/identity"
	"florin/internal/platform/id"
)

// A merchant does not choose whether his payments are judged: those by the ledger's
// own paths are, too.
func TestAMerchantsPaymentsAreJudgedOnEveryWay(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		person, account, known := w.settled(identity.Merchant, "9000")
		payee := w.customer("Nora New").open("USD")
		for _, c := range []*caller{person, w.program(identity.Merchant, person.userID)} {
			for _, path := range []string{"/api/v1/transfers", "/api/v1/transactions/process"} {
				large := transfer(id.New("t"), account, payee, 1500) // to somebody never paid
				for range 2 {
					c.post(path, large).wantProblem(http.StatusUnprocessableEntity, "needs_review", "")
				}
				c.get("/api/v1/transactions/"+large["transactionId"].(string)).wantProblem(http.StatusNotFound, "transaction_not_found", "")
			}
			hold := object{"holdId": id.New("h"), "sourceAccountId": account, "destinationAccountId": payee, "amount": "1500"}
			c.post("/api/v1/holds", hold).wantProblem(http.StatusUnprocessableEntity, "needs_review", "")
			hold["amount"] = "15"
			c.post("/api/v1/holds", hold).want(http.StatusCreated) // a refused hold leaves nothing behind
			c.post("/api/v1/holds", hold).want(http.StatusCreated)
			refused := c.post("/api/v1/transfers/batch", object{"transfers": []object{transfer(id.New("t"), account, known, 1)}})
			refused.wantProblem(http.StatusForbidden, "forbidden", "")
			if posted, _ := w.balanceOf(account); posted != "8999.00" {
				t.Errorf("%s is left", posted)
			}
		}
		small := transfer(id.New("t"), account, payee, 1)
		for range 2 {
			person.post("/api/v1/transfers", small).want(http.StatusCreated)
		}
		person.post("/api/v1/transfers", transfer(id.New("t"), account, known, 1500)).want(http.StatusCreated) // whom he knows
		if posted, _ := w.balanceOf(account); posted != "7498.00" {
			t.Errorf("%s is left", posted)
		}
		// None of it waits in the queue of reviewers, which could not release it.
		queue := w.staff(identity.Admin).get("/api/v1/risk/reviews?userId=" + person.userID).want(http.StatusOK).object().list("data")
		if len(queue) != 0 {
			t.Errorf("in the queue: %v", queue)
		}
	})
}
