package admin

import (
	"net/http"
	"strings"

	"florin/internal/identity"
	"florin/internal/platform/id"
)

const searchPath = Root + "/search"

func (p *Pages) searchRoutes() []route {
	return []route{{pattern: "GET " + searchPath, handler: p.search}}
}

// kind is a kind of things that an id can name: where the API has them, and where
// their page is.
type kind struct {
	name     string
	api      string // collection of the API
	page     string // collection of the pages
	needs    identity.Permission
	prefixes []string // that ids made by us begin with: these are tried first
}

var kinds = []kind{
	{"Account", "accounts", "accounts", identity.AccountsRead, []string{"acc_", "house:"}},
	{"Transaction", "transactions", "transactions", identity.TransactionRead, []string{"txn_", "cap_", "rev_", "opn_"}},
	{"Hold", "holds", "holds", identity.HoldsRead, []string{"hold_"}},
	{"User", "users", "users", identity.UsersRead, []string{"user_"}},
	{"API key", "api-keys", "keys", identity.KeysRead, []string{"key_"}},
	{"Approval", "approvals", "approvals", identity.ApprovalsRead, []string{"apr_"}},
	{"Export", "exports", "exports", identity.ExportsRead, []string{"exp_"}},
	{"Campaign", "campaigns", "campaigns", identity.CashbackRead, nil},
	{"Purchase", "purchases", "purchases", identity.PurchasesRead, nil},
	{"Reward", "rewards", "rewards", identity.CashbackRead, nil},
	{"Customer", "customers", "customers", identity.PurchasesRead, nil},
}

// found is something that has the id that was searched for.
type found struct{ name, href string }

// search tries an id in every kind of thing that the caller may see: one hit is
// gone to at once, several are listed.
func (p *Pages) search(w http.ResponseWriter, r *http.Request) error {
	query := strings.TrimSpace(r.URL.Query().Get("q"))
	var hits []found
	if id.IsPossible(query) {
		var err error
		if hits, err = p.find(r, query); err != nil {
			return err
		}
	}
	if len(hits) == 1 {
		p.redirect(w, r, hits[0].href)
		return nil
	}
	status := http.StatusOK
	if len(hits) == 0 && query != "" {
		status = http.StatusNotFound
	}
	return p.render(w, r, page{title: "Search", status: status}, searchView(query, hits))
}

// find asks for each kind by the id. An id that says what it is of is tried there
// first, and elsewhere only when it is not found.
func (p *Pages) find(r *http.Request, query string) (hits []found, err error) {
	for _, isNamed := range []bool{true, false} {
		for _, k := range kinds {
			if k.isNamedBy(query) != isNamed || !callerOf(r).May(k.needs) {
				continue
			}
			err := p.get(r, apiPath(k.api, query), nil)
			switch {
			case err == nil:
				hits = append(hits, found{k.name, pagePath(k.page, query)})
			case !isNotFound(err) && wrongInput(err) == nil: // else there is none, or can't be
				return nil, err
			}
		}
		if len(hits) > 0 {
			return hits, nil
		}
	}
	return hits, nil
}

func (k *kind) isNamedBy(query string) bool {
	for _, prefix := range k.prefixes {
		if strings.HasPrefix(query, prefix) {
			return true
		}
	}
	return false
}
