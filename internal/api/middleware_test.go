package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"florin/internal/api"
	"florin/internal/platform/id"
)

// bare is the API without a ledger: for what never reaches one.
func bare(t *testing.T, ready error) *server {
	s := &server{t: t, metrics: prometheus.NewRegistry(), log: newLog(t)}
	listener := httptest.NewServer(api.New(api.Options{
		Authenticate: authenticate, Ready: func(context.Context) error { return ready },
		Log: slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Registry: s.metrics,
	}))
	t.Cleanup(listener.Close)
	s.url = listener.URL
	return s
}

func TestNobodyGetsInWithoutAKey(t *testing.T) {
	s := bare(t, nil)
	for _, path := range []string{"/api/v1/accounts", "/api/v1/accounts/a", "/api/v1/nothing", "/api/v2"} {
		for _, authorization := range []string{"", "Bearer", "Bearer  ", "Bearer wrong", "Basic " + key, key} {
			refused := s.get(path, "Authorization", authorization).wantProblem(http.StatusUnauthorized, "unauthenticated", "")
			if refused.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("WWW-Authenticate %q", refused.header.Get("WWW-Authenticate"))
			}
		}
	}
	s.post("/api/v1/transfers", "no JSON", "Authorization", "").wantProblem(http.StatusUnauthorized, "unauthenticated", "")
	down := s.get("/api/v1/accounts", "Authorization", "Bearer database-down").wantProblem(http.StatusServiceUnavailable, "database_unavailable", "")
	if down.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", down.header.Get("Retry-After"))
	}
	if log := s.log.String(); strings.Contains(log, "wrong") || strings.Contains(log, key) {
		t.Errorf("a token stands in the log: %s", log)
	}
}

func TestUnknownPathsAndMethodsAreProblemsToo(t *testing.T) {
	s := bare(t, nil)
	for _, path := range []string{"/", "/nothing", "/api/v1/nothing", "/api/v1/accounts/", "/api/v1/accounts/a/b", "/docs/"} {
		s.get(path).wantProblem(http.StatusNotFound, "not_found", "")
	}
	if wrong := s.call(http.MethodPut, "/api/v1/accounts", "{}").wantProblem(http.StatusMethodNotAllowed, "method_not_allowed", ""); wrong.header.Get("Allow") == "" {
		t.Error("no Allow")
	}
	s.call("BREW", "/healthz", nil).wantProblem(http.StatusMethodNotAllowed, "method_not_allowed", "")
}

func TestProbes(t *testing.T) {
	s := bare(t, nil)
	s.get("/healthz", "Authorization", "").want(http.StatusOK).wantFields(object{"status": "ok"})
	s.get("/readyz", "Authorization", "").want(http.StatusOK).wantFields(object{"status": "ready"})
	for _, path := range []string{"/healthz", "/readyz"} {
		get, head := s.get(path, "Authorization", ""), s.call(http.MethodHead, path, nil, "Authorization", "")
		if head.want(http.StatusOK); head.text != "" || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
			t.Errorf("HEAD %s: %v %q", path, head.header, head.text)
		}
	}
	s = bare(t, errors.New("password of the database"))
	s.call(http.MethodHead, "/readyz", nil).want(http.StatusServiceUnavailable)
	s.get("/healthz").want(http.StatusOK)
	if refused := s.get("/readyz").wantProblem(http.StatusServiceUnavailable, "not_ready", ""); strings.Contains(refused.text, "password") {
		t.Errorf("internals are told: %s", refused.text)
	}
}

func TestRequestIDIsTheCallersWhenItIsHarmless(t *testing.T) {
	s := bare(t, nil)
	for given, kept := range map[string]bool{
		"abc.DEF-1_2": true, strings.Repeat("x", 64): true,
		strings.Repeat("x", 65): false, "a b": false, "a/b": false, `"`: false, "": false, "ä": false,
	} {
		got := s.get("/healthz", "X-Request-Id", given).header.Get("X-Request-Id")
		if got == "" || (got == given) != kept {
			t.Errorf("X-Request-Id %q became %q", given, got)
		}
	}
	s.get("/nothing", "X-Request-Id", "mine").wantFields(object{"requestId": "mine", "instance": "/requests/mine"})
}

func TestPanicIsAnsweredAndLoggedButNotTold(t *testing.T) {
	s := bare(t, nil)
	got := s.get("/api/v1/accounts", "Authorization", "Bearer panic", "X-Request-Id", "panicked").
		wantProblem(http.StatusInternalServerError, "internal_error", "")
	if strings.Contains(got.text, "secret of the program") || strings.Contains(got.text, "goroutine") {
		t.Errorf("internals are told: %s", got.text)
	}
	log := s.log.waitFor(t, `"requestId":"panicked"`)
	for _, part := range []string{"secret of the program", "goroutine", `"level":"ERROR"`} {
		if !strings.Contains(log, part) {
			t.Errorf("no %s in the log: %s", part, log)
		}
	}
}

// waitFor waits for a line of the log, which is written after the answer.
func (l *logLines) waitFor(t *testing.T, part string) string {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for line := range strings.Lines(l.String()) {
			if strings.Contains(line, part) {
				return line
			}
		}
	}
	t.Fatalf("no %s in the log: %s", part, l.String())
	return ""
}

func TestEveryRequestIsLoggedOnceAndCounted(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		account := s.open("1")
		requestID := id.New("r")
		s.get("/api/v1/accounts/"+account, "X-Request-Id", requestID).want(http.StatusOK)
		line := s.log.waitFor(t, requestID)
		for _, part := range []string{`"msg":"request"`, `"method":"GET"`, `"route":"/api/v1/accounts/:accountId"`, `"status":200`, `"duration":`, `"actor":"actor-alice"`, `"bytes":`} {
			if !strings.Contains(line, part) {
				t.Errorf("no %s in %s", part, line)
			}
		}
		if n := strings.Count(s.log.String(), requestID); n != 1 {
			t.Errorf("%d lines for one request", n)
		}
		s.get("/healthz", "X-Request-Id", "probe-1")
		if strings.Contains(s.log.String(), "probe-1") {
			t.Error("a probe is logged above debug level")
		}
		families, err := s.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, family := range families {
			all.WriteString(family.String())
		}
		if text := all.String(); !strings.Contains(text, "/api/v1/accounts/:accountId") || strings.Contains(text, account) {
			t.Errorf("metrics %s", text)
		}
	})
}

func TestAnswersMayNotBeSniffedOrKept(t *testing.T) {
	s := bare(t, nil)
	header := s.get("/api/v1/nothing").header
	if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", header)
	}
	if header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("other origins are let in")
	}
}

func TestBodyThatEndsTooEarlyIsRefused(t *testing.T) {
	s := bare(t, nil)
	reader, writer := io.Pipe()
	go func() {
		_, _ = writer.Write([]byte(`{"transactionId":`))
		writer.Close()
	}()
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/v1/transfers", reader)
	r.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	answer{t, response.StatusCode, response.Header, string(text)}.wantProblem(http.StatusBadRequest, "invalid_request", "transactionId")
}

func TestBatchesUnderWayAreBounded(t *testing.T) {
	s := bare(t, nil)
	large := strings.Repeat(" ", 16<<20-8<<10) // blanks before the JSON
	const small = 64 << 10
	var held []*io.PipeWriter
	var sending sync.WaitGroup
	for _, caller := range []string{key, otherKey, "operator:"} { // none may hold it all
		reader, writer := io.Pipe()
		held = append(held, writer)
		go func() {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/v1/transfers/batch", reader)
			r.Header.Set("Authorization", "Bearer "+caller)
			if response, err := http.DefaultClient.Do(r); err == nil {
				response.Body.Close()
			}
		}()
		sending.Go(func() { _, _ = io.WriteString(writer, large) })
	}
	sending.Wait()
	time.Sleep(200 * time.Millisecond) // what stands in the sockets is read, too
	refused := s.post("/api/v1/transfers/batch", large[:small]).wantProblem(http.StatusServiceUnavailable, "overloaded", "")
	if refused.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	for _, writer := range held {
		writer.Close()
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if s.post("/api/v1/transfers/batch", large[:small]).status == http.StatusBadRequest {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the room of finished batches is not given back")
		}
	}
}

func TestOneCallersBatchesLeaveRoomForOthers(t *testing.T) {
	s := bare(t, nil)
	const small = 64 << 10
	reader, writer := io.Pipe()
	var first sync.WaitGroup
	first.Go(func() {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/v1/transfers/batch", reader)
		r.Header.Set("Authorization", "Bearer "+key)
		if response, err := http.DefaultClient.Do(r); err == nil {
			response.Body.Close()
		}
	})
	large := strings.Repeat(" ", 15<<20)
	if _, err := io.WriteString(writer, large); err != nil { // and it goes on
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // what stands in the sockets is read, too
	s.post("/api/v1/transfers/batch", large).wantProblem(http.StatusServiceUnavailable, "overloaded", "")
	s.post("/api/v1/transfers/batch", large, "Authorization", "Bearer "+otherKey).wantProblem(http.StatusBadRequest, "invalid_request", "body")
	s.post("/api/v1/transfers/batch", large[:small]).wantProblem(http.StatusServiceUnavailable, "overloaded", "")
	writer.Close()
	first.Wait()
	s.post("/api/v1/transfers/batch", large).wantProblem(http.StatusBadRequest, "invalid_request", "body")
	s.post("/api/v1/transfers/batch", large[:small]).wantProblem(http.StatusBadRequest, "invalid_request", "body")
}

// Bodies that trickle in end in time, however lively the trickle is.
func TestSlowBodiesAreCutOff(t *testing.T) {
	t.Parallel() // it waits
	s := bare(t, nil)
	for _, length := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked"} {
		t.Run(length, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST /api/v1/holds HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n", key, length)
			began := time.Now()
			stopped := make(chan struct{})
			defer close(stopped)
			go func() {
				for drop := " "; ; time.Sleep(200 * time.Millisecond) {
					if strings.HasPrefix(length, "Transfer") {
						drop = "1\r\n \r\n"
					}
					if _, err := io.WriteString(conn, drop); err != nil {
						return
					}
					select {
					case <-stopped:
						return
					default:
					}
				}
			}()
			_ = conn.SetReadDeadline(time.Now().Add(40 * time.Second))
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			text, _ := io.ReadAll(response.Body)
			answer{t, response.StatusCode, response.Header, string(text)}.wantProblem(http.StatusRequestTimeout, "body_timeout", "")
			if took := time.Since(began); took < 5*time.Second || took > 30*time.Second {
				t.Errorf("cut off after %s", took)
			}
		})
	}
}
