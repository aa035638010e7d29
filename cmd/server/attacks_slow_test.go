package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Who sends his header drop by drop, or never ends it, is cut off, and so is one
// whose header is too large; meanwhile others are answered. Slow bodies are the
// API's own (TestSlowBodiesAreCutOff).
func TestAttackSlowAndLargeHeaders(t *testing.T) {
	t.Parallel() // it waits
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := publicServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), slog.New(slog.DiscardHandler))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	address := listener.Addr().String()
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	slow := make([]net.Conn, 200)
	began := time.Now()
	for i := range slow {
		slow[i] = dial()
		fmt.Fprintf(slow[i], "GET / HTTP/1.1\r\nHost: x\r\n")
	}
	trickle := time.NewTicker(500 * time.Millisecond)
	defer trickle.Stop()
	stopped := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stopped:
				return
			case <-trickle.C:
			}
			for _, conn := range slow {
				_, _ = fmt.Fprintf(conn, "X-%d: a\r\n", n)
			}
		}
	}()
	defer close(stopped)

	response, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		t.Errorf("others are answered %d", response.StatusCode)
	}
	large := dial()
	fmt.Fprintf(large, "GET / HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\n\r\n", strings.Repeat("a", 2*headerMax))
	answered, err := http.ReadResponse(bufio.NewReader(large), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answered.Body.Close()
	if answered.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of %d bytes is answered %d", 2*headerMax, answered.StatusCode)
	}
	for _, conn := range slow {
		_ = conn.SetReadDeadline(began.Add(40 * time.Second))
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatal("a slow header is not cut off")
		}
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("they were cut off after %s", took)
	}
}
