// Package embedded runs a real database engine, PostgreSQL or CockroachDB, for
// one machine inside a data folder, so that a person needs no database server
// of their own to try Florin, and tests need none to run. The engine is one
// process, or a CockroachDB cluster of one node for each of several regions.
//
// It guarantees that one process at a time owns a data folder's engine, that
// the engine listens on 127.0.0.1 alone, that an owned engine or node which dies
// is started again on the same port, and that its data is as durable as the
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
//	cluster.json      the regions of a cluster, which then is what runs here
//	cockroach-NAME/   a region's node: its engine.json, cockroach/, cockroach.log
//
// When the owner ends without Stop (kill -9), Linux ends the engine, so that
// nothing is left behind in CI, and the next Start waits until it is gone.
// Elsewhere the engine is an orphan: the next Start adopts it, or stops it and
// starts another.
//
// Schema, pools and retries are left to package database, as are the regions of
// the database on a cluster; several machines are left to a real cluster.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"florin/internal/platform/clock"
)

// The engines, as they stand in Options.Engine and Server.Engine.
const (
	// Auto takes the first of: the program COCKROACH_BINARY names, cockroach on
	// PATH, a local PostgreSQL.
	Auto = "auto"
	// Postgres is PostgreSQL 15 or newer.
	Postgres = "postgres"
	// Cockroach is a CockroachDB: of a single node, or of one for each region.
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

	// Regions make the engine a CockroachDB cluster of one node for each. A folder
	// that holds a cluster keeps it: Regions are then its own, or none, or its own
	// with more at the end, which are added.
	Regions []string

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
	nodes    []*node // one, unless it is a cluster
	folder   *folder
	attached bool
	log      *slog.Logger

	life       context.Context // ends when Stop begins
	end        context.CancelFunc
	supervised sync.WaitGroup // those who restart nodes
	done       chan struct{}
	stopOnce   sync.Once
	stopErr    error

	mu   sync.Mutex
	lost int // nodes given up
	err  error
}

// Node is one process of a Server.
type Node struct {
	// Region is the node's locality, "" outside a cluster.
	Region string
	// URL is the database florin on this node, with the other nodes to turn to
	// when this one is gone. It holds the password: keep it out of logs.
	URL string
	// Address is where the node answers SQL.
	Address string
	// HTTPAddress is CockroachDB's console, "" outside a cluster.
	HTTPAddress string
	// PID is the process id. It changes when the node died and was started again.
	PID int
}

// Start runs the engine of o.DataDir and returns once it answers and holds a
// database named florin. A first start takes some seconds, a later one about
// one, of a cluster a little more. ctx bounds the start only; the engine runs
// until Stop.
//
// Returns ErrNoEngine, ErrBadBinary, ErrBadSetting, ErrInUse, ErrBrokenDataDir,
// ErrRegions, ErrCannotDropRoot or ErrNotStarted; each error is one line that
// says what to do.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	settings, err := ParseSettings(o.ClusterSettings)
	if err != nil {
		return nil, err
	}
	if err := validateRegions(o.Regions); err != nil {
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
		if s, err := answering(ctx, f, o); s != nil || err != nil {
			return s, err
		}
		switch err := f.lock(); {
		case err == nil:
			return nil, nil
		case !errors.Is(err, ErrInUse):
			return nil, err
		}
		if !clock.Sleep(ctx, 100*time.Millisecond) {
			return nil, fmt.Errorf("%w: %s holds %s but its engine does not answer: stop that process and try again",
				ErrNotStarted, f.owner(), f.path)
		}
	}
}

// answering is the engine that another process runs, or nil when it does not
// answer (yet).
func answering(ctx context.Context, f *folder, o Options) (*Server, error) {
	nodes, err := runningNodes(f, o)
	if err != nil || len(nodes) == 0 {
		return nil, err
	}
	s := newServer(nodes, f, o)
	s.attached = true
	if o.Engine != "" && o.Engine != Auto && o.Engine != s.Engine() {
		return nil, fmt.Errorf("%w: %s runs %s in %s, not %s: stop it first, or ask for that engine",
			ErrInUse, f.owner(), s.Engine(), f.path, o.Engine)
	}
	conn, err := connect(ctx, s.URL())
	if err != nil {
		return nil, nil //nolint:nilerr // not yet
	}
	_ = conn.Close(ctx)
	o.Log.Info("joined the database engine that another process runs",
		"engine", s.Engine(), "port", nodes[0].port, "owner", f.owner())
	return s, nil
}

// runningNodes are those of the engine that another process runs, good for
// connecting only.
func runningNodes(f *folder, o Options) ([]*node, error) {
	st := f.readState()
	if !st.Ready || !st.alive() {
		return runningCluster(f, o)
	}
	var e engine = &cockroach{dir: f.join(Cockroach)}
	if st.Engine == Postgres {
		var err error
		if e, err = runningPostgres(f); err != nil {
			return nil, err
		}
	}
	return []*node{{engine: e, folder: f, port: st.Port, options: o, log: o.Log}}, nil
}

// own starts the engine, or adopts one whose owner is gone. The caller holds
// the folder's lock.
func own(ctx context.Context, f *folder, o Options, settings []Setting) (*Server, error) {
	if err := f.removeLeftovers(); err != nil {
		return nil, err
	}
	has, err := f.readCluster()
	if err == nil && len(has.Regions) > 0 && !has.Made {
		err, has = f.discardUnmade(ctx, has, o), cluster{}
	}
	if err != nil {
		return nil, err
	}
	switch {
	case len(o.Regions) > 0 && o.Engine == Postgres:
		return nil, fmt.Errorf("%w: PostgreSQL has no regions: choose %s", ErrRegions, Cockroach)
	case len(o.Regions) > 0 && len(has.Regions) == 0 && (holdsPostgres(f) || holdsCockroach(f)):
		return nil, fmt.Errorf("%w: %s holds a database of one node: choose another data folder", ErrRegions, f.path)
	}
	c, err := has.grow(o.Regions)
	if err != nil {
		return nil, err
	}
	if len(c.Regions) > 0 && o.Engine != Postgres {
		if err := stopOrphan(ctx, f, o.Log); err != nil {
			return nil, err
		}
		return startCluster(ctx, f, c, o, settings)
	}
	for _, region := range c.Regions {
		if err := stopOrphan(ctx, f.node(region), o.Log); err != nil {
			return nil, err
		}
	}
	return startSingle(ctx, f, o, settings)
}

// startSingle starts an engine of one process.
func startSingle(ctx context.Context, f *folder, o Options, settings []Setting) (*Server, error) {
	last := f.readState()
	kind, err := choose(f, o, last)
	if err != nil {
		return nil, err
	}
	if kind != last.Engine || o.Unsafe != last.Unsafe {
		if err := stopOrphan(ctx, f, o.Log); err != nil {
			return nil, err
		}
	}
	e, err := newEngine(ctx, kind, f, o, settings)
	if err != nil {
		return nil, err
	}
	n := &node{engine: e, folder: f, options: o, log: o.Log}
	if last.Engine == kind {
		n.port = last.Port
	}
	s := newServer([]*node{n}, f, o)
	return s, s.start(ctx, n)
}

func newServer(nodes []*node, f *folder, o Options) *Server {
	s := &Server{nodes: nodes, folder: f, log: o.Log, done: make(chan struct{})}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// start starts a node and sees to it from then on.
func (s *Server) start(ctx context.Context, n *node) error {
	p, err := n.start(ctx)
	if err != nil {
		return err
	}
	s.supervised.Go(func() {
		if err := n.keep(s.life, p); err != nil {
			s.log.Error("database engine given up", "error", err)
			s.lose(err)
		}
	})
	return nil
}

// lose counts a node that was given up. The server is done once those that are
// left are no majority, without which a cluster decides nothing.
func (s *Server) lose(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost++; s.err == nil && 2*(len(s.nodes)-s.lost) <= len(s.nodes) {
		s.err = err
		close(s.done)
	}
}

// URL is the address of the database florin on the engine, user and password
// included: keep it out of logs. It names all nodes of a cluster, and stays the
// same when the engine is restarted.
func (s *Server) URL() string { return s.url(0) }

// url turns to a node first and then to the others in their order.
func (s *Server) url(first int) string {
	n := s.nodes[first]
	target, err := url.Parse(n.engine.url(n.port, databaseName))
	if err != nil { // our own words
		panic(err)
	}
	for i, other := range s.nodes {
		if i != first {
			target.Host += "," + other.address()
		}
	}
	return target.String()
}

// Engine is Postgres or Cockroach.
func (s *Server) Engine() string { return s.nodes[0].engine.name() }

// Nodes are the engine's processes, those of a cluster in the order of its
// regions.
func (s *Server) Nodes() []Node {
	nodes := make([]Node, 0, len(s.nodes))
	for i, n := range s.nodes {
		public := Node{Region: n.region, URL: s.url(i), Address: n.address(), PID: n.pid()}
		if n.httpPort != 0 {
			public.HTTPAddress = address(n.httpPort)
		}
		nodes = append(nodes, public)
	}
	return nodes
}

// Attached says that another process owns the engine, so that Stop leaves it.
func (s *Server) Attached() bool { return s.attached }

// PID is the process id of the engine's main process, the first node's in a
// cluster. It changes when the engine died and was started again.
func (s *Server) PID() int { return s.nodes[0].pid() }

// Done is closed once nobody keeps the engine running any more: it died and
// could not be started again (of a cluster: so many nodes that the rest is no
// majority), in which case Err says why, or Stop was called. An engine that was
// joined, not started, is watched by its owner alone.
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
// When ctx ends, or the engine takes too long, it is killed, as a cluster's nodes
// always are: the data is whole all the same, but the next start has to recover
// it first.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		if s.attached {
			s.end()
		} else {
			s.stopErr = s.stopNodes(ctx)
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

// stopNodes ends all nodes at once, and those who would start them again first.
func (s *Server) stopNodes(ctx context.Context) error {
	s.end()
	s.supervised.Wait()
	var stopping errgroup.Group
	for _, n := range s.nodes {
		stopping.Go(func() error { return n.stop(ctx) })
	}
	return stopping.Wait()
}
