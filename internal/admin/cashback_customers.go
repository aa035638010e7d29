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
	return p.renderCashbackCustomers(w, r, customerForm{})
}

// customerForm is the form of who takes part, as it is shown or was sent.
type customerForm struct {
	values  url.Values
	problem *problem
}

func (p *Pages) renderCashbackCustomers(w http.ResponseWriter, r *http.Request, form customerForm) error {
	return p.render(w, r, page{title: "Customers of cashback", status: form.problem.status()}, cashbackCustomersView(form, callerOf(r).May(identity.PurchasesWrite)))
}

// enterCashbackCustomer has somebody take part, or changes where his rewards go.
func (p *Pages) enterCashbackCustomer(w http.ResponseWriter, r *http.Request) error {
	id := strings.TrimSpace(r.PostFormValue("customerId"))
	entered := map[string]any{
		"accountId": strings.TrimSpace(r.PostFormValue("accountId")), "country": strings.TrimSpace(r.PostFormValue("country")), "segments": namesTyped(r.PostFormValue("segments")),
	}
	err := p.call(r, http.MethodPut, apiPath("customers", id), entered, nil)
	if bad := inPlace(err); bad != nil {
		return p.renderCashbackCustomers(w, r, customerForm{r.PostForm, bad})
	}
	if err != nil {
		return err
	}
	return p.done(w, r, "The customer takes part. What he bought before is evaluated now.", pagePath("customers", id))
}

// cashbackCustomerShown is one customer, with the newest of what he bought and got.
type cashbackCustomerShown struct {
	customer     api.CashbackCustomer
	tiers        api.TierHistory
	purchases    api.PurchaseList
	rewards      api.RewardList
	seesRewards  bool
	seesAccounts bool
	mayChange    bool
}

// form is the customer's, filled with what is known.
func (s *cashbackCustomerShown) form() customerForm {
	c := &s.customer
	return customerForm{values: url.Values{"customerId": {c.CustomerID}, "accountId": {c.AccountID}, "country": {c.Country}, "segments": {strings.Join(c.Segments, ", ")}}}
}

func (p *Pages) showCashbackCustomer(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	shown := cashbackCustomerShown{seesRewards: callerOf(r).May(identity.CashbackRead), seesAccounts: callerOf(r).May(identity.AccountsRead), mayChange: callerOf(r).May(identity.PurchasesWrite)}
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
