package embedded

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"florin/internal/platform/clock"
	"florin/internal/platform/process"
)

const (
	databaseName = "florin"
	loopback     = "127.0.0.1"

	startLimit = 5 * time.Minute  // recovery after a crash takes its time
	adoptLimit = 30 * time.Second // an orphan that does not answer by then is stopped
	pollPause  = 50 * time.Millisecond
	heldLimit  = 30 * time.Second // what a dead engine left running lets go by then
)

// errHeld means that processes of a dead engine still hold what a new one needs.
var errHeld = errors.New("what is left of the last run still holds the data")

// first starts the engine for the first time in this process, on the port of
// the last run if that is free.
func (n *node) first(ctx context.Context) (*process.Process, error) {
	held, cancel := context.WithTimeout(ctx, heldLimit)
	defer cancel()
	for ports := 0; ; {
		if n.port == 0 || !free(n.port) {
			if ports++; ports > 5 {
				return nil, fmt.Errorf("%w: %s finds no free port on %s: look at what listens there with ss -ltnp",
					ErrNotStarted, n.engine.title(), loopback)
			}
			n.port = freePort()
		}
		p, err := n.launch(ctx)
		switch {
		case err == nil:
			n.log.Info("database engine started", "engine", n.engine.name(), "version", n.engine.title(), "port", n.port, "pid", p.PID)
			return p, nil
		case ctx.Err() != nil:
			return nil, err
		case !free(n.port): // somebody took it in between
		case !errors.Is(err, errHeld) || !clock.Sleep(held, 500*time.Millisecond):
			return nil, err
		}
	}
}

// adopt takes over an engine whose owner is gone. It returns no process when
// there is none, or when it ended or had to be stopped.
func (n *node) adopt(ctx context.Context, last state) (*process.Process, error) {
	if !last.alive() {
		return nil, nil
	}
	p := process.Watch(last.PID, last.Process)
	n.port = last.Port
	if last.Bound { // it still answers, but is about to end
		return nil, p.Stop(ctx, last.ladder())
	}
	limited, cancel := context.WithTimeout(ctx, adoptLimit)
	defer cancel()
	err := n.ready(limited, p, 0)
	switch {
	case err == nil:
		n.process = p
		n.log.Info("adopted the database engine that a killed process left running",
			"engine", n.engine.name(), "port", n.port, "pid", p.PID)
		return p, n.remember(p, true)
	case ctx.Err() != nil, errors.Is(err, ErrBadSetting):
		return nil, err
	}
	return nil, p.Stop(ctx, n.state().ladder())
}

// launch is one try to start the engine on n.port and have it answer. When it
// fails, nothing is left running.
func (n *node) launch(ctx context.Context) (*process.Process, error) {
	cmd, err := n.engine.command(n.port)
	if err != nil {
		return nil, err
	}
	log, from, err := n.folder.openLog(n.engine.name())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	p, err := process.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("%w: cannot run %s: %w: install it again, or name another one", ErrBadBinary, cmd.Path, reason(err))
	}
	n.mu.Lock()
	n.process = p
	n.mu.Unlock()
	if err = n.remember(p, false); err == nil {
		if err = n.ready(ctx, p, from); err == nil {
			err = n.remember(p, true)
		}
	}
	if err != nil {
		return nil, errors.Join(err, p.Stop(ctx, n.state().ladder()))
	}
	return p, nil
}

func (n *node) remember(p *process.Process, ready bool) error {
	st := n.state()
	st.PID, st.Process, st.Bound, st.Ready = p.PID, process.Identify(p.PID), p.Bound(), ready
	return n.folder.writeState(st)
}

// ready waits until the engine answers and sets it up.
func (n *node) ready(ctx context.Context, p *process.Process, from int64) error {
	refusals := 0
	for {
		conn, err := n.engine.open(ctx, n.port)
		if err == nil {
			err = n.engine.setUp(ctx, conn)
			_ = conn.Close(ctx)
			if err == nil || p.Running() {
				return err
			}
		}
		if !p.Running() {
			return n.ended(p, from)
		}
		// A server that knows no such user or password is not ours, which then
		// ends because its port is taken; or it is, and will never let us in.
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && (pg.Code == "28P01" || pg.Code == "28000") {
			if refusals++; refusals > 40 {
				return fmt.Errorf("%w: %s in %s refuses the password kept beside its data: restore that folder from a copy, or move it away",
					ErrBrokenDataDir, n.engine.title(), n.folder.path)
			}
		}
		if !clock.Sleep(ctx, pollPause) {
			return fmt.Errorf("%w: %s gave no answer in time (%w): see %s", ErrNotStarted, n.engine.title(), ctx.Err(), n.folder.logPath(n.engine.name()))
		}
	}
}

// ended says why an engine ended before it answered.
func (n *node) ended(p *process.Process, from int64) error {
	words := n.folder.lastWords(n.engine.name(), from)
	if n.engine.held(words) {
		return fmt.Errorf("%w: %w: %s: end the processes that still use %s and try again", ErrBrokenDataDir, errHeld, words, n.folder.path)
	}
	kind, advice := ErrBrokenDataDir, "mend that, or move the folder away"
	if n.engine.fresh() {
		kind, advice = ErrNotStarted, "mend that and try again"
	}
	return fmt.Errorf("%w: %s in %s ended (%s): %s: %s; log: %s",
		kind, n.engine.title(), n.folder.path, p.How(), words, advice, n.folder.logPath(n.engine.name()))
}

// connect opens one connection, with a bound of its own.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.ConnectTimeout = 5 * time.Second
	return pgx.ConnectConfig(ctx, config)
}

// free says whether a port of the loopback can be listened on.
func free(port int) bool {
	l, err := net.Listen("tcp", address(port))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// freePort picks a free port below those the system hands out by itself, where
// no outgoing connection takes it while the engine is being restarted.
func freePort() int {
	for range 100 {
		if port := 20000 + rand.IntN(12000); free(port) {
			return port
		}
	}
	l, err := net.Listen("tcp", address(0))
	if err != nil {
		return 0
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// ports are those given to programs that do not listen yet.
type ports map[int]bool

// pick is the last port if it is free, else another one, and never one twice.
func (taken ports) pick(last int) int {
	port := last
	for tries := 0; tries < 100 && (port == 0 || taken[port] || !free(port)); tries++ {
		port = freePort()
	}
	taken[port] = true
	return port
}
