package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"florin/internal/audit"
	"florin/internal/identity"
	"florin/internal/ledger"
)

// proofMax is how long ago a person must have proven himself, by password or
// second factor, for a sensitive step.
const proofMax = 10 * time.Minute

// rule says who may use a route, and what a call counts as.
type rule struct {
	isPublic    bool
	forAnyone   bool                  // with any valid credential
	needs       []identity.Permission // one of these at least
	forPeople   bool                  // with a session, not by a program
	reachesAll  bool                  // not by those who reach an owner's accounts alone
	isSensitive bool                  // soon after a proof, for people
	class       rateClass
}

type routeKey struct{ method, path string }

// rule is the endpoint's, for its route.
func (e endpoint) rule() rule {
	r := rule{
		isPublic: e.isPublic, forAnyone: e.forAnyone, needs: e.needs,
		forPeople: e.forPeople, reachesAll: e.reachesAll, isSensitive: e.isSensitive, class: e.class,
	}
	if r.class == "" {
		r.class = classRead
		if e.method != http.MethodGet && e.method != http.MethodHead {
			r.class = classWrite
		}
	}
	return r
}

// ginPath writes /accounts/{accountId} as gin does, /accounts/:accountId.
var ginPath = strings.NewReplacer("{", ":", "}", "")

// admit decides, before anything of a request but its header is read, whether it
// goes on: the one place where callers are told apart. A path that is not there
// is told to nobody without a credential; a route without a rule is nobody's.
func (a *api) admit(c *gin.Context) {
	r := requestFrom(c.Request.Context())
	r.address = a.proxies.clientOf(c.Request)
	route, known := a.rules[routeKey{c.Request.Method, c.FullPath()}]
	if !known {
		route.class = classRead
	}
	r.bodies = &a.bodies
	var problem *Problem
	switch {
	case c.FullPath() != "" && !known:
		problem = codeForbidden.problem("nobody may do this")
	case route.isPublic, !known && !strings.HasPrefix(c.Request.URL.Path, "/api/"):
		r.bodies = &a.publicBodies
		problem = a.admitAnybody(c, r, route)
	default:
		problem = a.admitCaller(c, r, route)
	}
	if problem != nil {
		a.answerProblem(c, problem)
	}
}

// admitAnybody is for what needs no credential: limited by address, and not for
// pages of other origins.
func (a *api) admitAnybody(c *gin.Context, r *request, route rule) *Problem {
	if problem := a.limits.take(c.Writer.Header(), a.limits.byAddress(route.class), networkOf(r)); problem != nil {
		return problem
	}
	if len(c.Request.Header["Authorization"]) == 0 && a.publicOrigins.Check(c.Request) != nil {
		return crossOrigin()
	}
	if route.class.changesAccounts() {
		c.Request = c.Request.WithContext(audit.With(c.Request.Context(), audit.Origin{
			ActorKind: "anonymous", Address: addressText(r.address), RequestID: r.id,
		}))
	}
	return nil
}

func (a *api) admitCaller(c *gin.Context, r *request, route rule) *Problem {
	principal, problem := a.identify(c.Request, r)
	if problem != nil {
		return problem
	}
	r.principal = principal
	p := &r.principal
	if problem := a.limits.take(c.Writer.Header(), a.limits.byRole(p.Role, route.class), callerOf(p)); problem != nil {
		return problem
	}
	if problem := a.permit(p, route); problem != nil {
		return problem
	}
	c.Request = c.Request.WithContext(audit.With(c.Request.Context(), audit.Origin{
		ActorKind: string(p.Kind), ActorID: p.ID, Role: string(p.Role), Address: addressText(r.address), RequestID: r.id,
	}))
	return nil
}

// permit says why a principal may not use a route; nil when he may.
func (a *api) permit(p *identity.Principal, route rule) *Problem {
	switch {
	case p.Role.ReachesOwnOnly() && p.OwnerID == "":
		return codeForbidden.problem("the role %s is for what is a user's own, and this caller has none", p.Role)
	case route.forPeople && p.Kind != identity.UserPrincipal:
		return codeForbidden.problem("this is for people: sign in")
	case route.reachesAll && p.OwnerID != "":
		return codeForbidden.problem("this is for callers that reach all accounts")
	}
	if len(route.needs) > 0 && !mayAny(p, route.needs) {
		return forbidden(route.needs...)
	}
	// Staff reach others' money and data: a password alone is too little for that.
	if p.Kind == identity.UserPrincipal && !p.Role.ReachesOwnOnly() && !p.HasSecondFactor && !route.isForOneself() {
		return codeStaffFactor.problem("the role %s needs a second factor", p.Role)
	}
	if route.isSensitive && !a.isProven(p) {
		return proofRequired()
	}
	return nil
}

// isForOneself says that a route is about nobody but its caller.
func (r rule) isForOneself() bool {
	for _, permission := range r.needs {
		if !permission.IsOwn() {
			return false
		}
	}
	return true
}

// isProven says that a person proved himself a short while ago. A program's key
// is its proof.
func (a *api) isProven(p *identity.Principal) bool {
	return p.Kind == identity.KeyPrincipal || a.now().Sub(p.ProvenAt) <= proofMax
}

func proofRequired() *Problem {
	return codeProofRequired.problem("the last proof is older than %s", proofMax)
}

func mayAny(p *identity.Principal, needs []identity.Permission) bool {
	for _, permission := range needs {
		if p.May(permission) {
			return true
		}
	}
	return false
}

// forbidden names what is missing.
func forbidden(needs ...identity.Permission) *Problem {
	names := make([]string, len(needs))
	for i, permission := range needs {
		names[i] = string(permission)
	}
	return codeForbidden.problem("the permission %s is missing", strings.Join(names, " or "))
}

// require is for handlers of which a part needs more than the route does.
func require(ctx context.Context, permission identity.Permission) error {
	if !principalOf(ctx).May(permission) {
		return forbidden(permission)
	}
	return nil
}

// requireSensitive is require for what is sensitive, too.
func (a *api) requireSensitive(ctx context.Context, permission identity.Permission) error {
	if err := require(ctx, permission); err != nil {
		return err
	}
	if !a.isProven(principalOf(ctx)) {
		return proofRequired()
	}
	return nil
}

// principalOf is who the request is made by; of a public endpoint nobody, who may
// do nothing.
func principalOf(ctx context.Context) *identity.Principal {
	return &requestFrom(ctx).principal
}

// addressOf is where the request comes from.
func addressOf(ctx context.Context) netip.Addr { return requestFrom(ctx).address }

// booksFor are the books as far as the caller reaches: all of them, or what is
// his owner's.
func (a *api) booksFor(ctx context.Context) *ledger.Ledger {
	return a.ledger.As(principalOf(ctx).OwnerID)
}
