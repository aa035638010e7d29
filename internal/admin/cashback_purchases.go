package admin

import (
	"net/http"
	"net/url"
	"strings"

	"florin/internal/api"
	"florin/internal/identity"
)

// What customers bought, what came back, and what they got for it.

const (
	rewardsPath           = Root + "/rewards"
	purchasesPath         = Root + "/purchases"
	cashbackCustomersPath = Root + "/customers"
)

var (
	rewardStatuses  = []string{"ACCRUED", "CONFIRMED", "PAID", "REVERSED"}
	rewardSubjects  = []string{"customerId", "campaignId", "purchaseId"} // the API wants one of them
	purchaseFilters = []string{"customerId", "merchantId", "paymentReference", "from", "to"}
)

// rewardsShown is a page of the list of rewards.
type rewardsShown struct {
	at      *url.URL
	filter  url.Values
	list    api.RewardList
	problem *problem // with the filter
}

func (s *rewardsShown) isAsked() bool { return apiQuery(s.filter, rewardSubjects...) != "" }

func (s *rewardsShown) isFiltered() bool { return s.isAsked() || s.filter.Get("status") != "" }

func (p *Pages) showRewards(w http.ResponseWriter, r *http.Request) error {
	shown := rewardsShown{at: r.URL, filter: r.URL.Query()}
	if shown.isAsked() {
		err := p.get(r, "/api/v1/rewards"+apiQuery(shown.filter, "customerId", "campaignId", "purchaseId", "status", "cursor", "limit"), &shown.list)
		if shown.problem = inFilter(err); err != nil && shown.problem == nil {
			return err
		}
	}
	return p.render(w, r, page{title: "Rewards", status: shown.problem.status()}, rewardsView(shown))
}

// inFilter is the problem that belongs beside a list's filter; nil for all else.
func inFilter(err error) *problem {
	if bad := inPlace(err); bad != nil && bad.Code == "invalid_request" {
		return bad
	}
	return nil
}

func (p *Pages) showReward(w http.ResponseWriter, r *http.Request) error {
	var explained api.RewardExplanation
	if err := p.get(r, apiPath("rewards", r.PathValue("id"), "explanation"), &explained); err != nil {
		return err
	}
	return p.render(w, r, page{title: "Reward " + explained.Reward.RewardID}, rewardView(explained))
}

// purchasesShown is a page of the list of purchases.
type purchasesShown struct {
	at      *url.URL
	filter  url.Values
	list    api.PurchaseList
	problem *problem // with the filter
}

func (s *purchasesShown) isFiltered() bool { return apiQuery(s.filter, purchaseFilters...) != "" }

func (p *Pages) showPurchases(w http.ResponseWriter, r *http.Request) error {
	shown := purchasesShown{at: r.URL, filter: r.URL.Query()}
	asked := r.URL.Query()
	for _, name := range []string{"from", "to"} {
		asked.Set(name, instantOf(asked.Get(name)))
	}
	err := p.get(r, "/api/v1/purchases"+apiQuery(asked, "customerId", "merchantId", "paymentReference", "from", "to", "cursor", "limit"), &shown.list)
	if shown.problem = inFilter(err); err != nil && shown.problem == nil {
		return err
	}
	return p.render(w, r, page{title: "Purchases", status: shown.problem.status()}, purchasesView(shown))
}

func (p *Pages) showPurchase(w http.ResponseWriter, r *http.Request) error {
	var purchase api.Purchase
	if err := p.get(r, apiPath("purchases", r.PathValue("id")), &purchase); err != nil {
		return err
	}
	return p.render(w, r, page{title: "Purchase " + purchase.PurchaseID}, purchaseView(purchase))
}

func (p *Pages) showReturn(w http.ResponseWriter, r *http.Request) error {
	var returned api.Return
	if err := p.get(r, apiPath("returns", r.PathValue("id")), &returned); err != nil {
		return err
	}
	return p.render(w, r, page{title: "Return " + returned.ReturnID}, returnView(returned))
}

// showCashbackCustomers finds a customer, or a return, by id: the API lists neither.
func (p *Pages) showCashbackCustomers(w http.ResponseWriter, r *http.Request) error {
	for field, collection := range map[string]string{"customerId": "customers", "returnId": "returns"} {
		if id := strings.TrimSpace(r.URL.Query().Get(field)); id != "" {
			p.redirect(w, r, pagePath(collection, id))
			return nil
		}
	}
	return p.render(w, r, page{title: "Customers of cashback"}, cashbackCustomersView())
}

// cashbackCustomerShown is one customer, with the newest of what he bought and got.
type cashbackCustomerShown struct {
	customer     api.CashbackCustomer
	tiers        api.TierHistory
	purchases    api.PurchaseList
	rewards      api.RewardList
	seesRewards  bool
	seesAccounts bool
}

func (p *Pages) showCashbackCustomer(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	shown := cashbackCustomerShown{seesRewards: callerOf(r).May(identity.CashbackRead), seesAccounts: callerOf(r).May(identity.AccountsRead)}
	if err := p.get(r, apiPath("customers", id), &shown.customer); err != nil {
		return err
	}
	if err := p.get(r, apiPath("customers", id, "tiers")+"?limit=20", &shown.tiers); err != nil {
		return err
	}
	newest := "?" + url.Values{"customerId": {id}, "limit": {"5"}}.Encode()
	if err := p.get(r, "/api/v1/purchases"+newest, &shown.purchases); err != nil {
		return err
	}
	if shown.seesRewards {
		if err := p.get(r, "/api/v1/rewards"+newest, &shown.rewards); err != nil {
			return err
		}
	}
	return p.render(w, r, page{title: "Customer " + id}, cashbackCustomerView(shown))
}
