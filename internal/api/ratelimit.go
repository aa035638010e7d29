package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"florin/internal/identity"
	"florin/internal/platform/clock"
	"florin/internal/platform/ratelimit"
)

// rateClass is what a call counts as.
type rateClass string

// Callers are limited in the last three, addresses in the others.
const (
	classPublic  rateClass = "public"  // without a credential, harmless
	classRefused rateClass = "refused" // credentials that were not valid
	classSignIn  rateClass = "signin"
	classAccount rateClass = "account" // sign-up, verification, reset of the password
	classRead    rateClass = "read"
	classWrite   rateClass = "write"
	classBatch   rateClass = "batch"
)

// changesAccounts says that a public call changes something of a user.
func (c rateClass) changesAccounts() bool { return c == classSignIn || c == classAccount }

// RateLimits are the limits by their name: the class for what is counted by
// address, role.class for what is counted by caller.
//
// They hold in each replica by itself: n replicas let a caller who is spread over
// them have n times as much.
type RateLimits map[string]ratelimit.Limit

// defaultRateLimits leave people room for a burst and programs for their work.
// Operators' programs have so much that other bounds are met before.
var defaultRateLimits = RateLimits{
	"public": {Quota: 200, Window: time.Second}, "refused": {Quota: 60, Window: time.Minute},
	"signin": {Quota: 10, Window: time.Minute}, "account": {Quota: 20, Window: time.Minute},
	"customer.read": {Quota: 100, Window: 10 * time.Second}, "customer.write": {Quota: 30, Window: 10 * time.Second}, "customer.batch": {Quota: 5, Window: 10 * time.Second},
	"merchant.read": {Quota: 500, Window: time.Second}, "merchant.write": {Quota: 200, Window: time.Second}, "merchant.batch": {Quota: 10, Window: time.Second},
	"support.read": {Quota: 200, Window: 10 * time.Second}, "support.write": {Quota: 50, Window: 10 * time.Second}, "support.batch": {Quota: 5, Window: 10 * time.Second},
	"finance.read": {Quota: 200, Window: 10 * time.Second}, "finance.write": {Quota: 50, Window: 10 * time.Second}, "finance.batch": {Quota: 5, Window: 10 * time.Second},
	"operator.read": {Quota: 100_000, Window: time.Second}, "operator.write": {Quota: 100_000, Window: time.Second}, "operator.batch": {Quota: 1000, Window: time.Second},
	"admin.read": {Quota: 100_000, Window: time.Second}, "admin.write": {Quota: 100_000, Window: time.Second}, "admin.batch": {Quota: 1000, Window: time.Second},
}

// ParseRateLimits reads changes of the default limits like
// "signin=5/60s customer.read=50/10s merchant.batch=none".
func ParseRateLimits(text string) (RateLimits, error) {
	limits := RateLimits{}
	for _, field := range strings.Fields(text) {
		name, value, _ := strings.Cut(field, "=")
		if _, known := defaultRateLimits[name]; !known {
			return nil, fmt.Errorf("there is no rate limit %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(defaultRateLimits)), ", "))
		}
		if _, given := limits[name]; given {
			return nil, fmt.Errorf("the rate limit %s is given twice", name)
		}
		limit, err := ratelimit.ParseLimit(value)
		if err != nil {
			return nil, fmt.Errorf("rate limit %s: %w", name, err)
		}
		limits[name] = limit
	}
	return limits, nil
}

// bucketsMax bounds the memory of the limits to some 20 MB.
const bucketsMax = 100_000

// limits are the rate limits at work.
type limits struct {
	limiter  *ratelimit.Limiter
	policies map[string]*ratelimit.Policy
	byCaller map[roleClass]*ratelimit.Policy
	// looked bounds the look-ups of credentials of all the addresses that have no
	// tries left.
	looked *ratelimit.Policy
}

type roleClass struct {
	role  identity.Role
	class rateClass
}

// newLimits are the defaults with the changes.
func newLimits(now clock.Clock, changes RateLimits) *limits {
	l := &limits{
		limiter: ratelimit.New(now, bucketsMax), policies: map[string]*ratelimit.Policy{}, byCaller: map[roleClass]*ratelimit.Policy{},
		looked: ratelimit.NewPolicy(string(classRefused), ratelimit.Limit{Quota: 200, Window: time.Second}),
	}
	for name, limit := range defaultRateLimits {
		if changed, found := changes[name]; found {
			limit = changed
		}
		role, class, isCallers := strings.Cut(name, ".")
		if !isCallers {
			l.policies[name] = ratelimit.NewPolicy(name, limit)
			continue
		}
		l.byCaller[roleClass{identity.Role(role), rateClass(class)}] = ratelimit.NewPolicy(class, limit)
	}
	return l
}

// byAddress is the policy of calls without a credential.
func (l *limits) byAddress(class rateClass) *ratelimit.Policy {
	if policy := l.policies[string(class)]; policy != nil {
		return policy
	}
	return l.policies[string(classPublic)]
}

// byRole is the policy of a role's calls; an unknown role has a customer's.
func (l *limits) byRole(role identity.Role, class rateClass) *ratelimit.Policy {
	if policy := l.byCaller[roleClass{role, class}]; policy != nil {
		return policy
	}
	return l.byCaller[roleClass{identity.Customer, class}]
}

// callerOf is who a principal's calls are counted for. A user and all his keys
// are one, so that more keys are not more calls.
func callerOf(p *identity.Principal) ratelimit.Subject {
	if user := p.UserID; user != "" {
		return ratelimit.Caller("user " + user)
	}
	if p.OwnerID != "" {
		return ratelimit.Caller("user " + p.OwnerID)
	}
	return ratelimit.Caller(p.ID)
}

func networkOf(r *request) ratelimit.Subject { return ratelimit.Network(r.address) }

// take counts a call and tells the caller what he has left.
func (l *limits) take(header http.Header, policy *ratelimit.Policy, subject ratelimit.Subject) *Problem {
	if policy.Limit().IsUnlimited() {
		return nil
	}
	verdict := l.limiter.Take(policy, subject)
	header["Ratelimit-Policy"] = policy.PolicyHeader()
	header["Ratelimit"] = policy.StateHeader(verdict)
	if verdict.Allowed {
		return nil
	}
	return rateLimited(policy, verdict)
}

func rateLimited(policy *ratelimit.Policy, verdict ratelimit.Verdict) *Problem {
	limit := policy.Limit()
	return codeRateLimited.problem("more than %d such requests in %s", limit.Quota, limit.Window).after(verdict.Wait)
}

// mayTry says whether a credential is looked up at all. An address that sent too
// many wrong ones shares a small budget with all its like: guesses cost the
// database little, and a program behind the same address as a broken one still
// gets in, unless somebody there makes hundreds of guesses a second.
func (l *limits) mayTry(r *request) *Problem {
	policy := l.policies[string(classRefused)]
	verdict := l.limiter.Look(policy, networkOf(r))
	if verdict.Allowed {
		return nil
	}
	if l.limiter.Look(l.looked, ratelimit.Subject{}).Allowed {
		return nil
	}
	return rateLimited(policy, verdict)
}

// refused counts a wrong credential, and answers it by problem until there were
// too many.
func (l *limits) refused(r *request, problem *Problem) *Problem {
	policy := l.policies[string(classRefused)]
	verdict := l.limiter.Take(policy, networkOf(r))
	if verdict.Allowed {
		return problem
	}
	l.limiter.Take(l.looked, ratelimit.Subject{})
	return rateLimited(policy, verdict)
}
