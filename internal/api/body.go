package api

import (
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"florin/internal/ledger"
)

const (
	bodyMax      = 1 << 20
	batchBodyMax = 16 << 20
	// bodyRoom is how much memory is set aside on the word of Content-Length.
	bodyRoom = 256 << 10
)

// jsonBody is a request's body. It stands in an input struct under another name
// than huma's own Body, because huma decodes twice, through floating point, and
// lets repeated keys and keys of another case pass.
type jsonBody[T object[T]] struct {
	Value T
}

// Resolve is called by huma before the handler; what it returns is answered.
func (b *jsonBody[T]) Resolve(ctx huma.Context) []error {
	text, problem := readBody(ctx)
	if problem != nil {
		return []error{problem}
	}
	if text == "" && !ctx.Operation().RequestBody.Required {
		return nil
	}
	if problems := decode(text, &b.Value); len(problems) > 0 {
		return []error{invalidRequest(problems)}
	}
	return nil
}

var copyBuffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// readBody returns the body as one string, which the decoded fields are parts of.
func readBody(ctx huma.Context) (string, *Problem) {
	limit := ctx.Operation().MaxBodyBytes
	var text strings.Builder
	if length := humagin.Unwrap(ctx).Request.ContentLength; length > 0 {
		if length > limit {
			return "", bodyTooLarge(limit)
		}
		text.Grow(int(min(length, bodyRoom)))
	}
	buffer := copyBuffers.Get().(*[16 << 10]byte)
	defer copyBuffers.Put(buffer)
	body := http.MaxBytesReader(nil, io.NopCloser(ctx.BodyReader()), limit)
	if _, err := io.CopyBuffer(&text, onlyReader{body}, buffer[:]); err != nil {
		return "", unreadable(err, limit)
	}
	if text.Len() == 0 {
		return "", nil
	}
	return text.String(), checkMediaType(ctx.Header("Content-Type"), ctx.Header("Content-Encoding"))
}

// onlyReader hides everything else a reader can do, so that the buffer is used.
type onlyReader struct{ io.Reader }

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
