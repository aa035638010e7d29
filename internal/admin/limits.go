package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"florin/internal/api"
	"florin/internal/identity"
)

// Limits of roles: what customers and merchants may pay from accounts that have no
// limits of their own.

const limitsPath = Root + "/limits"

func (p *Pages) limitRoutes() []route {
	return []route{
		{pattern: "GET " + limitsPath, handler: p.showLimits, nav: "Limits", group: groupMoney, needs: []identity.Permission{identity.RiskRead}},
		{pattern: "POST " + limitsPath, handler: p.setLimits},
	}
}

// anyCurrency is the API's word for the limits of all currencies that have none.
const anyCurrency = "*"

// limitsShown are the limits of all roles, and the form that sets some.
type limitsShown struct {
	list    api.RoleLimitsList
	maySet  bool
	form    url.Values // role and currency as they were chosen, and the limits
	problem *problem
}

// isChosen says that the form is of limits that there are, from the list.
func (s *limitsShown) isChosen() bool { return s.form.Get("role") != "" }

func (p *Pages) showLimits(w http.ResponseWriter, r *http.Request) error {
	return p.renderLimits(w, r, r.URL.Query(), nil)
}

// renderLimits shows the limits, with the form as it was sent when that was refused.
func (p *Pages) renderLimits(w http.ResponseWriter, r *http.Request, form url.Values, bad *problem) error {
	shown := limitsShown{maySet: callerOf(r).May(identity.LimitsWrite), form: form, problem: bad}
	if err := p.get(r, "/api/v1/limits", &shown.list); err != nil {
		return err
	}
	if bad == nil {
		shown.form = chosenLimits(&shown.list, form)
	}
	return p.render(w, r, page{title: "Limits", status: bad.status()}, limitsView(shown))
}

// chosenLimits are the limits of the role and the currency that were chosen; none
// when there are none.
func chosenLimits(list *api.RoleLimitsList, chosen url.Values) url.Values {
	for _, l := range list.Data {
		if l.Role == chosen.Get("role") && l.Currency == chosen.Get("currency") {
			return url.Values{"role": {l.Role}, "currency": {l.Currency}, "perTransfer": {textOf(l.PerTransfer)}, "daily": {textOf(l.Daily)}}
		}
	}
	return nil
}

func (p *Pages) setLimits(w http.ResponseWriter, r *http.Request) error {
	limit := func(name string) string { return cmp.Or(strings.TrimSpace(r.PostFormValue(name)), "none") }
	role, currency := r.PostFormValue("role"), cmp.Or(strings.TrimSpace(r.PostFormValue("currency")), anyCurrency)
	err := p.call(r, http.MethodPut, apiPath("limits", role, currency), map[string]string{"perTransfer": limit("perTransfer"), "daily": limit("daily")}, nil)
	if bad := inPlace(err); bad != nil {
		return p.renderLimits(w, r, r.PostForm, bad)
	}
	if err != nil {
		return err
	}
	return p.done(w, r, "The limits are set, within five seconds everywhere.", limitsPath)
}
