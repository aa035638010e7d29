package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"florin/internal/api"
	"florin/internal/identity"
)

// API keys: programs that may call the API.

const (
	keysPath   = Root + "/keys"
	newKeyPath = keysPath + "/new"
)

func (p *Pages) keyRoutes() []route {
	return []route{
		{pattern: "GET " + keysPath, handler: p.showKeys, nav: "API keys", group: groupPeople, needs: []identity.Permission{identity.KeysRead}},
		{pattern: "GET " + newKeyPath, handler: p.showNewKey, needs: []identity.Permission{identity.KeysWrite}},
		{pattern: "POST " + keysPath, handler: p.createKey},
		{pattern: "GET " + keysPath + "/{id}", handler: p.showKey, needs: []identity.Permission{identity.KeysRead}},
		{pattern: "POST " + keysPath + "/{id}/rotate", handler: p.rotateKey},
		{pattern: "POST " + keysPath + "/{id}/revoke", handler: p.revokeKey},
	}
}

var keyFilters = []string{"prefix", "ownerId"}

// keysShown is a page of the list of keys.
type keysShown struct {
	at      *url.URL
	filter  url.Values
	list    api.APIKeyList
	mayAdd  bool
	problem *problem // with the filter
}

func (s *keysShown) isFiltered() bool { return apiQuery(s.filter, keyFilters...) != "" }

func (p *Pages) showKeys(w http.ResponseWriter, r *http.Request) error {
	shown := keysShown{at: r.URL, filter: r.URL.Query(), mayAdd: callerOf(r).May(identity.KeysWrite)}
	asked := r.URL.Query()
	asked.Set("prefix", prefixOf(asked.Get("prefix")))
	err := p.get(r, "/api/v1/api-keys"+apiQuery(asked, append(keyFilters, "cursor", "limit")...), &shown.list)
	if shown.problem = wrongInput(err); err != nil && shown.problem == nil {
		return err
	}
	return p.render(w, r, page{title: "API keys", status: shown.problem.status()}, keysView(shown))
}

// prefixOf is the part of a key that is no secret: who searches for the whole of one
// has it neither in our log nor in an answer's links.
func prefixOf(typed string) string {
	typed = strings.TrimSpace(typed)
	if parts := strings.SplitN(typed, "_", 4); len(parts) == 4 && parts[0] == "florin" {
		return strings.Join(parts[:3], "_")
	}
	return typed
}

// keyShown is one key, and what the caller may do about it.
type keyShown struct {
	key       api.APIKey
	now       time.Time
	mayChange bool
	isOwn     bool // it is the key that looks at the page
	problem   *problem
}

func (p *Pages) showKey(w http.ResponseWriter, r *http.Request) error {
	return p.renderKey(w, r, nil)
}

func (p *Pages) renderKey(w http.ResponseWriter, r *http.Request, bad *problem) error {
	shown := keyShown{now: p.now(), mayChange: callerOf(r).May(identity.KeysWrite), problem: bad}
	if err := p.get(r, apiPath("api-keys", r.PathValue("id")), &shown.key); err != nil {
		return err
	}
	shown.isOwn = shown.key.KeyID == callerOf(r).ID
	return p.render(w, r, page{title: "API key " + shown.key.Name, status: bad.status()}, keyView(shown))
}

// keyState is what a key is good for, in a word.
func keyState(k *api.APIKey) string {
	switch {
	case k.RevokedAt != nil:
		return "REVOKED"
	case !k.IsActive:
		return "EXPIRED"
	}
	return "ACTIVE"
}

// keyForm is the form of a new key, as it is shown or was sent.
type keyForm struct {
	values  url.Values
	roles   []choice
	scopes  []scopeChoice
	problem *problem
}

// scopeChoice is a permission that a key may be bound to.
type scopeChoice struct {
	name      string
	isChecked bool
}

func (p *Pages) showNewKey(w http.ResponseWriter, r *http.Request) error {
	return p.renderNewKey(w, r, url.Values{"ownerId": r.URL.Query()["ownerId"]}, nil)
}

func (p *Pages) renderNewKey(w http.ResponseWriter, r *http.Request, values url.Values, bad *problem) error {
	form := keyForm{values: values, problem: bad}
	for _, role := range identity.Roles {
		if callerOf(r).mayDoAll(role) {
			form.roles = append(form.roles, choice{string(role), spoken(string(role))})
		}
	}
	for _, permission := range identity.AllPermissions {
		if !permission.IsOwn() && !callerOf(r).May(permission) {
			continue
		}
		form.scopes = append(form.scopes, scopeChoice{string(permission), slices.Contains(values["scopes"], string(permission))})
	}
	return p.render(w, r, page{title: "New API key", status: bad.status()}, newKeyView(form))
}

func (p *Pages) createKey(w http.ResponseWriter, r *http.Request) error {
	body := map[string]any{"name": strings.TrimSpace(r.PostFormValue("name")), "role": r.PostFormValue("role")}
	if scopes := r.PostForm["scopes"]; len(scopes) > 0 {
		body["scopes"] = scopes
	}
	if networks := namesTyped(r.PostFormValue("networks")); len(networks) > 0 {
		body["networks"] = networks
	}
	if owner := strings.TrimSpace(r.PostFormValue("ownerId")); owner != "" {
		body["ownerId"] = owner
	}
	if expires := r.PostFormValue("expiresAt"); expires != "" {
		body["expiresAt"] = instantOf(expires)
	}
	var made api.NewAPIKey
	err := p.call(r, http.MethodPost, "/api/v1/api-keys", body, &made)
	if bad := inPlace(err); bad != nil {
		return p.renderNewKey(w, r, r.PostForm, bad)
	}
	if err != nil {
		return err
	}
	return p.renderMadeKey(w, r, &made, "")
}

// renderMadeKey shows a new key, this once: it is in no link, no cookie and no
// history, which is why there is no redirect.
func (p *Pages) renderMadeKey(w http.ResponseWriter, r *http.Request, made *api.NewAPIKey, replaces string) error {
	w.Header().Set("Cache-Control", "no-store")
	return p.render(w, r, page{title: "The new API key", status: http.StatusCreated}, madeKeyView(made, replaces))
}

func (p *Pages) rotateKey(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	var made api.NewAPIKey
	body := map[string]any{"overlapSeconds": numberTyped(cmp.Or(r.PostFormValue("overlapSeconds"), "0"))}
	err := p.call(r, http.MethodPost, apiPath("api-keys", id, "rotate"), body, &made)
	if bad := inPlace(err); bad != nil && !isNotFound(err) {
		return p.renderKey(w, r, bad)
	}
	if err != nil {
		return err
	}
	return p.renderMadeKey(w, r, &made, id)
}

func (p *Pages) revokeKey(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	err := p.call(r, http.MethodDelete, apiPath("api-keys", id), nil, nil)
	if err != nil {
		return err
	}
	return p.done(w, r, "The key is revoked. It works nowhere any more within five seconds.", pagePath("keys", id))
}
