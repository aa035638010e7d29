// Package admin is Florin's pages for the people who run it: operators, support
// and finance. They stand under /admin.
//
// The pages are a client of the API, in process: a page calls the API's operations
// with the browser's own cookie and address, and renders the JSON it gets. So
// rights, rate limits, validation, second persons and the audit trail are the
// API's, once, and a page can do nothing that the API would not let the same
// person do. This package opens no database and decides nothing.
package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"florin/internal/api"
	"florin/internal/platform/clock"
	"florin/internal/platform/id"
)

// Root is the path that all pages stand under.
const Root = "/admin"

// Options are what the pages stand on. API and Log are required.
type Options struct {
	API     http.Handler // as api.New returns it
	Log     *slog.Logger
	Now     clock.Clock // the machine's when nil
	Version string      // of the program, shown at the foot of each page
	OverTLS bool        // as the API has it: the name of the cookie hangs on it
}

// Pages serves /admin. Its handlers are methods, one area a file; see route.go.
type Pages struct {
	api     http.Handler
	log     *slog.Logger
	now     clock.Clock
	version string
	overTLS bool
	headers http.Header
	routes  []route
	nav     []navGroup
	assets  assets
}

// pagesPolicy lets a page run our script and style and talk to this server alone;
// nothing stands inline.
const pagesPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// New returns the handler of /admin and everything under it.
func New(o Options) http.Handler {
	p := &Pages{api: o.API, log: o.Log, now: o.Now, version: o.Version, overTLS: o.OverTLS, headers: api.SecurityHeaders(o.OverTLS), assets: newAssets()}
	if p.now == nil {
		p.now = clock.System
	}
	p.headers.Set("Content-Security-Policy", pagesPolicy)
	// Forms are posted from our own pages. no-referrer, as the API has it, would
	// have browsers say Origin: null with them.
	p.headers.Set("Referrer-Policy", "same-origin")
	p.routes = p.allRoutes()
	p.nav = navOf(p.routes)
	mux := http.NewServeMux()
	for _, route := range p.routes {
		mux.Handle(route.pattern, p.handle(route))
	}
	mux.Handle("GET "+assetsPath+"{version}/{name}", p.assets)
	mux.Handle("GET "+assetsPath, http.NotFoundHandler())
	mux.Handle(Root+"/", p.handle(route{handler: p.notFound}))
	origins := http.NewCrossOriginProtection()
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.showError(w, r, &problem{Status: http.StatusForbidden, Code: "cross_origin", Title: "The form is of another origin", Detail: "Nothing was done: the page that sent this is not one of ours."})
	}))
	return p.protect(origins.Handler(mux))
}

// protect names every request, sets the headers of every answer, and answers a
// panic with a page.
func (p *Pages) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, values := range p.headers {
			w.Header()[name] = values
		}
		known := &pageRequest{id: id.New("req")}
		w.Header().Set("X-Request-Id", known.id)
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, known))
		defer func() {
			panicked := recover()
			if panicked == nil {
				return
			}
			if panicked == http.ErrAbortHandler { //nolint:errorlint // a value that is compared, as net/http does
				panic(panicked)
			}
			p.showError(w, r, fmt.Errorf("panic: %v\n%s", panicked, debug.Stack()))
		}()
		next.ServeHTTP(w, r)
	})
}

func (p *Pages) notFound(_ http.ResponseWriter, r *http.Request) error {
	return &problem{Status: http.StatusNotFound, Code: "not_found", Title: "There is no such page", Detail: r.URL.Path + " leads nowhere. Search for an id above, or choose a page from the navigation."}
}
