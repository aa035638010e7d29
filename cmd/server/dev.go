package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"florin/internal/admin"
	"florin/internal/identity"
	"florin/internal/platform/database"
	"florin/internal/platform/database/embedded"
	"florin/internal/platform/seal"
	"florin/internal/seed"
)

type devCommand struct {
	engineFlags
	serverFlags
	Regions []string `help:"Run a CockroachDB cluster on this machine, of a node and a server for each of these regions, the primary first. The data folder remembers them." placeholder:"NAME"`
	Survive string   `help:"What the cluster's database outlives: zone or region; at first region when there are three." enum:",zone,region" default:""`
	Demo    bool     `help:"Fill in demo data." default:"true" negatable:""`

	// hasOwnRole says that the console's role was made here, with rolePassword, which
	// is empty where there are no passwords.
	hasOwnRole   bool
	rolePassword string
}

// Run runs a database engine, the server (one for each region, if there are
// regions) and demo data on this machine until it is told to stop, and then stops
// all of it.
func (c *devCommand) Run(ctx context.Context) error {
	if err := c.validateRegions(); err != nil {
		return err
	}
	c.setDefaults()
	log := newLogger(logText)
	if err := c.checkSettings(); err != nil {
		return err
	}
	// First of all, so that a taken port is told before an engine is started.
	listener, err := listen(c.Addr, "addr")
	if err != nil {
		return err
	}
	defer listener.Close()
	c.Addr = listener.Addr().String()
	opsListener := c.listenOps(log)
	if opsListener != nil {
		defer opsListener.Close()
	}
	server, err := c.start(ctx, embedded.Options{Regions: c.Regions, Log: log})
	if err != nil {
		return err
	}
	defer stopEngine(ctx, server, log)
	if err := c.keepSecrets(); err != nil {
		return err
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

// setDefaults makes a place to try everything out in.
func (c *devCommand) setDefaults() {
	c.Environment = cmp.Or(c.Environment, string(identity.Dev))
	if c.Environment != string(identity.Live) {
		c.Bank = cmp.Or(c.Bank, bankSimulated)
	}
	if c.SMTPURL == "" {
		c.MailFolder = cmp.Or(c.MailFolder, filepath.Join(c.DataDir, "mails"))
	}
}

// checkSettings finds mistakes before anything is started. The data folder's own
// secrets are not there yet.
func (c *devCommand) checkSettings() error {
	flags := c.serverFlags
	flags.EncryptionKeys = cmp.Or(flags.EncryptionKeys, seal.NewKey("check"))
	if _, err := flags.settings(); err != nil {
		return err
	}
	_, err := readCertificate(c.TLSCert, c.TLSKey, nil)
	return err
}

// keepSecrets takes the data folder's own secrets where none are given.
func (c *devCommand) keepSecrets() (err error) {
	if c.BootstrapKey == "" {
		if c.BootstrapKey, err = keptKey(c.DataDir); err != nil {
			return err
		}
	}
	if c.EncryptionKeys == "" {
		c.EncryptionKeys, err = keptEncryptionKey(c.DataDir)
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
	db, err := database.Open(ctx, server.URL(), database.Options{ApplicationName: "florin dev", MaxConns: 4})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if _, err := database.Migrate(ctx, db, log); err != nil {
		return nil, err
	}
	if err := c.keepReportingRole(ctx, db, server.URL(), log); err != nil {
		return nil, err
	}
	return newApp(ctx, c.serverFlags, server.URL(), log)
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
	return kept(filepath.Join(dataDir, "api-key"), func() string { return identity.RandomKey(identity.Dev) })
}

// keptEncryptionKey is what seals the secrets in this data folder's database.
func keptEncryptionKey(dataDir string) (string, error) {
	return kept(filepath.Join(dataDir, "encryption-keys"), func() string { return seal.NewKey("dev") })
}

// kept is the secret in a file, made at the first call.
func kept(file string, newSecret func() string) (string, error) {
	content, err := os.ReadFile(file)
	if err == nil {
		if secret := strings.TrimSpace(string(content)); secret != "" {
			return secret, nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read a secret of the data folder: %w", err)
	}
	secret := newSecret()
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep a secret of the data folder: %w", err)
	}
	return secret, nil
}

// welcome says where to look.
func (c *devCommand) welcome(engine, databaseURL string, listener, opsListener net.Listener) {
	base := c.scheme() + "://" + listener.Addr().String()
	fmt.Printf("\nFlorin is running on %s (data in %s).\n\n", engine, c.DataDir)
	fmt.Printf("  API      %s/api/v1\n", base)
	fmt.Printf("  Docs     %s/docs\n", base)
	fmt.Printf("  Pages    %s%s\n", base, admin.Root)
	if opsListener != nil {
		fmt.Printf("  Metrics  http://%s/metrics\n", opsListener.Addr())
	}
	if c.MailFolder != "" {
		fmt.Printf("  Mails    %s\n", c.MailFolder)
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
