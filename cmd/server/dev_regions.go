package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"text/tabwriter"

	"golang.org/x/sync/errgroup"

	"florin/internal/admin"
	"florin/internal/platform/database"
	"florin/internal/platform/database/embedded"
	"florin/internal/seed"
)

// survivalRegionsMin is how many regions it takes to outlive one.
const survivalRegionsMin = 3

// validateRegions finds what can be told before anything is started.
func (c *devCommand) validateRegions() error {
	if n := len(c.Regions); c.Survive == database.SurviveRegion && n > 0 && n < survivalRegionsMin {
		return fmt.Errorf("--survive region takes %d regions or more, --regions names %d", survivalRegionsMin, n)
	}
	if len(c.Regions) > 0 && c.TLSCert != "" {
		return errors.New("--tls-cert is not for a cluster on this machine")
	}
	return nil
}

func isCluster(server *embedded.Server) bool { return server.Nodes()[0].Region != "" }

// runRegions prepares a cluster's database and runs one replica for each region
// until ctx ends. The listeners hold the first replica's ports until then.
func (c *devCommand) runRegions(ctx context.Context, server *embedded.Server, listener, opsListener net.Listener, log *slog.Logger) error {
	version, err := c.prepareRegions(ctx, server, log)
	if err != nil {
		return err
	}
	nodes := server.Nodes()
	addresses, err := c.takePorts(len(nodes), listener, opsListener)
	if err != nil {
		return err
	}
	replicas := make([]*replica, len(nodes))
	for i, node := range nodes {
		if replicas[i], err = c.newReplica(node, addresses[i], log); err != nil {
			return err
		}
	}
	log.Info("starting a server for each region")
	servers, ctx := errgroup.WithContext(ctx)
	for _, r := range replicas {
		servers.Go(func() error { return r.run(ctx) })
	}
	servers.Go(func() error {
		for _, r := range replicas {
			if err := r.waitReady(ctx); err != nil {
				return err
			}
		}
		c.welcomeRegions(version, server, replicas)
		return nil
	})
	return servers.Wait()
}

// prepareRegions migrates, spreads the database over its regions and fills in
// demo data, once for all replicas. It returns the database's version.
func (c *devCommand) prepareRegions(ctx context.Context, server *embedded.Server, log *slog.Logger) (version string, err error) {
	db, err := database.Open(ctx, server.URL(), database.Options{ApplicationName: "florin dev", MaxConns: 4})
	if err != nil {
		return "", err
	}
	defer db.Close()
	log.Info("bringing the schema up to date; for a new cluster this takes a minute or two")
	if _, err := database.Migrate(ctx, db, log); err != nil {
		return "", err
	}
	layout := database.Regions{Survival: c.Survive}
	for _, node := range server.Nodes() {
		layout.Names = append(layout.Names, node.Region)
	}
	before, _, err := db.Regions(ctx)
	if err != nil {
		return "", err
	}
	if c.Survive == "" && len(before) == 0 && len(layout.Names) >= survivalRegionsMin {
		layout.Survival = database.SurviveRegion
	}
	if err := database.Localize(ctx, db, layout, log); err != nil {
		return "", err
	}
	if err := c.keepReportingRole(ctx, db, server.URL(), log); err != nil {
		return "", err
	}
	if !c.Demo {
		return db.Version, nil
	}
	log.Info("filling in demo data")
	ledger, stop, err := openLedger(ctx, server.URL())
	if err != nil {
		return "", err
	}
	defer stop()
	if err := seed.Demo(ctx, ledger); err != nil {
		return "", fmt.Errorf("demo data: %w", err)
	}
	return db.Version, nil
}

// addresses are where a replica listens; ops is empty when it serves none.
type addresses struct{ api, ops string }

// takePorts finds ports for n replicas: those of the listeners, and for each
// further replica the next ones that are free. All are free when it returns.
func (c *devCommand) takePorts(n int, listener, opsListener net.Listener) ([]addresses, error) {
	api, err := listenInARow(n, listener)
	if err != nil {
		return nil, err
	}
	ops, err := listenInARow(n, opsListener)
	if err != nil {
		return nil, err
	}
	taken := make([]addresses, n)
	for i := range taken {
		taken[i].api = api[i].Addr().String()
		_ = api[i].Close()
		if ops != nil {
			taken[i].ops = ops[i].Addr().String()
			_ = ops[i].Close()
		}
	}
	return taken, nil
}

// portsTried is how far a free port is looked for.
const portsTried = 100

// listenInARow adds listeners on the free ports that follow the first one's until
// there are n. It returns none when there is no first.
func listenInARow(n int, first net.Listener) ([]net.Listener, error) {
	if first == nil {
		return nil, nil
	}
	at, ok := first.Addr().(*net.TCPAddr)
	if !ok {
		return nil, errors.New("not a TCP address: " + first.Addr().String())
	}
	all := []net.Listener{first}
	for port := at.Port + 1; len(all) < n; port++ {
		if port > at.Port+portsTried {
			return nil, fmt.Errorf("no free ports after %s for the servers of all regions: choose another address", at)
		}
		if next, err := net.Listen("tcp", net.JoinHostPort(at.IP.String(), strconv.Itoa(port))); err == nil {
			all = append(all, next)
		}
	}
	return all, nil
}

// welcomeRegions says where to look.
func (c *devCommand) welcomeRegions(version string, server *embedded.Server, replicas []*replica) {
	fmt.Printf("\nFlorin is running on %s in %d regions (data in %s).\n\n", version, len(replicas), c.DataDir)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	nodes := server.Nodes()
	row := func(title string, cell func(i int) string) {
		fmt.Fprintf(table, "  %s", title)
		for i := range nodes {
			fmt.Fprintf(table, "\t%s", cell(i))
		}
		fmt.Fprintln(table)
	}
	row("", func(i int) string { return nodes[i].Region })
	row("API", func(i int) string { return replicas[i].base() + "/api/v1" })
	row("Docs", func(i int) string { return replicas[i].base() + "/docs" })
	row("Pages", func(i int) string { return replicas[i].base() + admin.Root })
	if replicas[0].at.ops != "" {
		row("Metrics", func(i int) string { return "http://" + replicas[i].at.ops + "/metrics" })
	}
	row("Console", func(i int) string { return "http://" + nodes[i].HTTPAddress })
	row("SQL", func(i int) string { return nodes[i].Address })
	row("Server pid", func(i int) string { return strconv.Itoa(replicas[i].pid()) })
	row("Node pid", func(i int) string { return strconv.Itoa(nodes[i].PID) })
	row("Server log", func(i int) string { return replicas[i].logName() })
	_ = table.Flush()
	fmt.Printf("\n  Database %s\n", server.URL())
	fmt.Printf("  API key  %s\n\n", c.BootstrapKey)
	c.suggest(replicas[0].base())
}
