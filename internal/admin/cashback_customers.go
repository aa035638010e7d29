package admin

import (
	"net/http"
	"net/url"
	"strings"

	"florin/internal/api"
	"florin/internal/identity"
)

// Who takes part in cashback.

const cashbackCustomersPath = Root + "/customers"

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
