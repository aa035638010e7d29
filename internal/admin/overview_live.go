package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"florin/internal/platform/clock"
)

const (
	// liveInterval is between two looks of a page that is live.
	liveInterval = 2 * time.Second
	// liveWriteMax is how long a browser may take to be sent one look.
	liveWriteMax = 10 * time.Second
)

// streams are answers that go on until the browser leaves. A server that shuts down
// waits for the requests under way, so they have to be ended then.
type streams struct {
	shutdown context.Context
	end      context.CancelFunc
	servers  sync.Map // those that will call end
}

func newStreams() *streams {
	shutdown, end := context.WithCancel(context.Background()) //nolint:gosec // end is called by the server that shuts down
	return &streams{shutdown: shutdown, end: end}
}

// contextOf ends with the request, or when its server shuts down. Call the function
// after use.
func (s *streams) contextOf(r *http.Request) (context.Context, context.CancelFunc) {
	if server, isServed := r.Context().Value(http.ServerContextKey).(*http.Server); isServed {
		if _, isKnown := s.servers.LoadOrStore(server, nil); !isKnown {
			server.RegisterOnShutdown(s.end)
		}
	}
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(s.shutdown, cancel)
	return ctx, func() { stop(); cancel() }
}

// streamOverview sends the parts of the page that have changed, look by look, as
// server-sent events: without a name the parts as a JSON array of HTML, "trouble" and
// "ended" as why there are none now, or none any more. Each look asks the API as the
// page did, so what ends a session, or changes its rights, shows with the next.
func (p *Pages) streamOverview(w http.ResponseWriter, r *http.Request, live *streams) error {
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		p.redirect(w, r, overviewPath+apiQuery(r.URL.Query(), "minutes"))
		return nil
	}
	to := http.NewResponseController(w)
	// The server's own bounds are for requests that end.
	if err := to.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("keep the request open: %w", err)
	}
	ctx, cancel := live.contextOf(r)
	defer cancel()
	r = r.WithContext(ctx)
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would keep the events to itself
	for sent := map[string]string{}; ; {
		event, isLast, err := p.nextEvent(r, sent)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil { // an answer that has begun has no place for it
			p.log.ErrorContext(ctx, "live page", slog.String("requestId", requestOf(r).id), slog.String("path", r.URL.Path), slog.Any("error", err))
			return nil
		}
		if send(w, to, event) != nil || isLast || !clock.Sleep(ctx, liveInterval) {
			return nil // the browser is gone, or need not stay
		}
	}
}

func send(w http.ResponseWriter, to *http.ResponseController, event string) error {
	if err := to.SetWriteDeadline(clock.System().Add(liveWriteMax)); err != nil {
		return err
	}
	if _, err := w.Write([]byte(event)); err != nil { //nolint:gosec // JSON in a text/event-stream, of HTML that templ has escaped
		return err
	}
	return to.Flush()
}

// nextEvent is one look: the parts that are not as they were sent.
func (p *Pages) nextEvent(r *http.Request, sent map[string]string) (event string, isLast bool, err error) {
	s, err := p.readOverview(r)
	if refused := (*problem)(nil); errors.As(err, &refused) {
		name := "trouble"
		if isLast = refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden; isLast {
			name = "ended"
		}
		event, err = eventOf(name, refused.Title)
		return event, isLast, err
	}
	if err != nil {
		return "", true, err
	}
	changed := []string{}
	for _, part := range append(s.parts(), overviewPart{id: "read", view: overviewRead(&s)}) {
		var html strings.Builder
		if err := overviewPartView(part).Render(r.Context(), &html); err != nil {
			return "", true, err
		}
		if sent[part.id] != html.String() {
			sent[part.id] = html.String()
			changed = append(changed, html.String())
		}
	}
	event, err = eventOf("", changed)
	return event, false, err
}

// eventOf is a server-sent event. Its data is JSON, which is one line, whatever is in
// it.
func eventOf(name string, data any) (string, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("write an event: %w", err)
	}
	if name != "" {
		name = "event: " + name + "\n"
	}
	return name + "data: " + string(text) + "\n\n", nil
}
