package api_test

import (
	"net/http"
	"testing"

	"florin/internal/identity"
	"florin/internal/platform/id"
)

func TestWhereRewardsArePaidIsNotChangedByWhoReportsPurchases(t *testing.T) {
	eachWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		reporter := w.program(identity.Operator, "", identity.PurchasesWrite, identity.PurchasesRead)
		ada, eve := w.customer("Ada Lovelace"), w.customer("Eve Else")
		wallet, second, foreign := ada.open("USD"), ada.open("EUR"), eve.open("USD")
		customer := id.New("ada")
		path := customers + "/" + customer
		enter := func(by *caller, account string) answer {
			return by.put(path, object{"accountId": account, "country": "GB"})
		}
		enter(reporter, wallet).want(http.StatusOK)
		enter(reporter, wallet).want(http.StatusOK)
		enter(reporter, second).want(http.StatusOK).wantFields(object{"accountId": second})
		reporter.put(path, object{"accountId": second, "segments": []string{"vip"}}).want(http.StatusOK)
		refused := enter(reporter, foreign).wantProblem(http.StatusForbidden, "forbidden", "")
		if detail := text(refused.object(), "detail"); detail != "the permission accounts:write is missing" {
			t.Errorf("refused: %q", detail)
		}
		enter(reporter, id.New("w")).wantProblem(http.StatusBadRequest, "invalid_request", "accountId")

		// Of accounts without an owner nobody knows that they are one customer's.
		program := w.program(identity.Operator, "")
		loose, other := id.New("w"), id.New("w")
		for _, account := range []string{loose, other} {
			program.post("/api/v1/accounts", object{"accountId": account}).want(http.StatusCreated)
		}
		enter(reporter, loose).wantProblem(http.StatusForbidden, "forbidden", "")
		reporter.get(path).want(http.StatusOK).wantFields(object{"accountId": second})
		enter(program, loose).want(http.StatusOK).wantFields(object{"accountId": loose})
		enter(reporter, other).wantProblem(http.StatusForbidden, "forbidden", "")
		enter(program, foreign).want(http.StatusOK).wantFields(object{"accountId": foreign})

		person := w.staff(identity.Operator)
		w.time.pass(proofMax)
		person.get("/api/v1/accounts/" + wallet) // the session goes on
		enter(person, wallet).wantProblem(http.StatusForbidden, "proof_required", "")
		enter(person.prove(), wallet).want(http.StatusOK).wantFields(object{"accountId": wallet})
	})
}
