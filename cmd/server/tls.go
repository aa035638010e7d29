package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// certificateLookInterval is how often the certificate's files are looked at.
const certificateLookInterval = 10 * time.Second

// certificate is the server's certificate, read again when its files change or
// on SIGHUP. A new one that is broken is logged and the old one kept.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	read              fileTimes     // of the files that were read last
	look              chan struct{} // has the files looked at
}

type fileTimes struct{ cert, key time.Time }

// readCertificate returns nil without files.
func readCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, nil
	case certFile == "" || keyFile == "":
		return nil, errors.New("--tls-cert and --tls-key belong together")
	}
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, look: make(chan struct{})}
	return c, c.load()
}

// config is for a listener. TLS 1.2 is the oldest that is spoken; the ciphers
// are Go's choice, all with forward secrecy in 1.3, and for 1.2 those below.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

func (c *certificate) load() error {
	times, err := c.times()
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read the TLS certificate: %w", err)
	}
	c.current.Store(&pair)
	c.read = times
	return nil
}

func (c *certificate) times() (fileTimes, error) {
	cert, err := os.Stat(c.certFile)
	if err != nil {
		return fileTimes{}, fmt.Errorf("--tls-cert: %w", err)
	}
	key, err := os.Stat(c.keyFile)
	if err != nil {
		return fileTimes{}, fmt.Errorf("--tls-key: %w", err)
	}
	return fileTimes{cert.ModTime(), key.ModTime()}, nil
}

// run keeps the certificate up to date until ctx ends.
func (c *certificate) run(ctx context.Context) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	defer signal.Stop(asked)
	interval := time.NewTicker(certificateLookInterval)
	defer interval.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			c.reload()
		case <-interval.C:
			c.reloadChanged()
		case <-c.look:
			c.reloadChanged()
		}
	}
}

func (c *certificate) reloadChanged() {
	if times, err := c.times(); err != nil || times != c.read {
		c.reload()
	}
}

// reload tells of a broken pair each time it is looked at: it ends the service
// when the old one expires. The two files of a new pair may come one after the
// other, so the first look can find two that don't belong together.
func (c *certificate) reload() {
	if err := c.load(); err != nil {
		c.log.Error("the TLS certificate can't be read again; the old one stays", "error", err)
		return
	}
	c.log.Info("the TLS certificate was read again", "expires", c.current.Load().Leaf.NotAfter)
}
