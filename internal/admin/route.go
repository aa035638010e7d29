package admin

// How to add a page, in ten lines:
//
//  1. Area x has x.go (handlers), x.templ (what they show) and x_test.go. Its routes are func (p *Pages) xRoutes() []route,
//     named once in allRoutes below: the order there is the order of the navigation.
//  2. A handler is func (p *Pages) showX(w http.ResponseWriter, r *http.Request) error: read r, p.get(r, "/api/v1/...", &out) with an
//     exported type of internal/api, then p.render(w, r, page{title: "X"}, xView(...)). Escape what goes into a path: apiPath("accounts", id).
//  3. Return errors as they are. 401, proofs, second factors, second persons and refusals are shown in one place (problem.go), full page or htmx.
//  4. Who may is the API's to say: what it refuses shows its 403. needs hides the link, and refuses what asks the API for nothing: a form. Hide a
//     button with callerOf(r).May(...). Look at what the page did to testdata/access.txt (TestWhoGetsWhat -update).
//  5. A change is @actionForm("/admin/x/"+id+"/do") { ... } posted to "POST /admin/x/{id}/do"; the handler calls the API (the form's idempotency
//     key goes along) and ends with p.done(w, r, "Frozen.", "/admin/x/"+id). On error: if bad := inPlace(err); bad != nil { show the form again with bad }; else return err.
//     A dangerous one opens in @confirm(...). With proof_required the user is asked for his code, and the very form goes on after it.
//  6. Lists: @filterForm (GET, state in the URL, htmx swaps #results), @tableRegion, @pager(r.URL, list.NextCursor, list.ReadAt), @empty(...).
//  7. Values: @money(amount, currency), @timeAt(t), @idText(id), @idLink(id, href), @status(s), @field(...). No style="", no <script>, no on*="".
//     In .templ an @component stands at the beginning of a line, or it is text.
//  8. What may be long (CSV, PDF, JSON) is a plain link to the API: the browser's cookie is good there.
//  9. `make generate` (or: go tool -modfile=tools/go.mod templ generate -path internal/admin) after each edit of a .templ file.
// 10. x_test.go: eachWorld (eachLongWorld for what asks little of the engine), b := w.browser(t, who), b.visit(path), b.screenshot("x"): console errors, CSP and axe findings fail it (world_test.go, browser_test.go).

import (
	"errors"
	"net/http"
	"slices"

	"florin/internal/api"
	"florin/internal/identity"
)

// route is one page, or one thing to do on one.
type route struct {
	pattern string // of net/http's ServeMux: "GET /admin/accounts/{id}"
	handler func(w http.ResponseWriter, r *http.Request) error

	// nav is the name in the navigation, in the group; "" is not in it.
	nav, group string
	// needs are the permissions of which the caller must have one to be shown the
	// link, and the page; none is for all staff. A page that asks the API for what
	// needs the permission is refused by that, and needs none here.
	needs []identity.Permission

	isPublic bool // needs nobody signed in
	// isUnattended is what a page asks for again and again by itself: that is no use
	// of a session, so a page left open keeps nobody signed in.
	isUnattended bool
}

// allRoutes is every page, in the order of the navigation.
func (p *Pages) allRoutes() []route {
	return slices.Concat(
		p.signInRoutes(),
		p.overviewRoutes(),
		p.searchRoutes(),
		p.accountRoutes(),
		p.cashbackRoutes(),
		p.peopleRoutes(),
		p.keyRoutes(),
		p.transactionRoutes(),
		p.tryItRoutes(),
		p.riskRoutes(),
		p.limitRoutes(),
		p.approvalRoutes(),
		p.reportRoutes(),
		p.consoleRoutes(),
		p.exportRoutes(),
		p.auditRoutes(),
	)
}

// The groups of the navigation, in their order; "" comes first and has no title.
const (
	groupTop      = ""
	groupMoney    = "Money"
	groupCashback = "Cashback"
	groupPeople   = "People"
	groupFinance  = "Finance"
	groupSystem   = "System"
)

var groupOrder = []string{groupTop, groupMoney, groupCashback, groupPeople, groupFinance, groupSystem}

// navGroup is a part of the navigation.
type navGroup struct {
	title string
	links []navLink
}

type navLink struct {
	text, path string
	needs      []identity.Permission
}

func navOf(routes []route) (groups []navGroup) {
	for _, title := range groupOrder {
		group := navGroup{title: title}
		for _, route := range routes {
			if route.nav != "" && route.group == title {
				group.links = append(group.links, navLink{route.nav, route.pattern[len("GET "):], route.needs})
			}
		}
		if len(group.links) > 0 {
			groups = append(groups, group)
		}
	}
	return groups
}

// navFor is the navigation as far as the caller is let.
func (p *Pages) navFor(c *caller) (groups []navGroup) {
	for _, group := range p.nav {
		shown := navGroup{title: group.title}
		for _, link := range group.links {
			if c.mayAny(link.needs) {
				shown.links = append(shown.links, link)
			}
		}
		if len(shown.links) > 0 {
			groups = append(groups, shown)
		}
	}
	return groups
}

// caller is who looks at the pages, as the API knows him.
type caller struct{ api.Caller }

// May says whether the caller has a permission. The API decides; this is for what
// is shown.
func (c *caller) May(permission identity.Permission) bool {
	return c != nil && slices.Contains(c.Permissions, permission)
}

func (c *caller) mayAny(needs []identity.Permission) bool {
	return len(needs) == 0 || slices.ContainsFunc(needs, c.May)
}

// isPerson says that it is a user with a session.
func (c *caller) isPerson() bool { return c != nil && c.Kind == string(identity.UserPrincipal) }

// isStaff says that he reaches more than what is his own.
func (c *caller) isStaff() bool { return c != nil && !identity.Role(c.Role).ReachesOwnOnly() }

// pageRequest is what is known about the request being answered.
type pageRequest struct {
	id     string // also of the calls of the API that it makes
	caller *caller
}

type requestKey struct{}

// requestOf is set by protect, which every request goes through.
func requestOf(r *http.Request) *pageRequest {
	return r.Context().Value(requestKey{}).(*pageRequest)
}

// callerOf is who looks; nil on public pages.
func callerOf(r *http.Request) *caller { return requestOf(r).caller }

// formMax bounds what is posted to a page, in bytes.
const formMax = 1 << 20

// handle asks the API who is there, proves him once more when the form says how,
// and runs the route's handler.
func (p *Pages) handle(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, formMax)
		if route.isUnattended {
			r = r.WithContext(identity.Unattended(r.Context()))
		}
		err := readForm(r)
		if err == nil {
			err = p.admit(r, route)
		}
		if err == nil && !route.isPublic {
			err = p.proveWithForm(r)
		}
		if err == nil {
			err = route.handler(w, r)
		}
		if err != nil {
			p.showError(w, r, err)
		}
	})
}

// readForm reads what is asked and sent. What can't be read is the sender's fault,
// and nothing for the log: anybody can send it.
func readForm(r *http.Request) error {
	err := r.ParseForm()
	var tooLarge *http.MaxBytesError
	if err == nil || errors.As(err, &tooLarge) {
		return err
	}
	return &problem{Status: http.StatusBadRequest, Code: "invalid_request", Title: "The request makes no sense", Detail: "The address or the form can't be read: " + err.Error() + "."}
}

func (p *Pages) admit(r *http.Request, route route) error {
	if route.isPublic {
		return nil
	}
	who := &caller{}
	if err := p.get(r, "/api/v1/auth/caller", &who.Caller); err != nil {
		return err
	}
	requestOf(r).caller = who
	if !who.isStaff() {
		return errNotStaff
	}
	if !who.mayAny(route.needs) {
		return errMissing(route.needs)
	}
	return nil
}
