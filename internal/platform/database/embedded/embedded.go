// Package embedded runs a real database engine, PostgreSQL or CockroachDB, for
// one machine inside a data folder, so that a person needs no database server
// of their own to try Florin, and tests need none to run.
//
// It guarantees that one process at a time owns a data folder's engine, that
// the engine listens on 127.0.0.1 alone, that an owned engine which dies is
// started again on the same port, and that its data is as durable as the
// engine can make it (unless Options.Unsafe).
//
// The data folder holds:
//
//	florin.lock       locked by the owner for as long as it runs; holds its pid
//	engine.json       which engine runs or ran last, its port and its process
//	postgres/         the PostgreSQL cluster, with its password (0600)
//	postgres.log      what PostgreSQL printed
//	cockroach/        the CockroachDB store and its logs
//	cockroach.log     what CockroachDB printed
//
// When the owner ends without Stop (kill -9), Linux tells the engine to shut
// down in order, so that nothing is left behind in CI. Elsewhere, and while
// that shutdown still runs, the engine is an orphan: the next Start adopts it,
// or waits until it is gone and starts another.
//
// Schema, pools and retries are left to package database; several machines are
// left to a real cluster.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// The engines, as they stand in Options.Engine and Server.Engine.
const (
	// Auto takes the first of: the program COCKROACH_BINARY names, cockroach on
	// PATH, a local PostgreSQL.
	Auto = "auto"
	// Postgres is PostgreSQL 15 or newer.
	Postgres = "postgres"
	// Cockroach is a single-node CockroachDB.
	Cockroach = "cockroach"
)

// Options say which engine Start runs, and where.
type Options struct {
	// DataDir is the folder that holds the engine's data. It is made when it
	// does not exist.
	DataDir string

	// Engine is Auto (also ""), Postgres or Cockroach. Under Auto a folder that
	// holds the data of exactly one engine keeps that engine, so that data does
	// not seem to vanish when another engine is installed later.
	Engine string

	// ClusterSettings are CockroachDB cluster settings written as NAME=VALUE,
	// applied before anything else whenever the engine was started or adopted.
	// PostgreSQL ignores them, but they must parse.
	ClusterSettings []string

	// Attach joins the engine another live process runs in DataDir, if there is
	// one, instead of failing with ErrInUse.
	Attach bool

	// Unsafe trades durability for speed: PostgreSQL without fsync, CockroachDB
	// in memory only, where the data ends with the process. For tests.
	Unsafe bool

	// Log receives a line for what a person should know. Nil logs nothing.
	Log *slog.Logger

	keepOrphan    bool            // tests: the engine outlives a killed owner on Linux too
	restartDelays []time.Duration // tests: instead of the default
}

// attachLimit bounds how long Start waits for another process's engine.
const attachLimit = 2 * time.Minute

// Server is an engine that answers: one that this process owns, or one that it
// has joined. Its methods may be called from any goroutine.
type Server struct {
	engine   engine
	folder   *folder
	port     int
	attached bool
	options  Options
	log      *slog.Logger

	life       context.Context // ends when Stop begins
	end        context.CancelFunc
	supervised chan struct{} // closed when nobody restarts the engine any more
	done       chan struct{}
	stopOnce   sync.Once
	stopErr    error

	mu      sync.Mutex
	process *process
	err     error
}

// Start runs the engine of o.DataDir and returns once it answers and holds a
// database named florin. A first start takes some seconds, a later one about
// one. ctx bounds the start only; the engine runs until Stop.
//
// Returns ErrNoEngine, ErrBadBinary, ErrBadSetting, ErrInUse, ErrBrokenDataDir,
// ErrCannotDropRoot or ErrNotStarted; each error is one line that says what to
// do.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	settings, err := ParseSettings(o.ClusterSettings)
	if err != nil {
		return nil, err
	}
	f, err := openFolder(o.DataDir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := f.lock(); err != nil {
		if !o.Attach || !errors.Is(err, ErrInUse) {
			return nil, err
		}
		s, err := attach(ctx, f, o)
		if s != nil || err != nil {
			return s, err
		}
	}
	s, err := own(ctx, f, o, settings)
	if err != nil {
		f.unlock()
		return nil, err
	}
	return s, nil
}

// attach joins the engine of the process that holds the lock. It returns
// neither a server nor an error when that process ended and the lock is ours.
func attach(ctx context.Context, f *folder, o Options) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, attachLimit)
	defer cancel()
	for {
		if st := f.readState(); st.Ready && st.alive() {
			if o.Engine != "" && o.Engine != Auto && o.Engine != st.Engine {
				return nil, fmt.Errorf("%w: %s runs %s in %s, not %s: stop it first, or ask for that engine",
					ErrInUse, f.owner(), st.Engine, f.path, o.Engine)
			}
			e, err := runningEngine(f, st)
			if err != nil {
				return nil, err
			}
			if conn, err := connect(ctx, e.url(st.Port, databaseName)); err == nil {
				_ = conn.Close(ctx)
				s := newServer(e, f, o, st.Port)
				s.attached = true
				close(s.supervised)
				o.Log.Info("joined the database engine that another process runs",
					"engine", e.name(), "port", st.Port, "owner", f.owner())
				return s, nil
			}
		}
		switch err := f.lock(); {
		case err == nil:
			return nil, nil
		case !errors.Is(err, ErrInUse):
			return nil, err
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return nil, fmt.Errorf("%w: %s holds %s but its engine does not answer: stop that process and try again",
				ErrNotStarted, f.owner(), f.path)
		}
	}
}

// own starts the engine, or adopts one whose owner is gone. The caller holds
// the folder's lock.
func own(ctx context.Context, f *folder, o Options, settings []Setting) (*Server, error) {
	if err := f.removeLeftovers(); err != nil {
		return nil, err
	}
	last := f.readState()
	kind, err := choose(f, o, last)
	if err != nil {
		return nil, err
	}
	if last.alive() && (kind != last.Engine || o.Unsafe != last.Unsafe) {
		o.Log.Info("stopping an orphaned database engine of another kind or mode", "engine", last.Engine, "pid", last.PID)
		if err := watch(last.PID, last.Process).stop(ctx, stopLadder(last.Engine, last.Unsafe)); err != nil {
			return nil, err
		}
	}
	e, err := newEngine(ctx, kind, f, o, settings)
	if err != nil {
		return nil, err
	}
	s := newServer(e, f, o, 0)
	p, err := s.adopt(ctx, last)
	if p == nil && err == nil {
		p, err = s.first(ctx, last)
	}
	if err != nil {
		return nil, err
	}
	go s.supervise(p)
	return s, nil
}

func newServer(e engine, f *folder, o Options, port int) *Server {
	s := &Server{
		engine: e, folder: f, port: port, options: o, log: o.Log,
		supervised: make(chan struct{}), done: make(chan struct{}),
	}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// URL is the address of the database florin on the engine, user and password
// included: keep it out of logs. It stays the same when the engine is restarted.
func (s *Server) URL() string { return s.engine.url(s.port, databaseName) }

// Engine is Postgres or Cockroach.
func (s *Server) Engine() string { return s.engine.name() }

// Attached says that another process owns the engine, so that Stop leaves it.
func (s *Server) Attached() bool { return s.attached }

// PID is the process id of the engine's main process. It changes when the
// engine died and was started again.
func (s *Server) PID() int {
	if s.attached {
		return s.folder.readState().PID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.pid
}

// Done is closed once nobody keeps the engine running any more: it died and
// could not be started again, in which case Err says why, or Stop was called.
// An engine that was joined, not started, is watched by its owner alone.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err is nil until Done is closed, and after Stop; otherwise it is why the
// engine was given up.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Stop shuts the engine down in order and releases the data folder. It does
// nothing to an engine that was only joined. Calling it again waits for the
// first call and returns its outcome.
//
// When ctx ends, or the engine takes too long, it is killed: the data is whole
// all the same, but the next start has to recover it first.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		s.end()
		<-s.supervised
		if !s.attached {
			s.stopErr = s.process.stop(ctx, stopLadder(s.engine.name(), s.options.Unsafe))
			if s.stopErr == nil {
				s.stopErr = s.folder.writeState(state{Engine: s.engine.name(), Port: s.port})
			}
			s.folder.unlock()
		}
		select {
		case <-s.done:
		default:
			close(s.done)
		}
	})
	return s.stopErr
}

// sleep waits and reports whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
