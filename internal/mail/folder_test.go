package mail_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"florin/internal/mail"
)

func TestFolderKeepsMailsForTheirOwnerAlone(t *testing.T) {
	t.Parallel()
	for _, logsLinks := range []bool{false, true} {
		var log bytes.Buffer
		path := filepath.Join(t.TempDir(), "data", "mails")
		folder := &mail.Folder{Path: path, From: from, Log: slog.New(slog.NewTextHandler(&log, nil)), LogLinks: logsLinks}
		for range 2 { // the second replaces the first
			if err := folder.Send(t.Context(), delivery()); err != nil {
				t.Fatal(err)
			}
		}
		files, err := os.ReadDir(path)
		if err != nil || len(files) != 1 || !strings.HasSuffix(files[0].Name(), "-mail_1.eml") {
			t.Fatal(files, err)
		}
		for name, want := range map[string]os.FileMode{path: 0o700, filepath.Join(path, files[0].Name()): 0o600} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
		text, err := os.ReadFile(filepath.Join(path, files[0].Name()))
		if err != nil {
			t.Fatal(err)
		}
		check(t, string(text))
		if !strings.Contains(log.String(), files[0].Name()) || strings.Contains(log.String(), "token=xxx") != logsLinks || strings.Contains(log.String(), "ada@") {
			t.Errorf("links %t: %s", logsLinks, log.String())
		}
	}
}

func TestFolderSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&mail.Folder{Path: file, From: from, Log: log}).Send(t.Context(), delivery()); err == nil || errors.Is(err, mail.ErrRefused) {
		t.Error(err)
	}
	bad := delivery()
	bad.Message.To = "nobody"
	if err := (&mail.Folder{Path: t.TempDir(), From: from, Log: log}).Send(t.Context(), bad); !errors.Is(err, mail.ErrRefused) {
		t.Error(err)
	}
}
