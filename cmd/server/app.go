package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"florin/internal/api"
	"florin/internal/export"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
)

const (
	// shutdownMax bounds how long requests under way may take to end.
	shutdownMax = 20 * time.Second
	// readyPause is how often an unmigrated database is looked at again.
	readyPause = time.Second
	// guessableKey is the length from which on an API key is not guessed.
	guessableKey = 24
	// queryMax bounds a single read on behalf of a request.
	queryMax = 30 * time.Second
)

// serverFlags configure one replica. Each is one plain value, which its variable
// of the environment hands to the processes of other replicas.
type serverFlags struct {
	Addr           string        `help:"Address of the API." default:"127.0.0.1:8080" env:"FLORIN_ADDR"`
	OpsAddr        string        `help:"Address of /metrics and pprof; empty for none." default:"127.0.0.1:8081" env:"FLORIN_OPS_ADDR"`
	BootstrapKey   string        `name:"bootstrap-api-key" help:"The first API key; a random one is made and printed once when absent." env:"FLORIN_BOOTSTRAP_API_KEY" placeholder:"KEY"`
	Workers        int           `name:"executor-workers" help:"Batches that the executor runs at once." default:"1" env:"FLORIN_EXECUTOR_WORKERS"`
	BatchMax       int           `name:"executor-batch" help:"Most transfers in one transaction of the executor." default:"1000" env:"FLORIN_EXECUTOR_BATCH"`
	QueueMax       int           `name:"executor-queue" help:"Most transfers that may wait; above that callers get 503." default:"20000" env:"FLORIN_EXECUTOR_QUEUE"`
	SweepInterval  time.Duration `help:"How often accepted transfers are looked for that a dead replica left." default:"60s" env:"FLORIN_SWEEP_INTERVAL"`
	Region         string        `help:"Home region of accounts opened here, when the database has it; default: the region that the connections lead to." env:"FLORIN_REGION"`
	ExportPlaces   string        `name:"export-destinations" help:"Places that POST /api/v1/exports may have the database deliver to, separated by blanks: each a URL such as s3://BUCKET/PATH?AWS_REGION=NAME, with all beneath it. Empty for none." env:"FLORIN_EXPORT_DESTINATIONS" placeholder:"'URL URL'"`
	MaxConnections int32         `name:"db-connections" help:"Most connections for reads; the executor has its own." default:"16" env:"FLORIN_DB_CONNECTIONS"`
}

func (f *serverFlags) validate() error {
	switch {
	case f.Workers < 1 || f.Workers > 64:
		return fmt.Errorf("--executor-workers is %d, must be 1 to 64", f.Workers)
	case f.BatchMax < 1 || f.BatchMax > ledger.MaxBatch:
		return fmt.Errorf("--executor-batch is %d, must be 1 to %d", f.BatchMax, ledger.MaxBatch)
	case f.QueueMax < ledger.MaxBatch:
		return fmt.Errorf("--executor-queue is %d, must be at least %d, the largest batch of the API", f.QueueMax, ledger.MaxBatch)
	case f.SweepInterval < 10*time.Millisecond:
		return fmt.Errorf("--sweep-interval is %s, must be at least 10ms", f.SweepInterval)
	case f.MaxConnections < 1:
		return fmt.Errorf("--db-connections is %d, must be at least 1", f.MaxConnections)
	}
	if _, err := export.ParseAllowed(strings.Fields(f.ExportPlaces)); err != nil {
		return fmt.Errorf("--export-destinations: %w", err)
	}
	return nil
}

// app is one replica: the API and the operations server over one ledger.
type app struct {
	flags   serverFlags
	log     *slog.Logger
	reads   *database.DB
	writes  *database.DB
	ledger  *ledger.Ledger
	keys    *identity.Keys
	watch   *export.Watch
	handler http.Handler
	metrics *prometheus.Registry
	ready   atomic.Bool // migrated and executing
}

// newApp connects to the database and puts the parts together. Nothing runs yet.
// Close the app after use.
func newApp(ctx context.Context, flags serverFlags, databaseURL string, log *slog.Logger) (*app, error) {
	allowed, err := export.ParseAllowed(strings.Fields(flags.ExportPlaces))
	if err != nil {
		return nil, err
	}
	a := &app{flags: flags, log: log, metrics: prometheus.NewRegistry()}
	a.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	transactions := database.NewMetrics(a.metrics)
	a.reads, err = database.Open(ctx, databaseURL, database.Options{
		ApplicationName: "florin", MaxConns: flags.MaxConnections, StatementTimeout: queryMax, Metrics: transactions,
	})
	if err != nil {
		return nil, err
	}
	a.writes, err = database.Open(ctx, databaseURL, database.Options{
		ApplicationName: "florin executor", MaxConns: int32(flags.Workers) + 1, StatementTimeout: queryMax,
		Plans: database.PlansPinned, Metrics: transactions,
	})
	if err != nil {
		a.reads.Close()
		return nil, err
	}
	database.WatchPool(a.metrics, "reads", a.reads)
	database.WatchPool(a.metrics, "executor", a.writes)
	a.keys = identity.NewKeys(a.reads, clock.System)
	a.ledger = ledger.New(a.reads, a.writes, ledger.Options{
		Workers: flags.Workers, BatchMax: flags.BatchMax, QueueMax: flags.QueueMax,
		SweepInterval: flags.SweepInterval, HomeRegion: flags.Region, Log: log, Registry: a.metrics,
	})
	exports := export.NewControl(a.reads, allowed, clock.System)
	a.watch = export.NewWatch(exports, export.WatchOptions{Log: log, Registry: a.metrics})
	a.handler = api.New(api.Options{
		Ledger: a.ledger, Exports: exports, Authenticate: a.authenticate, Ready: a.checkReady,
		Log: log, Registry: a.metrics, Version: version(),
	})
	return a, nil
}

func (a *app) close() {
	a.writes.Close()
	a.reads.Close()
}

func (a *app) authenticate(ctx context.Context, token string) (api.Actor, error) {
	if !a.ready.Load() {
		return api.Actor{}, database.ErrUnavailable
	}
	actor, err := a.keys.Authenticate(ctx, token)
	if errors.Is(err, identity.ErrUnknownKey) {
		return api.Actor{}, api.ErrUnauthenticated
	}
	return api.Actor{ID: actor.KeyID, Name: actor.Name}, err
}

func (a *app) checkReady(ctx context.Context) error {
	if !a.ready.Load() {
		return errors.New("the database is not migrated yet: run florin migrate")
	}
	return a.reads.Ping(ctx)
}

// run serves on the two listeners until ctx ends, then finishes what was taken:
// first the requests under way, then the executor. opsListener may be nil. ready,
// if not nil, is called when requests are answered; its error ends the run.
func (a *app) run(ctx context.Context, listener, opsListener net.Listener, ready func(ctx context.Context, generatedKey string) error) error {
	servers, ctx := errgroup.WithContext(ctx)
	// The ledger ends after the requests that wait for it.
	ledgerCtx, stopLedger := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLedger()
	ledgerDone := make(chan struct{})

	public := &http.Server{
		Handler: a.handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	servers.Go(func() error { return serve(ctx, public, listener) })
	if opsListener != nil {
		// No write timeout: a CPU profile takes as long as it was asked to.
		operations := &http.Server{Handler: operations(a.metrics), ReadHeaderTimeout: 10 * time.Second}
		servers.Go(func() error { return serve(ctx, operations, opsListener) })
	}
	servers.Go(func() error {
		generated, err := a.prepare(ctx)
		if err != nil {
			close(ledgerDone)
			return err
		}
		go func() {
			defer close(ledgerDone)
			a.ledger.Run(ledgerCtx)
		}()
		servers.Go(func() error {
			a.watch.Run(ctx)
			return nil
		})
		a.ready.Store(true)
		if ready == nil {
			return nil
		}
		return ready(ctx, generated)
	})
	err := servers.Wait()
	stopLedger()
	<-ledgerDone
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// prepare waits until the schema is there and sees to the first API key.
func (a *app) prepare(ctx context.Context) (generatedKey string, err error) {
	for told := false; ; {
		migrated, err := database.Migrated(ctx, a.reads)
		if err == nil && migrated {
			break
		}
		if !told {
			a.log.Warn("waiting for the database to be migrated: run florin migrate", "error", err)
			told = true
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(readyPause):
		}
	}
	if key := a.flags.BootstrapKey; key != "" && len(key) < guessableKey {
		a.log.Warn("the bootstrap API key is short enough to be guessed", "characters", len(key), "wanted", guessableKey)
	}
	a.tellRegion(ctx)
	return a.keys.Bootstrap(ctx, a.flags.BootstrapKey)
}

// tellRegion warns of a region that accounts can't be opened in.
func (a *app) tellRegion(ctx context.Context) {
	regions, here, err := a.reads.Regions(ctx)
	if err == nil && a.flags.Region != "" && !slices.Contains(regions, a.flags.Region) {
		a.log.Warn("the database does not have this server's region: run florin migrate with it",
			"region", a.flags.Region, "regions", regions, "accounts_open_in", here)
	}
}

// serve serves until ctx ends and then lets the requests under way finish.
func serve(ctx context.Context, server *http.Server, listener net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	shutdownCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownMax)
	defer cancel()
	if err := server.Shutdown(shutdownCtx); err != nil {
		return errors.Join(fmt.Errorf("requests were cut off after %s: %w", shutdownMax, err), server.Close())
	}
	return nil
}

// operations is what operators and their tools see; never on a public address.
func operations(metrics *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// listen opens a listener, or says in one line what to do.
func listen(addr, flag string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s (%w): stop the program that has it, or choose another address with --%s", addr, err, flag)
	}
	return listener, nil
}
