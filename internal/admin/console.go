package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"florin/internal/api"
	"florin/internal/identity"
)

const consolePath = Root + "/console"

func (p *Pages) consoleRoutes() []route {
	return []route{
		{pattern: "GET " + consolePath, handler: p.showConsole, nav: "SQL console", group: groupFinance, needs: []identity.Permission{identity.ConsoleUse}},
		{pattern: "POST " + consolePath, handler: p.runQuery},
		{pattern: "POST " + consolePath + "/csv", handler: p.downloadQuery},
		{pattern: "POST " + consolePath + "/saved", handler: p.saveQuery},
		{pattern: "POST " + consolePath + "/saved/{id}", handler: p.changeQuery},
		{pattern: "POST " + consolePath + "/saved/{id}/delete", handler: p.deleteQuery},
	}
}

var (
	// consoleLimits are how many rows of a result are shown.
	consoleLimits = []string{"100", "500", "2000"}
	// savedShownMax is how many saved queries are listed.
	savedShownMax = "500"
)

// consoleShown is the console: what there is to ask, what was asked, what was found.
type consoleShown struct {
	schema  api.ConsoleSchema
	library []api.ReadyQuery
	saved   api.SavedQueryList

	ready *api.ReadyQuery // that the URL names
	own   *api.SavedQuery // that the URL names; the caller's, or a shared one

	query     string // in the editor
	limit     string
	isExplain bool
	result    *api.ConsoleResult
	problem   *problem // with the query
	unsaved   *problem // with saving it
	sent      url.Values
}

// path is the page with what the URL names.
func (s *consoleShown) path(parts ...string) string {
	path := pagePath(append([]string{"console"}, parts...)...)
	switch {
	case s.own != nil:
		return path + "?" + url.Values{"saved": {s.own.QueryID}}.Encode()
	case s.ready != nil:
		return path + "?" + url.Values{"library": {s.ready.Name}}.Encode()
	}
	return path
}

func (s *consoleShown) title() string {
	switch {
	case s.own != nil:
		return s.own.Name
	case s.ready != nil:
		return s.ready.Title
	}
	return "New query"
}

func (s *consoleShown) about() string {
	switch {
	case s.own != nil:
		return s.own.Description
	case s.ready != nil:
		return s.ready.Description
	}
	return ""
}

// saving is what a field of the form that saves shows: what was sent, or what the
// query has.
func (s *consoleShown) saving(name, has string) string {
	if s.sent.Has(name) {
		return s.sent.Get(name)
	}
	return has
}

func (s *consoleShown) isOwn() bool { return s.own != nil && s.own.IsOwn }

func (s *consoleShown) isShared() bool {
	if s.sent != nil {
		return s.sent.Has("isShared")
	}
	return s.isOwn() && s.own.IsShared
}

// place is where in the query the database found it wrong.
type place struct{ character, line, column int }

var consolePosition = regexp.MustCompile(`at character (\d+)\)`)

// wrongAt is the place that the refusal names; nil when it names none.
func (s *consoleShown) wrongAt() *place {
	if s.problem == nil {
		return nil
	}
	found := consolePosition.FindStringSubmatch(s.problem.Detail)
	if found == nil {
		return nil
	}
	character, err := strconv.Atoi(found[1])
	if err != nil || character < 1 || character > utf8.RuneCountInString(s.query)+1 {
		return nil
	}
	before := []rune(s.query)[:character-1]
	at := place{character: character, line: 1, column: 1}
	for _, c := range before {
		at.column++
		if c == '\n' {
			at.line, at.column = at.line+1, 1
		}
	}
	return &at
}

// consoleNumbers are the types whose values stand to the right.
var consoleNumbers = []string{"int2", "int4", "int8", "numeric", "float4", "float8"}

func isNumberColumn(column api.ConsoleColumn) bool {
	return slices.Contains(consoleNumbers, column.Type)
}

func (p *Pages) showConsole(w http.ResponseWriter, r *http.Request) error {
	return p.renderConsole(w, r, consoleShown{})
}

// renderConsole shows the console, with what was asked, if it was.
func (p *Pages) renderConsole(w http.ResponseWriter, r *http.Request, s consoleShown) error {
	status := max(s.problem.status(), s.unsaved.status())
	if r.Header.Get("Hx-Request") != "" { // our script has the rest
		return p.render(w, r, page{title: "SQL console", status: status}, consoleResultRegion(&s))
	}
	if err := p.get(r, "/api/v1/console/schema", &s.schema); err != nil {
		return err
	}
	var library api.ConsoleLibrary
	if err := p.get(r, "/api/v1/console/library", &library); err != nil {
		return err
	}
	s.library = library.Data
	if err := p.get(r, "/api/v1/console/saved?limit="+savedShownMax, &s.saved); err != nil {
		return err
	}
	if err := p.takeNamed(r, &s); err != nil {
		return err
	}
	if s.limit == "" {
		s.limit = consoleLimits[1]
	}
	return p.render(w, r, page{title: "SQL console", status: status}, consoleView(&s, p.assets.of("console.js")))
}

// takeNamed takes over the query that the URL names.
func (p *Pages) takeNamed(r *http.Request, s *consoleShown) error {
	named := r.URL.Query()
	if queryID := named.Get("saved"); queryID != "" {
		s.own = &api.SavedQuery{}
		if err := p.get(r, apiPath("console", "saved", queryID), s.own); err != nil {
			return err
		}
		s.query = cmp.Or(s.query, s.own.Query)
		return nil
	}
	if name := named.Get("library"); name != "" {
		i := slices.IndexFunc(s.library, func(q api.ReadyQuery) bool { return q.Name == name })
		if i < 0 {
			return &problem{Status: http.StatusNotFound, Code: "not_found", Title: "There is no such ready query", Detail: "The library of the console lists those that there are."}
		}
		s.ready = &s.library[i]
		s.query = cmp.Or(s.query, s.ready.Query)
	}
	return nil
}

// queryOf is the query of a form. Forms end lines with CR LF, which would move the
// places that the database names.
func queryOf(r *http.Request) string {
	return strings.ReplaceAll(r.PostFormValue("query"), "\r\n", "\n")
}

func (p *Pages) runQuery(w http.ResponseWriter, r *http.Request) error {
	s := consoleShown{query: queryOf(r), limit: r.PostFormValue("limit"), isExplain: r.PostFormValue("do") == "explain", result: &api.ConsoleResult{}}
	if !slices.Contains(consoleLimits, s.limit) {
		s.limit = consoleLimits[1]
	}
	path, body := "/api/v1/console/queries", any(api.ConsoleExplain{Query: s.query})
	if s.isExplain {
		path += "/explain"
	} else {
		limit, _ := strconv.Atoi(s.limit) // one of those above
		body = api.ConsoleQuery{Query: s.query, Limit: limit, Format: "json"}
	}
	err := p.call(r, http.MethodPost, path, body, s.result)
	if r.Context().Err() != nil {
		return nil //nolint:nilerr // he cancelled it, and nobody is there to be told
	}
	if err != nil {
		return p.refuseQuery(w, r, s, err)
	}
	return p.renderConsole(w, r, s)
}

// refuseQuery shows a query again, with what the API says against it.
func (p *Pages) refuseQuery(w http.ResponseWriter, r *http.Request, s consoleShown, err error) error {
	s.result = nil
	if s.problem = inPlace(err); s.problem == nil || s.problem.Status == http.StatusForbidden {
		return err
	}
	return p.renderConsole(w, r, s)
}

func (p *Pages) downloadQuery(w http.ResponseWriter, r *http.Request) error {
	s := consoleShown{query: queryOf(r), limit: r.PostFormValue("limit")}
	err := p.pass(w, r, http.MethodPost, "/api/v1/console/queries", api.ConsoleQuery{Query: s.query, Format: "csv"})
	if err != nil {
		return p.refuseQuery(w, r, s, err)
	}
	return nil
}

func (p *Pages) saveQuery(w http.ResponseWriter, r *http.Request) error {
	return p.keepQuery(w, r, http.MethodPost, apiPath("console", "saved"), 0, "The query is saved.")
}

func (p *Pages) changeQuery(w http.ResponseWriter, r *http.Request) error {
	version, _ := strconv.Atoi(r.PostFormValue("version")) // what is none, the API refuses
	return p.keepQuery(w, r, http.MethodPut, apiPath("console", "saved", r.PathValue("id")), version, "The changes are saved.")
}

func (p *Pages) keepQuery(w http.ResponseWriter, r *http.Request, method, path string, version int, notice string) error {
	terms := api.SavedQueryTerms{
		Version: version, Name: strings.TrimSpace(r.PostFormValue("name")), Description: strings.TrimSpace(r.PostFormValue("description")),
		Query: queryOf(r), IsShared: r.PostForm.Has("isShared"),
	}
	var kept api.SavedQuery
	err := p.call(r, method, path, terms, &kept)
	if bad := inPlace(err); bad != nil && bad.Status != http.StatusForbidden && !isNotFound(err) {
		return p.renderConsole(w, r, consoleShown{query: terms.Query, limit: r.PostFormValue("limit"), unsaved: bad, sent: r.PostForm})
	}
	if err != nil {
		return err
	}
	return p.done(w, r, notice, consolePath+"?"+url.Values{"saved": {kept.QueryID}}.Encode())
}

func (p *Pages) deleteQuery(w http.ResponseWriter, r *http.Request) error {
	err := p.call(r, http.MethodDelete, apiPath("console", "saved", r.PathValue("id")), nil, nil)
	if err != nil && !isNotFound(err) { // deleted is deleted, however often it is asked for
		return err
	}
	return p.done(w, r, "The query is deleted.", consolePath)
}
