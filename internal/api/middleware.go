package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/identity"
	"florin/internal/platform/clock"
	"florin/internal/platform/id"
)

// request is what is known about the request being answered.
type request struct {
	id        string
	address   netip.Addr         // of the caller
	principal identity.Principal // the caller, when he had to say who he is
	isCookie  bool               // he said so by a cookie
	bodies    *bodyBudget        // that the request's body counts in
	err       error              // why the answer is a 5xx
	stack     []byte             // where it panicked
	caller    context.Context    // ends when the caller goes away: without our time limit
	answer    http.ResponseWriter
}

type requestKey struct{}

// requestMax bounds a request: longer than a transaction may take, and than a
// read may take on the server. A write that outlives it is found by its id.
const requestMax = 40 * time.Second

// requestFrom returns nil outside a request.
func requestFrom(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

func newDurations(registry prometheus.Registerer) *prometheus.HistogramVec {
	durations := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "florin_http_request_duration_seconds",
		Help:    "Time to answer a request, by method, pattern of the route and status; its _count counts requests.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"method", "route", "status"})
	registry.MustRegister(durations)
	return durations
}

// observe gives the request its id and, when it is answered, writes its line in
// the log and counts it.
func (a *api) observe(c *gin.Context) {
	elapsed := clock.Stopwatch()
	r := &request{id: requestID(c.GetHeader("X-Request-Id")), caller: c.Request.Context(), answer: c.Writer}
	ctx, cancel := context.WithTimeout(context.WithValue(c.Request.Context(), requestKey{}, r), requestMax)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	header := c.Writer.Header()
	header["X-Request-Id"] = []string{r.id}
	for _, h := range a.headers {
		header[h.name] = h.values
	}
	c.Next()

	took, status, pattern := elapsed(), c.Writer.Status(), c.FullPath()
	if pattern == "" {
		pattern = "none" // never the path itself: anybody could make up new ones
	}
	a.durations.WithLabelValues(knownMethod(c.Request.Method), pattern, strconv.Itoa(status)).Observe(took.Seconds())
	level := slog.LevelInfo
	switch {
	case status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable:
		level = slog.LevelError
	case isProbe(pattern):
		level = slog.LevelDebug
	case status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	}
	if !a.log.Enabled(c.Request.Context(), level) {
		return
	}
	attributes := make([]slog.Attr, 0, 10)
	attributes = append(attributes,
		slog.String("requestId", r.id), slog.String("method", c.Request.Method), slog.String("route", pattern),
		slog.Int("status", status), slog.Duration("duration", took),
		slog.String("actor", r.principal.ID), slog.String("address", addressText(r.address)), slog.Int("bytes", max(0, c.Writer.Size())))
	if r.err != nil {
		attributes = append(attributes, slog.Any("error", r.err))
	}
	if r.stack != nil {
		attributes = append(attributes, slog.String("stack", string(r.stack)))
	}
	a.log.LogAttrs(c.Request.Context(), level, "request", attributes...)
}

func isProbe(pattern string) bool { return pattern == "/healthz" || pattern == "/readyz" }

// knownMethod keeps made-up methods out of the metrics' labels.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodPut, http.MethodHead, http.MethodOptions:
		return method
	}
	return "other"
}

// requestID takes the caller's id when it is harmless.
func requestID(given string) string {
	if given == "" || len(given) > 64 {
		return id.New("req")
	}
	for _, c := range []byte(given) {
		isAlphanumeric := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !isAlphanumeric && c != '.' && c != '_' && c != '-' {
			return id.New("req")
		}
	}
	return given
}

// recoverPanic answers 500 and leaves the stack to the log.
func (a *api) recoverPanic(c *gin.Context) {
	defer func() {
		panicked := recover()
		if panicked == nil {
			return
		}
		err, isError := panicked.(error)
		if errors.Is(err, http.ErrAbortHandler) {
			panic(panicked) // the connection is cut, so that half an answer shows
		}
		r := requestFrom(c.Request.Context())
		if !isError {
			err = fmt.Errorf("%v", panicked)
		}
		if gone := (*net.OpError)(nil); errors.As(err, &gone) {
			c.Abort() // nobody is there to read an answer
			return
		}
		r.stack = debug.Stack()
		problem := codeInternalError.problem("the log says why, under this requestId").caused(fmt.Errorf("panic: %w", err)).of(c.Request.Context())
		if c.Writer.Written() {
			c.Abort()
			return
		}
		a.answerProblem(c, problem)
	}()
	c.Next()
}

// answerProblem answers outside huma's handlers and ends the chain.
func (*api) answerProblem(c *gin.Context, problem *Problem) {
	problem = problem.of(c.Request.Context())
	for name, values := range problem.GetHeaders() {
		c.Writer.Header()[name] = values
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(problem) // strings and numbers: can't fail
	c.Abort()
	c.Data(problem.Status, problemJSON, body.Bytes())
}
