package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// writeCertificate makes a certificate of its own for 127.0.0.1 and returns its
// serial number.
func writeCertificate(t *testing.T, certFile, keyFile string) *big.Int {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return serial
}

// serveTLS serves with a certificate of the files until the test ends.
func serveTLS(t *testing.T, certFile, keyFile string, log *slog.Logger) (address string, c *certificate) {
	t.Helper()
	c, err := readCertificate(certFile, keyFile, log)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Proto)) })
		if err := serve(ctx, &http.Server{Handler: hello, TLSConfig: c.config(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}, listener); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() { c.run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return listener.Addr().String(), c
}

func dialTLS(address string, config *tls.Config) (*tls.ConnectionState, error) {
	config.InsecureSkipVerify = true // what is served is looked at, not trusted
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	state := conn.ConnectionState()
	return &state, conn.Handshake()
}

func servedSerial(t *testing.T, address string) *big.Int {
	t.Helper()
	state, err := dialTLS(address, &tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0].SerialNumber
}

func TestTLSIsOfVersion12AndUp(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile)
	address, _ := serveTLS(t, certFile, keyFile, slog.New(slog.DiscardHandler))
	for version, isSpoken := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		_, err := dialTLS(address, &tls.Config{MinVersion: version, MaxVersion: version})
		if (err == nil) != isSpoken {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	if _, err := dialTLS(address, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}); err == nil {
		t.Error("ciphers without authentication are spoken")
	}
	state, err := dialTLS(address, &tls.Config{NextProtos: []string{"h2", "http/1.1"}})
	if err != nil || state.NegotiatedProtocol != "h2" {
		t.Errorf("%v %v", state, err)
	}
	plain, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Body.Close()
	if plain.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %d", plain.StatusCode)
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	first := writeCertificate(t, certFile, keyFile)
	var log lockedBuffer
	address, c := serveTLS(t, certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
	if servedSerial(t, address).Cmp(first) != 0 {
		t.Fatal("another certificate is served")
	}
	// A broken one is told of, and changes nothing.
	if err := os.WriteFile(certFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.look <- struct{}{}
	c.look <- struct{}{} // the first one is done
	if servedSerial(t, address).Cmp(first) != 0 || !strings.Contains(log.String(), "can't be read again") {
		t.Errorf("after a broken one: %s", log.String())
	}
	second := writeCertificate(t, certFile, keyFile)
	if err := os.Chtimes(certFile, time.Now(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	c.look <- struct{}{}
	c.look <- struct{}{}
	if servedSerial(t, address).Cmp(second) != 0 {
		t.Errorf("a changed file is not read: %s", log.String())
	}
	// On SIGHUP even when nothing seems to have changed.
	third := writeCertificate(t, certFile, keyFile)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); servedSerial(t, address).Cmp(third) != 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not read on SIGHUP: %s", log.String())
		}
	}
	if strings.Contains(log.String(), "PRIVATE") {
		t.Error("the key stands in the log")
	}
}

func TestCertificatesThatMakeNoSenseAreRefused(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, otherKey := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "other.pem")
	writeCertificate(t, filepath.Join(dir, "other-cert.pem"), otherKey)
	writeCertificate(t, certFile, keyFile)
	for name, files := range map[string][2]string{
		"a certificate alone": {certFile, ""}, "a key alone": {"", keyFile}, "no file": {filepath.Join(dir, "none"), keyFile},
		"another's key": {certFile, otherKey}, "exchanged": {keyFile, certFile},
	} {
		if _, err := readCertificate(files[0], files[1], nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if c, err := readCertificate("", "", nil); c != nil || err != nil {
		t.Errorf("no TLS: %v %v", c, err)
	}
}

// lockedBuffer is a buffer that a log writes to while a test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
