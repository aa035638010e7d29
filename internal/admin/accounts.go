package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"florin/internal/api"
	"florin/internal/identity"
)

const accountsPath = Root + "/accounts"

func (p *Pages) accountRoutes() []route {
	return []route{
		{pattern: "GET " + accountsPath, handler: p.showAccounts, nav: "Accounts", group: groupMoney, needs: []identity.Permission{identity.AccountsRead}},
		{pattern: "GET " + accountsPath + "/{id}", handler: p.showAccount},
		{pattern: "POST " + accountsPath + "/{id}/status", handler: p.setAccountStatus},
		{pattern: "POST " + accountsPath + "/{id}/limits", handler: p.setAccountLimits},
	}
}

var (
	accountTypes    = []string{"CHECKING", "SAVINGS", "WALLET", "MERCHANT", "ASSET", "LIABILITY", "EQUITY", "REVENUE", "EXPENSE"}
	accountStatuses = []string{"ACTIVE", "FROZEN", "CLOSED"}
	accountFilters  = []string{"accountType", "status", "currency", "ownerId", "metadata"}
)

// accountsShown is a page of the list of accounts.
type accountsShown struct {
	at      *url.URL
	filter  url.Values
	list    api.AccountList
	mayOpen bool
	problem *problem // with the filter
}

func (s *accountsShown) isFiltered() bool { return apiQuery(s.filter, accountFilters...) != "" }

func (p *Pages) showAccounts(w http.ResponseWriter, r *http.Request) error {
	shown := accountsShown{at: r.URL, filter: r.URL.Query(), mayOpen: callerOf(r).May(identity.AccountsWrite)}
	err := p.get(r, "/api/v1/accounts"+apiQuery(shown.filter, slices.Concat(accountFilters, []string{"cursor", "limit"})...), &shown.list)
	if shown.problem = wrongInput(err); err != nil && shown.problem == nil {
		return err
	}
	return p.render(w, r, page{title: "Accounts", status: shown.problem.status()}, accountsView(shown))
}

// accountShown is one account's page.
type accountShown struct {
	at       *url.URL
	query    url.Values
	caller   *caller
	account  api.Account
	postings api.PostingList
	holds    api.HoldList
	balance  *api.Balance // on the date that was asked for; nil when none was

	dates      *problem // with the statement's dates
	date       *problem // with the date of the balance
	refused    *problem // of a change of the status
	limits     *problem // of a change of the limits
	sentLimits url.Values
}

func (s *accountShown) path(parts ...string) string {
	return pagePath(slices.Concat([]string{"accounts", s.account.AccountID}, parts)...)
}

func (p *Pages) showAccount(w http.ResponseWriter, r *http.Request) error {
	return p.renderAccount(w, r, accountShown{})
}

// renderAccount shows an account, with what is wrong with the form that was sent.
func (p *Pages) renderAccount(w http.ResponseWriter, r *http.Request, s accountShown) error {
	id := r.PathValue("id")
	s.at, s.query, s.caller = &url.URL{Path: Root + "/accounts/" + id, RawQuery: r.URL.RawQuery}, r.URL.Query(), callerOf(r)
	if err := p.get(r, apiPath("accounts", id), &s.account); err != nil {
		return err
	}
	err := p.get(r, apiPath("accounts", id, "postings")+periodQuery(s.query, "cursor"), &s.postings)
	if s.dates = wrongInput(err); err != nil && s.dates == nil {
		return err
	}
	if s.caller.May(identity.HoldsRead) {
		if err := p.get(r, apiPath("accounts", id, "holds"), &s.holds); err != nil {
			return err
		}
	}
	if date := s.query.Get("at"); date != "" {
		var balance api.Balance
		err := p.get(r, apiPath("accounts", id, "balance")+p.endOf(date), &balance)
		switch s.date = wrongInput(err); {
		case err == nil:
			s.balance = &balance
		case s.date == nil && !isNotFound(err): // it was not open then
			return err
		}
	}
	status := max(s.dates.status(), s.date.status(), s.refused.status(), s.limits.status())
	return p.render(w, r, page{title: "Account " + id, status: status}, accountView(s))
}

// chart is the balance after each posting that the statement shows.
func (s *accountShown) chart() chart {
	c := chart{
		name: "balance", title: "Balance over time", unit: s.account.Currency,
		about: "The account's balance after each of the postings listed below.", series: []chartSeries{{name: "Balance"}},
	}
	for _, posting := range slices.Backward(s.postings.Data) {
		c.times = append(c.times, posting.CreatedAt)
		c.series[0].values = append(c.series[0].values, string(posting.Balance))
	}
	return c
}

// statementPath is the statement's file, for the time that is shown. It may be
// long, so the browser asks the API for it.
func (s *accountShown) statementPath() string {
	query := url.Values{"accountId": {s.account.AccountID}, "format": {"csv"}, "from": {s.account.CreatedAt.Format(time.RFC3339Nano)}}
	for _, name := range []string{"from", "to"} {
		if at := dayOf(s.query.Get(name), name == "to"); at != "" {
			query.Set(name, at)
		}
	}
	return "/api/v1/reports/statement?" + query.Encode()
}

// limitValue is what a field of the limits shows: what was sent, or what is set.
func (s *accountShown) limitValue(name string, set *api.Money) string {
	if s.sentLimits != nil {
		return s.sentLimits.Get(name)
	}
	if set == nil {
		return ""
	}
	return string(*set)
}

func (p *Pages) setAccountStatus(w http.ResponseWriter, r *http.Request) error {
	id, status := r.PathValue("id"), r.PostFormValue("status")
	err := p.call(r, http.MethodPatch, apiPath("accounts", id), map[string]string{"status": status}, nil)
	if bad := inPlace(err); bad != nil && !isNotFound(err) {
		return p.renderAccount(w, r, accountShown{refused: bad})
	}
	if err != nil {
		return err
	}
	notice := "The account is active again."
	if status == "FROZEN" {
		notice = "The account is frozen: it neither pays nor receives."
	}
	return p.done(w, r, notice, pagePath("accounts", id))
}

func (p *Pages) setAccountLimits(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	// What did not change is left out: it may need a right that the caller lacks.
	change := map[string]string{}
	for _, name := range []string{"transferLimit", "dailyLimit", "overdraftLimit"} {
		sent := strings.TrimSpace(r.PostFormValue(name))
		if !r.PostForm.Has(name) || sent == r.PostFormValue(name+"Before") {
			continue
		}
		if sent == "" && name != "overdraftLimit" {
			sent = "none"
		}
		change[name] = sent
	}
	if len(change) == 0 {
		return p.done(w, r, "Nothing was changed.", pagePath("accounts", id))
	}
	err := p.call(r, http.MethodPatch, apiPath("accounts", id), change, nil)
	if bad := inPlace(err); bad != nil && !isNotFound(err) {
		return p.renderAccount(w, r, accountShown{limits: bad, sentLimits: r.PostForm})
	}
	if err != nil {
		return err
	}
	return p.done(w, r, "The limits are changed.", pagePath("accounts", id))
}

// endOf is the query for the balance at the end of a day, or now when that is not
// over yet.
func (p *Pages) endOf(date string) string {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return "?" + url.Values{"at": {date}}.Encode()
	}
	if day.Equal(p.now().Truncate(24 * time.Hour)) {
		return ""
	}
	return "?" + url.Values{"at": {day.AddDate(0, 0, 1).Add(-time.Microsecond).Format(time.RFC3339Nano)}}.Encode()
}
