package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
)

type serveCommand struct {
	DatabaseURL string `help:"Database to serve." env:"FLORIN_DATABASE_URL" placeholder:"URL"`
	serverFlags
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(ctx context.Context) error {
	if c.DatabaseURL == "" {
		return errors.New("FLORIN_DATABASE_URL is not set; to try Florin without a database of your own, run: florin dev")
	}
	if _, err := c.settings(); err != nil { // before a port is taken
		return err
	}
	log := newLogger(logJSON)
	listener, err := listen(c.Addr, "addr")
	if err != nil {
		return err
	}
	defer listener.Close()
	c.Addr = listener.Addr().String()
	var opsListener net.Listener
	if c.OpsAddr != "" {
		if opsListener, err = listen(c.OpsAddr, "ops-addr"); err != nil {
			return err
		}
		defer opsListener.Close()
	}
	a, err := newApp(ctx, c.serverFlags, c.DatabaseURL, log)
	if err != nil {
		return err
	}
	defer a.close()
	a.tellTransport(listener)
	a.tellDatabase(c.DatabaseURL)
	log.Info("serving", "address", listener.Addr().String(), "database", a.reads.Version, "version", version())
	return a.run(ctx, listener, opsListener, func(_ context.Context, generatedKey string) error {
		if generatedKey != "" {
			// To a terminal, not in a log: it is a secret, and this is the only time it
			// is shown.
			fmt.Fprintf(os.Stderr, "The first API key, shown this once: %s\n", generatedKey)
		}
		return nil
	})
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
