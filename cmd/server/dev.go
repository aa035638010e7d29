package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"florin/internal/identity"
	"florin/internal/platform/database"
	"florin/internal/platform/database/embedded"
	"florin/internal/seed"
)

type devCommand struct {
	engineFlags
	serverFlags
	Regions []string `help:"Run a CockroachDB cluster on this machine, of a node and a server for each of these regions, the primary first. The data folder remembers them." placeholder:"NAME"`
	Survive string   `help:"What the cluster's database outlives: zone or region; at first region when there are three." enum:",zone,region" default:""`
	Demo    bool     `help:"Fill in demo data." default:"true" negatable:""`
}

// Run runs a database engine, the server (one for each region, if there are
// regions) and demo data on this machine until it is told to stop, and then stops
// all of it.
func (c *devCommand) Run(ctx context.Context) error {
	if err := errors.Join(c.validate(), c.validateRegions()); err != nil {
		return err
	}
	log := newLogger(logText)
	// First of all, so that a taken port is told before an engine is started.
	listener, err := listen(c.Addr, "addr")
	if err != nil {
		return err
	}
	defer listener.Close()
	opsListener := c.listenOps(log)
	if opsListener != nil {
		defer opsListener.Close()
	}
	server, err := c.start(ctx, embedded.Options{Regions: c.Regions, Log: log})
	if err != nil {
		return err
	}
	defer stopEngine(ctx, server, log)
	if c.BootstrapKey == "" {
		if c.BootstrapKey, err = keptKey(c.DataDir); err != nil {
			return err
		}
	}

	// An engine that can't be kept up ends the program.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-server.Done():
			cancel(errors.New("the database engine can't be kept running; its log is in " + c.DataDir))
		case <-ctx.Done():
		}
	}()
	if isCluster(server) {
		err = c.runRegions(ctx, server, listener, opsListener, log)
	} else {
		err = c.runHere(ctx, server, listener, opsListener, log)
	}
	if (err == nil || errors.Is(err, context.Canceled)) && ctx.Err() != nil {
		if err = context.Cause(ctx); errors.Is(err, context.Canceled) {
			return nil
		}
	}
	return err
}

// runHere serves from this process until ctx ends.
func (c *devCommand) runHere(ctx context.Context, server *embedded.Server, listener, opsListener net.Listener, log *slog.Logger) error {
	if c.Survive != "" {
		return errors.New("--survive is for a cluster: name its regions with --regions")
	}
	a, err := c.prepare(ctx, server, log)
	if err != nil {
		return err
	}
	defer a.close()
	return a.run(ctx, listener, opsListener, func(ctx context.Context, _ string) error {
		if c.Demo {
			if err := seed.Demo(ctx, a.ledger); err != nil {
				return fmt.Errorf("demo data: %w", err)
			}
		}
		c.welcome(a.reads.Version, server.URL(), listener, opsListener)
		return nil
	})
}

// prepare migrates and puts the server together.
func (c *devCommand) prepare(ctx context.Context, server *embedded.Server, log *slog.Logger) (*app, error) {
	a, err := newApp(ctx, c.serverFlags, server.URL(), log)
	if err != nil {
		return nil, err
	}
	if _, err := database.Migrate(ctx, a.reads, log); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// listenOps opens the operations port, another one when it is taken: metrics are
// no reason not to start.
func (c *devCommand) listenOps(log *slog.Logger) net.Listener {
	if c.OpsAddr == "" {
		return nil
	}
	listener, err := net.Listen("tcp", c.OpsAddr)
	if err != nil {
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			log.Warn("no operations port", "error", err)
			return nil
		}
	}
	return listener
}

// keptKey is this data folder's own API key, made at the first start.
func keptKey(dataDir string) (string, error) {
	file := filepath.Join(dataDir, "api-key")
	content, err := os.ReadFile(file)
	if err == nil {
		if key := strings.TrimSpace(string(content)); key != "" {
			return key, nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the API key: %w", err)
	}
	key := identity.NewKey()
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the API key: %w", err)
	}
	return key, nil
}

// welcome says where to look.
func (c *devCommand) welcome(engine, databaseURL string, listener, opsListener net.Listener) {
	base := "http://" + listener.Addr().String()
	fmt.Printf("\nFlorin is running on %s (data in %s).\n\n", engine, c.DataDir)
	fmt.Printf("  API      %s/api/v1\n", base)
	fmt.Printf("  Docs     %s/docs\n", base)
	if opsListener != nil {
		fmt.Printf("  Metrics  http://%s/metrics\n", opsListener.Addr())
	}
	fmt.Printf("  Database %s\n", databaseURL)
	fmt.Printf("  API key  %s\n\n", c.BootstrapKey)
	c.suggest(base)
}

// suggest prints a request to try on the API at base, and how to stop.
func (c *devCommand) suggest(base string) {
	request := base + "/api/v1/accounts/alice"
	if !c.Demo {
		request = `-H 'Content-Type: application/json' -d '{"accountId": "alice", "balance": "100.00"}' ` + base + "/api/v1/accounts"
	}
	fmt.Printf("Try it:\n\n  curl -s -H 'Authorization: Bearer %s' %s\n\n", c.BootstrapKey, request)
	fmt.Println("Ctrl-C stops everything; the data stays.")
}
