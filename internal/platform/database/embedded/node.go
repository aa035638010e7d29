package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"florin/internal/platform/process"
)

// node is one process of the engine, with a folder of its own: all there is of
// PostgreSQL and of a single CockroachDB, one region's part of a cluster.
type node struct {
	engine   engine
	folder   *folder
	port     int
	region   string // "" outside a cluster
	httpPort int    // of CockroachDB's console; 0 outside a cluster
	options  Options
	log      *slog.Logger

	mu      sync.Mutex
	process *process.Process
}

// start adopts the engine of a killed owner, or starts one.
func (n *node) start(ctx context.Context) (*process.Process, error) {
	p, err := n.adopt(ctx, n.folder.readState())
	if p == nil && err == nil {
		p, err = n.first(ctx)
	}
	return p, err
}

// keep starts the engine again whenever it dies, until ctx ends or too many
// tries in a row have failed.
func (n *node) keep(ctx context.Context, p *process.Process) error {
	err := process.Keeper{
		Name: "database engine", Delays: n.options.restartDelays, Log: n.log.With("engine", n.engine.name(), "port", n.port),
		Launch: func(ctx context.Context) (*process.Process, error) {
			ctx, cancel := context.WithTimeout(ctx, startLimit)
			defer cancel()
			return n.launch(ctx)
		},
	}.Keep(ctx, p)
	if err != nil {
		return fmt.Errorf("%w: %s: %w: see %s", ErrNotStarted, n.engine.title(), err, n.folder.logPath(n.engine.name()))
	}
	return nil
}

// stop ends the engine, whether it ever answered or not.
func (n *node) stop(ctx context.Context) error {
	n.mu.Lock()
	p := n.process
	n.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.Stop(ctx, n.state().ladder()); err != nil {
		return fmt.Errorf("database engine: %w", err)
	}
	return n.folder.writeState(n.state())
}

// state is what is remembered of the engine while it does not run.
func (n *node) state() state {
	return state{
		Engine: n.engine.name(), Region: n.region, Port: n.port, HTTPPort: n.httpPort, Unsafe: n.options.Unsafe,
	}
}

func (n *node) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil { // another process's
		return n.folder.readState().PID
	}
	return n.process.PID
}

func (n *node) address() string { return address(n.port) }

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// ladder is how an engine is asked to end, ever less kindly.
func (st state) ladder() []process.Rung {
	switch {
	case st.Engine == Postgres:
		// Fast shutdown, then immediate shutdown, which ends the backends too.
		return []process.Rung{
			{Signal: syscall.SIGINT, Timeout: 30 * time.Second},
			{Signal: syscall.SIGQUIT, Timeout: 10 * time.Second},
			{Signal: syscall.SIGKILL, Timeout: 10 * time.Second},
		}
	case st.Unsafe, st.Region != "":
		// In memory there is nothing to save. In a cluster an orderly end hands
		// the node's leases to the others; here all end together, and would wait
		// a minute for each other. What was committed is on disk.
		return []process.Rung{{Signal: syscall.SIGKILL, Timeout: 10 * time.Second}}
	default:
		return []process.Rung{
			{Signal: syscall.SIGTERM, Timeout: 30 * time.Second},
			{Signal: syscall.SIGKILL, Timeout: 10 * time.Second},
		}
	}
}

// stopOrphan ends the engine that a killed owner left running in a folder, if
// there is one.
func stopOrphan(ctx context.Context, f *folder, log *slog.Logger) error {
	st := f.readState()
	if !st.alive() {
		return nil
	}
	log.Info("stopping an orphaned database engine of another kind or mode", "engine", st.Engine, "pid", st.PID)
	return process.Watch(st.PID, st.Process).Stop(ctx, st.ladder())
}
