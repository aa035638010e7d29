package mail

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
)

// Folder writes mails to files that a mail program opens, in place of sending
// them: for trying things out. The files hold tokens; their owner alone may read
// them.
type Folder struct {
	// Path of the folder; it is made when the first mail comes.
	Path string
	// From is the sender: Florin <no-reply@example.com>.
	From string
	// Log is told where each mail lies.
	Log *slog.Logger
	// LogLinks also logs the links in it, which sign people in: only for a
	// developer's own machine.
	LogLinks bool
}

var link = regexp.MustCompile(`https?://[^\s<>"]+`)

// Send implements Sender. A mail that is sent again replaces its file.
func (f *Folder) Send(_ context.Context, d Delivery) error {
	from, err := parseSender(f.From)
	if err != nil {
		return err
	}
	m, err := from.compose(d)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if _, err := m.WriteTo(&text); err != nil {
		return fmt.Errorf("write mail: %w", err)
	}
	if err := os.MkdirAll(f.Path, 0o700); err != nil {
		return fmt.Errorf("folder of mails: %w", err)
	}
	// Sorted by time. Renamed when whole, so that nobody reads half of it.
	name := filepath.Join(f.Path, d.Written.UTC().Format("20060102T150405.000000Z-")+d.ID+".eml")
	if err := os.WriteFile(name+".part", text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write mail: %w", err)
	}
	if err := os.Rename(name+".part", name); err != nil {
		return fmt.Errorf("write mail: %w", err)
	}
	attributes := []any{"mail_id", d.ID, "file", name}
	if f.LogLinks {
		attributes = append(attributes, "subject", d.Message.Subject, "links", link.FindAllString(d.Message.Text, -1))
	}
	f.Log.Info("mail written", attributes...)
	return nil
}
