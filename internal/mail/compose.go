package mail

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"
)

// sender is who mails come from.
type sender struct{ address netmail.Address }

func parseSender(from string) (sender, error) {
	parsed, err := netmail.ParseAddress(from)
	if err == nil {
		err = ValidateAddress(parsed.Address)
	}
	if err != nil {
		return sender{}, errors.New("the sender must be a mail address, such as Florin <no-reply@example.com>")
	}
	return sender{*parsed}, nil
}

// compose makes the mail that goes over the wire.
func (s sender) compose(d Delivery) (*gomail.Msg, error) {
	if err := d.Message.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(&s.address)
	if err := m.To(d.Message.To); err != nil {
		return nil, fmt.Errorf("%w: its address", ErrRefused) // the cause repeats it
	}
	_, domain, _ := strings.Cut(s.address.Address, "@")
	m.SetMessageIDWithValue(d.ID + "@" + domain)
	m.SetDateWithValue(d.Written)
	m.Subject(d.Message.Subject)
	// RFC 3834: nobody's out-of-office note should answer.
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(gomail.TypeTextPlain, d.Message.Text)
	return m, nil
}
