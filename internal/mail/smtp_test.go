package mail_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"florin/internal/mail"
)

// server is a mail server as tests need it: it takes mails, or answers as told.
type server struct {
	address    string
	tls        *tls.Config
	isTLS      bool              // from the start
	hasTLS     bool              // offers STARTTLS
	answers    map[string]string // by command, in place of the usual ones
	stallsAt   string            // a command that is never answered
	tricklesAt string            // a command that is answered a byte a second

	mu       sync.Mutex
	mails    []string
	commands []string
	secure   bool // the mail came over TLS
	open     int
}

func (s *server) start(t *testing.T) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				s.count(1)
				defer s.count(-1)
				defer conn.Close()
				if s.isTLS {
					s.talk(tls.Server(conn, s.tls), true)
				} else {
					s.talk(conn, false)
				}
			}()
		}
	}()
	return s
}

func (s *server) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += n
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

func (s *server) taken() (mails, commands []string, isSecure bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails, s.commands, s.secure
}

func (s *server) talk(conn net.Conn, isSecure bool) {
	lines := bufio.NewReader(conn)
	say := func(text string) { fmt.Fprint(conn, text+"\r\n") }
	say("220 ready")
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		command := strings.ToUpper(strings.SplitN(line, " ", 2)[0])
		s.mu.Lock()
		s.commands = append(s.commands, line)
		s.mu.Unlock()
		switch command {
		case s.stallsAt:
			_, _ = io.Copy(io.Discard, conn) // until the client has had enough
			return
		case s.tricklesAt:
			for range 600 {
				if _, err := conn.Write([]byte("2")); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
			return
		}
		if answer, isTold := s.answers[command]; isTold {
			say(answer)
			continue
		}
		switch command {
		case "EHLO":
			say("250-test")
			if s.hasTLS && !isSecure {
				say("250-STARTTLS")
			}
			say("250-AUTH PLAIN LOGIN")
			say("250 ENHANCEDSTATUSCODES")
		case "STARTTLS":
			say("220 go on")
			encrypted := tls.Server(conn, s.tls)
			s.talkOn(encrypted)
			return
		case "AUTH":
			say("235 2.7.0 welcome")
		case "DATA":
			say("354 go on")
			var text strings.Builder
			for {
				line, err := lines.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			s.mu.Lock()
			s.mails, s.secure = append(s.mails, text.String()), isSecure
			s.mu.Unlock()
			if answer, isTold := s.answers["."]; isTold {
				say(answer)
			} else {
				say("250 2.0.0 taken")
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 2.0.0 fine")
		}
	}
}

// talkOn goes on after STARTTLS, where the server doesn't greet again.
func (s *server) talkOn(conn net.Conn) { s.talk(&silentOnce{Conn: conn}, true) }

// silentOnce swallows the greeting.
type silentOnce struct {
	net.Conn
	isGreeted bool
}

func (c *silentOnce) Write(p []byte) (int, error) {
	if !c.isGreeted {
		c.isGreeted = true
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// certificate for "localhost" and 127.0.0.1, and who vouches for it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost", "mail.example.com"}, IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}

const from = "Florin <no-reply@florin.example>"

func smtp(t *testing.T, o mail.SMTPOptions) *mail.SMTP {
	t.Helper()
	if o.From == "" {
		o.From = from
	}
	sender, err := mail.NewSMTP(o)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func delivery() mail.Delivery {
	return mail.Delivery{ID: "mail_1", Written: time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC), Message: mail.Message{
		To: "ada@example.com", Subject: "Bestätigen Sie Ihre Adresse", Text: "Grüße\n.\nhttps://florin.example/verify?token=" + strings.Repeat("x", 90) + "\n",
	}}
}

func TestSMTPSendsWhatWasWritten(t *testing.T) {
	t.Parallel()
	config, roots := certificate(t)
	for name, s := range map[string]*server{
		"STARTTLS": {tls: config, hasTLS: true}, "TLS from the start": {tls: config, isTLS: true}, "plain to this machine": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.start(t)
			scheme := "smtp://"
			if s.isTLS {
				scheme = "smtps://"
			}
			sender := smtp(t, mail.SMTPOptions{URL: scheme + "florin:p%40ss@" + s.address, RootCAs: roots})
			if err := sender.Send(t.Context(), delivery()); err != nil {
				t.Fatal(err)
			}
			mails, commands, isSecure := s.taken()
			if len(mails) != 1 || isSecure != (s.hasTLS || s.isTLS) {
				t.Fatalf("%d mails, secure %t", len(mails), isSecure)
			}
			check(t, mails[0])
			login := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00florin\x00p@ss"))
			if got := strings.Join(commands, "\n"); !strings.Contains(got, login) || !strings.Contains(got, "RCPT TO:<ada@example.com>") {
				t.Error(got)
			}
			eventually(t, "the connection is closed", func() bool { return s.connections() == 0 })
		})
	}
}

// check reads a mail as its recipient's program does.
func check(t *testing.T, text string) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	d := delivery()
	subject, err := (&mime.WordDecoder{}).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != d.Message.Subject {
		t.Errorf("subject %q, %v", subject, err)
	}
	date, err := m.Header.Date()
	if err != nil || !date.Equal(d.Written) {
		t.Errorf("date %s, %v", date, err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if got := strings.ReplaceAll(string(body), "\r\n", "\n"); err != nil || strings.TrimRight(got, "\n") != strings.TrimRight(d.Message.Text, "\n") {
		t.Errorf("text %q, %v", got, err)
	}
	for header, want := range map[string]string{
		"From": `"Florin" <no-reply@florin.example>`, "To": "<ada@example.com>", "Message-Id": "<mail_1@florin.example>", "Auto-Submitted": "auto-generated",
	} {
		if got := m.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}

func TestSMTPSaysWhatIsNoUseTryingAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers   map[string]string
		isRefused bool
		isTaken   bool
	}{
		"no such mailbox":        {answers: map[string]string{"RCPT": "550 5.1.1 <ada@example.com> is unknown"}, isRefused: true},
		"address not allowed":    {answers: map[string]string{"RCPT": "553 5.1.3 bad address ada@example.com"}, isRefused: true},
		"mailbox is full":        {answers: map[string]string{"RCPT": "452 4.2.2 ada@example.com is full"}},
		"greylisted":             {answers: map[string]string{"RCPT": "450 4.7.1 ada@example.com: come again"}},
		"sender not allowed":     {answers: map[string]string{"MAIL": "553 5.7.1 not you"}},
		"data refused":           {answers: map[string]string{".": "554 5.7.1 spam for ada@example.com"}},
		"signing in refused":     {answers: map[string]string{"AUTH": "535 5.7.8 wrong password"}},
		"odd answers after that": {answers: map[string]string{"QUIT": "500 what", "RSET": "421 gone"}, isTaken: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := (&server{answers: test.answers}).start(t)
			err := smtp(t, mail.SMTPOptions{URL: "smtp://u:p@" + s.address}).Send(t.Context(), delivery())
			if (err == nil) != test.isTaken || errors.Is(err, mail.ErrRefused) != test.isRefused {
				t.Fatal(err)
			}
			if err != nil && strings.Contains(err.Error(), "ada@") {
				t.Errorf("the error names the recipient: %v", err)
			}
			eventually(t, "the connection is closed", func() bool { return s.connections() == 0 })
		})
	}
}

func TestSMTPSendsNothingInTheClearToAnotherMachine(t *testing.T) {
	t.Parallel()
	config, roots := certificate(t)
	_, strangers := certificate(t)
	for name, test := range map[string]struct {
		server *server
		roots  *x509.CertPool
	}{
		"no STARTTLS":             {&server{}, roots},
		"a stranger's":            {&server{tls: config, hasTLS: true}, strangers},
		"another name":            {&server{tls: config, hasTLS: true}, roots},
		"a stranger's from start": {&server{tls: config, isTLS: true}, strangers},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := test.server.start(t)
			scheme, host := "smtp", "mail.example.com"
			if s.isTLS {
				scheme = "smtps"
			}
			if name == "another name" {
				host = "other.example.com"
			}
			sender := smtp(t, mail.SMTPOptions{URL: scheme + "://u:s3cret@" + host, RootCAs: test.roots})
			sender.ConnectTo(s.address)
			err := sender.Send(t.Context(), delivery())
			mails, commands, _ := s.taken()
			said := strings.Join(commands, "\n")
			if err == nil || len(mails) > 0 || strings.Contains(said, "AUTH") || strings.Contains(said, "RCPT") {
				t.Errorf("%v; %q", err, said)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error shows the password: %v", err)
			}
			eventually(t, "the connection is closed", func() bool { return s.connections() == 0 })
		})
	}
}

func TestSMTPWaitsForNoServerForEver(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*server{
		"silent at first": {stallsAt: "EHLO"}, "silent at the end": {stallsAt: "DATA"}, "slow": {tricklesAt: "MAIL"}, "does not say goodbye": {stallsAt: "QUIT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.start(t)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			start := time.Now()
			err := smtp(t, mail.SMTPOptions{URL: "smtp://" + s.address}).Send(ctx, delivery())
			isTaken := s.stallsAt == "QUIT"
			if (err == nil) != isTaken || errors.Is(err, mail.ErrRefused) || time.Since(start) > 5*time.Second {
				t.Errorf("%v after %s", err, time.Since(start))
			}
			eventually(t, "the connection is closed", func() bool { return s.connections() == 0 })
		})
	}
}

func TestNewSMTPRefusesABadURLWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "localhost", "smtp://", "http://u:s3cret@host", "smtp://u:s3cret@host:notaport", "smtp://u:s3cret@host:0", "smtp://u:s3cret@host:70000",
		"smtp://u@host", "smtp://:s3cret@host", "smtp://u:s3cret@host/path", "smtp://u:s3cret@host?tls=off", "smtp://u:s3cret%zz@host", "smtp://u:s3cret@ho st",
	} {
		if _, err := mail.NewSMTP(mail.SMTPOptions{URL: bad, From: from}); err == nil {
			t.Errorf("%q was taken", bad)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	for _, bad := range []string{"", "Florin", "a@b.c\r\nBcc: x@y.z", "<>"} {
		if _, err := mail.NewSMTP(mail.SMTPOptions{URL: "smtp://localhost", From: bad}); err == nil {
			t.Errorf("sender %q was taken", bad)
		}
	}
	sender := smtp(t, mail.SMTPOptions{URL: "smtps://u:s3cret@mail.example.com"})
	if printed := fmt.Sprintf("%v %+v %#v", sender, sender, sender); strings.Contains(printed, "s3cret") {
		t.Error(printed)
	}
}
