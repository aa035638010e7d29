package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"florin/internal/api"
	"florin/internal/platform/id"
)

// passedOn are the headers of a browser's request that the API judges it by: who
// asks, from where, and from which page. Authorization is not among them: pages
// are for browsers, and a header would count before the cookie.
var passedOn = []string{"Cookie", "X-Forwarded-For", "User-Agent", "Origin", "Sec-Fetch-Site"}

// answer is what the API answered, in memory: pages ask for pages of lists. What
// may be long is linked to, and the browser asks the API for it itself.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter; the first status counts.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// problem is the API's refusal, as it answered it.
type problem struct {
	Status    int                `json:"status"`
	Code      string             `json:"code"`
	Title     string             `json:"title"`
	Detail    string             `json:"detail"`
	RequestID string             `json:"requestId"`
	Errors    []api.FieldProblem `json:"errors"`

	// RetryAfter is how many seconds to wait before the same is tried again, ""
	// when the API does not say.
	RetryAfter string `json:"-"`
}

// Error makes a problem an error.
func (p *problem) Error() string { return p.Code + ": " + p.Detail }

// says is the problem's detail as a sentence; "" when it says no more than the title.
func (p *problem) says() string {
	if strings.EqualFold(p.Title, p.Detail) {
		return ""
	}
	return sentence(p.Detail)
}

// of is what is wrong with a field, by its name in the API's request; "" when
// nothing is. It may be asked of no problem.
func (p *problem) of(field string) string {
	if p == nil {
		return ""
	}
	for _, e := range p.Errors {
		if e.Field == field {
			return e.Problem
		}
	}
	return ""
}

// status is the problem's HTTP status, or that of success when there is none.
func (p *problem) status() int {
	if p == nil {
		return http.StatusOK
	}
	return p.Status
}

// awaiting is what a change answers that a second person has to agree to.
type awaiting struct{ api.Approval }

// Error makes it an error, so that no handler takes what was asked for as done.
func (a *awaiting) Error() string { return "waits for approval " + a.ApprovalID }

// call calls an operation of the API as the browser whose request r is: path with
// its query, and body as JSON unless it is nil. The answer is read into out unless
// that is nil. A POST is idempotent under the key of the form that r brings.
//
// Returns *problem when the API refuses, and *awaiting when a second person has to
// agree. Both are shown by the one place that shows errors: return them.
func (p *Pages) call(r *http.Request, method, path string, body, out any) error {
	got, err := p.ask(r, method, path, body, "")
	if err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(got.body.Bytes(), out); err != nil {
		return fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	return nil
}

// get is call for reading.
func (p *Pages) get(r *http.Request, path string, out any) error {
	return p.call(r, http.MethodGet, path, nil, out)
}

// ask is call with the answer as it is, and with a bearer token in place of the
// browser's cookie unless that is "".
func (p *Pages) ask(r *http.Request, method, path string, body any, token string) (*answer, error) {
	request, err := apiRequest(r, method, path, body, token)
	if err != nil {
		return nil, err
	}
	got := &answer{header: http.Header{}}
	p.api.ServeHTTP(got, request)
	return got, got.refusal(method, path)
}

// apiRequest is the request that ask makes; it ends with the browser's.
func apiRequest(r *http.Request, method, path string, body any, token string) (*http.Request, error) {
	var sent io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the request %s %s: %w", method, path, err)
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(r.Context(), method, path, sent) //nolint:gosec // it goes to a handler of ours, over no network
	if err != nil {
		return nil, fmt.Errorf("request %s %s: %w", method, path, err)
	}
	request.Host, request.RemoteAddr, request.TLS = r.Host, r.RemoteAddr, r.TLS
	for _, name := range passedOn {
		if values, given := r.Header[name]; given {
			request.Header[name] = values
		}
	}
	if token != "" {
		request.Header.Del("Cookie")
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if key := r.PostFormValue(keyField); key != "" && method == http.MethodPost {
		request.Header.Set("Idempotency-Key", key)
	}
	request.Header.Set("X-Request-Id", requestOf(r).id)
	return request, nil
}

// refusal is the answer as an error, nil for what succeeded.
func (a *answer) refusal(method, path string) error {
	switch {
	case a.status == http.StatusAccepted:
		waiting := &awaiting{}
		if json.Unmarshal(a.body.Bytes(), &waiting.Approval) == nil && waiting.ApprovalID != "" {
			return waiting
		}
		return nil
	case a.status < http.StatusBadRequest:
		return nil
	case strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json"):
		refused := &problem{RetryAfter: a.header.Get("Retry-After")}
		if err := json.Unmarshal(a.body.Bytes(), refused); err != nil {
			return fmt.Errorf("read the problem that answers %s %s: %w", method, path, err)
		}
		return refused
	}
	return fmt.Errorf("%s %s: answered %d without a problem", method, path, a.status)
}

// keyField is the field of a form that carries its Idempotency-Key: a form that is
// sent twice is done once.
const keyField = "_key"

// newKey is an Idempotency-Key for a form that is shown.
func newKey() string { return id.New("form") }

// apiPath is a path of the API with what callers chose escaped: apiPath("accounts",
// id, "postings") is /api/v1/accounts/ID/postings.
func apiPath(parts ...string) string { return "/api/v1" + joined(parts) }

// pagePath is a path of ours in the same way.
func pagePath(parts ...string) string { return Root + joined(parts) }

func joined(parts []string) string {
	var path strings.Builder
	for _, part := range parts {
		path.WriteByte('/')
		path.WriteString(url.PathEscape(part))
	}
	return path.String()
}
