package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"florin/internal/identity"
	"florin/internal/platform/ratelimit"
)

// sendBody posts a body of so many bytes, with a role's token or none.
func sendBody(engine http.Handler, path string, length int, role identity.Role) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, strings.NewReader(`"`+strings.Repeat("x", length-2)+`"`))
	r.Header.Set("Content-Type", "application/json")
	if role != "" {
		r.Header.Set("Authorization", "Bearer "+roleToken(role, identity.UserPrincipal))
	}
	answer := httptest.NewRecorder()
	engine.ServeHTTP(answer, r)
	return answer
}

func TestWhoShowsLessSendsLess(t *testing.T) {
	a, engine := empty(Options{})
	for path, c := range map[string]struct {
		role  identity.Role
		limit int
	}{
		"/api/v1/auth/signin":        {"", publicBodyMax},
		"/api/v1/auth/prove":         {identity.Customer, peopleBodyMax},
		"/api/v1/users/me/transfers": {identity.Customer, peopleBodyMax},
		"/api/v1/transfers":          {identity.Operator, bodyMax},
		"/api/v1/transfers/batch":    {identity.Operator, batchBodyMax},
	} {
		if answer := sendBody(engine, path, c.limit, c.role); codeOf(answer) != "invalid_request" {
			t.Errorf("%s of %d bytes: %d %s", path, c.limit, answer.Code, answer.Body)
		}
		if answer := sendBody(engine, path, c.limit+1, c.role); codeOf(answer) != "body_too_large" {
			t.Errorf("%s of %d bytes: %d %s", path, c.limit+1, answer.Code, answer.Body)
		}
	}
	if a.bodies.held.Load() != 0 || a.publicBodies.held.Load() != 0 {
		t.Errorf("%d and %d bytes stay counted", a.bodies.held.Load(), a.publicBodies.held.Load())
	}
}

func TestBodiesHaveAMemoryTogetherAndStrangersOneApart(t *testing.T) {
	a, engine := empty(Options{})
	a.publicBodies.held.Store(publicBodiesMax - 10)
	if answer := sendBody(engine, "/api/v1/auth/signin", 11, ""); codeOf(answer) != "overloaded" || answer.Code != http.StatusServiceUnavailable {
		t.Errorf("a stranger: %d %s", answer.Code, answer.Body)
	}
	if answer := sendBody(engine, "/api/v1/auth/signin", 10, ""); codeOf(answer) != "invalid_request" {
		t.Errorf("what fits: %d %s", answer.Code, answer.Body)
	}
	if answer := sendBody(engine, "/api/v1/users/me/transfers", 11, identity.Customer); codeOf(answer) != "invalid_request" {
		t.Errorf("a customer: %d %s", answer.Code, answer.Body)
	}
	a.bodies.held.Store(bodiesMax)
	if answer := sendBody(engine, "/api/v1/users/me/transfers", 11, identity.Customer); codeOf(answer) != "overloaded" {
		t.Errorf("a customer: %d %s", answer.Code, answer.Body)
	}
	if held := a.publicBodies.held.Load(); held != publicBodiesMax-10 {
		t.Errorf("%d bytes are counted", held)
	}
}

func TestACallersBatchesTakeAnEighthOrOneBody(t *testing.T) {
	var memory batchMemory
	subject, other := ratelimit.Caller("a"), ratelimit.Caller("b")
	open := func(subject ratelimit.Subject, bytes int64) *countedBody {
		caller, isFirst := memory.begin(subject)
		return &countedBody{ReadCloser: io.NopCloser(io.LimitReader(zeros{}, bytes)), memory: &memory, caller: caller, isFirst: isFirst}
	}
	read := func(b *countedBody) error {
		_, err := io.Copy(io.Discard, b)
		return err
	}
	whole := open(subject, batchBodyMax)
	if err := read(whole); err != nil {
		t.Errorf("the largest body, alone: %v", err)
	}
	second := open(subject, 1000)
	var problem *Problem
	if err := read(second); !errors.As(err, &problem) || problem.Code != codeOverloaded {
		t.Errorf("one beside it: %v", err)
	}
	elses := open(other, batchBodyMax)
	if err := read(elses); err != nil {
		t.Errorf("another caller's: %v", err)
	}
	for subject, bodies := range map[ratelimit.Subject][]*countedBody{subject: {whole, second}, other: {elses}} {
		for _, body := range bodies {
			memory.end(subject, body)
		}
	}
	if memory.total.Load() != 0 || len(memory.callers) != 0 {
		t.Errorf("%d bytes of %d callers stay counted", memory.total.Load(), len(memory.callers))
	}
	for i := range 3 { // several small ones, up to an eighth
		err := read(open(subject, callerBatchBytesMax/2))
		if isOver := i == 2; isOver != (err != nil) {
			t.Errorf("small batch %d: %v", i, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
