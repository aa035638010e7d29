package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"

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
	body, problem := readBody(ctx)
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

func readBody(ctx huma.Context) ([]byte, *Problem) {
	limit := ctx.Operation().MaxBodyBytes
	var body bytes.Buffer
	if length := humagin.Unwrap(ctx).Request.ContentLength; length > 0 {
		if length > limit {
			return nil, bodyTooLarge(limit)
		}
		body.Grow(int(min(length, bodyRoom)) + bytes.MinRead)
	}
	if _, err := body.ReadFrom(http.MaxBytesReader(nil, io.NopCloser(ctx.BodyReader()), limit)); err != nil {
		return nil, unreadable(err, limit)
	}
	if body.Len() == 0 {
		return nil, nil
	}
	return body.Bytes(), checkMediaType(ctx.Header("Content-Type"), ctx.Header("Content-Encoding"))
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
