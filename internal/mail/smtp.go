package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"

	gomail "github.com/wneessen/go-mail"
)

// SMTPOptions say which server takes the mails.
type SMTPOptions struct {
	// URL is smtp://USER:PASSWORD@HOST:PORT with STARTTLS, 587 when no port is
	// given, or smtps:// with TLS from the start, 465. Without a user nobody signs in.
	URL string
	// From is the sender: Florin <no-reply@example.com>.
	From string
	// RootCAs vouch for the server; nil for those of the system.
	RootCAs *x509.CertPool
}

// SMTP sends by a mail server, always over TLS but to this very machine.
type SMTP struct {
	from           sender
	host           string
	port           int
	user, password string
	isTLS          bool // from the start
	isLoopback     bool
	tls            *tls.Config
	dialTo         string // in place of host and port; "" but in tests
}

// String leaves out who signs in.
func (s *SMTP) String() string { return fmt.Sprintf("mail server %s:%d", s.host, s.port) }

// GoString is String.
func (s *SMTP) GoString() string { return s.String() }

// NewSMTP makes an SMTP sender. It connects to nothing yet. The error never
// repeats the URL, which holds the password.
func NewSMTP(o SMTPOptions) (*SMTP, error) {
	from, err := parseSender(o.From)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") ||
		(u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the mail server must be smtp://USER:PASSWORD@HOST:PORT or smtps://USER:PASSWORD@HOST:PORT")
	}
	s := &SMTP{from: from, host: u.Hostname(), port: 587, isTLS: u.Scheme == "smtps"}
	if s.isTLS {
		s.port = 465
	}
	if given := u.Port(); given != "" {
		if s.port, err = strconv.Atoi(given); err != nil || s.port < 1 || s.port > 65535 {
			return nil, errors.New("the mail server's port must be 1 to 65535")
		}
	}
	s.user = u.User.Username()
	s.password, _ = u.User.Password()
	if (s.user == "") != (s.password == "") {
		return nil, errors.New("the mail server needs a user and a password, or neither")
	}
	address := net.ParseIP(s.host)
	s.isLoopback = s.host == "localhost" || address != nil && address.IsLoopback()
	s.tls = &tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs}
	return s, nil
}

// Send implements Sender. Each call is a connection of its own, which ends with
// ctx.
func (s *SMTP) Send(ctx context.Context, d Delivery) error {
	m, err := s.from.compose(d)
	if err != nil {
		return err
	}
	connection := &connection{sender: s}
	defer connection.close() // go-mail leaves it open when it fails to sign in
	client, err := gomail.NewClient(s.host, s.options(connection)...)
	if err != nil {
		return fmt.Errorf("mail server: %w", err)
	}
	// A server may answer each command just before it would be too late.
	stop := context.AfterFunc(ctx, connection.close)
	defer stop()
	err = client.DialAndSendWithContext(ctx, m)
	if m.IsDelivered() {
		return nil // whatever went wrong after the server had taken it
	}
	return sendError(err)
}

func (s *SMTP) options(c *connection) []gomail.Option {
	options := []gomail.Option{
		gomail.WithPort(s.port), gomail.WithTimeout(sendMax), gomail.WithTLSConfig(s.tls), gomail.WithDialContextFunc(c.dial),
	}
	policy := gomail.TLSMandatory
	if s.isTLS || s.isLoopback {
		policy = gomail.TLSOpportunistic // the first is encrypted already
	}
	options = append(options, gomail.WithTLSPolicy(policy))
	if s.user == "" {
		return options
	}
	auth := gomail.SMTPAuthAutoDiscover
	if s.isLoopback {
		auth = gomail.SMTPAuthPlain // not discovered without TLS
	}
	return append(options, gomail.WithSMTPAuth(auth), gomail.WithUsername(s.user), gomail.WithPassword(s.password))
}

// sendError keeps of go-mail's error what names no address.
func sendError(err error) error {
	var refusal *gomail.SendError
	if !errors.As(err, &refusal) {
		return fmt.Errorf("mail server: %w", err) // before any address was told
	}
	cause := fmt.Errorf("mail server: %s (%d %s)", refusal.Reason, refusal.ErrorCode(), refusal.EnhancedStatusCode())
	if refusal.Reason == gomail.ErrSMTPRcptTo {
		switch refusal.ErrorCode() {
		case 550, 551, 553: // no such mailbox; RFC 5321 4.2.3
			return fmt.Errorf("%w: %w", ErrRefused, cause)
		}
	}
	return cause
}
