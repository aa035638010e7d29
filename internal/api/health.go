package api

import (
	"context"
	"net/http"
	"time"
)

// readyTimeout is how long the database may take to answer a readiness probe.
const readyTimeout = 2 * time.Second

type healthOutput struct {
	Body Health
}

// Health is what a probe is told.
type Health struct {
	Status string `json:"status" enum:"ok,ready" doc:"ok or ready."`
}

func (a *api) routeHealth() {
	health := endpoint{
		id: "getHealth", method: http.MethodGet, path: "/healthz", tag: tagHealth, isPublic: true,
		summary:     "Is the process alive?",
		description: "Always 200 while the process answers at all. HEAD answers the same.",
		answer:      Health{Status: "ok"},
	}
	ready := endpoint{
		id: "getReadiness", method: http.MethodGet, path: "/readyz", tag: tagHealth, isPublic: true,
		summary:     "Can it take requests?",
		description: "200 when the database answers and is migrated, otherwise 503. HEAD answers the same.",
		answer:      Health{Status: "ready"}, codes: []code{codeNotReady},
	}
	route(a, health, a.getHealth)
	route(a, health.asHead(), a.getHealth)
	route(a, ready, a.getReadiness)
	route(a, ready.asHead(), a.getReadiness)
}

func (*api) getHealth(context.Context, *struct{}) (*healthOutput, error) {
	return &healthOutput{Health{"ok"}}, nil
}

func (a *api) getReadiness(ctx context.Context, _ *struct{}) (*healthOutput, error) {
	probe, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := a.ready(probe); err != nil {
		return nil, codeNotReady.problem("the database does not answer or is not migrated yet").caused(err)
	}
	return &healthOutput{Health{"ready"}}, nil
}
