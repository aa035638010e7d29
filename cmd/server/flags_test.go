package main

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"florin/internal/identity"
	"florin/internal/platform/dbtest/secrets"
	"florin/internal/platform/seal"
)

// defaults are the flags as they are when none is given.
func defaults(t *testing.T, args ...string) serverFlags {
	t.Helper()
	var flags serverFlags
	parser, err := kong.New(&flags)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	flags.EncryptionKeys = seal.NewKey("t")
	return flags
}

func TestDefaultSettingsAreTheCarefulOnes(t *testing.T) {
	flags := defaults(t)
	s, err := flags.settings()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.trustedProxies)+len(s.corsOrigins)+len(s.rateLimits)+len(s.secondPerson)+len(s.ingestSources) > 0 || s.hasBank || s.sender != nil || s.overTLS ||
		s.environment != identity.Live || s.sessionIdle != 30*time.Minute || s.sessionMax != 12*time.Hour || s.publicURL != "http://127.0.0.1:8080" {
		t.Errorf("%+v", s)
	}
}

func TestSettingsAreUnderstood(t *testing.T) {
	flags := defaults(t, "--trusted-proxies", "10.1.2.3/8 ::1/128", "--cors-origins", "https://a.example https://b.example:8443",
		"--rate-limits", "signin=5/60s", "--second-person", "role_change forced_reversal", "--bank", "simulated", "--env", "test",
		"--public-url", "https://pay.example.com/", "--smtp-url", "smtps://u:p@mail.example.com", "--ingest-sources", "shop=stripe:whsec_0123456789abcdefghijklmn, erp=signed:MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "--mail-from", "Florin <no-reply@example.com>")
	s, err := flags.settings()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.trustedProxies) != 2 || s.trustedProxies[0].String() != "10.0.0.0/8" || len(s.corsOrigins) != 2 || s.rateLimits["signin"].Quota != 5 ||
		len(s.secondPerson) != 2 || len(s.ingestSources) != 2 || !s.hasBank || s.sender == nil || !s.overTLS || s.environment != identity.Test || s.publicURL != "https://pay.example.com" {
		t.Errorf("%+v", s)
	}
}

func TestMistakesInSettingsAreNamedAndSecretsAreNot(t *testing.T) {
	for want, change := range map[string]func(*serverFlags){
		"FLORIN_ENCRYPTION_KEYS is not set": func(f *serverFlags) { f.EncryptionKeys = "" },
		"FLORIN_ENCRYPTION_KEYS:":           func(f *serverFlags) { f.EncryptionKeys = "hunter2" },
		"--trusted-proxies":                 func(f *serverFlags) { f.TrustedProxies = "10.0.0.1" },
		"--cors-origins":                    func(f *serverFlags) { f.CORSOrigins = "*" },
		"--rate-limits":                     func(f *serverFlags) { f.RateLimits = "signin=lots" },
		"--second-person":                   func(f *serverFlags) { f.SecondPerson = "everything" },
		"--ingest-sources: source 2": func(f *serverFlags) {
			f.IngestSources = "shop=stripe:whsec_0123456789abcdefghijklmn,erp=signed:hunter2"
		},
		"--ingest-sources: source 1":   func(f *serverFlags) { f.IngestSources = "hunter2" },
		"--public-url":                 func(f *serverFlags) { f.PublicURL = "pay.example.com" },
		"--public-url must":            func(f *serverFlags) { f.PublicURL = "https://u:hunter2@pay.example.com" },
		"--public-url is http":         func(f *serverFlags) { f.TLSCert, f.PublicURL = "x", "http://pay.example.com" },
		"--smtp-url, ":                 func(f *serverFlags) { f.SMTPURL = "http://u:hunter2@x" },
		"--smtp-url and --mail-folder": func(f *serverFlags) { f.SMTPURL, f.MailFolder = "smtp://u:hunter2@x", "y" },
		"--bank simulated":             func(f *serverFlags) { f.Bank = bankSimulated },
		"the bootstrap API key":        func(f *serverFlags) { f.BootstrapKey = "hunter2" },
		"--max-connections":            func(f *serverFlags) { f.Callers = 0 },
		"--session-idle":               func(f *serverFlags) { f.SessionIdle = 13 * time.Hour },
		"--session-max":                func(f *serverFlags) { f.SessionMax = 1000 * time.Hour },
	} {
		flags := defaults(t)
		change(&flags)
		_, err := flags.settings()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// Flags may be logged by mistake, and show no secret.
func TestFlagsPrintNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2 and hunter3"
	secrets.Register(t, "secret flag", secret)
	log := secrets.NewLog(t)
	server := serverFlags{Addr: "127.0.0.1:8080", BootstrapKey: secret, EncryptionKeys: secret, SMTPURL: secret, IngestSources: secret}
	people := peopleFlags{databaseFlags: databaseFlags{DatabaseURL: secret}, EncryptionKeys: secret}
	values := []any{
		server, &server, people, &people, serveCommand{DatabaseURL: secret, serverFlags: server}, devCommand{serverFlags: server},
		userCreateCommand{peopleFlags: people}, secretsRotateCommand{peopleFlags: people}, ingestCommand{APIKey: secret}, &ingestCommand{APIKey: secret},
	}
	for _, handler := range []slog.Handler{slog.NewJSONHandler(log, nil), slog.NewTextHandler(log, nil)} {
		for _, value := range values {
			slog.New(handler).Info("flags", "value", value)
			fmt.Fprintf(log, "%v %+v %#v %s\n", value, value, value, value)
		}
	}
	if !strings.Contains(log.String(), "flags of the server at 127.0.0.1:8080") {
		t.Error(log)
	}
}
