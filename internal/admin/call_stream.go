package admin

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// beginning is what the API answered, as far as a page wants it.
type beginning struct {
	answer

	most  int  // bytes that are wanted
	isCut bool // there is more
}

var errEnough = errors.New("the page wants no more")

// Write implements http.ResponseWriter. It refuses what is too much, which ends what
// the API is reading.
func (b *beginning) Write(text []byte) (int, error) {
	if b.body.Len()+len(text) > b.most {
		b.isCut = true
		return 0, errEnough
	}
	return b.answer.Write(text)
}

// getBeginning reads what the API streams, up to most bytes and for atMost; more is
// not asked for. Returns *problem when the API refuses, and what it had sent, cut,
// when the time is up; with nothing sent until then that is the API's problem of
// being cancelled.
func (p *Pages) getBeginning(r *http.Request, path string, most int, atMost time.Duration) (*beginning, error) {
	// The API goes on past a deadline with what it streams, and ends with its caller.
	ctx, leave := context.WithCancel(r.Context())
	defer leave()
	late, stop := context.WithTimeout(ctx, atMost)
	defer stop()
	context.AfterFunc(late, leave)
	request, err := apiRequest(r.WithContext(ctx), http.MethodGet, path, nil, "")
	if err != nil {
		return nil, err
	}
	got := &beginning{answer: answer{header: http.Header{}}, most: most}
	p.serveCut(got, request, func() bool { return got.isCut || errors.Is(late.Err(), context.DeadlineExceeded) })
	return got, got.refusal(http.MethodGet, path)
}

// serveCut has the API answer. What it cuts off because the page wanted no more is
// no failure.
func (p *Pages) serveCut(got *beginning, request *http.Request, isWanted func() bool) {
	defer func() {
		panicked := recover()
		if panicked == nil {
			return
		}
		if panicked != http.ErrAbortHandler || !isWanted() { //nolint:errorlint // a value that is compared, as net/http does
			panic(panicked)
		}
		got.isCut = true
	}()
	p.api.ServeHTTP(got, request)
}

// passage passes on to the browser what the API streams, unless that is a refusal:
// that is kept, for a page.
type passage struct {
	answer

	to      http.ResponseWriter
	hasSent bool
}

// WriteHeader implements http.ResponseWriter.
func (s *passage) WriteHeader(status int) {
	if s.status != 0 {
		return
	}
	s.answer.WriteHeader(status)
	if status >= http.StatusBadRequest {
		return
	}
	for name, values := range s.header {
		s.to.Header()[name] = values
	}
	s.hasSent = true
	s.to.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (s *passage) Write(text []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	if s.hasSent {
		return s.to.Write(text)
	}
	return s.answer.Write(text)
}

// Unwrap lets the API set deadlines on the browser's connection.
func (s *passage) Unwrap() http.ResponseWriter { return s.to }

// FlushError sends the browser what was written.
func (s *passage) FlushError() error {
	if !s.hasSent {
		return nil
	}
	return http.NewResponseController(s.to).Flush()
}

// Flush implements http.Flusher.
func (s *passage) Flush() { _ = s.FlushError() } // who is gone, is told by the next Write

// pass answers the browser with what the API streams. Returns *problem when the API
// refuses; nothing was sent then.
func (p *Pages) pass(w http.ResponseWriter, r *http.Request, method, path string, body any) error {
	request, err := apiRequest(r, method, path, body, "")
	if err != nil {
		return err
	}
	got := &passage{answer: answer{header: http.Header{}}, to: w}
	p.api.ServeHTTP(got, request)
	return got.refusal(method, path)
}
