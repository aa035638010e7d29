package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"florin/internal/identity"
	"florin/internal/platform/id"
)

// A merchant sees what the campaigns that his accounts pay for cost him, and nothing of
// others'.
func TestAMerchantSeesHisPartOfTheCampaignsThatHePaysFor(t *testing.T) {
	eachFreshWorld(t, worldOptions{}, func(t *testing.T, w *world) {
		admin, finance, shop := w.program(identity.Admin, ""), w.staff(identity.Finance), w.program(identity.Operator, "")
		person, rival := w.merchant(), w.merchant()
		key := w.program(identity.Merchant, person.userID, identity.CashbackRead)
		account := func(owner *caller) string {
			opened := id.New("m")
			admin.post("/api/v1/accounts", object{"accountId": opened, "accountType": "MERCHANT", "balance": "100", "ownerId": owner.userID}).want(http.StatusCreated)
			return opened
		}
		mine, another, theirs := account(person), account(person), account(rival)
		for name, funding := range map[string]object{
			"mine": {"kind": "MERCHANT", "accountId": mine}, "shared": {"kind": "SHARED", "accountId": another, "merchantPercent": "25"},
			"theirs": {"kind": "MERCHANT", "accountId": theirs}, "houses": {"kind": "PLATFORM"},
		} {
			finance.post(campaigns, w.terms(object{"campaignId": name, "group": name, "funding": funding, "reward": object{"kind": "FIXED", "amount": "2"}})).want(http.StatusCreated)
		}
		shop.enter("ada")
		shop.post(purchases, w.bought("p-1", w.at(time.Hour), nil)).want(http.StatusCreated)
		shop.post(purchases, w.bought("p-2", w.at(time.Hour), nil)).want(http.StatusCreated)
		shop.post(purchases+"/p-2/returns", object{"returnId": "r-2", "timestamp": w.at(0)}).want(http.StatusCreated).wantFields(object{"status": "APPLIED"})

		zero := object{"confirmed": "0.00", "paid": "0.00", "owed": "0.00", "rewards": 2.0, "currency": "USD"}
		for _, by := range []*caller{person, key} {
			if got := by.column(campaigns+"?limit=1", "campaignId"); !slices.Equal(got, []string{"mine", "shared"}) {
				t.Errorf("of the list %v", got)
			}
			by.get(campaigns + "/shared").want(http.StatusOK).wantFields(object{"campaignId": "shared", "version": 1.0})
			by.get(campaigns + "/mine/figures").want(http.StatusOK).
				wantFields(merged(zero, object{"budget": "1000.00", "remaining": "998.00", "accrued": "2.00", "reversed": "2.00", "merchants": "2.00"}))
			by.get(campaigns + "/shared/figures").want(http.StatusOK).
				wantFields(merged(zero, object{"budget": "250.00", "remaining": "249.50", "accrued": "0.50", "reversed": "0.50", "merchants": "0.50"}))
		}
		if got := rival.column(campaigns+"?limit=1", "campaignId"); !slices.Equal(got, []string{"theirs"}) {
			t.Errorf("of the rival's list %v", got)
		}
		finance.get(campaigns + "/shared/figures").want(http.StatusOK).wantFields(object{"budget": "1000.00", "remaining": "998.00", "merchants": "0.50"})

		for _, path := range []string{campaigns + "/ID", campaigns + "/ID/figures"} {
			nowhere := key.get(strings.Replace(path, "ID", "nowhere", 1)).wantProblem(http.StatusNotFound, "campaign_not_found", "").object()
			for _, campaignID := range []string{"theirs", "houses", "Shared"} {
				for _, by := range []*caller{person, key} {
					refused := by.get(strings.Replace(path, "ID", campaignID, 1)).wantProblem(http.StatusNotFound, "campaign_not_found", "").object()
					if got, want := refused["detail"], strings.Replace(nowhere["detail"].(string), "nowhere", campaignID, 1); got != want {
						t.Errorf("%s of %s: %q tells from %q", path, campaignID, got, want)
					}
				}
			}
		}
		// A campaign of his own opens nothing else of it.
		for _, path := range []string{campaigns + "/mine/versions", program, rewards + "?campaignId=mine", purchases + "/p-1", customers + "/ada"} {
			person.get(path).wantProblem(http.StatusForbidden, "forbidden", "")
			key.get(path).wantProblem(http.StatusForbidden, "forbidden", "")
		}
		for _, by := range []*caller{person, key} {
			by.post(campaigns+"/mine/simulate", object{"from": w.at(time.Hour), "to": w.at(0)}).wantProblem(http.StatusForbidden, "forbidden", "")
			by.put(campaigns+"/mine", w.terms(object{"version": 1})).wantProblem(http.StatusForbidden, "forbidden", "")
		}
		w.program(identity.Merchant, person.userID, identity.AccountsRead).get(campaigns).wantProblem(http.StatusForbidden, "forbidden", "")
		w.customer("Ada Adams").get(campaigns).wantProblem(http.StatusForbidden, "forbidden", "")
	})
}
