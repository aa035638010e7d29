package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// What is streamed outlasts the limits of a request, and ends when its caller goes
// away, also after them.
func TestStreamsOutlastARequestAndEndWithItsCaller(t *testing.T) {
	const limit = 200 * time.Millisecond
	running, ended := make(chan error, 1), make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), requestKey{}, &request{caller: r.Context(), answer: w}), limit)
		defer cancel()
		streaming, stop := lasting(ctx)
		defer stop()
		time.Sleep(3 * limit)
		running <- streaming.Err()
		<-streaming.Done()
		close(ended)
	}))
	server.Config.ReadTimeout = limit
	server.Start()
	defer server.Close()

	calling, leave := context.WithCancel(t.Context())
	defer leave()
	go func() {
		call, _ := http.NewRequestWithContext(calling, http.MethodGet, server.URL, http.NoBody)
		if answer, err := server.Client().Do(call); err == nil {
			_ = answer.Body.Close()
		}
	}()
	if err := <-running; err != nil {
		t.Fatalf("it ended within its caller's time: %v", err)
	}
	leave()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on without its caller")
	}
}
