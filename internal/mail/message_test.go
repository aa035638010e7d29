package mail_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"florin/internal/mail"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a@b.c", "ada.lovelace+florin@mail.example.com", "o'neil@example.com", "x@xn--bcher-kva.example", "ü@example.com"} {
		if err := mail.ValidateAddress(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "a", "@", "a@", "@b", "a b@c.d", "Ada <a@b.c>", "<a@b.c>", "a@b.c, d@e.f", "a@b.c\n", "a@b.c\r\nBcc: d@e.f", "\"a b\"@c.d", "a(comment)@b.c",
		"a@[127.0.0.1]", "a@b.c>", strings.Repeat("a", 65) + "@b.c", "a@" + strings.Repeat("b", 254) + ".c", "a\x00@b.c", "a@b.c;d@e.f", "a@b\u2028.c",
	} {
		if err := mail.ValidateAddress(bad); err == nil {
			t.Errorf("%q was taken", bad)
		} else if len(bad) > 3 && strings.Contains(err.Error(), bad) {
			t.Errorf("the error repeats it: %v", err)
		}
	}
}

func TestMessagesHaveBounds(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*mail.Message){
		"long subject":         func(m *mail.Message) { m.Subject = strings.Repeat("ü", 201) },
		"tab in subject":       func(m *mail.Message) { m.Subject = "a\tb" },
		"subject is not UTF-8": func(m *mail.Message) { m.Subject = "a\xff" },
		"long text":            func(m *mail.Message) { m.Text = strings.Repeat("x", 64<<10+1) },
		"text is not UTF-8":    func(m *mail.Message) { m.Text = "a\xff" },
	} {
		m := message
		change(&m)
		if m.Validate() == nil {
			t.Errorf("%s: taken", name)
		}
	}
	m := message
	m.Subject, m.Text = strings.Repeat("ü", 200), strings.Repeat("x", 64<<10)
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
}

func TestAMessagePrintsNothingOfItself(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "mail", message, "delivery", mail.Delivery{Message: message})
	for _, printed := range []string{fmt.Sprint(message), fmt.Sprintf("%+v %#v", message, message), fmt.Sprintf("%+v", mail.Delivery{Message: message}), log.String()} {
		for _, secret := range []string{message.To, message.Subject, "s3cret"} {
			if strings.Contains(printed, secret) {
				t.Errorf("shows %q: %s", secret, printed)
			}
		}
	}
}
