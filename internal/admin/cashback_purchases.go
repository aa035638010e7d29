package admin

import (
	"net/http"
	"net/url"

	"florin/internal/api"
)

// What customers bought, and what came back.

const purchasesPath = Root + "/purchases"

var purchaseFilters = []string{"customerId", "merchantId", "paymentReference", "from", "to"}

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
	err := p.get(r, "/api/v1/purchases"+periodQuery(shown.filter, "customerId", "merchantId", "paymentReference", "cursor", "limit"), &shown.list)
	if shown.problem = wrongInput(err); err != nil && shown.problem == nil {
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
