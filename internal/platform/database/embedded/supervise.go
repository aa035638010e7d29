package embedded

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	databaseName = "florin"
	loopback     = "127.0.0.1"

	startLimit  = 5 * time.Minute  // recovery after a crash takes its time
	adoptLimit  = 30 * time.Second // an orphan that does not answer by then is stopped
	heldLimit   = 30 * time.Second // what a dead engine left running lets go by then
	stableAfter = 10 * time.Second // an engine this old has its restarts forgiven
)

// restartDelays are the pauses before each try to start a dead engine again.
// After the last try it is given up.
var restartDelays = []time.Duration{
	100 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second,
	5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second,
}

// errHeld means that processes of a dead engine still hold what a new one needs.
var errHeld = errors.New("what is left of the last run still holds the data")

// first starts the engine for the first time in this process, on the port of
// the last run if that is free.
func (s *Server) first(ctx context.Context, last state) (*process, error) {
	s.port = 0
	if last.Engine == s.engine.name() {
		s.port = last.Port
	}
	held, cancel := context.WithTimeout(ctx, heldLimit)
	defer cancel()
	for ports := 0; ; {
		if s.port == 0 || !free(s.port) {
			if ports++; ports > 5 {
				return nil, fmt.Errorf("%w: %s finds no free port on %s: look at what listens there with ss -ltnp",
					ErrNotStarted, s.engine.title(), loopback)
			}
			s.port = freePort()
		}
		p, err := s.launch(ctx)
		switch {
		case err == nil:
			s.log.Info("database engine started", "engine", s.engine.name(), "version", s.engine.title(), "port", s.port, "pid", p.pid)
			return p, nil
		case ctx.Err() != nil:
			return nil, err
		case !free(s.port): // somebody took it in between
		case !errors.Is(err, errHeld) || !sleep(held, 500*time.Millisecond):
			return nil, err
		}
	}
}

// adopt takes over an engine whose owner is gone. It returns no process when
// there is none, or when it ended or had to be stopped.
func (s *Server) adopt(ctx context.Context, last state) (*process, error) {
	if !last.alive() {
		return nil, nil
	}
	p := watch(last.PID, last.Process)
	s.port = last.Port
	limited, cancel := context.WithTimeout(ctx, adoptLimit)
	defer cancel()
	err := s.ready(limited, p, 0)
	switch {
	case err == nil:
		s.process = p
		s.log.Info("adopted the database engine that a killed process left running",
			"engine", s.engine.name(), "port", s.port, "pid", p.pid)
		return p, s.remember(p, true)
	case ctx.Err() != nil, errors.Is(err, ErrBadSetting):
		return nil, err
	}
	return nil, p.stop(ctx, stopLadder(s.engine.name(), s.options.Unsafe))
}

// launch is one try to start the engine on s.port and have it answer. When it
// fails, nothing is left running.
func (s *Server) launch(ctx context.Context) (*process, error) {
	cmd, err := s.engine.command(s.port)
	if err != nil {
		return nil, err
	}
	log, from, err := s.folder.openLog(s.engine.name())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	p, err := spawn(cmd)
	if err != nil {
		return nil, fmt.Errorf("%w: cannot run %s: %w: install it again, or name another one", ErrBadBinary, cmd.Path, reason(err))
	}
	s.mu.Lock()
	s.process = p
	s.mu.Unlock()
	if err = s.remember(p, false); err == nil {
		if err = s.ready(ctx, p, from); err == nil {
			err = s.remember(p, true)
		}
	}
	if err != nil {
		return nil, errors.Join(err, p.stop(ctx, stopLadder(s.engine.name(), s.options.Unsafe)))
	}
	return p, nil
}

func (s *Server) remember(p *process, ready bool) error {
	return s.folder.writeState(state{
		Engine: s.engine.name(), Port: s.port, PID: p.pid, Process: identify(p.pid),
		Ready: ready, Unsafe: s.options.Unsafe,
	})
}

// ready waits until the engine answers and sets it up.
func (s *Server) ready(ctx context.Context, p *process, from int64) error {
	refusals := 0
	for {
		conn, err := s.engine.open(ctx, s.port)
		if err == nil {
			err = s.engine.setUp(ctx, conn)
			_ = conn.Close(ctx)
			if err == nil || p.running() {
				return err
			}
		}
		if !p.running() {
			return s.ended(p, from)
		}
		// A server that knows no such user or password is not ours, which then
		// ends because its port is taken; or it is, and will never let us in.
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && (pg.Code == "28P01" || pg.Code == "28000") {
			if refusals++; refusals > 40 {
				return fmt.Errorf("%w: %s in %s refuses the password kept beside its data: restore that folder from a copy, or move it away",
					ErrBrokenDataDir, s.engine.title(), s.folder.path)
			}
		}
		if !sleep(ctx, 50*time.Millisecond) {
			return fmt.Errorf("%w: %s gave no answer in time (%w): see %s", ErrNotStarted, s.engine.title(), ctx.Err(), s.folder.logPath(s.engine.name()))
		}
	}
}

// ended says why an engine ended before it answered.
func (s *Server) ended(p *process, from int64) error {
	words := s.folder.lastWords(s.engine.name(), from)
	if s.engine.held(words) {
		return fmt.Errorf("%w: %w: %s: end the processes that still use %s and try again", ErrBrokenDataDir, errHeld, words, s.folder.path)
	}
	kind, advice := ErrBrokenDataDir, "mend that, or move the folder away"
	if s.engine.fresh() {
		kind, advice = ErrNotStarted, "mend that and try again"
	}
	return fmt.Errorf("%w: %s in %s ended (%s): %s: %s; log: %s",
		kind, s.engine.title(), s.folder.path, p.how, words, advice, s.folder.logPath(s.engine.name()))
}

// supervise starts the engine again whenever it dies, until Stop or until too
// many tries in a row have failed.
func (s *Server) supervise(p *process) {
	defer close(s.supervised)
	delays := restartDelays
	if s.options.restartDelays != nil {
		delays = s.options.restartDelays
	}
	for tries := 0; ; {
		stable := time.NewTimer(stableAfter)
		for waiting := true; waiting; {
			select {
			case <-s.life.Done():
				stable.Stop()
				return
			case <-stable.C:
				tries = 0
			case <-p.exited:
				waiting = false
			}
		}
		stable.Stop()
		died, pid := p.how, p.pid
		for {
			if tries == len(delays) {
				s.giveUp(fmt.Errorf("%w: %s (process %d) died (%s) and %d tries to start it again failed: see %s",
					ErrNotStarted, s.engine.title(), pid, died, tries, s.folder.logPath(s.engine.name())))
				return
			}
			if !sleep(s.life, delays[tries]) {
				return
			}
			tries++
			ctx, cancel := context.WithTimeout(s.life, startLimit)
			next, err := s.launch(ctx)
			cancel()
			if err == nil {
				s.log.Warn("database engine died and was started again", "engine", s.engine.name(), "port", s.port,
					"died_pid", pid, "died_how", died, "pid", next.pid, "try", tries)
				p = next
				break
			}
			if s.life.Err() != nil {
				return
			}
			s.log.Error("a try to start the dead database engine again failed", "engine", s.engine.name(), "try", tries, "tries", len(delays), "error", err)
		}
	}
}

func (s *Server) giveUp(err error) {
	s.log.Error("database engine given up", "error", err)
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	close(s.done)
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
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
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
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
