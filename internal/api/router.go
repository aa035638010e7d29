// Package api is Florin's HTTP face: routes, request and response types, the one
// mapper from errors to answers, and the OpenAPI description of it all.
//
// It guarantees that every answer of the API is JSON of a documented shape, every error an
// RFC 9457 problem with a stable code and the request's id, and that an amount
// goes in and out exactly as it was written. It decides nothing about money:
// a handler parses, calls one method of the ledger, and renders.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/export"
	"florin/internal/ledger"
)

// ErrUnauthenticated says that a token belongs to nobody.
var ErrUnauthenticated = errors.New("unknown token")

// Actor is who a request is made by.
type Actor struct {
	ID   string // stable; stands in logs and scopes idempotency keys
	Name string
}

// Options are what the API stands on. All are required except Version.
type Options struct {
	Ledger  *ledger.Ledger
	Exports *export.Control
	// Authenticate returns who a bearer token belongs to, ErrUnauthenticated when
	// that is nobody. Another error is answered like any error of a handler.
	Authenticate func(ctx context.Context, token string) (Actor, error)
	// Ready returns nil when the database answers and is migrated.
	Ready    func(ctx context.Context) error
	Log      *slog.Logger
	Registry prometheus.Registerer
	Version  string // of the program, for the OpenAPI document
}

// api is what the handlers share.
type api struct {
	ledger       *ledger.Ledger
	exports      *export.Control
	authenticate func(ctx context.Context, token string) (Actor, error)
	ready        func(ctx context.Context) error
	log          *slog.Logger
	durations    *prometheus.HistogramVec
	huma         huma.API
	// batchBytes is the size of the batches' bodies under way.
	batchBytes atomic.Int64
}

// New returns the handler of everything the API's port serves.
func New(o Options) http.Handler {
	takeOverErrors()
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false // a redirect would lose the body of a POST
	a := &api{
		ledger: o.Ledger, exports: o.Exports, authenticate: o.Authenticate, ready: o.Ready, log: o.Log,
		durations: newDurations(o.Registry),
	}
	engine.Use(a.observe, a.recoverPanic, a.checkActor)
	engine.NoRoute(func(c *gin.Context) { a.answerProblem(c, codeNotFound.problem("there is no %s", c.Request.URL.Path)) })
	engine.NoMethod(func(c *gin.Context) {
		a.answerProblem(c, codeMethodNotAllowed.problem("%s can't be used here", c.Request.Method))
	})
	a.huma = humagin.New(engine, humaConfig(o.Version))
	a.routeHealth()
	a.routeAccounts()
	a.routeTransfers()
	a.routeBatch()
	a.routeTransactions()
	a.routeHolds()
	a.routeExports()
	routeDocs(engine, a.huma.OpenAPI())
	return engine
}

// route serves one endpoint. An error of the handler becomes a problem here and
// nowhere else.
func route[I, O any](a *api, e endpoint, handler func(context.Context, *I) (*O, error)) {
	huma.Register(a.huma, e.operation(a.huma.OpenAPI().Components.Schemas), func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, problemFor(ctx, err)
		}
		return out, nil
	})
}
