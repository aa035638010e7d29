package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"florin/internal/api"
	"florin/internal/approval"
	"florin/internal/cashback/gateway"
	"florin/internal/export"
	"florin/internal/identity"
	"florin/internal/ledger"
	"florin/internal/mail"
	"florin/internal/platform/seal"
)

// guessableKey is the length from which on an API key is not guessed.
const guessableKey = 24

const bankSimulated = "simulated"

// serverFlags configure one replica. Each is one plain value, which its variable
// of the environment hands to the processes of other replicas.
type serverFlags struct {
	Addr           string        `help:"Address of the API." default:"127.0.0.1:8080" env:"FLORIN_ADDR"`
	OpsAddr        string        `help:"Address of /metrics and pprof; empty for none." default:"127.0.0.1:8081" env:"FLORIN_OPS_ADDR"`
	BootstrapKey   string        `name:"bootstrap-api-key" help:"The first API key; when absent a random one is made and shown once, to a terminal alone." env:"FLORIN_BOOTSTRAP_API_KEY" placeholder:"KEY"`
	Callers        int           `name:"max-connections" help:"Most connections of callers at once; more wait." default:"10000" env:"FLORIN_MAX_CONNECTIONS"`
	Workers        int           `name:"executor-workers" help:"Batches that the executor runs at once." default:"1" env:"FLORIN_EXECUTOR_WORKERS"`
	BatchMax       int           `name:"executor-batch" help:"Most transfers in one transaction of the executor." default:"1000" env:"FLORIN_EXECUTOR_BATCH"`
	QueueMax       int           `name:"executor-queue" help:"Most transfers that may wait; above that callers get 503." default:"20000" env:"FLORIN_EXECUTOR_QUEUE"`
	SweepInterval  time.Duration `help:"How often accepted transfers are looked for that a dead replica left." default:"60s" env:"FLORIN_SWEEP_INTERVAL"`
	Region         string        `help:"Home region of accounts opened here, when the database has it; default: the region that the connections lead to." env:"FLORIN_REGION"`
	ExportPlaces   string        `name:"export-destinations" help:"Places that POST /api/v1/exports may have the database deliver to, separated by blanks: each a URL such as s3://BUCKET/PATH?AWS_REGION=NAME, with all beneath it. Empty for none." env:"FLORIN_EXPORT_DESTINATIONS" placeholder:"'URL URL'"`
	IngestSources  string        `help:"Gateways that may report purchases to POST /api/v1/ingest/NAME by their signature alone: each NAME=stripe:SECRET or NAME=signed:SECRET, with commas between several; @MERCHANT,MERCHANT after the secret binds it to these, without it may speak for any. None by default." env:"FLORIN_INGEST_SOURCES" placeholder:"NAME=FORMAT:SECRET@MERCHANT"`
	ReportingURL   string        `name:"reporting-url" help:"The database for the SQL console, by a role of its own: florin reporting role makes it. It may be a copy that only follows. Without it there is no console." env:"FLORIN_REPORTING_URL" placeholder:"URL"`
	MaxConnections int32         `name:"db-connections" help:"Most connections for reads; the executor has its own." default:"16" env:"FLORIN_DB_CONNECTIONS"`

	TLSCert        string `name:"tls-cert" help:"Certificate of the API's port, with its chain, in PEM; read again when it changes and on SIGHUP. Without one there is no TLS here." env:"FLORIN_TLS_CERT" placeholder:"FILE" group:"Transport"`
	TLSKey         string `name:"tls-key" help:"Its key." env:"FLORIN_TLS_KEY" placeholder:"FILE" group:"Transport"`
	PublicURL      string `name:"public-url" help:"Where people reach this server, for links in mails; with https also when a proxy speaks TLS. Default: the address listened on." env:"FLORIN_PUBLIC_URL" placeholder:"URL" group:"Transport"`
	TrustedProxies string `help:"Networks of proxies whose X-Forwarded-For is believed, as CIDR, separated by blanks. None by default." env:"FLORIN_TRUSTED_PROXIES" placeholder:"'CIDR CIDR'" group:"Transport"`
	CORSOrigins    string `name:"cors-origins" help:"Origins such as https://app.example.com whose pages may call the API with a bearer token, separated by blanks. None by default." env:"FLORIN_CORS_ORIGINS" placeholder:"'ORIGIN ORIGIN'" group:"Transport"`
	RateLimits     string `help:"Changes of the rate limits, each for one replica, separated by blanks: signin=5/60s customer.write=none." env:"FLORIN_RATE_LIMITS" placeholder:"'NAME=N/TIME'" group:"Transport"`

	Environment    string        `name:"env" help:"What stands in new API keys: live, test or dev. Default: live." enum:",live,test,dev" default:"" env:"FLORIN_ENV" group:"People and programs"`
	EncryptionKeys string        `help:"Keys that seal what must stay secret in the database, as ID:BASE64 of 32 random bytes, with commas between several; the first seals, all open." env:"FLORIN_ENCRYPTION_KEYS" placeholder:"ID:BASE64" group:"People and programs"`
	SMTPURL        string        `name:"smtp-url" help:"Mail server: smtp://USER:PASSWORD@HOST:PORT with STARTTLS, or smtps://. Without one mails wait in the database." env:"FLORIN_SMTP_URL" placeholder:"URL" group:"People and programs"`
	MailFolder     string        `help:"Write mails to files here instead of sending them: for trying things out." env:"FLORIN_MAIL_FOLDER" placeholder:"FOLDER" group:"People and programs"`
	MailFrom       string        `help:"Sender of mails." default:"Florin <no-reply@localhost>" env:"FLORIN_MAIL_FROM" group:"People and programs"`
	SessionIdle    time.Duration `help:"How long a session lives unused." default:"30m" env:"FLORIN_SESSION_IDLE" group:"People and programs"`
	SessionMax     time.Duration `help:"How long a session lives at all." default:"12h" env:"FLORIN_SESSION_MAX" group:"People and programs"`
	Bank           string        `help:"What deposits and withdrawals go to: none, or simulated, which moves nothing. Default: none." enum:",none,simulated" default:"" env:"FLORIN_BANK" group:"People and programs"`
	SecondPerson   string        `help:"Operations that need a second person's approval, separated by blanks: forced_reversal, role_change, limit_raise, campaign_change (of campaigns and of what they share, but to pause one). None by default." env:"FLORIN_SECOND_PERSON" placeholder:"'NAME NAME'" group:"People and programs"`
}

// String hides the secrets among the flags, and the others with them.
func (f serverFlags) String() string { return "flags of the server at " + f.Addr }

// GoString is String.
func (f serverFlags) GoString() string { return f.String() }

// LogValue is String.
func (f serverFlags) LogValue() slog.Value { return slog.StringValue(f.String()) }

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
	case f.Callers < 1:
		return fmt.Errorf("--max-connections is %d, must be at least 1", f.Callers)
	case f.SessionIdle < time.Minute || f.SessionMax < f.SessionIdle || f.SessionMax > 30*24*time.Hour:
		return fmt.Errorf("--session-idle is %s, must be at least 1m and at most --session-max, %s, which must be at most 720h", f.SessionIdle, f.SessionMax)
	}
	return nil
}

// settings are the flags, understood.
type settings struct {
	exportPlaces   export.Allowed
	ingestSources  gateway.Sources
	environment    identity.Environment
	sealer         *seal.Keyring
	sender         mail.Sender // nil: mails wait
	mailFolder     *mail.Folder
	publicURL      string
	overTLS        bool
	trustedProxies []netip.Prefix
	corsOrigins    []string
	rateLimits     api.RateLimits
	secondPerson   []approval.Operation
	hasBank        bool
	sessionIdle    time.Duration
	sessionMax     time.Duration
}

// settings reads the flags. None of its errors repeats a secret.
func (f *serverFlags) settings() (s settings, err error) {
	s = settings{
		environment: identity.Environment(cmp.Or(f.Environment, string(identity.Live))), hasBank: f.Bank == bankSimulated,
		sessionIdle: f.SessionIdle, sessionMax: f.SessionMax, corsOrigins: strings.Fields(f.CORSOrigins),
	}
	if err := f.validate(); err != nil {
		return s, err
	}
	if s.exportPlaces, err = export.ParseAllowed(strings.Fields(f.ExportPlaces)); err != nil {
		return s, fmt.Errorf("--export-destinations: %w", err)
	}
	if s.ingestSources, err = gateway.ParseSources(f.IngestSources); err != nil {
		return s, fmt.Errorf("--ingest-sources: %w", err)
	}
	if err := checkReportingURL(f.ReportingURL); err != nil {
		return s, err
	}
	if s.sealer, err = f.sealer(); err != nil {
		return s, err
	}
	if s.trustedProxies, err = parseNetworks(f.TrustedProxies); err != nil {
		return s, fmt.Errorf("--trusted-proxies: %w", err)
	}
	for _, origin := range s.corsOrigins {
		if err := api.CheckOrigin(origin); err != nil {
			return s, fmt.Errorf("--cors-origins: %w", err)
		}
	}
	if s.rateLimits, err = api.ParseRateLimits(f.RateLimits); err != nil {
		return s, fmt.Errorf("--rate-limits: %w", err)
	}
	for _, name := range strings.Fields(f.SecondPerson) {
		operation, err := approval.ParseOperation(name)
		if err != nil {
			return s, fmt.Errorf("--second-person: %w", err)
		}
		s.secondPerson = append(s.secondPerson, operation)
	}
	if err := f.readURL(&s); err != nil {
		return s, err
	}
	if err := f.readMail(&s); err != nil {
		return s, err
	}
	if s.environment == identity.Live {
		return s, f.checkLive()
	}
	return s, nil
}

// checkLive refuses what is for trying things out where there is real money.
func (f *serverFlags) checkLive() error {
	if f.Bank == bankSimulated {
		return errors.New("--bank simulated makes money of nothing: it is not for --env live; set --env test, or --bank none")
	}
	if key := f.BootstrapKey; key != "" && len(key) < guessableKey {
		return fmt.Errorf("the bootstrap API key could be guessed: with --env live it must have at least %d characters", guessableKey)
	}
	return nil
}

func (f *serverFlags) sealer() (*seal.Keyring, error) {
	if f.EncryptionKeys == "" {
		return nil, errors.New("FLORIN_ENCRYPTION_KEYS is not set: make a key with florin secrets new k1, keep it safe, and set it to that")
	}
	sealer, err := seal.Parse(f.EncryptionKeys)
	if err != nil {
		return nil, fmt.Errorf("FLORIN_ENCRYPTION_KEYS: %w", err)
	}
	return sealer, nil
}

func (f *serverFlags) readURL(s *settings) error {
	s.publicURL = strings.TrimSuffix(cmp.Or(f.PublicURL, f.scheme()+"://"+f.Addr), "/")
	u, err := url.Parse(s.publicURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		if f.PublicURL == "" {
			return fmt.Errorf("--addr is %q, must be HOST:PORT", f.Addr)
		}
		return errors.New("--public-url must be like https://pay.example.com")
	}
	s.overTLS = u.Scheme == "https"
	if f.TLSCert != "" && !s.overTLS {
		return errors.New("--public-url is http although there is a TLS certificate")
	}
	return nil
}

func (f *serverFlags) scheme() string {
	if f.TLSCert != "" {
		return "https"
	}
	return "http"
}

func (f *serverFlags) readMail(s *settings) (err error) {
	switch {
	case f.SMTPURL != "" && f.MailFolder != "":
		return errors.New("--smtp-url and --mail-folder exclude each other")
	case f.SMTPURL != "":
		if s.sender, err = mail.NewSMTP(mail.SMTPOptions{URL: f.SMTPURL, From: f.MailFrom}); err != nil {
			return fmt.Errorf("--smtp-url, --mail-from: %w", err)
		}
	case f.MailFolder != "":
		s.mailFolder = &mail.Folder{Path: f.MailFolder, From: f.MailFrom, LogLinks: s.environment == identity.Dev}
		s.sender = s.mailFolder
	}
	return nil
}

func parseNetworks(text string) (networks []netip.Prefix, err error) {
	for _, field := range strings.Fields(text) {
		network, err := netip.ParsePrefix(field)
		if err != nil {
			return nil, fmt.Errorf("%q is no network: write one like 10.0.0.0/8", field)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}
