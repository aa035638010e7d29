package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"florin/internal/admin"
	"florin/internal/api"
	"florin/internal/cashback"
	"florin/internal/export"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/platform/clock"
	"florin/internal/platform/database"
	"florin/internal/reporting"
)

const (
	// shutdownMax bounds how long requests under way may take to end.
	shutdownMax = 20 * time.Second
	// readyPause is how often an unmigrated database is looked at again.
	readyPause = time.Second
	// headerMax bounds a request's header.
	headerMax = 32 << 10
	// queryMax bounds a single read on behalf of a request.
	queryMax = 30 * time.Second
)

// app is one replica: the API and the operations server over one ledger.
type app struct {
	flags       serverFlags
	log         *slog.Logger
	reads       *database.DB
	writes      *database.DB
	ledger      *ledger.Ledger
	watch       *export.Watch
	people      people
	cashback    *cashback.Cashback
	handler     http.Handler
	certificate *certificate // nil without TLS
	metrics     *prometheus.Registry
	ready       atomic.Bool // migrated and executing
}

// newApp connects to the database and puts the parts together. Nothing runs yet.
// Close the app after use.
func newApp(ctx context.Context, flags serverFlags, databaseURL string, log *slog.Logger) (*app, error) {
	set, err := flags.settings()
	if err != nil {
		return nil, err
	}
	a := &app{flags: flags, log: log, metrics: prometheus.NewRegistry()}
	if a.certificate, err = readCertificate(flags.TLSCert, flags.TLSKey, log); err != nil {
		return nil, err
	}
	a.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := a.connect(ctx, databaseURL); err != nil {
		return nil, err
	}
	a.ledger = ledger.New(a.reads, a.writes, ledger.Options{
		Workers: flags.Workers, BatchMax: flags.BatchMax, QueueMax: flags.QueueMax,
		SweepInterval: flags.SweepInterval, HomeRegion: flags.Region, Log: log, Registry: a.metrics,
	})
	a.people = newPeople(a.reads, a.ledger, set, log)
	a.cashback = cashback.New(a.reads, a.ledger, cashback.Options{Clock: clock.System, Log: log, Audit: a.people.audit})
	console := reporting.NewConsole(a.reads, reporting.ConsoleOptions{URL: flags.ReportingURL, Clock: clock.System, Log: a.people.audit})
	exports := export.NewControl(a.reads, set.exportPlaces, clock.System)
	a.watch = export.NewWatch(exports, export.WatchOptions{Log: log, Registry: a.metrics})
	p := &a.people
	served := api.New(api.Options{
		Ledger: a.ledger, Exports: exports, Authenticate: a.authenticate, Ready: a.checkReady,
		Users: p.users, Keys: p.keys, Linked: p.linked, Wallets: p.wallets, Cashback: a.cashback, Risk: p.rules, Approvals: p.approvals, Audit: p.audit,
		Reports: reporting.NewReports(a.reads), Console: console,
		IngestSources: set.ingestSources, SessionMax: flags.SessionMax, AmountLimits: api.AmountLimitsOf(p.rules),
		Log: log, Registry: a.metrics, Version: version(),
		RateLimits: set.rateLimits, TrustedProxies: set.trustedProxies, CORSOrigins: set.corsOrigins, OverTLS: set.overTLS,
	})
	a.handler = withPages(served, admin.New(admin.Options{API: served, Log: log, Version: version(), OverTLS: set.overTLS}))
	return a, nil
}

// withPages serves the pages beside the API that they are a client of.
func withPages(served, pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == admin.Root || strings.HasPrefix(r.URL.Path, admin.Root+"/") {
			pages.ServeHTTP(w, r)
			return
		}
		served.ServeHTTP(w, r)
	})
}

// connect opens the pools: one for the executor, one for all else.
func (a *app) connect(ctx context.Context, databaseURL string) (err error) {
	transactions := database.NewMetrics(a.metrics)
	a.reads, err = database.Open(ctx, databaseURL, database.Options{
		ApplicationName: "florin", MaxConns: a.flags.MaxConnections, StatementTimeout: queryMax, Metrics: transactions,
	})
	if err != nil {
		return err
	}
	a.writes, err = database.Open(ctx, databaseURL, database.Options{
		ApplicationName: "florin executor", MaxConns: int32(a.flags.Workers) + 1, StatementTimeout: queryMax,
		Plans: database.PlansPinned, Metrics: transactions,
	})
	if err != nil {
		a.reads.Close()
		return err
	}
	database.WatchPool(a.metrics, "reads", a.reads)
	database.WatchPool(a.metrics, "executor", a.writes)
	return nil
}

func (a *app) close() {
	a.writes.Close()
	a.reads.Close()
}

// authenticate tells sessions and keys apart by how they begin.
func (a *app) authenticate(ctx context.Context, token string, from netip.Addr) (principal identity.Principal, err error) {
	if !a.ready.Load() {
		return identity.Principal{}, database.ErrUnavailable
	}
	if strings.HasPrefix(token, identity.SessionPrefix) {
		principal, err = a.people.users.Authenticate(ctx, token)
	} else {
		principal, err = a.people.keys.Authenticate(ctx, token, from)
	}
	if errors.Is(err, identity.ErrUnauthenticated) {
		return identity.Principal{}, api.ErrUnauthenticated
	}
	return principal, err
}

func (a *app) checkReady(ctx context.Context) error {
	if !a.ready.Load() {
		return errors.New("the database is not migrated yet: run florin migrate")
	}
	return a.reads.Ping(ctx)
}

// run serves on the two listeners until ctx ends, then finishes what was taken:
// first the requests under way, then cashback and the executor. opsListener may be nil. ready,
// if not nil, is called when requests are answered; its error ends the run.
func (a *app) run(ctx context.Context, listener, opsListener net.Listener, ready func(ctx context.Context, generatedKey string) error) error {
	servers, ctx := errgroup.WithContext(ctx)
	// The books end after the requests that wait for them.
	booksCtx, stopBooks := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBooks()
	booksDone := make(chan struct{})

	public := publicServer(a.handler, a.log)
	if a.certificate != nil {
		public.TLSConfig = a.certificate.config()
		servers.Go(func() error {
			a.certificate.run(ctx)
			return nil
		})
	}
	servers.Go(func() error { return serve(ctx, public, netutil.LimitListener(listener, a.flags.Callers)) })
	if opsListener != nil {
		// No write timeout: a CPU profile takes as long as it was asked to.
		operations := &http.Server{Handler: operations(a.metrics), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: headerMax}
		servers.Go(func() error { return serve(ctx, operations, opsListener) })
	}
	servers.Go(func() error {
		generated, err := a.prepare(ctx)
		if err != nil {
			close(booksDone)
			return err
		}
		go func() {
			defer close(booksDone)
			a.runBooks(booksCtx)
		}()
		for _, run := range append(a.people.background(), a.watch.Run) {
			servers.Go(func() error {
				run(ctx)
				return nil
			})
		}
		a.ready.Store(true)
		if ready == nil {
			return nil
		}
		return ready(ctx, generated)
	})
	err := servers.Wait()
	stopBooks()
	<-booksDone
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// runBooks runs what requests wait for until ctx ends: the ledger, and cashback,
// which books what it has taken in by it and so ends first.
func (a *app) runBooks(ctx context.Context) {
	ledgerCtx, stopLedger := context.WithCancel(context.WithoutCancel(ctx))
	var ledgerRuns sync.WaitGroup
	ledgerRuns.Go(func() { a.ledger.Run(ledgerCtx) })
	a.cashback.Run(ctx)
	stopLedger()
	ledgerRuns.Wait()
}

// publicServer is the server that strangers talk to: whoever is slow, or says too
// much before his request begins, is cut off.
func publicServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: headerMax,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
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
	if a.flags.BootstrapKey == "" && !term.IsTerminal(int(os.Stderr.Fd())) {
		// A key shown there would stay in the log for good.
		return "", a.checkHasKey(ctx)
	}
	return a.people.keys.Bootstrap(ctx, a.flags.BootstrapKey)
}

// checkHasKey fails when no program could call.
func (a *app) checkHasKey(ctx context.Context) error {
	has, err := a.people.keys.HasAny(ctx)
	if err != nil {
		return err
	}
	if !has {
		return errors.New("there is no API key yet, and no terminal to show a new one on: set FLORIN_BOOTSTRAP_API_KEY, or start florin serve in a terminal once")
	}
	return nil
}

// tellRegion warns of a region that accounts can't be opened in.
func (a *app) tellRegion(ctx context.Context) {
	regions, here, err := a.reads.Regions(ctx)
	if err == nil && a.flags.Region != "" && !slices.Contains(regions, a.flags.Region) {
		a.log.Warn("the database does not have this server's region: run florin migrate with it",
			"region", a.flags.Region, "regions", regions, "accounts_open_in", here)
	}
}

// tellTransport warns when credentials would cross a network in the clear.
func (a *app) tellTransport(listener net.Listener) {
	at, isTCP := listener.Addr().(*net.TCPAddr)
	if isTCP && !at.IP.IsLoopback() && a.certificate == nil && !strings.HasPrefix(a.flags.PublicURL, "https:") {
		a.log.Warn("the API is reached without TLS: give --tls-cert, or --public-url with https when a proxy speaks it", "address", at.String())
	}
}

// tellDatabase warns when the books cross a network unprotected.
func (a *app) tellDatabase(databaseURL string) {
	if database.IsExposed(databaseURL) {
		a.log.Warn("the database is reached over a network without verified TLS: set sslmode=verify-full and sslrootcert in FLORIN_DATABASE_URL")
	}
	if database.IsExposed(a.flags.ReportingURL) {
		a.log.Warn("the console reaches the database over a network without verified TLS: set sslmode=verify-full and sslrootcert in FLORIN_REPORTING_URL")
	}
}

// serve serves until ctx ends and then lets the requests under way finish.
func serve(ctx context.Context, server *http.Server, listener net.Listener) error {
	failed := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			failed <- server.ServeTLS(listener, "", "")
			return
		}
		failed <- server.Serve(listener)
	}()
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
