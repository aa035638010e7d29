package admin

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"florin/internal/api"
)

func TestTheVerdictIsNoMoreThanWasProved(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	yes, no, recent, old := true, false, now.Add(-time.Minute), now.Add(-3*time.Hour)
	for _, c := range []struct {
		name     string
		shown    api.Overview
		tone     string
		headline string
	}{
		{"never proved", api.Overview{}, "unknown", "Not known yet"},
		{"proved", api.Overview{IsBalanced: &yes, LastBalanceAt: &recent, Proofs: []api.Proof{{Kind: "BALANCES", IsBalanced: true}}}, "good", "The books balance"},
		{"wrong", api.Overview{IsBalanced: &no, LastBalanceAt: &recent}, "bad", "do not balance"},
		{"not looked at since", api.Overview{IsBalanced: &yes, LastBalanceAt: &old}, "wait", "balanced 3 h ago"},
		{"an older full proof was wrong", api.Overview{IsBalanced: &yes, LastBalanceAt: &recent, Proofs: []api.Proof{{Kind: "BALANCES", IsBalanced: true}, {Kind: "FULL"}}}, "bad", "full proof failed"},
		{"offences beside the books", api.Overview{IsBalanced: &yes, LastBalanceAt: &recent, Proofs: []api.Proof{{Kind: "FULL", IsBalanced: true, Offences: 2}}}, "wait", "not all else"},
	} {
		c.shown.ReadAt = now
		got := (&overviewShown{Overview: c.shown}).verdict()
		if got.tone != c.tone || !strings.Contains(got.headline, c.headline) {
			t.Errorf("%s: %s %q", c.name, got.tone, got.headline)
		}
	}
}

func TestBarsHoldAllThatWasExecuted(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 11, 21, 11, 0, 30, 0, time.UTC)
	for _, c := range []struct {
		period, bucket, want time.Duration
	}{
		{10 * time.Minute, 10 * time.Second, 10 * time.Second},
		{time.Hour, 10 * time.Second, time.Minute},
		{24 * time.Hour, time.Minute, 30 * time.Minute},
		{7 * 24 * time.Hour, 10 * time.Minute, 3 * time.Hour},
	} {
		a := api.Activity{From: from, To: from.Add(c.period), BucketSeconds: int64(c.bucket / time.Second)}
		all, length := bins(&a, nil)
		if length != c.want || len(all) > binsMax+2 || !all[0].at.Equal(from) || all[0].lasts > length {
			t.Errorf("%s: %d bars of %s from %s", c.period, len(all), length, all[0].at)
		}
	}
	a := api.Activity{From: from, To: from.Add(time.Hour), BucketSeconds: 10}
	all, _ := bins(&a, []api.ActivityPoint{
		{At: from, Completed: 9, Volume: "9.99"}, // in half a minute
		{At: from.Add(30 * time.Second), Completed: 1, Failed: 2, Volume: "0.10"},
		{At: from.Add(80 * time.Second), Completed: 3, Volume: "0.20"},
	})
	if b := all[0]; b.completed != 9 || b.lasts != 30*time.Second || b.volume.String() != "9.99" {
		t.Errorf("the first bar is %+v", b)
	}
	if b := all[1]; b.completed != 4 || b.failed != 2 || b.lasts != time.Minute || b.volume.String() != "0.3" {
		t.Errorf("the second bar is %+v", b)
	}
}

func TestStreamsEndWhenTheirServerShutsDown(t *testing.T) {
	t.Parallel()
	live, begun := newStreams(), make(chan struct{})
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, cancel := live.contextOf(r)
		defer cancel()
		close(begun)
		<-ctx.Done()
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	go func() {
		if answer, err := http.Get("http://" + listener.Addr().String()); err == nil { //nolint:noctx // ended by the server
			_ = answer.Body.Close()
		}
	}()
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("the stream holds up the server: %v", err)
	}
}

func TestAnEventIsOneLineWhateverIsInIt(t *testing.T) {
	t.Parallel()
	event, err := eventOf("", []string{"a\r\revent: ended\n\ndata: <b>"})
	if err != nil {
		t.Fatal(err)
	}
	if body := strings.TrimSuffix(event, "\n\n"); strings.ContainsAny(body, "\r\n") {
		t.Errorf("%q", event)
	}
}
