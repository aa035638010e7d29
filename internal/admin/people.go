package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"florin/internal/api"
	"florin/internal/identity"
)

// Users: who may sign in, and as what.

const usersPath = Root + "/users"

func (p *Pages) peopleRoutes() []route {
	return []route{
		{pattern: "GET " + usersPath, handler: p.showUsers, nav: "Users", group: groupPeople, needs: []identity.Permission{identity.UsersRead}},
		{pattern: "GET " + usersPath + "/{id}", handler: p.showUser, needs: []identity.Permission{identity.UsersRead}},
		{pattern: "POST " + usersPath + "/{id}/lock", handler: p.lockUser},
		{pattern: "POST " + usersPath + "/{id}/unlock", handler: p.unlockUser},
		{pattern: "POST " + usersPath + "/{id}/sessions", handler: p.endUserSessions},
		{pattern: "POST " + usersPath + "/{id}/role", handler: p.setUserRole},
	}
}

var (
	userStatuses = []string{"ACTIVE", "LOCKED", "DELETED"}
	userFilters  = []string{"email", "role", "status"}
)

// usersShown is a page of the list of users.
type usersShown struct {
	at      *url.URL
	filter  url.Values
	list    api.UserList
	problem *problem // with the filter
}

func (s *usersShown) isFiltered() bool { return apiQuery(s.filter, userFilters...) != "" }

func (p *Pages) showUsers(w http.ResponseWriter, r *http.Request) error {
	shown := usersShown{at: r.URL, filter: r.URL.Query()}
	// One field finds by address and by id: an address has an @, an id never.
	if who := strings.TrimSpace(shown.filter.Get("email")); who != "" && !strings.Contains(who, "@") {
		p.redirect(w, r, pagePath("users", who))
		return nil
	}
	err := p.get(r, "/api/v1/users"+apiQuery(shown.filter, append(userFilters, "cursor", "limit")...), &shown.list)
	if shown.problem = wrongInput(err); err != nil && shown.problem == nil {
		return err
	}
	return p.render(w, r, page{title: "Users", status: shown.problem.status()}, usersView(shown))
}

// userShown is one user, and what the caller may do about him.
type userShown struct {
	user      api.UserProfile
	caller    *caller
	mayManage bool     // lock and unlock, end sessions
	roles     []choice // that he may be given; nil when the caller may give none
	problem   *problem // with what was asked for
}

func (p *Pages) showUser(w http.ResponseWriter, r *http.Request) error {
	return p.renderUser(w, r, nil)
}

// renderUser shows a user, with what was wrong with what was asked for him.
func (p *Pages) renderUser(w http.ResponseWriter, r *http.Request, bad *problem) error {
	shown := userShown{caller: callerOf(r), problem: bad}
	if err := p.get(r, apiPath("users", r.PathValue("id")), &shown.user); err != nil {
		return err
	}
	role := identity.Role(shown.user.Role)
	isOther := shown.user.UserID != shown.caller.ID && shown.user.Status != string(identity.UserDeleted) && shown.caller.mayDoAll(role)
	shown.mayManage = isOther && shown.caller.May(identity.UsersWrite)
	if isOther && shown.caller.May(identity.RolesWrite) {
		for _, other := range identity.Roles {
			if other != role && shown.caller.mayDoAll(other) {
				shown.roles = append(shown.roles, choice{string(other), spoken(string(other))})
			}
		}
	}
	return p.render(w, r, page{title: shown.user.Name, status: bad.status()}, userView(shown))
}

// mayDoAll says that a role may do no more than the caller: the API lets nobody
// manage those who may do more than he.
func (c *caller) mayDoAll(role identity.Role) bool {
	return !slices.ContainsFunc(role.Permissions(), func(p identity.Permission) bool { return !p.IsOwn() && !c.May(p) })
}

func (p *Pages) lockUser(w http.ResponseWriter, r *http.Request) error {
	return p.changeUser(w, r, http.MethodPost, "lock", nil, "The user is locked. His sessions end and his keys stop within five seconds everywhere. His accounts are as they were.")
}

func (p *Pages) unlockUser(w http.ResponseWriter, r *http.Request) error {
	return p.changeUser(w, r, http.MethodPost, "unlock", nil, "The user is unlocked: he can sign in again.")
}

func (p *Pages) endUserSessions(w http.ResponseWriter, r *http.Request) error {
	return p.changeUser(w, r, http.MethodDelete, "sessions", nil, "All his sessions are ended, within five seconds everywhere.")
}

func (p *Pages) setUserRole(w http.ResponseWriter, r *http.Request) error {
	role := api.RoleRequest{Role: r.PostFormValue("role")}
	return p.changeUser(w, r, http.MethodPut, "role", role, "The user's role is "+role.Role+" now, within five seconds everywhere.")
}

func (p *Pages) changeUser(w http.ResponseWriter, r *http.Request, method, what string, body any, notice string) error {
	id := r.PathValue("id")
	err := p.call(r, method, apiPath("users", id, what), body, nil)
	if bad := inPlace(err); bad != nil && !isNotFound(err) {
		return p.renderUser(w, r, bad)
	}
	if err != nil {
		return err
	}
	return p.done(w, r, notice, pagePath("users", id))
}
