package admin

import "net/http"

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
