package api

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"florin/internal/ledger"
	"florin/internal/platform/clock"
)

const (
	bodyMax       = 1 << 20
	batchBodyMax  = 16 << 20
	publicBodyMax = 16 << 10 // of who has not shown who he is
	peopleBodyMax = 64 << 10 // about the caller himself
	// bodyRoom is how much memory is set aside on the word of Content-Length; more
	// is taken as bytes arrive.
	bodyRoom = 4 << 10
	// bodiesMax is how much memory the bodies being read, but for batches, may
	// take at once: strangers' apart, so that they keep no caller out.
	bodiesMax       = 128 << 20
	publicBodiesMax = 32 << 20
	// A body of n bytes has bodyTime and n/bodyRate to arrive.
	bodyTime = 10 * time.Second
	bodyRate = 256 << 10 // bytes a second
)

// jsonBody is a request's body. It stands in an input struct under another name
// than huma's own Body, because huma decodes twice, through floating point, and
// lets repeated keys and keys of another case pass.
type jsonBody[T object[T]] struct {
	Value T
}

// Resolve is called by huma before the handler; what it returns is answered.
func (b *jsonBody[T]) Resolve(ctx huma.Context) []error {
	body, problem, release := readBody(ctx)
	defer release()
	if problem != nil {
		return []error{problem}
	}
	if len(body) == 0 && !ctx.Operation().RequestBody.Required {
		return nil
	}
	if problems := decode(body, &b.Value); len(problems) > 0 {
		return []error{invalidRequest(problems)}
	}
	return nil
}

// readBody returns a body, whose memory is counted until release is called.
func readBody(ctx huma.Context) (content []byte, problem *Problem, release func()) {
	limit := ctx.Operation().MaxBodyBytes
	var body bytes.Buffer
	httpRequest := humagin.Unwrap(ctx).Request
	length := httpRequest.ContentLength
	if length > limit {
		return nil, bodyTooLarge(limit), func() {}
	}
	if length > 0 {
		body.Grow(int(min(length, bodyRoom)) + bytes.MinRead)
	}
	callOff := func() {}
	if length != 0 {
		callOff = limitBodyTime(ctx, cmp.Or(max(0, length), limit))
	}
	caller := requestFrom(httpRequest.Context())
	counted := &heldBody{Reader: ctx.BodyReader(), budget: caller.bodies}
	if _, err := body.ReadFrom(http.MaxBytesReader(nil, io.NopCloser(counted), limit)); err != nil {
		// The deadline stays: the server would go on to read what is left.
		return nil, unreadable(err, limit), counted.release
	}
	callOff()
	if body.Len() == 0 {
		return nil, nil, counted.release
	}
	contentType := ctx.Header("Content-Type")
	if contentType == "" && caller.isCookie {
		// A page of another origin can send such a one without being asked about it.
		return nil, codeUnsupportedMedia.problem("a body that comes with a cookie must say that it is application/json"), counted.release
	}
	return body.Bytes(), checkMediaType(contentType, ctx.Header("Content-Encoding")), counted.release
}

// bodyBudget is how much memory the bodies being read take, and may.
type bodyBudget struct {
	held atomic.Int64
	most int64
}

// heldBody counts a body's bytes as they arrive, and refuses to be read when too
// many are there already. Batches, of which each takes more, have a count of their
// own beside this one: batchMemory.
type heldBody struct {
	io.Reader
	budget *bodyBudget // nil: not counted
	read   int64
}

func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.budget == nil {
		return n, err
	}
	b.read += int64(n)
	if b.budget.held.Add(int64(n)) > b.budget.most {
		return n, codeOverloaded.problem("too many bodies are under way")
	}
	return n, err
}

func (b *heldBody) release() {
	if b.budget != nil {
		b.budget.held.Add(-b.read)
	}
}

// limitBodyTime gives a body of so many bytes its time to arrive, until it is
// called off: the server takes a deadline that passes later for a caller who has
// gone.
func limitBodyTime(ctx huma.Context, length int64) (callOff func()) {
	until := clock.System().Add(bodyTime + time.Duration(length)*time.Second/bodyRate)
	if ctx.SetReadDeadline(until) != nil {
		return func() {} // this connection has none; the server's own time counts
	}
	return func() {
		_ = ctx.SetReadDeadline(time.Time{}) // it could a moment ago
	}
}

func bodyTooLarge(limit int64) *Problem {
	return codeBodyTooLarge.problem("the body must have at most %d bytes", limit)
}

func unreadable(err error, limit int64) *Problem {
	var problem *Problem
	if errors.As(err, &problem) {
		return problem
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return bodyTooLarge(limit)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return codeBodyTimeout.problem("the body did not arrive in time")
	}
	return invalidRequest([]ledger.FieldError{{Field: "body", Problem: "ended before its announced length"}})
}

func checkMediaType(contentType, encoding string) *Problem {
	if encoding != "" && !strings.EqualFold(encoding, "identity") {
		return codeUnsupportedMedia.problem("the body must have no content encoding")
	}
	if contentType == "" || contentType == "application/json" {
		return nil
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	charset := parameters["charset"]
	if err != nil || media != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return codeUnsupportedMedia.problem("the body must be application/json in UTF-8, not %.100s", contentType)
	}
	return nil
}
