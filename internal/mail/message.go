// Package mail delivers what the program writes to people. A message is put into
// an outbox in the transaction of what it tells about: it goes out when that was
// committed, and only then, whoever dies in between. Delivery is tried for a day
// and may happen twice, with the same Message-ID, when a server accepts a message
// and the answer is lost.
//
// Messages hold tokens that sign people in, so they are sealed in the database,
// deleted once delivered, and never logged.
package mail

import (
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Message is a plain text mail to one person. It prints without what it says.
type Message struct {
	To      string // an address alone: name@example.com
	Subject string // one line
	Text    string
}

// Bounds of a message.
const (
	AddressMax = 254 // bytes, RFC 5321 4.5.3.1.3 without its angle brackets
	SubjectMax = 200 // characters
	TextMax    = 64 << 10
)

// Validate says what keeps the message from being sent: an address or a subject
// that would change the mail's headers, or one that is too long.
func (m Message) Validate() error {
	if err := ValidateAddress(m.To); err != nil {
		return err
	}
	switch {
	case m.Subject == "" || utf8.RuneCountInString(m.Subject) > SubjectMax:
		return fmt.Errorf("a mail's subject must be 1 to %d characters", SubjectMax)
	case !utf8.ValidString(m.Subject) || strings.ContainsFunc(m.Subject, unicode.IsControl):
		return errors.New("a mail's subject must be one line of text")
	case m.Text == "" || len(m.Text) > TextMax || !utf8.ValidString(m.Text):
		return fmt.Errorf("a mail's text must be 1 to %d bytes of UTF-8", TextMax)
	}
	return nil
}

// ValidateAddress says why an address can't be written to: it must be one
// address alone, with a domain, without a name, comments or quotes.
func ValidateAddress(address string) error {
	parsed, err := netmail.ParseAddress(address)
	if err != nil || parsed.Address != address || parsed.Name != "" {
		return errors.New("it is not a mail address")
	}
	if len(address) > AddressMax || strings.ContainsFunc(address, isNotOfAddress) {
		return errors.New("it is not a mail address that can be written to")
	}
	local, domain, _ := strings.Cut(address, "@")
	if len(local) > 64 || domain == "" || strings.HasPrefix(domain, "[") {
		return errors.New("it is not a mail address that can be written to")
	}
	return nil
}

func isNotOfAddress(r rune) bool {
	return unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune(`"(),:;<>\`, r)
}

// String leaves out the recipient and the text.
func (m Message) String() string { return fmt.Sprintf("mail of %d bytes", len(m.Text)) }

// GoString is String.
func (m Message) GoString() string { return m.String() }

// LogValue is String.
func (m Message) LogValue() slog.Value { return slog.StringValue(m.String()) }
