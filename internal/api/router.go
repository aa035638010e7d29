// Package api is Florin's HTTP face: routes, request and response types, who may
// use them and how often, the one mapper from errors to answers, and the OpenAPI
// description of it all.
//
// It guarantees that every answer of the API is JSON of a documented shape, every
// error an RFC 9457 problem with a stable code and the request's id, that an
// amount goes in and out exactly as it was written, and that no request without
// the route's permission is read beyond its header. It decides nothing about
// money: a handler parses, calls one method, and renders.
package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/approval"
	"florin/internal/audit"
	"florin/internal/cashback"
	"florin/internal/cashback/gateway"
	"florin/internal/export"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/clock"
	"florin/internal/reporting"
	"florin/internal/risk"
	"florin/internal/wallet"
)

// ErrUnauthenticated says that a token belongs to nobody.
var ErrUnauthenticated = errors.New("unknown token")

// Options are what the API stands on. The first group is required.
type Options struct {
	Ledger  *ledger.Ledger
	Exports *export.Control
	// Authenticate returns who a token belongs to, a session's or an API key,
	// when it is sent from address; ErrUnauthenticated when that is nobody.
	// Another error is answered like any error of a handler.
	Authenticate func(ctx context.Context, token string, address netip.Addr) (identity.Principal, error)
	// Ready returns nil when the database answers and is migrated.
	Ready    func(ctx context.Context) error
	Log      *slog.Logger
	Registry prometheus.Registerer

	// Users, Wallets and the rest of this group serve the endpoints about people,
	// programs, cashback and what is decided about payments; those panic without them.
	Users     *identity.Users
	Keys      *identity.Keys
	Linked    *identity.LinkedAccounts
	Wallets   *wallet.Wallets
	Cashback  *cashback.Cashback
	Risk      *risk.Rules
	Approvals *approval.Approvals
	Audit     *audit.Log
	Reports   *reporting.Reports
	Console   *reporting.Console
	// SessionMax is how long a session's cookie is kept at most; 12 hours.
	SessionMax time.Duration
	// IngestSources may report purchases by their signature alone.
	IngestSources gateway.Sources

	Version string      // of the program, for the OpenAPI document and the overview
	Clock   clock.Clock // the machine's when nil
	// AmountLimits are what callers with an owner may pay; nil for no limits but
	// the accounts' own.
	AmountLimits AmountLimits
	// RateLimits replace some of the default ones.
	RateLimits RateLimits
	// TrustedProxies are believed when they say where a request comes from.
	TrustedProxies []netip.Prefix
	// CORSOrigins are the origins whose pages may call, with bearer tokens. Each
	// passes CheckOrigin.
	CORSOrigins []string
	// OverTLS says that callers come by https, here or at a proxy: cookies are
	// for that alone, and browsers are told to keep to it.
	OverTLS bool
}

// api is what the handlers share.
type api struct {
	ledger       *ledger.Ledger
	exports      *export.Control
	authenticate func(ctx context.Context, token string, address netip.Addr) (identity.Principal, error)
	limitsOf     AmountLimits
	users        *identity.Users
	keys         *identity.Keys
	linked       *identity.LinkedAccounts
	wallets      *wallet.Wallets
	cashback     *cashback.Cashback
	sources      gateway.Sources
	risk         *risk.Rules
	approvals    *approval.Approvals
	audit        *audit.Log
	reports      *reporting.Reports
	console      *reporting.Console
	sessionMax   time.Duration
	version      string
	ready        func(ctx context.Context) error
	log          *slog.Logger
	now          clock.Clock
	durations    *prometheus.HistogramVec
	huma         huma.API
	rules        map[routeKey]rule
	limits       *limits
	headers      []securityHeader
	proxies      proxies
	// origins protects what comes with a cookie, publicOrigins what comes without
	// any credential: the listed pages may sign in, and then call with a token.
	origins       *http.CrossOriginProtection
	publicOrigins *http.CrossOriginProtection
	corsOrigins   []string
	cookieName    string
	batches       batchMemory
	bodies        bodyBudget
	publicBodies  bodyBudget
}

// New returns the handler of everything the API's port serves. It panics when a
// CORS origin does not pass CheckOrigin.
func New(o Options) http.Handler {
	_, engine := build(o)
	return engine
}

func build(o Options) (*api, *gin.Engine) {
	takeOverErrors()
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.UseRawPath = true             // %2F is part of an id, and leads to no other route
	engine.RedirectTrailingSlash = false // a redirect would lose the body of a POST
	a := newAPI(o)
	engine.Use(a.observe, a.recoverPanic, a.allowOrigins, a.admit)
	engine.NoRoute(func(c *gin.Context) { a.answerProblem(c, codeNotFound.problem("there is no %s", c.Request.URL.Path)) })
	engine.NoMethod(func(c *gin.Context) {
		a.answerProblem(c, codeMethodNotAllowed.problem("%s can't be used here", c.Request.Method))
	})
	a.huma = humagin.New(engine, humaConfig(o.Version, a.cookieName))
	a.routeHealth()
	a.routeAuth()
	a.routeMe()
	a.routeLinkedAccounts()
	a.routeMyMoney()
	a.routeAccounts()
	a.routeTransfers()
	a.routeBatch()
	a.routeTransactions()
	a.routeHolds()
	a.routeExports()
	a.routeOverview()
	a.routeUsers()
	a.routeKeys()
	a.routeAudit()
	a.routeRisk()
	a.routeRoleLimits()
	a.routeApprovals()
	a.routeClicks()
	a.routePurchases()
	a.routeReturns()
	a.routeIngest()
	a.routeCustomers()
	a.routeCampaigns()
	a.routeProgram()
	a.routeRewards()
	a.routeReports()
	a.routeConsole()
	a.routePages(engine)
	a.routeDocs(engine)
	return a, engine
}

func newAPI(o Options) *api {
	a := &api{
		ledger: o.Ledger, exports: o.Exports, authenticate: o.Authenticate, limitsOf: o.AmountLimits, version: o.Version, ready: o.Ready, log: o.Log, now: o.Clock,
		users: o.Users, keys: o.Keys, linked: o.Linked, wallets: o.Wallets, cashback: o.Cashback, sources: o.IngestSources, risk: o.Risk, approvals: o.Approvals, audit: o.Audit, reports: o.Reports, console: o.Console,
		sessionMax: cmp.Or(o.SessionMax, 12*time.Hour),
		durations:  newDurations(o.Registry), rules: map[routeKey]rule{}, headers: securityHeaders(o.OverTLS),
		proxies: o.TrustedProxies, corsOrigins: o.CORSOrigins, cookieName: cookieName(o.OverTLS), origins: http.NewCrossOriginProtection(),
	}
	if a.now == nil {
		a.now = clock.System
	}
	a.limits = newLimits(a.now, o.RateLimits)
	a.bodies.most, a.publicBodies.most = bodiesMax, publicBodiesMax
	var err error
	if a.publicOrigins, err = newCrossOrigin(o.CORSOrigins); err != nil {
		panic("api: " + err.Error())
	}
	return a
}

// route serves one endpoint. An error of the handler becomes a problem here and
// nowhere else.
func route[I, O any](a *api, e endpoint, handler func(context.Context, *I) (*O, error)) {
	a.rules[routeKey{e.method, ginPath.Replace(e.path)}] = e.rule()
	huma.Register(a.huma, e.operation(a.huma.OpenAPI().Components.Schemas), func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if waiting := (*awaited)(nil); errors.As(err, &waiting) {
			return nil, waiting
		}
		if err != nil {
			return nil, problemFor(ctx, err)
		}
		return out, nil
	})
}
